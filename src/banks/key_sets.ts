import { BankUnavailable } from '../broker/bank_port.ts'
import { hostOf, openGateway, type Gateway } from './egress.ts'

/** What it may take to fetch a client's keys: fifty RSA keys with certificates fit. */
const limits = { timeout_ms: 3_000, idle_ms: 2_000, body_bytes_max: 256 * 1024 } as const

/**
 * Fetches the keys that clients keep themselves, through a gateway of its own: it shows no certificate of ours, and its hosts
 * are those at which registered clients have their keys.
 */
export function openKeySets({ sandbox }: { sandbox: boolean }): {
  readonly gateway: Gateway
  /**
   * What is at the `jwks_uri` of a registered client, parsed; undefined where nothing is any more. Throws `BankUnavailable`, or
   * `SyntaxError`.
   */
  fetch(uri: string): Promise<unknown>
} {
  const allowedHosts = new Set<string>()
  const gateway = openGateway({ allowedHosts, sandbox, ...limits })
  return {
    gateway,
    async fetch(uri) {
      const host = hostOf(new URL(uri))
      allowedHosts.add(host)
      const { status, body } = await gateway.request({
        method: 'GET',
        url: uri,
        headers: { accept: 'application/jwk-set+json, application/json' },
      })
      if (status === 404 || status === 410) return undefined
      if (status !== 200) throw new BankUnavailable('bad_answer', `${host} answered ${status}`)
      return JSON.parse(body.toString())
    },
  }
}
