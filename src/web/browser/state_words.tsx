import type { ComponentChildren } from 'preact'
import type { Loaded } from './loaded.ts'
import { NotServed } from './served.ts'
import { TreeRefused } from './signed_tree.ts'

/** What is shown of something that was asked for: itself, that it is on its way, or why it is not there. */
export function Shown<T>({
  loaded,
  what,
  children,
}: {
  loaded: Loaded<T>
  what: string
  children: (value: T) => ComponentChildren
}) {
  if (loaded.state === 'failed') return <Failed error={loaded.error} what={what} />
  if (loaded.value === undefined)
    return (
      <p class="soft" aria-busy="true">
        Reading {what}…
      </p>
    )
  return <>{children(loaded.value)}</>
}

/** Why something is not there, and what the reader can do. */
export function Failed({ error, what }: { error: Error; what: string }) {
  return (
    <div class="note bad" role="alert">
      <p>
        <strong>
          {error instanceof TreeRefused ? 'The ledger does not check out.' : `No ${what}.`}
        </strong>{' '}
        {error.message}
      </p>
      {error instanceof NotServed && <p>{error.todo}</p>}
      {error instanceof NotServed && error.status === 401 && (
        <p>
          <a href={window.location.href}>Log in again</a>
        </p>
      )}
      {error instanceof TreeRefused && error.notes !== undefined && (
        <Evidence notes={error.notes} />
      )}
    </div>
  )
}

/** Two signed notes that contradict each other: whoever has the keys can check them. */
export function Evidence({ notes }: { notes: readonly [string, string] }) {
  return (
    <details open>
      <summary>The two signed checkpoints: keep them, they are evidence</summary>
      {notes.map((note, i) => (
        <pre class="bytes" key={i} tabIndex={0} aria-label={i === 0 ? 'Seen before' : 'Served now'}>
          {note}
        </pre>
      ))}
    </details>
  )
}
