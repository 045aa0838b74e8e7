import type { ComponentChildren } from 'preact'
import { classes, classNames } from '../consent/class.ts'
import { purposeLabel } from '../consent/purpose.ts'
import type { RangeReport, Share } from '../ledger/range_report.ts'
import { figure } from '../ledger/words.ts'
import { Name, renderPage, Time } from './layout.tsx'

const ofKinds: Readonly<Record<keyof RangeReport['entries'], string>> = {
  erasure: 'Erasures of customers',
  access: 'Accesses by auditors',
  restore: 'Restores from a backup',
  key: 'Steps of keys',
  policy: 'Changes of the vocabulary',
}

/**
 * The report of a time, to be read and printed. It says what was authorised, and what cannot be known here. `signers` are the names on the
 * checkpoint beside the ledger's own; `saved` is the address of the same report as a file that can be checked.
 */
export function reportPage({
  report,
  legalName,
  signers,
  saved,
}: {
  report: RangeReport
  legalName: string
  signers: readonly string[]
  saved: string
}): string {
  const { from = '', to = '' } = report.summary
  return renderPage({
    title: `Report on ${legalName}`,
    children: (
      <>
        <h1>Report on bank data released</h1>
        <p class="lede">
          <Name>{legalName}</Name>, from <Time at={from} precise /> until before{' '}
          <Time at={to} precise />
        </p>
        <Never report={report} />
        <Releases report={report} />
        <Refusals report={report} />
        <Consents report={report} />
        <Approvals report={report} />
        <Statements report={report} />
        <Evidence report={report} signers={signers} saved={saved} />
        <section class="card" aria-labelledby="unproven">
          <h2 id="unproven">What this does not prove</h2>
          <ul>
            {report.unproven.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </section>
      </>
    ),
  })
}

interface Of {
  readonly report: RangeReport
}

/** The two lines that the whole house is for, each with where its proof is. */
function Never({ report: { summary } }: Of) {
  return (
    <>
      {(['advertising', 'third_party'] as const).map((name) => {
        const count = summary.totals[`releases_${name}`] ?? 0
        const to = classes[name].label
        return count === 0 ? (
          <p key={name} class="note good">
            No release to {to} was authorised. The totals of entries {summary.from_index} to{' '}
            {summary.to_index - 1} say so, with the proofs in the file below.
          </p>
        ) : (
          <p key={name} class="note bad">
            {figure(count)} releases to {to} were authorised.
          </p>
        )
      })}
    </>
  )
}

function Releases({ report: { summary, releases } }: Of) {
  return (
    <Card id="releases" title="Releases authorised">
      <dl>
        {classNames.map((name) => (
          <Figure
            key={name}
            what={`To ${classes[name].label}`}
            count={summary.totals[`releases_${name}`] ?? 0}
          />
        ))}
      </dl>
      <h3>By recipient and purpose</h3>
      <Shares shares={releases} what={purposeLabel} />
    </Card>
  )
}

function Refusals({ report: { refusals } }: Of) {
  return (
    <Card id="refusals" title="Attempts refused">
      <Shares shares={refusals} what={(reason) => reason.replaceAll('_', ' ')} />
    </Card>
  )
}

function Shares({ shares, what }: { shares: readonly Share[]; what: (name: string) => string }) {
  if (shares.length === 0) return <p class="soft">None.</p>
  return (
    <dl>
      {shares.map((share) => (
        <Figure
          key={`${share.recipient} ${share.class} ${share.what}`}
          what={
            <>
              <Name>{share.recipient}</Name>, {share.class.replaceAll('_', ' ')}: {what(share.what)}
            </>
          }
          count={share.count}
        />
      ))}
    </dl>
  )
}

function Consents({ report: { summary, entries } }: Of) {
  const { totals } = summary
  return (
    <Card id="consents" title="Consents, and other events">
      <dl>
        <Figure what="Consents granted" count={totals['grants'] ?? 0} />
        <Figure what="Consents replaced" count={totals['replaces'] ?? 0} />
        <Figure what="Consents revoked" count={totals['revocations'] ?? 0} />
        <Figure what="Consents that ended by their date" count={totals['expiries'] ?? 0} />
        {(Object.keys(ofKinds) as (keyof typeof ofKinds)[]).map((kind) => (
          <Figure key={kind} what={ofKinds[kind]} count={entries[kind]} />
        ))}
      </dl>
    </Card>
  )
}

function Approvals({ report: { approvals } }: Of) {
  return (
    <Card id="approvals" title="Recipients approved by the bank at the end">
      {approvals.length === 0 && <p class="soft">None.</p>}
      <ul>
        {approvals.map(({ recipient, class: named, purposes, clusters, index }) => (
          <li key={recipient}>
            <Name>{recipient}</Name>, {named.replaceAll('_', ' ')}, entry {index}:{' '}
            {purposes.map(purposeLabel).join('; ')} ({clusters.join(', ')})
          </li>
        ))}
      </ul>
    </Card>
  )
}

function Statements({ report: { reconciliation: found } }: Of) {
  return (
    <Card id="statements" title="Compared with what the bank says that it served">
      <dl>
        <Figure what="Statements of the bank reconciled" count={found.statements} />
        <Figure what="Requests stated, and released" count={found.released} />
        <Figure what="Stated, and refused" count={found.refused} />
        <Figure what="Stated, and dropped" count={found.dropped} />
        <Figure what="Stated, and offered to the customer to choose from" count={found.offered} />
        <Figure what="Stated, and never made here" count={found.unknown} />
        <Figure what="Released, and never stated" count={found.missing} />
      </dl>
      {found.statements === 0 ? (
        <p>The bank has stated nothing that was compared in this time.</p>
      ) : (
        <p class={found.unknown + found.missing === 0 ? 'note good' : 'note bad'}>
          {found.unknown + found.missing === 0
            ? 'The two records agree.'
            : 'The two records do not agree.'}
        </p>
      )}
    </Card>
  )
}

function Evidence({
  report: { summary, at, auditor, access },
  signers,
  saved,
}: Of & { signers: readonly string[]; saved: string }) {
  return (
    <Card id="evidence" title="How to check this">
      <dl>
        <dt>Ledger</dt>
        <dd>
          <code>{summary.origin}</code>
        </dd>
        <dt>Entries</dt>
        <dd>
          {summary.from_index === summary.to_index
            ? 'none'
            : `${summary.from_index} to ${summary.to_index - 1}`}
          {summary.open_end && ', as far as the ledger was signed'}
        </dd>
        <dt>Signed by</dt>
        <dd>
          the ledger’s key{' '}
          {signers.length === 0 ? 'and no witness' : `and, as witnesses, ${signers.join(', ')}`}
        </dd>
        <dt>Made</dt>
        <dd>
          <Time at={at} precise /> for <Name>{auditor}</Name>
          {access !== undefined && `, as entry ${access} says`}
        </dd>
      </dl>
      <p>
        Save <a href={saved}>this report as a file</a> and check it, on a machine of yours and with
        keys that you trust: <code>countersign verify report.json --policy policy</code>. It proves
        the totals. How they are divided among recipients, purposes and reasons adds up to them, and
        whoever is given the entries can count it again.
      </p>
    </Card>
  )
}

function Card({ id, title, children }: { id: string; title: string; children: ComponentChildren }) {
  return (
    <section class="card" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  )
}

function Figure({ what, count }: { what: ComponentChildren; count: number }) {
  return (
    <>
      <dt>{what}</dt>
      <dd>{figure(count)}</dd>
    </>
  )
}
