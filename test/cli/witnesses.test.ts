import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../sandbox/free_ports.ts'
import { ledgerOrigin } from '../../src/broker/broker.ts'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { serve, type Serving } from '../../src/main.ts'
import { openUnderPolicy, parsePolicy } from '../../src/merkle/policy.ts'
import { random128 } from '../../src/storage/ids.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { startSpecWitness, type SpecWitness } from '../support/spec_witness.ts'
import { countersign, operator, type Operator } from './operator.ts'

const [bank, otherBank] = ['first-bank', 'other-bank']

let at: Operator
let witness: SpecWitness
let policy: string
let port: number
let serving: Serving | undefined

beforeAll(async () => {
  at = await operator()
  const logs = [...at.broker.keys.values()].map(({ vkey }) => ({ vkey }))
  witness = await startSpecWitness({ name: 'w.auditor.example', logs })
  policy = `witness auditor ${witness.vkey} ${witness.url}\nquorum auditor\n`
  for (const { id } of at.banks) await openLedger(at.broker, id)
  port = await freePorts(1)
})
afterEach(() => stop())
afterAll(async () => {
  await witness.close()
  await at.close()
})

async function start(): Promise<void> {
  const witnesses = { policy: parsePolicy(nodeHasher, policy), cadence_s: {} }
  serving = await serve({ ...at.config, port, sandbox: true, witnesses })
}

async function stop(): Promise<void> {
  await serving?.close()
  serving = undefined
}

const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
const text = async (path: string) => (await get(path)).text()

/** An entry that means nothing. */
const grow = () =>
  at.broker.door.append(bank, {
    names: {},
    decide: () => ({
      entry: {
        kind: 'refusal',
        body: {
          ...{ class: 'advertising', client: 'ads', count: 1, reason: 'class_denied' },
          salt: random128(),
        },
      },
    }),
  })

// In order: each broker is the next start of the one before.
it('serves checkpoints under the policy that it serves', async () => {
  await start()
  for (const { id } of at.banks) {
    const own = parsePolicy(nodeHasher, await text(`/ledger/${id}/policy`))
    expect([own.quorum, own.witnesses.get('auditor')?.url]).toEqual(['auditor', witness.url])
    // The first is signed at the start, after the witnesses were asked, and goes to them at the next turn.
    const opened = async () => {
      try {
        return openUnderPolicy(verifyEd25519, own, await text(`/ledger/${id}/checkpoint`))
      } catch {
        return undefined
      }
    }
    let found = await opened()
    for (; found === undefined; found = await opened()) await sleep(50)
    expect(found.cosigners.map(({ name }) => name)).toEqual(['auditor'])
    const status = async () => (await get(`/ledger/${id}/witnesses`)).json()
    // The cosignature is a row before the quorum is.
    while (!('witnessed_size' in (await status()))) await sleep(50)
    expect(await status()).toMatchObject({
      ...{ bank: id, signed_size: found.checkpoint.size, witnessed_size: found.checkpoint.size },
      witnesses: [{ name: 'auditor', url: witness.url, size: found.checkpoint.size, behind: 0 }],
    })
  }
  expect(await (await get('/health')).json()).toEqual({
    ...{ status: 'ok', database: 'ok', ledgers: [], lost: [], unwitnessed: [] },
  })
  expect(await text('/metrics')).toMatch(
    /countersign_witness_answers_total\{bank="first-bank",witness="auditor",outcome="cosigned"\} \d/,
  )
})

it('signs nothing at its start when a witness has seen more, and releases nothing of that bank', async () => {
  const origin = ledgerOrigin(at.config.issuer, bank)
  const seen = witness.seen.get(origin)
  witness.pretend(origin, { size: 1_000, root: Buffer.alloc(32).toString('base64') })
  await grow()
  await start()
  const health = await get('/health')
  expect(health.status).toBe(503)
  const why = expect.stringContaining('the witness auditor has cosigned 1000 entries')
  expect(await health.json()).toMatchObject({ ledgers: [{ bank, why }] })
  expect(await (await get(`/ledger/${bank}/witnesses`)).json()).toMatchObject({
    ...{ signed_size: seen?.size, stopped: why },
  })
  expect((await get(`/ledger/${bank}/proof/${seen?.size}`)).status).toBe(503)
  expect((await get(`/ledger/${otherBank}/proof/0`)).status).toBe(200)
  if (seen !== undefined) witness.pretend(origin, seen)
})

it('stays so through a restart, until an operator says otherwise', async () => {
  await start()
  expect((await get('/health')).status).toBe(503)
  await stop()
  const WITNESS_POLICY_FILE = await at.file('policy', policy)
  const env = { ...at.env, WITNESS_POLICY_FILE }
  expect(await countersign(env, 'ledger', 'resume', '--bank', bank)).toEqual({
    ...{ code: 0, err: '' },
    out: `auditor was not heard: unreachable\n${bank} may be signed again: restart its brokers\n`,
  })
  await start()
  expect((await get('/health')).status).toBe(200)
})
