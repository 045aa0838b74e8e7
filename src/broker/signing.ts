import { encodeBase64 } from '../merkle/encoding.ts'
import { signCheckpoint } from '../merkle/checkpoint.ts'
import type { Signer } from '../merkle/note.ts'
import { append, rootOf, type RightEdge } from '../merkle/tree.ts'
import { signingStop } from '../storage/cosignatures.ts'
import { inBank, type Database, type Tx } from '../storage/database.ts'
import type { Mark, MarkStore } from '../storage/marks.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { lockSigned, recomputedHashes, saveSigned } from '../storage/signed.ts'

/** Whether a ledger's signing is in order: the door asks before every release, and tells what it sees. */
export interface Signing {
  /** Why releases must stop for this bank; undefined while signing is in order. Once stopped, only a restart goes on. */
  stopped(bank: string): string | undefined
  /** Under the lock, the head stands at this size, and names this key. */
  observe(bank: string, head: { size: number; vkey: string }): void
  /** A batch was committed at this size. */
  grew(bank: string, size: number): void
}

export interface LedgerSigner extends Signing {
  /** Signs the newest committed size, if it is not signed yet. Resolves to why it did not, or undefined. */
  sign(bank: string): Promise<string | undefined>
  /** Stops signing in this process, for a reason that was found elsewhere. */
  stop(bank: string, why: string): void
}

/** The key that signs one ledger's checkpoints. */
export interface LedgerKey {
  readonly vkey: string
  readonly signer: Signer
}

const page_leaves = 4_096

/** Thrown inside the signer where signing must stop for good: what it found cannot be mended by trying again. */
class MustStop extends Error {}

/**
 * The signer of this process. Rules (transparency-log §2–3): sign only what is committed, recompute each leaf hash from the
 * stored leaf, advance the mark outside the database before every note, and never sign a size twice differently. A mark that
 * is missing, ahead, behind or different stops signing, and with it releasing.
 */
export function openSigner(
  db: Database,
  {
    keys,
    marks,
    alarm,
  }: {
    keys: ReadonlyMap<string, LedgerKey>
    marks: MarkStore
    alarm: (bank: string, why: string) => void
  },
): LedgerSigner {
  const stops = new Map<string, string>()
  const highest = new Map<string, number>()
  const stop = (bank: string, why: string) => {
    if (stops.has(bank)) return
    stops.set(bank, why)
    alarm(bank, why)
  }
  const grew = (bank: string, size: number) =>
    highest.set(bank, Math.max(size, highest.get(bank) ?? 0))
  return {
    stopped: (bank) => stops.get(bank),
    observe(bank, { size, vkey }) {
      if (size < (highest.get(bank) ?? 0))
        stop(bank, `the ledger went back from ${highest.get(bank)} entries to ${size}`)
      if (vkey !== keys.get(bank)?.vkey)
        stop(bank, 'the ledger is signed with another key than this process holds')
    },
    grew,
    stop,
    async sign(bank) {
      const key = keys.get(bank)
      if (key === undefined) return 'this process holds no key for the ledger'
      if (stops.has(bank)) return stops.get(bank)
      try {
        return await inBank(db, bank, (tx) => signHead(tx, bank, { key, marks }))
      } catch (error) {
        if (!(error instanceof MustStop))
          return error instanceof Error ? error.message : String(error)
        stop(bank, error.message)
        return error.message
      }
    },
  }
}

async function signHead(
  tx: Tx,
  bank: string,
  by: { key: LedgerKey; marks: MarkStore },
): Promise<string | undefined> {
  const { key, marks } = by
  const unsigned = await lockSigned(tx, bank)
  if (unsigned === undefined) return 'no ledger is open'
  const { origin, head, signed } = unsigned
  if (unsigned.vkey !== key.vkey)
    throw new MustStop('the ledger is signed with another key than this process holds')
  const stopped = await signingStop(tx, bank)
  if (stopped !== undefined) throw new MustStop(stopped)
  const mark = await marks.read(origin)
  if (mark === undefined) throw new MustStop('the mark is missing')
  if (mark.size > head.size)
    throw new MustStop(`the mark is at ${mark.size}, ahead of the ledger's ${head.size}`)
  if (mark.size < signed.size)
    throw new MustStop(`the mark is at ${mark.size}, behind the signed ${signed.size}`)
  checkMark(mark, signed)
  const edge = await growTo(tx, bank, { from: signed, to: head.size, mark })
  if (rootText(edge) !== rootText(head))
    throw new MustStop('the stored leaves do not give the head they were folded into')
  if (edge.size === signed.size && mark.size === signed.size) return undefined
  const next = { size: edge.size, root: rootText(edge) }
  if (mark.size < next.size && !(await marks.replace(origin, mark, next)))
    return 'another process moved the mark'
  if (edge.size > signed.size) {
    const note = signCheckpoint(
      { origin, size: edge.size, root: rootOf(nodeHasher, edge) },
      key.signer,
    )
    await saveSigned(tx, bank, { edge, note })
  }
  return undefined
}

/** Folds the stored leaves after `from` into its edge, checking each hash and the mark's root on the way. */
async function growTo(
  tx: Tx,
  bank: string,
  { from, to, mark }: { from: RightEdge; to: number; mark: Mark },
): Promise<RightEdge> {
  const edge = { size: from.size, hashes: [...from.hashes] }
  while (edge.size < to) {
    const page = await recomputedHashes(tx, bank, {
      from: edge.size,
      to: Math.min(to, edge.size + page_leaves),
    })
    if (page.length === 0) throw new MustStop(`entry ${edge.size} is missing`)
    for (const { n, hash, same } of page) {
      if (n !== edge.size) throw new MustStop(`entry ${edge.size} is missing`)
      if (!same) throw new MustStop(`entry ${n} is not what was hashed`)
      append(nodeHasher, edge, hash)
      checkMark(mark, edge)
    }
  }
  return edge
}

/** The tree must be at the mark what the mark says it was. */
function checkMark(mark: Mark, edge: RightEdge): void {
  if (mark.size === edge.size && mark.root !== rootText(edge))
    throw new MustStop(`the ledger differs from what was signed at ${mark.size}`)
}

/** The root of an edge, as marks keep it. */
export const rootText = (edge: RightEdge): string => encodeBase64(rootOf(nodeHasher, edge))
