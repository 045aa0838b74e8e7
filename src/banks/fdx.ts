import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import {
  BankRefused,
  BankUnavailable,
  type Bank,
  type BankAccess,
  type BankPort,
  type FdxAccount,
  type FdxTransaction,
} from '../broker/bank_port.ts'
import type { ProofFor } from './dpop.ts'
import type { EgressAnswer, Gateway } from './egress.ts'

/** A bank that lists accounts in more pages than this is not asked for the rest. */
const account_pages_max = 10

const accounts_max = 10_000

// Only what is relied on: banks add members of their own, and the minimiser passes none that it does not name.
const ajv = new Ajv2020()
const text = { type: 'string', minLength: 1, maxLength: 256 }
const time = { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}' }
const isAccounts = ajv.compile<{ page?: { nextOffset?: string }; accounts: FdxAccount[] }>({
  type: 'object',
  required: ['accounts'],
  properties: {
    page: { type: 'object', properties: { nextOffset: text } },
    accounts: {
      type: 'array',
      items: { type: 'object', required: ['accountId'], properties: { accountId: text } },
    },
  },
})
const isTransactions = ajv.compile<{
  page?: { nextPageKey?: string }
  transactions: FdxTransaction[]
}>({
  type: 'object',
  required: ['transactions'],
  properties: {
    page: { type: 'object', properties: { nextPageKey: { type: 'string', minLength: 1 } } },
    transactions: {
      type: 'array',
      items: {
        type: 'object',
        required: ['transactionId', 'transactionTimestamp'],
        properties: { transactionId: text, transactionTimestamp: time },
      },
    },
  },
})

/**
 * The bank's data API in FDX v6, asked with a DPoP-bound token. Throws `BankRefused('invalid_token')` when the bank does not
 * accept the token for the request, and `BankUnavailable` for every answer that is not what FDX promises.
 */
export function openFdx({
  gateway,
  prove,
}: {
  gateway: Pick<Gateway, 'request'>
  prove: (proof: ProofFor) => string
}): Pick<BankPort, 'accounts' | 'transactions'> {
  const nonces = new Map<string, string>()

  const once = async (url: string, access: BankAccess): Promise<EgressAnswer> => {
    const { origin } = new URL(url)
    const { accessToken, interaction } = access
    const proof = prove({ method: 'GET', url, accessToken, nonce: nonces.get(origin) })
    const answer = await gateway.request({
      method: 'GET',
      url,
      headers: {
        accept: 'application/json',
        authorization: `DPoP ${accessToken}`,
        dpop: proof,
        'x-fapi-interaction-id': interaction,
      },
    })
    const nonce = answer.headers['dpop-nonce']
    if (typeof nonce === 'string') nonces.set(origin, nonce)
    return answer
  }

  const ask = async <T>(url: string, access: BankAccess, is: ValidateFunction<T>): Promise<T> => {
    const first = await once(url, access)
    const answer = wantsNonce(first) ? await once(url, access) : first
    return read(answer, is)
  }

  return {
    async accounts(bank, access) {
      const found: FdxAccount[] = []
      let offset: string | undefined
      for (let pages = 0; pages < account_pages_max; pages++) {
        const url = urlOf(bank, '/accounts', { resultType: 'details', offset })
        const answer = await ask(url, access, isAccounts)
        for (const account of answer.accounts) found.push(account)
        if (found.length > accounts_max)
          throw new BankUnavailable(
            'too_large',
            `${bank.id} lists more than ${accounts_max} accounts`,
          )
        offset = answer.page?.nextOffset
        if (offset === undefined) return found
      }
      throw new BankUnavailable('too_large', `${bank.id} lists accounts without an end`)
    },
    async transactions(bank, access, { accountId, startTime, endTime, pageKey, limit }) {
      const path = `/accounts/${encodeURIComponent(accountId)}/transactions`
      const query = { startTime, endTime, pageKey, limit: String(limit) }
      const answer = await ask(urlOf(bank, path, query), access, isTransactions)
      const { transactions, page: { nextPageKey } = {} } = answer
      return nextPageKey === undefined ? { transactions } : { transactions, nextPageKey }
    },
  }
}

function urlOf(bank: Bank, path: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  return `${bank.fdxBaseUrl}${path}?${new URLSearchParams(given).toString()}`
}

/** RFC 9449 §9: the answer carries the nonce to use. */
function wantsNonce({ status, headers }: EgressAnswer): boolean {
  const challenge = headers['www-authenticate'] ?? ''
  return status === 401 && 'dpop-nonce' in headers && challenge.includes('use_dpop_nonce')
}

function read<T>({ status, headers, body }: EgressAnswer, is: ValidateFunction<T>): T {
  // RFC 6750 §3.1: with 403 the token is good, and the bank's consent does not reach so far.
  if (status === 401) throw new BankRefused('invalid_token')
  if (status !== 200) throw new BankUnavailable('bad_answer', `the bank answered ${status}`)
  const type = headers['content-type'] ?? ''
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type))
    throw new BankUnavailable('bad_answer', 'the bank sent something other than JSON')
  const value = parse(body)
  if (is(value)) return value
  const { instancePath = '', message = 'is wrong' } = is.errors?.[0] ?? {}
  throw new BankUnavailable('bad_answer', `the bank's answer${instancePath} ${message}`)
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    throw new BankUnavailable('bad_answer', 'the bank sent what is not JSON')
  }
}
