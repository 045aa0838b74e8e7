import type { Entry } from '../ledger/entry.ts'
import { sentenceOf } from '../ledger/sentence.ts'
import { Name, renderPage, Time } from './layout.tsx'

/** What the bank's ledger says of one consent, newest first, each line with its proofs. */
export function consentEntriesPage({
  bank,
  recipient,
  address,
  entries,
  counted,
  older,
}: {
  bank: { readonly id: string; readonly legalName: string }
  recipient: string
  /** The path of this list: what a line leads to lies below it. */
  address: string
  entries: readonly Entry[]
  /** How many entries the newest totals count: the proof that a later one is counted cannot be had yet. */
  counted: number
  /** The index before which there is more. */
  older?: number
}): string {
  return renderPage({
    title: 'What was recorded',
    children: (
      <>
        <h1>What was recorded</h1>
        <p class="lede">
          All that the ledger of <Name>{bank.legalName}</Name> says of the access of{' '}
          <Name>{recipient}</Name>: newest first, a few seconds after it happened.
        </p>
        {entries.length === 0 ? (
          <p>Nothing yet.</p>
        ) : (
          <ol class="card entries">
            {entries.map((entry) => (
              <Line key={entry.n} {...{ entry, address, isCounted: entry.n < counted }} />
            ))}
          </ol>
        )}
        {older !== undefined && (
          <p>
            <a id="older" href={`${address}?before=${older}`}>
              Older entries
            </a>
          </p>
        )}
        <p>
          <a id="back" href="/connections">
            Back to your connections
          </a>
        </p>
        <section aria-labelledby="check">
          <h2 id="check">Check it without us</h2>
          <p>
            A proof is a small file. It shows that the line stands in the ledger, where nobody can
            change or remove it unnoticed. A second one shows that the ledger’s published totals
            count it; there is one once the next totals are published.
          </p>
          <p>
            Open proofs with <a href="/web/verifier/verify.html">the verifier</a>, a page to keep,
            which works without a network, together with{' '}
            <a href={`/ledger/${bank.id}/policy`}>the keys of the ledger and its witnesses</a>. Ask
            your bank whether these keys are the right ones.
          </p>
          <p class="small soft">
            The ledger names no people. Keep the proofs to yourself all the same: they show that
            this access is yours.
          </p>
        </section>
      </>
    ),
  })
}

function Line({
  entry,
  address,
  isCounted,
}: {
  entry: Entry
  address: string
  isCounted: boolean
}) {
  const proof = `${address}/${entry.n}`
  return (
    <li id={`entry-${entry.n}`}>
      <Time at={entry.at} precise />
      <p>{sentenceOf(entry)}</p>
      <p class="small">
        <a href={proof} aria-label={`Proof of entry ${entry.n}`}>
          Proof
        </a>
        {isCounted && (
          <>
            {' · '}
            <a href={`${proof}/sum`} aria-label={`Proof that entry ${entry.n} is counted`}>
              Proof that it is counted
            </a>
          </>
        )}
      </p>
    </li>
  )
}
