import { contradictionIn, readReport } from '../ledger/range_report.ts'
import { checkSummary } from './summary.ts'
import { NotProven, verdictOf, type Trust, type Verdict } from './verdict.ts'

/**
 * Checks a report of a time: its summary, and that its shares add up to the totals that the summary proves. What else it says is
 * the broker's word.
 */
export function checkReport(file: unknown, trust: Trust): Verdict {
  return verdictOf(() => {
    const report = readReport(file)
    const verdict = checkSummary(report.summary, trust)
    if (!verdict.verified) throw new NotProven(verdict.findings.join('; '))
    const contradiction = contradictionIn(report)
    if (contradiction !== undefined) throw new NotProven(contradiction)
    return {
      ...verdict,
      proven: [
        ...verdict.proven,
        'The shares of recipients, purposes and reasons add up to these totals.',
      ],
      unproven: [
        'How the totals are divided, the approvals, the reconciliation and the other counts of the report: whoever is given the entries can count them again.',
        ...verdict.unproven,
      ],
    }
  })
}
