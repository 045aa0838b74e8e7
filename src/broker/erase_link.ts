import type { Effect, LedgerState } from '../storage/ledger_state.ts'
import { inBank } from '../storage/database.ts'
import { consentsOfLink, eraseLinks, leftOfLink, linkOf } from '../storage/erasures.ts'
import { erasure_consents_max } from '../ledger/entry.ts'
import { Refusal } from '../consent/refusal.ts'
import { LedgerClosed, type Decision } from './append.ts'
import type { Broker } from './broker.ts'
import { revokeConsent } from './revoke_consent.ts'
import { endTokenAtBank } from './work_outbox.ts'

/** The bank has not taken its tokens back, and nothing was erased. */
export class TokensNotEnded extends Error {
  override readonly name = 'TokensNotEnded'
}

/** How often consents that are granted meanwhile are ended too, before we give up. */
const rounds_max = 8

/**
 * Erases the person behind a consent at a bank: the link of profile and bank login, its key, and so every salt, name and account.
 * First each consent of the link that is active is revoked, by the operator, and the bank's tokens are ended at the bank. Then an
 * `erasure` entry names the link's consents, and in its transaction the rows are deleted. Idempotent, and where it was killed
 * the next run goes on. A ledger that was closed has no active consent and takes no entry: there the rows are deleted all the same. Returns how many consents were named, 0 when all were before. Throws `Refusal('consent_unknown')` where there
 * is no link, and `TokensNotEnded` where the bank does not answer, unless told to go on `withoutBank`.
 */
export async function eraseLink(
  broker: Broker,
  {
    bank,
    consentId,
    withoutBank = false,
  }: { bank: string; consentId: string; withoutBank?: boolean },
): Promise<{ erased: number }> {
  const link = await inBank(broker.db, bank, (tx) => linkOf(tx, bank, consentId))
  if (link === undefined) throw new Refusal('consent_unknown')
  let erased = 0
  for (let round = 0; round < rounds_max;) {
    await endLink(broker, { bank, link, withoutBank })
    const named = await enterErasure(broker, bank, link).catch((error: unknown) => {
      if (error instanceof LedgerClosed) return eraseUnentered(broker, bank, link)
      throw error
    })
    if (named === 0) return { erased }
    if (named === 'active') round += 1
    else erased += named
  }
  throw new Error(`consents of ${consentId} are granted as fast as they are ended`)
}

async function endLink(
  broker: Broker,
  { bank, link, withoutBank }: { bank: string; link: string; withoutBank: boolean },
): Promise<void> {
  const left = () => inBank(broker.db, bank, (tx) => leftOfLink(tx, bank, link))
  for (const consentId of (await left()).active)
    await revokeConsent(broker, { bank, consentId, by: 'operator', reason: 'BUSINESS_RULE' })
  for (const token of (await left()).tokens) {
    const failed = await endTokenAtBank(broker, bank, token)
    if (failed !== undefined && !withoutBank)
      throw new TokensNotEnded(
        'the bank has not taken its tokens back: nothing is erased yet; run it again, or with --without-bank',
        { cause: failed },
      )
  }
}

/** Names consents of the link, as many as fit in an entry; `active` when one is. */
async function enterErasure(
  broker: Broker,
  bank: string,
  link: string,
): Promise<number | 'active'> {
  let named: number | 'active' = 0
  await broker.door.append(bank, {
    names: { link },
    decide(state): Decision {
      const consents = ofLink(state, link)
      if (consents.some(({ state: now }) => now === 'active')) {
        named = 'active'
        return {}
      }
      const ids = consents
        .map(({ id }) => id)
        .filter((id) => !state.erased.has(id))
        .toSorted()
        .slice(0, erasure_consents_max)
      named = ids.length
      if (ids.length === 0) return {}
      const effects: Effect[] = [{ kind: 'links.erase', consents: ids }]
      return { entry: { kind: 'erasure', body: { consents: ids } }, effects }
    },
  })
  return named
}

function eraseUnentered({ db }: Broker, bank: string, link: string): Promise<number> {
  return inBank(db, bank, async (tx) => {
    const consents = await consentsOfLink(tx, bank, link)
    await eraseLinks(tx, bank, consents)
    return consents.length
  })
}

const ofLink = ({ consents }: LedgerState, link: string) =>
  [...consents.values()].flatMap(({ linkId, consent }) => (linkId === link ? [consent] : []))
