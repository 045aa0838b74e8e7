import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { others_key, peakOf, unsaid_key, type Charted, type Step } from './charted.ts'
import { count, figure } from '../../ledger/words.ts'
import { inWords } from './words.ts'

const dashes: readonly (readonly number[])[] = [[], [8, 4], [2, 4], [12, 4, 2, 4], [4, 2], [1, 2]]

const height_px = 220

/** Counts over time: a drawing for those who see it, the same in a sentence and a table for everybody. */
export function Chart({ title, charted, what }: { title: string; charted: Charted; what: string }) {
  const [hidden, setHidden] = useState<readonly string[]>([])
  const id = title.toLowerCase().replaceAll(' ', '-')
  const toggle = (key: string) =>
    setHidden(hidden.includes(key) ? hidden.filter((one) => one !== key) : [...hidden, key])
  return (
    <section class="card chart" aria-labelledby={`${id}-title`} id={id}>
      <h2 id={`${id}-title`}>{title}</h2>
      <p class="small soft" id={`${id}-words`}>
        {chartWords(charted, what)}
      </p>
      <Drawing charted={charted} hidden={hidden} label={`${title}. ${chartWords(charted, what)}`} />
      <fieldset class="legend">
        <legend class="sr">Series shown in the chart</legend>
        {charted.series.map(({ key, sum }, i) => (
          <label key={key}>
            <input type="checkbox" checked={!hidden.includes(key)} onChange={() => toggle(key)} />
            <Sample i={i} />
            <span>
              <bdi>{labelOf(key)}</bdi> <b>{figure(sum)}</b>
            </span>
          </label>
        ))}
      </fieldset>
      <details>
        <summary>The same as a table</summary>
        <Table charted={charted} caption={title} />
      </details>
    </section>
  )
}

const ownWords = new Map([
  [others_key, 'All others'],
  [unsaid_key, 'None named'],
])

const labelOf = (key: string) => ownWords.get(key) ?? inWords(key)

/** A chart in a sentence. */
export function chartWords(charted: Charted, what: string): string {
  const { series, total, step } = charted
  if (total === 0) return `No ${what} in this range.`
  const parts = series
    .filter(({ sum }) => sum > 0)
    .map(({ key, sum }) => `${labelOf(key)} ${figure(sum)}`)
  const peak = peakOf(charted)
  const most =
    peak === undefined
      ? ''
      : ` Most in one ${step}: ${figure(peak.n)}, on ${stepName(peak.at, step)}.`
  return `${figure(total)} ${what}: ${parts.join(', ')}.${most}`
}

const stepName = (seconds: number, step: Step): string => {
  const at = new Date(seconds * 1000).toISOString()
  return step === 'day' ? at.slice(0, 10) : `${at.slice(0, 10)} ${at.slice(11, 16)} UTC`
}

/** The line of a series, as it is in the drawing. */
function Sample({ i }: { i: number }) {
  return (
    <svg class={`sample series-${i}`} viewBox="0 0 28 10" aria-hidden="true">
      <line x1="1" x2="27" y1="5" y2="5" stroke-dasharray={(dashes[i] ?? []).join(' ')} />
    </svg>
  )
}

function Drawing({
  charted,
  hidden,
  label,
}: {
  charted: Charted
  hidden: readonly string[]
  label: string
}) {
  const place = useRef<HTMLDivElement>(null)
  const [at, setAt] = useState<number>()
  const dark = useDark()
  useEffect(() => {
    const element = place.current
    if (element === null) return undefined
    const plot = new uPlot(
      optionsOf(element, { charted, hidden, onStep: setAt }),
      [[...charted.times], ...charted.series.map(({ values }) => [...values])],
      element,
    )
    const resize = new ResizeObserver(() =>
      plot.setSize({ width: element.clientWidth, height: height_px }),
    )
    resize.observe(element)
    return () => {
      resize.disconnect()
      plot.destroy()
    }
  }, [charted, hidden.join(), dark])
  return (
    <>
      <div ref={place} class="drawing" role="img" aria-label={label} />
      <p class="readout small" aria-hidden="true">
        {at === undefined ? 'Point at the chart to read a step.' : readout(charted, hidden, at)}
      </p>
    </>
  )
}

function readout({ times, series, step }: Charted, hidden: readonly string[], at: number): string {
  const values = series
    .filter(({ key }) => !hidden.includes(key))
    .map(({ key, values }) => `${labelOf(key)} ${figure(values[at] ?? 0)}`)
  return `${stepName(times[at] ?? 0, step)}: ${values.join(', ')}`
}

function optionsOf(
  element: HTMLElement,
  {
    charted,
    hidden,
    onStep,
  }: { charted: Charted; hidden: readonly string[]; onStep(at: number | undefined): void },
): uPlot.Options {
  const colour = (name: string) => getComputedStyle(element).getPropertyValue(name).trim()
  const axis = {
    stroke: colour('--soft'),
    font: '12px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
  }
  const few = charted.times.length <= 62
  return {
    width: element.clientWidth,
    height: height_px,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(4, Math.ceil((max ?? 0) * 1.08))] } },
    axes: [
      { ...axis, values: (_plot, ticks) => ticks.map((tick) => tickName(tick, charted.step)) },
      {
        ...axis,
        size: 56,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7],
        values: (_plot, ticks) => ticks.map(figure),
      },
    ],
    series: [
      {},
      ...charted.series.map(({ key }, i) => ({
        label: labelOf(key),
        show: !hidden.includes(key),
        stroke: colour(`--series-${i}`),
        width: 2,
        dash: [...(dashes[i] ?? [])],
        points: { show: few, size: 5, fill: colour(`--series-${i}`) },
      })),
    ],
    hooks: { setCursor: [(plot: uPlot) => onStep(plot.cursor.idx ?? undefined)] },
  }
}

const tickName = (seconds: number, step: Step): string => {
  const at = new Date(seconds * 1000).toISOString()
  const midnight = at.slice(11, 16) === '00:00'
  return step === 'day' || midnight ? at.slice(5, 10) : at.slice(11, 16)
}

/** Whether the reader's colours are dark: a drawing does not follow a stylesheet by itself. */
function useDark(): boolean {
  const [dark, setDark] = useState(() => darkQuery().matches)
  useEffect(() => {
    const query = darkQuery()
    const follow = () => setDark(query.matches)
    query.addEventListener('change', follow)
    return () => query.removeEventListener('change', follow)
  }, [])
  return dark
}

const darkQuery = () => window.matchMedia('(prefers-color-scheme: dark)')

function Table({
  charted: { times, series, step },
  caption,
}: {
  charted: Charted
  caption: string
}) {
  const rows = times.flatMap((time, i) => {
    const values = series.map(({ values }) => values[i] ?? 0)
    return values.some((n) => n > 0) ? [{ time, values }] : []
  })
  if (rows.length === 0) return <p class="small">Nothing in any {step} of this range.</p>
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={`${caption}, as a table`}>
      <table class="counts">
        <caption class="small soft">
          {count(rows.length, step)} with any; the others have none. UTC.
        </caption>
        <thead>
          <tr>
            <th scope="col">{inWords(step)}</th>
            {series.map(({ key }) => (
              <th scope="col" key={key}>
                <bdi>{labelOf(key)}</bdi>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, values }) => (
            <tr key={time}>
              <th scope="row">{stepName(time, step)}</th>
              {values.map((n, i) => (
                <td key={i}>{figure(n)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
