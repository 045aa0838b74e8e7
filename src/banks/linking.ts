import {
  buildAuthorizationUrlWithPAR,
  calculatePKCECodeChallenge,
  randomPKCECodeVerifier,
  randomState,
  refreshTokenGrant,
  tokenRevocation,
  type ServerMetadata,
  type TokenEndpointResponse,
} from 'openid-client'
import {
  BankRefused,
  BankUnavailable,
  type Bank,
  type BankPort,
  type BankTokens,
  type LoginRequest,
} from '../broker/bank_port.ts'
import { scopeOf } from '../consent/cluster.ts'
import { details_type, durationOf, resourcesOf } from '../consent/fdx.ts'
import { algorithmNames } from '../storage/jws.ts'
import type { BankClient } from './bank_client.ts'
import { heardFrom } from './bank_error.ts'
import { finishCodeLogin } from './code_login.ts'

/** A login, from its password to our exchange of the code: the time that a customer may take on the bank's pages. */
const login_s_max = 3600

/** For a bank that does not say how long its tokens live; it learns soon enough when they do not. */
const token_s_default = 300

/** With the name that RFC 9864 gives to EdDSA over Ed25519. */
const idTokenAlgorithms: readonly string[] = [...algorithmNames, 'Ed25519']

/** The broker as an OAuth and OpenID Connect client of banks: FAPI 2.0, tokens bound to the broker's DPoP key. */
export function openLinking({
  clientOf,
  redirectUriOf,
  now,
}: {
  clientOf: (bank: Bank) => Promise<BankClient>
  redirectUriOf: (bankId: string) => string
  now: () => number
}): Pick<BankPort, 'startLogin' | 'finishLogin' | 'refresh' | 'revoke'> {
  return {
    async startLogin(bank, request) {
      const { config, metadata, dpop } = await clientOf(bank)
      const codeVerifier = randomPKCECodeVerifier()
      const state = randomState()
      const pushed = buildAuthorizationUrlWithPAR(
        config,
        {
          redirect_uri: redirectUriOf(bank.id),
          state,
          nonce: request.nonce,
          code_challenge: await calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
          max_age: String(login_s_max),
          ...asked(request, metadata),
        },
        { DPoP: dpop },
      )
      const { href: url } = await heardFrom('request', pushed)
      return { url, pending: { state, nonce: request.nonce, codeVerifier } }
    },

    async finishLogin(bank, callback, pending) {
      const client = await clientOf(bank)
      // RFC 9207: without it, a login begun at one bank could be ended by another.
      if (!callback.searchParams.has('iss'))
        throw new BankRefused('login_invalid', 'the answer does not say whose it is')
      const { answer, claims, idToken } = await finishCodeLogin(client, callback, {
        redirectUri: redirectUriOf(bank.id),
        pending,
        age_s_max: login_s_max,
        algorithms: idTokenAlgorithms,
        DPoP: client.dpop,
      })
      const { sub: subject, acr, auth_time: authTime } = claims
      return {
        subject,
        ...(typeof acr === 'string' ? { acr } : {}),
        ...(authTime === undefined ? {} : { authTime }),
        idToken,
        tokens: tokensOf(answer, now()),
        ...consentEnd(answer),
      }
    },

    async refresh(bank, { refresh_token }) {
      if (refresh_token === undefined)
        throw new BankRefused('invalid_grant', 'the bank gave nothing to renew its token with')
      const { config, dpop } = await clientOf(bank)
      const renewed = refreshTokenGrant(config, refresh_token, undefined, { DPoP: dpop })
      return { refresh_token, ...tokensOf(await heardFrom('renewal', renewed), now()) }
    },

    async revoke(bank, { access_token, refresh_token, expires }) {
      // The grant, and its access tokens with it, ends with the refresh token (RFC 7009 §2.1). One alone ends by itself.
      if (refresh_token === undefined && expires <= now()) return
      const { config } = await clientOf(bank)
      await heardFrom('request', tokenRevocation(config, refresh_token ?? access_token))
    },
  }
}

/**
 * What the bank is asked for: an identity, or as much as the terms need and no more. A login is always made anew, so that
 * `auth_time` is this login's.
 */
function asked(
  { consentRequest }: LoginRequest,
  { authorization_details_types_supported: types }: ServerMetadata,
): Record<string, string> {
  if (consentRequest === undefined) return { scope: 'openid', prompt: 'login' }
  const { clusters, lookback_days, one_time } = consentRequest
  const scope = one_time ? 'openid' : 'openid offline_access'
  const prompt = 'login consent'
  if (!Array.isArray(types) || !types.includes(details_type))
    return { scope: `${scope} ${scopeOf(clusters)}`, prompt }
  const detail = {
    type: details_type,
    consentRequest: {
      ...durationOf(consentRequest),
      lookbackPeriod: lookback_days,
      resources: resourcesOf({ clusters }),
    },
  }
  return { scope, prompt, authorization_details: JSON.stringify([detail]) }
}

function tokensOf(answer: TokenEndpointResponse, at: number): BankTokens {
  const { access_token, refresh_token, token_type, expires_in = token_s_default } = answer
  if (token_type !== 'dpop')
    throw new BankUnavailable('bad_answer', 'the bank issued a token that is not bound to our key')
  // RFC 6749 appendix A.12; anything else would not pass as a header.
  if (!/^[\x21-\x7e]+$/.test(access_token))
    throw new BankUnavailable('bad_answer', 'the bank issued what cannot be a token')
  return {
    access_token,
    ...(refresh_token === undefined ? {} : { refresh_token }),
    expires: at + expires_in * 1000,
  }
}

/** When the bank's own consent ends, as its token answer says (RFC 9396 §7); milliseconds since the epoch. */
function consentEnd({ authorization_details: details }: TokenEndpointResponse): {
  bankEnd?: number
} {
  const granted = details?.find(({ type }) => type === details_type)?.['consentGrant']
  const text = isGrant(granted) ? granted.expirationTime : undefined
  const bankEnd = typeof text === 'string' ? Date.parse(text) : NaN
  return Number.isNaN(bankEnd) ? {} : { bankEnd }
}

const isGrant = (value: unknown): value is { expirationTime: unknown } =>
  typeof value === 'object' && value !== null && 'expirationTime' in value
