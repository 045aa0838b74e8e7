import { classes, classNames, type Class } from '../consent/class.ts'
import type { Entry } from '../ledger/entry.ts'
import { readSummary, type Summary } from '../ledger/summary.ts'
import { addTotals, type Totals } from '../ledger/totals.ts'
import { count, figure } from '../ledger/words.ts'
import {
  must,
  neverProven,
  oneLedger,
  openProof,
  verdictOf,
  type OpenedEntry,
  type Trust,
  type Verdict,
} from './verdict.ts'

/** Checks a summary: that the ledger says these totals of exactly this range. */
export function checkSummary(file: unknown, trust: Trust): Verdict {
  return verdictOf(() => {
    const summary = readSummary(file)
    const ends = endsOf(summary, trust)
    const proven = Object.values(ends).filter((one) => one !== undefined)
    const ledger = oneLedger(proven, summary.origin)
    checkRange(summary, ends, ledger.size)
    checkTotals(summary, ends)
    const { from_index, to_index, from, to, totals } = summary
    return {
      ledger,
      range: { from_index, to_index, ...(from && { from }), ...(to && { to }) },
      totals,
      proven: provenBy(summary),
      unproven: unprovenBy(summary),
    }
  })
}

type Ends = { readonly [Name in keyof Summary['proofs']]: OpenedEntry | undefined }

function endsOf({ proofs }: Summary, trust: Trust): Ends {
  const open = (proof: string | undefined) =>
    proof === undefined ? undefined : openProof(proof, trust)
  return {
    before: open(proofs.before),
    first: open(proofs.first),
    last: open(proofs.last),
    after: open(proofs.after),
  }
}

/** The range is the one between its ends, and where it is one of time, the neighbours on both sides of each end show it. */
function checkRange(summary: Summary, ends: Ends, size: number): void {
  const { basis, from_index: from, to_index: to, open_end: open } = summary
  const [before, first, last, after] = [ends.before, ends.first, ends.last, ends.after].map(
    (end) => end?.entry,
  )
  must(from <= to && to <= size, 'the range is none')
  must(from === 0 ? before === undefined : before?.n === from - 1, 'the entry before it is another')
  must(from === to ? last === undefined : last?.n === to - 1, 'its last entry is another')
  if (basis === 'epochs')
    must(
      (before === undefined || before.kind === 'epoch') && last?.kind === 'epoch',
      'it does not go from epoch to epoch',
    )
  if (summary.from === undefined || summary.to === undefined) {
    must(summary.from === summary.to && !open, 'it says one end of a time alone')
    return
  }
  must(before === undefined || before.at < summary.from, 'the entry before it is of that time too')
  if (basis === 'epochs') {
    must(open === (last !== undefined && last.at < summary.to), 'it says another end than it has')
    return
  }
  must(from === to ? first === undefined : first?.n === from, 'its first entry is another')
  must(first === undefined || first.at >= summary.from, 'its first entry is before that time')
  must(last === undefined || last.at < summary.to, 'its last entry is after that time')
  must(open === (after === undefined), 'it says another end than it has')
  must(after === undefined ? to === size : after.n === to, 'the entry after it is another')
  must(after === undefined || after.at >= summary.to, 'the entry after it is of that time too')
}

/** The totals are what was said at its end, less what was said before it; and neighbours follow from each other. */
function checkTotals({ totals }: Summary, ends: Ends): void {
  const { before, first, last, after } = ends
  const start = before?.entry.totals ?? {}
  const end = last?.entry.totals ?? start
  const names = Object.keys(last === undefined ? totals : end)
  must(Object.keys(totals).length === names.length, 'its totals are others than the entries have')
  for (const name of names) {
    const raised = (end[name] ?? 0) - (start[name] ?? 0)
    must(raised >= 0, `the ledger took ${name} back: its own entries contradict each other`)
    must(totals[name] === raised, `${name} is ${raised}, by the entries`)
  }
  for (const [one, next] of [
    [before, first],
    [last ?? before, after],
  ])
    if (one !== undefined && next !== undefined) follows(one.entry, next.entry)
}

/** Of two entries side by side, the totals of one follow from those of the other: any other are fraud that these two show. */
function follows(entry: Entry, next: Entry): void {
  const expected = addTotals(entry.totals, next)
  for (const [name, total] of Object.entries(expected))
    must(
      next.totals[name] === total,
      `${name} does not follow from entry ${entry.n} to entry ${next.n}: they contradict each other`,
    )
}

/** What totals say of releases and refusals, in words. "Authorised", never "delivered". */
export function totalsInWords(totals: Totals): string[] {
  const sum = (what: string) =>
    Object.entries(totals).reduce(
      (all, [name, total]) => (name.startsWith(`${what}_`) ? all + total : all),
      0,
    )
  const of = (what: 'releases' | 'refusals', name: Class) => figure(totals[`${what}_${name}`] ?? 0)
  const released = classNames.map((name) => `${of('releases', name)} to ${classes[name].label}`)
  return [
    `${count(sum('releases'), 'release')} authorised: ${released.join(', ')}.`,
    `${count(sum('refusals'), 'attempt')} refused, ${of('refusals', 'advertising')} of them by advertising and ` +
      `${of('refusals', 'third_party')} by third parties.`,
  ]
}

/** The entries of a range, in words. */
export const rangeInWords = ({
  from_index: from,
  to_index: to,
}: Pick<Summary, 'from_index' | 'to_index'>): string =>
  from === to
    ? 'no entry'
    : `${count(to - from, 'entry', 'entries')}, ${figure(from)} to ${figure(to - 1)}`

function provenBy(summary: Summary): string[] {
  const { basis, from, to, open_end: open } = summary
  const time = `from ${from ?? ''} until before ${to ?? ''}`
  return [
    `The ledger says of ${rangeInWords(summary)}: ${totalsInWords(summary.totals).join(' ')}`,
    ...(from === undefined
      ? []
      : [
          basis === 'epochs'
            ? `These are all the entries ${time}, and some around them: the range goes from epoch to epoch.`
            : `These are exactly the entries ${time}: the entries on both sides of each end show it.`,
        ]),
    ...(open
      ? [`The signed ledger ended before ${to ?? ''}: of what came after, this says nothing.`]
      : []),
  ]
}

/** What totals that are carried along do not prove (transparency-log §4.2). */
function unprovenBy({ totals }: Summary): string[] {
  const zeros = ['advertising', 'third_party'].filter((name) => totals[`releases_${name}`] === 0)
  return [
    'The totals are the ledger’s own claim. Whoever is given the entries can count again, with countersign verify.',
    ...(zeros.length === 0
      ? []
      : [
          'A total of zero is refuted by anyone who holds one entry of the range that it should have counted, with its proof.',
        ]),
    'Between two entries that were shown to nobody, a total might be too low. Whoever holds an entry checks with a sum proof that it was counted.',
    neverProven.classes,
    neverProven.releases,
  ]
}
