/** Counts of one step of time, under one key. */
export interface Counted {
  /** When the step begins, RFC 3339 UTC. */
  readonly at: string
  readonly key: string
  readonly n: number
}

export type Step = 'hour' | 'day'

export interface Series {
  readonly key: string
  readonly values: readonly number[]
  readonly sum: number
}

/** What a chart shows: for each step of a range, in order, a value of every series. */
export interface Charted {
  readonly step: Step
  /** When each step begins, seconds since the epoch. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
  readonly total: number
}

export const step_seconds: Readonly<Record<Step, number>> = { hour: 3_600, day: 86_400 }

/** More series than can be told apart by dash and colour are summed as `others`. */
export const series_max = 6
export const others_key = 'others'

/** A release has no reason, and a refusal no purpose. */
export const unsaid_key = 'unsaid'

/** The step at which a range is readable: hours up to three days. */
export function stepOf({ from, to }: { from: string; to: string }): Step {
  return Date.parse(to) - Date.parse(from) <= 3 * 86_400_000 ? 'hour' : 'day'
}

/**
 * Lays counts out over a range: a step without any is 0, not absent. `keys` come first and in this order, counted or not; others
 * after them, the largest first.
 */
export function chart(
  counted: readonly Counted[],
  { from, to, step, keys = [] }: { from: string; to: string; step: Step; keys?: readonly string[] },
): Charted {
  const seconds = step_seconds[step]
  const first = Math.floor(Date.parse(from) / 1000 / seconds)
  const end = Math.max(first + 1, Math.ceil(Date.parse(to) / 1000 / seconds))
  const width = end - first
  const rows = new Map<string, number[]>(keys.map((key) => [key, zeros(width)]))
  for (const { at, key, n } of counted) {
    const place = Math.floor(Date.parse(at) / 1000 / seconds) - first
    if (place < 0 || place >= width) continue
    const row = rows.get(key) ?? zeros(width)
    row[place] = (row[place] ?? 0) + n
    rows.set(key, row)
  }
  const all = [...rows].map(([key, values]) => ({ key, values, sum: sumOf(values) }))
  const named = all.filter(({ key }) => keys.includes(key))
  const rest = all.filter(({ key }) => !keys.includes(key)).toSorted((a, b) => b.sum - a.sum)
  return {
    step,
    times: Array.from({ length: width }, (_, i) => (first + i) * seconds),
    series: atMost([...named, ...rest]),
    total: sumOf(all.map(({ sum }) => sum)),
  }
}

function atMost(series: readonly Series[]): readonly Series[] {
  if (series.length <= series_max) return series
  const [kept, rest] = [series.slice(0, series_max - 1), series.slice(series_max - 1)]
  const values = (rest[0]?.values ?? []).map((_, i) =>
    sumOf(rest.map(({ values }) => values[i] ?? 0)),
  )
  return [...kept, { key: others_key, values, sum: sumOf(values) }]
}

const zeros = (width: number): number[] => Array.from({ length: width }, () => 0)

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

/** The step at which a chart is highest, all series together, and how high; undefined where all is 0. */
export function peakOf({ times, series }: Charted): { at: number; n: number } | undefined {
  const heights = times.map((_, i) => sumOf(series.map(({ values }) => values[i] ?? 0)))
  const n = Math.max(0, ...heights)
  return n === 0 ? undefined : { at: times[heights.indexOf(n)] ?? 0, n }
}
