/** A time in UTC, as the ledger says it, and by the reader's own clock if that is another. */
export function At({ at, local = true }: { at: string; local?: boolean }) {
  const here = local ? localTime(at) : undefined
  return (
    <>
      <time dateTime={at} class="at">
        {utcTime(at)}
      </time>
      {here !== undefined && <span class="local">{` · ${here}, your time`}</span>}
    </>
  )
}

/** `2026-11-30 09:00:12.345 UTC`; seconds and milliseconds where they say something. What is no time is shown as it is. */
export function utcTime(at: string): string {
  const [, day, clock, rest] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(?:\.\d{3})?)?/.exec(at) ?? []
  if (day === undefined || clock === undefined) return at
  return `${day} ${clock}${rest === ':00.000' ? '' : (rest ?? '').replace('.000', '')} UTC`
}

/** The same instant by this machine's clock, with its offset; undefined where that is UTC, or the text no time. */
export function localTime(at: string): string | undefined {
  const date = new Date(at)
  const offset = -date.getTimezoneOffset()
  if (Number.isNaN(offset) || offset === 0) return undefined
  const shifted = new Date(date.getTime() + offset * 60_000).toISOString()
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0')
  const sign = offset < 0 ? '−' : '+'
  const zone = `${sign}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`
  const clock = shifted.slice(11, 19).replace(/:00$/, '')
  return `${shifted.slice(0, 10)} ${clock} ${zone}`
}

/** What a `datetime-local` field holds for a time in UTC, and back: the field itself knows no zone. */
export const toField = (at: string | undefined): string => at?.slice(0, 16) ?? ''

export function fromField(value: string): string | undefined {
  const at = Date.parse(`${value}${value.length === 16 ? ':00' : ''}Z`)
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}
