import { ContractError } from './contract.ts'

/** FDX's two ways to say a range of time: by RFC 3339 times, the end not included, or by whole days of UTC, both included. */
export interface TimeRange {
  readonly startTime?: string
  readonly endTime?: string
  readonly startDate?: string
  readonly endDate?: string
}

const day_ms = 86_400_000

/**
 * The range [startTime, endTime) as RFC 3339 UTC with milliseconds. Throws `ContractError` for a range that is none, or begins
 * after `now`, milliseconds since the epoch.
 */
export function timeRange(range: TimeRange, now: number): { startTime?: string; endTime?: string } {
  const startTime = instant(range, 'startTime', 'startDate', 0)
  const endTime = instant(range, 'endTime', 'endDate', day_ms)
  if (startTime !== undefined && endTime !== undefined && startTime >= endTime)
    throw wrong(range.endTime === undefined ? 'endDate' : 'endTime', 'is not after the start')
  if (startTime !== undefined && Date.parse(startTime) > now)
    throw wrong(range.startTime === undefined ? 'startDate' : 'startTime', 'lies in the future')
  return {
    ...(startTime === undefined ? {} : { startTime }),
    ...(endTime === undefined ? {} : { endTime }),
  }
}

function instant(
  range: TimeRange,
  time: 'startTime' | 'endTime',
  date: 'startDate' | 'endDate',
  after_ms: number,
): string | undefined {
  if (range[time] !== undefined && range[date] !== undefined)
    throw wrong(date, `is not sent together with ${time}`)
  if (range[time] !== undefined) return utc(range[time], time, 0)
  return range[date] === undefined ? undefined : utc(`${range[date]}T00:00:00Z`, date, after_ms)
}

/** A time in UTC, some ms later. A leap second is no instant to JavaScript, and an offset can lead out of the years that RFC 3339 writes. */
export function utc(text: string, name: string, after_ms: number): string {
  const ms = Date.parse(text) + after_ms
  const iso = Number.isNaN(ms) ? '' : new Date(ms).toISOString()
  if (!/^[1-9]\d{3}-/.test(iso)) throw wrong(name, 'is not a time that can be asked for')
  return iso
}

const wrong = (name: string, detail: string) => new ContractError([{ in: 'query', name, detail }])
