import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { generateKey, publicKey } from '../../sandbox/banks/bank_keys.ts'
import { openLedger } from '../../src/broker/open_ledger.ts'
import type { Class } from '../../src/consent/class.ts'
import { makeCertificate, named } from '../../sandbox/certificates.ts'
import { findClient } from '../../src/storage/clients.ts'
import { entriesOf } from '../support/api_app.ts'
import { purpose } from '../support/consents.ts'
import { testBank, type TestBank } from '../support/test_broker.ts'
import { operator, type Operator } from './operator.ts'

const redirectUri = 'https://recipient.example/callback'

let at: Operator
let jwks: string
let privateJwks: string

beforeAll(async () => {
  at = await operator()
  for (const { id } of at.banks) await openLedger(at.broker, id)
  const key = await generateKey()
  jwks = await at.file('jwks.json', JSON.stringify({ keys: [publicKey(key)] }))
  privateJwks = await at.file('private.json', JSON.stringify({ keys: [key] }))
})

afterAll(() => at.close())

type Options = Readonly<Record<string, string | undefined>>

const argvOf = (options: Options): string[] =>
  Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  )

const registration = (): Options => ({
  'legal-name': 'Recipient, Inc.',
  lei: '7H6GLXDRUGQFU57RNE97',
  website: 'https://recipient.example',
  contact: 'security@recipient.example',
  jwks,
})

const addRecipient = (id: string, change: Options = {}) =>
  at.countersign(
    ...['recipient', 'add', '--id', id],
    ...argvOf({
      ...registration(),
      'redirect-uri': redirectUri,
      class: 'messaging_platform',
      page: `${id}-page`,
      ...change,
    }),
  )

const addClient = (id: string, change: Options = {}) =>
  at.countersign(
    ...['client', 'add', '--id', id],
    ...argvOf({ ...registration(), kind: 'bank', bank: 'first-bank', ...change }),
  )

/** Hands in an approval that `signer` signed as the bank whose name it bears. */
async function approve(recipient: string, signer: TestBank, named: Class = 'messaging_platform') {
  const clusters: Parameters<TestBank['approve']>[0]['clusters'] = ['BALANCES']
  const jws = signer.approve({ recipient, class: named, purposes: [purpose], clusters })
  const path = await at.file('approval.jws', jws)
  return at.countersign('recipient', 'approve', '--bank', signer.id, '--jws', path)
}

const found = (id: string) => findClient(at.broker.db, id)

const entries = (bank: string) => entriesOf(at.broker, bank)

const said = (code: number, out: string) => ({ code, out, err: '' })
const failed = (err: string) => ({ code: 1, out: '', err })

describe('recipient add', () => {
  it('registers a recipient with its class, keys and pages', async () => {
    expect(await addRecipient('messenger')).toEqual(said(0, 'messenger is registered\n'))
    expect(await found('messenger')).toMatchObject({
      kind: 'recipient',
      class: 'messaging_platform',
      legalName: 'Recipient, Inc.',
      redirectUris: [redirectUri],
      pages: ['messenger-page'],
    })
  })

  it.each<[string, string, () => Options]>([
    ['an LEI of the wrong form', 'the LEI is none', () => ({ lei: '123' })],
    ['a class of nobody', 'no recipient is of this class', () => ({ class: 'data_subject' })],
    ['an unknown class', '--class friend is not a class', () => ({ class: 'friend' })],
    ['a private key', 'key 0 is not public', () => ({ jwks: privateJwks })],
    ['no JWK Set', '--jwks does not hold a JWK Set', () => ({ jwks: at.config.banksFile })],
    ['no redirect URI', 'a recipient has a redirect URI', () => ({ 'redirect-uri': undefined })],
    ['a page that is taken', 'the id or a page is taken', () => ({ page: 'messenger-page' })],
    ['a page of no form', 'the id or a page has a form', () => ({ page: 'a page' })],
  ])('refuses %s, and registers nothing', async (_, why, change) => {
    const { code, out, err } = await addRecipient('second', change())
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err.startsWith(why)).toBe(true)
    expect(await found('second')).toBeUndefined()
  })
})

describe('how a client is known', () => {
  it('is by assertions and DPoP unless it says otherwise', async () => {
    await addClient('usual')
    expect(await found('usual')).toMatchObject({
      authentication: { method: 'private_key_jwt' },
      binding: 'dpop',
      signedRequests: false,
      jwks: { keys: [{ kid: expect.any(String) }] },
    })
  })

  it('may be by one name of a certificate, with no keys, and tokens bound to it', async () => {
    const options = { jwks: undefined, auth: 'tls_client_auth', binding: 'mtls' }
    await addClient('by-name', { ...options, 'tls-san-dns': 'client.example' })
    const client = await found('by-name')
    expect(client).toMatchObject({
      authentication: {
        method: 'tls_client_auth',
        subject: { type: 'san_dns', value: 'client.example' },
      },
      binding: 'mtls',
    })
    expect(client).not.toHaveProperty('jwks')
  })

  it('may be by its own certificate, or by keys that it keeps itself, and by signed requests', async () => {
    const { jwk } = makeCertificate({ subject: named('client') })
    const own = await at.file('x5c.json', JSON.stringify({ keys: [jwk] }))
    await addClient('own', { jwks: own, auth: 'self_signed_tls_client_auth' })
    expect(await found('own')).toMatchObject({
      authentication: { method: 'self_signed_tls_client_auth' },
      jwks: { keys: [{ x5c: jwk.x5c }] },
    })
    const uri = 'https://recipient.example/jwks'
    const { code } = await at.countersign(
      ...['recipient', 'add', '--id', 'elsewhere', '--signed-requests'],
      ...argvOf({ ...registration(), jwks: undefined, 'jwks-uri': uri }),
      ...argvOf({ 'redirect-uri': redirectUri, class: 'messaging_platform', page: 'elsewhere' }),
    )
    expect(code).toBe(0)
    const client = await found('elsewhere')
    expect(client).toMatchObject({ jwksUri: uri, signedRequests: true })
    expect(client).not.toHaveProperty('jwks')
  })

  const byName = { auth: 'tls_client_auth' }
  it.each<[string, string, Options]>([
    ['an unknown method', '--auth is one of private_key_jwt', { auth: 'client_secret_basic' }],
    ['an unknown binding', '--binding is dpop or mtls', { binding: 'none' }],
    ['no name', '--auth tls_client_auth takes exactly one of --tls-subject-dn', byName],
    [
      'two names',
      '--auth tls_client_auth takes exactly one of --tls-subject-dn',
      { ...byName, 'tls-san-dns': 'a.example', 'tls-san-ip': '192.0.2.1' },
    ],
    ['a name for another method', 'one of --tls-subject-dn', { 'tls-san-dns': 'a.example' }],
    [
      'a name that none can have',
      'tls_client_auth_subject_dn is not a distinguished name',
      { ...byName, 'tls-subject-dn': 'client' },
    ],
    ['no keys', 'no key can authenticate the client', { jwks: undefined }],
    [
      'keys in two places',
      'keys are given by value or by URI',
      { 'jwks-uri': 'https://recipient.example/jwks' },
    ],
  ])('may not be %s', async (_, why, change) => {
    const { code, out, err } = await addClient('wrong', change)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err.startsWith(why)).toBe(true)
    expect(await found('wrong')).toBeUndefined()
  })
})

describe('recipient approve', () => {
  it("enters what the bank's key signed", async () => {
    expect(await approve('messenger', at.banks[0])).toEqual(
      said(0, 'first-bank approves messenger as messaging_platform\n'),
    )
    expect((await entries('first-bank')).at(-1)).toMatchObject({
      kind: 'recipient.approve',
      body: { recipient: 'messenger', class: 'messaging_platform', clusters: ['BALANCES'] },
    })
  })

  it('refuses what another key signed in its name', async () => {
    const before = await entries('first-bank')
    const { code, out, err } = await approve('messenger', testBank('first-bank'))
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toBe("the approval is not signed by the bank's key\n")
    expect(await entries('first-bank')).toEqual(before)
  })

  it('refuses a class that can never receive, however it is signed', async () => {
    await addRecipient('ads', { class: 'advertising' })
    expect(await approve('ads', at.banks[0], 'advertising')).toEqual(
      failed('class advertising can never receive data\n'),
    )
  })
})

describe('recipient suspend', () => {
  it('enters the suspension at one bank, and refuses what is suspended', async () => {
    const suspend = () =>
      at.countersign('recipient', 'suspend', '--bank', 'first-bank', '--id', 'messenger')
    const { code, out } = await suspend()
    const last = (await entries('first-bank')).at(-1)
    expect(last).toMatchObject({
      kind: 'recipient.suspend',
      body: { by: 'operator', recipient: 'messenger' },
    })
    expect({ code, out }).toEqual({
      code: 0,
      out: `messenger is suspended at first-bank from ${last?.at}\n`,
    })
    expect(await suspend()).toEqual(failed('recipient suspended\n'))
  })
})

describe('recipient disable', () => {
  it('suspends at every bank that approves it, and is for good', async () => {
    await addRecipient('budget-app')
    for (const bank of at.banks) await approve('budget-app', bank)
    const disable = () => at.countersign('recipient', 'disable', '--id', 'budget-app')
    expect(await disable()).toEqual(said(0, 'budget-app is disabled\n'))
    for (const { id } of at.banks)
      expect((await entries(id)).at(-1)).toMatchObject({
        kind: 'recipient.suspend',
        body: { by: 'operator', recipient: 'budget-app' },
      })
    expect(await found('budget-app')).toBeUndefined()
    expect(await disable()).toEqual({
      code: 1,
      out: 'budget-app is not an enabled client\n',
      err: '',
    })
  })
})

describe('client disable', () => {
  it('ends a client that is no recipient, for good', async () => {
    await addClient('stolen', { scope: 'consents:revoke' })
    const disable = () => at.countersign('client', 'disable', '--id', 'stolen')
    expect(await disable()).toEqual(said(0, 'stolen is disabled\n'))
    expect(await found('stolen')).toBeUndefined()
    expect((await disable()).code).toBe(1)
  })
})

describe('client add', () => {
  it("registers a bank's back end and its auditor", async () => {
    expect(await addClient('back-end', { scope: 'consents:revoke' })).toEqual(
      said(0, 'back-end is registered\n'),
    )
    expect(await found('back-end')).toMatchObject({ kind: 'bank', bank: 'first-bank' })
    await addClient('auditor', { kind: 'auditor', scope: 'ledger:read' })
    expect(await found('auditor')).toMatchObject({ kind: 'auditor', scopes: ['ledger:read'] })
  })

  it.each<[string, string, Options]>([
    ['for a bank of no directory', 'there is no such bank in the directory', { bank: 'nowhere' }],
    ['for a bank that its kind has not', '--bank goes with --kind bank', { kind: 'operator' }],
    [
      'with a scope that its kind cannot have',
      'a client of kind auditor cannot have the scope consents:revoke',
      { kind: 'auditor', scope: 'consents:revoke' },
    ],
  ])('registers none %s', async (_, why, change) => {
    const { code, err } = await addClient('third', change)
    expect(code).toBe(2)
    expect(err.startsWith(why)).toBe(true)
    expect(await found('third')).toBeUndefined()
  })
})
