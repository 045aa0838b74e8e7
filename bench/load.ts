import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { dpopProver } from '../src/banks/dpop.ts'
import { importPrivateKey, signerOf } from '../src/storage/jws.ts'
import type { Calls, Files, Forms, Order, Preparation, Run, Slice } from './orders.ts'
import { quantile } from './statistics.ts'

/**
 * The load generator, a process: 64 connections that each have one request under way. Requests are made before, down to their
 * bytes, since each needs a signature of its own; what is left costs about 20 µs a request.
 */
const connections = 64

const form_type = 'application/x-www-form-urlencoded'
/** As long as the server takes one for. */
const assertion_s = 300

let port = 0
let requests: Buffer[] = []

process.once('disconnect', () => process.exit(1))
process.on('message', (order: Order) => {
  void ('prepare' in order ? prepare(order.prepare) : run(order.run)).then((answer) =>
    process.send?.(answer),
  )
})
process.send?.('ready')

async function prepare(preparation: Preparation): Promise<'prepared'> {
  port = preparation.port
  const make = await makerOf(preparation)
  requests = Array.from({ length: preparation.count }, (_, i) => Buffer.from(make(i)))
  return 'prepared'
}

async function makerOf(preparation: Preparation): Promise<(i: number) => string> {
  if ('calls' in preparation) return callMaker(preparation, preparation.calls)
  if ('forms' in preparation) return formMaker(preparation, preparation.forms)
  return fileMaker(preparation, preparation.files)
}

function fileMaker({ path, issuer }: Place, { names }: Files) {
  const { host } = new URL(issuer)
  return (i: number) => `GET ${path}${names[i % names.length]} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
}

type Place = Pick<Preparation, 'path' | 'issuer'>

async function callMaker({ path, issuer }: Place, { tokens, key }: Calls) {
  const { host } = new URL(issuer)
  const prove = dpopProver(key, Date.now)
  const provenBy = (accessToken: string, nonce?: string) =>
    prove({ method: 'GET', url: issuer + path, accessToken, nonce })
  const [first = ''] = tokens
  const headers = { authorization: `DPoP ${first}`, dpop: provenBy(first) }
  const nonce = await currentNonce(path, { headers })
  return (i: number) => {
    const accessToken = tokens[i % tokens.length] ?? ''
    return (
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\n` +
      `Authorization: DPoP ${accessToken}\r\nDPoP: ${provenBy(accessToken, nonce)}\r\n` +
      `x-fapi-interaction-id: ${randomUUID()}\r\n\r\n`
    )
  }
}

/** An assertion is good for once, and so is a proof. */
async function formMaker({ path, issuer }: Place, { client, key, kid, proves, members }: Forms) {
  const { host } = new URL(issuer)
  const assert = signerOf(importPrivateKey({ ...key }), { kid })
  const prove = dpopProver(key, Date.now)
  const proven = (nonce?: string) => prove({ method: 'POST', url: issuer + path, nonce })
  const bodyOf = (i: number) => {
    const iat = Math.floor(Date.now() / 1000)
    const claims = { iss: client, sub: client, aud: issuer, iat, exp: iat + assertion_s }
    return new URLSearchParams({
      ...members[i % members.length],
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assert({ ...claims, jti: randomUUID() }),
    }).toString()
  }
  const asked = { method: 'POST', headers: { 'content-type': form_type, dpop: proven() } }
  const nonce = proves ? await currentNonce(path, { ...asked, body: bodyOf(0) }) : undefined
  return (i: number) => {
    const body = bodyOf(i)
    return (
      `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\nContent-Type: ${form_type}\r\n` +
      `${proves ? `DPoP: ${proven(nonce)}\r\n` : ''}Content-Length: ${body.length}\r\n\r\n${body}`
    )
  }
}

/** Asked for as any client does: with a proof that has none. Where nobody checks proofs, none is needed. */
async function currentNonce(path: string, request: RequestInit): Promise<string | undefined> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, request)
  await answer.arrayBuffer()
  return answer.headers.get('dpop-nonce') ?? undefined
}

async function run({ warm_seconds, seconds }: Run): Promise<Slice> {
  const latencies_ms: number[] = []
  const others: Record<string, number> = {}
  let counting = false
  const usedUp = new AbortController()
  const next = () => {
    if (requests.length === 0) usedUp.abort()
    return requests.pop()
  }
  const heard = (status: string, ms: number) => {
    if (!counting) return
    latencies_ms.push(ms)
    if (status !== '200') others[status] = (others[status] ?? 0) + 1
  }
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(next, heard)))
  await sleep(warm_seconds * 1_000)
  counting = true
  const began = performance.now()
  // A slice that has used up its requests ends there, and is the shorter for it.
  await sleep(seconds * 1_000, undefined, { signal: usedUp.signal }).catch(() => undefined)
  counting = false
  const took_s = (performance.now() - began) / 1_000
  for (const socket of sockets) socket.destroy()
  return {
    per_s: latencies_ms.length / took_s,
    p50_ms: quantile(latencies_ms, 0.5),
    p99_ms: quantile(latencies_ms, 0.99),
    others,
  }
}

/** A connection that sends the next request as soon as the last one is answered. */
async function open(
  next: () => Buffer | undefined,
  heard: (status: string, ms: number) => void,
): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  let sent = 0
  let pending: Buffer = Buffer.alloc(0)
  const send = () => {
    const request = next()
    if (request === undefined) return
    sent = performance.now()
    socket.write(request)
  }
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    const status = answered(pending)
    if (status === undefined) return
    pending = Buffer.alloc(0)
    heard(status, performance.now() - sent)
    send()
  })
  socket.on('error', () => heard('lost', performance.now() - sent))
  send()
  return socket
}

/** The status of an answer that is complete: the end of its head, and as much after it as the head says. */
function answered(bytes: Buffer): string | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.toString('latin1', 0, end)
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return bytes.length >= end + 4 + length ? head.slice(9, 12) : undefined
}
