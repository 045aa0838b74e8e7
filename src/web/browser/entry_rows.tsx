import type { ListedEntry } from './api.ts'
import { verifyListed } from './listed.ts'
import { useLoaded, type Loaded } from './loaded.ts'
import { To, useNavigation } from './navigation.tsx'
import { remembered, useTrust } from './pinned.tsx'
import { newestTree } from './signed_tree.ts'
import { Failed } from './state_words.tsx'
import { localTime, utcTime } from './time.tsx'
import { Uncompared, Unpinned } from './verdict.tsx'
import { outcomeWords } from './row_words.ts'
import type { Status } from './verification.ts'

type Checked = Loaded<ReadonlyMap<number, Status>>

/** Entries as a table, each held against the newest signed tree as it is shown. */
export function EntryRows({ entries }: { entries: readonly ListedEntry[] }) {
  const { bank } = useNavigation().place
  const { crypto, policy, pin } = useTrust()
  const key = policy && `${pin?.at}:${entries.map(({ n }) => n).join()}`
  const checked: Checked = useLoaded(key, async () => {
    if (policy === undefined) return new Map()
    const { checkpoint: tree, tiles } = await newestTree(crypto, { bank, policy, remembered })
    return verifyListed(crypto.hasher, { tree, tiles, entries })
  })
  return (
    <>
      {policy === undefined ? <Unpinned /> : <Summary checked={checked} of={entries.length} />}
      <table class="entries" role="table">
        <caption class="sr">Entries found</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">
              Entry
            </th>
            <th role="columnheader" scope="col">
              Time
            </th>
            <th role="columnheader" scope="col">
              Code
            </th>
            <th role="columnheader" scope="col">
              What it says
            </th>
            <th role="columnheader" scope="col">
              Checked
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {entries.map((entry) => (
            <Row key={entry.n} entry={entry} status={checked.value?.get(entry.n)} />
          ))}
        </tbody>
      </table>
    </>
  )
}

function Row({ entry, status }: { entry: ListedEntry; status: Status | undefined }) {
  const { n, at, code, sentence } = entry
  return (
    <tr role="row" data-n={n} data-status={status}>
      <td role="cell" class="n">
        <To view={{ name: 'entry', index: n }} aria-label={`Entry ${n}`}>
          {String(n)}
        </To>
      </td>
      <td role="cell" class="when">
        {at === undefined ? 'no time' : <When at={at} />}
      </td>
      <td role="cell">
        <code class={code.endsWith('E') ? 'code refused' : 'code'}>{code}</code>
      </td>
      <td role="cell" class="says">
        {sentence}
      </td>
      <td role="cell" class="tick-cell" data-status={status}>
        {outcomeWords(status)}
      </td>
    </tr>
  )
}

/** A time in two lines: in UTC, and by the reader's clock where that is another. */
function When({ at }: { at: string }) {
  const here = localTime(at)
  return (
    <>
      <time dateTime={at}>{utcTime(at)}</time>
      {here !== undefined && <span class="local">{here}</span>}
    </>
  )
}

function Summary({ checked, of }: { checked: Checked; of: number }) {
  if (checked.state === 'failed')
    return <Failed error={checked.error} what="check of these entries" />
  if (checked.value === undefined)
    return (
      <p class="soft small" aria-busy="true">
        Checking each in your browser…
      </p>
    )
  const statuses = [...checked.value.values()]
  const passed = statuses.filter((status) => status === 'passed').length
  const failed = statuses.filter((status) => status === 'failed').length
  if (failed > 0)
    return (
      <p class="note bad" role="alert" id="rows-verdict" data-outcome="failed">
        ✗ {failed} of {of} are not, as shown here, in the ledger that was signed.
      </p>
    )
  return (
    <div class="small" id="rows-verdict" data-outcome={passed === of ? 'verified' : 'incomplete'}>
      <p class="ok">
        ✓ {passed} of {of} verified in this browser, as shown here, against the newest signed tree.
      </p>
      <Uncompared />
    </div>
  )
}
