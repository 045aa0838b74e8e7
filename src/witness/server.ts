import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { addCheckpoint, recall, type Answer, type Witness } from './cosign.ts'

/** A witness that is listening. `close` lets requests in hand be answered. */
export interface Witnessing {
  readonly url: string
  close(): Promise<void>
}

export const limits = {
  /** A note of 64 signatures with the longest proof fits. */
  body_bytes_max: 16 * 1024,
  /** From the first byte of a request to its last. */
  request_ms_max: 10_000,
  connections_max: 256,
} as const

const text = 'text/plain; charset=utf-8'

/** Serves a witness (c2sp.org/tlog-witness): `POST /add-checkpoint`, and `GET /<SHA-256 of the origin>/checkpoint`. */
export async function serveWitness(
  witness: Witness,
  { host, port, failed }: { host: string; port: number; failed: (error: unknown) => void },
): Promise<Witnessing> {
  const origins = new Map(
    witness.logs.map(({ vkey: { name } }) => [
      `/${createHash('sha256').update(name).digest('hex')}/checkpoint`,
      name,
    ]),
  )
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const path = req.url ?? ''
    const origin = origins.get(path)
    if (path === '/add-checkpoint') {
      if (req.method !== 'POST') return refuse(res, 405, 'POST')
      const body = await readBody(req)
      if (body === undefined) return refuse(res, 413)
      return say(res, await addCheckpoint(witness, body))
    }
    if (origin === undefined) return refuse(res, 404)
    if (req.method !== 'GET' && req.method !== 'HEAD') return refuse(res, 405, 'GET, HEAD')
    const { note } = await recall(witness, origin)
    return note === undefined ? refuse(res, 404) : send(res, 200, text, note)
  }
  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      if (!req.destroyed || req.complete) failed(error)
      if (!res.headersSent) refuse(res, 500)
    })
  })
  server.requestTimeout = limits.request_ms_max
  server.headersTimeout = limits.request_ms_max
  server.maxConnections = limits.connections_max
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      await closed
    },
  }
}

function say(res: ServerResponse, answer: Answer): void {
  switch (answer.status) {
    case 200:
      return send(res, 200, text, answer.lines)
    case 409:
      return send(res, 409, 'text/x.tlog.size', `${answer.size}\n`)
    default:
      return send(res, answer.status, text, `${answer.why}\n`)
  }
}

function refuse(res: ServerResponse, status: 404 | 405 | 413 | 500, allow?: string): void {
  if (allow !== undefined) res.setHeader('Allow', allow)
  // What is left of a body that is too long is not read.
  if (status === 413) res.setHeader('Connection', 'close')
  send(res, status, text, '')
}

function send(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  res.end(body)
}

/** Undefined when it is too long. */
async function readBody(req: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > limits.body_bytes_max) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
