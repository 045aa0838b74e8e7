import { once } from 'node:events'
import { createServer } from 'node:http'

/**
 * A process that plays the data API of every bank, and costs little: each customer has the same two accounts, and any token
 * opens them. Tells the port that it listens on.
 */
const account = {
  accountCategory: 'DEPOSIT_ACCOUNT',
  accountType: 'CHECKING',
  productName: 'Everyday Checking',
  status: 'OPEN',
  currency: { currencyCode: 'USD' },
  accountNumber: '000123454242',
  balanceAsOf: '2026-01-01T00:00:00.000Z',
  currentBalance: 1234.56,
  availableBalance: 1200,
}

const accounts = Buffer.from(
  JSON.stringify({
    page: { totalElements: 2 },
    accounts: [
      { accountId: 'stub-1', ...account },
      { accountId: 'stub-2', ...account, accountType: 'SAVINGS', accountNumber: '000123450007' },
    ],
  }),
)
const headers = { 'content-type': 'application/json', 'content-length': accounts.length }

process.once('disconnect', () => process.exit(1))
const server = createServer((req, res) => {
  if (req.url?.includes('/fdx/v6/accounts?') === true) res.writeHead(200, headers).end(accounts)
  else res.writeHead(404).end()
})
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
if (address !== null && typeof address === 'object') process.send?.({ port: address.port })
