import { count } from '../../ledger/words.ts'

/** A cosignature older than this is stale, s: a witness is asked at least each hour. */
export const stale_s = 7_200

/** Whether a witness vouched for the tree lately: `time` in seconds since the epoch, `now` in milliseconds. */
export function freshness(time: number | undefined, now: number): 'passed' | 'not_done' {
  return time !== undefined && now / 1000 - time <= stale_s ? 'passed' : 'not_done'
}

/** How long ago, in the largest unit that says it. */
export function ago(time: number, now: number): string {
  const seconds = Math.max(0, Math.round(now / 1000 - time))
  for (const [unit, length] of units)
    if (seconds >= length) return `${count(Math.floor(seconds / length), unit)} ago`
  return 'now'
}

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const
