import { canonical, CanonicalError, type Json } from './canonical.ts'
import { isJsonObject, type JsonObject } from './json_object.ts'
import { startReplay, type Replay } from './replay.ts'

/**
 * The state of a replay as lines of text: canonical JSON each, without line breaks. The first is the state without its maps and
 * sets; each that follows is one element of one of them: its name (`keys.ledger`), its key, and in a map its value. In the order
 * in which the entries named them, so that the same entries give the same lines.
 */
export function* sealReplay(state: Replay): Generator<string> {
  yield canonical(withoutCollections(state) as Json)
  for (const [name, collection] of collectionsOf(state))
    for (const element of collection)
      yield canonical([name, ...[element].flat().map(withoutCollections)] as Json)
}

/**
 * The state that `sealReplay` gave these lines for; replaying on from it is replaying on from the original. Nothing is checked
 * against entries: whoever takes lines from elsewhere has to know that they follow from them. Throws `CanonicalError` for lines
 * that are no state of this version.
 */
export function openReplay(lines: Iterable<string>): Replay {
  const state = startReplay()
  const collections = new Map(collectionsOf(state))
  let head = true
  for (const line of lines) {
    if (head) fill(state, jsonOf(line))
    else addElement(collections, jsonOf(line))
    head = false
  }
  if (head) throw new CanonicalError('there is no sealed state')
  return state
}

type Collection = Map<unknown, unknown> | Set<unknown>

const isCollection = (value: unknown): value is Collection =>
  value instanceof Map || value instanceof Set

function* collectionsOf(value: object, prefix = ''): Generator<[string, Collection]> {
  for (const [member, inner] of Object.entries(value) as [string, unknown][]) {
    const name = `${prefix}${member}`
    if (isCollection(inner)) yield [name, inner]
    else if (isJsonObject(inner)) yield* collectionsOf(inner, `${name}.`)
  }
}

function withoutCollections(value: unknown): unknown {
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined && !isCollection(inner))
      .map(([member, inner]) => [member, withoutCollections(inner)]),
  )
}

/** Puts what was sealed in the place of what a replay starts with. */
function fill(into: object, sealed: unknown): void {
  if (!isJsonObject(sealed)) throw new CanonicalError('a sealed state is no object')
  const target = into as Record<string, unknown>
  for (const [member, value] of Object.entries(sealed)) {
    if (member === '__proto__') throw new CanonicalError('a sealed state has a strange member')
    const before = target[member]
    if (isJsonObject(before) && !isCollection(before)) fill(before, value)
    else target[member] = value
  }
}

function addElement(collections: ReadonlyMap<string, Collection>, line: unknown): void {
  if (!Array.isArray(line)) throw new CanonicalError('an element of a sealed state is no list')
  const [name, key, value, ...more] = line as readonly unknown[]
  const collection = collections.get(String(name))
  if (collection === undefined || more.length > 0 || key === undefined)
    throw new CanonicalError('a sealed state of another version')
  if (collection instanceof Set) collection.add(key)
  else collection.set(key, value)
}

function jsonOf(line: string): JsonObject | unknown[] {
  try {
    return JSON.parse(line) as JsonObject | unknown[]
  } catch {
    throw new CanonicalError('a line of a sealed state is not JSON')
  }
}
