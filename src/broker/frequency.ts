import { giveBackRead, takeRead } from '../storage/unattended_reads.ts'
import type { Broker } from './broker.ts'

const day_ms = 86_400_000

/** How a consent stands with the reads of it that a day (UTC) allows while the customer is not there. */
export interface Frequency {
  readonly max: number
  readonly remaining: number
  /** Until the day ends. */
  readonly reset_ms: number
}

/**
 * The day's reads of a consent without the customer are used up. It is no refusal: it says nothing of permission, and passes with
 * the day, so it makes no entry.
 */
export class FrequencyUsedUp extends Error {
  override readonly name = 'FrequencyUsedUp'
  readonly frequency: Frequency

  constructor(frequency: Frequency) {
    super('the reads of this consent without the customer are used up for today')
    this.frequency = frequency
  }
}

/**
 * Reads within a consent's limit, if there is one and the customer is not there: counted before the bank is asked, to the read
 * over all processes, and given back when nothing came of it, unless the error is one that `mayHaveEntered` a release. Throws
 * `FrequencyUsedUp`.
 */
export async function withinFrequency<T extends object>(
  { db, readsPerDay: max, now }: Broker,
  {
    bank,
    consentId: consent,
    unattended = false,
  }: { bank: string; consentId: string; unattended?: boolean },
  read: () => Promise<T>,
  mayHaveEntered: (error: unknown) => boolean,
): Promise<T & { frequency?: Frequency }> {
  if (max === undefined || !unattended) return read()
  const at = now()
  const day = new Date(at).toISOString().slice(0, 10)
  const reset_ms = day_ms - (at % day_ms)
  const taken = await takeRead(db, bank, { consent, day, max })
  if (taken === undefined) throw new FrequencyUsedUp({ max, remaining: 0, reset_ms })
  try {
    return { ...(await read()), frequency: { max, remaining: max - taken, reset_ms } }
  } catch (error) {
    // What cannot be given back stays taken: fewer reads than allowed, never more.
    if (!mayHaveEntered(error))
      await giveBackRead(db, bank, { consent, day }).catch(() => undefined)
    throw error
  }
}
