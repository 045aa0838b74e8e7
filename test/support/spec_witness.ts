import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/**
 * A witness written from c2sp.org/tlog-witness, c2sp.org/tlog-cosignature, c2sp.org/signed-note and RFC 9162 §2.1.4.2 alone. It
 * shares no code with the product, so that both are held to the specifications.
 */
export interface SpecWitness {
  readonly vkey: string
  readonly url: string
  /** What it has cosigned last, by origin. */
  readonly seen: ReadonlyMap<string, { readonly size: number; readonly root: string }>
  /** How many checkpoints were submitted. */
  readonly asked: () => number
  /** Answers in the witness's place, until it is set to undefined. */
  instead: ((req: IncomingMessage, res: ServerResponse) => void) | undefined
  /** The signature line over a note's text. */
  cosign(text: string, time?: number): string
  /** Forgets a log, or makes it another. */
  pretend(origin: string, state: { size: number; root: string } | undefined): void
  close(): Promise<void>
}

interface Log {
  readonly vkey: string
}

const spki = Buffer.from('302a300506032b6570032100', 'hex')
const sha256 = (...parts: (string | Buffer)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export async function startSpecWitness({
  name,
  logs,
}: {
  name: string
  logs: readonly Log[]
}): Promise<SpecWitness> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(spki.length)
  const typed = Buffer.concat([Buffer.of(0x04), raw])
  const id = sha256(`${name}\n`, typed).subarray(0, 4)
  const known = new Map(logs.map(({ vkey }) => [vkey.split('+')[0] ?? '', logKey(vkey)]))
  const seen = new Map<string, { size: number; root: string }>()
  let asked = 0

  const cosign = (text: string, time = Math.floor(Date.now() / 1_000)) => {
    const message = Buffer.from(`cosignature/v1\ntime ${time}\n${text}`)
    const stamp = Buffer.alloc(8)
    stamp.writeBigUInt64BE(BigInt(time))
    const signature = Buffer.concat([id, stamp, sign(null, message, privateKey)])
    return `— ${name} ${signature.toString('base64')}\n`
  }

  const answer = (body: string): [number, string, string?] => {
    const blank = body.indexOf('\n\n')
    const [first = '', ...proof] = body.slice(0, blank).split('\n')
    const note = body.slice(blank + 2)
    const end = note.lastIndexOf('\n\n')
    const text = note.slice(0, end + 1)
    const [origin = '', sizeText = '', root = ''] = text.split('\n')
    const [old, size] = [Number(first.replace(/^old /, '')), Number(sizeText)]
    if (blank < 0 || end < 0 || !Number.isInteger(old) || proof.length > 63) return [400, '']
    const key = known.get(origin)
    if (key === undefined) return [404, '']
    const signed = note
      .slice(end + 2)
      .split('\n')
      .some((line) => isSignature(line, { origin, text, key }))
    if (!signed) return [403, '']
    if (old > size) return [400, '']
    const from = seen.get(origin) ?? { size: 0, root: sha256('').toString('base64') }
    if (from.size !== old) return [409, `${from.size}\n`, 'text/x.tlog.size']
    const hashes = proof.map((line) => Buffer.from(line, 'base64'))
    const [a, b] = [Buffer.from(from.root, 'base64'), Buffer.from(root, 'base64')]
    if (!isConsistent({ first: old, second: size, a, b, proof: hashes })) return [422, '']
    seen.set(origin, { size, root })
    return [200, cosign(text)]
  }

  const witness: Pick<SpecWitness, 'instead'> = { instead: undefined }
  const server = createServer((req, res) => {
    void buffer(req).then((body) => {
      if (req.method === 'POST') asked += 1
      if (witness.instead !== undefined) return witness.instead(req, res)
      if (req.method !== 'POST' || req.url !== '/add-checkpoint') return res.writeHead(404).end()
      const [status, said, type = 'text/plain'] = answer(body.toString())
      return res.writeHead(status, { 'Content-Type': type }).end(said)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(witness, {
    vkey: `${name}+${id.toString('hex')}+${typed.toString('base64')}`,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    asked: () => asked,
    cosign,
    pretend(origin: string, state: { size: number; root: string } | undefined) {
      if (state === undefined) seen.delete(origin)
      else seen.set(origin, state)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  })
}

interface LogKey {
  readonly id: Buffer
  readonly publicKey: Buffer
}

function logKey(vkey: string): LogKey {
  const [, id = '', encoded = ''] = /^[^+]+\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? []
  return { id: Buffer.from(id, 'hex'), publicKey: Buffer.from(encoded, 'base64').subarray(1) }
}

function isSignature(
  line: string,
  { origin, text, key }: { origin: string; text: string; key: LogKey },
): boolean {
  const [dash, name, encoded = ''] = line.split(' ')
  const bytes = Buffer.from(encoded, 'base64')
  if (dash !== '—' || name !== origin || !bytes.subarray(0, 4).equals(key.id)) return false
  const der = Buffer.concat([spki, key.publicKey])
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
  return verify(null, Buffer.from(text), publicKey, bytes.subarray(4))
}

/** RFC 9162 §2.1.4.2, step by step. */
function isConsistent({
  first,
  second,
  a,
  b,
  proof,
}: {
  first: number
  second: number
  a: Buffer
  b: Buffer
  proof: readonly Buffer[]
}): boolean {
  if (first === second) return proof.length === 0 && a.equals(b)
  if (first === 0) return proof.length === 0
  const path = isPowerOfTwo(first) ? [a, ...proof] : [...proof]
  if (path.length === 0) return false
  let [fn, sn] = [first - 1, second - 1]
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)]
  let fr = path[0] ?? a
  let sr = fr
  for (const c of path.slice(1)) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      fr = node(c, fr)
      sr = node(c, sr)
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)]
    } else sr = node(sr, c)
    ;[fn, sn] = [half(fn), half(sn)]
  }
  return fr.equals(a) && sr.equals(b) && sn === 0
}

const half = (n: number) => Math.floor(n / 2)
const isPowerOfTwo = (n: number) => Number.isInteger(Math.log2(n))
const node = (left: Buffer, right: Buffer) => sha256(Buffer.of(0x01), left, right)
