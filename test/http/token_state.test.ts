import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import fc from 'fast-check'
import supertest from 'supertest'
import { suspendRecipient } from '../../src/broker/approve_recipient.ts'
import { endTokens } from '../../src/broker/end_tokens.ts'
import { narrowConsent } from '../../src/broker/narrow_consent.ts'
import { revokeConsent } from '../../src/broker/revoke_consent.ts'
import {
  disableClient,
  insertClient,
  usualSecurity,
  type Client,
} from '../../src/storage/clients.ts'
import { inBank } from '../../src/storage/database.ts'
import { random256, routed } from '../../src/storage/ids.ts'
import { findLedger } from '../../src/storage/ledgers.ts'
import { familyOf, newTokenId } from '../../src/storage/token_ids.ts'
import { apiApp, bank, type ActiveConsent, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { newSigner, type Signer } from '../support/jwt.ts'

const accounts = '/fdx/v6/accounts'
const signer: Signer = newSigner('ES256')

let database: TestDatabase
let api: ApiApp

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  await register('resources', { kind: 'resource_server' })
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

async function register(
  id: string,
  part:
    | { kind: 'resource_server' }
    | { kind: 'recipient'; class: 'messaging_platform'; pages: string[] },
): Promise<void> {
  const client: Client = {
    id,
    legalName: 'Harbor Messaging, Inc.',
    lei: '7H6GLXDRUGQFU57RNE97',
    website: 'https://recipient.example',
    contacts: ['privacy@recipient.example'],
    jwks: { keys: [{ ...signer.publicJwk, kid: 'one' }] },
    redirectUris: [],
    scopes: [],
    ...usualSecurity,
    ...part,
  }
  await insertClient(api.broker.db, client)
}

/** A recipient of its own, approved as Messenger is. */
async function newRecipient(): Promise<string> {
  const id = `recipient-${randomBytes(6).toString('hex')}`
  await register(id, { kind: 'recipient', class: 'messaging_platform', pages: [] })
  await sql(
    `insert into approvals (bank_id, recipient, class, purposes, clusters, keys, iat)
     select bank_id, '${id}', class, purposes, clusters, keys, iat from approvals where recipient = 'messenger'`,
  )
  return id
}

const sql = (text: string) => inBank(api.broker.db, bank, (tx) => tx.raw(text))

/** A form to an endpoint at which clients authenticate. */
function post(path: string, client: string, form: object): supertest.Test {
  const now = Math.floor(api.broker.now() / 1000)
  const client_assertion = signer.sign({
    header: { alg: signer.alg, kid: 'one' },
    claims: {
      ...{ iss: client, sub: client, aud: api.broker.issuer, iat: now, exp: now + 60 },
      jti: randomBytes(16).toString('hex'),
    },
  })
  const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
  return supertest(api.app)
    .post(path)
    .type('form')
    .send({ ...form, client_assertion, client_assertion_type })
}

interface Case {
  readonly recipient: string
  readonly consent: ActiveConsent
  readonly jti: string
  readonly family: string
}

/** What may happen to a token. Each may come at any time, after any other. */
const acts: Readonly<Record<string, (one: Case) => Promise<unknown>>> = {
  nothing: () => Promise.resolve(),
  narrowed: ({ consent }) =>
    narrowConsent(api.broker, { bank, consentId: consent.id, accounts: [consent.savings] }),
  'revoked by the customer': ({ consent: { id } }) =>
    revokeConsent(api.broker, { bank, consentId: id, by: 'customer', reason: 'USER_ACTION' }),
  'past its end': ({ consent }) =>
    sql(
      `update consents set terms = jsonb_set(terms, '{expires}', '"2020-01-01T00:00:00.000Z"') where id = '${consent.id}'`,
    ),
  'recipient suspended': ({ recipient }) =>
    suspendRecipient(api.broker, { bank, recipient, by: 'bank' }),
  'approval gone': ({ recipient }) => sql(`delete from approvals where recipient = '${recipient}'`),
  'approval without the purpose': ({ recipient }) =>
    sql(`update approvals set purposes = '{}' where recipient = '${recipient}'`),
  'approval without a cluster': ({ recipient }) =>
    sql(`update approvals set clusters = '{ACCOUNT_BASIC}' where recipient = '${recipient}'`),
  'token revoked': ({ jti }) => endTokens(api.broker, { bank, ending: { jti }, kept_s: 300 }),
  'refresh token revoked': ({ family }) =>
    endTokens(api.broker, { bank, ending: { family }, kept_s: 300 }),
  'client disabled': ({ recipient }) => disableClient(api.broker.db, recipient),
}

it('a token that data are refused to is never active, and one that gets data is', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...Object.keys(acts)), { minLength: 1, maxLength: 3 }),
      async (happening) => {
        const recipient = await newRecipient()
        const consent = await api.consent({ recipient })
        const refreshToken = routed(bank, random256())
        const jti = newTokenId(refreshToken)
        const one: Case = { recipient, consent, jti, family: familyOf(refreshToken) }
        const token = api.consentToken(consent, { clientId: recipient, jti })
        for (const act of happening) {
          await acts[act]?.(one).catch(() => undefined) // what can happen no more does not
          const { body } = await post('/oauth/introspect', 'resources', { token }).expect(200)
          const { status } = await api.call('get', accounts, token)
          const disabled = happening.includes('client disabled')
          if (status !== 200) expect(body).toEqual({ active: false })
          else if (!disabled) expect(body).toMatchObject({ active: true, jti })
        }
      },
    ),
    { numRuns: 20, examples: Object.keys(acts).map((act) => [[act]]) },
  )
}, 60_000)

/** Waits, and signs meanwhile: nobody else does here, and releases stop when nobody does. */
async function until(done: () => boolean): Promise<void> {
  do {
    await api.broker.signer.sign(bank)
    await sleep(5)
  } while (!done())
}

it('after the answer to its revocation nothing is released to a token, however many ask', async () => {
  const recipient = await newRecipient()
  const consent = await api.consent({ recipient })
  const refreshToken = routed(bank, random256())
  const token = api.consentToken(consent, { clientId: recipient, jti: newTokenId(refreshToken) })
  const another = api.consentToken(consent, { clientId: recipient })
  const answers: { began: number; status: number; code?: string }[] = []
  const over = new AbortController()
  const readers = Array.from({ length: 16 }, async () => {
    while (!over.signal.aborted) {
      const began = performance.now()
      const { status, body } = await api.call('get', accounts, token)
      answers.push({ began, status, code: body.code })
    }
  })
  await until(() => answers.length >= 32)
  await post('/oauth/revoke', recipient, { token }).expect(200)
  const ended = performance.now()
  const size = (await findLedger(api.broker.db, bank))?.size ?? 0
  await until(() => answers.filter(({ began }) => began > ended).length >= 16)
  over.abort()
  await Promise.all(readers)
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
  const after = answers.filter(({ began }) => began > ended)
  expect(new Set(after.map(({ code }) => code))).toEqual(new Set(['token_revoked']))
  const releases = (await api.entries(bank, consent.id)).filter(({ kind }) => kind === 'release')
  expect(releases.length).toBeGreaterThan(0)
  expect(releases.filter(({ n }) => n >= size)).toEqual([])
  await api.call('get', accounts, another).expect(200)
}, 60_000)
