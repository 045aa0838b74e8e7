import { createHmac } from 'node:crypto'
import {
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRes,
  RLWrapperTimeouts,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible'
import type { Database } from './database.ts'

/** What is counted: at most `points` of each key in a window, which begins with the first. */
export interface Counted {
  readonly name: string
  readonly points: number
  readonly window_s: number
}

/** How a request stands after it was counted. */
export interface Spent {
  /** It is one too many. */
  readonly over: boolean
  readonly remaining: number
  /** Until the window ends. */
  readonly reset_ms: number
}

/** Counts one request of this key. Never fails, and never takes longer than the database may take to answer. */
export type CountRequest = (key: string) => Promise<Spent>

/** Where requests are counted. The same name is the same count: two servers of one process count together. */
export type OpenCounter = (counted: Counted) => CountRequest

/** Counts the requests of this process alone. */
export function memoryCounters(): OpenCounter {
  return onceByName((counted) => counterOf(limiterOf(counted)))
}

/**
 * Counts the requests of all processes in one table. `secret` is theirs alone: a key is kept as its HMAC, so that the table
 * holds no address. While the database does not answer within `answer_ms_max`, each process counts by itself, and nobody is kept
 * waiting or let in uncounted. A key that is used up is remembered until its window ends: a flood costs the database nothing.
 */
export function postgresCounters(
  { knex }: Database,
  { secret, answer_ms_max = 1_000 }: { secret: Buffer; answer_ms_max?: number },
): OpenCounter {
  return onceByName((counted) => {
    const { name, points, window_s } = counted
    const shared = new RateLimiterPostgres({
      ...{ storeClient: knex, storeType: 'knex', tableName: 'rate_limits', tableCreated: true },
      ...{ keyPrefix: name, points, duration: window_s, inMemoryBlockOnConsumed: points },
      clearExpiredByTimeout: false,
    })
    const count = counterOf(
      new RLWrapperTimeouts({
        ...{ limiter: shared, timeoutMs: answer_ms_max, keyPrefix: name },
        insuranceLimiter: limiterOf(counted),
      }),
    )
    return (key) => count(createHmac('sha256', secret).update(key).digest('base64url'))
  })
}

function onceByName(open: OpenCounter): OpenCounter {
  const opened = new Map<string, CountRequest>()
  return (counted) => {
    const count = opened.get(counted.name) ?? open(counted)
    opened.set(counted.name, count)
    return count
  }
}

const limiterOf = ({ name, points, window_s }: Counted) =>
  new RateLimiterMemory({ keyPrefix: name, points, duration: window_s })

/** The library throws what it found when a request is one too many. */
function counterOf(limiter: Pick<RateLimiterAbstract, 'consume'>): CountRequest {
  return async (key) => {
    try {
      return spent(await limiter.consume(key), false)
    } catch (found) {
      if (!(found instanceof RateLimiterRes)) throw found
      return spent(found, true)
    }
  }
}

const spent = ({ remainingPoints, msBeforeNext }: RateLimiterRes, over: boolean): Spent => ({
  over,
  remaining: remainingPoints,
  reset_ms: msBeforeNext,
})
