import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { dirname, join } from 'node:path'
import { startPostgres, type Postgres } from '../../sandbox/postgres.ts'
import { canReach, chooseAccount } from '../../sandbox/postgres_account.ts'
import { databaseUrl, withClient } from '../../sandbox/postgres_database.ts'
import { guardedDirectory } from '../support/guarded_directory.ts'

const { directory, clean } = guardedDirectory()
let postgres: Postgres

beforeAll(async () => {
  postgres = await startPostgres({ directory })
})

afterAll(async () => {
  await postgres.stop()
  await clean()
})

const query = (url: string, sql: string) =>
  withClient(url, async (client) => (await client.query<Record<string, unknown>>(sql)).rows)

const listens = (host: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port }, () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

/** Another process, of the build, that starts the PostgreSQL under a directory, says so, and then does nothing. */
async function startElsewhere(
  path: string,
  account: { uid?: number; gid?: number } = {},
): Promise<{ child: ChildProcess; pid: number; ownerUrl: string }> {
  const script = `
    const { startPostgres } = await import(process.argv[1])
    console.log(JSON.stringify(await startPostgres({ directory: process.argv[2] })))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, build, path], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...account,
  })
  const [said] = await once(child.stdout, 'data')
  return { child, ...JSON.parse(String(said)) }
}
const build = join(import.meta.dirname, '../../dist/sandbox/postgres.js')

/** The process and all of its group, which is whom a Ctrl-C would reach. */
async function killed(child: ChildProcess): Promise<void> {
  process.kill(-(child.pid ?? NaN), 'SIGKILL')
  await once(child, 'exit')
}

describe('the embedded PostgreSQL', () => {
  it('listens on 127.0.0.1 and nowhere else', async () => {
    const [, , , , socketDirectory, address] = (
      await readFile(join(postgres.data, 'postmaster.pid'), 'utf8')
    ).split('\n')
    expect([socketDirectory, address]).toEqual(['', '127.0.0.1'])
    expect(await listens('127.0.0.1', postgres.port)).toBe(true)
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ address, scopeid }) => address !== '127.0.0.1' && !scopeid)
    for (const { address } of others) expect(await listens(address, postgres.port)).toBe(false)
  })

  it('keeps its random passwords in a file of mode 0600 and its data in a directory of mode 0700', async () => {
    expect(await modeOf(join(directory, 'passwords.json'))).toBe(0o600)
    expect(await modeOf(postgres.data)).toBe(0o700)
    expect(await modeOf(join(directory, 'log'))).toBe(0o600)
    const passwords: Record<string, string> = JSON.parse(
      await readFile(join(directory, 'passwords.json'), 'utf8'),
    )
    expect(new Set(Object.values(passwords)).size).toBe(3)
    expect(passwords['countersign_owner']).toBe(new URL(postgres.ownerUrl).password)
  })

  it('lets nobody in without the password of the role that is named', async () => {
    const url = new URL(postgres.ownerUrl)
    for (const password of ['', 'postgres', new URL(postgres.serviceUrl).password]) {
      url.password = password
      await expect(query(url.href, 'select 1')).rejects.toThrow(/password/)
    }
  })

  it('orders text by code point, as no locale of the host does', async () => {
    expect(
      await query(
        postgres.ownerUrl,
        `select string_agg(x, '' order by x) as sorted, lower('ÄÖ') as lower, current_setting('TimeZone') as zone
           from unnest('{b,B,ä,a,A}'::text[]) x`,
      ),
    ).toEqual([{ sorted: 'ABabä', lower: 'äö', zone: 'UTC' }])
  })

  it('keeps what makes a commit durable', async () => {
    for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums']) {
      expect(await query(postgres.ownerUrl, `show ${setting}`)).toEqual([{ [setting]: 'on' }])
    }
  })

  it.each([
    'create table t ()',
    'create temporary table t ()',
    'create schema s',
    'create database d',
    'create role r',
    'alter role countersign_service createdb',
    'set role countersign_owner',
  ])('lets the service role not: %s', async (sql) => {
    await expect(query(postgres.serviceUrl, sql)).rejects.toThrow(/permission denied/)
  })

  it('lets the service role into no other database', async () => {
    for (const name of ['postgres', 'template1']) {
      await expect(query(databaseUrl(postgres.serviceUrl, name), 'select 1')).rejects.toThrow(
        `permission denied for database "${name}"`,
      )
    }
  })
})

describe('startPostgres', () => {
  it('finds its data again after a stop, on whatever port', async () => {
    await query(postgres.ownerUrl, 'create table kept as select 42 as n')
    await postgres.stop()
    expect(await listens('127.0.0.1', postgres.port)).toBe(false)
    postgres = await startPostgres({ directory })
    expect(await query(postgres.ownerUrl, 'select n from kept')).toEqual([{ n: 42 }])
  })

  it('refuses a second process on the same directory, and does the first no harm', async () => {
    await expect(startPostgres({ directory })).rejects.toThrow(
      /another running process uses it; stop that one first/,
    )
    expect(await query(postgres.ownerUrl, 'select n from kept')).toEqual([{ n: 42 }])
  })

  it('adopts the server of a process that was killed, and stops it', async () => {
    await postgres.stop()
    const orphan = await startElsewhere(directory)
    await killed(orphan.child)
    postgres = await startPostgres({ directory })
    expect(postgres.pid).toBe(orphan.pid)
    expect(await query(postgres.ownerUrl, 'select n from kept')).toEqual([{ n: 42 }])
    await postgres.stop()
    expect(await listens('127.0.0.1', postgres.port)).toBe(false)
    postgres = await startPostgres({ directory })
    expect(postgres.pid).not.toBe(orphan.pid)
  })

  it('waits for the server of a process that was killed when that server is ending', async () => {
    await postgres.stop()
    const orphan = await startElsewhere(directory)
    await killed(orphan.child)
    process.kill(orphan.pid, 'SIGINT')
    postgres = await startPostgres({ directory })
    expect(await query(postgres.ownerUrl, 'select n from kept')).toEqual([{ n: 42 }])
  })

  it('recovers what was committed when the server itself was killed', async () => {
    await query(postgres.ownerUrl, 'insert into kept values (43)')
    process.kill(postgres.pid, 'SIGKILL')
    await postgres.stop()
    postgres = await startPostgres({ directory })
    expect(await query(postgres.ownerUrl, 'select n from kept order by n')).toEqual([
      { n: 42 },
      { n: 43 },
    ])
  })

  it('says what the server said and what to do when it does not start', async () => {
    await postgres.stop()
    await writeFile(join(postgres.data, 'postgresql.auto.conf'), 'shared_buffers = nonsense\n')
    const failure = await startPostgres({ directory }).catch((error: unknown) => String(error))
    expect(failure).toContain('invalid value for parameter "shared_buffers": "nonsense"')
    expect(failure).toContain(directory)
    expect(failure).toContain('DATABASE_URL')
    await writeFile(join(postgres.data, 'postgresql.auto.conf'), '')
  })

  it('says so when the passwords are gone', async () => {
    const file = join(directory, 'passwords.json')
    await rename(file, `${file}.away`)
    await expect(startPostgres({ directory })).rejects.toThrow(/passwords\.json/)
    await rename(`${file}.away`, file)
    postgres = await startPostgres({ directory })
  })
})

describe('the account that PostgreSQL runs as', () => {
  const accounts = { postgres: { uid: 5, gid: 6 }, nobody: { uid: 7, gid: 8 } }
  const knows = (known: Partial<typeof accounts>) => (name: string) =>
    Promise.resolve(Object.entries(known).find(([key]) => key === name)?.[1])

  const nowhere = join(directory, 'nowhere')

  it('is the one that starts it, unless that is root', async () => {
    expect(await chooseAccount(nowhere, { uid: 1000, lookUp: knows(accounts) })).toBeUndefined()
  })

  it('is, under root, `postgres`, else `nobody`, else an error', async () => {
    const { nobody } = accounts
    const choose = (known: Partial<typeof accounts>) =>
      chooseAccount(nowhere, { uid: 0, lookUp: knows(known) })
    expect(await choose(accounts)).toEqual(accounts.postgres)
    expect(await choose({ nobody })).toEqual(nobody)
    await expect(choose({})).rejects.toThrow('ordinary user')
  })

  it('is, under root, whoever owns the data, and is never root', async () => {
    const { uid, gid } = await stat(postgres.data)
    expect(uid).not.toBe(0)
    expect(await chooseAccount(postgres.data, { uid: 0, lookUp: knows(accounts) })).toEqual({
      uid,
      gid,
    })
  })
})

it('runs for an ordinary user as that user, in a directory that only that user can enter', async () => {
  const nobody = { uid: 65534, gid: 65534 }
  const needed = [dirname(build), dirname(process.execPath)]
  const reached = await Promise.all(needed.map((path) => canReach(nobody, path)))
  const others = process.getuid?.() === 0 && !reached.includes(false)
  const theirs = guardedDirectory()
  const { child, ownerUrl } = await startElsewhere(theirs.directory, others ? nobody : {})
  try {
    expect(await query(ownerUrl, 'select current_user')).toEqual([
      { current_user: 'countersign_owner' },
    ])
    if (!others) return
    const { uid } = await stat(join(theirs.directory, 'data'))
    expect(uid).toBe(nobody.uid)
    expect(await modeOf(theirs.directory)).toBe(0o700)
  } finally {
    await killed(child)
    await theirs.clean()
  }
})
