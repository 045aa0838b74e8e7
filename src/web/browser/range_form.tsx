import { useNavigation } from './navigation.tsx'
import { readForm, TimeField } from './search_form.tsx'
import { To } from './navigation.tsx'
import { type Range, type View, wholeRange } from './view.ts'

const spans = [
  ['24 hours', 1],
  ['7 days', 7],
  ['30 days', 30],
  ['90 days', 90],
  ['1 year', 365],
] as const

/** Chooses a range of time: by its ends, or one of the usual lengths up to now. */
export function RangeForm({
  range,
  view,
  action,
}: {
  range: Required<Range>
  view: (range: Range) => View
  action: string
}) {
  const { go } = useNavigation()
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const { from, to } = readForm(new FormData(event.currentTarget as HTMLFormElement))
    go(view({ ...(from !== undefined && { from }), ...(to !== undefined && { to }) }))
  }
  const { to } = wholeRange({}, Date.now())
  return (
    <form class="card range" onSubmit={submit} key={`${range.from} ${range.to}`}>
      <div class="fields">
        <TimeField name="from" id="range-from" label="From" value={range.from} />
        <TimeField name="to" id="range-to" label="Before" value={range.to} />
        <button class="small-button" id="apply-range">
          {action}
        </button>
        <ul class="spans small" aria-label="Usual ranges, up to now">
          {spans.map(([name, days]) => (
            <li key={name}>
              <To
                view={view({
                  from: new Date(Date.parse(to) - days * 86_400_000).toISOString(),
                  to,
                })}
              >
                {name}
              </To>
            </li>
          ))}
        </ul>
      </div>
    </form>
  )
}
