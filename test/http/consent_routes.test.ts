import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { narrowConsent } from '../../src/broker/narrow_consent.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import { insertRequested } from '../../src/storage/consents.ts'
import { inBank } from '../../src/storage/database.ts'
import { random128, routed } from '../../src/storage/ids.ts'
import {
  apiApp,
  bank,
  otherBank,
  recipient,
  type ActiveConsent,
  type ApiApp,
} from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { replayLedger } from '../support/test_broker.ts'

let database: TestDatabase
let api: ApiApp
let consent: ActiveConsent
let ofBank: string
let ofRecipient: string
let reader: string
let staff: string

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
})

beforeEach(async () => {
  consent = await api.consent()
  ofBank = api.clientToken('back-end', 'consents:revoke', bank)
  ofRecipient = api.clientToken(recipient, 'grant_management_revoke')
  reader = api.clientToken(recipient, 'grant_management_query')
  staff = api.clientToken('support', 'consents:read', bank)
})

afterAll(async () => {
  await replayLedger(api.broker, bank)
  await api.close()
  await database.drop()
})

const path = (id = consent.id) => `/fdx/v6/consents/${id}`
const wish = { reason: 'USER_ACTION', initiator: 'INDIVIDUAL' }

const revoke = (token: string, body: object = wish, id = consent.id) =>
  api.call('put', `${path(id)}/revocation`, token).send(body)

const revocations = async () => {
  const { body } = await api.call('get', `${path()}/revocation`, reader).expect(200)
  return body.revocations
}

describe('a revocation', () => {
  it.each([
    ['its recipient', () => ofRecipient, wish, 'recipient', 'DATA_RECIPIENT'],
    ["a bank, at its customer's wish", () => ofBank, wish, 'customer', 'INDIVIDUAL'],
    [
      'a bank, for a reason of its own',
      () => ofBank,
      { reason: 'BUSINESS_RULE', initiator: 'INDIVIDUAL' },
      'bank',
      'DATA_PROVIDER',
    ],
    [
      'a bank that names another',
      () => ofBank,
      { reason: 'USER_ACTION', initiator: 'DATA_RECIPIENT' },
      'bank',
      'DATA_PROVIDER',
    ],
  ])('by %s is recorded as such, and in effect at once', async (_, token, body, by, initiator) => {
    expect(await revocations()).toEqual([])
    await revoke(token(), body).expect(204)
    const entry = (await api.entries(bank, consent.id)).at(-1)
    expect(entry).toMatchObject({ kind: 'consent.revoke', body: { by, reason: body.reason } })
    expect(await revocations()).toEqual([
      { status: 'REVOKED', reason: body.reason, initiator, updatedTime: entry?.at },
    ])
    await api.call('get', '/fdx/v6/accounts', api.consentToken(consent)).expect(403)
  })

  it('of an ended consent is a conflict, and changes nothing', async () => {
    await revoke(ofBank).expect(204)
    const { body } = await revoke(ofRecipient).expect(409)
    expect(body.code).toBe('consent_ended')
    const entries = await api.entries(bank, consent.id)
    expect(entries.filter(({ kind }) => kind === 'consent.revoke')).toHaveLength(1)
  })

  it('of what is unknown, foreign or no consent at all is answered alike', async () => {
    const foreign = api.clientToken('other-recipient', 'grant_management_revoke')
    const elsewhere = api.clientToken('back-end', 'consents:revoke', otherBank)
    const answers = [
      await revoke(foreign).expect(404),
      await revoke(elsewhere).expect(404),
      await revoke(ofRecipient, wish, routed(bank, random128())).expect(404),
      await revoke(ofBank, wish, routed(bank, random128())).expect(404),
      await revoke(ofRecipient, wish, routed('no-bank', random128())).expect(404),
      await revoke(ofBank, wish, 'nonsense').expect(404),
    ]
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(await revocations()).toEqual([])
  })

  it('needs the scope for it', async () => {
    for (const token of [reader, api.consentToken(consent)]) {
      const { body, headers } = await revoke(token).expect(403)
      expect(body.code).toBe('insufficient_scope')
      expect(headers['www-authenticate']).toContain('grant_management_revoke')
    }
    await api.call('put', `${path()}/revocation`).send(wish).expect(401)
    expect(await revocations()).toEqual([])
  })

  it('names the scope of a bank to the clients of one: to look is one, to end another', async () => {
    const auditor = api.clientToken('auditor', 'ledger:read', bank)
    const answers = [
      [await revoke(auditor), 'consents:revoke'],
      [await revoke(staff), 'consents:revoke'],
      [await api.call('get', path(), auditor), 'consents:read'],
      [await api.call('get', path(), ofBank), 'consents:read'],
      [await api.call('get', `${path()}/revocation`, ofBank), 'consents:read'],
    ] as const
    for (const [{ status, headers }, scope] of answers) {
      expect(status).toBe(403)
      expect(headers['www-authenticate']).toContain(
        `DPoP error="insufficient_scope", scope="${scope}", `,
      )
    }
    expect(await revocations()).toEqual([])
  })

  it('declines a consent that nobody has approved yet', async () => {
    const id = routed(bank, random128())
    const requested = {
      ...{ recipient, bank, purpose: 'https://w3id.org/dpv#RequestedServiceProvision' },
      ...{ clusters: ['BALANCES' as const], delivery: 'in_thread' as const },
      ...{ lookback_days: 1, duration_days: 1, one_time: false },
    }
    await inBank(api.broker.db, bank, (tx) => insertRequested(tx, { id, requested }))
    await api.call('get', path(id), staff).expect(404)
    await revoke(ofBank, wish, id).expect(204)
    await revoke(ofBank, wish, id).expect(409)
  })
})

describe('the body of a revocation', () => {
  const errors = async (body: object) => (await revoke(ofBank, body).expect(400)).body.errors

  it('has both members, of the words that FDX has, and no others', async () => {
    expect(await errors({})).toEqual([
      { in: 'body', name: 'reason', detail: expect.any(String) },
      { in: 'body', name: 'initiator', detail: expect.any(String) },
    ])
    expect(await errors({ ...wish, because: 1 })).toMatchObject([{ in: 'body', name: 'because' }])
    expect(await errors({ ...wish, reason: 'NO' })).toEqual([
      { in: 'body', name: 'reason', detail: 'must be one of USER_ACTION, BUSINESS_RULE' },
    ])
    expect(await errors([])).toMatchObject([{ in: 'body', name: '' }])
    for (const text of ['null', '"text"', '1']) {
      const sent = api.call('put', `${path()}/revocation`, ofBank).type('json').send(text)
      expect((await sent.expect(400)).body.errors).toMatchObject([{ in: 'body', name: '' }])
    }
  })

  it('is JSON, of that media type, not compressed, and at most 64 KiB', async () => {
    const sent = (type: string, text: string, headers = {}) =>
      api.call('put', `${path()}/revocation`, ofBank).set(headers).type(type).send(text)
    await sent('application/json', '{"reason":').expect(400)
    await sent('application/json', '').expect(400)
    await sent('text/plain', JSON.stringify(wish)).expect(415)
    await sent('application/json', JSON.stringify(wish), { 'content-encoding': 'gzip' }).expect(415)
    const padded = JSON.stringify(wish).padEnd(64 * 1024 + 1)
    await sent('application/json', padded).expect(413)
    expect(await revocations()).toEqual([])
    await sent('application/json', padded.slice(0, -1)).expect(204)
  })
})

describe('a consent', () => {
  it('is shown to its recipient, to its bank and under its own token, as FDX has it', async () => {
    const shown = [reader, staff, api.consentToken(consent)].map(
      async (token) => (await api.call('get', path(), token).expect(200)).body,
    )
    const [first, ...others] = await Promise.all(shown)
    expect(others).toEqual([first, first])
    expect(first).toMatchObject({
      ...{ id: consent.id, status: 'ACTIVE', durationType: 'TIME_BOUND' },
      ...{ durationPeriod: 90, lookbackPeriod: 90 },
      links: [
        { rel: 'self', href: `https://broker.example${path()}`, action: 'GET' },
        {
          rel: 'revocation',
          href: `https://broker.example${path()}/revocation`,
          action: 'GET',
        },
      ],
      parties: [
        { type: 'DATA_RECIPIENT', name: 'Harbor Messaging, Inc.', registry: 'GLEIF' },
        { type: 'DATA_PROVIDER', name: 'first-bank National Association' },
      ],
      resources: [
        { resourceType: 'ACCOUNT', resourceId: consent.checking },
        { resourceType: 'ACCOUNT', resourceId: consent.savings },
      ],
    })
  })

  it('is shown after it ended too', async () => {
    await revokeConsent(api.broker, {
      ...{ bank, consentId: consent.id, by: 'operator', reason: 'BUSINESS_RULE' },
    })
    const { body } = await api.call('get', path(), staff).expect(200)
    expect(body.status).toBe('REVOKED')
    expect(await revocations()).toMatchObject([{ initiator: 'DATA_ACCESS_PLATFORM' }])
  })

  it('has expired when its time is over, whether or not that is written yet', async () => {
    const once = await api.consent({ one_time: true })
    const real = api.broker.now
    const { body } = await api.call('get', path(once.id), staff).expect(200)
    expect(body).toMatchObject({ status: 'ACTIVE', durationType: 'ONE_TIME' })
    expect(body).not.toHaveProperty('durationPeriod')
    Reflect.set(api.broker, 'now', () => real() + 25 * 3_600_000)
    const late = api.clientToken('support', 'consents:read', bank)
    const ended = await api.call('get', path(once.id), late).expect(200)
    Reflect.set(api.broker, 'now', real)
    expect(ended.body.status).toBe('EXPIRED')
  })

  it('tells when it was first granted, last changed and last read', async () => {
    const look = async () => (await api.call('get', path(), staff).expect(200)).body
    const first = await look()
    expect(first).toMatchObject({ createdTime: first.updatedTime })
    expect(first).not.toHaveProperty('lastAccessedTime')
    await api.call('get', '/fdx/v6/accounts', api.consentToken(consent)).expect(200)
    await narrowConsent(api.broker, {
      ...{ bank, consentId: consent.id, accounts: [consent.checking] },
    })
    const [, release, narrowed] = await api.entries(bank, consent.id)
    expect(await look()).toMatchObject({
      createdTime: first.createdTime,
      updatedTime: narrowed?.at,
      lastAccessedTime: release?.at,
    })
    await revoke(ofBank).expect(204)
    expect((await look()).updatedTime).toBe((await api.entries(bank, consent.id)).at(-1)?.at)
  })

  it('is unknown to everybody else', async () => {
    const others = [
      api.clientToken('other-recipient', 'grant_management_query'),
      api.clientToken('support', 'consents:read', otherBank),
    ]
    for (const token of others) {
      await api.call('get', path(), token).expect(404)
      await api.call('get', `${path()}/revocation`, token).expect(404)
    }
    const another = await api.consent()
    await api.call('get', path(), api.consentToken(another)).expect(403)
  })
})
