import { readFileSync } from 'node:fs'
import { decodeBase64 } from '../../src/merkle/encoding.ts'

interface Vectors {
  readonly origin: string
  readonly vkeyL: string
  readonly vkeyW: string
  readonly c3: string
  readonly c5: string
  readonly cos5: string
  readonly incl2: readonly string[]
  readonly cons35: readonly string[]
  readonly entries: readonly string[]
  readonly roots: readonly string[]
}

/** test/vectors/tlog.json; its README says where it is from. */
export const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/tlog.json', import.meta.url), 'utf8'),
)

export const entries = vectors.entries.map(decodeBase64)
export const roots = vectors.roots.map(decodeBase64)
export const inclusion2of5 = vectors.incl2.map(decodeBase64)
export const consistency3to5 = vectors.cons35.map(decodeBase64)

/** The checkpoint of size 5 with the witness's line. */
export const cosigned5 = vectors.c5 + vectors.cos5
