import { Form, Name, renderPage, Steps, type Csrf } from './layout.tsx'

/**
 * Where a customer arrives: who asks, for which Messenger profile, at which bank, and what happens next. The profile is named
 * because whoever started this is not always who reads it: someone sent here by a stranger must see the stranger's name.
 */
export function interstitialPage({
  recipient,
  profile,
  bank,
  csrf,
}: Csrf & { recipient: string; profile: string; bank: string }): string {
  return renderPage({
    title: 'Link a Messenger profile to your bank',
    children: (
      <>
        <Steps now={1} />
        <h1>Link a Messenger profile to your bank?</h1>
        <div class="card">
          <dl>
            <dt>Who asks</dt>
            <dd>
              <Name>{recipient}</Name>
            </dd>
            <dt>Your bank</dt>
            <dd>
              <Name>{bank}</Name>
            </dd>
            <dt>Messenger profile</dt>
            <dd>
              You are linking to the Messenger profile <Name>{`“${profile}”`}</Name>
            </dd>
          </dl>
          <p class="note warn">
            If this profile is not yours, or if you did not ask for this yourself in Messenger,
            cancel.
          </p>
        </div>
        <div class="card">
          <h2>What happens next</h2>
          <ol>
            <li>
              You log in at {bank}, on its own site, and choose accounts. Countersign never sees
              your password.
            </li>
            <li>You come back here and read what would be shared, with whom, and for how long.</li>
            <li>You approve or decline. Until you approve, nothing is passed on.</li>
          </ol>
        </div>
        <Form action="/oauth/authorize/continue" csrf={csrf}>
          <div class="actions">
            <button id="continue">Continue to {bank}</button>
            <button id="cancel" class="quiet" formaction="/oauth/authorize/cancel">
              Cancel
            </button>
          </div>
        </Form>
      </>
    ),
  })
}
