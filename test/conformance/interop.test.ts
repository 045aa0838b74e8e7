import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import { openServerUnderTest, type ServerUnderTest } from './server_under_test.ts'
import { openSuite, type SuiteClient } from './suite.ts'
import { variants, type Variant } from './variants.ts'

let server: ServerUnderTest

beforeAll(async () => {
  server = await openServerUnderTest()
})
afterAll(() => server.close())

interface Init {
  readonly method?: string
  readonly headers?: HeadersInit
  readonly body?: unknown
}

/** Takes the place of the network: our two addresses lead to this process, one of them with the client's certificate. */
const fetchAs =
  ({ certificate }: SuiteClient) =>
  async (address: string, { method = 'GET', headers, body }: Init): Promise<Response> => {
    const { origin, pathname, search } = new URL(address)
    const answer = await server.send({
      ...{ method, path: pathname + search, headers: Object.fromEntries(new Headers(headers)) },
      ...(body instanceof URLSearchParams ? { form: Object.fromEntries(body) } : {}),
      ...(origin === server.mtlsOrigin ? { certificate } : {}),
    })
    const given = Object.entries(answer.headers).map(([name, value]): [string, string] => [
      name,
      String(value),
    ])
    const empty = answer.status === 204
    return new Response(empty ? null : answer.text, { status: answer.status, headers: given })
  }

const signingKey = ({ signer }: SuiteClient): Promise<CryptoKey> =>
  crypto.subtle.importKey('jwk', signer.privateJwk, { name: 'RSA-PSS', hash: 'SHA-256' }, false, [
    'sign',
  ])

const details = (client: SuiteClient) =>
  JSON.stringify(client.parameters()['authorization_details'])

/** Where the browser comes back to, when the customer approves. */
async function approve(client: SuiteClient, requestUri: string): Promise<URL> {
  const ended = await client.authorize(requestUri)
  if (!('to' in ended)) throw new Error('the browser did not come back')
  return new URL(ended.to)
}

const certified = ({ client_auth_type, sender_constrain }: Variant) =>
  client_auth_type === 'mtls' || sender_constrain === 'mtls'

describe.each(Object.entries(variants))('in variant %s', (_, variant) => {
  const byProof = variant.sender_constrain === 'dpop'
  const isSigned = variant.fapi_request_method === 'signed_non_repudiation'
  const jarm = variant.fapi_response_mode === 'jarm'

  it('openid-client asks, redeems, refreshes and reads', async () => {
    const { client } = await openSuite(server, variant)
    const key = { key: await signingKey(client), kid: 'one' }
    const config = await oidc.discovery(
      new URL(server.issuer),
      client.id,
      { use_mtls_endpoint_aliases: certified(variant) },
      variant.client_auth_type === 'mtls' ? oidc.TlsClientAuth() : oidc.PrivateKeyJwt(key),
      { [oidc.customFetch]: fetchAs(client), algorithm: 'oauth2' },
    )
    if (jarm) oidc.useJwtResponseMode(config)
    const options = byProof
      ? { DPoP: oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256')) }
      : {}
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
    const expectedState = oidc.randomState()
    const parameters = {
      redirect_uri: client.redirectUri,
      state: expectedState,
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      authorization_details: details(client),
    }
    const object = isSigned
      ? (await oidc.buildAuthorizationUrlWithJAR(config, parameters, key)).searchParams
      : parameters
    const url = await oidc.buildAuthorizationUrlWithPAR(config, object, options)
    const back = await approve(client, url.searchParams.get('request_uri') ?? '')
    const tokens = await oidc.authorizationCodeGrant(
      config,
      back,
      { pkceCodeVerifier, expectedState },
      undefined,
      options,
    )
    const again = await oidc.refreshTokenGrant(
      config,
      tokens.refresh_token ?? '',
      undefined,
      options,
    )
    const at = byProof ? server.issuer : server.mtlsOrigin
    for (const { access_token } of [tokens, again]) {
      const read = await oidc.fetchProtectedResource(
        config,
        access_token,
        new URL(`${at}/fdx/v6/accounts`),
        'GET',
        undefined,
        undefined,
        options,
      )
      expect(read.status).toBe(200)
    }
  })

  it('oauth4webapi does the same, step by step', async () => {
    const suite = await openSuite(server, variant)
    const options = { [oauth.customFetch]: fetchAs(suite.client) }
    const issuer = new URL(server.issuer)
    const as = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }),
    )
    const client: oauth.Client = {
      client_id: suite.client.id,
      use_mtls_endpoint_aliases: certified(variant),
    }
    const key = { key: await signingKey(suite.client), kid: 'one' }
    const auth =
      variant.client_auth_type === 'mtls' ? oauth.TlsClientAuth() : oauth.PrivateKeyJwt(key)
    const bound = byProof
      ? { ...options, DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')) }
      : options
    /** As the library tells its users to: again, once, when the server asked for a nonce. */
    const withNonce = async <T>(attempt: () => Promise<T>): Promise<T> => {
      try {
        return await attempt()
      } catch (error) {
        if (!oauth.isDPoPNonceError(error)) throw error
        return attempt()
      }
    }
    const verifier = oauth.generateRandomCodeVerifier()
    const parameters = {
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: suite.client.redirectUri,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      authorization_details: details(suite.client),
      ...(jarm ? { response_mode: 'jwt' } : {}),
    }
    const pushed = await withNonce(async () =>
      oauth.processPushedAuthorizationResponse(
        as,
        client,
        await oauth.pushedAuthorizationRequest(
          as,
          client,
          auth,
          isSigned
            ? { request: await oauth.issueRequestObject(as, client, parameters, key) }
            : parameters,
          bound,
        ),
      ),
    )
    const back = await approve(suite.client, pushed.request_uri)
    const validated = jarm
      ? await oauth.validateJwtAuthResponse(as, client, back, oauth.expectNoState, options)
      : oauth.validateAuthResponse(as, client, back, oauth.expectNoState)
    const tokens = await withNonce(async () =>
      oauth.processAuthorizationCodeResponse(
        as,
        client,
        await oauth.authorizationCodeGrantRequest(
          as,
          client,
          auth,
          validated,
          suite.client.redirectUri,
          verifier,
          bound,
        ),
      ),
    )
    expect(tokens.token_type).toBe(byProof ? 'dpop' : 'bearer')
    const read = await withNonce(() =>
      oauth.protectedResourceRequest(
        tokens.access_token,
        'GET',
        new URL(`${byProof ? server.issuer : server.mtlsOrigin}/fdx/v6/accounts`),
        undefined,
        undefined,
        bound,
      ),
    )
    expect(read.status).toBe(200)
  })
})
