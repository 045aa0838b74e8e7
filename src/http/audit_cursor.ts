import { canonical, type Json } from '../ledger/canonical.ts'
import type { Vault } from '../storage/vault.ts'
import { RequestError } from './problem.ts'

/** A page key goes on for so long, ms: what is shown later takes a new query, and a new entry in the ledger. */
export const cursor_ms_max = 3_600_000

/** What a cursor is for: the same auditor's same question at the same bank. All of it is bound in. */
export interface Question {
  readonly bank: string
  readonly actor: string
  readonly asked: { readonly [name: string]: Json }
}

/** Where a query goes on: after an index, in the ledger as large as it was, under the `access` entry of its first page. */
export interface Place {
  readonly after: number
  readonly size: number
  /** Absent where the ledger was closed. */
  readonly access: number | undefined
  /** Milliseconds since the epoch. */
  readonly until: number
}

/** Seals a place, so that it tells nothing and cannot be made up. */
export const sealCursor = (vault: Vault, question: Question, place: Place): string =>
  vault
    .seal([place.after, place.size, place.access ?? -1, place.until], aboutOf(question))
    .toString('base64url')

/** The place that a cursor goes on after. Throws `RequestError` 400 `invalid_cursor` for one that was not given for this question, or long ago. */
export function openCursor(
  vault: Vault,
  question: Question,
  { cursor, now }: { cursor: string; now: number },
): Place {
  const [after, size, access, until] = opened(vault, question, cursor)
  if (after === undefined || size === undefined || access === undefined || until === undefined)
    throw invalid('the cursor was not given by this server for this query')
  if (until < now) throw invalid('the cursor has ended: ask again without it')
  return { after, size, access: access === -1 ? undefined : access, until }
}

function opened(vault: Vault, question: Question, cursor: string): number[] {
  try {
    const sealed = Buffer.from(cursor, 'base64url')
    const place = vault.open(sealed, aboutOf(question))
    if (sealed.toString('base64url') === cursor && Array.isArray(place)) return place.map(Number)
  } catch {
    // Said by the caller: whatever does not open is no cursor.
  }
  return []
}

const aboutOf = ({ bank, actor, asked }: Question) => `audit ${canonical({ bank, actor, asked })}`

const invalid = (detail: string) => new RequestError(400, 'invalid_cursor', detail)
