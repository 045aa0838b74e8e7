import { clusters as clusterTable, type Cluster } from '../consent/cluster.ts'
import { isRefusalReason, type RefusalReason } from '../consent/refusal.ts'
import type { Bodies, Draft, Kind } from './entry.ts'
import { count } from './words.ts'

const seers = {
  data_subject: 'the customer',
  messaging_platform: 'a messaging platform',
  advertising: 'an advertiser',
  third_party: 'a third party',
} as const satisfies Record<Bodies['release']['to'], string>

/** Why something was refused. */
export const because = {
  class_denied: 'its class can never receive data',
  recipient_not_approved: 'the bank has not approved it',
  recipient_suspended: 'it is suspended',
  consent_unknown: 'there is no such consent',
  consent_of_another_recipient: 'the consent was given to another recipient',
  consent_declined: 'the customer declined',
  consent_not_active: 'the consent is not active',
  consent_revoked: 'the consent was revoked',
  consent_expired: 'the consent has ended',
  purpose_denied: 'no consent may be for this purpose',
  purpose_not_approved: 'the bank has not approved it for this purpose',
  cluster_not_approved: 'the bank has not approved it for this data',
  delivery_not_covered: 'the consent lets another class see the data, or by another way',
  account_not_covered: 'the consent does not cover the account',
  cluster_not_covered: 'the consent does not cover this data',
  time_not_covered: 'the consent does not cover this time',
  token_revoked: 'its access token was revoked',
} as const satisfies Record<RefusalReason, string>

const shown = {
  entries: 'entries of this ledger',
  entry: 'one entry of this ledger',
  series: 'counts of releases and refusals',
  export: 'an export of this ledger',
  report: 'a report on this ledger',
  ledger: 'this ledger as files, as long as one access token lives',
  consents: 'consents by a search',
  timeline: 'what happened to one consent',
} as const satisfies Record<Bodies['access']['what'], string>

const keyMoves = {
  next: 'was published, to sign later',
  active: 'signs from here on',
  retired: 'signs no more',
} as const satisfies Record<Bodies['key']['use'], string>

const named = (clusters: readonly Cluster[]): string =>
  clusters.map((name) => clusterTable[name].label.toLowerCase()).join('; ')

/** The last part of an IRI: how people call a purpose. */
const purposeName = (iri: string): string => iri.split(/[#/]/).at(-1) ?? iri

/** One English sentence for each kind, for people: no more than what the entry says, and no personal data, since it holds none. */
const sentences: { readonly [K in Kind]: (body: Bodies[K]) => string } = {
  genesis: ({ bank }) => `The ledger of ${bank} was opened.`,
  policy: ({ kinds, reasons, totals }) =>
    `The vocabulary grew by ${count(kinds.length, 'kind')}, ${count(reasons.length, 'reason')} and ${count(totals.length, 'total')}.`,
  key: ({ of, use }) =>
    `A key of ${of === 'ledger' ? 'the ledger' : "the broker's tokens"} ${keyMoves[use]}.`,
  'recipient.approve': ({ recipient, class: ofClass, clusters }) =>
    `The bank approved ${recipient}, ${seers[ofClass]}, for: ${named(clusters)}.`,
  'recipient.suspend': ({ by, recipient }) => `The ${by} suspended ${recipient}.`,
  'consent.grant': ({ accounts, clusters, expires, purpose, recipient }) =>
    `A customer let ${recipient} have ${named(clusters)} of ${count(accounts.length, 'account')} for ${purposeName(purpose)}, until ${expires}.`,
  'consent.replace': ({ accounts, by, clusters, expires, purpose, recipient }) =>
    `The ${by} changed a consent: ${recipient} may have ${named(clusters)} of ${count(accounts.length, 'account')} for ${purposeName(purpose)}, until ${expires}.`,
  'consent.revoke': ({ by }) => `The ${by} ended a consent.`,
  'consent.expire': ({ cause }) =>
    cause === 'term' ? 'A consent reached its end.' : 'A consent ended that was never used.',
  release: ({ accounts, clusters, purpose, recipient, to }) =>
    `Under the approval of ${recipient}, ${seers[to]} was let see ${named(clusters)} of ${count(accounts.length, 'account')} for ${purposeName(purpose)}.`,
  refusal: ({ class: ofClass, client, count: times, reason }) =>
    `${client}, ${seers[ofClass]}, was refused ${count(times, 'time')}: ${isRefusalReason(reason) ? because[reason] : reason.replaceAll('_', ' ')}.`,
  epoch: ({ size }) => `The totals of the first ${count(size, 'entry', 'entries')} were published.`,
  statement: ({ count: served, from, to }) =>
    `The bank stated that it served ${count(served, 'request')} from ${from} until ${to}.`,
  reconcile: ({ dropped, missing, offered, refused, released, statement, unknown }) =>
    `Of what the bank stated in entry ${statement}, ${released} were released, ${refused} refused, ${dropped} dropped and ${offered} offered to customers to choose from; ${
      missing + unknown === 0
        ? 'nothing is missing.'
        : `${unknown} were never asked for, and ${count(missing, 'release')} the bank did not state.`
    }`,
  erasure: ({ consents }) =>
    `Whose ${count(consents.length, 'consent')} it was is erased: nothing leads from the ledger to a person any more.`,
  restore: () => 'The database was rebuilt from an archive, up to this entry.',
  close: ({ reason }) => `The ledger was closed for ever: ${reason.replace(/\.$/, '')}.`,
  access: ({ actor, what }) => `The auditor ${actor} was given ${shown[what]}.`,
}

/** What an entry says, as one English sentence. */
export function sentenceOf({ kind, body }: Draft): string {
  return (sentences[kind] as (body: Bodies[Kind]) => string)(body)
}
