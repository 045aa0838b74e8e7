/** The rules an auditor re-runs, in the order in which they are checked for each entry. */
export const rules = [
  'form',
  'index',
  'time',
  'genesis',
  'vocabulary',
  'totals',
  'chain',
  'approval',
  'consent',
  'release',
  'refusal',
  'epoch',
] as const

export type Rule = (typeof rules)[number]

/** An entry that breaks a rule. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly index: number
  readonly rule: Rule
  readonly detail: string

  constructor(index: number, rule: Rule, detail: string) {
    super(`entry ${index}: ${rule}: ${detail}`)
    this.index = index
    this.rule = rule
    this.detail = detail
  }
}
