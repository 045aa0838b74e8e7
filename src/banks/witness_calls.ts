import { createHash } from 'node:crypto'
import { BankUnavailable } from '../broker/bank_port.ts'
import { WitnessUnavailable, type WitnessAnswer, type WitnessPort } from '../broker/witness_port.ts'
import { hostOf, openGateway, type EgressRequest, type Gateway } from './egress.ts'

/** A witness has a hundred lines to say at most. */
const limits = { timeout_ms: 2_000, idle_ms: 2_000, body_bytes_max: 64 * 1024 } as const

/** Calls to the witnesses at these URLs, through a gateway of their own that reaches nobody else and shows no certificate of ours. */
export function openWitnessCalls(
  urls: readonly string[],
  { sandbox }: { sandbox: boolean },
): WitnessPort & { readonly gateway: Gateway } {
  const allowedHosts = urls.map((url) => hostOf(new URL(url)))
  const gateway = openGateway({ allowedHosts, sandbox, ...limits })
  const call = async (request: EgressRequest): Promise<WitnessAnswer> => {
    try {
      const { status, headers, body } = await gateway.request(request)
      const [type = ''] = (headers['content-type'] ?? '').split(';')
      const retryAfter = headers['retry-after']
      return {
        status,
        type: type.trim().toLowerCase(),
        body,
        ...(/^\d{1,6}$/.test(retryAfter ?? '') && { retryAfter_ms: Number(retryAfter) * 1_000 }),
      }
    } catch (error) {
      if (error instanceof BankUnavailable) throw new WitnessUnavailable(error.why, error.message)
      throw error
    }
  }
  return {
    gateway,
    addCheckpoint: (url, body) =>
      call({
        method: 'POST',
        url: at(url, 'add-checkpoint'),
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body,
      }),
    latest: (url, origin) =>
      call({
        method: 'GET',
        url: at(url, `${createHash('sha256').update(origin).digest('hex')}/checkpoint`),
        headers: { accept: 'text/plain' },
      }),
  }
}

const at = (prefix: string, path: string) => `${prefix.replace(/\/$/, '')}/${path}`
