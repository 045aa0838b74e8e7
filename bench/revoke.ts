import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkLedgers } from '../sandbox/check_ledgers.ts'
import { startCrowd } from '../sandbox/crowd.ts'
import { startFleet } from '../sandbox/fleet.ts'
import type { Stage } from './stage.ts'
import { quantile } from './statistics.ts'

const consents_per_bank = 100
const revocation_every_ms = 100
const measured_s = 15

export interface RevokeFigures {
  readonly revoke_p50_ms: number
  readonly revoke_p99_ms: number
  readonly revocations: number
  /** Releases a second that were answered meanwhile. */
  readonly releases_per_s: number
  readonly released_after_revocation: 0
}

/** Three broker processes, 64 clients that read through them without a pause, and about ten revocations a second. */
export async function measureRevoke(stage: Stage): Promise<RevokeFigures> {
  const folder = join(stage.folder, 'fleet')
  const fleet = await startFleet(await stage.database('revoke'), { folder })
  try {
    const consents = await fleet.grant(consents_per_bank)
    const crowd = startCrowd({ ...fleet, consents })
    crowd.keepRevoking(revocation_every_ms)
    await sleep(measured_s * 1_000)
    await crowd.stop()
    const checked = await checkLedgers(fleet.broker, crowd.acknowledged)
    if (
      checked.releasedAfterRevocation > 0 ||
      checked.unrecorded.length > 0 ||
      crowd.tooLate.length > 0
    )
      throw new Error(`a release was lost, or entered too late: ${JSON.stringify(checked)}`)
    return {
      revoke_p50_ms: quantile(crowd.revocations_ms, 0.5),
      revoke_p99_ms: quantile(crowd.revocations_ms, 0.99),
      revocations: crowd.revocations_ms.length,
      releases_per_s: crowd.acknowledged.length / measured_s,
      released_after_revocation: 0,
    }
  } finally {
    await fleet.close()
  }
}
