import { classes } from '../../consent/class.ts'
import { To, useNavigation } from './navigation.tsx'
import { useLoaded } from './loaded.ts'
import { useTrust } from './pinned.tsx'
import { Shown } from './state_words.tsx'
import { signs, Uncompared, Unpinned } from './verdict.tsx'
import type { Range } from './view.ts'
import { count } from '../../ledger/words.ts'
import { provenTotals, type Proven } from './proven_totals.ts'

/** Those who may never receive, and who they are by themselves. */
const lines = [
  ['advertising', 'advertisers'],
  ['third_party', 'third parties'],
] as const

/** The claim that all of this is about, with its proof beside it: what was released to those who may never receive. */
export function ZeroLines({ range }: { range: Required<Range> }) {
  const { bank } = useNavigation().place
  const { crypto, policy, pin } = useTrust()
  const loaded = useLoaded(`${bank} ${range.from} ${range.to} ${pin?.at ?? ''}`, (signal) =>
    provenTotals(crypto, { bank, range, policy }, signal),
  )
  return (
    <section aria-label="Releases to those who may never receive" id="zero-lines">
      <Shown loaded={loaded} what="summary">
        {(proven) => (
          <div class="pair">
            {lines.map(([name, who]) => (
              <ZeroLine key={name} {...{ name, who, proven, range }} />
            ))}
          </div>
        )}
      </Shown>
      {policy === undefined && <Unpinned />}
    </section>
  )
}

function ZeroLine({
  name,
  who,
  proven,
  range,
}: {
  name: 'advertising' | 'third_party'
  who: string
  proven: Proven
  range: Required<Range>
}) {
  const { status, words, totals, open } = proven
  const released = totals[`releases_${name}`] ?? 0
  const refused = totals[`refusals_${name}`] ?? 0
  const tone = status === 'failed' || released > 0 ? 'bad' : status === 'passed' ? 'good' : ''
  return (
    <article class={`card zero ${tone}`} data-class={name} data-status={status}>
      <p class="zero-figure">{released}</p>
      <h2>
        {released === 0
          ? `No data was released to ${classes[name].label} in this range.`
          : `${count(released, 'release')} to ${classes[name].label} in this range.`}
      </h2>
      <p class="proof-line" data-status={status}>
        <span aria-hidden="true">{signs[status]}</span> {words}
      </p>
      <Uncompared />
      {open && (
        <p class="small soft">
          The signed ledger ends before this range does: more may come of it.
        </p>
      )}
      <p class="small">
        {refused === 0 ? (
          `No attempt by ${who} was refused: none was made by anyone who could be told apart.`
        ) : (
          <>
            {count(refused, 'attempt')} by {who} {refused === 1 ? 'was' : 'were'} refused and
            recorded: the control operated.{' '}
            <To view={{ name: 'search', filters: { kind: 'refusal', class: name, ...range } }}>
              See them
            </To>
          </>
        )}
      </p>
    </article>
  )
}
