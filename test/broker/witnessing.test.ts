import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'
import { endProcess, startModule } from '../../sandbox/module_process.ts'
import { createDatabase, databaseUrl, dropDatabase } from '../../sandbox/postgres_database.ts'
import { ReleasesStopped } from '../../src/broker/append.ts'
import { ledgerKey } from '../../src/broker/ledger_keys.ts'
import { proveEntry } from '../../src/broker/prove_entry.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { servedCheckpoint } from '../../src/broker/served_checkpoint.ts'
import { witnessStatus } from '../../src/broker/witness_status.ts'
import { witnessCommand } from '../../src/cli/witness.ts'
import { verifierCrypto as crypto } from '../../src/cli/verifier_crypto.ts'
import { parseNote, parseSignatures } from '../../src/merkle/note.ts'
import { openUnderPolicy, parsePolicy, type Policy } from '../../src/merkle/policy.ts'
import { parseVkey } from '../../src/merkle/vkey.ts'
import { inBank } from '../../src/storage/database.ts'
import { readLeaves } from '../../src/storage/ledgers.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { insertSigningStop } from '../../src/storage/cosignatures.ts'
import { openSource } from '../../src/verifier/open_source.ts'
import { verifyLedger } from '../../src/verifier/verify.ts'
import { activeConsent, approveMessenger, releaseOf } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { writeLedgerFolder } from '../support/ledger_folder.ts'
import { startSpecWitness, type SpecWitness } from '../support/spec_witness.ts'
import {
  memoryMarks,
  originOf,
  testBank,
  testBroker,
  type TestBroker,
} from '../support/test_broker.ts'

const bank = 'citi'
const citi = testBank(bank)
const seed = randomBytes(32)
const origin = originOf(bank)
const { vkey: logVkey, signer: logSigner } = ledgerKey(seed, origin)

let folder: string
let database: TestDatabase
const brokers: TestBroker[] = []
const copies: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-witnessing-'))
  database = await testDatabase()
  await writeFile(join(folder, 'logs'), `log ${logVkey}\nquorum none\n`)
})
afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close()
})
afterAll(async () => {
  for (const name of copies) await dropDatabase(database.ownerUrl, name)
  await database.drop()
  await rm(folder, { recursive: true })
})

/** One of ours, in a process of its own. */
async function startOurs(name: string, state: string) {
  const path = join(folder, `${state}.key`)
  const isNew = !existsSync(path)
  if (isNew) await witnessCommand(['keygen', '--name', name, '--key', path])
  const where = ['--key', path, '--policy', join(folder, 'logs'), '--state', join(folder, state)]
  const argv = [...where, ...(isNew ? ['--init'] : []), '--port', '0']
  const { child, first } = await startModule('sandbox/witness_main', {}, argv)
  return { child, ...(first as { url: string; vkey: string }) }
}

type Peer = Pick<SpecWitness, 'vkey' | 'url'>

/** The policy of these witnesses, by the names w1, w2, … */
function policyOf(peers: readonly Peer[], threshold: number): Policy {
  const lines = peers.map(({ vkey, url }, i) => `witness w${i + 1} ${vkey} ${url}`)
  const names = peers.map((_, i) => `w${i + 1}`).join(' ')
  const text = [`log ${logVkey}`, ...lines, `group some ${threshold} ${names}`, 'quorum some', '']
  return parsePolicy(nodeHasher, text.join('\n'))
}

async function brokerOn(
  policy: Policy,
  {
    url = database.serviceUrl,
    marks = memoryMarks(),
    cadence_s = {},
  }: {
    url?: string
    marks?: ReturnType<typeof memoryMarks>
    cadence_s?: Record<string, number>
  } = {},
): Promise<TestBroker> {
  const broker = await testBroker(url, {
    ...{ banks: [citi], seed, marks },
    witnesses: { policy, cadence_s },
  })
  brokers.push(broker)
  return broker
}

/** Waits for what comes about by itself, within the test's own time. */
async function until<T>(found: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const value = await found()
    if (value !== undefined) return value
    await sleep(20)
  }
}

/** Asks the witnesses over and over, as the duty does each second. */
const begun = (broker: TestBroker, done: () => boolean | Promise<boolean>) =>
  until(async () => {
    await broker.witnessing.begin(bank, { hurried: true })
    return (await done()) || undefined
  })

/** A ledger that has grown by a consent, and is signed. */
async function grown(broker: TestBroker) {
  const consent = await activeConsent(broker, bank)
  expect(await broker.signer.sign(bank)).toBeUndefined()
  return consent
}

const statusOf = async (broker: TestBroker) => {
  const found = await witnessStatus(broker, bank)
  if (found === undefined) throw new Error('nothing is signed')
  return found
}

const witnessedAt = (broker: TestBroker) => async () => {
  const { signed_size, witnessed_size } = await statusOf(broker)
  return signed_size === witnessed_size
}

/** The ledger's files with the checkpoint that the broker serves, as an auditor has them. */
async function filesOf(broker: TestBroker, name: string): Promise<string> {
  const served = await servedCheckpoint(broker, bank)
  if (served === undefined) throw new Error('nothing is served')
  const leaves = await readLeaves(broker.db, bank, { from: 0, to: served.size })
  const files = join(folder, name)
  await writeLedgerFolder(files, leaves, {
    vkey: parseVkey(nodeHasher, logVkey),
    signer: logSigner,
  })
  await writeFile(join(files, 'checkpoint'), served.note)
  return files
}

async function expectReleasesStopped(
  broker: TestBroker,
  consent: { id: string; handle: string },
): Promise<void> {
  await expect(releaseOf(broker, bank, consent)).rejects.toThrow(ReleasesStopped)
  const by = { bank, consentId: consent.id, by: 'customer', reason: 'USER_ACTION' } as const
  expect(await revokeConsent(broker, by)).toMatchObject({ state: 'revoked' })
}

describe('three witnesses, two of ours and one by the specification alone, of which two are needed', () => {
  let ours: Awaited<ReturnType<typeof startOurs>>[]
  let theirs: SpecWitness
  let policy: Policy
  const children: ChildProcess[] = []
  const marks = memoryMarks()
  /** The database as it was some entries ago. */
  let earlier: string
  let earlierMarks: ReturnType<typeof memoryMarks>
  let honest: string

  beforeAll(async () => {
    ours = [
      await startOurs('w.auditor.example', 'auditor'),
      await startOurs('w.citi.example', 'citi'),
    ]
    children.push(...ours.map(({ child }) => child))
    theirs = await startSpecWitness({ name: 'w.other.example', logs: [{ vkey: logVkey }] })
    policy = policyOf([...ours, theirs], 2)
  })
  afterAll(async () => {
    for (const child of children) await endProcess(child, 'SIGKILL')
    await theirs.close()
  })

  it('cosign each checkpoint, which is served with their signatures and passes under the policy', async () => {
    const broker = await brokerOn(policy, { marks })
    await approveMessenger(broker, citi)
    await grown(broker)
    expect(await broker.witnessing.ask(bank)).toEqual([])
    await grown(broker)
    await begun(broker, async () =>
      (await statusOf(broker)).witnesses.every(({ behind }) => behind === 0),
    )
    const status = await statusOf(broker)
    expect(status).toMatchObject({
      ...{ signed_size: 4, witnessed_size: 4, quorum: 'some', quorum_met: true },
      witnesses: [
        { name: 'w1', size: 4 },
        { name: 'w2', size: 4 },
        { name: 'w3', size: 4 },
      ],
    })
    const { note } = (await servedCheckpoint(broker, bank)) ?? { note: '' }
    const { cosigners, checkpoint } = openUnderPolicy(verifyEd25519, policy, note)
    expect(cosigners.map(({ name }) => name)).toEqual(['w1', 'w2', 'w3'])
    expect(checkpoint.size).toBe(theirs.seen.get(origin)?.size)
    const files = await filesOf(broker, 'sound')
    const freshness = { max_age_s: 60, now: Date.now() }
    expect(await verifyLedger(openSource(files), { policy, freshness, crypto })).toMatchObject({
      ...{ verified: true, checks: { freshness: 'passed' } },
    })
    expect(broker.alarms).toEqual([])
  })

  it('are two when one is killed and, without the third, too few: the last checkpoint of a quorum stays in place', async () => {
    const broker = await brokerOn(policy, { marks })
    ours[0]?.child.kill('SIGKILL')
    const consent = await grown(broker)
    await begun(broker, witnessedAt(broker))
    expect((await statusOf(broker)).witnesses[0]).toMatchObject({ name: 'w1', size: 4, behind: 1 })
    const proof = await proveEntry(broker, { bank, index: 4 })
    openUnderPolicy(verifyEd25519, policy, proof?.checkpoint ?? '')

    // Partitioned: it takes what is sent, and never answers.
    theirs.instead = () => undefined
    expect((await releaseOf(broker, bank, consent)).kind).toBe('entered')
    expect(await broker.signer.sign(bank)).toBeUndefined()
    await broker.witnessing.ask(bank)
    expect(await statusOf(broker)).toMatchObject({
      ...{ signed_size: 6, witnessed_size: 5, quorum_met: false },
      witnesses: [{ problem: 'unreachable' }, { size: 6 }, { size: 5, problem: 'timeout' }],
    })
    expect((await servedCheckpoint(broker, bank))?.size).toBe(5)
    // A proof waits, and is then under what is signed: whether that is enough, its reader decides.
    let signings = 0
    const sign = (of: string) => ((signings += 1), broker.signer.sign(of))
    const counting = { ...broker, signer: { ...broker.signer, sign } }
    const [late] = await Promise.all(
      Array.from({ length: 50 }, () => proveEntry(counting, { bank, index: 5 })),
    )
    // Each turn lasts a tenth of a second or more, and all who wait take it together.
    expect(signings).toBeLessThan(25)
    expect(() => openUnderPolicy(verifyEd25519, policy, late?.checkpoint ?? '')).toThrow(
      'too few witnesses cosigned',
    )
    expect(parseNote(late?.checkpoint ?? '').signatures).toHaveLength(2)
    expect(broker.signer.stopped(bank)).toBeUndefined()
    expect(broker.alarms).toEqual([])

    // Both are back: the killed one as it was, from what it had remembered.
    theirs.instead = undefined
    const again = await startOurs('w.auditor.example', 'auditor')
    children.push(again.child)
    ours = [again, ...ours.slice(1)]
    policy = policyOf([...ours, theirs], 2)
  })

  it('go on from where each was, and the quorum with them', async () => {
    const broker = await brokerOn(policy, { marks })
    expect(await broker.witnessing.ask(bank)).toEqual([])
    expect(await statusOf(broker)).toMatchObject({
      ...{ witnessed_size: 6 },
      witnesses: [{ size: 6 }, { size: 6 }, { size: 6 }],
    })
    expect(broker.answers.toSorted()).toEqual([1, 2, 3].map((i) => `${bank}: w${i}: cosigned`))
    await broker.close()
    brokers.splice(0)
    earlier = await copied()
    earlierMarks = memoryMarks()
    for (const [name, mark] of marks.marks) earlierMarks.marks.set(name, mark)
    const later = await brokerOn(policy, { marks })
    for (let i = 0; i < 3; i++) await grown(later)
    expect(await later.witnessing.ask(bank)).toEqual([])
    honest = (await servedCheckpoint(later, bank))?.note ?? ''
    expect(theirs.seen.get(origin)?.size).toBe(9)
  })

  it('stop a broker whose database and marks were rolled back together, before it signs anything', async () => {
    const broker = await brokerOn(policy, { url: earlier, marks: earlierMarks })
    const consent = await activeConsent(broker, bank)
    const whys = await broker.witnessing.ask(bank)
    expect(whys).toHaveLength(3)
    for (const [i, why] of whys.entries())
      expect(why).toContain(
        `the witness w${i + 1} has cosigned 9 entries, and 6 are signed here: the ledger was rolled back`,
      )
    expect(whys[0]).toContain("shows the checkpoint of 9 entries that this ledger's key signed")
    expect(await broker.signer.sign(bank)).toContain('the ledger was rolled back')
    expect((await servedCheckpoint(broker, bank))?.size).toBe(6)
    expect(broker.alarms).toHaveLength(1)
    expect(broker.alarms[0]).toContain('the ledger was rolled back')
    expect((await statusOf(broker)).stopped).toContain('the ledger was rolled back')
    await expectReleasesStopped(broker, consent)
    // What it still shows is true, and old: whoever asks for its age, or has a later checkpoint, sees that.
    const source = openSource(await filesOf(broker, 'rolled-back'))
    expect((await verifyLedger(source, { policy, crypto })).findings).toEqual([])
    const freshness = { max_age_s: 600, now: Date.now() + 601_000 }
    const { findings } = await verifyLedger(source, {
      ...{ policy, freshness, earlier: [honest], crypto },
    })
    expect(findings).toMatchObject([
      { check: 'freshness', detail: expect.stringContaining('in the last 600 s') },
      { check: 'history', detail: 'it had 9 entries and now has 6: entries were taken back' },
    ])
    show('rolled back', [
      ...[...whys, ...broker.alarms, ...broker.answers],
      ...findings.map(({ detail }) => `verify: ${detail}`),
    ])
    // Another process on this database learns of it before it signs, and so does the one that starts next.
    const other = await brokerOn(policy, { url: earlier, marks: earlierMarks })
    expect(await other.signer.sign(bank)).toContain('the ledger was rolled back')
    await other.witnessing.close()
    await insertSigningStop(broker.db, bank, undefined)
    const freed = await brokerOn(policy, { url: earlier, marks: earlierMarks })
    expect(await freed.signer.sign(bank)).toBeUndefined()
  })

  it.each([
    ['of the same size', 9],
    ['that is larger', 11],
  ])(
    'tell a fork %s from the ledger, and so does whoever has an earlier checkpoint',
    async (name, size) => {
      const url = await copied(earlier)
      const forkMarks = memoryMarks()
      const broker = await brokerOn(policy, { url, marks: forkMarks })
      // By hand: no gate was passed, and the mark was set to what is there.
      await inBank(broker.db, bank, (tx) => tx.raw('select 1'))
      const copy = await statusOf(broker)
      const mark = earlierMarks.marks.get(origin)
      if (mark !== undefined) forkMarks.marks.set(origin, mark)
      for (let n = await sizeNow(broker); n < size; n++) await activeConsent(broker, bank)
      expect(copy.stopped).toBeUndefined()
      expect(await broker.signer.sign(bank)).toBeUndefined()
      const consent = await lastConsent(broker)
      const whys = await broker.witnessing.ask(bank)
      expect(whys).toHaveLength(3)
      for (const why of whys)
        expect(why).toContain(
          `has cosigned a ledger that this one of ${size} entries does not extend: one of the two is a fork`,
        )
      expect(broker.alarms).toHaveLength(1)
      expect(broker.signer.stopped(bank)).toContain('one of the two is a fork')
      await expectReleasesStopped(broker, consent)
      expect(theirs.seen.get(origin)?.size).toBe(9)

      // Nobody who asks for the quorum is shown the fork; whoever trusts the log alone sees it beside what he had.
      expect((await servedCheckpoint(broker, bank))?.size).toBe(6)
      const files = join(folder, `fork-${size}`)
      const leaves = await readLeaves(broker.db, bank, { from: 0, to: size })
      await writeLedgerFolder(files, leaves, {
        vkey: parseVkey(nodeHasher, logVkey),
        signer: logSigner,
      })
      const report = await verifyLedger(openSource(files), { policy, crypto })
      expect(report.findings).toEqual([
        { check: 'checkpoint', detail: 'too few witnesses cosigned' },
      ])
      const trusting = parsePolicy(nodeHasher, `log ${logVkey}\nquorum none\n`)
      const compared = await verifyLedger(openSource(files), {
        policy: trusting,
        earlier: [honest],
        crypto,
      })
      expect(compared.findings).toMatchObject([
        { check: 'history', detail: expect.stringContaining('this is a fork') },
      ])
      show(`a fork ${name}`, [
        ...broker.alarms,
        ...broker.answers,
        `verify: ${report.findings[0]?.detail}`,
        `verify --against: ${compared.findings[0]?.detail}`,
      ])
    },
  )

  async function copied(url = database.serviceUrl): Promise<string> {
    for (const broker of brokers.splice(0)) await broker.close()
    const name = `${new URL(url).pathname.slice(1)}_${randomBytes(2).toString('hex')}`
    await createDatabase(database.ownerUrl, name, { template: new URL(url).pathname.slice(1) })
    copies.push(name)
    return databaseUrl(url, name)
  }
})

const sizeNow = async (broker: TestBroker) =>
  inBank(broker.db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: { size: string }[] }>('select size from ledger_heads')
    return Number(rows[0]?.size)
  })

/** A consent that is active, with the handle of its account. */
async function lastConsent(broker: TestBroker): Promise<{ id: string; handle: string }> {
  const leaves = await readLeaves(broker.db, bank, { from: 0, to: 1_000 })
  const { body } = JSON.parse(leaves.at(-1)?.toString() ?? '{}') as {
    body: { consent: string; accounts: string[] }
  }
  return { id: body.consent, handle: body.accounts[0] ?? '' }
}

/** For the record of who said what, with `SHOW_WITNESSES=1`. */
function show(what: string, lines: readonly string[]): void {
  if (process.env['SHOW_WITNESSES'] !== undefined)
    process.stdout.write(`\n${what}:\n${lines.map((line) => `  ${line}\n`).join('')}`)
}

describe('a witness that does not keep to the specification', () => {
  let witness: SpecWitness
  let broker: TestBroker
  let own: TestDatabase
  beforeAll(async () => {
    own = await testDatabase()
    witness = await startSpecWitness({ name: 'w.bad.example', logs: [{ vkey: logVkey }] })
  })
  afterAll(async () => {
    await witness.close()
    await own.drop()
  })
  const textNow = async () => parseNote((await servedCheckpoint(broker, bank))?.note ?? '').text
  const answer =
    (status: number, body: string | Buffer, headers: Record<string, string> = {}) =>
    (res: ServerResponse) =>
      void res.writeHead(status, headers).end(body)

  const cases: [string, string, () => Promise<(res: ServerResponse) => void>][] = [
    ['junk', 'bad_answer', async () => answer(200, 'hello\n')],
    ['nothing', 'bad_answer', async () => answer(200, '')],
    ['no UTF-8', 'bad_answer', async () => answer(200, Buffer.of(0xff, 0xfe, 0x0a))],
    [
      'a line without an end',
      'bad_answer',
      async () => answer(200, witness.cosign(await textNow()).trimEnd()),
    ],
    [
      'another key of its name',
      'bad_answer',
      async () => answer(200, witness.cosign(await textNow()).replace(/ (\S{4})/, ' AAAA')),
    ],
    [
      'a signature of another size',
      'bad_signature',
      async () => answer(200, witness.cosign((await textNow()).replace(/\n\d+\n/, '\n999\n'))),
    ],
    [
      'a time of long ago',
      'bad_time',
      async () => answer(200, witness.cosign(await textNow(), 1_700_000_000)),
    ],
    [
      'a time to come',
      'bad_time',
      async () =>
        answer(200, witness.cosign(await textNow(), Math.floor(Date.now() / 1_000) + 3_600)),
    ],
    [
      '101 lines',
      'bad_answer',
      async () => answer(200, witness.cosign(await textNow()).repeat(101)),
    ],
    ['a megabyte', 'too_large', async () => answer(200, 'x'.repeat(1_000_000))],
    ['a redirect', 'bad_answer', async () => answer(307, '', { location: witness.url })],
    ['a page', 'bad_answer', async () => answer(502, '<html>')],
    [
      'a 409 without a size',
      'bad_answer',
      async () => answer(409, 'no\n', { 'content-type': 'text/x.tlog.size' }),
    ],
    [
      'a 409 of another type',
      'bad_answer',
      async () => answer(409, '1\n', { 'content-type': 'text/plain' }),
    ],
    [
      'a 409 with the size that was sent, for ever',
      'pushed_back',
      async () => answer(409, '1\n', { 'content-type': 'text/x.tlog.size' }),
    ],
    ['400', 'refused_400', async () => answer(400, '')],
    ['403', 'refused_403', async () => answer(403, '')],
    ['404', 'refused_404', async () => answer(404, '')],
    ['429', 'pushed_back', async () => answer(429, '', { 'retry-after': '1' })],
    ['a hang', 'timeout', async () => () => undefined],
    ['half an answer', 'timeout', async () => (res) => void res.writeHead(200).write('— w')],
    ['a broken connection', 'unreachable', async () => (res) => void res.socket?.destroy()],
  ]

  it('is told apart, left for a while, and stops nothing', async () => {
    broker = await brokerOn(policyOf([witness], 1), { url: own.serviceUrl })
    await broker.signer.sign(bank)
    const instead = await Promise.all(
      cases.map(async ([name, problem, make]) => [name, problem, await make()] as const),
    )
    for (const [name, problem, misbehave] of instead) {
      witness.instead = (_req, res) => misbehave(res)
      expect(await broker.witnessing.ask(bank)).toEqual([])
      expect([name, (await statusOf(broker)).witnesses[0]]).toMatchObject([
        name,
        { name: 'w1', behind: 1, problem },
      ])
    }
    expect(broker.signer.stopped(bank)).toBeUndefined()
    expect((await servedCheckpoint(broker, bank))?.size).toBe(1)
    // It is not its turn again yet, and nobody asks.
    witness.instead = undefined
    const asked = witness.asked()
    await broker.witnessing.begin(bank)
    expect(witness.asked()).toBe(asked)
    expect(await broker.witnessing.ask(bank)).toEqual([])
    expect(await statusOf(broker)).toMatchObject({ witnessed_size: 1, quorum_met: true })
    expect((await statusOf(broker)).witnesses[0]).not.toHaveProperty('problem')
    expect(broker.alarms).toEqual([])
  })

  it('may add the lines of a hundred others to its own', async () => {
    broker = await brokerOn(policyOf([witness], 1), { url: own.serviceUrl })
    const text = await textNow()
    const other = (i: number) => `— other.example/${i} ${Buffer.alloc(76, i).toString('base64')}\n`
    const others = Array.from({ length: 99 }, (_, i) => other(i))
    witness.instead = (_req, res) => answer(200, [...others, witness.cosign(text)].join(''))(res)
    expect(await broker.witnessing.ask(bank)).toEqual([])
    const { note } = (await servedCheckpoint(broker, bank)) ?? { note: '' }
    expect(parseSignatures(note.split('\n\n')[1] ?? '')).toHaveLength(2)
    witness.instead = undefined
  })

  it.each([
    ['an empty 409', 409, ''],
    ['422', 422, 'no\n'],
  ])('stops signing with %s, whoever of the two is wrong', async (_name, status, body) => {
    const lone = await testDatabase()
    broker = await brokerOn(policyOf([witness], 1), { url: lone.serviceUrl })
    await broker.signer.sign(bank)
    witness.instead = (_req, res) => answer(status, body)(res)
    expect(await broker.witnessing.ask(bank)).toHaveLength(1)
    expect(broker.signer.stopped(bank)).toContain('one of the two is a fork')
    witness.instead = undefined
    await broker.close()
    brokers.splice(0)
    await lone.drop()
  })

  it('is asked at its own pace, and those that come often wait for the size of those that come seldom', async () => {
    const often = await startSpecWitness({ name: 'w.often.example', logs: [{ vkey: logVkey }] })
    const lone = await testDatabase()
    witness.pretend(origin, undefined)
    broker = await brokerOn(policyOf([often, witness], 2), {
      ...{ url: lone.serviceUrl, cadence_s: { w2: 3_600 } },
    })
    await approveMessenger(broker, citi)
    await grown(broker)
    often.instead = (_req, res) => answer(500, '')(res)
    await broker.witnessing.ask(bank)
    expect([witness.seen.get(origin)?.size, often.seen.get(origin)]).toEqual([3, undefined])
    // The other is back when the ledger has grown; it is given the size that the seldom one has seen, and then the newest.
    often.instead = undefined
    await grown(broker)
    await begun(broker, async () => (await statusOf(broker)).witnesses[0]?.behind === 0)
    expect(witness.seen.get(origin)?.size).toBe(3)
    expect(await statusOf(broker)).toMatchObject({ signed_size: 4, witnessed_size: 3 })
    await broker.close()
    brokers.splice(0)
    await often.close()
    await lone.drop()
  })
})
