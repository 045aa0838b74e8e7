import { codeOf, laterCodes } from './code.ts'
import { CanonicalError } from './canonical.ts'
import { readEntry, type Draft } from './entry.ts'
import { sentenceOf } from './sentence.ts'

/** What entries are found by that many of them share. A ledger has few combinations of these, however long it grows. */
export interface Facet {
  readonly kind: string
  readonly code: string
  readonly recipient?: string
  readonly class?: string
  readonly purpose?: string
  readonly clusters?: readonly string[]
  readonly reason?: string
  readonly actor?: string
}

/** What an entry is found by. `at` is absent where the bytes have none that can be read. */
export interface EntryFacts {
  readonly at?: string
  readonly facet: Facet
  readonly consent?: string
  /** UUIDs: of the recipient's request, and of each request to the bank that answered it. */
  readonly interactions: readonly string[]
  /** How many attempts it stands for. */
  readonly count: number
}

/** An entry as it is shown: of a kind that this version does not know, with what can be read of it. */
export interface SeenEntry {
  /** The index that it says it has. */
  readonly n?: number
  readonly at?: string
  readonly kind: string
  readonly code: string
  readonly sentence: string
  readonly body: Members
  readonly totals: Members
}

type Members = Readonly<Record<string, unknown>>

/**
 * What an entry is found by. The members of bodies mean the same in every kind, so those of a kind that came later are read as
 * well; bytes that are no entry at all are indexed as unknown. Never throws: one entry must not keep the others from being found.
 */
export const factsOf = (bytes: Uint8Array): EntryFacts => factsIn(seeEntry(bytes))

/** What an entry that was looked at is found by. */
export function factsIn({ at, kind, code, body }: SeenEntry): EntryFacts {
  return {
    ...textIn('at', at),
    facet: {
      ...{ kind, code },
      ...textIn('recipient', body['recipient'] ?? body['client']),
      ...textIn('class', body['to'] ?? body['class']),
      ...textIn('purpose', body['purpose']),
      ...textsIn('clusters', body['clusters']),
      ...textIn('reason', body['reason']),
      ...textIn('actor', body['actor'] ?? body['by']),
    },
    ...textIn('consent', body['consent']),
    interactions: [
      ...texts([body['interaction']]).filter((id) => uuid.test(id)),
      ...texts(body['fetches'])
        .filter((id) => random128.test(id))
        .map(uuidOf),
    ],
    count: isIndex(body['count']) && body['count'] > 0 ? body['count'] : 1,
  }
}

/** An entry for people and programs to look at. Never throws. */
export function seeEntry(bytes: Uint8Array): SeenEntry {
  try {
    const entry = readEntry(bytes)
    const { n, at, kind, body, totals } = entry
    const draft = { kind, body } as Draft
    return {
      ...{ n, at, kind, code: codeOf(draft), sentence: sentenceOf(draft) },
      ...{ body: { ...body }, totals },
    }
  } catch (error) {
    if (!(error instanceof CanonicalError)) throw error
    return unknownEntry(bytes)
  }
}

function unknownEntry(bytes: Uint8Array): SeenEntry {
  const read = membersOf(parsed(bytes))
  const kind = text(read['kind'])
  return {
    ...(isIndex(read['n']) ? { n: read['n'] } : {}),
    ...(isTime(read['at']) ? { at: read['at'] } : {}),
    kind: kind !== undefined && word.test(kind) ? kind : 'unknown',
    code: laterCodes.kind,
    sentence: 'An entry that this version cannot read: it takes a newer one to say what it is.',
    body: membersOf(read['body']),
    totals: membersOf(read['totals']),
  }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

const word = /^[a-z][a-z0-9._]{0,39}$/

const isIndex = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

const isTime = (value: unknown): value is string => {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN
  return !Number.isNaN(ms) && new Date(ms).toISOString() === value && /^\d/.test(value)
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const random128 = /^[A-Za-z0-9_-]{22}$/

/** Longer ones, and half characters, are no name of ours and have no place in an index. */
const text_chars_max = 200

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length <= text_chars_max && !/[\p{Cc}\p{Cs}]/u.test(value)
    ? value
    : undefined

const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.flatMap((one) => text(one) ?? []) : []

function textIn<N extends string>(name: N, value: unknown): { readonly [K in N]?: string } {
  const found = text(value)
  return found === undefined ? {} : ({ [name]: found } as { readonly [K in N]?: string })
}

function textsIn<N extends string>(name: N, value: unknown): { readonly [K in N]?: string[] } {
  const found = texts(value).slice(0, 16).toSorted()
  return found.length === 0 ? {} : ({ [name]: found } as { readonly [K in N]?: string[] })
}

const membersOf = (value: unknown): Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}

/** 128 bits, base64url, as the UUID that the bank saw. */
function uuidOf(random: string): string {
  const binary = atob(random.replaceAll('-', '+').replaceAll('_', '/'))
  const hex = Array.from(binary, (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join(
    '',
  )
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
