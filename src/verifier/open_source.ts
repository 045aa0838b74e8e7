import { openFolder } from './folder.ts'
import { ledgerOf } from './ledger_files.ts'
import type { LedgerSource } from './source.ts'
import { webSource } from './web_source.ts'

/** Whether a place is on the web, and not a folder. */
export const isUrl = (place: string): boolean => /^https?:\/\//.test(place)

/** The files of one ledger under an http(s) URL or in a folder. `getEntries` as for `webSource`. */
export function openSource(
  place: string,
  { getEntries }: { getEntries?: ((url: URL) => Promise<Response>) | undefined } = {},
): LedgerSource {
  return isUrl(place) ? webSource(place, getEntries) : ledgerOf(openFolder(place))
}
