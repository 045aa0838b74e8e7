import { hash, randomUUID } from 'node:crypto'
import type { Broker } from '../src/broker/broker.ts'
import { startHousekeeping } from '../src/broker/housekeeping.ts'
import { releaseDraft } from '../src/broker/release.ts'
import type { Config } from '../src/config.ts'
import { compose } from '../src/compose.ts'
import { random128 } from '../src/storage/ids.ts'
import { findLedger } from '../src/storage/ledgers.ts'
import { grantMany, type CrowdConsent } from '../sandbox/many_consents.ts'
import type { Stage } from './stage.ts'
import { median } from './statistics.ts'

/** The bank whose ledger is appended to. */
export const bank = 'citi'

export const batchSizes = [1, 16, 64, 256] as const
export type BatchSize = (typeof batchSizes)[number]

const consents_count = 250
const rounds = 5

/** A broker's insides at work on one ledger, signing as it grows, and consents to release under. */
export interface Appending {
  readonly broker: Broker
  /** Appends a wave: this many releases, drafted together and all awaited. */
  wave(releases: number): Promise<void>
  close(): Promise<void>
}

/** Entries a second through the door, for waves of each size, in alternating slices. */
export async function measureAppend(
  stage: Stage,
  { seconds }: { seconds: number },
): Promise<Record<BatchSize, number>> {
  const appending = await startAppending(await stage.database('append'))
  const rates: Record<BatchSize, number[]> = { 1: [], 16: [], 64: [], 256: [] }
  try {
    for (let round = 0; round < rounds; round++)
      for (const size of batchSizes) {
        await appending.broker.signer.sign(bank)
        const end = performance.now() + seconds * 1_000
        const began = performance.now()
        let entries = 0
        for (; performance.now() < end; entries += size) await appending.wave(size)
        rates[size].push((entries * 1_000) / (performance.now() - began))
      }
  } finally {
    await appending.close()
  }
  const [one, sixteen, sixtyFour, full] = batchSizes.map((size) => median(rates[size]))
  return { 1: one ?? NaN, 16: sixteen ?? NaN, 64: sixtyFour ?? NaN, 256: full ?? NaN }
}

/** Opens a broker on a database, grants consents in it, and keeps it signed until it is closed. */
export async function startAppending(config: Config): Promise<Appending> {
  const { broker, close } = await compose({ ...config, logLevel: 'silent' })
  const consents = await grantMany(broker, { bank, count: consents_count })
  const stop = startHousekeeping(broker, {
    epochSeconds: config.epochSeconds,
    failed: (duty, _, error) => process.emitWarning(`${duty} failed: ${String(error)}`),
  })
  // What the database was made with may have waited for longer than releases do.
  await broker.signer.sign(bank)
  let next = 0
  return {
    broker,
    async wave(releases) {
      await Promise.all(
        Array.from({ length: releases }, async () => {
          const consent = consents[next++ % consents.length]
          if (consent === undefined) throw new Error('no consent was granted')
          const outcome = await broker.door.append(bank, draftUnder(consent))
          if (outcome.kind !== 'entered') throw new Error(`a release was ${outcome.kind}`)
        }),
      )
    },
    async close() {
      await stop()
      await close()
    },
  }
}

/** The release of both accounts that `GET /fdx/v6/accounts` makes. */
function draftUnder({ consent }: CrowdConsent) {
  const asking = {
    bank,
    consentId: consent.id,
    client: consent.recipient,
    jti: random128(),
    delivery: 'in_thread',
    interaction: randomUUID(),
  } as const
  return releaseDraft(asking, {
    access: {
      recipient: consent.recipient,
      to: 'messaging_platform',
      clusters: ['ACCOUNT_BASIC', 'BALANCES'],
      accounts: consent.terms.accounts,
    },
    fetchId: random128(),
    payload: hash('sha256', asking.interaction, 'base64url'),
  })
}

/** Appends until the ledger has this many entries: two full batches under way, as long as that takes. */
export async function fillTo({ broker, wave }: Appending, entries: number): Promise<void> {
  for (;;) {
    const missing = entries - ((await findLedger(broker.db, bank))?.size ?? 0)
    if (missing <= 0) return
    for (let filled = 0; filled < Math.min(missing, 65_536); filled += 512)
      await wave(Math.min(512, missing - filled))
  }
}
