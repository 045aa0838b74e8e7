import { allowedPurposes, purposeLabel } from '../consent/purpose.ts'
import { Name, renderPage } from './layout.tsx'

/**
 * What the data may be used for, who enforces it, and how anyone checks: the `resource_policy_uri` of our protected resources
 * (RFC 9728). It promises what the code enforces, and says what nothing here can.
 */
export function policyPage({
  banks,
}: {
  banks: readonly { readonly id: string; readonly legalName: string }[]
}): string {
  const labels = new Set(allowedPurposes.map((purpose) => purposeLabel(purpose)))
  return renderPage({
    title: 'What bank data may be used for',
    children: (
      <>
        <h1>What bank data may be used for</h1>
        <p class="lede">
          Bank data passes only with the customer’s approval. Never for advertising. Never to third
          parties.
        </p>
        <section class="card" aria-labelledby="never">
          <h2 id="never">What never happens</h2>
          <ul>
            <li>
              No data is released to an advertiser. One who asks is refused, and the refusal is
              recorded.
            </li>
            <li>
              No data is released to a third party: nobody but the customer, and the messaging
              platform that the customer’s own bank has approved for this by its signature.
            </li>
            <li>No approval, by whomever, can be for any purpose but those listed below.</li>
          </ul>
        </section>
        <section class="card" aria-labelledby="may">
          <h2 id="may">What it may be used for</h2>
          <p>
            One purpose, which the customer reads before approving. It is among these, and the bank
            has approved it:
          </p>
          <ul>
            {[...labels].map((label) => (
              <li key={label}>{label}</li>
            ))}
          </ul>
        </section>
        <section class="card" aria-labelledby="checked">
          <h2 id="checked">What is checked each time</h2>
          <ul>
            <li>The customer’s approval is active, at that very moment, and has not ended.</li>
            <li>It names this recipient, these accounts, this data and this purpose.</li>
            <li>The bank’s own approval of the recipient stands.</li>
            <li>Whoever would see the data may see it.</li>
            <li>The release is written down before anything is sent.</li>
          </ul>
          <p>
            When an approval has ended, nothing is released under it any more. The customer ends it
            on <a href="/connections">the connections page</a>.
          </p>
        </section>
        <section class="card" aria-labelledby="verify">
          <h2 id="verify">How to check it yourself</h2>
          <p>
            Each bank has a ledger, which grows by one entry for each release and each refusal and
            from which nothing can be taken without showing. Its totals are public, with proof: how
            many releases there were, and to whom.
          </p>
          <ul>
            {banks.map(({ id, legalName }) => (
              <li key={id}>
                <Name>{legalName}</Name>: <a href={`/ledger/${id}/summary`}>totals</a>,{' '}
                <a href={`/ledger/${id}/checkpoint`}>signed checkpoint</a>,{' '}
                <a href={`/ledger/${id}/policy`}>key</a>
              </li>
            ))}
          </ul>
          <p>
            A bank’s auditors replay every entry, offline, with <code>countersign verify</code>.
          </p>
        </section>
        <section class="card" aria-labelledby="not">
          <h2 id="not">What nobody can check here</h2>
          <p>
            What a recipient does with data after a lawful release is not seen here. Text that is
            placed in a conversation is known to the platform that carries it; it is placed there
            only where the customer chose so.
          </p>
        </section>
      </>
    ),
  })
}
