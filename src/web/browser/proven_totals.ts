import { figure } from '../../ledger/words.ts'
import { contradictionIn, readReport, type RangeReport } from '../../ledger/range_report.ts'
import { CanonicalError } from '../../ledger/canonical.ts'
import type { Policy } from '../../merkle/policy.ts'
import { checkSummary, rangeInWords } from '../../verifier/summary.ts'
import { askJson } from './served.ts'
import type { PageCrypto, Status } from './verification.ts'

/** The totals of a range of time, and what this page found about their proof. */
export interface Proven {
  readonly totals: Readonly<Record<string, number>>
  readonly status: Status
  readonly words: string
  /** Whether the signed ledger ends before the range does. */
  readonly open: boolean
}

/**
 * Reads the report on a range and checks in this page that its totals are exactly those of that time, under the pinned policy. Throws
 * `NotServed`.
 */
export async function provenTotals(
  crypto: PageCrypto,
  {
    bank,
    range,
    policy,
  }: { bank: string; range: { from: string; to: string }; policy: Policy | undefined },
  signal: AbortSignal,
): Promise<Proven> {
  const query = new URLSearchParams({ ...range, format: 'json' })
  const report = await askJson<RangeReport>(`/audit/${bank}/report?${query}`, signal)
  return judge(crypto, { report, range, policy })
}

/** What a report is worth under a policy. */
export function judge(
  crypto: PageCrypto,
  {
    report,
    range,
    policy,
  }: { report: RangeReport; range: { from: string; to: string }; policy: Policy | undefined },
): Proven {
  const { totals, open_end: open } = report.summary
  const said = { totals, open }
  if (policy === undefined)
    return { ...said, status: 'not_done', words: 'Said by the server, and not checked.' }
  const verdict = checkSummary(report.summary, { policy, crypto })
  const wrong = verdict.findings[0] ?? anotherRange(report, range) ?? contradiction(report)
  if (wrong !== undefined || verdict.range === undefined || verdict.ledger === undefined)
    return { ...said, status: 'failed', words: `Not proven: ${wrong ?? 'there is no proof'}.` }
  const { ledger } = verdict
  return {
    ...said,
    status: 'passed',
    words: `Proven in this browser: by the totals of ${rangeInWords(verdict.range)}, in the signed tree of ${figure(ledger.size)}.`,
  }
}

/** A good proof of another question is no answer to this one. */
function anotherRange(
  { summary: { basis, from, to } }: RangeReport,
  range: { from: string; to: string },
): string | undefined {
  const same = basis === 'entries' && from === range.from && to === range.to
  return same ? undefined : 'it is about another time than was asked for'
}

function contradiction(report: RangeReport): string | undefined {
  try {
    return contradictionIn(readReport(report))
  } catch (error) {
    if (error instanceof CanonicalError) return error.message
    throw error
  }
}
