import { isClass } from '../../consent/class.ts'
import { isCluster } from '../../consent/cluster.ts'
import { actors } from '../../consent/consent.ts'
import { isRefusalReason } from '../../consent/refusal.ts'
import { kinds } from '../../ledger/entry.ts'
import { readIndex } from '../../ledger/entry_index.ts'
import type { Filters } from './filters.ts'

/** What a word in the search box is, and the filters it stands for. */
export interface Recognised {
  readonly word: string
  readonly is: string
  readonly filters: Filters
}

interface Form {
  readonly is: string
  readonly example: string
  /** The filters that a word of this form stands for. */
  read(word: string): Filters | undefined
}

const when = (holds: boolean, filters: Filters): Filters | undefined =>
  holds ? filters : undefined

/** The forms of words, the most particular first. A word has the first form that fits. */
export const forms: readonly Form[] = [
  {
    is: 'entry number',
    example: '1024',
    read: (word) => when(isIndex(word), { from_index: word, to_index: after(word) }),
  },
  {
    is: 'range of entries',
    example: '1000-1024',
    read(word) {
      const [from = '', to = '', ...rest] = word.split('-')
      const range = isIndex(from) && isIndex(to) && rest.length === 0 && Number(from) <= Number(to)
      return when(range, { from_index: from, to_index: after(to) })
    },
  },
  { is: 'date, UTC', example: '2026-11-30', read: readDate },
  {
    is: 'consent id',
    example: 'citi.x-lhLfE7pVyPjoWYvLEoTA',
    read: (word) => when(/^[a-z0-9-]{1,40}\.[A-Za-z0-9_-]{22}$/.test(word), { consent: word }),
  },
  {
    is: 'interaction id',
    example: '8ed49138-a74c-468c-9329-ee1822be0ae7',
    read: (word) =>
      when(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(word), {
        interaction: word.toLowerCase(),
      }),
  },
  {
    is: 'purpose',
    example: 'https://w3id.org/dpv#CustomerCare',
    read: (word) => when(/^https:\/\/[^ ]{1,192}$/.test(word), { purpose: word }),
  },
  {
    is: 'event code',
    example: 'RF001E',
    read: (word) => when(/^[A-Z]{2}\d{3}[IWE]$/.test(word), { code: word }),
  },
  {
    is: 'kind',
    example: 'release',
    read: (word) =>
      when(
        kinds.some((kind) => kind === word),
        { kind: word },
      ),
  },
  {
    is: 'reason of refusal',
    example: 'class_denied',
    read: (word) => when(isRefusalReason(word), { reason: word }),
  },
  { is: 'class', example: 'advertising', read: (word) => when(isClass(word), { class: word }) },
  {
    is: 'data cluster',
    example: 'BALANCES',
    read: (word) => when(isCluster(word), { cluster: word }),
  },
  {
    is: 'actor',
    example: 'customer',
    read: (word) =>
      when(
        actors.some((actor) => actor === word),
        { actor: word },
      ),
  },
  {
    is: 'recipient',
    example: 'messenger',
    read: (word) => when(/^[A-Za-z0-9._:~-]{1,128}$/.test(word), { recipient: word }),
  },
]

/**
 * What was typed into the search box, word by word: each by the first form that fits. Words of no form are given back, since a
 * search that leaves out what was asked for would mislead.
 */
export function recognise(typed: string): {
  readonly recognised: readonly Recognised[]
  readonly unknown: readonly string[]
} {
  const recognised: Recognised[] = []
  const unknown: string[] = []
  for (const word of typed.split(/\s+/).filter((word) => word !== '')) {
    const found = recogniseWord(word)
    if (found === undefined) unknown.push(word)
    else recognised.push(found)
  }
  return { recognised, unknown }
}

function recogniseWord(word: string): Recognised | undefined {
  for (const { is, read } of forms) {
    const filters = read(word)
    if (filters !== undefined) return { word, is, filters }
  }
  return undefined
}

/** Whether a word is the number of an entry. */
const isIndex = (word: string) => readIndex(word) !== undefined

/** Ranges do not hold their end. */
const after = (word: string) => String(Number(word) + 1)

/** A day, from its first instant to the first of the next. */
function readDate(word: string): Filters | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(word)) return undefined
  const day = Date.parse(`${word}T00:00:00.000Z`)
  if (Number.isNaN(day) || new Date(day).toISOString().slice(0, 10) !== word) return undefined
  return {
    from: `${word}T00:00:00.000Z`,
    to: new Date(day + 86_400_000).toISOString(),
  }
}
