import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { indexLedger } from '../../src/broker/index_ledger.ts'
import { indexProgress } from '../../src/storage/audit_index.ts'
import { insertClient, usualSecurity } from '../../src/storage/clients.ts'
import { operator, type Operator } from './operator.ts'

let at: Operator

beforeAll(async () => {
  at = await operator()
  await openLedger(at.broker, 'first-bank')
  await insertClient(at.broker.db, {
    ...{ id: 'first-audit', kind: 'auditor', bank: 'first-bank', legalName: 'First Audit, LLP' },
    ...{ lei: '7H6GLXDRUGQFU57RNE97', website: 'https://audit.example', contacts: [] },
    ...{ jwks: { keys: [] }, ...usualSecurity, redirectUris: [], scopes: ['audit:read'] },
  })
})

afterAll(() => at.close())

const auditor = (...argv: string[]) => at.countersign('auditor', ...argv)
const toFirst = ['--bank', 'first-bank', '--client', 'first-audit', '--by', 'the desk']

it('grants an audit, lists it, and revokes it, once', async () => {
  const from = '2099-01-01T00:00:00.000Z'
  const until = '2099-02-01T00:00:00.000Z'
  const granted = await auditor(
    'grant',
    ...toFirst,
    '--from',
    '2099-01-01',
    '--until',
    '2099-02-01',
  )
  expect(granted).toMatchObject({ code: 0, err: '' })
  const [id = ''] = granted.out.split(' ')
  expect(granted.out).toBe(`${id}  client first-audit  ${from} to ${until}  by the desk  not yet\n`)
  expect(await auditor('list', '--bank', 'first-bank')).toEqual(granted)
  const revoked = await auditor('revoke', '--bank', 'first-bank', '--id', id)
  expect(revoked).toEqual({ code: 0, out: `${id} is revoked\n`, err: '' })
  const again = await auditor('revoke', '--bank', 'first-bank', '--id', id)
  expect(again).toEqual({ code: 1, out: '', err: `no grant ${id} stands at first-bank\n` })
})

it.each([
  { argv: ['grant', ...toFirst, '--until', 'soon'], code: 2, says: '--until is a date' },
  { argv: ['grant', ...toFirst.slice(0, 2), '--until', '2099-01-01'], code: 2, says: '--client' },
  { argv: ['grant', ...toFirst, '--until', '2099-01-01'], code: 1, says: 'at most 400 days' },
])('refuses $argv', async ({ argv, code, says }) => {
  const answer = await auditor(...argv)
  expect(answer).toMatchObject({ code, out: '' })
  expect(answer.err).toContain(says)
})

it('has the index made anew', async () => {
  await at.broker.signer.sign('first-bank')
  await indexLedger(at.broker, 'first-bank')
  const answer = await at.countersign('audit', 'reindex', '--bank', 'first-bank')
  expect(answer).toMatchObject({ code: 0, err: '' })
  expect(await indexProgress(at.broker.db, 'first-bank')).toMatchObject({ size: 0, clearing: true })
  await indexLedger(at.broker, 'first-bank')
  expect(await indexProgress(at.broker.db, 'first-bank')).toMatchObject({ size: 1, signed: 1 })
})
