import type { Effect } from '../storage/ledger_state.ts'
import type { Broker } from './broker.ts'

/** Tokens of one consent that are to end: an access token by its `jti`, or a refresh token by its family. */
export type Ending = { readonly jti: string } | { readonly family: string }

/**
 * Ends tokens of a bank's consent, in effect before this returns: no release by them is entered after it. A family is a refresh
 * token and every access token that came with it or by it. The consent itself stays as it is, and nothing is entered in the
 * ledger, which records consents and what was released under them. Idempotent. `kept_s` is how long, in seconds, an access token
 * could still be shown.
 */
export async function endTokens(
  broker: Broker,
  { bank, ending, kept_s }: { bank: string; ending: Ending; kept_s: number },
): Promise<void> {
  const effects: Effect[] =
    'jti' in ending
      ? [{ kind: 'access_token.revoke', name: ending.jti, kept_s }]
      : [
          { kind: 'access_token.revoke', name: ending.family, kept_s },
          { kind: 'refresh_token.end', family: ending.family },
        ]
  await broker.door.append(bank, { names: {}, urgent: true, decide: () => ({ effects }) })
}
