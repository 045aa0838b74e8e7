import { formatAddCheckpoint } from '../merkle/add_checkpoint.ts'
import { openCheckpoint } from '../merkle/checkpoint.ts'
import { cosignatureTime, cosignatureVerifier } from '../merkle/cosignature.ts'
import { encodeUtf8, parseDecimal, readText } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import { formatSignature, noteVerifier, parseNote, parseSignatures } from '../merkle/note.ts'
import { proveConsistency } from '../merkle/proof.ts'
import { formatVkey, parseVkey, type Vkey } from '../merkle/vkey.ts'
import type { Cosignature, SignedNote } from '../storage/cosignatures.ts'
import type { Database } from '../storage/database.ts'
import { databaseTiles } from '../storage/ledgers.ts'
import { nodeHasher, verifyEd25519 } from '../storage/node_crypto.ts'
import { publishCheckpoint } from '../storage/signed.ts'
import { WitnessUnavailable, type WitnessAnswer, type WitnessPort } from './witness_port.ts'

/** A witness as a policy names it. */
export interface Witness {
  readonly name: string
  readonly vkey: Vkey
  readonly url: string
}

/** Why there is no cosignature: our fault (`refused_…`), theirs, or nobody's. */
export type WitnessProblem =
  | WitnessUnavailable['why']
  | 'refused_400'
  | 'refused_403'
  | 'refused_404'
  | 'pushed_back'
  | 'bad_signature'
  | 'bad_time'

/** What became of a checkpoint at a witness. */
export type Submitted =
  | { readonly kind: 'cosigned'; readonly cosignature: Cosignature }
  /** The witness knows a ledger that ours does not extend: ours was rolled back or forked, or the witness lies. */
  | { readonly kind: 'contradicted'; readonly why: string }
  | {
      readonly kind: 'failed'
      readonly problem: WitnessProblem
      readonly retryAfter_ms?: number
    }

export interface Submitting {
  readonly db: Database
  readonly port: WitnessPort
  /** The key of the ledger, as genesis names it. */
  readonly vkey: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export const limits = {
  /** How often a witness may name another size in one turn; the next turn asks anew. */
  attempts_max: 3,
  /** How far a cosignature's time may be from ours, ms. */
  clock_apart_ms_max: 300_000,
} as const

/**
 * Submits a checkpoint to a witness (c2sp.org/tlog-witness). `hint` is the size that the witness is thought to have cosigned last:
 * other processes submit too, so that it may be told otherwise, and starts again from there. If it has gone past the checkpoint,
 * the newest one that is signed goes in its place.
 */
export async function submitCheckpoint(
  by: Submitting,
  bank: string,
  { witness, signed, hint }: { witness: Witness; signed: SignedNote; hint: number },
): Promise<Submitted> {
  let [old, current] = [hint, signed]
  try {
    for (let attempt = 1; attempt <= limits.attempts_max; attempt++) {
      if (old > current.size) current = (await publishCheckpoint(by.db, bank)) ?? current
      if (old > current.size) return await ahead(by, witness, { size: old, ours: current })
      const answer = await ask(by, bank, { witness, signed: current, old })
      if (answer.status !== 409) return readAnswer(by, { witness, signed: current, answer })
      const size = sizeOf(answer)
      if (size === 'other_root') return forked(witness, current)
      if (size === undefined) return failed('bad_answer')
      old = size
    }
    return failed('pushed_back')
  } catch (error) {
    if (error instanceof WitnessUnavailable) return failed(error.why)
    throw error
  }
}

const failed = (problem: WitnessProblem): Submitted => ({ kind: 'failed', problem })

async function ask(
  { db, port }: Submitting,
  bank: string,
  { witness, signed, old }: { witness: Witness; signed: SignedNote; old: number },
): Promise<WitnessAnswer> {
  const proof = await proveConsistency(nodeHasher, databaseTiles(db, bank), {
    from: old,
    to: signed.size,
  })
  return port.addCheckpoint(
    witness.url,
    formatAddCheckpoint({ old, proof, checkpoint: signed.note }),
  )
}

/** The size in a 409. Witnesses of before July 2026 say by an empty one that another root has the size that was sent. */
function sizeOf({ type, body }: WitnessAnswer): number | 'other_root' | undefined {
  if (body.length === 0) return 'other_root'
  if (type !== 'text/x.tlog.size') return undefined
  try {
    const [size = '', rest, ...more] = readText(body).split('\n')
    return rest === '' && more.length === 0 ? parseDecimal(size) : undefined
  } catch (error) {
    if (error instanceof MerkleError) return undefined
    throw error
  }
}

function readAnswer(
  by: Submitting,
  { witness, signed, answer }: { witness: Witness; signed: SignedNote; answer: WitnessAnswer },
): Submitted {
  switch (answer.status) {
    case 200:
      return readCosignature(by, { witness, signed, body: answer.body })
    case 400:
      return failed('refused_400')
    case 403:
      return failed('refused_403')
    case 404:
      return failed('refused_404')
    case 422:
      return forked(witness, signed)
    case 429:
    case 503:
      return {
        kind: 'failed',
        problem: 'pushed_back',
        ...(answer.retryAfter_ms === undefined ? {} : { retryAfter_ms: answer.retryAfter_ms }),
      }
    default:
      return failed('bad_answer')
  }
}

/** The witness's own signature among the lines of its answer; those of keys that we do not know are passed over. */
function readCosignature(
  { now }: Submitting,
  { witness, signed, body }: { witness: Witness; signed: SignedNote; body: Uint8Array },
): Submitted {
  try {
    const { name, keyId } = witness.vkey
    const line = parseSignatures(body).find((one) => one.name === name && one.keyId === keyId)
    if (line === undefined) return failed('bad_answer')
    const text = encodeUtf8(parseNote(signed.note).text)
    if (!cosignatureVerifier(witness.vkey, verifyEd25519).verify(text, line.signature))
      return failed('bad_signature')
    const time = cosignatureTime(line.signature)
    if (Math.abs(time * 1_000 - now()) > limits.clock_apart_ms_max) return failed('bad_time')
    const vkey = formatVkey(witness.vkey)
    return {
      kind: 'cosigned',
      cosignature: { size: signed.size, vkey, time, line: formatSignature(line) },
    }
  } catch (error) {
    if (error instanceof MerkleError) return failed('bad_answer')
    throw error
  }
}

const forked = ({ name }: Witness, { size }: SignedNote): Submitted => ({
  kind: 'contradicted',
  why: `the witness ${name} has cosigned a ledger that this one of ${size} entries does not extend: one of the two is a fork`,
})

/** A size that we never signed. The witness may have kept the checkpoint, which then proves that we did. */
async function ahead(
  by: Submitting,
  witness: Witness,
  { size, ours }: { size: number; ours: SignedNote },
): Promise<Submitted> {
  const shown = await signedAhead(by, witness, ours)
  const proof =
    shown === undefined
      ? 'shows no checkpoint for it'
      : `shows the checkpoint of ${shown} entries that this ledger's key signed`
  const why = `the witness ${witness.name} has cosigned ${size} entries, and ${ours.size} are signed here: the ledger was rolled back; the witness ${proof}`
  return { kind: 'contradicted', why }
}

/** The size of the witness's newest checkpoint, if our key signed it and it is larger than ours. */
export async function signedAhead(
  { port, vkey }: Submitting,
  witness: Witness,
  ours: { readonly size: number },
): Promise<number | undefined> {
  const key = parseVkey(nodeHasher, vkey)
  const origin = key.name
  try {
    const { status, body } = await port.latest(witness.url, origin)
    if (status !== 200) return undefined
    const logKeys = [noteVerifier(key, verifyEd25519)]
    const { checkpoint } = openCheckpoint(body, { origin, logKeys })
    return checkpoint.size > ours.size ? checkpoint.size : undefined
  } catch (error) {
    if (error instanceof WitnessUnavailable || error instanceof MerkleError) return undefined
    throw error
  }
}
