import { exportJWK } from 'jose'
import * as oidc from 'openid-client'
import type { DemoBank } from '../../sandbox/banks/bank.ts'
import { openBrowser } from './browser.ts'
import type { Browser, Page } from './browser.ts'

const clientKey = await oidc.randomDPoPKeyPair('ES256', { extractable: true })

/** The broker as the banks register it. */
export const brokerClient = {
  clientId: 'countersign',
  redirectUri: 'http://127.0.0.1:9/callback',
  jwks: { keys: [{ ...(await exportJWK(clientKey.publicKey)), alg: 'ES256', kid: 'broker' }] },
}

export const consentRequest = {
  durationType: 'TIME_BOUND',
  durationPeriod: 90,
  lookbackPeriod: 30,
  resources: [
    { resourceType: 'ACCOUNT', dataClusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'] },
  ],
}

export type Tokens = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers

/** Plays the broker at one bank with `openid-client`: a FAPI 2.0 client with private_key_jwt and DPoP. */
export async function brokerAt({ issuer, fdxBaseUrl, customers }: DemoBank) {
  const config = await oidc.discovery(
    new URL(issuer),
    brokerClient.clientId,
    undefined,
    oidc.PrivateKeyJwt({ key: clientKey.privateKey, kid: 'broker' }),
    { execute: [oidc.allowInsecureRequests] },
  )
  const dpopKeys = await oidc.randomDPoPKeyPair('ES256')
  const DPoP = oidc.getDPoPHandle(config, dpopKeys)

  /** Pushes a request, and says how to redeem the answer; without `request` it asks for the identity only. */
  const begin = async (request?: object) => {
    const verifier = oidc.randomPKCECodeVerifier()
    const [state, nonce] = [oidc.randomState(), oidc.randomNonce()]
    const url = await oidc.buildAuthorizationUrlWithPAR(
      config,
      {
        redirect_uri: brokerClient.redirectUri,
        scope: 'openid offline_access',
        prompt: 'consent',
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...(request && {
          authorization_details: JSON.stringify([{ type: 'fdx_v1.0', consentRequest: request }]),
        }),
      },
      { DPoP },
    )
    const finish = (page: Page): Promise<Tokens> =>
      oidc.authorizationCodeGrant(
        config,
        page.url,
        { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier },
        undefined,
        { DPoP },
      )
    return { url, nonce, finish }
  }

  /** Logs a customer in on the bank's login page. */
  const logIn = (browser: Browser, page: Page, username: string) =>
    browser.submit(page, [
      ['username', username],
      ['password', `${username}-demo`],
    ])

  /** A whole consent: the customer logs in and picks the accounts at these places. */
  const link = async ({
    customer,
    pick,
    request = consentRequest,
    browser = openBrowser(brokerClient.redirectUri),
  }: {
    customer: string
    pick: readonly number[]
    request?: object
    browser?: Browser
  }): Promise<Tokens> => {
    const { url, finish } = await begin(request)
    const page = await logIn(browser, await browser.visit(url), customer)
    const accounts = customers.find(({ username }) => username === customer)?.accounts ?? []
    const picked = accounts.filter((_, place) => pick.includes(place))
    return finish(
      await browser.submit(page, [
        ...picked.map(({ accountId }) => ['account', accountId] as const),
        ['decision', 'allow'],
      ]),
    )
  }

  return {
    config,
    dpopKeys,
    begin,
    logIn,
    link,
    /** A request to the data API. */
    get: (tokens: Tokens, path: string, headers?: Record<string, string>) =>
      oidc.fetchProtectedResource(
        config,
        tokens.access_token,
        new URL(fdxBaseUrl + path),
        'GET',
        undefined,
        new Headers(headers),
        { DPoP },
      ),
    refresh: (tokens: Tokens): Promise<Tokens> =>
      oidc.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, { DPoP }),
    revoke: (token: string) => oidc.tokenRevocation(config, token),
  }
}

export type BrokerAtBank = Awaited<ReturnType<typeof brokerAt>>
