import type { BankEntry } from './banks/directory.ts'

export interface Message {
  readonly from: 'you' | 'page'
  readonly text: string
  readonly link?: string
}

interface Shown {
  readonly consentId: string
  readonly bank: string
  readonly delivery: string
}

/** One thread, and what can be said in it. */
export function MessengerPage({
  banks,
  connections,
  thread,
}: {
  banks: readonly BankEntry[]
  connections: readonly Shown[]
  thread: readonly Message[]
}) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Demo Messenger</title>
        <style>{style}</style>
      </head>
      <body>
        <main>
          <h1>Demo Messenger</h1>
          <section aria-label="Thread">
            {thread.length === 0 ? <p>Nothing yet. Link a bank to begin.</p> : null}
            {thread.map(({ from, text, link }, i) => (
              <p key={i} class={from}>
                {text} {link === undefined ? null : <a href={link}>open</a>}
              </p>
            ))}
          </section>
          {connections.map(({ consentId, bank, delivery }) => (
            <form method="post" key={consentId}>
              <input type="hidden" name="consent" value={consentId} />
              <strong>{bank}</strong> ({delivery === 'in_thread' ? 'in the thread' : 'by link'}){' '}
              <button formaction="/show">What is my balance?</button>{' '}
              <button formaction="/stop">STOP</button>
            </form>
          ))}
          <form method="post" action="/link">
            <label for="bank">Link a bank</label>{' '}
            <select id="bank" name="bank">
              {banks.map(({ id, legalName }) => (
                <option key={id} value={id}>
                  {legalName}
                </option>
              ))}
            </select>{' '}
            <button id="link-out" name="delivery" value="link_out">
              By link (no figures here)
            </button>{' '}
            <button id="in-thread" name="delivery" value="in_thread">
              In the thread (Meta sees it)
            </button>
          </form>
        </main>
      </body>
    </html>
  )
}

const style = `
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f0f2f5; color: #1c1e21 }
main { max-width: 40rem; margin: 0 auto; padding: 1rem }
section p { background: #fff; border-radius: 1rem; padding: .5rem 1rem; width: fit-content }
section p.you { background: #0a5ad4; color: #fff; margin-left: auto }
form { background: #fff; border-radius: .5rem; padding: 1rem; margin: .5rem 0 }
button, select { font: inherit; padding: .4rem .8rem }
`
