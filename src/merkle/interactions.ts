import { MerkleError } from './errors.ts'
import type { Hash, Hasher } from './hash.ts'
import { append, emptyEdge, leafHash, rootOf } from './tree.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * The root over interaction ids (`x-fapi-interaction-id`): of the tree (RFC 6962 §2.1) whose leaves are the ids as ASCII, UUIDs in
 * lower case, each once and in ascending order, so that a set of ids has one root. Throws `tree` for any other list.
 */
export function rootOfInteractions(hasher: Hasher, interactions: readonly string[]): Hash {
  const edge = emptyEdge()
  const utf8 = new TextEncoder()
  let before = ''
  for (const interaction of interactions) {
    if (!uuid.test(interaction)) throw new MerkleError('tree', 'an id is not a UUID in lower case')
    if (interaction <= before) throw new MerkleError('tree', 'the ids are not ascending, each once')
    append(hasher, edge, leafHash(hasher, utf8.encode(interaction)))
    before = interaction
  }
  return rootOf(hasher, edge)
}
