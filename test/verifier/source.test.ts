import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { encodeBundle } from '../../src/merkle/tiles.ts'
import { openSource } from '../../src/verifier/open_source.ts'
import { readEntries, readHashes } from '../../src/verifier/source.ts'

type Answer = (req: IncomingMessage, res: ServerResponse) => void

let server: Server
let url: string
let asked: { path: string | undefined; authorization: string | undefined }[]
let answers: Readonly<Record<string, Answer | Uint8Array>>

beforeAll(async () => {
  server = createServer((req, res) => {
    asked.push({ path: req.url, authorization: req.headers.authorization })
    const answer = answers[req.url ?? '']
    if (typeof answer === 'function') answer(req, res)
    else if (answer === undefined) res.writeHead(404).end()
    else res.end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ledger/us-bank`
})
beforeEach(() => {
  asked = []
  answers = {}
})
afterAll(() => new Promise((resolve) => server.close(resolve)))

const entries = Array.from({ length: 256 }, (_, i) => Buffer.from(`entry ${i}`))
const hashes = Buffer.alloc(8192, 7)
const partial = { index: 0, width: 3 }

describe('a ledger on the web', () => {
  it('is read below its URL, with or without a slash at the end', async () => {
    answers = { '/ledger/us-bank/checkpoint': Buffer.from('a note') }
    for (const place of [url, `${url}/`])
      expect(Buffer.from(await openSource(place).read('checkpoint', 100)).toString()).toBe('a note')
  })

  it('is read by the auditor for its entries and for nothing else', async () => {
    answers = {
      '/ledger/us-bank/checkpoint': Buffer.from('a note'),
      '/ledger/us-bank/tile/0/000.p/3': hashes.subarray(0, 96),
      '/ledger/us-bank/tile/entries/000.p/3': encodeBundle(entries.slice(0, 3)),
    }
    const authorization = 'DPoP secret'
    const source = openSource(url, {
      getEntries: (entries) => fetch(entries, { headers: { authorization } }),
    })
    await source.read('checkpoint', 100)
    await readHashes(source, { level: 0, ...partial })
    expect(await readEntries(source, { level: 'entries', ...partial })).toEqual(entries.slice(0, 3))
    expect(asked.map(({ authorization }) => authorization)).toEqual([
      undefined,
      undefined,
      'DPoP secret',
    ])
  })

  it('is read from full tiles where the partial ones are gone', async () => {
    answers = {
      '/ledger/us-bank/tile/0/000': hashes,
      '/ledger/us-bank/tile/entries/000': encodeBundle(entries),
    }
    const source = openSource(url)
    expect(await readHashes(source, { level: 0, ...partial })).toEqual(hashes.subarray(0, 96))
    expect(await readEntries(source, { level: 'entries', ...partial })).toEqual(entries.slice(0, 3))
  })

  it('may be served compressed', async () => {
    const bundle = gzipSync(encodeBundle(entries))
    answers = {
      '/ledger/us-bank/tile/entries/000': (_, res) =>
        res.writeHead(200, { 'content-encoding': 'gzip' }).end(bundle),
    }
    const full = { level: 'entries', index: 0, width: 256 } as const
    expect(await readEntries(openSource(url), full)).toEqual(entries)
  })

  const refusal = async (path: string) => {
    try {
      await openSource(url).read(path, 1000)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }

  it('is not read past the length that was asked for', async () => {
    answers = {
      '/ledger/us-bank/long': Buffer.alloc(1001),
      '/ledger/us-bank/endless': (_, res) => {
        const more = () => res.write(Buffer.alloc(65_536)) && setImmediate(more)
        res.on('drain', more)
        more()
      },
      '/ledger/us-bank/bomb': (_, res) =>
        res.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1e6))),
    }
    expect(await refusal('long')).toBe('long: longer than 1000 bytes')
    expect(await refusal('endless')).toBe('endless: longer than 1000 bytes')
    expect(await refusal('bomb')).toBe('bomb: longer than 1000 bytes')
  })

  it('is not followed elsewhere', async () => {
    answers = {
      '/ledger/us-bank/checkpoint': (_, res) => res.writeHead(302, { location: '/other' }).end(),
    }
    expect(await refusal('checkpoint')).toContain('redirect')
    expect(asked).toHaveLength(1)
  })

  it('says why it cannot be read', async () => {
    answers = {
      '/ledger/us-bank/closed': (_, res) => res.writeHead(401).end('no'),
      '/ledger/us-bank/broken': (_, res) => res.writeHead(503).end('no'),
      '/ledger/us-bank/hung-up': (_, res) => res.destroy(),
      '/ledger/us-bank/cut': (_, res) => {
        res.writeHead(200, { 'content-length': '100' }).write('half')
        setImmediate(() => res.destroy())
      },
    }
    expect(await refusal('closed')).toBe(
      'closed: the server gives it to the bank and its auditors only (401)',
    )
    expect(await refusal('broken')).toBe('broken: the server answered 503')
    expect(await refusal('none')).toBe('none: there is no such file')
    expect(await refusal('hung-up')).toMatch(/^hung-up: (?!fetch failed)/)
    expect(await refusal('cut')).toMatch(/^cut: /)
  })
})
