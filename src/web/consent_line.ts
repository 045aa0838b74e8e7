import { clusters as clusterTable, type Cluster } from '../consent/cluster.ts'
import { plainDate } from '../consent/plain_date.ts'
import { isRefusalReason } from '../consent/refusal.ts'
import type { Bodies, Entry, Kind } from '../ledger/entry.ts'
import { because, sentenceOf } from '../ledger/sentence.ts'
import { count } from '../ledger/words.ts'
import { actorWords } from './actor_words.ts'

const what = ({
  accounts,
  clusters,
}: {
  accounts: readonly string[]
  clusters: readonly Cluster[]
}): string =>
  `${clusters.map((name) => clusterTable[name].label.toLowerCase()).join('; ')} of ${count(accounts.length, 'account')}`

/** Whoever a consent is for: the id by which entries know it, and its legal name. */
export interface NamedRecipient {
  readonly id: string
  readonly legalName: string
}

/** What an entry about a consent says to its customer. */
const lines: { readonly [K in Kind]?: (body: Bodies[K], recipient: NamedRecipient) => string } = {
  'consent.grant': (terms, { legalName }) =>
    `You let ${legalName} have ${what(terms)}, until ${plainDate(terms.expires)}.`,
  'consent.replace': ({ by, ...terms }, { legalName }) =>
    `This was changed ${actorWords[by]}: ${legalName} may have ${what(terms)}, until ${plainDate(terms.expires)}.`,
  'consent.revoke': ({ by }) => `Access was ended ${actorWords[by]}.`,
  'consent.expire': ({ cause }) =>
    cause === 'term' ? 'Access ended at its end date.' : 'Access ended because it was never used.',
  release: (body, { legalName }) =>
    body.to === 'data_subject'
      ? `You were allowed to see ${what(body)} here.`
      : `${legalName} was allowed to see ${what(body)}.`,
  refusal: ({ client, count: times, reason }, { id, legalName }) =>
    `${client === id ? legalName : client} asked and got nothing, ${count(times, 'time')}: ${isRefusalReason(reason) ? because[reason] : reason.replaceAll('_', ' ')}.`,
}

/** One line for the customer. Whatever is about no consent says what it says to auditors. */
export function consentLine(entry: Entry, recipient: NamedRecipient): string {
  const line = lines[entry.kind] as
    ((body: Bodies[Kind], recipient: NamedRecipient) => string) | undefined
  return line?.(entry.body, recipient) ?? sentenceOf(entry)
}
