import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { withClient } from '../../sandbox/postgres_database.ts'
import { readTokenKeys } from '../../src/authorization/rotate_keys.ts'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { listTokenKeys } from '../../src/storage/token_keys.ts'
import { entriesOf } from '../support/api_app.ts'
import { replayLedger } from '../support/test_broker.ts'
import { operator, program, type Operator } from './operator.ts'

let at: Operator

beforeAll(async () => {
  at = await operator()
  for (const { id } of at.banks) await openLedger(at.broker, id)
})

afterAll(() => at.close())

const rotate = (...options: string[]) => at.countersign('keys', 'rotate', ...options)
const keys = () => listTokenKeys(at.broker.db)
const keyEntries = async (bank: string) =>
  (await entriesOf(at.broker, bank)).filter(({ kind }) => kind === 'key')

describe('keys rotate', () => {
  it('begins a rotation, which another operator cannot do beside it', async () => {
    await readTokenKeys(at.broker) // the first key
    const answers = await Promise.all([rotate(), rotate()])
    const [done, lost] = answers.toSorted((a, b) => Number(a.code) - Number(b.code))
    expect([done?.code, lost?.code]).toEqual([0, 1])
    expect(lost?.err).toBe('a rotation is under way: its key does not sign yet\n')
    expect((await keys()).map(({ use }) => use)).toEqual(['active', 'next'])
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
    expect(done?.out).toMatch(
      new RegExp(
        `^\\S{43} signs since ${time}\n\\S{43} is next since ${time}, and signs from ${time}\n$`,
      ),
    )
    expect((await at.countersign('keys', 'list')).out.split('\n')).toHaveLength(3)
  })

  it('with --now brings it to its end at once', async () => {
    const { code, out } = await rotate('--now')
    expect(code).toBe(0)
    expect(out).toMatch(/^\S{43} is retired since \S+\n\S{43} signs since \S+\n$/)
  })

  it('that is killed between two ledgers publishes nothing, and is gone on with', async () => {
    const before = (await keyEntries('first-bank')).length
    const url = new URL(at.config.databaseUrl).href
    await withClient(url, async (client) => {
      await client.query(`begin; select set_config('app.bank', 'other-bank', true)`)
      await client.query(`select from ledger_locks where bank_id = 'other-bank' for update`)
      const child = spawn(process.execPath, [program, 'keys', 'rotate'], {
        env: { ...at.env, PATH: process.env['PATH'] },
        stdio: 'ignore',
      })
      const closed = once(child, 'close')
      while ((await keyEntries('first-bank')).length === before) await sleep(20)
      child.kill('SIGKILL')
      await closed
      expect((await keys()).at(-1)).not.toHaveProperty('use')
      await client.query('rollback')
    })
    await readTokenKeys(at.broker) // as any broker that runs
    expect((await keys()).at(-1)?.use).toBe('next')
    for (const { id } of at.banks) {
      expect(await keyEntries(id)).toHaveLength(before + 1)
      await replayLedger(at.broker, id)
    }
  })

  it('is called in these ways only', async () => {
    for (const argv of [[], ['rotate', 'now'], ['list', '--now'], ['drop']]) {
      const { code, err } = await at.countersign('keys', ...argv)
      expect(code).toBe(2)
      expect(err).toContain('usage: countersign keys list | rotate [--now]')
    }
  })
})
