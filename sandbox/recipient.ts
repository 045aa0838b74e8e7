import { importJWK, type JWK } from 'jose'
import * as oidc from 'openid-client'
import type { Cluster } from '../src/consent/cluster.ts'
import type { Delivery } from '../src/consent/terms.ts'

/** What a recipient asks a customer for. */
export interface Wish {
  readonly bank: string
  readonly clusters: readonly Cluster[]
  readonly purpose: string
  readonly delivery: Delivery
  readonly profile: {
    readonly page_id: string
    readonly psid: string
    readonly display_name: string
  }
  readonly oneTime?: boolean
  readonly lookbackDays?: number
}

/** A pushed request: where to send the customer, and what to remember until they are back. */
export interface Asked {
  readonly url: URL
  readonly state: string
  readonly codeVerifier: string
}

/** A consent that was granted, and the tokens that open it. */
export interface Linked {
  readonly consentId: string
  readonly accessToken: string
  readonly refreshToken: string | undefined
}

/** A recipient as any would write it: `openid-client`, unmodified, and nothing of the broker's code. */
export type Recipient = Awaited<ReturnType<typeof openRecipient>>

/** A recipient's side of the protocol, for one registered client. */
export async function openRecipient({
  issuer,
  clientId,
  key,
  redirectUri,
}: {
  issuer: string
  clientId: string
  key: JWK
  redirectUri: string
}) {
  const privateKey = await importJWK(key, 'ES256')
  if (privateKey instanceof Uint8Array)
    throw new Error(`the key of ${clientId} is not an asymmetric one`)
  const config = await oidc.discovery(
    new URL(issuer),
    clientId,
    undefined,
    oidc.PrivateKeyJwt({ key: privateKey, ...(key.kid === undefined ? {} : { kid: key.kid }) }),
    { algorithm: 'oauth2', execute: [oidc.allowInsecureRequests] },
  )
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))

  const call = (
    accessToken: string,
    path: string,
    method = 'GET',
    body?: object,
  ): Promise<Response> =>
    oidc.fetchProtectedResource(
      config,
      accessToken,
      new URL(path, issuer),
      method,
      body === undefined ? undefined : JSON.stringify(body),
      new Headers({
        'x-fapi-interaction-id': crypto.randomUUID(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      }),
      { DPoP },
    )

  return {
    clientId,
    redirectUri,
    /** Asks, by PAR. Rejects with the OAuth error when the broker refuses. */
    async ask(wish: Wish): Promise<Asked> {
      const [state, codeVerifier] = [oidc.randomState(), oidc.randomPKCECodeVerifier()]
      const url = await oidc.buildAuthorizationUrlWithPAR(
        config,
        {
          redirect_uri: redirectUri,
          response_type: 'code',
          state,
          code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
          authorization_details: JSON.stringify([detailsOf(wish)]),
        },
        { DPoP },
      )
      return { url, state, codeVerifier }
    },
    /** Redeems the answer that came back to the redirect URI. */
    async redeem(answer: URL, { state, codeVerifier }: Asked): Promise<Linked> {
      const tokens = await oidc.authorizationCodeGrant(
        config,
        answer,
        { expectedState: state, pkceCodeVerifier: codeVerifier },
        undefined,
        { DPoP },
      )
      const { grant_id: consentId } = tokens
      if (typeof consentId !== 'string') throw new Error('the token response names no grant')
      return { consentId, accessToken: tokens.access_token, refreshToken: tokens.refresh_token }
    },
    /** A fresh access token for a consent. */
    async refresh(linked: Linked): Promise<Linked> {
      const tokens = await oidc.refreshTokenGrant(config, linked.refreshToken ?? '', undefined, {
        DPoP,
      })
      return { ...linked, accessToken: tokens.access_token }
    },
    /** A token for the client itself, of one scope. */
    async ownToken(scope: string): Promise<string> {
      return (await oidc.clientCredentialsGrant(config, { scope }, { DPoP })).access_token
    },
    call,
    /** Ends a consent over Grant Management. */
    async endGrant(consentId: string): Promise<Response> {
      const own = await oidc.clientCredentialsGrant(
        config,
        { scope: 'grant_management_revoke' },
        { DPoP },
      )
      return call(own.access_token, `/oauth/grants/${consentId}`, 'DELETE')
    },
  }
}

/** One authorization detail, as the broker takes it. */
export function detailsOf(wish: Wish) {
  return {
    type: 'fdx_v1.0',
    bank: wish.bank,
    purpose: wish.purpose,
    delivery: wish.delivery,
    profile: wish.profile,
    consentRequest: {
      durationType: wish.oneTime === true ? 'ONE_TIME' : 'TIME_BOUND',
      ...(wish.oneTime === true ? {} : { durationPeriod: 90 }),
      lookbackPeriod: wish.lookbackDays ?? 90,
      resources: [{ resourceType: 'ACCOUNT', dataClusters: wish.clusters }],
    },
  }
}
