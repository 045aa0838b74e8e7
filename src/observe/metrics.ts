/** Every counter of a broker process. Labels hold our own words only: routes, codes, reasons, bank ids. */
const counters = {
  countersign_requests_total: 'Requests answered, by route, method and status.',
  countersign_request_seconds_total: 'Time spent on requests, by route.',
  countersign_refusals_total: 'Refusals answered, by reason.',
  countersign_limited_total: 'Requests answered 429, by group of routes and by what was used up.',
  countersign_dropped_total: 'Items that a bank sent and the consent did not cover, by bank.',
  countersign_stated_requests_total:
    'Requests that banks stated, or should have, by bank and by what became of them.',
  countersign_failures_total: 'Duties that failed and will be tried again, by duty.',
  countersign_witness_answers_total:
    'Checkpoints submitted to witnesses, by bank, witness and outcome.',
  countersign_alarms_total: 'Things that a person must look at, by what they are about.',
} as const

export type Counter = keyof typeof counters

/** Counters since this process began. */
export interface Metrics {
  add(counter: Counter, labels: Readonly<Record<string, string>>, by?: number): void
  /** All of them, as Prometheus reads them (text format 0.0.4). */
  render(): string
}

export function openMetrics(): Metrics {
  const values = new Map<string, Map<string, number>>()
  return {
    add(counter, labels, by = 1) {
      const series = values.get(counter) ?? new Map<string, number>()
      values.set(counter, series)
      const name = Object.entries(labels)
        .map(([label, value]) => `${label}="${value.replace(/[\\"\n]/g, '_')}"`)
        .join(',')
      series.set(name, (series.get(name) ?? 0) + by)
    },
    render: () =>
      Object.entries(counters)
        .map(([counter, help]) => {
          const series = [...(values.get(counter) ?? [])]
          const lines = series.map(([labels, value]) => `${counter}{${labels}} ${value}\n`)
          return `# HELP ${counter} ${help}\n# TYPE ${counter} counter\n${lines.join('')}`
        })
        .join(''),
  }
}
