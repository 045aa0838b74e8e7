import type { LinkKey } from '../storage/vault.ts'

/** The range of transactions that pages are of. Times are RFC 3339 UTC with milliseconds. */
export interface PagedRange {
  readonly startTime: string
  readonly endTime?: string
  /** Transactions on one page, at most. */
  readonly limit: number
}

/** A page key that does not go on with what is asked for: not ours, given for something else, or overtaken by time. */
export class BadPageKey extends Error {
  override readonly name = 'BadPageKey'
}

/**
 * The page key that a recipient gets: the range, which is needed before the link's key is at hand, and the bank's own page key,
 * sealed since it is the bank's to fill. Range and account are bound in.
 */
export function sealPageKey(
  key: LinkKey,
  { handle, range, bankKey }: { handle: string; range: PagedRange; bankKey: string },
): string {
  const { startTime, endTime = '', limit } = range
  const text = Buffer.from(`${startTime}/${endTime}/${limit}`).toString('base64url')
  return `${text}.${key.seal(bankKey, aboutOf(handle, text)).toString('base64url')}`
}

/** The range that a page key says it goes on with. It is true when the key opens, and not before. Throws `BadPageKey`. */
export function rangeOfPageKey(pageKey: string): PagedRange {
  const [text = ''] = pageKey.split('.')
  const [, startTime, endTime, limit] =
    rangeForm.exec(Buffer.from(text, 'base64url').toString()) ?? []
  if (startTime === undefined) throw new BadPageKey(notOurs)
  return { startTime, ...(endTime === undefined ? {} : { endTime }), limit: Number(limit) }
}

/** The bank's page key in one of ours. Throws `BadPageKey`. */
export function openPageKey(
  key: LinkKey,
  { handle, pageKey }: { handle: string; pageKey: string },
): string {
  const [text = '', sealed = ''] = pageKey.split('.')
  try {
    const opened = key.open(Buffer.from(sealed, 'base64url'), aboutOf(handle, text))
    if (typeof opened === 'string') return opened
  } catch {
    // Said below: whatever does not open is not a page key.
  }
  throw new BadPageKey(notOurs)
}

const time = String.raw`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)`
const rangeForm = new RegExp(String.raw`^${time}/${time}?/(\d{1,3})$`)

const aboutOf = (handle: string, range: string) => `page ${handle} ${range}`

const notOurs = 'was not given by this server for this account'
