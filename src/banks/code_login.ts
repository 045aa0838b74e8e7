import { decodeProtectedHeader } from 'jose'
import { authorizationCodeGrant, type DPoPHandle, type IDToken } from 'openid-client'
import { BankRefused, type LoginPending } from '../broker/bank_port.ts'
import type { BankClient } from './bank_client.ts'
import { heardFrom } from './bank_error.ts'

/** What the answer to a login was bound to, and what it must be like. */
export interface Awaited {
  readonly redirectUri: string
  readonly pending: LoginPending
  /** How old the login at the bank may be, s. */
  readonly age_s_max: number
  /** What an ID token may be signed with. */
  readonly algorithms: readonly string[]
  readonly DPoP?: DPoPHandle
}

/**
 * Redeems the code that a browser came back with, for an ID token of that login. Throws `BankRefused` where the bank refuses it or
 * signed it otherwise, and `BankUnavailable`.
 */
export async function finishCodeLogin(
  { config }: Pick<BankClient, 'config'>,
  callback: URL,
  { redirectUri, pending, age_s_max, algorithms, DPoP }: Awaited,
) {
  const answered = new URL(redirectUri)
  answered.search = callback.search
  const granted = authorizationCodeGrant(
    config,
    answered,
    {
      expectedState: pending.state,
      expectedNonce: pending.nonce,
      pkceCodeVerifier: pending.codeVerifier,
      maxAge: age_s_max,
    },
    undefined,
    DPoP === undefined ? {} : { DPoP },
  )
  const answer = await heardFrom('login', granted)
  const { id_token: idToken } = answer
  const claims: IDToken | undefined = answer.claims()
  const signed = idToken !== undefined && algorithms.includes(algorithmOf(idToken))
  if (!signed || claims === undefined)
    throw new BankRefused('login_invalid', 'the bank did not sign the login as it must be')
  return { answer, claims, idToken }
}

const algorithmOf = (idToken: string): string => decodeProtectedHeader(idToken).alg ?? ''
