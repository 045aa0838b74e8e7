import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import { insertClient, usualSecurity } from '../../src/storage/clients.ts'
import { entriesOf } from '../support/api_app.ts'
import { activeConsent, approveMessenger } from '../support/consents.ts'
import { operator, type Operator } from './operator.ts'

let at: Operator
let consent: string

beforeAll(async () => {
  at = await operator()
  const { broker, banks } = at
  const [bank] = banks
  await openLedger(broker, bank.id)
  await insertClient(broker.db, {
    id: 'messenger',
    kind: 'recipient',
    class: 'messaging_platform',
    legalName: 'Harbor Messaging, Inc.',
    lei: '7H6GLXDRUGQFU57RNE97',
    website: 'https://recipient.example',
    contacts: [],
    jwks: { keys: [] },
    ...usualSecurity,
    redirectUris: [],
    scopes: [],
    pages: [],
  })
  await approveMessenger(broker, bank)
  consent = (await activeConsent(broker, bank.id)).id
})

afterAll(() => at.close())

const revoke = (id: string) => at.countersign('revoke', '--consent', id)

it('ends a consent by the operator, once; again it names the same time', async () => {
  const first = await revoke(consent)
  const last = (await entriesOf(at.broker, 'first-bank')).at(-1)
  expect(last).toMatchObject({ kind: 'consent.revoke', body: { by: 'operator', consent } })
  const said = `${consent} revoked at ${last?.at}`
  expect(first).toEqual({ code: 0, out: `${said}\n`, err: '' })
  expect(await revoke(consent)).toEqual({ code: 0, out: `${said} (before)\n`, err: '' })
})

it('knows no consent that there is not', async () => {
  expect(await revoke(routed('first-bank', random128()))).toEqual({
    code: 1,
    out: '',
    err: 'consent unknown\n',
  })
})

it('erases the link behind a consent, once', async () => {
  const erase = () => at.countersign('erase', '--consent', consent)
  const said = `the link behind ${consent}`
  expect(await erase()).toEqual({ code: 0, out: `${said} is erased, with 1 consent\n`, err: '' })
  const last = (await entriesOf(at.broker, 'first-bank')).at(-1)
  expect(last).toMatchObject({ kind: 'erasure', body: { consents: [consent] } })
  expect(await erase()).toEqual({ code: 0, out: `${said} was erased before\n`, err: '' })
})
