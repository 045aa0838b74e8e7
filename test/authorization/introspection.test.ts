import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import supertest, { type Response } from 'supertest'
import { suspendRecipient } from '../../src/broker/approve_recipient.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { createApp } from '../../src/http/app.ts'
import { openLog, type RequestEvent } from '../../src/observe/log.ts'
import { disableClient } from '../../src/storage/clients.ts'
import { onConnection } from '../../src/storage/database.ts'
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

const partOf = (token: string, i: number) =>
  JSON.parse(Buffer.from(token.split('.')[i] ?? '', 'base64url').toString())
const claimsOf = (token: string) => partOf(token, 1)

async function granted(client = recipient) {
  const { body } = await client.redeem(await client.code()).expect(200)
  return body
}

async function ownToken(client: TestClient, scope: string): Promise<string> {
  const { body } = await client.token({ grant_type: 'client_credentials', scope }).expect(200)
  return body.access_token
}

const inactive = { active: false }

/** What the asker is told; the same with every hint, and signed. */
async function told(asker: TestClient, token: string): Promise<{ active: boolean }> {
  const { body, headers } = await asker.introspect(token).expect(200)
  expect(headers['cache-control']).toBe('no-store')
  return body
}

describe('introspection of an access token that opens a consent', () => {
  it('tells its recipient and a resource server what it opens now, and no one to whose profile', async () => {
    const { access_token, grant_id, authorization_details, scope } = await granted()
    const { iat, exp, jti, sub, cnf } = claimsOf(access_token)
    const expected = {
      active: true,
      iss: server.broker.issuer,
      sub,
      aud: `${server.broker.issuer}/fdx/v6`,
      client_id: recipient.id,
      scope,
      authorization_details,
      bank: 'first-bank',
      fdxConsentId: grant_id,
      grant_id,
      jti,
      iat,
      exp,
      token_type: 'DPoP',
      cnf,
    }
    for (const asker of [recipient, resourceServer]) {
      const { body, text } = await asker.introspect(access_token).expect(200)
      expect(body).toEqual(expected)
      expect(text).not.toMatch(/Alice|9876543210|profile/)
    }
  })

  it.each(['access_token', 'refresh_token', 'id_token', 'nonsense'])(
    'is not misled by the hint %s',
    async (token_type_hint) => {
      const { access_token, refresh_token } = await granted()
      for (const token of [access_token, refresh_token]) {
        const { body } = await recipient.introspect(token, { token_type_hint }).expect(200)
        expect(body.active).toBe(true)
      }
    },
  )

  it('tells nothing to other recipients, banks, auditors and operators', async () => {
    const { access_token, refresh_token } = await granted()
    for (const kind of ['recipient', 'bank', 'auditor', 'operator'] as const) {
      const other = await server.client({ kind })
      expect(await told(other, access_token)).toEqual(inactive)
      expect(await told(other, refresh_token)).toEqual(inactive)
    }
  })

  it('says what the consent says now, after the customer has narrowed it', async () => {
    const { access_token, grant_id } = await granted()
    await server.rows(
      `update consents set terms = jsonb_set(terms, '{clusters}', '["BALANCES"]') where id = '${grant_id}' returning 1`,
    )
    const { body } = await resourceServer.introspect(access_token).expect(200)
    expect(body.scope).toBe('fdx:balances:read')
    const [detail] = body.authorization_details
    expect(detail.consentRequest.resources[0].dataClusters).toEqual(['BALANCES'])
  })

  it('never gives an end beyond the consent’s own', async () => {
    const { access_token, grant_id } = await granted()
    const soon = new Date(server.broker.now() + 30_000).toISOString()
    await server.rows(
      `update consents set terms = jsonb_set(terms, '{expires}', '"${soon}"') where id = '${grant_id}' returning 1`,
    )
    const { body } = await resourceServer.introspect(access_token).expect(200)
    expect(body.exp).toBe(Math.floor(Date.parse(soon) / 1000))
  })

  it.each<[string, (client: TestClient, granted: { grant_id: string }) => Promise<unknown>]>([
    [
      'its consent was revoked',
      (_, { grant_id }) =>
        revokeConsent(server.broker, {
          ...{ bank: server.bank, consentId: grant_id },
          ...{ by: 'customer', reason: 'USER_ACTION' },
        }),
    ],
    [
      'its consent has come to its end, before anything has written that down',
      (_, { grant_id }) =>
        server.rows(
          `update consents set terms = jsonb_set(terms, '{expires}', '"2020-01-01T00:00:00.000Z"')
           where id = '${grant_id}' returning 1`,
        ),
    ],
    [
      'its recipient was suspended',
      ({ id }) => suspendRecipient(server.broker, { bank: server.bank, recipient: id, by: 'bank' }),
    ],
    [
      'its recipient’s approval is gone',
      ({ id }) => server.rows(`delete from approvals where recipient = '${id}' returning 1`),
    ],
    [
      'its recipient’s approval no longer has the purpose',
      ({ id }) =>
        server.rows(`update approvals set purposes = '{}' where recipient = '${id}' returning 1`),
    ],
    [
      'its consent is another recipient’s',
      (_, { grant_id }) =>
        server.rows(
          `update consents set recipient = '${recipient.id}' where id = '${grant_id}' returning 1`,
        ),
    ],
    [
      'its consent is not there',
      (_, { grant_id }) => server.rows(`delete from consents where id = '${grant_id}' returning 1`),
    ],
  ])('is inactive at once when %s, and so is its refresh token', async (_, happens) => {
    const client = await server.client()
    const tokens = await granted(client)
    const { access_token, refresh_token } = tokens
    expect((await told(client, access_token)).active).toBe(true)
    expect((await told(client, refresh_token)).active).toBe(true)
    await happens(client, tokens)
    expect(await told(resourceServer, access_token)).toEqual(inactive)
    expect(await told(client, access_token)).toEqual(inactive)
    expect(await told(client, refresh_token)).toEqual(inactive)
  })

  it('is inactive at once when its client was disabled, which may ask no more', async () => {
    const client = await server.client({ scopes: ['grant_management_query'] })
    const { access_token } = await granted(client)
    const own = await ownToken(client, 'grant_management_query')
    await disableClient(server.broker.db, client.id)
    expect(await told(resourceServer, access_token)).toEqual(inactive)
    expect(await told(resourceServer, own)).toEqual(inactive)
    await client.introspect(access_token).expect(401)
    const path = '/fdx/v6/probe'
    const { body } = await client.call('get', path, own).expect(401)
    expect(body.code).toBe('invalid_token')
  })
})

describe('introspection of a refresh token', () => {
  it('tells its recipient what it is for, and that it is no access token', async () => {
    const { refresh_token, access_token, grant_id, authorization_details, scope } = await granted()
    const { body } = await recipient.introspect(refresh_token).expect(200)
    expect(body).toEqual({
      active: true,
      iss: server.broker.issuer,
      sub: claimsOf(access_token).sub,
      client_id: recipient.id,
      scope,
      authorization_details,
      bank: 'first-bank',
      fdxConsentId: grant_id,
      grant_id,
      iat: expect.any(Number),
      exp: expect.any(Number),
    })
    expect(body.exp - body.iat).toBeGreaterThan(89 * 86_400)
  })

  it('tells a resource server nothing: there is no resource that it is for', async () => {
    const { refresh_token } = await granted()
    expect(await told(resourceServer, refresh_token)).toEqual(inactive)
  })

  it.each([
    'x',
    `first-bank.${'x'.repeat(43)}`,
    `no-bank.${'x'.repeat(43)}`,
    `other-bank.${'x'.repeat(43)}`,
  ])('that is not known (%s) is inactive', async (token) => {
    expect(await told(recipient, token)).toEqual(inactive)
  })

  it('of one bank is nothing at another', async () => {
    const { refresh_token } = await granted()
    const elsewhere = `other-bank.${refresh_token.split('.')[1]}`
    expect(await told(recipient, elsewhere)).toEqual(inactive)
  })
})

describe('introspection of a client’s token for itself', () => {
  it.each([
    ['bank', 'ledger:read', 'first-bank'],
    ['auditor', 'ledger:read', 'first-bank'],
    ['recipient', 'grant_management_query', undefined],
  ] as const)('tells a client of kind %s, and a resource server', async (kind, scope, bank) => {
    const client = await server.client({ kind, scopes: [scope] })
    const token = await ownToken(client, scope)
    const { iat, exp, jti, cnf } = claimsOf(token)
    for (const asker of [client, resourceServer]) {
      const { body } = await asker.introspect(token).expect(200)
      expect(body).toEqual({
        active: true,
        iss: server.broker.issuer,
        sub: client.id,
        aud: server.broker.issuer,
        client_id: client.id,
        scope,
        ...(bank === undefined ? {} : { bank }),
        jti,
        iat,
        exp,
        token_type: 'DPoP',
        cnf,
      })
    }
    const other = await server.client({ kind, scopes: [scope] })
    expect(await told(other, token)).toEqual(inactive)
  })
})

describe('what is no good token', () => {
  it('is inactive, whatever is wrong with it', async () => {
    const { access_token: token } = await granted()
    const [header, claims] = [partOf(token, 0), claimsOf(token)]
    const { keys } = server.authorization
    const [forger, rsa, none] = [newSigner('ES256'), newSigner('RS256'), newSigner('none')]
    const bad = [
      ...[' ', '.', '..', 'a.b', 'a.b.c', 'a.b.c.d', `${token}.x`, token.slice(0, -1), 'x'],
      ...[forger, rsa].map((by) => by.sign({ header: { ...header, alg: by.alg }, claims })),
      none.sign({ header: { ...header, alg: 'none' }, claims }),
      none.sign({ header: { ...header, alg: 'ES256' }, claims }),
      forger.sign({ header: { ...header, jwk: forger.publicJwk }, claims }),
      keys.sign('JWT', claims),
      keys.sign('token-introspection+jwt', claims),
      keys.sign('at+jwt', { ...claims, iss: 'https://other.example' }),
      keys.sign('at+jwt', { ...claims, aud: server.broker.issuer }),
      keys.sign('at+jwt', { ...claims, exp: Math.floor(server.broker.now() / 1000) }),
      keys.sign('at+jwt', { ...claims, exp: undefined }),
      keys.sign('at+jwt', { ...claims, iat: claims.iat + 60 }),
      keys.sign('at+jwt', { ...claims, cnf: undefined }),
      keys.sign('at+jwt', { ...claims, client_id: 'someone-else' }),
      keys.sign('at+jwt', { ...claims, fdxConsentId: 'first-bank.another' }),
      'x'.repeat(32 * 1024),
    ]
    for (const one of bad)
      expect({ one, told: await told(resourceServer, one) }).toEqual({ one, told: inactive })
    for (let at = 0; at < token.length; at += 57) {
      const other = token[at] === 'A' ? 'B' : 'A'
      const tampered = token.slice(0, at) + other + token.slice(at + 1)
      expect(await told(resourceServer, tampered)).toEqual(inactive)
    }
    expect((await told(resourceServer, token)).active).toBe(true)
  })

  it('is an error only when it is not sent, or sent twice, or too long to read', async () => {
    const { body } = await recipient.post('/oauth/introspect', {}).expect(400)
    expect(body.error).toBe('invalid_request')
    await recipient.introspect('').expect(400)
    await recipient.introspect('x'.repeat(64 * 1024)).expect(413)
    const twice = await supertest(server.app)
      .post('/oauth/introspect')
      .type('form')
      .send('token=a&token=b')
      .expect(400)
    expect(twice.body.error).toBe('invalid_request')
  })

  it('is not spoken of to those who do not authenticate', async () => {
    const { access_token } = await granted()
    const anonymous = { client_assertion: undefined, client_assertion_type: undefined }
    for (const form of [anonymous, { client_assertion: 'none' }]) {
      const { body } = await recipient.introspect(access_token, form).expect(401)
      expect(body.error).toBe('invalid_client')
    }
    const client_assertion = recipient.assertion()
    await recipient.introspect(access_token, { client_assertion }).expect(200)
    await recipient.introspect(access_token, { client_assertion }).expect(401)
    const bearer = await supertest(server.app)
      .post('/oauth/introspect')
      .set('Authorization', `DPoP ${access_token}`)
      .type('form')
      .send({ token: access_token })
    expect(bearer.status).toBe(401)
  })
})

it('a token that has expired is inactive, also one that was known a moment before', async () => {
  const app = await authorizationApp()
  try {
    const client = await app.client()
    const { access_token, refresh_token } = await granted(client)
    expect((await told(client, access_token)).active).toBe(true)
    app.advance(301)
    expect(await told(client, access_token)).toEqual(inactive)
    expect((await told(client, refresh_token)).active).toBe(true)
    app.advance(90 * 86_400)
    expect(await told(client, refresh_token)).toEqual(inactive)
  } finally {
    await app.close()
  }
})

describe('a signed answer (RFC 9701)', () => {
  const type = 'application/token-introspection+jwt'

  it('says the same under our published keys, to the one who asked', async () => {
    const { access_token } = await granted()
    const jwks = createLocalJWKSet((await supertest(server.app).get('/oauth/jwks')).body)
    const plain = await told(resourceServer, access_token)
    for (const [token, expected] of [
      [access_token, plain],
      ['nothing', inactive],
    ] as const) {
      const { body, headers } = await resourceServer
        .introspect(token, {}, { Accept: type })
        .buffer(true)
        .parse(asText)
        .expect(200)
      const text = String(body)
      expect(headers['content-type']).toBe(type)
      expect(headers['cache-control']).toBe('no-store')
      const { payload, protectedHeader } = await jwtVerify(text, jwks, {
        typ: 'token-introspection+jwt',
        issuer: server.broker.issuer,
        audience: resourceServer.id,
        algorithms: ['ES256'],
      })
      expect(protectedHeader.typ).toBe('token-introspection+jwt')
      expect(payload).toEqual({
        iss: server.broker.issuer,
        aud: resourceServer.id,
        iat: expect.any(Number),
        token_introspection: expected,
      })
      await resourceServer.call('get', '/fdx/v6/probe', text).expect(401)
    }
  })

  it.each([
    [type, true],
    [`${type};q=0.5`, true],
    [`application/json;q=0.9, ${type}`, true],
    [type.toUpperCase(), true],
    ['application/json', false],
    [`application/json, ${type};q=0.9`, false],
    [`${type};q=0`, false],
    [`${type};q=0, */*`, false],
    ['*/*', false],
    ['application/*', false],
    [`*/*, ${type};q=0.1`, false],
    ['text/html', false],
    ['nonsense', false],
  ])('is given to Accept: %s: %s', async (Accept, signed) => {
    const { headers } = await resourceServer.introspect('nothing', {}, { Accept }).expect(200)
    expect(headers['content-type']).toBe(signed ? type : 'application/json; charset=utf-8')
  })

  it('is no answer to a request that failed', async () => {
    const { headers, body } = await resourceServer
      .introspect('nothing', { client_assertion: 'none' }, { Accept: type })
      .expect(401)
    expect(headers['content-type']).toMatch(/^application\/json/)
    expect(body.error).toBe('invalid_client')
  })
})

it('costs one statement beside those that authenticate', async () => {
  const { access_token, refresh_token } = await granted()
  const statements = await recorded(() => told(recipient, 'nothing'))
  for (const token of [access_token, refresh_token]) {
    const all = await recorded(() => told(recipient, token))
    const more = all.filter((one) => !statements.includes(one))
    expect(more).toEqual([
      expect.stringMatching(/^begin; select set_config\('app.bank'/),
      'token_standing',
      'commit',
    ])
  }
  const own = await ownToken(recipient, 'grant_management_query')
  const all = await recorded(() => told(recipient, own))
  expect(all.filter((one) => !statements.includes(one))).toHaveLength(1)
})

it('is logged without a token, and enters nothing in the ledger', async () => {
  const events: RequestEvent[] = []
  const log = { ...openLog('silent'), request: (event: RequestEvent) => void events.push(event) }
  const whole = createApp(server.broker, server.authorization, log)
  const { access_token, refresh_token } = await granted()
  const before = await server.rows('select count(*) from entries')
  for (const path of ['/oauth/introspect', '/oauth/revoke'])
    for (const token of [access_token, refresh_token, 'first-bank.secret', 'no.good.token'])
      await supertest(whole)
        .post(path)
        .type('form')
        .send({
          token,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: recipient.assertion(),
        })
        .expect(200)
  expect(events.map(({ route }) => route)).toEqual(
    ['/oauth/introspect', '/oauth/revoke'].flatMap((route) => [route, route, route, route]),
  )
  expect(events.map((event) => Object.keys(event).toSorted())).toEqual(
    events.map(() => ['duration_ms', 'method', 'route', 'status']),
  )
  expect(await server.rows('select count(*) from entries')).toEqual(before)
})

/** Reads an answer of a type that supertest has no parser for. */
function asText(res: Response, done: (error: Error | null, body: unknown) => void): void {
  const chunks: Buffer[] = []
  const stream = res as unknown as NodeJS.ReadableStream
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => done(null, Buffer.concat(chunks).toString()))
}

/** The statements that an act sends to the database, by name where they have one. */
async function recorded(act: () => Promise<unknown>): Promise<string[]> {
  const prototype = await onConnection(server.broker.db, (client) =>
    Promise.resolve(Object.getPrototypeOf(client)),
  )
  const query = prototype.query
  const seen: string[] = []
  prototype.query = function (...args: [string | { name?: string; text?: string }]) {
    const [first] = args
    seen.push(typeof first === 'string' ? first : (first.name ?? first.text ?? ''))
    return query.apply(this, args)
  }
  try {
    await act()
  } finally {
    prototype.query = query
  }
  return seen
}
