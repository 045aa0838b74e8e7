import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { endProcess, startModule } from '../../sandbox/module_process.ts'
import { withClient } from '../../sandbox/postgres_database.ts'
import { UsageError } from '../../src/cli/arguments.ts'
import { startWitness, witnessCommand } from '../../src/cli/witness.ts'
import { formatAddCheckpoint } from '../../src/merkle/add_checkpoint.ts'
import { openCheckpoint, signCheckpoint } from '../../src/merkle/checkpoint.ts'
import { cosignatureTime, cosignatureVerifier } from '../../src/merkle/cosignature.ts'
import { encodeUtf8 } from '../../src/merkle/encoding.ts'
import type { Hash } from '../../src/merkle/hash.ts'
import { parseNote, parseSignatures } from '../../src/merkle/note.ts'
import { proveConsistency, type TileReader } from '../../src/merkle/proof.ts'
import { append, emptyEdge, emptyRoot, leafHash, rootOf } from '../../src/merkle/tree.ts'
import { formatVkey, parseVkey } from '../../src/merkle/vkey.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { logKey } from '../merkle/keys.ts'
import { countersign } from '../cli/operator.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

const origin = 'broker.example/ledger/us-bank'
const key = logKey(origin, 0x00)
const thief = logKey(origin, 0x40)
const stranger = logKey('other.example/ledger/us-bank', 0x00)

/** A log of up to 200 entries, and another that is the same for its first 20. */
const leaves = (name: string) =>
  Array.from({ length: 200 }, (_, i) =>
    leafHash(nodeHasher, encodeUtf8(i < 20 ? `entry ${i}` : `${name} ${i}`)),
  )
const trunk = leaves('trunk')
const fork = leaves('fork')

const rootAt = (log: readonly Hash[], size: number): Hash => {
  const edge = emptyEdge()
  for (const leaf of log.slice(0, size)) append(nodeHasher, edge, leaf)
  return rootOf(nodeHasher, edge)
}

const tilesOf = (log: readonly Hash[]): TileReader => ({
  readTile: ({ index, width }) =>
    Promise.resolve(Buffer.concat(log.slice(index * 256, index * 256 + width))),
})

async function bodyOf(
  {
    old,
    size,
    log = trunk,
    by = key,
  }: { old: number; size: number; log?: readonly Hash[]; by?: typeof key },
  change: Partial<Parameters<typeof formatAddCheckpoint>[0]> = {},
): Promise<string> {
  const proof =
    old <= size ? await proveConsistency(nodeHasher, tilesOf(log), { from: old, to: size }) : []
  const checkpoint = signCheckpoint(
    { origin: by.vkey.name, size, root: rootAt(log, size) },
    by.signer,
  )
  return formatAddCheckpoint({ old, proof, checkpoint, ...change })
}

let folder: string
let database: TestDatabase
let vkey: string
const processes: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-witness-'))
  database = await testDatabase({ migrated: false })
  await writeFile(join(folder, 'url'), database.ownerUrl)
  await writeFile(join(folder, 'policy'), `log ${formatVkey(key.vkey)}\nquorum none\n`)
  await witnessCommand(['keygen', '--name', 'witness.example/w1', '--key', join(folder, 'key')])
})
afterEach(async () => {
  for (const child of processes.splice(0)) await endProcess(child)
})
afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

const begun = new Set<string>()

/** `countersign witness` in a process of its own, which begins where it has not begun yet. */
async function start(state: readonly string[]) {
  const given = ['--key', join(folder, 'key'), '--policy', join(folder, 'policy'), ...state]
  const argv = begun.has(given.join()) ? given : [...given, '--init']
  begun.add(given.join())
  const { child, first } = await startModule('sandbox/witness_main', {}, [...argv, '--port', '0'])
  const { url, vkey: own } = first as { url: string; vkey: string }
  vkey = own
  const post = (body: string | Promise<string>) =>
    Promise.resolve(body).then((sent) =>
      fetch(`${url}/add-checkpoint`, { method: 'POST', body: sent }),
    )
  const started = {
    child,
    url,
    post,
    /** The status, and the size that a 409 names. */
    async say(body: string | Promise<string>): Promise<string> {
      const answer = await post(body)
      const said = await answer.text()
      return answer.status === 409 ? `409 ${said.trim()}` : String(answer.status)
    },
    latest: () => fetch(`${url}/${createHash('sha256').update(origin).digest('hex')}/checkpoint`),
  }
  processes.push(child)
  return started
}

let folders = 0
const newFolder = () => ['--state', join(folder, `state-${folders++}`)]

/** When the witness signed, in seconds, by the one line of its answer. Throws when the signature is bad. */
function timeOf(line: string, note: string): number {
  const [own, ...more] = parseSignatures(line)
  const signature = own?.signature ?? Buffer.of()
  expect(more).toEqual([])
  const verifier = cosignatureVerifier(parseVkey(nodeHasher, vkey), verifyEd25519)
  expect(verifier.verify(encodeUtf8(parseNote(note).text), signature)).toBe(true)
  return cosignatureTime(signature)
}

describe.each([
  ['a folder', newFolder],
  ['a database', () => ['--state-url', join(folder, 'url')]],
])('a witness that remembers in %s', (_name, state) => {
  it('cosigns what extends what it cosigned, answers each fault with its code, and forgets nothing', async () => {
    const one = await start(state())
    const checkpoint = (await bodyOf({ old: 0, size: 3 })).split('\n\n').slice(1).join('\n\n')
    expect(await one.say('hello')).toBe('400')
    expect(await one.say('old 0\n\nhello\n')).toBe('400')
    expect(await one.say(bodyOf({ old: 0, size: 3, by: stranger }))).toBe('404')
    expect(await one.say(bodyOf({ old: 0, size: 3, by: thief }))).toBe('403')
    expect((await one.latest()).status).toBe(404)
    expect(await one.say(bodyOf({ old: 4, size: 3 }))).toBe('400')
    expect(await one.say(bodyOf({ old: 2, size: 3 }))).toBe('409 0')
    expect(await one.say(bodyOf({ old: 0, size: 3 }, { proof: [rootAt(trunk, 3)] }))).toBe('422')

    const answer = await one.post(bodyOf({ old: 0, size: 3 }))
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'text/plain; charset=utf-8',
    ])
    expect(timeOf(await answer.text(), checkpoint)).toBeGreaterThan(Date.now() / 1_000 - 60)
    expect(await one.say(bodyOf({ old: 3, size: 3 }))).toBe('200')
    expect(await one.say(bodyOf({ old: 3, size: 20 }))).toBe('200')
    expect(await one.say(bodyOf({ old: 3, size: 20 }))).toBe('409 20')
    expect(await one.say(bodyOf({ old: 0, size: 3 }))).toBe('409 20')
    expect(await one.say(bodyOf({ old: 20, size: 100 }))).toBe('200')
    expect(await one.say(bodyOf({ old: 100, size: 100, log: fork }))).toBe('422')
    expect(await one.say(bodyOf({ old: 100, size: 150, log: fork }))).toBe('422')
    expect(await one.say(bodyOf({ old: 100, size: 150 }, { proof: [] }))).toBe('422')

    const latest = await (await one.latest()).text()
    const { checkpoint: shown, cosignatures } = openCheckpoint(latest, {
      ...{ origin, logKeys: [key.verifier] },
      witnesses: [cosignatureVerifier(parseVkey(nodeHasher, vkey), verifyEd25519)],
    })
    expect([shown.size, cosignatures.size]).toEqual([100, 1])
  })

  it('cosigns one of those that come at the same time, in two processes, and never goes back', async () => {
    const where = state()
    const both = [await start(where), await start(where)] as const
    let size = Number((await both[0].say(bodyOf({ old: 150, size: 160 }))).split(' ')[1])
    for (let round = 0; round < 5; round++) {
      const asked = Array.from({ length: 8 }, (_, i) => size + 1 + i)
      const said = await Promise.all(
        asked.map((next, i) => (both[i % 2] ?? both[0]).say(bodyOf({ old: size, size: next }))),
      )
      const won = asked.filter((_, i) => said[i] === '200')
      expect(won).toHaveLength(1)
      size = won[0] ?? 0
      expect(said.filter((one) => one === `409 ${size}`)).toHaveLength(7)
      expect(await both[1].say(bodyOf({ old: size, size }))).toBe('200')
    }
  })

  it('has remembered whatever it answered when it is killed at any moment', async () => {
    const where = state()
    let size = 0
    for (let kill = 0; kill < 2; kill++) {
      const one = await start(where)
      const [, known = '0'] = (await one.say(bodyOf({ old: 199, size: 200 }))).split(' ')
      expect(Number(known)).toBeGreaterThanOrEqual(size)
      size = Number(known)
      const climb = async () => {
        for (;;) {
          if ((await one.say(bodyOf({ old: size, size: size + 1 }))) !== '200') return
          size += 1
          // In the middle of the next one.
          if (size % 7 === 0) one.child.kill('SIGKILL')
        }
      }
      await climb().catch(() => undefined)
      await endProcess(one.child, 'SIGKILL')
    }
    const last = await start(where)
    const [, known = '0'] = (await last.say(bodyOf({ old: 199, size: 200 }))).split(' ')
    expect([size, size + 1]).toContain(Number(known))
    expect(size).toBeGreaterThan(10)
  })
})

/** What is said by a witness that starts, to what extends `old` on either log; or why it does not start. */
async function startedOn(
  argv: readonly string[],
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<readonly string[] | Error> {
  const started = await startWitness([...argv, '--port', '0']).catch((error: unknown) => error)
  if (started instanceof Error) return started
  const { witnessing, end } = started as Awaited<ReturnType<typeof startWitness>>
  await meanwhile()
  const say = async (body: Promise<string>) => {
    const { status } = await fetch(`${witnessing.url}/add-checkpoint`, {
      ...{ method: 'POST', body: await body },
    })
    return String(status)
  }
  try {
    return [
      await say(bodyOf({ old: 0, size: 100 })),
      await say(bodyOf({ old: 100, size: 150, log: fork })),
      await say(bodyOf({ old: 0, size: 120, log: fork })),
    ]
  } finally {
    await end()
  }
}

const loseFolder = () => rm(join(folder, 'memory'), { recursive: true })
const asOwner = (sql: string) => withClient(database.ownerUrl, (client) => client.query(sql))
const loseTable = () => asOwner('drop table cosigned_checkpoints')
const loseRows = () => asOwner('delete from cosigned_checkpoints')

describe.each<[string, { state: readonly string[]; lose: () => Promise<unknown> }]>([
  ['folder', { state: ['--state', 'memory'], lose: loseFolder }],
  ['table', { state: ['--state-url', 'url'], lose: loseTable }],
  ['content of its table', { state: ['--state-url', 'url'], lose: loseRows }],
])('a witness whose %s is lost', (name, { state, lose }) => {
  const [option = '', at = ''] = state
  const path = (file: string) => join(folder, file)
  const call = (key: string, policy = 'policy') => [
    ...['--key', path(key), '--policy', path(policy), option, path(at)],
  ]
  const remembers = ['409', '422', '409']
  const lost = expect.objectContaining({ message: expect.stringContaining('holds nothing of') })
  const there = expect.objectContaining({ message: expect.stringContaining('leave --init out') })

  it('starts no more, and began only where it was told that there was nothing yet', async () => {
    await witnessCommand(['keygen', '--name', 'w', '--key', path(`key of ${name}`)])
    const own = call(`key of ${name}`)
    const { code, err } = await countersign({}, 'witness', ...own)
    expect([code, err.split(/\n|: this/)[0]]).toEqual([
      2,
      `${option === '--state' ? path(at) : `the database of ${path(at)}`} holds nothing of what this key cosigned of ${origin}. If it was lost, make a new key with a new name`,
    ])
    expect(await startedOn(own)).toEqual(lost)
    expect(await startedOn([...own, '--init'])).toEqual(['200', '422', '409'])
    expect(await startedOn([...own, '--init'])).toEqual(there)
    expect(await startedOn(own)).toEqual(remembers)

    expect(await startedOn(own, lose)).toEqual(['500', '500', '500'])
    expect(await startedOn(own)).toEqual(lost)
  })

  it('holds what each key cosigned, and each log, for itself', async () => {
    const [first, second] = [`first of ${name}`, `second of ${name}`]
    for (const key of [first, second])
      await witnessCommand(['keygen', '--name', 'w', '--key', path(key)])
    expect(await startedOn([...call(first), '--init'])).toEqual(['200', '422', '409'])
    expect(await startedOn(call(second))).toEqual(lost)
    expect(await startedOn([...call(second), '--init'])).toEqual(['200', '422', '409'])

    const { vkey: other } = logKey(stranger.vkey.name, 0x20)
    const alone = `log ${formatVkey(other)}\n`
    await writeFile(path('new log'), `${alone}quorum none\n`)
    await writeFile(path('both logs'), `${alone}${await readFile(path('policy'), 'utf8')}`)
    expect(await startedOn(call(first, 'both logs'))).toEqual(
      expect.objectContaining({ message: expect.stringContaining(other.name) }),
    )
    expect(await startedOn([...call(first, 'both logs'), '--init'])).toEqual(there)
    expect(await startedOn([...call(first, 'new log'), '--init'])).toEqual(['404', '404', '404'])
    expect(await startedOn(call(first, 'both logs'))).toEqual(remembers)
  })

  it('begins once, however many are told to at the same time', async () => {
    const key = `contended of ${name}`
    await witnessCommand(['keygen', '--name', 'w', '--key', path(key)])
    const argv = [...call(key), '--init', '--port', '0']
    const starting = await Promise.allSettled(Array.from({ length: 4 }, () => startWitness(argv)))
    const started = starting.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    for (const { end } of started) await end()
    expect(started).toHaveLength(1)
  })
})

describe('a place that holds what no witness put there', () => {
  const hex = 'a0'.repeat(32)
  const formerly = join(createHash('sha256').update(origin).digest('hex'), '1')
  const refused = (found: string): unknown =>
    expect.objectContaining({ name: 'UsageError', message: expect.stringContaining(found) })
  const call = (state: string) => [
    ...['--key', join(folder, 'key'), '--policy', join(folder, 'policy'), '--state', state],
  ]
  const place = () => newFolder()[1] ?? ''
  async function put(path: string) {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, 'kept')
  }

  it('is started on by no command, and begun on by none', async () => {
    const state = place()
    await put(join(state, formerly))
    for (const init of [[], ['--init']]) {
      const { code, err } = await countersign({}, 'witness', ...call(state), ...init)
      expect([code, err.split(', which')[0]]).toEqual([
        2,
        `${state} holds what is not understood: there is ${join(state, formerly)}`,
      ])
      expect(err).toContain('make a new key with a new name')
    }
    expect(await readdir(state, { recursive: true })).toEqual([dirname(formerly), formerly])
  })

  it.each([
    [formerly],
    ['notes'],
    ['.hidden'],
    ['1'],
    [hex],
    ['lost+found/notes'],
    [`${hex}/notes`],
    [`${hex}/.00000000-0000-4000-8000-000000000000`],
    [`${hex}/${hex}/notes`],
    [`${hex}/${hex}/01`],
    [`${hex}/${hex}/1/notes`],
  ])('is no state, with %s in it, whether or not there is a witness too', async (path) => {
    const state = place()
    const found = join(state, path)
    const there = refused(`there is ${state}`)
    await put(found)
    expect(await startedOn(call(state))).toEqual(there)
    expect(await startedOn([...call(state), '--init'])).toEqual(there)
    expect(await readFile(found, 'utf8')).toBe('kept')

    await rm(state, { recursive: true })
    expect(await startedOn([...call(state), '--init'])).toEqual(['200', '422', '409'])
    await put(found)
    expect(await startedOn(call(state))).toEqual(there)
    expect(await startedOn([...call(state), '--init'])).toEqual(there)
    await rm(join(state, path.split('/')[0] ?? ''), { recursive: true })
    expect(await startedOn(call(state))).toEqual(['409', '422', '409'])
  })

  it('is not one that is empty, nor one that a killed witness left a file in', async () => {
    const state = place()
    await mkdir(state)
    expect(await startedOn(call(state))).toEqual(refused('holds nothing of'))
    expect(await startedOn([...call(state), '--init'])).toEqual(['200', '422', '409'])
    expect(await startedOn([...call(state), '--init'])).toEqual(refused('leave --init out'))
    const files = await readdir(state, { recursive: true })
    const first = join(state, files.find((file) => file.endsWith('/1')) ?? '')
    await put(join(dirname(first), `.${randomUUID()}`))
    expect(await startedOn(call(state))).toEqual(['409', '422', '409'])
  })

  const form = 'vkey text not null, origin text not null, version bigint not null, note text'
  it.each([
    ['origin text primary key, version bigint not null, note text not null'],
    [form],
    [`${form}, more text, primary key (vkey, origin)`],
    [`${form}, primary key (origin)`],
    [`${form.replace('bigint', 'integer')}, primary key (vkey, origin)`],
  ])('is a table of (%s)', async (columns) => {
    const other = await testDatabase({ migrated: false })
    try {
      await withClient(other.ownerUrl, async (client) => {
        await client.query(`create table cosigned_checkpoints (${columns})`)
      })
      const url = join(folder, 'url of another form')
      await writeFile(url, other.ownerUrl)
      const argv = [...call('').slice(0, -2), '--state-url', url]
      const there = refused('not understood: the table cosigned_checkpoints is there with (')
      expect(await startedOn(argv)).toEqual(there)
      expect(await startedOn([...argv, '--init'])).toEqual(there)
      await withClient(other.ownerUrl, async (client) => {
        const { rows } = await client.query('select from cosigned_checkpoints')
        expect(rows).toEqual([])
      })
    } finally {
      await other.drop()
    }
  })
})

describe('a witness', () => {
  it('knows the empty tree by its root alone', async () => {
    const one = await start(newFolder())
    const empty = (root: Hash) =>
      formatAddCheckpoint({
        ...{ old: 0, proof: [] },
        checkpoint: signCheckpoint({ origin, size: 0, root }, key.signer),
      })
    expect(await one.say(empty(rootAt(trunk, 1)))).toBe('422')
    expect(await one.say(empty(emptyRoot(nodeHasher)))).toBe('200')
    expect(await one.say(bodyOf({ old: 0, size: 5 }))).toBe('200')
    expect(await one.say(empty(emptyRoot(nodeHasher)))).toBe('409 5')
  })

  it('reads notes of many signatures, 63 hashes and 16 KiB, and not more', async () => {
    const one = await start(newFolder())
    const line = (i: number) => `— witness.example/${i} ${Buffer.alloc(76, i).toString('base64')}\n`
    const checkpoint = signCheckpoint({ origin, size: 3, root: rootAt(trunk, 3) }, key.signer)
    const padded = (lines: number) =>
      checkpoint + Array.from({ length: lines }, (_, i) => line(i)).join('')
    const hashes = Array.from({ length: 64 }, () => rootAt(trunk, 1))
    const body = (lines: number, proof: readonly Hash[] = []) =>
      formatAddCheckpoint({ old: 0, proof, checkpoint: padded(lines) })
    expect(await one.say(body(100))).toBe('400')
    expect(await one.say(body(99))).toBe('200')
    expect(await one.say(body(0, hashes))).toBe('400')
    expect(await one.say(body(0, hashes.slice(1)))).toBe('409 3')
    const filled = `old 3\n\n${checkpoint}${line(0).repeat(99)}`
    expect(await one.say(filled)).toBe('200')
    expect(await one.say('x'.repeat(16 * 1024))).toBe('400')
    expect(await one.say('x'.repeat(16 * 1024 + 1))).toBe('413')
    expect((await (await one.latest()).text()).split('\n')).toHaveLength(7)
  })

  it('takes the same checkpoint again, with the time of that day', async () => {
    const where = newFolder()
    const one = await start(where)
    expect(await one.say(bodyOf({ old: 0, size: 3 }))).toBe('200')
    const before = await (await one.latest()).text()
    const answer = await (await one.post(bodyOf({ old: 3, size: 3 }))).text()
    expect(timeOf(answer, before)).toBeGreaterThanOrEqual(
      timeOf(`${before.trimEnd().split('\n').at(-1)}\n`, before),
    )
    expect(await (await one.latest()).text()).toContain(answer)
  })

  it('signs nothing when what it remembers is damaged', async () => {
    const where = newFolder()
    const one = await start(where)
    expect(await one.say(bodyOf({ old: 0, size: 3 }))).toBe('200')
    const files = await readdir(where[1] ?? '', { recursive: true })
    const first = join(where[1] ?? '', files.find((file) => file.endsWith('/1')) ?? '')
    await writeFile(first.replace(/1$/, '2'), (await readFile(first)).subarray(0, 20))
    for (const old of [0, 3]) expect(await one.say(bodyOf({ old, size: 5 }))).toBe('500')
  })

  it('answers what it was asked when it is told to end', async () => {
    const one = await start(newFolder())
    const body = await bodyOf({ old: 0, size: 3 })
    const answered = new Promise<number>((resolve, reject) => {
      const sent = request(`${one.url}/add-checkpoint`, { method: 'POST' }, (res) => {
        res.resume()
        resolve(res.statusCode ?? 0)
      })
      sent.on('error', reject)
      sent.on('socket', (socket) =>
        socket.once('connect', () => {
          sent.write(body.slice(0, 10), () => {
            one.child.kill('SIGTERM')
            sent.end(body.slice(10))
          })
        }),
      )
    })
    const ended = once(one.child, 'exit')
    expect(await answered).toBe(200)
    await ended
    expect(one.child.exitCode).toBe(0)
  })

  it('has two paths', async () => {
    const one = await start(newFolder())
    expect((await fetch(`${one.url}/add-checkpoint`)).status).toBe(405)
    expect((await fetch(one.url)).status).toBe(404)
    expect((await fetch(`${one.url}/${'0'.repeat(64)}/checkpoint`)).status).toBe(404)
  })

  it.each([
    [['--policy', 'policy', '--state', 'state']],
    [['--key', 'key', '--state', 'state']],
    [['--key', 'key', '--policy', 'policy']],
    [['--key', 'key', '--policy', 'policy', '--state', 'state', '--state-url', 'url']],
    [['--key', 'policy', '--policy', 'policy', '--state', 'state']],
    [['--key', 'key', '--policy', 'key', '--state', 'state']],
    [['--key', 'key', '--policy', 'policy', '--state', 'state', '--port', '70000']],
    [['keygen', '--name', 'a name', '--key', 'new']],
    [['keygen', '--name', 'name', '--key', 'key']],
  ])('is not started by %j', async (argv) => {
    const files = ['key', 'policy', 'state', 'url', 'new']
    const called = argv.map((word) => (files.includes(word) ? join(folder, word) : word))
    await expect(witnessCommand(called)).rejects.toBeInstanceOf(UsageError)
  })

  it('has a key as other witnesses keep theirs, and says what policies name it by', async () => {
    const text = await readFile(join(folder, 'key'), 'utf8')
    expect(text).toMatch(/^PRIVATE\+KEY\+witness\.example\/w1\+[0-9a-f]{8}\+A[A-Za-z0-9+/]{43}\n$/)
    expect(parseVkey(nodeHasher, vkey)).toMatchObject({ name: 'witness.example/w1', type: 4 })
  })
})
