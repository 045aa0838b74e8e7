import type { ComponentChildren } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { maskedNumber } from './account.ts'
import type { Account } from './account.ts'
import { clustersAsked } from './consent_grant.ts'
import type { ConsentRequest } from './consent_grant.ts'

/** How a bank presents itself. */
export interface Brand {
  readonly legalName: string
  /** CSS colour, dark enough for white text. */
  readonly colour: string
}

/** The bank's login form. It posts `username` and `password`, or `decision=deny`, to the page's own address. */
export function loginPage(
  brand: Brand,
  {
    who,
    logins,
    error,
  }: {
    who: 'customers' | 'staff'
    logins: readonly string[]
    error?: string | undefined
  },
): string {
  return document(brand, {
    title: who === 'staff' ? 'Log in as a member of staff' : 'Log in',
    error,
    children: (
      <form method="post">
        <label for="username">Username</label>
        <input id="username" name="username" autocomplete="username" required />
        <label for="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          autocomplete="current-password"
          required
        />
        <p>
          <button id="login">Log in</button>{' '}
          <button id="deny" name="decision" value="deny" formnovalidate>
            Cancel
          </button>
        </p>
        <p>This bank is a demonstration. Logins: {logins.join(', ')}.</p>
      </form>
    ),
  })
}

/** The bank's account choice. It posts one `account` for each box ticked, and `decision`, to the page's own address. */
export function accountsPage(
  brand: Brand,
  {
    accounts,
    request,
    error,
  }: { accounts: readonly Account[]; request: ConsentRequest; error?: string | undefined },
): string {
  const { lookbackPeriod, durationType, durationPeriod } = request
  return document(brand, {
    title: 'Choose accounts to share',
    error,
    children: (
      <form method="post">
        <p>
          Countersign asks for{' '}
          {clustersAsked(request)
            .map((name) => clusterNames[name])
            .join(', ')}
          , reaching {lookbackPeriod} days back,{' '}
          {durationType === 'ONE_TIME' ? 'once' : `for ${durationPeriod} days`}.
        </p>
        <fieldset>
          <legend>Accounts</legend>
          {accounts.map((account, index) => (
            <p key={account.accountId}>
              <input
                type="checkbox"
                id={`account-${index + 1}`}
                name="account"
                value={account.accountId}
              />{' '}
              <label for={`account-${index + 1}`}>
                {account.productName} {maskedNumber(account)}
              </label>
            </p>
          ))}
        </fieldset>
        <p>
          <button id="allow" name="decision" value="allow">
            Allow
          </button>{' '}
          <button id="deny" name="decision" value="deny">
            Deny
          </button>
        </p>
      </form>
    ),
  })
}

/** Whether to log out at the bank too. `form` is the authorization server's own. */
export function logoutPage(brand: Brand, form: string): string {
  return document(brand, {
    title: 'Log out',
    error: undefined,
    children: (
      <>
        <div dangerouslySetInnerHTML={{ __html: form }} />
        <p>You are logged out of Countersign. Log out of {brand.legalName} too?</p>
        <p>
          <button id="log-out" form="op.logoutForm" name="logout" value="yes">
            Log out
          </button>{' '}
          <button id="stay" form="op.logoutForm">
            Stay logged in
          </button>
        </p>
      </>
    ),
  })
}

export function loggedOutPage(brand: Brand): string {
  return document(brand, { title: 'You are logged out', error: undefined, children: null })
}

/** What the customer sees when a request cannot go on. */
export function errorPage(brand: Brand, error: string): string {
  return document(brand, { title: 'This request cannot continue', error, children: null })
}

const clusterNames: Readonly<Record<string, string>> = {
  ACCOUNT_BASIC: 'account names and numbers',
  BALANCES: 'balances',
  TRANSACTIONS: 'transactions',
  FRAUD_ALERTS: 'fraud alerts',
}

function document(
  { legalName, colour }: Brand,
  {
    title,
    error,
    children,
  }: { title: string; error: string | undefined; children: ComponentChildren },
): string {
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${title} – ${legalName}`}</title>
        <style dangerouslySetInnerHTML={{ __html: `:root { --brand: ${colour} } ${styles}` }} />
      </head>
      <body>
        <header>{legalName}</header>
        <main>
          <h1>{title}</h1>
          {error && <p role="alert">{error}</p>}
          {children}
        </main>
      </body>
    </html>
  )
  return `<!doctype html>${renderToString(page)}`
}

const styles = `
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: #1c1c1c; background: #f4f4f4 }
header { padding: 1rem 2rem; font-weight: bold; color: #fff; background: var(--brand) }
main { max-width: 32rem; margin: 2rem auto; padding: 1rem 2rem 2rem; background: #fff }
label[for=username], label[for=password] { display: block; margin-top: 1rem }
input:not([type=checkbox]) { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit }
fieldset { border: 1px solid #767676 }
button { padding: .5rem 1.5rem; font: inherit; color: var(--brand); background: #fff; border: 2px solid var(--brand) }
#login, #allow { color: #fff; background: var(--brand) }
[role=alert] { padding: .5rem 1rem; border-left: 4px solid #b00020 }`
