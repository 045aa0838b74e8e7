import { clusters } from '../consent/cluster.ts'
import { notActive, type Consent } from '../consent/consent.ts'
import { purposeLabel } from '../consent/purpose.ts'
import { actorWords } from './actor_words.ts'
import type { Connection } from '../storage/connections.ts'
import { Form, Name, renderPage, Time, type Csrf } from './layout.tsx'

/** Every consent of one bank login, active and ended, and the ways to end or narrow the active ones: one step each. */
export function connectionsPage({
  bank,
  connections,
  at,
  problem,
  csrf,
}: Csrf & {
  bank: string
  connections: readonly Connection[]
  /** The time it is, RFC 3339 UTC: a consent past its end is ended, whether or not that is written yet. */
  at: string
  problem?: string
}): string {
  const active = connections.filter(({ consent }) => notActive(consent, at) === undefined)
  const ended = connections.filter((connection) => !active.includes(connection))
  return renderPage({
    title: 'Your connections',
    children: (
      <>
        <h1>
          Your connections at <bdi>{bank}</bdi>
        </h1>
        {problem !== undefined && (
          <p class="note bad" role="alert" id="problem">
            {problem}
          </p>
        )}
        <p class="lede">
          {active.length === 0
            ? 'Nobody has access to your accounts through Countersign.'
            : 'Ending access takes effect at once. Ask again in Messenger whenever you want it back.'}
        </p>
        {active.map((connection, index) => (
          <Active key={connection.consent.id} {...{ connection, index, csrf }} />
        ))}
        <Form action="/connections/leave" csrf={csrf} class="actions">
          {active.length > 0 && (
            <button id="revoke-all" formaction="/connections/revoke-all">
              End all access
            </button>
          )}
          <button id="leave" class="quiet">
            Leave this page
          </button>
        </Form>
        {ended.length > 0 && (
          <section aria-labelledby="ended">
            <h2 id="ended">Ended</h2>
            {ended.map((connection) => (
              <div class="card connection" key={connection.consent.id}>
                <Facts {...connection} state={endedWords[connection.consent.state]} />
                <Recorded {...connection} />
              </div>
            ))}
          </section>
        )}
        <p class="small soft">
          Changing your password at the bank does not end access. What was shown before is not
          undone by ending it.
        </p>
      </>
    ),
  })
}

function Active({ connection, index, csrf }: Csrf & { connection: Connection; index: number }) {
  const { consent, accounts } = connection
  const fields = <input type="hidden" name="consent" value={consent.id} />
  return (
    <section class="card connection" id={`connection-${index}`}>
      <Facts {...connection} state="Active" />
      <Recorded {...connection} />
      {accounts.length > 1 && (
        <details>
          <summary>Share fewer accounts</summary>
          <Form action="/connections/narrow" csrf={csrf}>
            {fields}
            <fieldset>
              <legend>Accounts that stay shared</legend>
              {accounts.map(({ handle, display }, account) => (
                <label class="tick" key={handle}>
                  <input
                    type="checkbox"
                    id={`keep-${index}-${account}`}
                    name="account"
                    value={handle}
                    checked
                  />
                  <bdi>{display}</bdi>
                </label>
              ))}
            </fieldset>
            <button id={`narrow-${index}`} class="quiet">
              Share only the ticked accounts
            </button>
          </Form>
        </details>
      )}
      <Form action="/connections/revoke" csrf={csrf} class="end">
        {fields}
        <button id={`revoke-${index}`}>
          End access of <bdi>{connection.recipient}</bdi>
        </button>
      </Form>
    </section>
  )
}

const Recorded = ({ consent, recipient }: Connection) => (
  <p>
    <a
      href={`/connections/${consent.id}/entries`}
      aria-label={`What was recorded of the access of ${recipient}`}
    >
      What was recorded
    </a>
  </p>
)

const endedWords = { active: 'Expired', expired: 'Expired', revoked: 'Ended' } as const

function Facts({
  consent,
  recipient,
  accounts,
  lastRelease,
  state,
}: Connection & { state: 'Active' | 'Expired' | 'Ended' }) {
  const { terms, granted } = consent
  return (
    <>
      <h2>
        <Name>{recipient}</Name>{' '}
        <span class={state === 'Active' ? 'state' : 'state ended'}>{state}</span>
      </h2>
      <dl>
        <dt>Accounts</dt>
        <dd>
          <ul>
            {accounts.map(({ handle, display }) => (
              <li key={handle}>
                <bdi>{display}</bdi>
              </li>
            ))}
          </ul>
        </dd>
        <dt>Data</dt>
        <dd>
          <ul>
            {terms.clusters.map((name) => (
              <li key={name}>{clusters[name].label}</li>
            ))}
          </ul>
        </dd>
        <dt>Purpose</dt>
        <dd>{asSentence(purposeLabel(terms.purpose))}</dd>
        <dt>Delivery</dt>
        <dd>
          {terms.delivery === 'in_thread'
            ? 'In the Messenger conversation, where Meta sees it'
            : 'On a page of Countersign, by a link'}
        </dd>
        <dt>Approved</dt>
        <dd>
          <Time at={granted} />
        </dd>
        <dt>{state === 'Active' ? 'Ends' : 'Last day agreed'}</dt>
        <dd>
          <Time at={terms.expires} />
        </dd>
        <dt>Last release</dt>
        <dd>{lastRelease === undefined ? 'None yet' : <Time at={lastRelease} />}</dd>
        {'ended' in consent && (
          <>
            <dt>Ended</dt>
            <dd>
              <Time at={consent.ended.at} />, {endedBy(consent)}
            </dd>
          </>
        )}
      </dl>
    </>
  )
}

const asSentence = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1)

/** Who or what ended a consent, in the customer's words. */
function endedBy(consent: Extract<Consent, { ended: unknown }>): string {
  if (consent.state === 'revoked') return actorWords[consent.ended.by]
  return consent.ended.cause === 'term' ? 'at its end date' : 'because it was never used'
}
