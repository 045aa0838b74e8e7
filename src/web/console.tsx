import type { ComponentChildren } from 'preact'
import type { Notice } from './error.tsx'
import { Banks, Form, Logo, Name, renderDocument, Time, type Csrf } from './layout.tsx'

/** What the console's page tells its script, as JSON in `data-told` of `#console`. */
export interface ConsoleTold extends Csrf {
  readonly bank: { readonly id: string; readonly legalName: string }
  /** Of the bank's ledger, and the key that its checkpoints are signed by. */
  readonly origin: string
  readonly vkey: string
  /** The ledger's signed size as the page was made. */
  readonly size: number
  /** `name` as the bank has it; `id` is what the ledger's `access` entries name. */
  readonly staff: { readonly id: string; readonly name?: string }
  /** When the session ends however much it is used, RFC 3339. */
  readonly until: string
}

interface Loaded {
  readonly href: string
  readonly integrity: string
}

/** The console: who is logged in, until when, the way out, and a place that the script fills by the page's address. */
export function consolePage({
  told,
  script,
  style,
}: {
  told: ConsoleTold
  script: Loaded
  style: Loaded
}): string {
  const { bank, staff, until, csrf } = told
  return render({
    title: bank.legalName,
    style,
    script,
    session: (
      <div class="session">
        <p>
          <Name>{bank.legalName}</Name>
          <br />
          <bdi id="who">{staff.name ?? staff.id}</bdi>, until <Time at={until} />
        </p>
        <Form action="/console/logout" csrf={csrf}>
          <button id="logout" class="quiet">
            Log out
          </button>
        </Form>
      </div>
    ),
    children: (
      <main id="console" data-told={JSON.stringify(told)} tabIndex={-1}>
        <noscript>
          <p>The console checks proofs in your browser, and needs JavaScript for it.</p>
        </noscript>
      </main>
    ),
  })
}

/** Where an auditor logs in: the banks to choose from, or the one whose page was asked for. */
export function consoleLoginPage({
  banks,
  back,
  csrf,
}: Csrf & {
  banks: readonly { readonly id: string; readonly legalName: string }[]
  /** Where the login leads back to. */
  back?: string | undefined
}): string {
  return render({
    title: 'Log in',
    children: (
      <main id="console">
        <h1>Auditor console</h1>
        <p class="lede">
          For a bank’s own auditors. You log in at the bank, on its own site; Countersign never sees
          your password. What you read of the ledger is itself recorded there.
        </p>
        <Form action="/console/login" csrf={csrf} class="card">
          {back === undefined ? null : <input type="hidden" name="back" value={back} />}
          <h2>{banks.length === 1 ? 'Your bank' : 'Choose your bank'}</h2>
          {banks.length === 0 ? <p>No bank has its staff log in here yet.</p> : null}
          <Banks banks={banks} />
        </Form>
      </main>
    ),
  })
}

/** Something did not go on. */
export function consoleErrorPage({ title, what, todo }: Notice): string {
  return render({
    title,
    children: (
      <main id="console">
        <h1>{title}</h1>
        <div class="card" role="alert">
          <p>{what}</p>
          <p>{todo}</p>
          <p>
            <a href="/console">To the console</a>
          </p>
        </div>
      </main>
    ),
  })
}

function render({
  title,
  style,
  script,
  session,
  children,
}: {
  title: string
  style?: Loaded
  script?: Loaded
  session?: ComponentChildren
  children: ComponentChildren
}): string {
  return renderDocument({
    title: `${title} – Countersign console`,
    main: 'console',
    head: (
      <>
        {style && <link rel="stylesheet" href={style.href} integrity={style.integrity} />}
        {script && <script type="module" src={script.href} integrity={script.integrity} />}
      </>
    ),
    class: 'console',
    children: (
      <>
        <header>
          <a class="home" href="/console">
            <Logo />
            Countersign console
          </a>
          {session}
        </header>
        {children}
      </>
    ),
  })
}
