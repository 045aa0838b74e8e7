import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { countersign, operator, type Operator } from './operator.ts'

let at: Operator
let archive: string

beforeAll(async () => {
  at = await operator()
  archive = await mkdtemp(join(tmpdir(), 'countersign-archive-'))
  for (const { id } of at.banks) await openLedger(at.broker, id)
})
afterAll(async () => {
  await at.close()
  await rm(archive, { recursive: true })
})

const detach = (...argv: string[]) =>
  countersign(
    { ...at.env, ARCHIVE: archive, DATABASE_OWNER_URL: at.database.ownerUrl },
    'detach',
    ...argv,
  )

describe('countersign detach', () => {
  it('says that there is nothing to detach', async () => {
    expect(await detach('--older-than', '60')).toEqual({
      code: 0,
      out: 'no partition has as many entries that are old, signed and archived\n',
      err: '',
    })
  })

  it('needs an age, a number, and an archive', async () => {
    expect(await detach()).toMatchObject({ code: 2, err: expect.stringContaining('--older-than') })
    for (const days of ['0', '59'])
      expect(await detach('--older-than', days)).toMatchObject({ code: 2 })
    const without = await at.countersign('detach', '--older-than', '60')
    expect(without).toMatchObject({ code: 2, err: expect.stringContaining('ARCHIVE is not set') })
  })
})
