import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { testBank } from '../support/test_broker.ts'
import { operator, type Operator } from './operator.ts'

let at: Operator

beforeAll(async () => {
  at = await operator()
  await openLedger(at.broker, 'first-bank')
})

afterAll(() => at.close())

const check = (bank: string) => at.countersign('bank', 'check', '--bank', bank)

it('lists the directory, with the ledgers that are open', async () => {
  const { code, out } = await at.countersign('bank', 'list')
  expect(code).toBe(0)
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^first-bank {2}\S{20} {2}a ledger of 1 entries {2}https:/),
    expect.stringMatching(/^other-bank {2}\S{20} {2}no ledger {2}https:/),
    '',
  ])
})

it('checks the ledger of a bank and the way to its login, each by itself', async () => {
  const { code, out } = await check('first-bank')
  expect(code).toBe(1)
  expect(out).toMatch(/^ledger: in order\nlogin: (?!in order).+\n$/) // nobody answers at first-bank.example
  expect((await check('other-bank')).out).toContain(
    'ledger: not open: countersign ledger open --bank other-bank\n',
  )
})

it("finds a directory that names another key than the bank's ledger", async () => {
  const changed = testBank('first-bank')
  const { id, legalName, lei, key } = changed
  const directory = [
    {
      ...{ id, legal_name: legalName, lei, key, issuer: 'https://first-bank.example' },
      fdx_base_url: 'https://first-bank.example/fdx/v6',
      staff: { issuer: 'https://staff.example', claim: 'roles', auditor: ['auditor'] },
    },
  ]
  await at.file('banks.json', JSON.stringify(directory))
  const { out } = await check('first-bank')
  expect(out).toContain('ledger: its first entry names another key than the directory\n')
  expect(out).toMatch(/^login of staff: (?!in order).+$/m) // nobody answers there either
})

it('is called in these ways only', async () => {
  for (const argv of [[], ['drop'], ['check']])
    expect((await at.countersign('bank', ...argv)).code).toBe(2)
  expect(await check('nowhere')).toMatchObject({
    code: 1,
    err: 'no bank nowhere is in the directory\n',
  })
})
