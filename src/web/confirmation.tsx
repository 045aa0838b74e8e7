import { Name, renderPage, Time } from './layout.tsx'

/** An ended access, named where the reader may know the name. */
export interface EndedAccess {
  readonly recipient?: string
  readonly endedAt: string
  /** The instant after which nothing already under way can arrive. */
  readonly lastArrival: string
}

/** Confirms that access is ended, with the instants that the ledger gives it. */
export function endedPage({
  ended,
  back,
}: {
  ended: readonly EndedAccess[]
  back?: string
}): string {
  return renderPage({
    title: 'Access is ended',
    children: (
      <>
        <h1>Access is ended</h1>
        {ended.map((one, index) => (
          <div class="card" role="status" id={`ended-${index}`} key={index}>
            <dl>
              {one.recipient !== undefined && (
                <>
                  <dt>Who had access</dt>
                  <dd>
                    <Name>{one.recipient}</Name>
                  </dd>
                </>
              )}
              <dt>Ended</dt>
              <dd>
                <Time at={one.endedAt} precise />
              </dd>
              <dt>Nothing can arrive after</dt>
              <dd>
                <strong>
                  <Time at={one.lastArrival} precise />
                </strong>
              </dd>
            </dl>
            <p class="small soft">
              Answers already on their way when access ended are dropped at that instant.
            </p>
          </div>
        ))}
        {back !== undefined && (
          <p>
            <a id="back" href={back}>
              Back to your connections
            </a>
          </p>
        )}
      </>
    ),
  })
}

/** Confirms that fewer accounts are shared. */
export function narrowedPage({
  recipient,
  accounts,
  lastArrival,
  back,
}: {
  recipient: string
  accounts: readonly string[]
  lastArrival: string
  back: string
}): string {
  return renderPage({
    title: 'Fewer accounts are shared',
    children: (
      <>
        <h1>Fewer accounts are shared</h1>
        <div class="card" role="status">
          <p>
            <Name>{recipient}</Name> has access to these accounts and no others:
          </p>
          <ul>
            {accounts.map((account) => (
              <li key={account}>
                <bdi>{account}</bdi>
              </li>
            ))}
          </ul>
          <p>
            Of the others nothing can arrive after{' '}
            <strong>
              <Time at={lastArrival} precise />
            </strong>
            .
          </p>
        </div>
        <p>
          <a id="back" href={back}>
            Back to your connections
          </a>
        </p>
      </>
    ),
  })
}
