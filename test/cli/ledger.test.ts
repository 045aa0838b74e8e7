import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { countersign, operator, type Operator } from './operator.ts'

let at: Operator

beforeAll(async () => {
  at = await operator({ migrated: false })
})

afterAll(() => at.close())

// In the order in which an operator comes to a broker that runs.
describe('an operator who sets a broker up', () => {
  it('is told to migrate first', async () => {
    const { code, out, err } = await at.countersign('serve')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(
      /^the database lacks 0001_\w+\.sql, .*run "countersign migrate" as its owner\n$/,
    )
  })

  it('migrates as the owner, and again to no effect', async () => {
    const env = { DATABASE_OWNER_URL: at.database.ownerUrl }
    const { code, out } = await countersign(env, 'migrate')
    expect(code).toBe(0)
    expect(out).toMatch(/^applied 0001_\w+\.sql, /)
    expect(await countersign(env, 'migrate')).toEqual({ code: 0, out: 'up to date\n', err: '' })
  })

  it('is told to open every ledger', async () => {
    const { code, err } = await at.countersign('serve')
    expect(code).toBe(1)
    for (const { id } of at.banks)
      expect(err).toContain(`\n- ${id} has no ledger: run "countersign ledger open --bank ${id}"`)
  })

  it('opens each ledger once', async () => {
    for (const { id } of at.banks) {
      const open = () => at.countersign('ledger', 'open', '--bank', id)
      expect(await open()).toEqual({ code: 0, out: `the ledger of ${id} is open\n`, err: '' })
      expect(await open()).toMatchObject({
        code: 0,
        out: `the ledger of ${id} was open already\n`,
      })
    }
    expect(await at.countersign('ledger', 'open', '--bank', 'nowhere')).toEqual({
      code: 1,
      out: '',
      err: 'no bank nowhere is in the directory\n',
    })
  })

  it('cannot serve with another ledger key', async () => {
    const key = await at.file('another.key', randomBytes(32).toString('base64url'))
    const { code, err } = await countersign({ ...at.env, LEDGER_KEY_FILE: key }, 'serve')
    expect(code).toBe(1)
    for (const { id } of at.banks)
      expect(err).toMatch(new RegExp(`\n- the ledger of ${id} is signed by .*holds another key\n`))
  })

  it('cannot serve as the owner, who could change the ledger', async () => {
    const { code, err } = await countersign(
      { ...at.env, DATABASE_URL: at.database.ownerUrl },
      'serve',
    )
    expect(code).toBe(1)
    expect(err).toMatch(/\n- \w+ may change entries, leaf_hashes/)
  })
})

describe('a ledger', () => {
  it('is closed for ever, and what follows it needs its last checkpoint under a policy', async () => {
    const last = await at.file('last', '')
    const close = () =>
      at.countersign(
        'ledger',
        'close',
        '--bank',
        'other-bank',
        '--reason',
        'moved',
        '--checkpoint',
        last,
      )
    expect(await close()).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^the ledger of other-bank is closed; 0 consents were ended/),
    })
    const checkpoint = await readFile(last, 'utf8')
    expect(checkpoint).toMatch(/^broker\.example\/ledger\/other-bank\n2\n/)
    expect(await close()).toMatchObject({ code: 0, out: expect.stringContaining(checkpoint) })
    const open = (policy: string) =>
      at.countersign(
        ...['ledger', 'open', '--bank', 'first-bank', '--reason', 'moved'],
        ...['--after', last, '--policy', policy],
      )
    const key = at.broker.keys.get('other-bank')?.vkey ?? ''
    const trusted = await at.file('trusted', `log ${key}\nquorum none\n`)
    expect(await open(trusted)).toMatchObject({ code: 0 })
    const other = at.broker.keys.get('first-bank')?.vkey ?? ''
    const policy = await at.file('foreign', `log ${other}\nquorum none\n`)
    expect(await open(policy)).toMatchObject({
      code: 2,
      err: expect.stringContaining('does not hold under the policy'),
    })
  })
})

describe('a mark', () => {
  const initMark = (bank: string) => at.countersign('ledger', 'init-mark', '--bank', bank)

  it('stays while there is one', async () => {
    expect(await initMark('first-bank')).toEqual({
      code: 1,
      out: 'first-bank has a mark, which stays\n',
      err: '',
    })
  })

  it('that was lost is set anew, once', async () => {
    await rm(at.config.marks, { recursive: true })
    expect(await initMark('first-bank')).toMatchObject({
      code: 0,
      out: 'the mark of first-bank is set\n',
    })
    expect(await initMark('first-bank')).toMatchObject({ code: 1 })
  })

  it('is not made for a bank without a ledger', async () => {
    expect(await initMark('nowhere')).toEqual({ code: 1, out: '', err: 'nowhere has no ledger\n' })
  })
})
