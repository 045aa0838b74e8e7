import type { Figures } from '../broker/deliver.ts'
import { currencyOf } from '../broker/minimise.ts'
import { plainDate } from '../consent/plain_date.ts'
import { accountName } from './account_name.ts'
import { Form, renderPage, Time, type Csrf } from './layout.tsx'

/**
 * What a pointer opens: no figures, no bank, no recipient, no event, whoever looks. Nothing is looked up for it, so it says
 * the same of a pointer that never was.
 */
export function pointerPage({ pointer, csrf }: Csrf & { pointer: string }): string {
  return renderPage({
    title: 'Something for you',
    children: (
      <>
        <h1>There is something for you to see</h1>
        <div class="card">
          <p>
            It is shown when you press the button, and only in a browser in which you logged in at
            your bank. In any other browser, you log in at your bank first.
          </p>
          <Form action={`/d/${pointer}`} csrf={csrf}>
            <div class="actions">
              <button id="show">Show it to me</button>
            </div>
          </Form>
        </div>
        <div class="card">
          <h2>You do not want this?</h2>
          <p>You can stop the connection that this link belongs to, without logging in.</p>
          <Form action={`/d/${pointer}/stop`} csrf={csrf}>
            <div class="actions">
              <button id="stop" class="quiet">
                Stop this connection
              </button>
            </div>
          </Form>
        </div>
      </>
    ),
  })
}

/** The figures, masked, with the place in the ledger where this showing is recorded. */
export function deliveryPage({
  bank,
  figures,
  entry,
}: {
  bank: string
  figures: readonly Figures[]
  entry: { readonly n: number; readonly hash: string }
}): string {
  return renderPage({
    title: 'Your accounts',
    children: (
      <>
        <h1>
          Your accounts at <bdi>{bank}</bdi>
        </h1>
        {figures.map((one, index) => (
          <section class="card" key={index}>
            <h2>
              <bdi>{accountName(one.account)}</bdi>
            </h2>
            <Balances {...one} />
            <Transactions {...one} />
          </section>
        ))}
        <p class="small soft">
          This showing is recorded as entry {entry.n} of the ledger, leaf hash{' '}
          <code>{entry.hash}</code>. Neither the recipient nor Meta received these figures.
        </p>
      </>
    ),
  })
}

function Balances({ account }: Pick<Figures, 'account'>) {
  const asOf = account['balanceAsOf']
  return (
    <>
      {balanceLabels.map(([member, label]) => {
        const figure = money(account[member], currencyOf(account))
        return (
          figure !== undefined && (
            <p class="figure" key={member}>
              {label} <strong>{figure}</strong>
            </p>
          )
        )
      })}
      {typeof asOf === 'string' && isTime(asOf) && (
        <p class="small soft">
          As of <Time at={new Date(asOf).toISOString()} />
        </p>
      )}
    </>
  )
}

const balanceLabels = [
  ['currentBalance', 'Balance'],
  ['availableBalance', 'Available'],
  ['availableCredit', 'Available credit'],
  ['creditLine', 'Credit line'],
] as const

function Transactions({ account, transactions }: Figures) {
  if (transactions.length === 0) return null
  const currency = currencyOf(account)
  return (
    <>
      <h3>Transactions{currency !== undefined && `, ${currency}`}</h3>
      <ul class="transactions">
        {transactions.map((transaction, index) => (
          <li key={index}>
            <div>
              <bdi>{text(transaction['description']) ?? text(transaction['payee'])}</bdi>
              <Day at={transaction['transactionTimestamp']} />
            </div>
            <b>
              {transaction['debitCreditMemo'] === 'DEBIT' && '−'}
              {money(transaction['amount'])}
            </b>
          </li>
        ))}
      </ul>
    </>
  )
}

function Day({ at }: { at: unknown }) {
  if (typeof at !== 'string' || !isTime(at)) return null
  const time = new Date(at).toISOString()
  return <time dateTime={time}>{plainDate(time)}</time>
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

const isTime = (value: string): boolean => !Number.isNaN(Date.parse(value))

/** `1,234.50 USD`; undefined for what is no amount. */
function money(value: unknown, currency?: string): string | undefined {
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined
  const digits = new Intl.NumberFormat('en', {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  }).format(value)
  return currency === undefined ? digits : `${digits} ${currency}`
}
