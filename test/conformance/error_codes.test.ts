import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { OAuthErrorCode } from '../../src/authorization/oauth_error.ts'
import type { Client, Recipient } from '../../src/storage/clients.ts'
import { makeCertificate, named } from '../../sandbox/certificates.ts'
import { newSigner } from '../support/jwt.ts'
import { openServerUnderTest, type Answer, type ServerUnderTest } from './server_under_test.ts'
import {
  description,
  openSuite,
  suiteClient,
  tokensOf,
  type Suite,
  type SuiteClient,
  type Tokens,
} from './suite.ts'
import { variants, type Variant } from './variants.ts'

const plain: Variant = variants['A'] as Variant

let server: ServerUnderTest
/** The suite with plain requests and answers, with signed requests, and with signed answers. */
let suite: Suite
let signed: Suite
let jarm: Suite
let tokens: Tokens
let own: Tokens

beforeAll(async () => {
  server = await openServerUnderTest()
  suite = await openSuite(server, plain)
  signed = await openSuite(server, { ...plain, fapi_request_method: 'signed_non_repudiation' })
  jarm = await openSuite(server, { ...plain, fapi_response_mode: 'jarm' })
  tokens = await suite.client.tokens()
  own = (await suite.client.token({ form: ownToken })).body as unknown as Tokens
})
afterAll(() => server.close())

const ownToken = { grant_type: 'client_credentials', scope: 'grant_management_query' }

/** A client of another kind than the suite's. */
async function other(change: Partial<Recipient> | { kind: 'bank'; bank: string }) {
  const id = `other-${randomBytes(6).toString('hex')}`
  const signer = newSigner('ES256')
  const registered = {
    ...{ id, kind: 'recipient', class: 'messaging_platform', pages: [`page.${id}`] },
    ...{ legalName: 'Other', lei: '7H6GLXDRUGQFU57RNE97', website: 'https://other.example' },
    ...{ contacts: ['privacy@other.example'], redirectUris: ['https://other.example/callback'] },
    ...{ authentication: { method: 'private_key_jwt' }, binding: 'dpop', signedRequests: false },
    ...('jwksUri' in change ? {} : { jwks: { keys: [{ ...signer.publicJwk, kid: 'one' }] } }),
    scopes: [],
    ...change,
  } as Client
  await server.register(registered)
  return suiteClient(server, plain, {
    ...{ id, kid: 'one', signer, redirectUri: 'https://other.example/callback' },
    certificate: makeCertificate({ subject: named(id) }),
    details: () => (suite.client.parameters()['authorization_details'] as object[])[0] ?? {},
    namesMediaType: false,
  })
}

const grantOf = ({ client }: Suite, id: string) => client.read(own, { path: `/oauth/grants/${id}` })

const revoke = async ({ client }: Suite, token: string) =>
  server.send({
    method: 'POST',
    path: '/oauth/revoke',
    form: {
      client_id: client.id,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: client.assertion(),
      token,
    },
  })

/** A JWT that we have signed, and that is no token. */
async function signedAnswerOf({ client }: Suite): Promise<string> {
  const ended = await client.authorize(await client.requestUri())
  return 'to' in ended ? (new URL(ended.to).searchParams.get('response') ?? '') : ''
}

/** Where an answer comes from, which decides its form: a JSON of OAuth's, or a problem with a challenge. */
type Channel = 'json' | 'problem'

type Provocation = readonly [
  what: string,
  channel: Channel,
  status: number,
  provoke: () => Promise<Answer>,
]

/** Each code that there is, with its ways to be told of it. The type has no code left out. */
const provocations: Readonly<Record<OAuthErrorCode, readonly Provocation[]>> = {
  invalid_request: [
    ['at PAR', 'json', 400, () => suite.client.push({ parameters: { redirect_uri: undefined } })],
    ['at the token endpoint', 'json', 400, () => suite.client.token({})],
    [
      'by a method that there is not',
      'json',
      405,
      () => server.send({ method: 'GET', path: '/oauth/par' }),
    ],
    [
      'by a body beyond measure',
      'json',
      413,
      () => suite.client.push({ beside: { x: 'y'.repeat(70_000) } }),
    ],
  ],
  invalid_client: [
    ['at PAR', 'json', 401, () => suite.client.push({ assertion: 'none' })],
    [
      'at the token endpoint',
      'json',
      401,
      () => suite.client.token({ form: ownToken, assertion: 'none' }),
    ],
    [
      'at revocation',
      'json',
      401,
      () => server.send({ method: 'POST', path: '/oauth/revoke', form: { token: 'x' } }),
    ],
  ],
  invalid_grant: [
    ['for a code', 'json', 400, () => suite.client.redeem('first-bank.x')],
    [
      'for a refresh token',
      'json',
      400,
      () => suite.client.refresh({ ...tokens, refresh_token: 'x' }),
    ],
  ],
  invalid_scope: [
    ['at PAR', 'json', 400, () => suite.client.push({ parameters: { scope: 'openid' } })],
    [
      'at the token endpoint',
      'json',
      400,
      () => suite.client.token({ form: { ...ownToken, scope: 'openid' } }),
    ],
    [
      'for a refresh token',
      'json',
      400,
      () => suite.client.refresh(tokens, { form: { scope: 'openid' } }),
    ],
  ],
  invalid_authorization_details: [
    [
      'at PAR',
      'json',
      400,
      () => suite.client.push({ parameters: { authorization_details: [{ type: 'other' }] } }),
    ],
    [
      'nested without bound',
      'json',
      400,
      () => suite.client.push({ parameters: { authorization_details: '['.repeat(4_000) } }),
    ],
    [
      'beyond measure',
      'json',
      400,
      () =>
        suite.client.push({
          parameters: { authorization_details: [{ type: 'x'.repeat(50_000) }] },
        }),
    ],
    [
      'at the token endpoint',
      'json',
      400,
      () => suite.client.token({ form: { ...ownToken, authorization_details: '[]' } }),
    ],
  ],
  invalid_dpop_proof: [
    ['at PAR', 'json', 400, () => suite.client.push({ proof: { claims: { htm: 'GET' } } })],
    [
      'at the token endpoint',
      'json',
      400,
      () => suite.client.token({ form: ownToken, proof: 'none' }),
    ],
    [
      'at the resource',
      'problem',
      401,
      () => suite.client.read(tokens, { proof: { claims: { ath: 'x' } } }),
    ],
  ],
  use_dpop_nonce: [
    [
      'at the token endpoint',
      'json',
      400,
      () => suite.client.token({ form: ownToken, proof: { claims: { nonce: 'x' } } }),
    ],
    [
      'at the resource',
      'problem',
      401,
      () => suite.client.read(tokens, { proof: { claims: { nonce: 'x' } } }),
    ],
  ],
  unauthorized_client: [
    ['at PAR', 'json', 400, async () => (await other({ kind: 'bank', bank: 'first-bank' })).push()],
    [
      'at the token endpoint',
      'json',
      400,
      async () => (await other({ kind: 'bank', bank: 'first-bank' })).redeem('first-bank.x'),
    ],
  ],
  access_denied: [
    [
      'to a recipient of a class that never receives',
      'json',
      400,
      async () => (await other({ class: 'advertising' })).push(),
    ],
  ],
  unsupported_grant_type: [
    [
      'at the token endpoint',
      'json',
      400,
      () => suite.client.token({ form: { grant_type: 'password' } }),
    ],
  ],
  unsupported_response_type: [
    ['at PAR', 'json', 400, () => suite.client.push({ parameters: { response_type: 'token' } })],
  ],
  unsupported_token_type: [
    ['at revocation', 'json', 400, async () => revoke(jarm, await signedAnswerOf(jarm))],
  ],
  invalid_request_object: [
    ['at PAR', 'json', 400, () => signed.client.push({ object: { claims: { exp: undefined } } })],
  ],
  invalid_token: [
    ['at the resource', 'problem', 401, () => suite.client.read({ ...tokens, access_token: 'x' })],
    [
      'at the grants',
      'json',
      401,
      () => suite.client.read({ ...own, access_token: 'x' }, { path: '/oauth/grants/x' }),
    ],
  ],
  insufficient_scope: [
    ['at the resource', 'problem', 403, () => suite.client.read(own)],
    ['at the grants', 'json', 403, () => suite.client.read(tokens, { path: '/oauth/grants/x' })],
  ],
  invalid_grant_id: [['at the grants', 'json', 404, () => grantOf(suite, 'first-bank.x')]],
  temporarily_unavailable: [
    [
      'while the keys of the client cannot be had',
      'json',
      503,
      async () => (await other({ jwksUri: 'https://keys.example/jwks' })).push(),
    ],
  ],
  server_error: [
    [
      'at PAR',
      'json',
      500,
      () =>
        server.whileFailing(() =>
          server.send({ method: 'POST', path: '/oauth/par', form: anAssertion() }),
        ),
    ],
    [
      'at the token endpoint',
      'json',
      500,
      () =>
        server.whileFailing(() =>
          server.send({ method: 'POST', path: '/oauth/token', form: anAssertion() }),
        ),
    ],
  ],
}

let assertions: string[] = []
beforeAll(() => {
  assertions = Array.from({ length: 4 }, () => suite.client.assertion())
})
const anAssertion = () => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: assertions.pop() ?? '',
})

const nothingInside = /<|secret of the inside|node_modules|\.ts:|Error:/

describe.each(Object.entries(provocations))('%s', (code, ways) => {
  it.each(ways)('is told %s, in %s, with %i', async (_, channel, status, provoke) => {
    const answer = await provoke()
    const { headers, body = {}, text } = answer
    expect({ status: answer.status, code: body[channel === 'json' ? 'error' : 'code'] }).toEqual({
      status,
      code,
    })
    const type = channel === 'json' ? 'application/json' : 'application/problem+json'
    expect(headers['content-type']).toContain(type)
    expect(text).not.toMatch(nothingInside)
    if (channel === 'json') expect(body['error_description']).toMatch(description)
    if (status === 401 && code !== 'invalid_client')
      expect(headers['www-authenticate']).toContain(`error="${code}"`)
    if (code === 'use_dpop_nonce') expect(headers['dpop-nonce']).toEqual(expect.any(String))
    if (status === 405) expect(headers['allow']).toBe('POST')
  })
})

describe('at the authorization endpoint', () => {
  it('what the customer decides goes back to the client, in a redirect', async () => {
    for (const decide of ['cancel', 'cancel_at_bank', 'decline'] as const) {
      const { client } = suite
      const ended = await client.authorize(await client.requestUri(), { decide })
      expect(ended).toMatchObject({ answer: { error: 'access_denied' } })
    }
  })

  it('what fails inside is a page without a word of it', async () => {
    const requestUri = await suite.client.requestUri()
    const { status, text, location } = await server.whileFailing(() =>
      suite.client.open(requestUri),
    )
    expect({ status, location }).toEqual({ status: 500, location: '' })
    expect(text).toContain('Something went wrong')
    expect(text).not.toMatch(/secret of the inside|node_modules|\.ts:|TypeError/)
  })
})

it('no line of the log holds a token, a code, an assertion, a proof, a reference or a name', async () => {
  const client: SuiteClient = suite.client
  const requestUri = await client.requestUri()
  const ended = await client.authorize(requestUri)
  const code = 'answer' in ended ? (ended.answer['code'] ?? '') : ''
  const given = tokensOf(await client.redeem(code))
  await client.read(given)
  expect(server.log.length).toBeGreaterThan(40)
  const log = server.log.join('\n')
  for (const secret of [requestUri, code, given.access_token, given.refresh_token, 'Suite User'])
    expect(log).not.toContain(secret)
  expect(log).not.toMatch(/eyJ|x{20}|code_verifier/)
})
