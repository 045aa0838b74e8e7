import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startBroker } from './broker_process.ts'
import { bankDirectory } from './banks/directory.ts'
import { readEverything, link, wishOf } from './acts.ts'
import { openCustomer } from './customer.ts'
import { summarise, type LedgerFiles } from './demo_summary.ts'
import { downloadLedger } from './ledger_files.ts'
import { withClient } from './postgres_database.ts'
import type { Linked } from './recipient.ts'
import { castOf, clientOf, playAt, type Cast } from './story.ts'
import { startWitnesses } from './witnesses.ts'
import { auditorOf, openWorld, type World } from './world.ts'

/** `npm run demo`: the whole story over real HTTP, then the proof of it from the ledgers' own files. */

const entries_min = 300

/** The sweeper comes every 5 s, the signer every second. */
const settle_ms_max = 30_000

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    directory: { type: 'string', default: '.countersign/demo' },
    port: { type: 'string', default: '8180' },
    /** An OFX file, or a folder of them, whose accounts the first customer of each bank gets. */
    ofx: { type: 'string', multiple: true, default: [] },
  },
})

const say = (line: string) => process.stdout.write(`${line}\n`)
const directory = resolve(values.directory)
const statements = (await Promise.all(values.ofx.map(filesOf)))
  .flat()
  .map((path) => ({ path, shift: true }))
const world = await openWorld({
  directory,
  port: Number(values.port),
  banks: Object.fromEntries(bankDirectory.map(({ id }) => [id, { statements }])),
  epochSeconds: 1,
  stateEvery_ms: 2_000,
  statementSlackSeconds: 1,
})
const witnesses = await startWitnesses(world.config, {
  banks: world.banks.map(({ id }) => id),
  folder: join(directory, 'witnesses'),
  firstPort: world.config.port + 7,
})
const config = { ...world.config, witnesses: witnesses.config }
const broker = await startBroker(config, {
  port: world.config.port,
  folder: join(directory, 'broker'),
})
let verified = false
try {
  for (const { legalName, notes } of world.banks)
    for (const note of notes) say(`${legalName}: ${note}`)
  const cast = await castOf(world, say)
  for (const bank of world.banks) await playAt(bank, cast)
  await fillTo(cast, entries_min)
  await settled(world)
  const ledgers = await takeFiles(world, join(directory, 'ledgers'))
  const summary = await summarise(ledgers)
  verified = summary.verified
  say(`\n${summary.text}`)
  if (values.json) say(JSON.stringify(summary.json))
} finally {
  await broker.stop()
  await witnesses.close()
  await world.close()
}
process.exitCode = verified ? 0 : 1

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [resolve(path)]
  const names = await readdir(path)
  return names.filter((name) => name.endsWith('.ofx')).map((name) => resolve(path, name))
}

/** Reads on until the four ledgers hold this many entries together. */
async function fillTo(
  { world: { banks, config }, recipients: { messenger } }: Cast,
  entries: number,
): Promise<void> {
  let size = 0
  for (const { id } of banks) {
    const checkpoint = await fetch(`${config.issuer}/ledger/${id}/checkpoint`)
    size += Number((await checkpoint.text()).split('\n')[1])
  }
  const linked = new Map<string, Linked>()
  for (let i = 0; size < entries; i = (i + 1) % banks.length) {
    const bank = banks[i]?.id ?? ''
    const held = linked.get(bank)
    const customer = openCustomer([messenger.redirectUri])
    const wish = wishOf(bank, 'Bob')
    const consent = held ?? (await link(customer, messenger, { wish, username: 'bob' }))
    linked.set(bank, consent)
    size += await readEverything(messenger, consent)
  }
}

/** Waits for the sweeper, the signer and the witnesses: every consent that is due to expire has, under a witnessed checkpoint. */
async function settled({ ownerUrl }: World): Promise<void> {
  const until = performance.now() + settle_ms_max
  while (await isPending(ownerUrl)) {
    if (performance.now() > until)
      throw new Error(`what happened was not witnessed within ${settle_ms_max} ms`)
    await sleep(200)
  }
}

/** One statement, so that both questions are of the same moment. */
function isPending(ownerUrl: string): Promise<boolean> {
  return withClient(ownerUrl, async (client) => {
    const { rows } = await client.query<{ pending: boolean }>(
      `select exists (select from consents where state = 'active' and redeemed_at is null
           and granted_at <= clock_timestamp() - interval '10 minutes')
         or exists (select from ledger_heads h left join witnessed w using (bank_id, size) where w.size is null) as pending`,
    )
    return rows[0]?.pending ?? true
  })
}

/** Every ledger's files, as an auditor gets them. */
async function takeFiles(world: World, folder: string): Promise<LedgerFiles[]> {
  await rm(folder, { recursive: true, force: true })
  const ledgers: LedgerFiles[] = []
  for (const { id } of world.banks) {
    const files = join(folder, id)
    await mkdir(files, { recursive: true })
    const auditor = await clientOf(world, auditorOf(id))
    const token = await auditor.ownToken('ledger:read')
    await downloadLedger(files, (path) => auditor.call(token, `/ledger/${id}/${path}`))
    ledgers.push({ bank: id, files })
  }
  return ledgers
}
