import { tallyName, type Effect, type EffectOf, type LedgerState } from '../storage/ledger_state.ts'

type Change<E> = (state: LedgerState, effect: E) => void

/** It touches nothing that a draft sees. */
const unseen = () => undefined

/** What each kind of effect changes for the drafts after it. */
const changes: { readonly [Kind in Effect['kind']]: Change<EffectOf<Kind>> } = {
  'consent.save': ({ consents }, { record }) => consents.set(record.consent.id, record),
  'consent.remove': ({ consents }, { id }) => consents.delete(id),
  'authorization_event.add': unseen,
  'approval.save': ({ approvals }, { approval }) => approvals.set(approval.recipient, approval),
  'key.save': ({ keys }, { of, key, use }) => keys[of].set(key, use),
  'tally.take': ({ tallies }, { key, count }) => {
    const tally = tallies.get(tallyName(key))
    if (tally !== undefined) tally.pending -= count
  },
  'codes.end': unseen,
  'refresh_tokens.end': unseen,
  'refresh_token.end': unseen,
  'access_token.revoke': ({ revokedTokens }, { name }) => revokedTokens.add(name),
  'read.save': ({ readingTokens }, { read: { token } }) => {
    if (token !== undefined) readingTokens.add(token)
  },
  'bank_token.end': unseen,
  'devices.end': unseen,
  'ledger.close': (state) => {
    state.closed = true
  },
  'mismatches.save': unseen,
  'links.erase': ({ erased }, { consents }) => {
    for (const id of consents) erased.add(id)
  },
}

/** Changes the state, in place, as the rows will be once the batch is committed. */
export function applyEffect(state: LedgerState, effect: Effect): void {
  ;(changes[effect.kind] as Change<Effect>)(state, effect)
}
