import { consentOf, type Entry } from '../ledger/entry.ts'
import { sentenceOf } from '../ledger/sentence.ts'
import { ledgerOf, neverProven, openProof, verdictOf, type Trust, type Verdict } from './verdict.ts'

/** Checks a tlog-proof that carries its entry (c2sp.org/tlog-proof@v1): that this entry is in the ledger, in its place. */
export function checkEntryProof(file: string, trust: Trust): Verdict {
  return verdictOf(() => {
    const opened = openProof(file, trust)
    const { entry } = opened
    return {
      ledger: ledgerOf(opened),
      range: { from_index: entry.n, to_index: entry.n + 1 },
      proven: [
        `Entry ${entry.n} is in the ledger. It says, of ${entry.at}: ${sentenceOf(entry)}`,
        ...placeInWords(entry),
      ],
      unproven: unprovenBy(entry),
    }
  })
}

/** What an entry about a consent says of its place among those about the same one: `prev` leads from each to the one before. */
function placeInWords(entry: Entry): string[] {
  const consent = consentOf(entry)
  if (consent === undefined) return []
  const before = 'prev' in entry.body ? entry.body.prev : undefined
  return [
    before === undefined
      ? `It says that it is the first entry about the consent ${consent}.`
      : `It says that the entry before it about the consent ${consent} is entry ${before}.`,
  ]
}

const unprovenBy = (entry: Entry): string[] => [
  'What an entry says is what was recorded; that it is true, no ledger proves. Its time is by the clock of the broker.',
  ...(consentOf(entry) === undefined
    ? []
    : [
        'Whether that is so, and whether entries about the same consent came after it, only the whole ledger shows.',
      ]),
  ...(entry.kind === 'release' ? [neverProven.releases] : []),
]
