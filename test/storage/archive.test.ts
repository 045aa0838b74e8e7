import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { watchSockets, type Stray } from '../../src/banks/egress_tripwire.ts'
import {
  ArchiveConflict,
  ArchiveUnavailable,
  ArchiveUnfit,
  checkpointPath,
  isArchivePath,
  limits,
  type Archive,
} from '../../src/storage/archive.ts'
import { openArchive } from '../../src/storage/archive_place.ts'
import { startS3, type S3Server } from '../support/s3_server.ts'

let folder: string
let s3: S3Server
const opened: Archive[] = []

const credentials = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'id',
  AWS_SECRET_ACCESS_KEY: 'secret',
}

beforeAll(async () => {
  Object.assign(process.env, credentials)
  folder = await mkdtemp(join(tmpdir(), 'archive-'))
  s3 = await startS3()
})

beforeEach(() => {
  s3.objects.clear()
  s3.asked.length = 0
})

afterEach(async () => {
  s3.fault = () => undefined
  s3.conditional = true
  for (const archive of opened.splice(0)) archive.close()
  await rm(folder, { recursive: true, force: true })
})

afterAll(async () => {
  for (const name of Object.keys(credentials)) delete process.env[name]
  await s3.close()
})

function inFolder(): Archive {
  const archive = openArchive(folder)
  opened.push(archive)
  return archive
}

function inBucket(call_ms_max?: number): Archive {
  const bounded = call_ms_max === undefined ? {} : { call_ms_max }
  const archive = openArchive('s3://worm/a', { endpoint: s3.url, ...bounded })
  opened.push(archive)
  return archive
}

const bytes = (text: string) => Buffer.from(text)

async function all(paths: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = []
  for await (const path of paths) found.push(path)
  return found
}

describe.each([
  ['a folder', inFolder],
  ['a bucket', inBucket],
] as const)('an archive in %s', (_name, open) => {
  it('keeps what it was given, and finds it again', async () => {
    const archive = open()
    expect(await archive.get('ledger/citi/tile/0/000', 100)).toBeUndefined()
    expect(await archive.put('ledger/citi/tile/0/000', bytes('one'))).toBe(true)
    expect(await archive.put('ledger/citi/tile/0/000', bytes('one'))).toBe(false)
    expect(Buffer.from((await archive.get('ledger/citi/tile/0/000', 3)) ?? [])).toEqual(
      bytes('one'),
    )
  })

  it('never writes over a file, and says that it holds another', async () => {
    const archive = open()
    await archive.put('a/b', bytes('one'))
    for (const other of ['two', 'longer than one', ''])
      await expect(archive.put('a/b', bytes(other))).rejects.toBeInstanceOf(ArchiveConflict)
    expect(Buffer.from((await archive.get('a/b', 3)) ?? [])).toEqual(bytes('one'))
  })

  it('has one winner where many write other bytes at the same time', async () => {
    const both = [open(), open()]
    const tried = await Promise.allSettled(
      Array.from({ length: 8 }, async (_, i) => both[i % 2]?.put('race', bytes(`writer ${i}`))),
    )
    expect(tried.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const lost = tried.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(lost.every((error) => error instanceof ArchiveConflict)).toBe(true)
  })

  it('takes the same bytes from many at the same time', async () => {
    const both = [open(), open()]
    const made = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => both[i % 2]?.put('same', bytes('same'))),
    )
    expect(made.filter(Boolean)).toHaveLength(1)
  })

  it('lists in order, over pages, after a path', async () => {
    const archive = open()
    const sizes = [9, 10, 300, 4_194_304, 1, 77, 1_000]
    for (const size of sizes) await archive.put(checkpointPath('citi', size), bytes('x'))
    await archive.put('ledger/citi2/checkpoints/0000000000000001', bytes('x'))
    await archive.put('ledger/citi/tile/0/000', bytes('x'))
    const sorted = sizes.toSorted((a, b) => a - b).map((size) => checkpointPath('citi', size))
    expect(await all(archive.list('ledger/citi/checkpoints/'))).toEqual(sorted)
    expect(await all(archive.list('ledger/citi/checkpoints/', sorted[3]))).toEqual(sorted.slice(4))
    expect(await all(archive.list('nothing/'))).toEqual([])
  })

  it('reads no more than it is asked for, and takes no more than its limit', async () => {
    const archive = open()
    await archive.put('long', Buffer.alloc(limits.file_bytes_max))
    expect(await archive.get('long', limits.file_bytes_max)).toHaveLength(limits.file_bytes_max)
    await expect(archive.get('long', limits.file_bytes_max - 1)).rejects.toBeInstanceOf(
      ArchiveConflict,
    )
    await expect(archive.put('more', Buffer.alloc(limits.file_bytes_max + 1))).rejects.toThrow(
      RangeError,
    )
  })

  it('takes no path that leads elsewhere', async () => {
    const archive = open()
    for (const path of ['', '/a', '../a', 'a/../b', 'a//b', 'a/', '.hidden', 'a/.hidden', 'a b'])
      await expect(archive.put(path, bytes('x'))).rejects.toThrow(RangeError)
    expect(isArchivePath('a'.repeat(limits.path_characters_max))).toBe(true)
    expect(isArchivePath('a'.repeat(limits.path_characters_max + 1))).toBe(false)
  })
})

describe('an archive in a folder', () => {
  it('leaves read-only files, and none that is half written', async () => {
    const archive = inFolder()
    await archive.put('a/b', bytes('one'))
    expect((await stat(join(folder, 'a/b'))).mode & 0o777).toBe(0o444)
    expect(await readdir(join(folder, '.incoming'))).toEqual([])
    expect(await all(archive.list('a/'))).toEqual(['a/b'])
  })

  it('says so when it may not write', async () => {
    const archive = inFolder()
    await archive.put('a/b', bytes('one'))
    await chmod(join(folder, 'a'), 0o555)
    if (process.getuid?.() !== 0) await expect(archive.put('a/c', bytes('x'))).rejects.toThrow()
    await chmod(join(folder, 'a'), 0o755)
  })
})

describe('an archive in a bucket', () => {
  it('is not used where the storage would write over what it has', async () => {
    s3.conditional = false
    const archive = inBucket()
    await expect(archive.put('a/b', bytes('one'))).rejects.toBeInstanceOf(ArchiveUnfit)
    expect([...s3.objects.keys()]).toEqual(['worm/a/countersign-archive'])
  })

  it('is sure of what it wrote when the answer was lost', async () => {
    let lost = 0
    s3.fault = (method, path) =>
      method === 'PUT' && path === 'worm/a/x' && lost++ === 0 ? { kind: 'lose_answer' } : undefined
    expect(await inBucket().put('x', bytes('one'))).toBe(false)
    expect(s3.objects.get('worm/a/x')).toEqual(bytes('one'))
  })

  it('tries again what the storage was too busy for, and what two wrote at once', async () => {
    const archive = inBucket()
    await archive.put('first', bytes('x'))
    for (const [status, code] of [
      [503, 'SlowDown'],
      [500, 'InternalError'],
      [409, 'ConditionalRequestConflict'],
    ] as const) {
      let failed = 0
      s3.fault = () => (failed++ === 0 ? { kind: 'error', status, code } : undefined)
      expect(await archive.put(code, bytes('one'))).toBe(true)
    }
  })

  it('says what the storage said', async () => {
    const archive = inBucket()
    s3.fault = () => ({ kind: 'error', status: 403, code: 'AccessDenied' })
    await expect(archive.put('a', bytes('x'))).rejects.toThrow(/AccessDenied/)
    await expect(archive.get('a', 10)).rejects.toThrow(/AccessDenied/)
    await expect(all(archive.list('a/'))).rejects.toThrow(/AccessDenied/)
    s3.fault = () => ({ kind: 'error', status: 404, code: 'NoSuchBucket' })
    await expect(archive.get('a', 10)).rejects.toThrow(/NoSuchBucket/)
  })

  it.each([
    ['before it answers', { kind: 'hang' }],
    ['within its answer', { kind: 'hang', head: true }],
  ] as const)('does not wait for a storage that hangs %s', async (_when, fault) => {
    const archive = inBucket(200)
    s3.fault = () => fault
    await expect(archive.get('a', 10)).rejects.toBeInstanceOf(ArchiveUnavailable)
  })

  it('goes where it is told to be, and nowhere else', async () => {
    const other = await startS3()
    const archive = inBucket()
    s3.fault = () => ({ kind: 'redirect', to: `${other.url}/worm/a/x` })
    await expect(archive.get('x', 10)).rejects.toBeInstanceOf(ArchiveUnavailable)
    expect(other.asked).toEqual([])
    await other.close()
  })

  it('has sockets that the tripwire knows for its own, and others do not', async () => {
    const strays: Stray[] = []
    const archive = inBucket()
    const tripwire = watchSockets({
      gateway: archive,
      databases: [],
      onStray: (stray) => strays.push(stray),
    })
    await archive.put('x', bytes('one'))
    expect(strays).toEqual([])
    const unknown = inBucket()
    await unknown.get('x', 10)
    expect(strays.map(({ target }) => target)).toEqual([new URL(s3.url).host])
    tripwire.stop()
  })

  it('is at a place that is one', () => {
    for (const place of ['s3:', 's3://', 's3://A', 's3://a', 's3://bucket/p?q', 's3:bucket'])
      expect(() => openArchive(place)).toThrow(ArchiveUnfit)
  })
})
