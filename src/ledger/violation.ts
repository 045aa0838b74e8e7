/** The rules an auditor re-runs, in the order in which they are checked for each entry. */
export const rules = {
  form: 'An entry is canonical JSON of a known kind with exactly the members of that kind, at most 4096 bytes long.',
  index: "An entry's n is its place in the ledger, counted from 0.",
  time: 'No entry is earlier than the one before it.',
  genesis: 'The first entry is of kind genesis, and no other is.',
  vocabulary: 'The kind of an entry was declared by genesis or by a policy entry before it.',
  totals: 'The totals are those of the entry before, raised by what this entry counts.',
  chain: 'prev is the index of the last entry before that names the same consent.',
  key: 'A key is published as next before it is active, and retired while another of its owner is active.',
  approval:
    'An approval says what the bank signed for this ledger, of a class that may receive, later than the approval and the suspension before it; only a standing one is suspended.',
  consent:
    'A consent makes only an allowed move, to terms that the approval, the declared purposes and the limits allow, and broader ones only with a login at the bank.',
  release:
    'A release is covered, at its time, by an active consent and a standing approval: recipient, class, accounts, clusters, purpose and lookback.',
  refusal: 'The reason of a refusal was declared by genesis or by a policy entry before it.',
  epoch: 'An epoch covers exactly the entries before it, and names the root of their sum tree.',
  statement:
    'A statement says what the bank signed for this ledger, about a time that has passed and that no statement before it covers.',
  reconcile:
    'A reconciliation is of the oldest statement without one, and what became of the requests adds up to those stated.',
  erasure: 'An erasure names consents that were granted and are no longer active, each once.',
  restore: 'A restoration names a checkpoint of its own ledger that covers all entries before it.',
  close:
    'A ledger is closed when no consent is active, with a checkpoint of its own, and nothing follows.',
} as const

export type Rule = keyof typeof rules

/** An entry that breaks a rule. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly index: number
  readonly rule: Rule
  /** What is wrong, without the index and the rule. */
  readonly detail: string

  constructor(index: number, rule: Rule, detail: string) {
    super(`entry ${index}: ${rule}: ${detail}`)
    this.index = index
    this.rule = rule
    this.detail = detail
  }
}
