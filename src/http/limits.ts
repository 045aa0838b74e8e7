import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import type { Broker } from '../broker/broker.ts'
import { FrequencyUsedUp, type Frequency } from '../broker/frequency.ts'
import type { Released } from '../broker/release.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { CountRequest, OpenCounter } from '../storage/rate_counters.ts'
import { interaction } from './interaction.ts'
import { addressOf, networkOf } from './network.ts'
import { oauthErrors } from './oauth_errors.ts'
import { pageHeaders } from './page.ts'
import { pageErrors } from './page_errors.ts'
import { problems, RequestError } from './problem.ts'
import {
  routeFacts,
  window_s,
  type Budget,
  type RateLimitGroup,
  type Surface,
} from './rate_limits.ts'

const day_s = 86_400

/** Where requests are counted, and what is allowed of each group; a group that is not named is not limited. */
export interface RateLimiting {
  readonly counter: OpenCounter
  readonly budgets: Readonly<Partial<Record<RateLimitGroup, Budget>>>
  /** How long a window is, seconds; `window_s` but for tests, which wait for its end. */
  readonly window_s?: number
}

/** Nothing is limited. */
export const unlimited: RateLimiting = {
  counter: () => () => Promise.resolve({ over: false, remaining: 0, reset_ms: 0 }),
  budgets: {},
}

/** The limits of one app. Both throw `RequestError` 429 for a request that is one too many, before anything is done for it. */
export interface Limits {
  /** Counts a request by where it comes from, before anything of it is read. */
  readonly byAddress: RequestHandler
  /** Counts a request by the client that it was authenticated as. */
  byClient(req: Request, client: string): Promise<void>
  /** Tells how often a consent may still be read without the customer: with what was read, and when that was used up. */
  tellingFrequency(res: Response, reading: Promise<Released>): Promise<Released>
}

export function openLimits(
  { counter, budgets, window_s: seconds = window_s }: RateLimiting,
  metrics: Metrics,
): Limits {
  const counters = new Map<string, { readonly points: number; readonly count: CountRequest }>()
  for (const [group, budget] of Object.entries(budgets))
    for (const [by, points] of Object.entries(budget)) {
      const name = policyName(group, by)
      counters.set(name, { points, count: counter({ name, points, window_s: seconds }) })
    }

  const spend = async (req: Request, by: keyof Budget, key: string) => {
    const { group } = routeFacts(req.method, req.baseUrl + req.path)
    const name = policyName(group, by)
    const found = counters.get(name)
    if (found === undefined) return
    const { over, remaining, reset_ms } = await found.count(key)
    const reset_s = Math.max(1, Math.ceil(reset_ms / 1000))
    // What caches keep would tell one caller's count to another.
    if (over || group !== 'files')
      tellLimit(req.res, { name, quota: found.points, window_s: seconds, remaining, reset_s })
    if (!over) return
    metrics.add('countersign_limited_total', { group, by })
    throw new RequestError(429, 'too_many_requests', 'there were too many requests: wait', {
      'Retry-After': String(reset_s),
    })
  }

  return {
    async byAddress(req, _res, next) {
      await spend(req, 'address', networkOf(addressOf(req)))
      next()
    },
    byClient: (req, client) => spend(req, 'client', client),
    async tellingFrequency(res, reading) {
      try {
        const released = await reading
        if (released.frequency !== undefined) tellFrequency(res, released.frequency)
        return released
      } catch (error) {
        if (error instanceof FrequencyUsedUp) {
          tellFrequency(res, error.frequency)
          metrics.add('countersign_limited_total', { group: 'unattended', by: 'consent' })
        }
        throw error
      }
    },
  }
}

function tellFrequency(res: Response, { max, remaining, reset_ms }: Frequency): void {
  const reset_s = Math.ceil(reset_ms / 1000)
  const window = { quota: max, window_s: day_s, remaining, reset_s }
  tellLimit(res, { name: policyName('unattended', 'consent'), ...window })
}

const policyName = (group: string, by: string): string => `${group}-${by}`

/** How a caller stands with one limit. */
interface Standing {
  readonly name: string
  readonly quota: number
  readonly window_s: number
  readonly remaining: number
  readonly reset_s: number
}

/** Adds a limit to `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), lists of structured fields. */
function tellLimit(
  res: Response | undefined,
  { name, quota, window_s, remaining, reset_s }: Standing,
): void {
  const add = (header: string, member: string) => {
    const before = res?.getHeader(header)
    res?.setHeader(header, before === undefined ? member : `${String(before)}, ${member}`)
  }
  add('RateLimit-Policy', `"${name}";q=${quota};w=${window_s}`)
  add('RateLimit', `"${name}";r=${remaining};t=${reset_s}`)
}

/** Answers what went wrong before any router was reached as the router of the path would. */
export function answersAsItsSurface(broker: Broker): ErrorRequestHandler {
  const answers: Readonly<Record<Surface, ErrorRequestHandler>> = {
    fdx: problems(broker.issuer),
    resource: problems(broker.issuer),
    oauth: oauthErrors(broker),
    page: pageErrors,
  }
  const headers: Readonly<Record<Surface, readonly RequestHandler[]>> = {
    fdx: [interaction],
    resource: [],
    oauth: [interaction],
    page: pageHeaders(broker, { referrer: 'no-referrer' }),
  }
  return (error: unknown, req, res: Response, next) => {
    const { surface } = routeFacts(req.method, req.path)
    for (const set of headers[surface]) void set(req, res, () => undefined)
    return answers[surface](error, req, res, next)
  }
}
