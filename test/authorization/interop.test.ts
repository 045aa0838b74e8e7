import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import {
  authorizationResponse,
  type Outcome,
} from '../../src/authorization/authorization_response.ts'
import { issueCode } from '../../src/authorization/code.ts'
import { findPushedRequest } from '../../src/storage/pushed_requests.ts'
import {
  authorizationApp,
  redirectUri,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'

let server: AuthorizationApp
let recipient: TestClient
let listening: Server
let origin: string

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client({ scopes: ['grant_management_query'] })
  listening = server.app.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  origin = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
})
afterAll(async () => {
  listening.close()
  listening.closeAllConnections()
  await server.close()
})

/** Takes the place of the network between the issuer's name and this process. */
const toServer = (url: string, init: object) =>
  fetch(url.replace(server.broker.issuer, origin), init)

/** What the pages do, with a customer who approves. */
async function approve(requestUri: string): Promise<{ code: string; consentId: string }> {
  const { db, vault } = server.broker
  const pushed = await findPushedRequest(db, vault, { clientId: recipient.id, requestUri })
  if (pushed === undefined) throw new Error('nothing was pushed')
  const consentId = await server.grant(pushed)
  return { code: await issueCode(server.broker, pushed, consentId), consentId }
}

const privateKey = () =>
  crypto.subtle.importKey(
    'jwk',
    recipient.signer.privateJwk,
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  )

const details = () => JSON.stringify([recipient.details()])

it('openid-client pushes a request, redeems its code, refreshes, and calls with what it got', async () => {
  const options = { [oidc.customFetch]: toServer, algorithm: 'oauth2' as const }
  const key = { key: await privateKey(), kid: 'one' }
  const config = await oidc.discovery(
    new URL(server.broker.issuer),
    recipient.id,
    { use_mtls_endpoint_aliases: false },
    oidc.PrivateKeyJwt(key),
    options,
  )
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const url = await oidc.buildAuthorizationUrlWithPAR(
    config,
    {
      redirect_uri: redirectUri,
      state: expectedState,
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      authorization_details: details(),
    },
    { DPoP },
  )
  const { code, consentId } = await approve(url.searchParams.get('request_uri') ?? '')
  const answer = new URL(redirectUri)
  answer.search = new URLSearchParams({
    code,
    state: expectedState,
    iss: server.broker.issuer,
  }).toString()
  const tokens = await oidc.authorizationCodeGrant(
    config,
    answer,
    { pkceCodeVerifier, expectedState },
    undefined,
    { DPoP },
  )
  expect(tokens['grant_id']).toBe(consentId)
  expect(tokens['fdxConsentId']).toBe(consentId)
  const again = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, {
    DPoP,
  })
  const probe = new URL(`${server.broker.issuer}/fdx/v6/probe?a=b`)
  for (const { access_token } of [tokens, again]) {
    const called = await oidc.fetchProtectedResource(
      config,
      access_token,
      probe,
      'GET',
      undefined,
      undefined,
      { DPoP },
    )
    expect(await called.json()).toMatchObject({ clientId: recipient.id, consentId })
  }
  const own = await oidc.clientCredentialsGrant(
    config,
    { scope: 'grant_management_query' },
    { DPoP },
  )
  expect(own.scope).toBe('grant_management_query')
  for (const token of [again.access_token, tokens.refresh_token ?? '', own.access_token]) {
    expect(await oidc.tokenIntrospection(config, token)).toMatchObject({
      active: true,
      client_id: recipient.id,
    })
    await oidc.tokenRevocation(config, token)
    expect(await oidc.tokenIntrospection(config, token)).toEqual({ active: false })
  }
})

it('oauth4webapi does the same, step by step', async () => {
  const { broker } = server
  const options = { [oauth.customFetch]: toServer }
  const issuer = new URL(broker.issuer)
  const as = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }),
  )
  const client: oauth.Client = { client_id: recipient.id }
  const auth = oauth.PrivateKeyJwt({ key: await privateKey(), kid: 'one' })
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const verifier = oauth.generateRandomCodeVerifier()
  const parameters = {
    response_type: 'code',
    redirect_uri: redirectUri,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    authorization_details: details(),
  }
  /** As the library tells its users to: again, once, when the server asked for a nonce. */
  const withNonce = async <T>(attempt: () => Promise<T>): Promise<T> => {
    try {
      return await attempt()
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error
      return attempt()
    }
  }
  const pushed = await withNonce(async () =>
    oauth.processPushedAuthorizationResponse(
      as,
      client,
      await oauth.pushedAuthorizationRequest(as, client, auth, parameters, { ...options, DPoP }),
    ),
  )
  const { code, consentId } = await approve(pushed.request_uri)
  const answer = new URLSearchParams({ code, iss: broker.issuer })
  const validated = oauth.validateAuthResponse(as, client, answer, oauth.expectNoState)
  const tokens = await withNonce(async () =>
    oauth.processAuthorizationCodeResponse(
      as,
      client,
      await oauth.authorizationCodeGrantRequest(
        as,
        client,
        auth,
        validated,
        redirectUri,
        verifier,
        { ...options, DPoP },
      ),
    ),
  )
  expect(tokens.token_type).toBe('dpop')
  const again = await withNonce(async () =>
    oauth.processRefreshTokenResponse(
      as,
      client,
      await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token ?? '', {
        ...options,
        DPoP,
      }),
    ),
  )
  const called = await withNonce(() =>
    oauth.protectedResourceRequest(
      again.access_token,
      'GET',
      new URL(`${broker.issuer}/fdx/v6/probe`),
      undefined,
      undefined,
      { ...options, DPoP },
    ),
  )
  expect(await called.json()).toMatchObject({ clientId: recipient.id, consentId })
  const introspect = async (token: string, requestJwtResponse: boolean) => {
    const introspected = await oauth.introspectionRequest(as, client, auth, token, {
      ...options,
      requestJwtResponse,
    })
    const answered = await oauth.processIntrospectionResponse(
      as,
      { ...client, introspection_signed_response_alg: 'ES256' },
      introspected,
    )
    if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, introspected, options)
    return answered
  }
  for (const token of [again.access_token, tokens.refresh_token ?? '']) {
    const plain = await introspect(token, false)
    expect(plain).toMatchObject({ active: true, client_id: recipient.id, grant_id: consentId })
    expect(await introspect(token, true)).toEqual(plain)
    const ended = await oauth.revocationRequest(as, client, auth, token, options)
    await oauth.processRevocationResponse(ended)
    expect(await introspect(token, true)).toEqual({ active: false })
  }
})

it('oauth4webapi signs a request, and takes the signed answer', async () => {
  const { broker, authorization } = server
  const options = { [oauth.customFetch]: toServer }
  const issuer = new URL(broker.issuer)
  const as = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' }),
  )
  const client: oauth.Client = { client_id: recipient.id }
  const key = { key: await privateKey(), kid: 'one' }
  const state = oauth.generateRandomState()
  const asked = {
    ...{ response_type: 'code', response_mode: 'jwt', redirect_uri: redirectUri, state },
    code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
    code_challenge_method: 'S256',
    authorization_details: details(),
  }
  const request = await oauth.issueRequestObject(as, client, asked, key)
  const pushed = await oauth.processPushedAuthorizationResponse(
    as,
    client,
    await oauth.pushedAuthorizationRequest(
      as,
      client,
      oauth.PrivateKeyJwt(key),
      { request },
      options,
    ),
  )
  const named = { clientId: recipient.id, requestUri: pushed.request_uri }
  const found = await findPushedRequest(broker.db, broker.vault, named)
  if (found === undefined) throw new Error('nothing was pushed')
  const answer = (outcome: Outcome) =>
    new URL(authorizationResponse(authorization, found, { outcome, now: broker.now() }))
  const validated = await oauth.validateJwtAuthResponse(
    as,
    client,
    answer({ code: 'a-code' }),
    state,
    options,
  )
  expect(validated.get('code')).toBe('a-code')
  const declined = answer({ error: 'access_denied' })
  await expect(
    oauth.validateJwtAuthResponse(as, client, declined, state, options),
  ).rejects.toMatchObject({ error: 'access_denied' })
})
