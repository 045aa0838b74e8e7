import { Fragment } from 'preact'
import type { DisclosurePart } from '../consent/disclosure.ts'
import { Form, Name, renderPage, Steps, type Csrf } from './layout.tsx'

/**
 * The authorization disclosure and the decision. The article holds the hashed text and nothing else; the profile and the
 * accounts stand outside it. Both answers are buttons of the same look and size.
 */
export function disclosurePage({
  parts,
  sha256,
  profile,
  accounts,
  sharedBefore,
  ticked,
  problem,
  csrf,
}: Csrf & {
  parts: readonly DisclosurePart[]
  /** Of the text shown; comes back with the decision. */
  sha256: string
  profile: string
  /** Masked names, in the order that the form's numbers count. */
  accounts: readonly string[]
  /** Masked names of the accounts of the permission that this one changes. */
  sharedBefore?: readonly string[] | undefined
  ticked: (index: number) => boolean
  problem?: string | undefined
}): string {
  return renderPage({
    title: 'Approve or decline access',
    children: (
      <>
        <Steps now={3} />
        <h1>Approve or decline access</h1>
        {problem !== undefined && (
          <p class="note bad" role="alert" id="problem">
            {problem}
          </p>
        )}
        <p class="lede">
          For the Messenger profile <Name>{`“${profile}”`}</Name>. Nothing is passed on until you
          approve.
        </p>
        <article class="card disclosure" id="disclosure">
          {parts.map((part) => (
            <Part key={part.heading} {...part} />
          ))}
        </article>
        <Form action="/oauth/authorize/decision" csrf={csrf} class="card">
          <input type="hidden" name="disclosure" value={sha256} />
          {/* The Enter key presses a form's first button. This one asks again: approval is pressed, never slipped into. */}
          <button id="neither" name="decision" value="neither" hidden />
          <fieldset>
            <legend>Accounts to share</legend>
            {sharedBefore !== undefined && (
              <p class="note" id="shared-before">
                Shared before:{' '}
                {sharedBefore.map((name, index) => (
                  <Fragment key={index}>
                    {index > 0 && ', '}
                    <bdi>{name}</bdi>
                  </Fragment>
                ))}
                . From now on those you tick, and no others.
              </p>
            )}
            {accounts.map((name, index) => (
              <label class="tick" key={index}>
                <input
                  type="checkbox"
                  id={`account-${index}`}
                  name="account"
                  value={index}
                  checked={ticked(index)}
                />
                <bdi>{name}</bdi>
              </label>
            ))}
          </fieldset>
          <div class="actions">
            <button id="approve" name="decision" value="approve">
              Approve
            </button>
            <button id="decline" name="decision" value="decline">
              Decline
            </button>
          </div>
        </Form>
      </>
    ),
  })
}

function Part({ heading, paragraphs, items }: DisclosurePart) {
  return (
    <>
      <h2>{heading}</h2>
      {paragraphs.map((paragraph) => (
        <p key={paragraph}>{paragraph}</p>
      ))}
      {items && (
        <ul>
          {items.map((item) => (
            <li key={item}>{item}</li>
          ))}
        </ul>
      )}
    </>
  )
}
