import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { BankUnavailable } from '../broker/bank_port.ts'
import { errorCode } from '../storage/error_code.ts'
import { marking } from '../storage/owned_sockets.ts'
import { EgressRefused } from './egress_refused.ts'
import { isPublicAddress, publicLookup, resolveBySystem, type Resolve } from './public_address.ts'

export interface GatewayOptions {
  /** `host:port` of every place that may be reached. A set may grow, and has them as `hostOf` gives them. */
  readonly allowedHosts: readonly string[] | ReadonlySet<string>
  /** Allows plain http and private addresses. */
  readonly sandbox: boolean
  /** From the call to the last byte of the answer. */
  readonly timeout_ms: number
  /** The longest silence of the other side. The total by default. */
  readonly idle_ms?: number
  readonly body_bytes_max: number
  /** PEM: who we are to hosts that ask for a client certificate, and whom we trust in place of the public authorities. */
  readonly tls?: { readonly cert?: string; readonly key?: string; readonly ca?: string }
  readonly resolve?: Resolve
}

export interface EgressRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | undefined
  /** Gives the answer up. */
  readonly signal?: AbortSignal | undefined
  readonly body_bytes_max?: number
}

export interface EgressAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** The only way out of the process. */
export interface Gateway {
  /**
   * One exchange with an allow-listed host, bounded in time and size. Redirects are answers and never followed; compressed
   * answers are refused. Throws `EgressRefused` before anything is sent, `BankUnavailable` for what goes wrong after.
   */
  request(request: EgressRequest): Promise<EgressAnswer>
  /** Whether the gateway opened this socket or made this request. */
  owns(socketOrRequest: object): boolean
  /** Closes all connections. Exchanges under way fail. */
  close(): void
}

/** Connections to one host at a time; further requests wait for one, within their own time. */
const sockets_per_host_max = 256
const idle_sockets_per_host_max = 64

interface Way {
  readonly options: GatewayOptions
  readonly owned: WeakSet<object>
  readonly http: HttpAgent
  readonly https: HttpsAgent
  closed: boolean
}

/** Throws when an entry of the allow-list is not `host:port`. */
export function openGateway(options: GatewayOptions): Gateway {
  const { allowedHosts } = options
  const allowed = 'has' in allowedHosts ? allowedHosts : new Set(allowedHosts.map(readHost))
  const owned = new WeakSet<object>()
  const pool = {
    keepAlive: true,
    maxSockets: sockets_per_host_max,
    maxFreeSockets: idle_sockets_per_host_max,
    ...(options.sandbox ? {} : { lookup: publicLookup(options.resolve ?? resolveBySystem) }),
  }
  const http = marking(new HttpAgent(pool), owned)
  const https = marking(new HttpsAgent({ ...pool, ...options.tls }), owned)
  const way: Way = { options, owned, http, https, closed: false }
  return {
    async request(request) {
      const url = admit(request.url, { allowed, sandbox: options.sandbox })
      return exchange(way, { request, url, deadline: performance.now() + options.timeout_ms })
    },
    owns: (socketOrRequest) => owned.has(socketOrRequest),
    close() {
      way.closed = true
      http.destroy()
      https.destroy()
    },
  }
}

/** `host:port` of a URL, with the scheme's own port where it names none. */
export function hostOf(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`
}

function readHost(entry: string): string {
  const url = URL.canParse(`https://${entry}`) ? new URL(`https://${entry}`) : undefined
  if (url === undefined || !/:\d+$/.test(entry) || url.pathname !== '/' || url.username !== '')
    throw new Error(`an allowed host is given as host:port, not as ${entry}`)
  return hostOf(url)
}

function admit(
  asked: string,
  { allowed, sandbox }: { allowed: ReadonlySet<string>; sandbox: boolean },
) {
  const url = new URL(asked)
  const host = hostOf(url)
  if (!allowed.has(host)) throw new EgressRefused('host_not_allowed', host)
  if (url.protocol !== 'https:' && !(sandbox && url.protocol === 'http:'))
    throw new EgressRefused('not_https', host)
  if (url.username !== '' || url.password !== '')
    throw new EgressRefused('credentials_in_url', host)
  // An address in place of a name is never looked up, so it is judged here.
  const address = url.hostname.replace(/^\[|\]$/g, '')
  if (!sandbox && isIP(address) !== 0 && !isPublicAddress(address))
    throw new EgressRefused('private_address', host)
  return url
}

interface Exchange {
  readonly request: EgressRequest
  readonly url: URL
  /** On the clock of `performance.now()`. */
  readonly deadline: number
}

async function exchange(way: Way, asked: Exchange): Promise<EgressAnswer> {
  for (;;) {
    const { answer, stale } = send(way, asked)
    try {
      return await answer
    } catch (error) {
      // The other side closed an idle connection just as we picked it; nothing was heard, and asking again is harmless.
      if (asked.request.method === 'GET' && stale(error) && !way.closed) continue
      throw error instanceof BankUnavailable ? error : asUnavailable(error, hostOf(asked.url))
    }
  }
}

function send({ options, owned, http, https }: Way, { request, url, deadline }: Exchange) {
  const encrypted = url.protocol === 'https:'
  const sent = (encrypted ? httpsRequest : httpRequest)(url, {
    method: request.method,
    headers: { ...request.headers, 'accept-encoding': 'identity' },
    agent: encrypted ? https : http,
    timeout: options.idle_ms ?? options.timeout_ms,
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  })
  owned.add(sent)
  let heard = false
  const answer = new Promise<EgressAnswer>((resolve, reject) => {
    const late = () => fail(new BankUnavailable('timeout', `${hostOf(url)} did not answer in time`))
    const total = setTimeout(late, deadline - performance.now())
    const fail = (error: Error) => {
      clearTimeout(total)
      reject(error)
      sent.destroy()
    }
    sent.on('timeout', late)
    sent.on('error', fail)
    sent.on('response', (incoming) => {
      heard = true
      const bytes_max = request.body_bytes_max ?? options.body_bytes_max
      receive(incoming, { host: hostOf(url), bytes_max }, fail, (body) => {
        clearTimeout(total)
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body })
      })
    })
    sent.end(request.body)
  })
  return {
    answer,
    stale: (error: unknown) => sent.reusedSocket && !heard && errorCode(error) === 'ECONNRESET',
  }
}

/** Counts while it collects, so that an answer without a length, or with a false one, is cut off at the limit too. */
function receive(
  incoming: IncomingMessage,
  { host, bytes_max }: { host: string; bytes_max: number },
  fail: (error: Error) => void,
  done: (body: Buffer) => void,
): void {
  const tooLarge = () =>
    fail(new BankUnavailable('too_large', `${host} answered more than ${bytes_max} bytes`))
  const { 'content-encoding': encoding, 'content-length': length } = incoming.headers
  if (encoding !== undefined && encoding !== 'identity')
    return fail(new BankUnavailable('bad_answer', `${host} compressed its answer unasked`))
  if (Number(length) > bytes_max) return tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > bytes_max) tooLarge()
    else chunks.push(chunk)
  })
  incoming.on('error', fail)
  incoming.on('end', () =>
    done(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)),
  )
}

function asUnavailable(error: unknown, host: string): BankUnavailable {
  const code = errorCode(error) ?? ''
  if (code === 'ABORT_ERR')
    return new BankUnavailable('timeout', `${host} was no longer waited for`)
  const why = code.startsWith('HPE_') ? 'bad_answer' : 'unreachable'
  return new BankUnavailable(why, `${host} could not be asked: ${code || String(error)}`)
}
