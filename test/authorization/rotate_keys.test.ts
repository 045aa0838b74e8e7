import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import express from 'express'
import supertest from 'supertest'
import {
  mintAccessToken,
  token_s_max,
  verifyAccessToken,
} from '../../src/authorization/access_token.ts'
import { openAuthorization, type Authorization } from '../../src/authorization/authorization.ts'
import {
  jwks_s_max,
  openTokenKeys,
  TokenKeysStale,
  type LiveTokenKeys,
} from '../../src/authorization/keys.ts'
import { parseJwt } from '../../src/authorization/jwt.ts'
import {
  dueStep,
  moveTokenKeys,
  rotateTokenKeys,
  RotationUnderWay,
  startTokenKeys,
  usualTiming,
} from '../../src/authorization/rotate_keys.ts'
import { openLimits, unlimited } from '../../src/http/limits.ts'
import { oauthRoutes } from '../../src/http/oauth_routes.ts'
import { problemOf } from '../../src/http/problem.ts'
import { openMetrics } from '../../src/observe/metrics.ts'
import { listTokenKeys } from '../../src/storage/token_keys.ts'
import { openVault } from '../../src/storage/vault.ts'
import { entriesOf } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { newSigner, sha256 } from '../support/jwt.ts'
import {
  memoryMarks,
  replayLedger,
  testBank,
  testBroker,
  type TestBroker,
} from '../support/test_broker.ts'

const banks = [testBank('first-bank'), testBank('other-bank')]
const shared = { master: randomBytes(32), seed: randomBytes(32), marks: memoryMarks() }

/** One broker process that issues and takes tokens. */
interface Process {
  readonly broker: TestBroker
  readonly keys: LiveTokenKeys
  readonly authorization: Authorization
  token(): string
  /** Whether this process takes a token. */
  takes(token: string): Promise<boolean>
  published(): Promise<string[]>
}

let database: TestDatabase
const processes: Process[] = []

beforeEach(async () => {
  database = await testDatabase()
  shared.marks.marks.clear()
})

afterEach(async () => {
  for (const { broker } of processes.splice(0)) await broker.close()
  await database.drop()
})

async function startProcess(of = banks): Promise<Process> {
  const broker = await testBroker(database.serviceUrl, { banks: of, ...shared })
  const keys = await startTokenKeys(broker)
  const authorization = openAuthorization(broker, { keys, nonceKey: randomBytes(32) })
  const app = express().use(
    oauthRoutes({ broker, authorization, limits: openLimits(unlimited, openMetrics()) }),
  )
  const process: Process = {
    ...{ broker, keys, authorization },
    token: () =>
      mintAccessToken(
        authorization,
        {
          ...{ clientId: 'c', sub: 'c', jti: 'j', scope: 's', binding: { jkt: 'k' } },
          lifetime_s: token_s_max,
        },
        broker.now(),
      ),
    takes: (token) =>
      verifyAccessToken(authorization, { token, hash: sha256(token), now: broker.now() }).then(
        () => true,
        () => false,
      ),
    async published() {
      const { body } = await supertest(app).get('/oauth/jwks').expect(200)
      return body.keys.map(({ kid }: { kid: string }) => kid)
    },
  }
  processes.push(process)
  return process
}

const signerOf = (token: string) => parseJwt(token).header()['kid']

/** Lets time pass for the keys, as the database counts it. */
const pass = ({ broker }: Process, seconds: number) =>
  broker.db.knex.raw(
    `update token_keys set created_at = created_at - make_interval(secs => ?),
       published_at = published_at - make_interval(secs => ?), active_at = active_at - make_interval(secs => ?)`,
    [seconds, seconds, seconds],
  )

/** What one bank's ledger says of keys of tokens, in order. */
async function entered({ broker }: Process, bank = 'first-bank') {
  const entries = await entriesOf(broker, bank)
  return entries.flatMap(({ kind, body }) =>
    kind === 'key' && body.of === 'tokens' ? [[body.key, body.use]] : [],
  )
}

describe('the first key', () => {
  it('signs at once, and was entered in every ledger before', async () => {
    const one = await startProcess()
    const [kid] = await one.published()
    expect(signerOf(one.token())).toBe(kid)
    for (const { id } of banks) {
      expect(await entered(one, id)).toEqual([
        [kid, 'next'],
        [kid, 'active'],
      ])
      await replayLedger(one.broker, id)
    }
  })

  it('is one, however many processes start at once', async () => {
    const started = await Promise.all([startProcess(), startProcess(), startProcess()])
    const published = await Promise.all(started.map((one) => one.published()))
    expect(new Set(published.flat()).size).toBe(1)
    const [one] = started
    if (one !== undefined) expect(await entered(one)).toHaveLength(2)
  })

  it('is told to a ledger that is opened later', async () => {
    const early = await startProcess(banks.slice(0, 1))
    const [kid] = await early.published()
    const late = await startProcess()
    expect(await entered(late, 'other-bank')).toEqual([
      [kid, 'next'],
      [kid, 'active'],
    ])
  })
})

describe('a rotation', () => {
  it('publishes, then signs, then retires, each in every ledger first and none before its time', async () => {
    const [one, other] = [await startProcess(), await startProcess()]
    const first = signerOf(one.token())
    await rotateTokenKeys(one.broker)
    const step = async (seconds: number) => {
      await pass(one, seconds)
      await moveTokenKeys(other.broker)
      for (const { keys } of [one, other]) await keys.refresh()
    }
    await step(0)
    const [, next] = await other.published()
    expect(await one.published()).toEqual([first, next])
    expect(signerOf(one.token())).toBe(first)

    await step(usualTiming.lead_s - 5)
    expect(signerOf(one.token())).toBe(first)
    const old = one.token()
    await step(5)
    expect(await one.published()).toEqual([next, first])
    expect([signerOf(one.token()), signerOf(other.token())]).toEqual([next, next])
    expect(await other.takes(old)).toBe(true)

    await step(usualTiming.hold_s - 5)
    expect(await other.takes(old)).toBe(true)
    await step(5)
    expect(await one.published()).toEqual([next])
    expect([await one.takes(old), await other.takes(old)]).toEqual([false, false])
    expect(await one.takes(other.token())).toBe(true)
    for (const { id } of banks) {
      expect(await entered(one, id)).toEqual([
        ...[
          [first, 'next'],
          [first, 'active'],
        ],
        ...[
          [next, 'next'],
          [next, 'active'],
          [first, 'retired'],
        ],
      ])
      const { keys } = await replayLedger(one.broker, id)
      expect([...keys.tokens]).toEqual([
        [first, 'retired'],
        [next, 'active'],
      ])
    }
  })

  it('waits for longer than a JWKS is kept, and holds the old key for longer than any token lives', () => {
    expect(usualTiming.lead_s).toBeGreaterThan(jwks_s_max)
    expect(usualTiming.hold_s).toBeGreaterThan(jwks_s_max + token_s_max)
  })

  it('is one at a time, whoever begins it', async () => {
    const [one, other] = [await startProcess(), await startProcess()]
    const begun = await Promise.allSettled([
      rotateTokenKeys(one.broker),
      rotateTokenKeys(other.broker),
    ])
    expect(begun.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const lost = begun.find((outcome) => outcome.status === 'rejected')
    expect(lost?.reason).toBeInstanceOf(RotationUnderWay)
    expect(await listTokenKeys(one.broker.db)).toHaveLength(2)
    expect(await entered(one)).toHaveLength(3)
  })

  it('takes a step once, however many processes take it at once', async () => {
    const [one, other] = [await startProcess(), await startProcess()]
    await rotateTokenKeys(one.broker)
    await pass(one, usualTiming.lead_s)
    await Promise.all([one, other, one].map(({ broker }) => moveTokenKeys(broker)))
    expect(await entered(one)).toHaveLength(4)
    await replayLedger(one.broker, 'first-bank')
  })

  it('is taken up by another where a process died between the ledgers and the step', async () => {
    const [one, other] = [await startProcess(), await startProcess()]
    const door = one.broker.door
    const dying = {
      ...one.broker,
      door: {
        ...door,
        append: (bank: string, draft: Parameters<typeof door.append>[1]) =>
          bank === 'other-bank' ? Promise.reject(new Error('killed')) : door.append(bank, draft),
      },
    }
    await expect(rotateTokenKeys(dying)).rejects.toThrow('killed')
    // Entered in one ledger and not in the other: it is in no JWKS yet.
    expect(await entered(one)).toHaveLength(3)
    await one.keys.refresh()
    expect(await one.published()).toHaveLength(1)

    await moveTokenKeys(other.broker)
    await pass(other, usualTiming.lead_s)
    await expect(moveTokenKeys(dying)).rejects.toThrow('killed')
    await one.keys.refresh()
    expect(signerOf(one.token())).toBe((await one.published())[0])
    expect(signerOf(one.token())).not.toBe((await listTokenKeys(one.broker.db)).at(-1)?.kid)

    await moveTokenKeys(other.broker)
    await one.keys.refresh()
    expect(signerOf(one.token())).toBe((await listTokenKeys(one.broker.db)).at(-1)?.kid)
    for (const { id } of banks) {
      expect(await entered(one, id)).toHaveLength(4)
      await replayLedger(one.broker, id)
    }
  })

  it('does not pass by a process that was down meanwhile', async () => {
    const one = await startProcess()
    const old = one.token()
    await rotateTokenKeys(one.broker)
    for (const seconds of [usualTiming.lead_s, usualTiming.hold_s]) {
      await pass(one, seconds)
      await moveTokenKeys(one.broker)
    }
    const back = await startProcess()
    expect(await back.published()).toEqual([signerOf(back.token())])
    expect(await back.takes(old)).toBe(false)
    await one.keys.refresh()
    expect(await one.takes(back.token())).toBe(true)
  })

  it('that waits for nothing ends what the old key signed', async () => {
    const one = await startProcess()
    const old = one.token()
    expect(await one.takes(old)).toBe(true) // and is remembered
    await rotateTokenKeys(one.broker, { now: true })
    await one.keys.refresh()
    expect(await one.takes(old)).toBe(false)
    expect(await one.takes(one.token())).toBe(true)
    await replayLedger(one.broker, 'first-bank')
  })

  it('that waits for nothing brings to its end one that has begun', async () => {
    const one = await startProcess()
    await rotateTokenKeys(one.broker)
    await rotateTokenKeys(one.broker, { now: true })
    expect((await listTokenKeys(one.broker.db)).map(({ use }) => use)).toEqual([
      'retired',
      'active',
    ])
  })
})

describe('what is kept of keys', () => {
  it('opens with the master key alone', async () => {
    const one = await startProcess()
    const { rows } = await one.broker.db.knex.raw('select sealed from token_keys')
    expect(rows[0].sealed.toString('latin1')).not.toMatch(/"d"|P-256/)
    const stranger = { ...one.broker, vault: openVault(randomBytes(32)) }
    await expect(startTokenKeys(stranger)).rejects.toThrow('does not open')
  })

  it('is not signed by once it could not be read for half a minute: 503', async () => {
    const jwk = newSigner('ES256').privateJwk
    const clock = performance.now.bind(performance)
    let ahead_ms = 0
    performance.now = () => clock() + ahead_ms
    try {
      const keys = await openTokenKeys(() => Promise.resolve([jwk]))
      ahead_ms = 29_000
      expect(keys.sign('at+jwt', {})).toEqual(expect.any(String))
      ahead_ms = 30_001
      expect(() => keys.sign('at+jwt', {})).toThrow(TokenKeysStale)
      expect(problemOf(new TokenKeysStale())).toMatchObject({ status: 503, code: 'unavailable' })
      await keys.refresh()
      expect(keys.sign('at+jwt', {})).toEqual(expect.any(String))
    } finally {
      performance.now = clock
    }
  })
})

describe('the step that is due', () => {
  const timing = { lead_s: 10, hold_s: 20 }
  const row = (kid: string, use: 'next' | 'active' | 'retired' | undefined, since_s = 0) => ({
    kid,
    since_s,
    ...(use === undefined ? {} : { use }),
  })
  it.each([
    ['publishes what was made', [row('a', 'active'), row('b', undefined)], ['b', 'next']],
    ['lets the first key sign at once', [row('a', 'next')], ['a', 'active']],
    ['waits for the lead', [row('a', 'active'), row('b', 'next', 9.9)], undefined],
    ['lets the next sign at the lead', [row('a', 'active'), row('b', 'next', 10)], ['b', 'active']],
    ['holds the old key', [row('a', 'active', 99), row('b', 'active', 19.9)], undefined],
    ['retires it then', [row('a', 'active', 99), row('b', 'active', 20)], ['a', 'retired']],
    ['never retires the one that signs', [row('a', 'retired'), row('b', 'active', 99)], undefined],
  ] as const)('%s', (_, rows, step) => {
    const due = dueStep(rows, timing)
    expect(due && [due.kid, due.use]).toEqual(step)
  })
})
