import { sentenceOf } from '../ledger/sentence.ts'
import { oneLedger, openProof, verdictOf, type Trust, type Verdict } from './summary.ts'

/** Checks a tlog-proof that carries its entry (c2sp.org/tlog-proof@v1): that this entry is in the ledger, in its place. */
export function checkEntryProof(file: string, trust: Trust): Verdict {
  return verdictOf(() => {
    const proven = openProof(file, trust)
    const { entry, opened } = proven
    return {
      ledger: oneLedger([proven], opened.checkpoint.origin),
      range: { from_index: entry.n, to_index: entry.n + 1 },
      proven: [
        `Entry ${entry.n} is in the ledger, and can neither be changed nor taken back unnoticed. It says, of ${entry.at}: ${sentenceOf(entry)}`,
      ],
      unproven: [
        'What an entry says is what was recorded; that it is true, no ledger proves. Its time is by the clock of the broker.',
        'Other entries about the same consent are not ruled out: this is one of them.',
        'Releases are authorised: that data arrived, or what became of it then, is not said.',
      ],
    }
  })
}
