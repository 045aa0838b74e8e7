import { canonical, CanonicalError } from '../ledger/canonical.ts'
import { isJsonObject, type JsonObject } from '../ledger/json_object.ts'
import { Violation, type Rule } from '../ledger/replay.ts'
import { openReplay, sealReplay } from '../ledger/sealed.ts'
import { decodeBase64, encodeBase64 } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import { sumEdgeFromBytes, sumEdgeToBytes } from '../merkle/sum_tree.ts'
import { tileWidth } from '../merkle/tiles.ts'
import { edgeFromBytes, edgeToBytes, splitHashes } from '../merkle/tree.ts'
import type { Walk } from './walk.ts'

/** A walk that can be gone on with, and the checkpoint under which it was begun. */
export interface Kept {
  readonly walk: Walk
  readonly note: string
}

/** A walk that ends with a full bundle, as lines of text: one of its own, and those of the rules' state. */
export function* sealWalk({ walk, note }: Kept): Generator<string> {
  const { edge, summed, violation, refusals, roots, upper } = walk
  yield canonical({
    edge: encodeBase64(edgeToBytes(edge)),
    note,
    refusals: [...refusals],
    roots: [...roots].map(([size, root]) => [size, encodeBase64(root)]),
    size: edge.size,
    sums: encodeBase64(sumEdgeToBytes(summed.edge)),
    sums_size: summed.edge.size,
    upper: [...upper].map(([level, { index, hashes }]) => [
      level,
      index,
      encodeBase64(Uint8Array.from(hashes.flatMap((hash) => [...hash]))),
    ]),
    ...(walk.opened !== undefined && { opened: walk.opened }),
    ...(walk.wrongTile !== undefined && { wrong_tile: walk.wrongTile }),
    ...(summed.wrong !== undefined && { wrong_epoch: summed.wrong }),
    ...(violation !== undefined && {
      violation: [violation.index, violation.rule, violation.detail],
    }),
  })
  yield* sealReplay(walk.state)
}

/** The walk that `sealWalk` gave these lines for. Throws `CanonicalError` for lines that are none of this version. */
export function openWalk(lines: Iterable<string>): Kept {
  const rest = lines[Symbol.iterator]()
  const first = rest.next()
  const head = jsonOf(first.done === true ? '' : first.value)
  const state = openReplay({ [Symbol.iterator]: () => rest })
  try {
    return { walk: walkOf(head as unknown as Head, state), note: String(head['note']) }
  } catch (error) {
    if (error instanceof MerkleError || error instanceof TypeError)
      throw new CanonicalError('a walk of another version')
    throw error
  }
}

/** What the first line says. Its hash vouches for its form, and what is not of it does not get far. */
interface Head {
  readonly size: number
  readonly edge: string
  readonly sums: string
  readonly sums_size: number
  readonly refusals: readonly [string, number][]
  readonly roots: readonly [number, string][]
  readonly upper: readonly [number, number, string][]
  readonly opened?: string
  readonly wrong_tile?: string
  readonly wrong_epoch?: number
  readonly violation?: readonly [number, Rule, string]
}

function walkOf(head: Head, state: Walk['state']): Walk {
  if (head.size % tileWidth !== 0) throw new CanonicalError('a walk that ends within a bundle')
  const sums = state.genesis?.totals.length ?? 0
  return {
    state,
    opened: head.opened,
    refusals: new Map(head.refusals),
    violation: head.violation && new Violation(...head.violation),
    wrongTile: head.wrong_tile,
    roots: new Map(head.roots.map(([size, root]) => [size, decodeBase64(root)])),
    edge: edgeFromBytes(head.size, decodeBase64(head.edge)),
    upper: new Map(
      head.upper.map(([level, index, hashes]) => [
        level,
        { index, hashes: splitHashes(decodeBase64(hashes)) },
      ]),
    ),
    summed: {
      edge: sumEdgeFromBytes(head.sums_size, decodeBase64(head.sums), sums),
      wrong: head.wrong_epoch,
    },
  }
}

function jsonOf(line: string): JsonObject {
  try {
    const value: unknown = JSON.parse(line)
    if (isJsonObject(value)) return value
  } catch {
    // Said below: whatever is not a JSON object is no walk.
  }
  throw new CanonicalError('there is no sealed walk')
}
