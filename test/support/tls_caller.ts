import { request, type RequestOptions } from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import { TLSSocket } from 'node:tls'
import { makeCertificate, named, type Certified } from '../../sandbox/certificates.ts'

/** A certificate for servers of tests, at `localhost` and `127.0.0.1`. */
export const serverCertificate = makeCertificate({
  subject: named('localhost'),
  dns: ['localhost'],
  ips: ['127.0.0.1'],
  usage: 'server',
})

export interface TlsAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
  /** Whether the connection went on with an earlier one's session. */
  readonly resumed: boolean
}

export interface TlsCall {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly form?: Readonly<Record<string, string | undefined>>
  /** The client certificate. */
  readonly as?: Certified | undefined
  /** More for the connection: an agent, say. Without it each call has one of its own. */
  readonly options?: RequestOptions
}

/** One exchange over TLS of its own. Rejects when the handshake fails. */
export function callTls(port: number, path: string, call: TlsCall = {}): Promise<TlsAnswer> {
  const { method, headers = {}, form, as, options = {} } = call
  const body = form && new URLSearchParams(defined(form)).toString()
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port, path, agent: false, servername: 'localhost' },
        method: method ?? (form === undefined ? 'GET' : 'POST'),
        ca: serverCertificate.cert,
        ...(as === undefined ? {} : { cert: as.cert, key: as.key }),
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
          ...defined(headers),
        },
        ...options,
      },
      (answer) => {
        const { socket } = answer
        const resumed = socket instanceof TLSSocket && socket.isSessionReused()
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        answer.on('error', reject).on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            resumed,
            body: text.startsWith('{') ? JSON.parse(text) : {},
          }),
        )
      },
    )
    sent.on('error', reject).end(body)
  })
}

const defined = (members: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(members).filter((one): one is [string, string] => one[1] !== undefined),
  )
