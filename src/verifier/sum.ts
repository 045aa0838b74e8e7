import type { Entry } from '../ledger/entry.ts'
import { readSumProof, type SumProof } from '../ledger/summary.ts'
import { countsOf, type Totals } from '../ledger/totals.ts'
import { decodeBase64 } from '../merkle/encoding.ts'
import { checkSum, checkSumRange, type SumHead } from '../merkle/sum_proof.ts'
import { checkSumNode, sumLeaf, sumNodeOf } from '../merkle/sum_tree.ts'
import { leafHash } from '../merkle/tree.ts'
import { rangeInWords, totalsInWords } from './summary.ts'
import {
  must,
  neverProven,
  NotProven,
  oneLedger,
  openProof,
  verdictOf,
  type OpenedEntry,
  type Trust,
  type Verdict,
} from './verdict.ts'

/**
 * Checks a sum proof: that one entry, or a range of them, is counted so in the sum tree whose root an epoch names, and that the
 * tree's sums are the totals of that epoch.
 */
export function checkSumProof(file: unknown, trust: Trust): Verdict {
  return verdictOf(() => {
    const sum = readSumProof(file)
    const { genesis, epoch, entry } = sum.proofs
    const opened = {
      genesis: openProof(genesis, trust),
      epoch: openProof(epoch, trust),
      ...(entry === undefined ? {} : { entry: openProof(entry, trust) }),
    }
    const ledger = oneLedger(Object.values(opened), sum.origin)
    const tree = treeOf(sum, opened)
    const counted =
      'entry' in opened ? ofEntry(sum, opened.entry, tree, trust) : ofRange(sum, tree, trust)
    const names = tree.names
    must(
      Object.keys(sum.totals).length === names.length,
      'its totals are others than those of the sum tree',
    )
    names.forEach((name, i) =>
      must(sum.totals[name] === counted[i], `${name} is ${counted[i] ?? 0}, by the sum tree`),
    )
    return {
      ledger,
      range: { from_index: sum.from_index, to_index: sum.to_index },
      totals: sum.totals,
      proven: provenBy(sum, opened.epoch.entry.totals),
      unproven,
    }
  })
}

interface NamedTree extends SumHead {
  readonly names: readonly string[]
}

/** The sum tree that the epoch states: its root has the totals of the epoch, in the order of genesis. */
function treeOf(
  { size }: SumProof,
  { genesis, epoch }: { genesis: OpenedEntry; epoch: OpenedEntry },
): NamedTree {
  const { entry: first } = genesis
  const { entry: said } = epoch
  if (first.n !== 0 || first.kind !== 'genesis')
    throw new NotProven('its first entry is no genesis')
  if (said.kind !== 'epoch') throw new NotProven('its epoch is another entry')
  must(said.body.size === size && said.n === size, 'its epoch is of another size')
  const names = first.body.totals
  const sums = names.map((name) => total(said, name))
  return { size, names, root: sumNodeOf(sums, decodeHash(said.body.sum)) }
}

function total({ totals }: Entry, name: string): number {
  const found = totals[name]
  if (found === undefined) throw new NotProven(`its epoch has no total ${name}`)
  return found
}

/** A hash as entries write it: 43 characters of base64url. */
const decodeHash = (text: string): Uint8Array =>
  decodeBase64(`${text.replaceAll('-', '+').replaceAll('_', '/')}=`)

function nodesOf({ nodes }: SumProof, { names }: NamedTree): Uint8Array[] {
  return nodes.map((node) => checkSumNode(decodeBase64(node), names.length))
}

/** What the one entry counts: by its own words, and it is so in the tree. */
function ofEntry(sum: SumProof, proven: OpenedEntry, tree: NamedTree, { crypto }: Trust): number[] {
  const { entry, bytes } = proven
  const { from_index: index, to_index: end } = sum
  must(entry.n === index && end === index + 1, 'its entry is another')
  const counts = countsOf(tree.names, entry)
  const leaf = sumLeaf(crypto.hasher, counts, leafHash(crypto.hasher, bytes))
  checkSum(crypto.hasher, { leaf, index, tree, proof: nodesOf(sum, tree) })
  return counts
}

function ofRange(sum: SumProof, tree: NamedTree, { crypto }: Trust): number[] {
  const range = { start: sum.from_index, end: sum.to_index }
  return checkSumRange(crypto.hasher, { range, tree, proof: nodesOf(sum, tree) })
}

function provenBy(sum: SumProof, all: Totals): string[] {
  const what =
    sum.proofs.entry === undefined
      ? `${rangeInWords(sum)}, add up to this in the sum tree: ${totalsInWords(sum.totals).join(' ')}`
      : `Entry ${sum.from_index} is in the ledger, and the sum tree counts it as what it is: ${raisedBy(sum.totals)}.`
  return [
    what,
    `The epoch at entry ${sum.size} commits to that sum tree, and its totals are the sums of the whole: ${totalsInWords(all).join(' ')}`,
    'So the entries that anyone has checked against this epoch are a floor under its totals: none of them was left out.',
  ]
}

const raisedBy = (totals: Totals): string =>
  Object.entries(totals)
    .filter(([, by]) => by > 0)
    .map(([name, by]) => `${name} by ${by}`)
    .join() || 'it raises no total'

const unproven = [
  'Entries that nobody checks might be counted as something else in the sum tree: whoever is given all the entries counts again, with countersign verify.',
  neverProven.classes,
  neverProven.releases,
]
