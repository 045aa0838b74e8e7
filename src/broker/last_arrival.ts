import { answer_ms_max } from './release.ts'

/** The instant after which nothing that was recorded before `at` can still arrive. Both RFC 3339 UTC. */
export const lastArrival = (at: string): string =>
  new Date(Date.parse(at) + answer_ms_max).toISOString()
