import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { newSigner, sha256, signingBy, thumbprintOf } from '../support/jwt.ts'
import type { Visit } from '../support/page_browser.ts'
import { differences } from './differences.ts'
import { openOidcProvider, type OidcProvider } from './oidc_provider.ts'
import { openServerUnderTest, type Answer, type ServerUnderTest } from './server_under_test.ts'
import {
  openSuite,
  scope,
  tokensOf,
  type Asking,
  type Peer,
  type Pushing,
  type Suite,
} from './suite.ts'
import type { Variant } from './variants.ts'

const unsigned: Variant = {
  client_auth_type: 'private_key_jwt',
  sender_constrain: 'dpop',
  fapi_request_method: 'unsigned',
  fapi_response_mode: 'plain_response',
}
const signed: Variant = { ...unsigned, fapi_request_method: 'signed_non_repudiation' }
const jarm: Variant = { ...unsigned, fapi_response_mode: 'jarm' }

let ours: ServerUnderTest
let theirs: OidcProvider

beforeAll(async () => {
  ours = await openServerUnderTest()
  theirs = await openOidcProvider()
})
afterAll(async () => {
  await ours.close()
  await theirs.close()
})

type Case = (suite: Suite<Peer>) => Promise<string>

/** What a client is told, as far as a protocol goes: the status, and the error code. */
const told = ({ status, body }: Answer): string => {
  const error = body?.['error']
  return typeof error === 'string' ? `${status} ${error}` : String(status)
}

/** Where a browser stands: before a page, or back at the client with an answer. */
function landed({ status, location }: Visit): string {
  if (location === '') return `page ${status}`
  const answer = new URL(location).searchParams
  return `to the client: ${answer.get('error') ?? 'a code'}`
}

const seconds = ({ server }: Suite<Peer>) => Math.floor(server.now() / 1000)

/** One member of the metadata, as JSON. */
const metadata =
  (member: string): Case =>
  async ({ server }) => {
    const path = '/.well-known/oauth-authorization-server'
    const { body } = await server.send({ method: 'GET', path })
    const value = body?.[member]
    const names = Array.isArray(value) ? value.map(String) : undefined
    return JSON.stringify(names?.toSorted((a, b) => a.localeCompare(b)) ?? value) ?? 'absent'
  }

const push =
  (pushing: Pushing | ((suite: Suite<Peer>) => Pushing)): Case =>
  async (suite) =>
    told(await suite.client.push(typeof pushing === 'function' ? pushing(suite) : pushing))

const ownToken = { grant_type: 'client_credentials', scope: 'grant_management_query' }

/** A token of the client's own, asked for in some way. */
const own =
  (asking: Asking | ((suite: Suite<Peer>) => Asking)): Case =>
  async (suite) => {
    const { form = {}, ...how } = typeof asking === 'function' ? asking(suite) : asking
    return told(await suite.client.token({ ...how, form: { ...ownToken, ...form } }))
  }

/** A good code, redeemed in some way. */
const redeem =
  (asking: Asking | ((suite: Suite<Peer>) => Asking), pushing: Pushing = {}): Case =>
  async (suite) => {
    const code = await suite.client.code(pushing)
    const how = typeof asking === 'function' ? asking(suite) : asking
    return told(await suite.client.redeem(code, how))
  }

/** A good refresh token, used in some way. */
const refresh =
  (asking: Asking): Case =>
  async ({ client }) =>
    told(await client.refresh(await client.tokens(), asking))

const raw =
  (method: string, path: string, headers: Record<string, string> = {}): Case =>
  async ({ server }) =>
    told(await server.send({ method, path, headers }))

const unsignedCases: Readonly<Record<string, Case>> = {
  'metadata: response_types_supported': metadata('response_types_supported'),
  'metadata: response_modes_supported': metadata('response_modes_supported'),
  'metadata: grant_types_supported': metadata('grant_types_supported'),
  'metadata: code_challenge_methods_supported': metadata('code_challenge_methods_supported'),
  'metadata: require_pushed_authorization_requests': metadata(
    'require_pushed_authorization_requests',
  ),
  'metadata: authorization_response_iss_parameter_supported': metadata(
    'authorization_response_iss_parameter_supported',
  ),
  'metadata: authorization_details_types_supported': metadata(
    'authorization_details_types_supported',
  ),
  'metadata: token_endpoint_auth_signing_alg_values_supported': metadata(
    'token_endpoint_auth_signing_alg_values_supported',
  ),
  'metadata: dpop_signing_alg_values_supported': metadata('dpop_signing_alg_values_supported'),
  'metadata: request_object_signing_alg_values_supported': metadata(
    'request_object_signing_alg_values_supported',
  ),
  'metadata: authorization_signing_alg_values_supported': metadata(
    'authorization_signing_alg_values_supported',
  ),

  'PAR: all is right': push({}),
  'PAR: without state': push({ parameters: { state: undefined } }),
  'PAR: without scope': push({ parameters: { scope: undefined } }),
  'PAR: a scope too few': push({ parameters: { scope: 'fdx:accountbasic:read' } }),
  'PAR: an unknown scope': push({ parameters: { scope: `${scope} other` } }),
  'PAR: without response_type': push({ parameters: { response_type: undefined } }),
  'PAR: response_type token': push({ parameters: { response_type: 'token' } }),
  'PAR: response_type code id_token': push({ parameters: { response_type: 'code id_token' } }),
  'PAR: response_mode fragment': push({ parameters: { response_mode: 'fragment' } }),
  'PAR: response_mode unknown': push({ parameters: { response_mode: 'other' } }),
  'PAR: without redirect_uri': push({ parameters: { redirect_uri: undefined } }),
  'PAR: an unregistered redirect_uri': push({
    parameters: { redirect_uri: 'https://suite.example/other' },
  }),
  'PAR: without code_challenge': push({ parameters: { code_challenge: undefined } }),
  'PAR: without code_challenge_method': push({ parameters: { code_challenge_method: undefined } }),
  'PAR: code_challenge_method plain': push({ parameters: { code_challenge_method: 'plain' } }),
  'PAR: a code_challenge too short': push({ parameters: { code_challenge: 'c'.repeat(42) } }),
  'PAR: a nonce of 65 characters': push({ parameters: { nonce: 'n'.repeat(65) } }),
  'PAR: with request_uri': push({
    beside: { request_uri: 'urn:ietf:params:oauth:request_uri:other' },
  }),
  'PAR: an unknown parameter': push({ beside: { unknown: 'x' } }),
  'PAR: a parameter without a value': push({ beside: { login_hint: '' } }),
  'PAR: without authorization_details': push({ parameters: { authorization_details: undefined } }),
  'PAR: authorization_details that are no JSON': push({
    parameters: { authorization_details: '[{' },
  }),
  'PAR: authorization_details that are no list': push({
    parameters: { authorization_details: {} },
  }),
  'PAR: authorization_details of an unknown type': push({
    parameters: { authorization_details: [{ type: 'other' }] },
  }),
  'PAR: authorization_details without type': push({
    parameters: { authorization_details: [{ bank: 'first-bank' }] },
  }),
  'PAR: authorization_details with a wrong member': push({
    parameters: { authorization_details: [{ type: 'fdx_v1.0', bank: 7 }] },
  }),
  'PAR: PUT': raw('PUT', '/oauth/par'),
  'PAR: GET': raw('GET', '/oauth/par'),
  'PAR: a body of JSON': raw('POST', '/oauth/par', { 'content-type': 'application/json' }),

  'assertion: none': push({ assertion: 'none' }),
  'assertion: aud is a list of the issuer': push(({ server }) => ({
    assertion: { claims: { aud: [server.issuer] } },
  })),
  'assertion: aud is the PAR endpoint': push(({ server }) => ({
    assertion: { claims: { aud: `${server.issuer}/oauth/par` } },
  })),
  'assertion: aud is the token endpoint': push(({ server }) => ({
    assertion: { claims: { aud: `${server.issuer}/oauth/token` } },
  })),
  'assertion: aud is another server': push({
    assertion: { claims: { aud: 'https://other.example' } },
  }),
  'assertion: without sub': push({ assertion: { claims: { sub: undefined } } }),
  'assertion: without iss': push({ assertion: { claims: { iss: undefined } } }),
  'assertion: without jti': push({ assertion: { claims: { jti: undefined } } }),
  'assertion: without exp': push({ assertion: { claims: { exp: undefined } } }),
  'assertion: without iat': push({ assertion: { claims: { iat: undefined } } }),
  'assertion: expired': push((suite) => ({
    assertion: { claims: { exp: seconds(suite) - 300 } },
  })),
  'assertion: good for an hour': push((suite) => ({
    assertion: { claims: { exp: seconds(suite) + 3_600 } },
  })),
  'assertion: nbf 8 s ahead': push((suite) => ({
    assertion: { claims: { nbf: seconds(suite) + 8 } },
  })),
  'assertion: nbf 65 s ahead': push((suite) => ({
    assertion: { claims: { nbf: seconds(suite) + 65 } },
  })),
  'assertion: iat 65 s ahead': push((suite) => ({
    assertion: { claims: { iat: seconds(suite) + 65 } },
  })),
  'assertion: RS256': push(({ client }) => ({
    assertion: { signer: signingBy(client.signer, 'RS256') },
  })),
  'assertion: none as alg': push({ assertion: { signer: newSigner('none') } }),
  'assertion: by another key': push({ assertion: { signer: newSigner('PS256') } }),
  'assertion: without kid': push({ assertion: { header: { kid: undefined } } }),
  'assertion: typ of a proof': push({ assertion: { header: { typ: 'dpop+jwt' } } }),
  'assertion: crit': push({ assertion: { header: { crit: ['exp'] } } }),
  'assertion: of an unknown client': push({
    client_id: 'unknown',
    assertion: { claims: { iss: 'unknown', sub: 'unknown' } },
  }),
  'assertion: client_id of another': push(({ client2 }) => ({ client_id: client2.id })),
  'assertion: used twice': async ({ client }) => {
    const assertion = { claims: { jti: 'used twice' } }
    await client.push({ assertion })
    return told(await client.push({ assertion }))
  },

  'proof: all is right': own({}),
  'proof: none': own({ proof: 'none' }),
  'proof: typ missing': own({ proof: { header: { typ: undefined } } }),
  'proof: RS256': own({ proof: { signer: newSigner('RS256') } }),
  'proof: none as alg': own({ proof: { signer: newSigner('none') } }),
  'proof: with a private key': own(({ client }) => ({
    proof: { header: { jwk: client.prover.privateJwk } },
  })),
  'proof: another htm': own({ proof: { claims: { htm: 'GET' } } }),
  'proof: another htu': own({ proof: { claims: { htu: 'https://other.example/oauth/token' } } }),
  'proof: htu with a query': own(({ server }) => ({
    proof: { claims: { htu: `${server.issuer}/oauth/token?a=b` } },
  })),
  'proof: without jti': own({ proof: { claims: { jti: undefined } } }),
  'proof: without iat': own({ proof: { claims: { iat: undefined } } }),
  'proof: iat 8 s ahead': own((suite) => ({ proof: { claims: { iat: seconds(suite) + 8 } } })),
  'proof: iat an hour ahead': own((suite) => ({
    proof: { claims: { iat: seconds(suite) + 3_600 } },
  })),
  'proof: iat an hour ago': own((suite) => ({
    proof: { claims: { iat: seconds(suite) - 3_600 } },
  })),
  'proof: nonce of nobody': own({ proof: { claims: { nonce: 'of nobody' } } }),
  'proof: used twice': async ({ client }) => {
    await client.token({ form: ownToken })
    const proof = { claims: { jti: 'used twice' } }
    await client.token({ form: ownToken, proof })
    return told(await client.token({ form: ownToken, proof }))
  },
  'proof: at PAR, dpop_jkt of another key': push({
    parameters: { dpop_jkt: sha256('another') },
    proof: {},
  }),
  'proof: at PAR, dpop_jkt of its key': push(({ client }) => ({
    parameters: { dpop_jkt: thumbprintOf(client.prover) },
    proof: {},
  })),

  'client_credentials: without scope': own({ form: { scope: undefined } }),
  'client_credentials: an unknown scope': own({ form: { scope: 'other' } }),
  'token: without grant_type': own({ form: { grant_type: undefined } }),
  'token: grant_type password': own({ form: { grant_type: 'password' } }),
  'token: grant_type implicit': own({ form: { grant_type: 'implicit' } }),
  'token: GET': raw('GET', '/oauth/token'),

  'code: all is right': redeem({}),
  'code: without code': redeem({ form: { code: undefined } }),
  'code: an unknown code': redeem({ form: { code: `first-bank.${'x'.repeat(43)}` } }),
  'code: without code_verifier': redeem({ form: { code_verifier: undefined } }),
  'code: another code_verifier': redeem({ form: { code_verifier: 'w'.repeat(43) } }),
  'code: a code_verifier too short': redeem({ form: { code_verifier: 'w'.repeat(42) } }),
  'code: without redirect_uri': redeem({ form: { redirect_uri: undefined } }),
  'code: another redirect_uri': redeem({ form: { redirect_uri: 'https://suite.example/other' } }),
  'code: bound to another key by dpop_jkt': redeem(
    {},
    { parameters: { dpop_jkt: sha256('another') } },
  ),
  'code: bound to another key by a proof': redeem({}, { proof: { signer: newSigner('ES256') } }),
  'code: bound to its key by a proof': redeem({}, { proof: {} }),
  'code: by another client': async ({ client, client2 }) => {
    const form = { redirect_uri: client.redirectUri, code_verifier: client.codeVerifier }
    return told(await client2.redeem(await client.code(), { form }))
  },
  'code: used twice': async ({ client }) => {
    const code = await client.code()
    tokensOf(await client.redeem(code))
    return told(await client.redeem(code))
  },
  'code: a second time, its refresh token': async ({ client }) => {
    const code = await client.code()
    const tokens = tokensOf(await client.redeem(code))
    await client.redeem(code)
    return told(await client.refresh(tokens))
  },
  'code: its token_type': async ({ client }) => (await client.tokens()).token_type,

  'refresh: all is right': refresh({}),
  'refresh: without scope': refresh({ form: { scope: undefined } }),
  'refresh: a scope too few': refresh({ form: { scope: 'fdx:accountbasic:read' } }),
  'refresh: a scope too many': refresh({ form: { scope: `${scope} grant_management_query` } }),
  'refresh: an unknown token': refresh({ form: { refresh_token: `first-bank.${'x'.repeat(43)}` } }),
  'refresh: without a token': refresh({ form: { refresh_token: undefined } }),
  'refresh: without a proof': refresh({ proof: 'none' }),
  'refresh: with another key': refresh({ proof: { signer: newSigner('ES256') } }),
  'refresh: by another client': async ({ client, client2 }) =>
    told(await client2.refresh(await client.tokens())),
  'refresh: again with the same token': async ({ client }) => {
    const tokens = await client.tokens()
    await client.refresh(tokens)
    return told(await client.refresh(tokens))
  },

  'authorize: without PAR': async ({ client }) =>
    landed(await client.open('', { query: { request_uri: undefined } })),
  'authorize: an unknown request_uri': async ({ client }) =>
    landed(await client.open('urn:ietf:params:oauth:request_uri:unknown')),
  'authorize: request_uri of another client': async ({ client, client2 }) =>
    landed(await client2.open(await client.requestUri())),
  'authorize: request_uri after its decision': async ({ client }) => {
    const requestUri = await client.requestUri()
    await client.authorize(requestUri)
    return landed(await client.open(requestUri))
  },
}

const signedCases: Readonly<Record<string, Case>> = {
  'request object: all is right': push({}),
  'request object: none': push({ object: 'none' }),
  'request object: redeemed': redeem({}),
  'request object: RS256': push(({ client }) => ({
    object: { signer: signingBy(client.signer, 'RS256') },
  })),
  'request object: none as alg': push({ object: { signer: newSigner('none') } }),
  'request object: by another key': push({ object: { signer: newSigner('PS256') } }),
  'request object: aud of another server': push({
    object: { claims: { aud: 'https://other.example' } },
  }),
  'request object: aud in a list': push(({ server }) => ({
    object: { claims: { aud: ['https://other.example', server.issuer] } },
  })),
  'request object: without aud': push({ object: { claims: { aud: undefined } } }),
  'request object: without iss': push({ object: { claims: { iss: undefined } } }),
  'request object: without exp': push({ object: { claims: { exp: undefined } } }),
  'request object: without nbf': push({ object: { claims: { nbf: undefined } } }),
  'request object: expired': push((suite) => ({
    object: { claims: { nbf: seconds(suite) - 600, exp: seconds(suite) - 300 } },
  })),
  'request object: exp 70 minutes after nbf': push((suite) => ({
    object: { claims: { exp: seconds(suite) + 4_200 } },
  })),
  'request object: nbf 70 minutes ago': push((suite) => ({
    object: { claims: { nbf: seconds(suite) - 4_200 } },
  })),
  'request object: nbf 8 s ahead': push((suite) => ({
    object: { claims: { nbf: seconds(suite) + 8 } },
  })),
  'request object: nbf 65 s ahead': push((suite) => ({
    object: { claims: { nbf: seconds(suite) + 65 } },
  })),
  'request object: client_id of another': push(({ client2 }) => ({
    object: { claims: { client_id: client2.id } },
  })),
  'request object: with request_uri': push({
    object: { claims: { request_uri: 'urn:ietf:params:oauth:request_uri:other' } },
  }),
  'request object: with a request object': push({ object: { claims: { request: 'e30.e30.' } } }),
  'request object: typ of a proof': push({ object: { header: { typ: 'dpop+jwt' } } }),
  'request object: response_type token': push({ parameters: { response_type: 'token' } }),
  'request object: without code_challenge': push({ parameters: { code_challenge: undefined } }),
  'request object: other parameters beside it': push({ beside: { response_type: 'token' } }),
  'request object: that is none': push({ object: { text: () => 'none' } }),
  'request object: pushed twice': async ({ client }) => {
    const once = { claims: { jti: 'pushed twice' } }
    await client.push({ object: once })
    return told(await client.push({ object: once }))
  },
}

const jarmCases: Readonly<Record<string, Case>> = {
  'JARM: redeemed': redeem({}),
  'JARM: response_mode query.jwt': redeem({}, { parameters: { response_mode: 'query.jwt' } }),
  'JARM: response_mode fragment.jwt': push({ parameters: { response_mode: 'fragment.jwt' } }),
  'JARM: response_mode form_post.jwt': push({ parameters: { response_mode: 'form_post.jwt' } }),
}

const all: readonly [Variant, Readonly<Record<string, Case>>][] = [
  [unsigned, unsignedCases],
  [signed, signedCases],
  [jarm, jarmCases],
]

describe('what ours and oidc-provider say to the same', () => {
  it.each(
    all.flatMap(([variant, cases]) =>
      Object.entries(cases).map(([name, one]) => [name, variant, one] as const),
    ),
  )('%s', async (name, variant, one) => {
    const outcomes = {
      ours: await one(await openSuite(ours, variant)),
      theirs: await one(await openSuite(theirs, variant)),
    }
    const explained = differences[name]
    if (outcomes.ours === outcomes.theirs) expect(explained).toBeUndefined()
    else expect(explained).toEqual({ ...outcomes, why: expect.any(String) })
  })

  it('differs in nothing that is not asked here', () => {
    const asked = all.flatMap(([, cases]) => Object.keys(cases))
    expect(Object.keys(differences).filter((name) => !asked.includes(name))).toEqual([])
  })
})
