import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { writeEpoch } from '../../src/broker/write_epoch.ts'
import { readEntry, type Draft } from '../../src/ledger/entry.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { parseTlogProof } from '../../src/merkle/tlog_proof.ts'
import { random128 } from '../../src/storage/ids.ts'
import { readLeaves } from '../../src/storage/ledgers.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { checkSumProof } from '../../src/verifier/sum.ts'
import { checkSummary } from '../../src/verifier/summary.ts'
import type { Verdict } from '../../src/verifier/verdict.ts'
import { apiApp, bank, otherBank, recipient, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

const ledger = `/ledger/${otherBank}`
let database: TestDatabase
let api: ApiApp
let reader: string
/** The times of the entries, by index; the epochs' indices. */
let times: string[]
let epochs: number[]

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  reader = api.clientToken('back-end', 'ledger:read', otherBank)
  await refuse(3)
  await signed()
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

const signed = () => api.broker.signer.sign(otherBank)

/** Adds refusals side by side, which share a batch and so a time. */
async function refuse(count: number, by: 'advertising' | 'third_party' = 'advertising') {
  const entry: () => Draft = () => ({
    kind: 'refusal',
    body: { class: by, client: 'ads', count: 2, reason: 'class_denied', salt: random128() },
  })
  await Promise.all(
    Array.from({ length: count }, () =>
      api.broker.door.append(otherBank, { names: {}, decide: () => ({ entry: entry() }) }),
    ),
  )
}

/** A ledger of three epochs with entries before, between and after them, each batch at a time of its own. */
async function grow(): Promise<void> {
  for (const [count, epoch] of [
    [300, true],
    [5, true],
    [4, true],
    [2, false],
  ] as const) {
    await refuse(count, count === 5 ? 'third_party' : 'advertising')
    if (epoch) await writeEpoch(api.broker, otherBank, 0)
  }
  await signed()
  const leaves = await readLeaves(api.broker.db, otherBank, { from: 0, to: 10_000 })
  const entries = leaves.map(readEntry)
  times = entries.map(({ at }) => at)
  epochs = entries.filter(({ kind }) => kind === 'epoch').map(({ n }) => n)
}

const policy = async () => {
  const { text } = await api.call('get', `${ledger}/policy`).expect(200)
  return parsePolicy(nodeHasher, text)
}
const crypto = { hasher: nodeHasher, verifyEd25519 }

async function ask(query: string, token?: string) {
  const { body, headers } = await api.call('get', `${ledger}/${query}`, token).expect(200)
  return { body, headers, verdict: checkSummary(body, { policy: await policy(), crypto }) }
}

/** What the entries [from, to) count, by adding up. */
async function counted(from: number, to: number, name = 'refusals_advertising') {
  const leaves = await readLeaves(api.broker.db, otherBank, { from, to })
  return leaves
    .map(readEntry)
    .reduce(
      (sum, { kind, body }) =>
        kind === 'refusal' && `refusals_${body.class}` === name ? sum + body.count : sum,
      0,
    )
}

const sound = ({ verified, findings }: Verdict) => ({ verified, findings })
const passed = { verified: true, findings: [] }

describe('the public summary', () => {
  it('is not there before the first epoch is signed', async () => {
    await api.call('get', `${ledger}/summary`).expect(404)
    await api.call('get', `${ledger}/sum/1`, reader).expect(404)
    await writeEpoch(api.broker, otherBank, 0)
    await api.call('get', `${ledger}/summary`).expect(404)
  })

  it('says the totals up to the newest signed epoch, and proves them', async () => {
    await grow()
    const { body, headers, verdict } = await ask('summary')
    expect(headers).toMatchObject({
      'access-control-allow-origin': '*',
      'cache-control': 'public, max-age=1',
    })
    const newest = epochs.at(-1) ?? 0
    expect(sound(verdict)).toEqual(passed)
    expect(body).toMatchObject({
      ...{ origin: `broker.example${ledger}`, basis: 'epochs', open_end: false },
      ...{ from_index: 0, to_index: newest + 1 },
    })
    expect(body.totals.refusals_advertising).toBe(await counted(0, newest))
    expect(verdict.proven.join()).toContain('0 to advertising, 0 to third parties')
  })

  it('of a time goes from epoch to epoch around it, and shows no other entry', async () => {
    const [, first = 0, second = 0, third = 0] = epochs
    const [from, to] = [times[first + 1] ?? '', times[second + 1] ?? '']
    const { body, verdict } = await ask(`summary?from=${from}&to=${to}`)
    expect(sound(verdict)).toEqual(passed)
    expect(body).toMatchObject({ from_index: first + 1, to_index: third + 1, from, to })
    expect(body.totals.refusals_third_party).toBe(10)
    expect(body.totals.refusals_advertising).toBe(8)
    for (const proof of Object.values<string>(body.proofs)) {
      const { extra = Buffer.of() } = parseTlogProof(proof)
      expect(readEntry(extra).kind).toBe('epoch')
    }
  })

  it('of a time that goes on says that it does', async () => {
    const from = times[2] ?? ''
    const { body, verdict } = await ask(`summary?from=${from}&to=2999-01-01T00:00:00Z`)
    expect(body).toMatchObject({ open_end: true, to_index: (epochs.at(-1) ?? 0) + 1 })
    expect(sound(verdict)).toEqual(passed)
    expect(verdict.proven.join()).toContain('The signed ledger ended before 2999')
    await api
      .call('get', `${ledger}/summary?from=2998-01-01T00:00:00Z&to=2999-01-01T00:00:00Z`)
      .expect(404)
  })
})

describe('a summary of entries', () => {
  it('is exactly the range of indices that was asked for', async () => {
    const last = times.length
    for (const [from, to] of [
      [0, 1],
      [0, last],
      [5, 300],
      [200, 201],
      [300, 312],
      [7, 7],
    ] as const) {
      const { body, headers, verdict } = await ask(
        `summary?from_index=${from}&to_index=${to}`,
        reader,
      )
      expect(headers['cache-control']).toBe('private, no-store')
      expect(headers).not.toHaveProperty('access-control-allow-origin')
      expect(sound(verdict)).toEqual(passed)
      expect(body).toMatchObject({ basis: 'entries', from_index: from, to_index: to })
      expect(body.totals.refusals_advertising).toBe(await counted(from, to))
      expect(body.totals.refusals_third_party).toBe(await counted(from, to, 'refusals_third_party'))
    }
  })

  it('is exactly the entries of a time, which its neighbours on both sides show', async () => {
    const [, first = 0, second = 0] = epochs
    const [from, to] = [times[first + 1] ?? '', times[second] ?? '']
    const { body, verdict } = await ask(`summary?basis=entries&from=${from}&to=${to}`, reader)
    expect(sound(verdict)).toEqual(passed)
    const start = times.findIndex((at) => at >= from)
    const end = times.findIndex((at) => at >= to)
    expect(body).toMatchObject({ from_index: start, to_index: end, open_end: false })
    expect(Object.keys(body.proofs)).toEqual(['before', 'first', 'last', 'after'])
    expect(body.totals.refusals_third_party).toBe(await counted(start, end, 'refusals_third_party'))
  })

  it.each([
    ['before the ledger began', '2020-01-01T00:00:00Z', '2021-01-01T00:00:00Z', false],
    ['that has not come', '2998-01-01T00:00:00Z', '2999-01-01T00:00:00Z', true],
    ['of all there is', '2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z', true],
  ])('is proven for a time %s', async (_, from, to, open) => {
    const { body, verdict } = await ask(`summary?basis=entries&from=${from}&to=${to}`, reader)
    expect(sound(verdict)).toEqual(passed)
    expect(body.open_end).toBe(open)
    expect(body.to_index - body.from_index).toBe(from < '2021' && open ? times.length : 0)
  })

  it('is for a token of that bank, with the scope to read its entries', async () => {
    for (const path of [
      'summary?from_index=0&to_index=2',
      'summary?basis=entries&from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z',
      'sum?from_index=0&to_index=2',
      'sum/1',
    ]) {
      await api.call('get', `${ledger}/${path}`).expect(401)
      for (const token of [
        api.clientToken('auditor', 'ledger:read', bank),
        api.clientToken('back-end', 'consents:revoke', otherBank),
        api.clientToken(recipient, 'grant_management_query'),
      ])
        await api.call('get', `${ledger}/${path}`, token).expect(403)
    }
  })

  it.each([
    'from_index=0',
    'to_index=1',
    'from_index=2&to_index=1',
    'from_index=-1&to_index=1',
    'from_index=0&to_index=1&from=2026-01-01T00:00:00Z',
    'from_index=0&to_index=1&basis=epochs',
    'from=2026-01-01T00:00:00Z',
    'from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z',
    'from=yesterday&to=today',
    'basis=entries',
    'basis=guesses',
  ])('is refused for %s', async (query) => {
    const { body } = await api.call('get', `${ledger}/summary?${query}`, reader).expect(400)
    expect(body.code).toBe('invalid_request')
  })

  it('is not there beyond what is signed', async () => {
    await refuse(1)
    const size = times.length
    await api.call('get', `${ledger}/summary?from_index=0&to_index=${size + 1}`, reader).expect(404)
  })
})

describe('a sum proof', () => {
  const sum = async (path: string) => {
    const { body } = await api.call('get', `${ledger}/${path}`, reader).expect(200)
    return { body, verdict: checkSumProof(body, { policy: await policy(), crypto }) }
  }

  it('shows of each entry that the newest epoch counts it', async () => {
    for (const index of [0, 1, 255, 256, 300, (epochs.at(-1) ?? 0) - 1]) {
      const { body, verdict } = await sum(`sum/${index}`)
      expect(sound(verdict)).toEqual(passed)
      expect(body).toMatchObject({ size: epochs.at(-1), from_index: index, to_index: index + 1 })
      expect(body.totals.refusals_advertising).toBe(await counted(index, index + 1))
    }
  })

  it('shows what a range adds up to', async () => {
    for (const [from, to] of [
      [0, 1],
      [0, epochs.at(-1) ?? 0],
      [100, 290],
      [255, 257],
    ] as const) {
      const { body, verdict } = await sum(`sum?from_index=${from}&to_index=${to}`)
      expect(sound(verdict)).toEqual(passed)
      expect(body.totals.refusals_advertising).toBe(await counted(from, to))
    }
  })

  it('is not there for what no signed epoch covers, nor for no range', async () => {
    const newest = epochs.at(-1) ?? 0
    await api.call('get', `${ledger}/sum/${newest}`, reader).expect(404)
    await api.call('get', `${ledger}/sum?from_index=0&to_index=${newest + 1}`, reader).expect(404)
    await api.call('get', `${ledger}/sum?from_index=3&to_index=3`, reader).expect(400)
    await api.call('get', `${ledger}/sum/x`, reader).expect(404)
  })
})
