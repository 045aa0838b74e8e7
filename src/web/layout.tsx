import type { ComponentChildren } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { plainDate } from '../consent/plain_date.ts'

/** What a form needs beside its own fields: the token that ties it to the browser it was shown in. */
export interface Csrf {
  readonly csrf: string
}

/** A whole page. Pages hold no script and no inline style, and load one stylesheet from here. */
export function renderPage({
  title,
  children,
}: {
  title: string
  children: ComponentChildren
}): string {
  return renderDocument({
    title: `${title} – Countersign`,
    main: 'main',
    children: (
      <>
        <header>
          <Logo />
          Countersign
        </header>
        <main id="main">{children}</main>
        <footer>
          <p>Countersign passes on bank data only with your approval, and records each release.</p>
          <p>
            <a href="/connections">See and end your connections</a> ·{' '}
            <a href="/policy">What the data may be used for</a>
          </p>
        </footer>
      </>
    ),
  })
}

/** What every page has. `main` is the id of its content, `head` what it loads beside the stylesheet of all pages. */
export function renderDocument({
  title,
  main,
  head,
  class: classes,
  children,
}: {
  title: string
  main: string
  head?: ComponentChildren
  class?: string
  children: ComponentChildren
}): string {
  return `<!doctype html>${renderToString(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>{title}</title>
        <link rel="stylesheet" href="/web/style.css" />
        <link rel="icon" type="image/svg+xml" href="/web/logo.svg" />
        {head}
      </head>
      <body class={classes}>
        <a class="skip" href={`#${main}`}>
          Skip to content
        </a>
        {children}
      </body>
    </html>,
  )}`
}

/** The sign of the house: a sheet with a second signature below the first. */
export function Logo() {
  return (
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28" aria-hidden="true">
      <rect width="28" height="28" rx="7" fill="currentColor" />
      <g fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">
        <path d="M7 10.5h8" opacity=".7" />
        <path d="M7 17.5h4l3 3 7-8.5" />
      </g>
    </svg>
  )
}

export const logoSvg = (): string =>
  renderToString(<Logo />).replace('<svg', '<svg color="#0b4a6f"')

/** A form that posts back to this site. */
export function Form({
  action,
  csrf,
  class: classes,
  children,
}: Csrf & { action: string; class?: string; children: ComponentChildren }) {
  return (
    <form method="post" action={action} class={classes}>
      <input type="hidden" name="csrf" value={csrf} />
      {children}
    </form>
  )
}

/** A name that someone else chose: set apart, and unable to turn the direction of the text around it. */
export const Name = ({ children }: { children: string }) => <bdi class="name">{children}</bdi>

/** The banks to choose from, each a button of the form they are in. */
export const Banks = ({
  banks,
}: {
  banks: readonly { readonly id: string; readonly legalName: string }[]
}) => (
  <ul class="banks">
    {banks.map(({ id, legalName }) => (
      <li key={id}>
        <button class="quiet" id={`bank-${id}`} name="bank" value={id}>
          <Name>{legalName}</Name>
        </button>
      </li>
    ))}
  </ul>
)

/** How far the customer is on the way to a decision. */
export function Steps({ now }: { now: 1 | 2 | 3 }) {
  return (
    <ol class="steps" aria-label="Progress">
      {['Check who asks', 'Log in at your bank', 'Decide'].map((step, index) => (
        <li key={step} aria-current={index + 1 === now ? 'step' : undefined}>
          {step}
        </li>
      ))}
    </ol>
  )
}

/** A time as people read it, UTC. `precise` shows milliseconds: for an instant that something is promised of. */
export function Time({ at, precise = false }: { at: string; precise?: boolean }) {
  return <time dateTime={at}>{timeInWords(at, precise)}</time>
}

const timeInWords = (at: string, precise: boolean): string =>
  `${plainDate(at)}, ${at.slice(11, precise ? 23 : 16)} UTC`
