import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DoorBusy, openDoor } from '../../src/broker/append.ts'
import { closeLedger } from '../../src/broker/close_ledger.ts'
import { commitment } from '../../src/broker/commitment.ts'
import { enterAccess } from '../../src/broker/enter_access.ts'
import { grantAudit } from '../../src/broker/grant_audit.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { recordRefusal } from '../../src/broker/record_refusal.ts'
import { readAsAuditor } from '../../src/cli/read_as_auditor.ts'
import { verifyCommand } from '../../src/cli/verify.ts'
import { canonical } from '../../src/ledger/canonical.ts'
import type { Bodies } from '../../src/ledger/entry.ts'
import { listGrants, revokeGrant } from '../../src/storage/audit_grants.ts'
import { insertClient, usualSecurity } from '../../src/storage/clients.ts'
import { inBank } from '../../src/storage/database.ts'
import { openDoorConnections } from '../../src/storage/door_connections.ts'
import { random128 } from '../../src/storage/ids.ts'
import { apiApp, bank, otherBank, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { newSigner } from '../support/jwt.ts'
import { closed, listening } from '../support/listening.ts'

const hour = 3_600_000

let database: TestDatabase
let server: Server
let api: ApiApp
let consent: string
/** The size of a checkpoint. */
let signed: number

beforeAll(async () => {
  database = await testDatabase()
  server = createServer((req, res) => void api.app(req, res))
  api = await apiApp(database.serviceUrl, { issuer: `http://127.0.0.1:${await listening(server)}` })
  consent = (await api.consent()).id
  await sign()
  signed = (await api.entries(bank)).length
})

afterAll(async () => {
  await closed(server)
  await api.close()
  await database.drop()
})

async function sign(of = bank): Promise<void> {
  expect(await api.broker.signer.sign(of)).toBeUndefined()
  await indexLedger(api.broker, of)
}

const grant = (auditor: string) =>
  grantAudit(api.broker, bank, {
    ...{ kind: 'client', auditor, grantedBy: 'the desk' },
    until: new Date(Date.now() + hour).toISOString(),
  })

/** Ends every grant at the bank. */
async function revokeAll(): Promise<void> {
  for (const { id } of await listGrants(api.broker.db, bank))
    await revokeGrant(api.broker.db, bank, id)
}

/** What the ledger has of accesses, oldest first. */
async function accesses(of = bank): Promise<(Bodies['access'] & { n: number })[]> {
  const entries = await api.entries(of)
  return entries.flatMap((one) => (one.kind === 'access' ? [{ ...one.body, n: one.n }] : []))
}

interface Kept {
  readonly n: string | null
  readonly what: string
  readonly asked: string
  readonly salt: string
  readonly token: string | null
}

/** What opens them, as kept, in no order. */
const kept = (of = bank): Promise<Kept[]> =>
  inBank(api.broker.db, of, async (tx) => {
    const { rows } = await tx.raw<{ rows: Kept[] }>(
      'select n, what, asked, salt, token from audit_reads where bank_id = ?',
      [of],
    )
    return rows
  })

/** Every door to what is a bank's own, by the scope that an auditor and the bank's own client go through it with. */
const doors = (of = bank): readonly { path: string; auditor: string; own?: string }[] => [
  { path: '/consents', auditor: 'audit:read', own: 'consents:read' },
  { path: `/consents/${consent}/timeline`, auditor: 'audit:read', own: 'consents:read' },
  ...[
    'tile/entries/000.p/2',
    'summary?from_index=0&to_index=2',
    'summary?basis=entries&from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z',
    'sum?from_index=0&to_index=2',
    'sum/1',
    'statements',
  ].map((rest) => ({
    ...{ path: `/ledger/${of}/${rest}`, auditor: 'ledger:read', own: 'ledger:read' },
  })),
  ...[
    'grant',
    'entries',
    'entries/0',
    `consistency?from=${signed}`,
    'series?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z',
    'export',
    'report?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z',
  ].map((rest) => ({ path: `/audit/${of}/${rest}`, auditor: 'audit:read' })),
]

describe('an auditor without a grant', () => {
  it('reads nothing by any door, and nothing is entered', async () => {
    const before = (await api.entries(bank)).length
    for (const { path, auditor } of doors()) {
      const { body } = await api
        .call('get', path, api.clientToken('auditor', auditor, bank))
        .expect(403)
      expect([path, body.code]).toEqual([path, 'audit_grant_required'])
    }
    expect(await api.entries(bank)).toHaveLength(before)
    expect(await kept()).toEqual([])
  })

  it('is refused at the next request after a revocation, with the token that read before', async () => {
    const token = await api.auditorToken('ledger:read', bank)
    const path = `/ledger/${bank}/tile/entries/000.p/2`
    await api.call('get', path, token).expect(200)
    await revokeAll()
    const { body } = await api.call('get', path, token).expect(403)
    expect(body.code).toBe('audit_grant_required')
  })
})

describe('a bank', () => {
  it('reads its own without a grant, and no ledger says so', async () => {
    const before = (await api.entries(bank)).length
    for (const { path, own } of doors()) {
      if (own === undefined) continue
      const { status } = await api.call('get', path, api.clientToken('back-end', own, bank))
      // No epoch covers the ledger yet, from which sums are proven.
      expect([path, status]).toEqual([
        path,
        path.includes('/sum') && !path.includes('summary') ? 404 : 200,
      ])
    }
    expect(await api.entries(bank)).toHaveLength(before)
  })
})

describe('what an auditor reads of a ledger’s files', () => {
  it('is one entry for each token, whatever is read with it, and before any of it', async () => {
    const before = (await accesses()).length
    const path = `/ledger/${bank}/tile/entries/000.p/2`
    const tokens = [
      await api.auditorToken('ledger:read', bank),
      await api.auditorToken('ledger:read', bank),
    ]
    for (const token of tokens) {
      await Promise.all(Array.from({ length: 6 }, () => api.call('get', path, token).expect(200)))
      await api.call('get', `/ledger/${bank}/statements`, token).expect(200)
      await api.call('get', `/ledger/${bank}/summary?from_index=0&to_index=2`, token).expect(200)
    }
    const entered = (await accesses()).slice(before)
    expect(entered).toMatchObject(tokens.map(() => ({ actor: 'auditor', what: 'ledger' })))
    for (const [i, { n, asked }] of entered.entries()) {
      const read = (await kept()).find((one) => Number(one.n) === n)
      expect(read?.asked).toBe(canonical({ token: jtiOf(tokens[i] ?? '') }))
      expect(commitment(Buffer.from(read?.salt ?? '', 'base64url'), read?.asked ?? '')).toBe(asked)
    }
  })

  it('is entered once by any number of processes', async () => {
    const before = (await accesses()).length
    const connections = openDoorConnections(database.serviceUrl, { connections_max: 2 })
    const other = { ...api.broker, door: openDoor(connections, api.broker.signer) }
    const token = random128()
    const asking = { actor: 'auditor', what: 'ledger', asked: { token }, size: 1, token } as const
    const reads = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        enterAccess(i % 2 === 0 ? api.broker : other, bank, asking),
      ),
    )
    await other.door.close()
    await connections.close()
    const entered = (await accesses()).slice(before)
    expect(entered).toHaveLength(1)
    expect(new Set(reads.map(({ n }) => n))).toEqual(new Set(entered.map(({ n }) => n)))
    expect(new Set(reads.map(({ id }) => id)).size).toBe(1)
  })

  it('is not sent when it cannot be entered', async () => {
    const broker = api.broker as { door: typeof api.broker.door }
    const { door } = broker
    broker.door = { ...door, append: () => Promise.reject(new DoorBusy('full')) }
    const token = await api.auditorToken('ledger:read', bank)
    const path = `/ledger/${bank}/tile/entries/000.p/2`
    try {
      await api.call('get', path, token).expect(503)
    } finally {
      broker.door = door
    }
    await api.call('get', path, token).expect(200)
  })
})

const jtiOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti

describe('what an auditor asks of consents', () => {
  it('is an entry for each search and each timeline, and none for the pages after the first', async () => {
    await api.consent()
    const token = await api.auditorToken('audit:read', bank)
    const before = (await accesses()).length
    const { body } = await api.call('get', '/consents?state=active&limit=1', token).expect(200)
    const pageKey = String(body.page.nextPageKey)
    const next = `/consents?state=active&limit=1&pageKey=${pageKey}`
    await api.call('get', next, token).expect(200)
    await api.call('get', `/consents/${consent}/timeline`, token).expect(200)
    const entered = (await accesses()).slice(before)
    expect(entered.map(({ what }) => what)).toEqual(['consents', 'timeline'])
    const reads = await kept()
    expect(entered.map(({ n }) => reads.find((one) => Number(one.n) === n)?.asked)).toEqual([
      canonical({ state: 'active' }),
      canonical({ consentId: consent }),
    ])
    // The page key is this auditor's, for an hour.
    await api.call('get', next, api.clientToken('support', 'consents:read', bank)).expect(400)
    const clock = api.broker as { now: () => number }
    const { now } = clock
    clock.now = () => now() + hour + 60_000
    try {
      const late = api.clientToken('auditor', 'audit:read', bank)
      const { body: told } = await api.call('get', next, late).expect(400)
      expect(JSON.stringify(told)).toContain('has ended')
    } finally {
      clock.now = now
    }
  })
})

describe('countersign verify <url> --client', () => {
  let folder: string
  const signer = newSigner('ES256')
  const client = { clientId: 'verifier', key: { ...signer.privateJwk, kid: 'one' } }
  const ledger = () => `${api.broker.issuer}/ledger/${bank}`

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-reader-'))
    await insertClient(api.broker.db, {
      ...{ id: 'verifier', kind: 'auditor', bank, legalName: 'Verifiers, LLP' },
      ...{ lei: '7H6GLXDRUGQFU57RNE97', website: 'https://verifier.example', contacts: [] },
      ...{ ...usualSecurity, jwks: { keys: [{ ...signer.publicJwk, kid: 'one' }] } },
      ...{ redirectUris: [], scopes: ['ledger:read'] },
    })
    // Bundles enough to be read ahead.
    await Promise.all(
      Array.from({ length: 600 }, () =>
        recordRefusal(api.broker, {
          ...{ bank, client: `ads-${random128()}`, class: 'advertising', reason: 'class_denied' },
        }),
      ),
    )
    await sign()
    const { text } = await api.call('get', `/ledger/${bank}/policy`).expect(200)
    await writeFile(join(folder, 'policy'), text)
    await writeFile(join(folder, 'key.json'), JSON.stringify(client.key))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const verify = async () => {
    const said: string[] = []
    const out = { write: (text: string) => said.push(text) } as unknown as NodeJS.WritableStream
    const key = ['--client', client.clientId, '--client-key', join(folder, 'key.json')]
    const argv = [ledger(), '--policy', join(folder, 'policy'), ...key]
    return { code: await verifyCommand(argv, { out }), said: said.join('') }
  }

  it('is one entry, while the ledger that it verifies grows by it', async () => {
    await grant('verifier')
    const before = (await accesses()).length
    expect(await verify()).toMatchObject({ code: 0 })
    expect((await accesses()).slice(before)).toMatchObject([{ actor: 'verifier', what: 'ledger' }])
  })

  it('renews its token once, however many reads wait for it', async () => {
    const before = (await accesses()).length
    let ahead = 0
    const get = readAsAuditor(new URL(ledger()), client, () => Date.now() + ahead)
    const read = () =>
      Promise.all(
        Array.from({ length: 8 }, async () => {
          const answer = await get(new URL(`${ledger()}/tile/entries/000`))
          expect(answer.status).toBe(200)
          await answer.arrayBuffer()
        }),
      )
    await read()
    ahead = 271_000
    await read()
    expect((await accesses()).length - before).toBe(2)
  })

  it('takes a grant', async () => {
    await revokeAll()
    expect(await verify()).toMatchObject({ code: 1 })
  })
})

describe('a ledger that was closed', () => {
  it('is read by every door, and who reads it is kept beside it', async () => {
    await closeLedger(api.broker, { bank, reason: 'the bank has a new key' })
    await sign()
    const size = (await api.entries(bank)).length
    const tokens = new Map<string, string>()
    for (const scope of ['audit:read', 'ledger:read'])
      tokens.set(scope, await api.auditorToken(scope, bank))
    for (const { path, auditor } of doors()) {
      if (path.includes('/sum') && !path.includes('summary')) continue
      const { status, body } = await api.call('get', path, tokens.get(auditor))
      expect([path, status]).toEqual([path, 200])
      expect(body).not.toHaveProperty('access')
    }
    const { body } = await api
      .call('get', `/audit/${bank}/entries?limit=1`, tokens.get('audit:read'))
      .expect(200)
    const cursor = String(body.page.next_cursor)
    await api
      .call('get', `/audit/${bank}/entries?limit=1&cursor=${cursor}`, tokens.get('audit:read'))
      .expect(200)
    expect(await api.entries(bank)).toHaveLength(size)
    const reads = (await kept()).filter(({ n }) => n === null)
    expect(reads.map(({ what }) => what).toSorted()).toEqual([
      'consents',
      'entries',
      'entries',
      'entry',
      'export',
      'ledger',
      'report',
      'series',
      'timeline',
    ])
  })

  it('has exports with a manifest that names no entry', async () => {
    const token = await api.auditorToken('audit:read', bank)
    const { headers } = await api.call('get', `/audit/${bank}/export`, token).expect(200)
    const self = `/audit/${bank}/exports/${headers['countersign-export']}`
    const { text } = await api.call('get', `${self}/manifest`, token).expect(200)
    const manifest = JSON.parse(text.split('\n')[1] ?? '')
    expect(manifest).toMatchObject({ exporter: 'auditor', count: (await api.entries(bank)).length })
    expect(manifest).not.toHaveProperty('access')
  })

  it('leaves another bank’s as it is', async () => {
    await sign(otherBank)
    const token = await api.auditorToken('ledger:read', otherBank)
    await api.call('get', `/ledger/${otherBank}/tile/entries/000.p/1`, token).expect(200)
    expect(await accesses(otherBank)).toMatchObject([{ actor: 'other-auditor', what: 'ledger' }])
  })
})
