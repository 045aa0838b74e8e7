import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../sandbox/free_ports.ts'
import { insertClient, usualSecurity } from '../../src/storage/clients.ts'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { readLeaves } from '../../src/storage/ledgers.ts'
import { approveMessenger } from '../support/consents.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { linkedConsent } from '../support/linked_consents.ts'
import { addEpochs } from '../support/many_entries.ts'
import { startS3, type Fault, type S3Server } from '../support/s3_server.ts'
import { countersign, operator, program, type Operator } from './operator.ts'

const tokens = { access_token: 'secret', expires: Date.now() + 3_600_000 }

let op: Operator
let s3: S3Server
let env: Record<string, string>
let consentId: string
let policy: string
/** A checkpoint that someone kept before the loss. */
let kept: string
const made: TestDatabase[] = []

beforeAll(async () => {
  op = await operator()
  s3 = await startS3()
  env = {
    ...op.env,
    ARCHIVE: 's3://worm/prod',
    ARCHIVE_ENDPOINT: s3.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    BACKUP: join(dirname(await op.file('here', '')), 'backup'),
    BACKUP_KEY_FILE: await op.file('backup.key', randomBytes(32).toString('base64url')),
  }
  const { broker, banks } = op
  for (const { id } of banks) await openLedger(broker, id)
  await insertClient(broker.db, {
    ...{ id: 'messenger', kind: 'recipient', class: 'messaging_platform', pages: ['page'] },
    ...{ legalName: 'Messenger', lei: '7H6GLXDRUGQFU57RNE97', website: 'https://m.example' },
    ...{ contacts: [], redirectUris: [], scopes: [], ...usualSecurity },
  })
  await approveMessenger(broker, banks[0])
  consentId = await linkedConsent(broker, banks[0].id, { tokens })
  await addEpochs(broker, banks[0].id, 520)
  await addEpochs(broker, banks[1].id, 3)
  const vkeys = banks.map(({ id }) => `log ${broker.keys.get(id)?.vkey}\n`)
  policy = await op.file('policy', `${vkeys.join('')}quorum none\n`)
}, 30_000)

afterAll(async () => {
  await s3.close()
  await op.close()
  for (const database of made) await database.drop()
})

/** The database is gone: the settings name another, in which there is nothing but, mostly, its tables. */
async function loseDatabase({ migrated = true } = {}): Promise<Record<string, string>> {
  const database = await testDatabase({ migrated })
  made.push(database)
  return { ...env, DATABASE_URL: database.serviceUrl, DATABASE_OWNER_URL: database.ownerUrl }
}

/** Kills a command as it asks the archive for something that is never answered. */
async function killed(
  settings: Record<string, string>,
  when: (method: string, path: string) => boolean,
  ...argv: string[]
): Promise<void> {
  const child = spawn(process.execPath, [program, ...argv], {
    env: { ...settings, PATH: process.env['PATH'] },
    stdio: 'ignore',
  })
  const asked = new Promise<void>((resolve) => {
    s3.fault = (method, path): Fault | undefined => {
      if (!when(method, path)) return undefined
      resolve()
      return { kind: 'hang' }
    }
  })
  await asked
  child.kill('SIGKILL')
  await once(child, 'exit')
  s3.fault = () => undefined
}

const restore = ['restore', '--from', 's3://worm/prod', '--all'] as const
const theRestore = () => [...restore, '--policy', policy, '--backup', env['BACKUP'] ?? '']

/** The archive as files, as anyone may have them. */
async function download(name: string): Promise<string> {
  const folder = join(dirname(await op.file('here', '')), name)
  for (const [path, bytes] of s3.objects) {
    const file = join(folder, path.replace('worm/prod/', ''))
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
  return folder
}

describe('the drill', () => {
  it('backs up, and exports, also after an export that was killed', async () => {
    const { code, out } = await countersign(env, 'backup')
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(/\/backup\/backups\/\d{8}T\d{6}Z-[0-9a-f]{16}\n$/),
    })
    await killed(env, (method, path) => method === 'PUT' && path.endsWith('/001'), 'export')
    expect([...s3.objects.keys()].filter((path) => path.includes('checkpoints'))).toEqual([])
    expect(await countersign(env, 'export')).toEqual({
      code: 0,
      err: '',
      out:
        's3://worm/prod/ledger/first-bank/  523 entries, 523 of them new\n' +
        's3://worm/prod/ledger/other-bank/  4 entries, 4 of them new\n',
    })
    const path = 'worm/prod/ledger/first-bank/checkpoints/0000000000000523'
    kept = await op.file('kept', String(s3.objects.get(path)))
  })

  it('restores into an empty database, also after a restore that was killed', async () => {
    const settings = await loseDatabase({ migrated: false })
    env = settings
    expect((await countersign(settings, 'migrate')).code).toBe(0)
    let bundles = 0
    const again = (method: string, path: string) =>
      method === 'GET' && path.includes('first-bank/tile/entries/') && ++bundles === 5
    await killed(settings, again, ...theRestore())
    const { code, out, err } = await countersign(settings, ...theRestore())
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^the backup is \d{8}T\d{6}Z-[0-9a-f]{16}$/),
      'first-bank: restored to 523 entries, and verified; 0 consents that lost their mapping were ended',
      'other-bank: restored to 4 entries, and verified; 0 consents that lost their mapping were ended',
      '',
    ])
  })

  it('serves what was restored, revokes, exports, and verifies against what was kept', async () => {
    const port = await freePorts(1)
    const child = spawn(process.execPath, [program, 'serve'], {
      env: { ...env, PORT: String(port), PATH: process.env['PATH'] },
      stdio: 'ignore',
    })
    const url = `http://127.0.0.1:${port}`
    const answer = async () => (await fetch(`${url}/health`).catch(() => undefined))?.status
    while ((await answer()) !== 200 && child.exitCode === null) await sleep(50)
    const checkpoint = await (await fetch(`${url}/ledger/first-bank/checkpoint`)).text()
    expect(Number(checkpoint.split('\n')[1])).toBeGreaterThan(523)
    const revoked = await countersign(env, 'revoke', '--consent', consentId)
    expect(revoked.out).toMatch(new RegExp(`^${consentId} revoked at \\S+\\n$`))
    child.kill('SIGTERM')
    await once(child, 'exit')
    expect((await countersign(env, 'export')).code).toBe(0)
    const folder = await download('after')
    const ledger = join(folder, 'ledger/first-bank')
    const verified = await countersign({}, 'verify', ledger, '--policy', policy, '--against', kept)
    expect(verified.out).toContain('VERIFIED. Nothing was found wrong with this ledger.')
    expect(verified.out).toMatch(/\nRestored {8}from an archive of 523 entries, at /)
    expect(verified.code).toBe(0)
  })

  it.each([
    ['one byte was changed', /tile\/entries|entries do not hash|breaks the rule|holds/],
    ['a file of entries is missing', /first-bank\/tile\/entries\/001: there is no such file/],
    ['the export is older than the mark', /the mark is at \d+ entries, and the export ends at 523/],
  ])('is refused where %s', async (what, why) => {
    const before = new Map(s3.objects)
    const bundle = 'worm/prod/ledger/first-bank/tile/entries/001'
    if (what.includes('missing')) s3.objects.delete(bundle)
    else if (what.includes('byte')) {
      const bytes = Buffer.from(s3.objects.get(bundle) ?? '')
      bytes[1_000] = (bytes[1_000] ?? 0) ^ 1
      s3.objects.set(bundle, bytes)
    } else
      for (const path of s3.objects.keys())
        if (path.includes('first-bank/checkpoints') && !path.endsWith('523'))
          s3.objects.delete(path)
    const settings = await loseDatabase()
    const { code, err } = await countersign(settings, ...theRestore())
    expect(code).toBe(1)
    expect(err).toMatch(why)
    expect(err).not.toContain('    at ')
    s3.objects.clear()
    for (const [path, bytes] of before) s3.objects.set(path, bytes)
  })

  it('is refused in a database that is in use', async () => {
    const { code, err } = await countersign({ ...env, ...op.env }, ...theRestore())
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(/^the database is not empty: first-bank has rows in ledger_heads/),
    })
  })
})

describe('a broker', () => {
  it('does not start while a restore is not finished, which goes on with the ledgers that are left', async () => {
    const settings = await loseDatabase()
    const last = (method: string, path: string) =>
      method === 'GET' && path.includes('other-bank/tile/entries') && ++read === 2
    let read = 0
    await killed(settings, last, ...theRestore())
    const [first = Buffer.alloc(0)] = await readLeaves(op.broker.db, 'first-bank', {
      from: 0,
      to: 1,
    })
    expect(first.length).toBeGreaterThan(0)
    const { code, err } = await countersign(settings, 'serve')
    expect(code).toBe(1)
    expect(err).toContain('- other-bank is being restored: run "countersign restore" again')
    expect(err).toContain('- other-bank has no ledger: run "countersign ledger open')
    expect(await readFile(kept, 'utf8')).toContain('broker.example/ledger/first-bank\n523\n')
    const again = await countersign(settings, ...theRestore())
    expect({ code: again.code, err: again.err }).toEqual({ code: 0, err: '' })
    expect(again.out).toMatch(/^first-bank: was restored here before, to \d+ entries$/m)
    expect(again.out).toMatch(/^other-bank: restored to \d+ entries, and verified/m)
  })
})
