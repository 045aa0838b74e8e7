import { CanonicalError } from './canonical.ts'
import { isJsonObject, type JsonObject } from './json_object.ts'
import type { Totals } from './totals.ts'

/**
 * What a ledger says that a range of its entries amounts to, with the proofs that it says so: `GET /ledger/{bank}/summary`. See
 * docs/ledger-format.md, "Summaries".
 */
export interface Summary {
  readonly origin: string
  /** `entries`: exactly the range asked for. `epochs`: from one `epoch` entry to another, around it. */
  readonly basis: 'entries' | 'epochs'
  /** The entries [from_index, to_index). */
  readonly from_index: number
  readonly to_index: number
  /** The times [from, to), where times were asked for. */
  readonly from?: string
  readonly to?: string
  /** Whether the signed ledger ends before `to`: then more may yet come of that time. */
  readonly open_end: boolean
  /** What these entries raise each total by. */
  readonly totals: Totals
  /** tlog-proofs that carry their entries. */
  readonly proofs: {
    /** Of the last entry before the range; absent where it begins with the first. */
    readonly before?: string
    /** Of the first entry of the range, where times were asked for. */
    readonly first?: string
    /** Of the last entry of the range; absent where it is empty. */
    readonly last?: string
    /** Of the first entry after the range, where times were asked for and there is one. */
    readonly after?: string
  }
}

/**
 * What one entry, or a range of them, counts in the sum tree of an epoch: `GET /ledger/{bank}/sum/{index}` and
 * `GET /ledger/{bank}/sum`.
 */
export interface SumProof {
  readonly origin: string
  readonly from_index: number
  readonly to_index: number
  /** The entries that the epoch covers. */
  readonly size: number
  /** What these entries raise each total by. */
  readonly totals: Totals
  /** Nodes of the sum tree, base64: the siblings of the one entry from the leaf up, or those of the range from left to right. */
  readonly nodes: readonly string[]
  /** tlog-proofs that carry their entries: of the first, which gives the totals their order, the epoch, and the one entry. */
  readonly proofs: { readonly genesis: string; readonly epoch: string; readonly entry?: string }
}

/** Reads a summary by its form alone. Throws `CanonicalError`. */
export function readSummary(value: unknown): Summary {
  const { basis, open_end: open, proofs, from, to, ...rest } = objectOf(value, 'a summary')
  if (basis !== 'entries' && basis !== 'epochs') throw wrong('basis')
  if (typeof open !== 'boolean') throw wrong('open_end')
  return {
    ...rangeOf(rest),
    basis,
    ...(from === undefined ? {} : { from: time(from, 'from') }),
    ...(to === undefined ? {} : { to: time(to, 'to') }),
    open_end: open,
    proofs: proofsOf(proofs, ['before', 'first', 'last', 'after']),
  }
}

/** Reads a sum proof by its form alone. Throws `CanonicalError`. */
export function readSumProof(value: unknown): SumProof {
  const { size, nodes, proofs, ...rest } = objectOf(value, 'a sum proof')
  if (!Array.isArray(nodes) || nodes.length > sum_nodes_max) throw wrong('nodes')
  const { genesis, epoch, ...entry } = proofsOf(proofs, ['genesis', 'epoch', 'entry'])
  if (genesis === undefined || epoch === undefined) throw wrong('proofs')
  return {
    ...rangeOf(rest),
    size: index(size, 'size'),
    nodes: nodes.map((node) => text(node, 'nodes')),
    proofs: { genesis, epoch, ...entry },
  }
}

/** A proof holds at most this many nodes: two for each level of a tree of 2^53 leaves. */
export const sum_nodes_max = 106

function rangeOf(object: JsonObject) {
  const { origin, from_index: from, to_index: to, totals } = object
  return {
    origin: text(origin, 'origin'),
    from_index: index(from, 'from_index'),
    to_index: index(to, 'to_index'),
    totals: Object.fromEntries(
      Object.entries(objectOf(totals, 'totals')).map(([name, total]) => [name, index(total, name)]),
    ),
  }
}

function proofsOf<Name extends string>(
  value: unknown,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const proofs = objectOf(value, 'proofs')
  return Object.assign({}, ...names.map((name) => optional(name, proofs[name]))) as Partial<
    Record<Name, string>
  >
}

function objectOf(value: unknown, name: string): JsonObject {
  if (!isJsonObject(value)) throw wrong(name)
  return value
}

const optional = <Name extends string>(name: Name, value: unknown) =>
  (value === undefined ? {} : { [name]: text(value, name) }) as Partial<Record<Name, string>>

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrong(name)
  return value
}

function time(value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value))
    throw wrong(name)
  return value
}

function index(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(name)
  return value
}

const wrong = (name: string) => new CanonicalError(`${name} is missing, or not what it should be`)
