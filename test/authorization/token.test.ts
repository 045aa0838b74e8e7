import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { suspendRecipient } from '../../src/broker/approve_recipient.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import {
  authorizationApp,
  redirectUri,
  verifier,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { newSigner, sha256 } from '../support/jwt.ts'

let server: AuthorizationApp
let recipient: TestClient

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client()
})
afterAll(() => server.close())

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

const oneTime = {
  consentRequest: {
    durationType: 'ONE_TIME',
    lookbackPeriod: 30,
    resources: [{ resourceType: 'ACCOUNT', dataClusters: ['BALANCES'] }],
  },
}

/** The refusals of a client that are in the ledger. */
async function refusals(client: TestClient): Promise<unknown[]> {
  const rows = await server.rows(
    `select convert_from(leaf, 'UTF8')::jsonb -> 'body' as body from entries where kind = 'refusal' order by n`,
  )
  return rows
    .map(({ body }) => body as { client: string; consent: string; reason: string })
    .filter((body) => body.client === client.id)
    .map(({ consent, reason }) => ({ consent, reason }))
}

describe('a code', () => {
  it('gives tokens that say what was granted, and never to whose profile', async () => {
    const { body, headers } = await recipient.redeem(await recipient.code()).expect(200)
    expect(headers['cache-control']).toBe('no-store')
    const [detail] = body.authorization_details
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'DPoP',
      expires_in: 300,
      refresh_token: expect.stringMatching(/^first-bank\.[A-Za-z0-9_-]{43}$/),
      scope: 'fdx:accountbasic:read fdx:balances:read fdx:transactions:read',
      authorization_details: [detail],
      grant_id: detail.consentId,
      fdxConsentId: detail.consentId,
    })
    const dataClusters = ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS']
    const resourceId = expect.stringMatching(/^[A-Za-z0-9_-]{22}$/)
    const resource = { resourceType: 'ACCOUNT', resourceId, dataClusters }
    expect(detail).toEqual({
      type: 'fdx_v1.0',
      consentId: expect.stringMatching(/^first-bank\.[A-Za-z0-9_-]{22}$/),
      consentRequest: {
        durationType: 'TIME_BOUND',
        durationPeriod: 90,
        lookbackPeriod: 90,
        resources: [resource, resource],
      },
      bank: 'first-bank',
      purpose: 'https://w3id.org/dpv#RequestedServiceProvision',
      delivery: 'in_thread',
    })
    const claims = claimsOf(body.access_token)
    expect(claims).toEqual({
      iss: server.broker.issuer,
      sub: expect.any(String),
      aud: `${server.broker.issuer}/fdx/v6`,
      client_id: recipient.id,
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: claims.iat + 300,
      scope: body.scope,
      bank: 'first-bank',
      fdxConsentId: body.grant_id,
      authorization_details: body.authorization_details,
      cnf: { jkt: expect.any(String) },
    })
    expect(JSON.stringify([body, claims])).not.toMatch(/Alice|9876543210|1234567890|profile/)
    const [link] = await server.rows(
      `select recipient_sub from links l join consents c on c.link_id = l.id where c.id = '${body.grant_id}'`,
    )
    expect(claims.sub).toBe(link?.['recipient_sub'])
  })

  it('marks its consent as redeemed', async () => {
    const { body } = await recipient.redeem(await recipient.code()).expect(200)
    const [row] = await server.rows(
      `select redeemed_at from consents where id = '${body.grant_id}'`,
    )
    expect(row?.['redeemed_at']).toBeInstanceOf(Date)
  })

  it('of a ONE_TIME consent gives no refresh token', async () => {
    const { body } = await recipient.redeem(await recipient.code({ details: oneTime })).expect(200)
    expect(body).not.toHaveProperty('refresh_token')
    expect(body.authorization_details[0].consentRequest).not.toHaveProperty('durationPeriod')
  })

  it('gives one token to 20 who redeem it at the same time', async () => {
    const code = await recipient.code()
    const answers = await Promise.all(Array.from({ length: 20 }, () => recipient.redeem(code)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    const refused = answers.filter(({ status }) => status === 400)
    expect(new Set(refused.map(({ body }) => body.error))).toEqual(new Set(['invalid_grant']))
    expect(refused).toHaveLength(19)
  })

  it('that is used again ends what it gave', async () => {
    const code = await recipient.code()
    const { body } = await recipient.redeem(code).expect(200)
    await recipient.call('get', `/oauth/grants/${body.grant_id}`, body.access_token).expect(200)
    const again = await recipient.redeem(code).expect(400)
    expect(again.body.error).toBe('invalid_grant')
    const refresh = { grant_type: 'refresh_token', refresh_token: body.refresh_token }
    await recipient.token(refresh).expect(400)
    await recipient.call('get', `/oauth/grants/${body.grant_id}`, body.access_token).expect(401)
  })

  it.each<[string, Record<string, string | undefined>, string]>([
    ['without code_verifier', { code_verifier: undefined }, 'invalid_grant'],
    ['with another code_verifier', { code_verifier: 'w'.repeat(43) }, 'invalid_grant'],
    ['with a code_verifier that is too short', { code_verifier: 'v'.repeat(42) }, 'invalid_grant'],
    [
      'with its code_challenge for a verifier',
      { code_verifier: sha256(verifier) },
      'invalid_grant',
    ],
    ['without redirect_uri', { redirect_uri: undefined }, 'invalid_request'],
    ['with another redirect_uri', { redirect_uri: `${redirectUri}?x` }, 'invalid_grant'],
    ['that is not known', { code: `first-bank.${'x'.repeat(43)}` }, 'invalid_grant'],
    ['of a bank that is not known', { code: `no-bank.${'x'.repeat(43)}` }, 'invalid_grant'],
    ['of no form', { code: 'x' }, 'invalid_grant'],
    ['that is missing', { code: undefined }, 'invalid_request'],
    [
      'beside authorization_details',
      { authorization_details: '[]' },
      'invalid_authorization_details',
    ],
  ])('%s gives nothing, and is not used up', async (_, form, error) => {
    const code = await recipient.code()
    const { body } = await recipient.redeem(code, form).expect(400)
    expect(body.error).toBe(error)
    await recipient.redeem(code).expect(200)
  })

  it('ends after 60 seconds', async () => {
    const code = await recipient.code()
    const [row] = await server.rows(
      `select extract(epoch from expires_at - clock_timestamp()) as left from authorization_codes
       where expires_at > clock_timestamp() and redeemed_at is null order by expires_at desc limit 1`,
    )
    expect(Number(row?.['left'])).toBeLessThanOrEqual(60)
    await server.rows(
      `update authorization_codes set expires_at = clock_timestamp() where redeemed_at is null returning 1`,
    )
    const { body } = await recipient.redeem(code).expect(400)
    expect(body.error).toBe('invalid_grant')
  })

  it('is kept by its hash only', async () => {
    const code = await recipient.code()
    const { body } = await recipient.redeem(code).expect(200)
    const stored = JSON.stringify([
      await server.rows('select * from authorization_codes'),
      await server.rows('select * from refresh_tokens'),
    ])
    expect(stored).not.toContain(code.split('.')[1])
    expect(stored).not.toContain(body.refresh_token.split('.')[1])
  })

  it("of another recipient gives nothing, which is recorded, and stays its owner's", async () => {
    const other = await server.client()
    const code = await recipient.code()
    const { body } = await other.redeem(code).expect(400)
    expect(body.error).toBe('invalid_grant')
    const owner = await recipient.redeem(code).expect(200)
    expect(await refusals(other)).toEqual([
      { consent: owner.body.grant_id, reason: 'consent_of_another_recipient' },
    ])
    await other.redeem(code).expect(400)
    await recipient
      .call('get', `/oauth/grants/${owner.body.grant_id}`, owner.body.access_token)
      .expect(200)
  })

  it('of a consent that ended meanwhile gives nothing, which is recorded', async () => {
    const client = await server.client()
    const code = await client.code()
    const [row] = await server.rows(`select id from consents where recipient = '${client.id}'`)
    const consentId = String(row?.['id'])
    const wish = { bank: server.bank, consentId, by: 'customer', reason: 'USER_ACTION' } as const
    await revokeConsent(server.broker, wish)
    const { body } = await client.redeem(code).expect(400)
    expect(body.error).toBe('invalid_grant')
    expect(await refusals(client)).toEqual([{ consent: consentId, reason: 'consent_revoked' }])
  })

  it('of a recipient that was suspended meanwhile gives nothing, which is recorded', async () => {
    const client = await server.client()
    const code = await client.code()
    await suspendRecipient(server.broker, { bank: server.bank, recipient: client.id, by: 'bank' })
    const { body } = await client.redeem(code).expect(400)
    expect(body.error).toBe('unauthorized_client')
    expect(await refusals(client)).toMatchObject([{ reason: 'recipient_suspended' }])
  })

  it('is nothing to a client that is no recipient', async () => {
    const bank = await server.client({ kind: 'bank' })
    const { body } = await bank.redeem(await recipient.code()).expect(400)
    expect(body.error).toBe('unauthorized_client')
  })
})

describe('a refresh token', () => {
  const granted = async (client = recipient) => {
    const { body } = await client.redeem(await client.code()).expect(200)
    return body
  }
  const refresh = (refresh_token: string, form = {}) => ({
    grant_type: 'refresh_token',
    refresh_token,
    ...form,
  })

  it('gives access tokens again and again, and stays what it is', async () => {
    const first = await granted()
    for (let time = 0; time < 2; time++) {
      const { body } = await recipient.token(refresh(first.refresh_token)).expect(200)
      expect(body).toEqual({
        ...first,
        access_token: expect.any(String),
        refresh_token: undefined,
      })
      expect(claimsOf(body.access_token).jti).not.toBe(claimsOf(first.access_token).jti)
    }
  })

  it('gives a token for the key of the request, whichever that is', async () => {
    const { refresh_token } = await granted()
    const signer = newSigner('ES256')
    const { body } = await recipient
      .token(refresh(refresh_token), { DPoP: recipient.proof({ signer }) })
      .expect(200)
    await recipient.call('get', '/fdx/v6/probe', body.access_token, { signer }).expect(200)
    await recipient.call('get', '/fdx/v6/probe', body.access_token).expect(401)
  })

  it('takes the scope that was granted and no other', async () => {
    const { refresh_token, scope } = await granted()
    await recipient.token(refresh(refresh_token, { scope })).expect(200)
    const { body } = await recipient
      .token(refresh(refresh_token, { scope: 'fdx:balances:read' }))
      .expect(400)
    expect(body.error).toBe('invalid_scope')
  })

  it('ends with its consent, which is recorded', async () => {
    const client = await server.client()
    const { refresh_token, grant_id } = await granted(client)
    const wish = { bank: server.bank, consentId: grant_id, by: 'customer' } as const
    await revokeConsent(server.broker, { ...wish, reason: 'USER_ACTION' })
    const { body } = await client.token(refresh(refresh_token)).expect(400)
    expect(body.error).toBe('invalid_grant')
    expect(await refusals(client)).toEqual([{ consent: grant_id, reason: 'consent_revoked' }])
  })

  it('ends when its consent does by time, before anything has written that down', async () => {
    const own = await server.client()
    const { refresh_token, grant_id } = await granted(own)
    await server.rows(
      `update consents set terms = jsonb_set(terms, '{expires}', '"2020-01-01T00:00:00.000Z"') where id = '${grant_id}' returning 1`,
    )
    await own.token(refresh(refresh_token)).expect(400)
    expect(await refusals(own)).toEqual([{ consent: grant_id, reason: 'consent_expired' }])
  })

  it('of another recipient gives nothing, which is recorded', async () => {
    const other = await server.client()
    const { refresh_token, grant_id } = await granted()
    const { body } = await other.token(refresh(refresh_token)).expect(400)
    expect(body.error).toBe('invalid_grant')
    expect(await refusals(other)).toEqual([
      { consent: grant_id, reason: 'consent_of_another_recipient' },
    ])
    await recipient.token(refresh(refresh_token)).expect(200)
  })

  it.each(['x', `first-bank.${'x'.repeat(43)}`, `no-bank.${'x'.repeat(43)}`])(
    'that is not known (%s) gives nothing',
    async (refresh_token) => {
      const { body } = await recipient.token(refresh(refresh_token)).expect(400)
      expect(body.error).toBe('invalid_grant')
    },
  )
})

describe('a client gets a token for itself', () => {
  it.each([
    ['bank', 'ledger:read consents:revoke', 'first-bank'],
    ['auditor', 'ledger:read', 'first-bank'],
    ['recipient', 'grant_management_query grant_management_revoke', undefined],
  ] as const)('of kind %s, with scope %s', async (kind, scope, bank) => {
    const client = await server.client({ kind, scopes: scope.split(' ') })
    const { body } = await client.token({ grant_type: 'client_credentials', scope }).expect(200)
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'DPoP',
      expires_in: 300,
      scope,
    })
    const claims = claimsOf(body.access_token)
    expect(claims).toMatchObject({ sub: client.id, aud: server.broker.issuer, scope })
    expect(claims.bank).toBe(bank)
    expect(claims).not.toHaveProperty('fdxConsentId')
    const { body: caller } = await client
      .call('get', '/fdx/v6/probe', body.access_token)
      .expect(200)
    expect(caller).toMatchObject({ clientId: client.id, scopes: scope.split(' ') })
    expect(caller).not.toHaveProperty('consentId')
  })

  it.each([
    ['that is not named', 'auditor', ['ledger:read'], undefined],
    ['that it is not registered for', 'auditor', [], 'ledger:read'],
    ['that its kind cannot have', 'auditor', ['consents:revoke'], 'consents:revoke'],
    ['that is not known', 'auditor', ['everything'], 'everything'],
    ['of data', 'recipient', ['fdx:balances:read'], 'fdx:balances:read'],
  ] as const)('with no scope %s', async (_, kind, scopes, scope) => {
    const client = await server.client({ kind, scopes })
    const { body } = await client.token({ grant_type: 'client_credentials', scope }).expect(400)
    expect(body.error).toBe('invalid_scope')
  })
})

it.each(['password', 'urn:ietf:params:oauth:grant-type:device_code', 'toString'])(
  'grant_type %s is not known',
  async (grant_type) => {
    const { body } = await recipient.token({ grant_type }).expect(400)
    expect(body.error).toBe('unsupported_grant_type')
  },
)

it('grant_type is required', async () => {
  const { body } = await recipient.token({}).expect(400)
  expect(body.error).toBe('invalid_request')
})
