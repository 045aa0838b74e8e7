import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { staffIdOf } from '../../src/storage/staff.ts'
import { operator, type Operator } from './operator.ts'

let at: Operator

beforeAll(async () => {
  at = await operator()
})

afterAll(() => at.close())

it('says who is behind an id of a bank’s staff, until that is forgotten', async () => {
  const login = { bank: 'first-bank', issuer: 'https://staff.example', subject: 'ada' }
  const [id, again] = [await staffIdOf(at.broker, login), await staffIdOf(at.broker, login)]
  expect(again).toBe(id)
  const listed = await at.countersign('staff', 'list', '--bank', 'first-bank')
  expect(listed.out).toMatch(new RegExp(`^${id}  \\S+Z to \\S+Z  https://staff.example  ada\n$`))
  expect((await at.countersign('staff', 'list', '--bank', 'other-bank')).out).toBe('')

  const forget = (bank: string) => at.countersign('staff', 'forget', '--bank', bank, '--id', id)
  expect((await forget('other-bank')).code).toBe(2)
  expect((await forget('first-bank')).code).toBe(0)
  expect((await at.countersign('staff', 'list', '--bank', 'first-bank')).out).toBe('')
  expect(await staffIdOf(at.broker, login)).not.toBe(id)
})
