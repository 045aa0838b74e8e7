import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get as httpGet } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { grantAudit } from '../../src/broker/grant_audit.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { readManifest, writeManifest } from '../../src/ledger/export_manifest.ts'
import { verifyCommand } from '../../src/cli/verify.ts'
import { commitment } from '../../src/broker/commitment.ts'
import { askedOf, exportTitle } from '../../src/ledger/export_manifest.ts'
import { openCheckpoint } from '../../src/merkle/checkpoint.ts'
import { signLine } from '../../src/merkle/named_note.ts'
import { noteVerifier, parseNote } from '../../src/merkle/note.ts'
import { parsePolicy, type Policy } from '../../src/merkle/policy.ts'
import { parseVkey } from '../../src/merkle/vkey.ts'
import { insertGrant, listGrants, revokeGrant } from '../../src/storage/audit_grants.ts'
import type { Database, Tx } from '../../src/storage/database.ts'
import { random128 } from '../../src/storage/ids.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { checkExport, ExportWrong, type ExportFiles } from '../../src/verifier/export.ts'
import type { Response } from 'supertest'
import { apiApp, bank, otherBank, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { holdTable } from '../support/hold_table.ts'

let database: TestDatabase
let api: ApiApp
let token: string
let policy: Policy

const entries_made = 4_500

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  token = api.clientToken('auditor', 'audit:read', bank)
  await grant()
  await fill(entries_made)
  await index()
  const { text } = await api.call('get', `/ledger/${bank}/policy`).expect(200)
  policy = parsePolicy(nodeHasher, text)
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

const grant = () =>
  grantAudit(api.broker, bank, {
    ...{ kind: 'client', auditor: 'auditor', grantedBy: 'the desk' },
    until: new Date(Date.now() + 3_600_000).toISOString(),
  })

/** Entries that mean nothing. */
async function fill(count: number): Promise<void> {
  for (let made = 0; made < count; made += 1_500)
    await Promise.all(
      Array.from({ length: Math.min(1_500, count - made) }, (_, i) =>
        api.broker.door.append(bank, {
          names: {},
          decide: () => ({
            entry: {
              kind: 'refusal',
              body: {
                class: 'advertising',
                client: i % 3 === 0 ? '-ads' : 'ads',
                count: 1,
                reason: i % 100 === 0 ? 'consent_unknown' : 'class_denied',
                salt: random128(),
              },
            },
          }),
        }),
      ),
    )
}

async function index(): Promise<void> {
  expect(await api.broker.signer.sign(bank)).toBeUndefined()
  await indexLedger(api.broker, bank)
}

const path = (rest: string) => `/audit/${bank}/${rest}`

/** What was exported, as bytes, and under which id. */
async function exported(query: Record<string, string> = {}) {
  const { body, headers } = await api
    .call('get', path(`export?${new URLSearchParams(query)}`), token)
    .buffer(true)
    .parse(raw)
    .expect(200)
  return { bytes: body as Buffer, id: String(headers['countersign-export']), headers }
}

const raw = (res: Response, done: (error: Error | null, body: Buffer) => void) => {
  const pieces: Buffer[] = []
  res.on('data', (piece: Buffer) => pieces.push(piece))
  res.on('end', () => done(null, Buffer.concat(pieces)))
  res.on('error', (error) => done(error, Buffer.of()))
}

const bytesAt = async (rest: string) => {
  const { body } = await api.call('get', path(rest), token).buffer(true).parse(raw).expect(200)
  return body as Buffer
}

async function filesOf({ bytes, id }: { bytes: Buffer; id: string }) {
  const [manifest, proof] = [
    await bytesAt(`exports/${id}/manifest`),
    await bytesAt(`exports/${id}/proof`),
  ]
  return { manifest: manifest.toString(), lines: [bytes], proof: [proof] } satisfies ExportFiles
}

const check = (files: ExportFiles, under = policy) =>
  checkExport(files, {
    ...{ policy: under, hasher: nodeHasher, verifyEd25519 },
    startHash: () => createHash('sha256'),
  })

const wrong = async (files: ExportFiles, says: string | RegExp) => {
  const checked = check(files)
  await expect(checked).rejects.toBeInstanceOf(ExportWrong)
  await expect(checked).rejects.toThrow(says)
}

describe('an export', () => {
  it('is every entry as it is, a line each, and one entry in the ledger', async () => {
    const before = await api.entries(bank)
    const { bytes, headers, id } = await exported()
    const lines = bytes.toString().trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).n)).toEqual(before.map(({ n }) => n))
    expect(headers).toMatchObject({
      'content-type': 'application/x-ndjson; charset=utf-8',
      'content-disposition': `attachment; filename="${bank}-${id}.ndjson"`,
      'cache-control': 'no-store',
    })
    const after = await api.entries(bank)
    expect(after).toHaveLength(before.length + 1)
    expect(after.at(-1)).toMatchObject({ kind: 'access', body: { what: 'export' } })
  })

  it('holds, and says what it proves: all of a range, or that what is there is in the ledger', async () => {
    const whole = await check(await filesOf(await exported({ from_index: '7', to_index: '4001' })))
    expect(whole).toMatchObject({
      complete: true,
      manifest: { count: 3_994, range: { from: 7, to: 4_001 } },
    })
    expect(whole.proves[1]).toBe(
      'Nothing is left out of the entries from index 7 up to but not including 4001.',
    )
    const some = await check(await filesOf(await exported({ reason: 'consent_unknown' })))
    expect(some).toMatchObject({ complete: false, manifest: { count: 45 } })
    expect(some.proves[1]).toContain('is not proven')
  })

  it.each([
    { kind: 'never.was' },
    { from: '2999-01-01T00:00:00Z' },
    { from_index: '0', to_index: '1' },
    { kind: 'refusal', from_index: '100' },
    { recipient: '-ads', format: 'csv' },
    { format: 'csv' },
    { from: '2000-01-01T00:00:00Z', format: 'csv', reason: 'consent_unknown' },
  ])('holds whatever was asked for: %j', async (query) => {
    const { manifest } = await check(await filesOf(await exported(query)))
    const {
      from_index: _,
      to_index: __,
      format = 'ndjson',
      from,
      ...filter
    } = query as Record<string, string>
    expect(manifest).toMatchObject({ bank, exporter: 'auditor', format, filter })
    expect(from === undefined).toBe(manifest.filter.from === undefined)
  })

  it('is committed to by its entry, as its manifest opens it', async () => {
    const made = await exported({ kind: 'refusal', to_index: '50' })
    const { manifest } = await check(await filesOf(made))
    const entry = (await api.entries(bank))[manifest.access ?? -1]
    const salt = Buffer.from(manifest.salt, 'base64url')
    expect(entry?.body).toMatchObject({
      ...{ actor: 'auditor', what: 'export' },
      asked: commitment(salt, askedOf(manifest.filter, manifest.format)),
    })
  })

  it('is taken up again where it broke off, to the same bytes, while the ledger grows', async () => {
    const { bytes, id } = await exported({ kind: 'refusal' })
    await fill(10)
    await index()
    expect(bytes.equals(await bytesAt(`exports/${id}`))).toBe(true)
    const lines = bytes.toString().split('\n')
    for (const line of [0, 1_999, 2_000, lines.length - 2]) {
      const { n } = JSON.parse(lines[line] ?? '')
      const rest = await bytesAt(`exports/${id}?after=${n}`)
      expect(rest.toString()).toBe(lines.slice(line + 1).join('\n'))
    }
  })

  it('whose reader goes away in the middle is made whole for its manifest, and held against that', async () => {
    const server = api.app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const headers = headersOf(path('export'))
    const sent = httpGet({ host: '127.0.0.1', port, path: path('export'), headers })
    const [answer] = await once(sent, 'response')
    const id = String(answer.headers['countersign-export'])
    await once(answer, 'data')
    sent.destroy()
    server.closeAllConnections()
    server.close()
    const lines = await bytesAt(`exports/${id}`)
    await check(await filesOf({ bytes: lines, id }))
  })

  it('ends in the middle when the grant does', async () => {
    const server = api.app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const all = path('export')
    const restore = afterReading(async () => {
      for (const { id, revoked } of await listGrants(api.broker.db, bank))
        if (revoked === undefined) await revokeGrant(api.broker.db, bank, id)
    })
    const sent = httpGet({
      host: '127.0.0.1',
      port,
      path: `${all}?format=csv`,
      headers: headersOf(all),
    })
    const [answer] = await once(sent, 'response')
    const failed = once(answer, 'error')
    answer.resume()
    expect(String((await failed)[0])).toContain('aborted')
    restore()
    server.closeAllConnections()
    const id = String(answer.headers['countersign-export'])
    await api.call('get', path(`exports/${id}`), token).expect(403)
    await grant()
    await api.call('get', path(`exports/${id}?after=4000`), token).expect(200)
    server.close()
  })

  it('is its auditor’s, of its bank, and there by GET alone', async () => {
    const { id } = await exported({ to_index: '1' })
    for (const rest of ['', '/manifest', '/proof']) {
      await api.call('get', path(`exports/${random128()}${rest}`), token).expect(404)
      await api.call('get', `/audit/${otherBank}/exports/${id}${rest}`, token).expect(403)
      await api.call('head', path(`exports/${id}${rest}`), token).expect(405)
    }
    const before = (await api.entries(bank)).length
    await api.call('head', path('export'), token).expect(405)
    await api.call('get', path('export?format=xml'), token).expect(400)
    expect(await api.entries(bank)).toHaveLength(before)
  })
})

describe('a table', () => {
  it('has no formula, and says in its cells what its entries say', async () => {
    const { bytes } = await exported({ format: 'csv', recipient: '-ads', to_index: '40' })
    const [head = '', first = ''] = bytes.toString().split('\r\n')
    expect(head).toMatch(/^index,at,kind,code,.*,entry$/)
    expect(first).toContain(",'-ads,advertising,")
    expect(first).toContain('"\'-ads, an advertiser, was refused 1 time')
  })
})

describe('the check of an export', () => {
  it('sees every line that was changed, left out, added, moved or cut off', async () => {
    const files = await filesOf(await exported({ kind: 'refusal', to_index: '300' }))
    const lines = String(files.lines[0]).trimEnd().split('\n')
    const as = (changed: readonly string[], end = '\n') => ({
      ...files,
      lines: [Buffer.from(changed.join('\n') + end)],
    })
    await wrong(
      as(lines.map((line, i) => (i === 9 ? line.replace('"count":1', '"count":2') : line))),
      'not entries of the ledger',
    )
    await wrong(as(lines.toSpliced(5, 1)), /ledger|hash/)
    await wrong(as(lines.slice(0, -1)), /ledger|hash/)
    await wrong(as(lines.toSpliced(5, 0, lines[5] ?? '')), 'line 7')
    await wrong(as([lines[1] ?? '', lines[0] ?? '', ...lines.slice(2)]), 'line 2')
    await wrong(as(lines.toSpliced(5, 1, '{}')), 'line 6: not an entry')
    await wrong(as(lines, ''), 'bytes')
    await wrong(
      { ...files, proof: [Buffer.concat([...files.proof, Buffer.alloc(32)])] },
      'left over',
    )
    await wrong({ ...files, proof: [(files.proof[0] ?? Buffer.of()).subarray(1)] }, 'within a hash')
    await wrong({ ...files, proof: [] }, 'lacks a hash')
    await check({ ...files, lines: [...Buffer.concat(files.lines)].map((byte) => Buffer.of(byte)) })
  })

  it('sees a cell of a table that says other than its entry', async () => {
    const files = await filesOf(await exported({ format: 'csv', to_index: '20' }))
    const text = String(files.lines[0])
    const as = (changed: string) => ({ ...files, lines: [Buffer.from(changed)] })
    await wrong(as(text.replace(',advertising,', ',third_party,')), 'says other than its entry')
    await wrong(as(text.replace('index,at', 'at,index')), 'line 1: not the head')
    await wrong(as(text.replace('was refused', 'was let inn')), 'sha256')
  })

  it('takes a manifest from the ledger’s key alone, and for what it says', async () => {
    const files = await filesOf(await exported({ kind: 'refusal', to_index: '30' }))
    const [, line = ''] = files.manifest.split('\n')
    const key = api.broker.keys.get(bank)
    if (key === undefined) throw new Error('no key')
    const log = parseVkey(nodeHasher, key.vkey)
    const signed = (change: object) => ({
      ...files,
      manifest: signLine(nodeHasher, {
        ...{ title: exportTitle, log, signer: key.signer },
        line: writeManifest({ ...readManifest(line), ...change }),
      }),
    })
    await check(signed({}))
    await wrong(signed({ count: 1 }), 'count')
    await wrong(signed({ bytes: 1 }), 'bytes')
    await wrong(signed({ filter: { kind: 'release' } }), 'filter does not ask for')
    await wrong(signed({ filter: { kind: 'refusal', to_index: 20 } }), 'filter does not ask for')
    await wrong(signed({ range: { from: 0, to: 20 } }), 'outside the range')
    await wrong(signed({ range: { from: 0, to: 1e9 } }), 'outside the tree')
    await wrong(signed({ size: 4_000 }), 'another tree')
    await wrong(signed({ root: Buffer.alloc(32).toString('base64') }), 'another tree')
    await wrong(signed({ origin: 'x.example/ledger/x' }), 'another ledger')
    await wrong(signed({ more: 1 }), 'wrong member')
    await wrong({ ...files, manifest: files.manifest.replace('"count":', '"count":1') }, 'bad')
    await expect(check(files, { ...policy, logs: [] })).rejects.toThrow('no known key')
  })

  it('takes no checkpoint for a manifest, and none of them is taken for a checkpoint', async () => {
    const files = await filesOf(await exported({ to_index: '3' }))
    const { manifest } = await check(files)
    await wrong({ ...files, manifest: manifest.checkpoint }, 'no known key')
    const logKeys = policy.logs.map(({ vkey }) => noteVerifier(vkey, verifyEd25519))
    expect(() => openCheckpoint(files.manifest, { origin: manifest.origin, logKeys })).toThrow(
      'no known key',
    )
    // Even with the key under its own name, by which a signature is not bound, the text is none.
    const { text, signatures } = parseNote(files.manifest)
    const renamed = signatures.map((one) => ({
      ...one,
      name: manifest.origin,
      keyId: logKeys[0]?.keyId ?? 0,
    }))
    expect(
      verifyEd25519(
        policy.logs[0]?.vkey.publicKey ?? Buffer.of(),
        Buffer.from(text),
        renamed[0]?.signature ?? Buffer.of(),
      ),
    ).toBe(true)
    const note = `${text}\n${renamed.map(({ name, signature }) => `— ${name} ${Buffer.concat([idOf(logKeys[0]?.keyId ?? 0), signature]).toString('base64')}\n`).join('')}`
    expect(() => openCheckpoint(note, { origin: manifest.origin, logKeys })).toThrow('three lines')
  })
})

it('are made two of one bank at a time, so that others have theirs', async () => {
  const elsewhere = api.clientToken('auditor', 'audit:read', otherBank)
  await insertGrant(api.broker.db, otherBank, {
    ...{ id: random128(), kind: 'client', auditor: 'auditor', grantedBy: 'the desk' },
    from: new Date(Date.now() - 60_000).toISOString(),
    until: new Date(Date.now() + 3_600_000).toISOString(),
  })
  await api.broker.signer.sign(otherBank)
  const held = await holdTable(database.ownerUrl, 'audit_progress')
  const ask = (at: string, by: string) => api.call('get', `/audit/${at}/export`, by)
  const statuses = Promise.all(
    [ask(bank, token), ask(bank, token), ask(bank, token), ask(otherBank, elsewhere)].map(
      async (sent) => (await sent).status,
    ),
  )
  await held.waiting(3)
  await held.release()
  expect((await statuses).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 503])
})

describe('the files of an export, saved side by side', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-export-'))
    const { text } = await api.call('get', `/ledger/${bank}/policy`).expect(200)
    await writeFile(join(folder, 'policy'), text)
  })
  afterAll(() => rm(folder, { recursive: true }))

  async function save(
    name: string,
    { manifest, lines, proof }: Awaited<ReturnType<typeof filesOf>>,
  ) {
    await writeFile(join(folder, `${name.replace(/[a-z]+$/, '')}manifest`), manifest)
    await writeFile(join(folder, `${name.replace(/[a-z]+$/, '')}proof`), Buffer.concat(proof))
    await writeFile(join(folder, name), Buffer.concat(lines))
  }

  async function verify(place: string, ...more: readonly string[]) {
    let said = ''
    const out = { write: (text: string) => (said += text) } as unknown as NodeJS.WritableStream
    const argv = [join(folder, place), '--policy', join(folder, 'policy'), ...more]
    return { code: await verifyCommand(argv, { out }), said }
  }

  it('are verified by the one command, whichever of them is named', async () => {
    await save('whole.ndjson', await filesOf(await exported({ from_index: '7', to_index: '900' })))
    for (const place of ['whole.ndjson', 'whole.manifest', 'whole.proof']) {
      const { code, said } = await verify(place)
      expect(said).toContain('Countersign export verification\n\nVERIFIED. It proves what it says.')
      expect(said).toContain('Nothing is left out of the entries from index 7')
      expect(code).toBe(0)
    }
  })

  it('are each verified in a folder, as JSON a line each', async () => {
    await save(
      'some.csv',
      await filesOf(await exported({ format: 'csv', reason: 'consent_unknown' })),
    )
    const { code, said } = await verify('.', '--json')
    const reports = said
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(reports).toMatchObject([
      { what: 'export', place: 'some.csv', verified: true },
      { what: 'export', place: 'whole.ndjson', verified: true },
    ])
    expect(code).toBe(0)
  })

  it('say nothing of a report that lies beside them', async () => {
    await writeFile(
      join(folder, 'report.json'),
      JSON.stringify({ report: 1, summary: {}, releases: [], refusals: [] }),
    )
    const { code, said } = await verify('.')
    await rm(join(folder, 'report.json'))
    expect(said).toContain('Countersign report verification\n\nNOT VERIFIED.')
    expect(code).toBe(1)
  })

  it('are not verified where a byte is another, or one of them is missing', async () => {
    const files = await filesOf(await exported({ from_index: '7', to_index: '900' }))
    const [lines = Buffer.of()] = files.lines
    const spoilt = Buffer.from(lines)
    spoilt.write('X', spoilt.indexOf('"salt":"', 9_000) + 8)
    await save('spoilt.ndjson', { ...files, lines: [spoilt] })
    const { code, said } = await verify('spoilt.ndjson')
    expect(code).toBe(1)
    expect(said).toContain('NOT VERIFIED. It does not prove what it says.')
    expect(said).toContain('the lines are not entries of the ledger')
    await save('spoilt.ndjson', { ...files, proof: [Buffer.alloc(31)] })
    expect((await verify('spoilt.ndjson')).said).toContain('the proof ends within a hash')
    await rm(join(folder, 'spoilt.proof'))
    expect((await verify('spoilt.ndjson')).said).toContain('spoilt.proof: there is no such file')
  })
})

const idOf = (keyId: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(keyId)
  return bytes
}

/** Has something happen once many entries were read, before they are sent. Returns how to leave things as they were. */
function afterReading(act: () => Promise<void>): () => void {
  const broker = api.broker as { db: Database }
  const { db } = broker
  const restore = () => {
    broker.db = db
  }
  const transaction = async (work: (tx: Tx) => Promise<unknown>) => {
    const result = await db.knex.transaction(work)
    if (Array.isArray(result) && result.length > 1_000) {
      restore()
      await act()
    }
    return result
  }
  const get = (of: Database['knex'], name: string): unknown =>
    name === 'transaction' ? transaction : Reflect.get(of, name)
  broker.db = { knex: new Proxy(db.knex, { get }) }
  return restore
}

/** What a call would be authenticated by. */
function headersOf(of: string): Record<string, string> {
  const headers = (api.call('get', of, token) as unknown as { header: Record<string, string> })
    .header
  return { authorization: headers['Authorization'] ?? '', dpop: headers['DPoP'] ?? '' }
}
