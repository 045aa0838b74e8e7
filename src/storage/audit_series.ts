import { inBank, type Database } from './database.ts'

/** By what releases and refusals are told apart. */
export const seriesKeys = ['class', 'purpose', 'recipient', 'reason'] as const

export type SeriesKey = (typeof seriesKeys)[number]

/** How releases, or refusals, of one value went over time. A step without any is left out. `at` is when a step begins, RFC 3339. */
export interface Series {
  readonly direction: 'release' | 'refusal'
  readonly value: string
  readonly points: readonly { readonly at: string; readonly count: number }[]
}

/** A chart has at most so many points; one that would have more is asked for by other steps, or of less time. */
export const series_points_max = 20_000

export class SeriesTooLong extends Error {
  override readonly name = 'SeriesTooLong'
}

/**
 * Releases and refusals in the hours, or days of UTC, that begin in [from, to), told apart by one thing they say; where they say
 * nothing of it the value is ''. Throws `SeriesTooLong`.
 */
export async function readSeries(
  db: Database,
  bank: string,
  asked: { from: string; to: string; step: 'hour' | 'day'; by: SeriesKey },
): Promise<Series[]> {
  const { from, to, step, by } = asked
  const rows = await inBank(db, bank, async (tx) => {
    const found = await tx.raw<{ rows: SeriesRow[] }>(
      `select direction, ${by} as value, date_trunc(cast(:step as text), hour, 'UTC') as at, sum(count) as count from audit_hours
       where bank_id = :bank and hour >= date_trunc(cast(:step as text), cast(:from as timestamptz), 'UTC') and hour < cast(:to as timestamptz)
       group by 1, 2, 3 order by 1, 2, 3 limit :limit`,
      { bank, from, to, step, limit: series_points_max + 1 },
    )
    return found.rows
  })
  if (rows.length > series_points_max)
    throw new SeriesTooLong(`more than ${series_points_max} points`)
  const series: (Series & { points: { at: string; count: number }[] })[] = []
  for (const { direction, value, at, count } of rows) {
    const last = series.at(-1)
    const point = { at: at.toISOString(), count: Number(count) }
    if (last?.direction === direction && last.value === value) last.points.push(point)
    else series.push({ direction, value, points: [point] })
  }
  return series
}

interface SeriesRow {
  direction: Series['direction']
  value: string
  at: Date
  count: string
}
