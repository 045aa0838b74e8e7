import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { disableClient } from '../../src/storage/clients.ts'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { newSigner } from '../support/jwt.ts'

let server: AuthorizationApp
let recipient: TestClient
let resourceServer: TestClient

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client({ scopes: ['grant_management_query'] })
  resourceServer = await server.client({ kind: 'resource_server' })
})
afterAll(() => server.close())

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

async function granted(client = recipient, code?: string) {
  const { body } = await client.redeem(code ?? (await client.code())).expect(200)
  return body
}

async function refreshed(refresh_token: string): Promise<string> {
  const { body } = await recipient.token({ grant_type: 'refresh_token', refresh_token }).expect(200)
  return body.access_token
}

const refresh = (refresh_token: string) =>
  recipient.token({ grant_type: 'refresh_token', refresh_token })

/** Whether an access token still opens its consent, as its resources and introspection both have it. */
async function stands(token: string): Promise<boolean> {
  const { fdxConsentId } = claimsOf(token)
  const { status } = await recipient.call('get', `/oauth/grants/${fdxConsentId}`, token)
  const { body } = await resourceServer.introspect(token).expect(200)
  expect({ status, active: body.active }).toEqual(
    status === 200 ? { status: 200, active: true } : { status: 401, active: false },
  )
  return status === 200
}

const consentOf = async (grant_id: string) =>
  (await server.rows(`select state from consents where id = '${grant_id}'`))[0]

describe('revocation of an access token', () => {
  it('ends that one and nothing else, and says so by an empty answer', async () => {
    const { access_token, refresh_token, grant_id } = await granted()
    const another = await refreshed(refresh_token)
    const { text, headers } = await recipient.end(access_token).expect(200)
    expect(text).toBe('')
    expect(headers['cache-control']).toBe('no-store')
    expect(await stands(access_token)).toBe(false)
    expect(await stands(another)).toBe(true)
    expect(await stands(await refreshed(refresh_token))).toBe(true)
    expect(await consentOf(grant_id)).toEqual({ state: 'active' })
  })

  it.each(['access_token', 'refresh_token', 'nonsense'])(
    'is not misled by the hint %s',
    async (token_type_hint) => {
      const { access_token, refresh_token } = await granted()
      await recipient.end(access_token, { token_type_hint }).expect(200)
      expect(await stands(access_token)).toBe(false)
      await recipient.end(refresh_token, { token_type_hint }).expect(200)
      await refresh(refresh_token).expect(400)
    },
  )

  it('may be asked for again, and by twenty at the same time', async () => {
    const { access_token } = await granted()
    await Promise.all(Array.from({ length: 20 }, () => recipient.end(access_token).expect(200)))
    await recipient.end(access_token).expect(200)
    const { jti } = claimsOf(access_token)
    expect(await server.rows(`select from revoked_tokens where jti = '${jti}'`)).toHaveLength(1)
  })

  it('is remembered for longer than the token lives', async () => {
    const { access_token } = await granted()
    await recipient.end(access_token).expect(200)
    const { jti, exp } = claimsOf(access_token)
    const [row] = await server.rows(
      `select extract(epoch from expires_at) as until from revoked_tokens where jti = '${jti}'`,
    )
    expect(Number(row?.['until'])).toBeGreaterThan(exp)
  })

  it.each(['recipient', 'bank', 'auditor', 'operator', 'resource_server'] as const)(
    'that is another client’s does nothing when a client of kind %s asks, and looks the same',
    async (kind) => {
      const { access_token, refresh_token } = await granted()
      const other = await server.client({ kind })
      for (const token of [access_token, refresh_token]) {
        const { text } = await other.end(token).expect(200)
        expect(text).toBe('')
      }
      expect(await stands(access_token)).toBe(true)
      await refresh(refresh_token).expect(200)
    },
  )
})

describe('revocation of a refresh token', () => {
  it('ends it with every access token that came with it or by it, and leaves the consent', async () => {
    const { access_token, refresh_token, grant_id } = await granted()
    const others = [await refreshed(refresh_token), await refreshed(refresh_token)]
    const elsewhere = await granted()
    await recipient.end(refresh_token).expect(200)
    await refresh(refresh_token).expect(400)
    for (const token of [access_token, ...others]) expect(await stands(token)).toBe(false)
    expect(await consentOf(grant_id)).toEqual({ state: 'active' })
    expect(await stands(elsewhere.access_token)).toBe(true)
    await refresh(elsewhere.refresh_token).expect(200)
    await recipient.end(refresh_token).expect(200)
  })

  it('leaves no token that was being given meanwhile', async () => {
    const { refresh_token } = await granted()
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, () => refresh(refresh_token))),
      recipient.end(refresh_token).expect(200),
    ])
    for (const { status, body } of answers) {
      if (status === 200) expect(await stands(body.access_token)).toBe(false)
      else expect(body.error).toBe('invalid_grant')
    }
  })

  it('has effect at its own bank only', async () => {
    const { refresh_token } = await granted()
    await recipient.end(`other-bank.${refresh_token.split('.')[1]}`).expect(200)
    await refresh(refresh_token).expect(200)
  })
})

describe('revocation of a client’s token for itself', () => {
  it.each([
    ['recipient', 'grant_management_query'],
    ['bank', 'ledger:read'],
    ['auditor', 'ledger:read'],
  ] as const)('of kind %s ends it', async (kind, scope) => {
    const client = await server.client({ kind, scopes: [scope] })
    const ask = () => client.token({ grant_type: 'client_credentials', scope }).expect(200)
    const [one, two] = [await ask(), await ask()].map(({ body }) => body.access_token)
    const probe = (token: string) => client.call('get', '/fdx/v6/probe', token)
    await probe(one).expect(200)
    await client.end(one).expect(200)
    const { headers } = await probe(one).expect(401)
    expect(headers['www-authenticate']).toMatch(/^DPoP error="invalid_token"/)
    expect((await client.introspect(one)).body).toEqual({ active: false })
    await probe(two).expect(200)
    await resourceServer.end(two).expect(200)
    await probe(two).expect(200)
    await client.end(one).expect(200)
  })
})

describe('what cannot be revoked', () => {
  it('is answered like everything else when it is no token', async () => {
    const { access_token } = await granted()
    const [header, claims] = [0, 1].map((i) =>
      JSON.parse(Buffer.from(access_token.split('.')[i] ?? '', 'base64url').toString()),
    )
    const expired = { ...claims, exp: Math.floor(server.broker.now() / 1000) - 1 }
    const forged = newSigner('ES256').sign({ header, claims })
    const tokens = [
      ...['x', 'a.b.c', `first-bank.${'x'.repeat(43)}`, `no-bank.${'x'.repeat(43)}`, forged],
      ...[server.authorization.keys.sign('at+jwt', expired), 'y'.repeat(32 * 1024)],
    ]
    for (const token of tokens) {
      const { text } = await recipient.end(token).expect(200)
      expect(text).toBe('')
    }
    expect(await stands(access_token)).toBe(true)
  })

  it('is said to be so when it is a JWT of ours that is no access token', async () => {
    const signed = server.authorization.keys.sign('token-introspection+jwt', {})
    const { body } = await recipient.end(signed).expect(400)
    expect(body.error).toBe('unsupported_token_type')
    const { access_token } = await granted()
    await recipient.end(newSigner('ES256').sign({ header: {}, claims: {} })).expect(200)
    expect(await stands(access_token)).toBe(true)
  })

  it('is an error when it is not sent, or too long to read', async () => {
    const { body } = await recipient.post('/oauth/revoke', {}).expect(400)
    expect(body.error).toBe('invalid_request')
    await recipient.end('x'.repeat(64 * 1024)).expect(413)
  })

  it('is not touched for those who do not authenticate', async () => {
    const { access_token } = await granted()
    for (const form of [{ client_assertion: 'none' }, { client_assertion: undefined }]) {
      const { body } = await recipient.end(access_token, form).expect(401)
      expect(body.error).toBe('invalid_client')
    }
    expect(await stands(access_token)).toBe(true)
    const disabled = await server.client()
    const own = await granted(disabled)
    await disableClient(server.broker.db, disabled.id)
    await disabled.end(own.refresh_token).expect(401)
  })
})

describe('a code that is used again', () => {
  it('ends the tokens it gave, those that came of them by refresh, and no others', async () => {
    const first = await recipient.code()
    const { access_token, refresh_token } = await granted(recipient, first)
    const others = [await refreshed(refresh_token), await refreshed(refresh_token)]
    const elsewhere = await granted()
    const { body } = await recipient.redeem(first).expect(400)
    expect(body.error).toBe('invalid_grant')
    for (const token of [access_token, ...others]) expect(await stands(token)).toBe(false)
    await refresh(refresh_token).expect(400)
    expect(await stands(elsewhere.access_token)).toBe(true)
    await refresh(elsewhere.refresh_token).expect(200)
    await recipient.redeem(first).expect(400)
  })

  it('leaves none of those that fifty redeemed it for', async () => {
    const code = await recipient.code()
    const answers = await Promise.all(Array.from({ length: 50 }, () => recipient.redeem(code)))
    const given = answers.filter(({ status }) => status === 200)
    expect(given).toHaveLength(1)
    for (const { body } of given) {
      expect(await stands(body.access_token)).toBe(false)
      await refresh(body.refresh_token).expect(400)
    }
  })
})
