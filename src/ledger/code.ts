import type { RefusalReason } from '../consent/refusal.ts'
import { isRefusalReason } from '../consent/refusal.ts'
import type { AccessKind, Bodies, Draft, Kind } from './entry.ts'

/** What may come of a kind of entry, by a member of its body, with a code for each. */
interface Outcomes<K extends Kind> {
  readonly of: (body: Bodies[K]) => string
  readonly codes: Readonly<Record<string, string>>
}

const releases = {
  data_subject: 'RL001I',
  messaging_platform: 'RL002I',
  advertising: 'RL003E',
  third_party: 'RL004E',
} as const satisfies Record<Bodies['release']['to'], string>

const refusals = {
  class_denied: 'RF001E',
  recipient_not_approved: 'RF002E',
  recipient_suspended: 'RF003E',
  consent_unknown: 'RF004E',
  consent_of_another_recipient: 'RF005E',
  consent_declined: 'RF006E',
  consent_not_active: 'RF007E',
  consent_revoked: 'RF008E',
  consent_expired: 'RF009E',
  purpose_denied: 'RF010E',
  purpose_not_approved: 'RF011E',
  cluster_not_approved: 'RF012E',
  delivery_not_covered: 'RF013E',
  account_not_covered: 'RF014E',
  cluster_not_covered: 'RF015E',
  time_not_covered: 'RF016E',
  token_revoked: 'RF017E',
} as const satisfies Record<RefusalReason, string>

/** A refusal for a reason that a `policy` entry declared later, and an entry of a kind that did. */
export const laterCodes = { refusal: 'RF000E', kind: 'XX000W' } as const

const revocations = {
  customer: 'CN003I',
  recipient: 'CN004I',
  bank: 'CN005I',
  operator: 'CN006W',
} as const satisfies Record<Bodies['consent.revoke']['by'], string>

const expiries = {
  term: 'CN007I',
  unredeemed: 'CN008I',
} as const satisfies Record<Bodies['consent.expire']['cause'], string>

const keyUses = {
  next: 'KY001I',
  active: 'KY002I',
  retired: 'KY003I',
} as const satisfies Record<Bodies['key']['use'], string>

/** Whether every request that the bank stated is in the ledger, and every one in the ledger was stated. */
const reconciliations = { whole: 'ST002I', mismatch: 'ST003W' } as const

const accesses = {
  entries: 'AU001I',
  entry: 'AU002I',
  series: 'AU003I',
  export: 'AU004I',
  report: 'AU005I',
  ledger: 'AU006I',
  consents: 'AU007I',
  timeline: 'AU008I',
} as const satisfies Record<AccessKind, string>

/**
 * The code of every event, for those who filter, count and alarm by one short word: two letters for the subject, a number, and
 * `I` for what is usual, `W` for what someone should look at, `E` for what was refused or must not be. A code never changes its meaning.
 */
const codes: { readonly [K in Kind]: string | Outcomes<K> } = {
  genesis: 'LG001I',
  policy: 'LG002I',
  epoch: 'LG003I',
  key: { of: ({ use }) => use, codes: keyUses },
  'recipient.approve': 'RC001I',
  'recipient.suspend': 'RC002W',
  'consent.grant': 'CN001I',
  'consent.replace': 'CN002I',
  'consent.revoke': { of: ({ by }) => by, codes: revocations },
  'consent.expire': { of: ({ cause }) => cause, codes: expiries },
  statement: 'ST001I',
  reconcile: {
    of: ({ missing, unknown }) => (missing + unknown === 0 ? 'whole' : 'mismatch'),
    codes: reconciliations,
  },
  erasure: 'CN009I',
  restore: 'LG005W',
  close: 'LG004W',
  release: { of: ({ to }) => to, codes: releases },
  refusal: {
    of: ({ reason }) => (isRefusalReason(reason) ? reason : ''),
    codes: { ...refusals, '': laterCodes.refusal },
  },
  access: { of: ({ what }) => what, codes: accesses },
}

/** The code of an entry of a known kind. */
export function codeOf({ kind, body }: Draft): string {
  const found = codes[kind] as string | Outcomes<Kind>
  return typeof found === 'string' ? found : (found.codes[found.of(body)] ?? laterCodes.kind)
}

/** Every code, with the kind it belongs to and, where the kind has several, the outcome. */
export const eventCodes: readonly {
  readonly code: string
  readonly kind: string
  readonly outcome?: string
}[] = [
  ...(Object.entries(codes) as [Kind, string | Outcomes<Kind>][]).flatMap(([kind, found]) =>
    typeof found === 'string'
      ? [{ code: found, kind }]
      : Object.entries(found.codes).map(([outcome, code]) => ({
          ...{ code, kind },
          outcome: outcome === '' ? 'declared later' : outcome,
        })),
  ),
  { code: laterCodes.kind, kind: 'declared later' },
]
