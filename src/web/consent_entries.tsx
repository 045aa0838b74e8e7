import type { Entry } from '../ledger/entry.ts'
import { consentLine, type NamedRecipient } from './consent_line.ts'
import { Name, renderPage, Time } from './layout.tsx'

/** What the bank's ledger says of one consent, newest first, each line with its proofs. */
export function consentEntriesPage({
  bank,
  recipient,
  address,
  entries,
  counted,
  older,
  behind,
}: {
  bank: { readonly id: string; readonly legalName: string }
  recipient: NamedRecipient
  /** The path of this list: what a line leads to lies below it. */
  address: string
  entries: readonly Entry[]
  /** How many entries the newest totals count: the proof that a later one is counted cannot be had yet. */
  counted: number
  /** The index before which there is more. */
  older?: number
  /** The index from which entries are not looked through yet. */
  behind?: number
}): string {
  return renderPage({
    title: 'What was recorded',
    children: (
      <>
        <h1>What was recorded</h1>
        <p class="lede">
          What the ledger of <Name>{bank.legalName}</Name> says of the access of{' '}
          <Name>{recipient.legalName}</Name>, newest first. An entry is here a few seconds after it
          was made; refusals that repeat within a minute come together, after it.
        </p>
        {behind !== undefined && (
          <p class="note" role="status">
            Entries from number {behind} on are not looked through yet. Open this page again in a
            moment.
          </p>
        )}
        {entries.length === 0 ? (
          <p>There are no entries here yet.</p>
        ) : (
          <ol class="card entries">
            {entries.map((entry) => (
              <Line
                key={entry.n}
                {...{ entry, recipient, address, isCounted: entry.n < counted }}
              />
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
            A proof is a small file. It shows that the entry stands in the ledger, under its
            signature and those of its witnesses, if it has any. A second one shows that the
            ledger’s published totals count it; there is one once the next totals are published.
          </p>
          <p>
            Open proofs with <a href="/web/verifier/verify.html">the verifier</a>, a page to keep,
            which works without a network, together with{' '}
            <a href={`/ledger/${bank.id}/policy`}>the keys of the ledger and its witnesses</a>. Ask
            your bank whether these keys are the right ones.
          </p>
          <p class="small soft">
            An entry says what was allowed, not that it arrived. What is about your bank’s whole
            ledger is not listed here: who was approved, and when auditors looked into it. The
            ledger names no people. Keep the proofs to yourself all the same: they show that this
            access is yours.
          </p>
        </section>
      </>
    ),
  })
}

function Line({
  entry,
  recipient,
  address,
  isCounted,
}: {
  entry: Entry
  recipient: NamedRecipient
  address: string
  isCounted: boolean
}) {
  const proof = `${address}/${entry.n}`
  const heading = `entry-${entry.n}`
  return (
    <li>
      <h2 id={heading}>Entry {entry.n}</h2>
      <p class="small soft">
        <Time at={entry.at} precise />
      </p>
      <p>
        <bdi>{consentLine(entry, recipient)}</bdi>
      </p>
      <p class="small">
        <a href={proof} aria-describedby={heading}>
          Proof
        </a>
        {isCounted && (
          <>
            {' · '}
            <a href={`${proof}/sum`} aria-describedby={heading}>
              Proof that it is counted
            </a>
          </>
        )}
      </p>
    </li>
  )
}
