import {
  buildAuthorizationUrl,
  buildAuthorizationUrlWithPAR,
  buildEndSessionUrl,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  type DPoPHandle,
  type IDToken,
} from 'openid-client'
import { BankRefused, type Bank, type StaffPort, type StaffProvider } from '../broker/bank_port.ts'
import { algorithmNames } from '../storage/jws.ts'
import { staffProviderOf, type BankClient } from './bank_client.ts'
import { heardFrom } from './bank_error.ts'
import { finishCodeLogin } from './code_login.ts'

/** How old a login at the bank may be: longer ago, and the bank asks for it anew. */
export const staff_login_s_max = 3_600

/** Those of FAPI 2.0, and RS256: what most providers of a workforce sign by. */
const idTokenAlgorithms: readonly string[] = [...algorithmNames, 'Ed25519', 'RS256']

const name_max = 100

/**
 * The broker as an OpenID Connect client of banks' identity providers for their staff: the code flow with PKCE and a nonce, the
 * request pushed where it can be, the broker authenticated by its key. Nothing is asked for but who it is.
 */
export function openStaffLogin({
  clientOf,
  redirectUriOf,
}: {
  clientOf: (bank: Bank) => Promise<BankClient>
  redirectUriOf: (bankId: string) => string
}): StaffPort {
  return {
    async start(bank) {
      const provider = staffProviderOf(bank)
      const client = await clientOf(bank)
      const { config, metadata } = client
      const codeVerifier = randomPKCECodeVerifier()
      const [state, nonce] = [randomState(), randomNonce()]
      const asked = {
        redirect_uri: redirectUriOf(bank.id),
        scope: ['openid', ...provider.scopes].join(' '),
        ...{ state, nonce },
        code_challenge: await calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        max_age: String(staff_login_s_max),
        ...(provider.acr.length === 0 ? {} : { acr_values: provider.acr.join(' ') }),
      }
      const { href: url } =
        metadata.pushed_authorization_request_endpoint === undefined
          ? buildAuthorizationUrl(config, asked)
          : await heardFrom('request', buildAuthorizationUrlWithPAR(config, asked, proof(client)))
      return { url, pending: { state, nonce, codeVerifier } }
    },

    async finish(bank, callback, pending) {
      const client = await clientOf(bank)
      const { claims, idToken } = await finishCodeLogin(client, callback, {
        redirectUri: redirectUriOf(bank.id),
        pending,
        age_s_max: staff_login_s_max,
        algorithms: idTokenAlgorithms,
        ...proof(client),
      })
      requireAuditor(staffProviderOf(bank), claims)
      return { subject: claims.sub, ...nameIn(claims), idToken }
    },

    async logoutUrl(bank, { idToken, back }) {
      const { config, metadata } = await clientOf(bank)
      if (metadata.end_session_endpoint === undefined) return undefined
      const asked = { id_token_hint: idToken, post_logout_redirect_uri: back }
      return buildEndSessionUrl(config, asked).href
    },
  }
}

/** Proof of possession where the provider binds tokens by it, though nothing is ever asked with them. */
const proof = ({ metadata, dpop }: BankClient): { DPoP?: DPoPHandle } =>
  metadata.dpop_signing_alg_values_supported === undefined ? {} : { DPoP: dpop }

/** Throws `BankRefused` for whoever the bank does not say is an auditor, or who did not log in as it must be. */
function requireAuditor({ claim, auditor, acr }: StaffProvider, claims: IDToken): void {
  if (acr.length > 0 && !hasOne(claims, 'acr', acr))
    throw new BankRefused('login_invalid', 'the login was not made in one of the ways required')
  if (!hasOne(claims, claim, auditor))
    throw new BankRefused('not_an_auditor', 'the bank does not say that this is an auditor')
}

/** Whether a claim, a text or a list of texts, has one of these. */
function hasOne(claims: IDToken, name: string, wanted: readonly string[]): boolean {
  const said: readonly unknown[] = Object.hasOwn(claims, name) ? [claims[name]].flat() : []
  return said.some((one) => typeof one === 'string' && wanted.includes(one))
}

function nameIn({ name, preferred_username }: IDToken): { name?: string } {
  const text = [name, preferred_username].find((one) => typeof one === 'string' && one !== '')
  return typeof text === 'string' ? { name: text.slice(0, name_max) } : {}
}
