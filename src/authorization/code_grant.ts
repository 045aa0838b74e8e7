import type { Broker } from '../broker/broker.ts'
import { endTokens, type Ending } from '../broker/end_tokens.ts'
import { addEvent } from '../storage/authorization_events.ts'
import { findCode, redeemCode } from '../storage/authorization_codes.ts'
import { lockConsent, markRedeemed } from '../storage/consents.ts'
import { inBank, type Tx } from '../storage/database.ts'
import { bankIdOf, random256, routed } from '../storage/ids.ts'
import { insertRefreshToken } from '../storage/refresh_tokens.ts'
import { sha256Text } from '../storage/sha256.ts'
import { familyIn, newTokenId } from '../storage/token_ids.ts'
import { revocation_kept_s } from './access_token.ts'
import type { Asker } from './admit.ts'
import type { Authorization } from './authorization.ts'
import {
  asRecipient,
  consentTokens,
  readRedeemable,
  refuse,
  type Redeemable,
  type Refused,
} from './consent_token.ts'
import { required, type Form } from './form.ts'
import { OAuthError } from './oauth_error.ts'

interface Redeemed extends Redeemable {
  readonly refreshToken?: string
}

/** A code that gives nothing, and why: its own fault, that it gave a token before, or a refusal to be recorded. */
type Failed = { readonly invalid: string } | { readonly gave: Ending } | Refused

/**
 * authorization_code: a code once, by the recipient it was issued to, with the verifier, the redirect URI and the key that
 * belong to it. A ONE_TIME consent gives no refresh token.
 */
export async function redeem(
  broker: Broker,
  authorization: Authorization,
  { client, form, interaction, binding }: Asker,
): Promise<object> {
  const recipient = asRecipient(client)
  const code = required(form, 'code')
  const bank = bankIdOf(code)
  if (bank === undefined) throw new OAuthError('invalid_grant', 'the code is not known')
  const refreshToken = routed(bank, random256())
  const shown = {
    code,
    clientId: recipient.id,
    redirectUri: required(form, 'redirect_uri'),
    codeChallenge: challengeOf(form),
    ...('jkt' in binding ? binding : {}),
    jti: newTokenId(refreshToken),
  }
  const outcome = await inBank(broker.db, bank, (tx) =>
    redeemIn(tx, { bank, shown, refreshToken, interaction, now: broker.now() }),
  )
  if ('invalid' in outcome) throw new OAuthError('invalid_grant', outcome.invalid)
  if ('refused' in outcome) throw await refuse(broker, recipient, { bank, ...outcome })
  if ('gave' in outcome) {
    await endTokens(broker, { bank, ending: outcome.gave, kept_s: revocation_kept_s })
    throw new OAuthError('invalid_grant', 'the code was used before; what it gave is revoked')
  }
  return consentTokens(broker, authorization, {
    bank,
    clientId: recipient.id,
    binding,
    jti: shown.jti,
    ...outcome,
  })
}

async function redeemIn(
  tx: Tx,
  {
    bank,
    shown,
    refreshToken,
    interaction,
    now,
  }: {
    bank: string
    shown: Parameters<typeof redeemCode>[2]
    refreshToken: string
    interaction: string
    now: number
  },
): Promise<Redeemed | Failed> {
  const { clientId } = shown
  // The consent's row before the code's, as a replace locks them, which ends codes and tokens of the terms before.
  const named = await findCode(tx, bank, shown.code)
  if (named !== undefined) await lockConsent(tx, bank, named.consentId)
  const consentId = await redeemCode(tx, bank, shown)
  if (consentId === undefined) return explain(tx, bank, shown)
  const found = await readRedeemable(tx, { bank, consentId, clientId, now })
  if ('refused' in found) return found
  await markRedeemed(tx, bank, consentId)
  await addEvent(tx, bank, { consent: consentId, event: 'code_redeemed', interaction })
  if (found.consent.terms.one_time) return found
  await insertRefreshToken(tx, bank, { token: refreshToken, clientId, consentId })
  return { ...found, refreshToken }
}

/** Why a code was not redeemed. What it gave when it was redeemed before is to end (RFC 6749 §4.1.2). */
async function explain(
  tx: Tx,
  bank: string,
  { code, clientId }: { code: string; clientId: string },
): Promise<Failed> {
  const found = await findCode(tx, bank, code)
  if (found === undefined) return { invalid: 'the code is not known' }
  const { consentId, jti } = found
  if (found.clientId !== clientId) return { refused: 'consent_of_another_recipient', consentId }
  if (jti === undefined)
    return {
      invalid: 'the code has expired, or redirect_uri, code_verifier or key are not its own',
    }
  const family = familyIn(jti)
  return { gave: family === undefined ? { jti } : { family } }
}

/** PKCE (RFC 7636 §4.1, §4.6). A verifier that is missing is one that does not match. */
function challengeOf(form: Form): string {
  const verifier = form.get('code_verifier') ?? ''
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier))
    throw new OAuthError('invalid_grant', 'code_verifier has 43 to 128 unreserved characters')
  return sha256Text(verifier)
}
