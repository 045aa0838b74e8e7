import { createHash } from 'node:crypto'
import { openCheckpoint } from '../merkle/checkpoint.ts'
import { cosignatureVerifier } from '../merkle/cosignature.ts'
import { MerkleError } from '../merkle/errors.ts'
import { noteVerifier } from '../merkle/note.ts'
import type { Policy } from '../merkle/policy.ts'
import type { TreeHead } from '../merkle/proof.ts'
import { verifyEd25519 } from '../storage/node_crypto.ts'

/** What a witness of the policy says it has cosigned last, or why it says nothing. */
export interface Testimony {
  readonly witness: string
  readonly head?: TreeHead
  /** Why there is no head: it knows none, or could not be asked. */
  readonly silent?: string
}

export const limits = { answer_ms_max: 5_000, checkpoint_bytes_max: 65_536 } as const

/**
 * Asks each witness of the policy that has a URL for its own newest checkpoint of a log: `GET <url>/<sha256 of the origin>/checkpoint`.
 * What it answers counts if the log signed it and the witness cosigned it, whatever else is around it.
 */
export async function askWitnesses(
  policy: Policy,
  origin: string,
  get: (url: string) => Promise<Response> = (url) =>
    fetch(url, { redirect: 'error', signal: AbortSignal.timeout(limits.answer_ms_max) }),
): Promise<Testimony[]> {
  const name = createHash('sha256').update(origin).digest('hex')
  const asked = [...policy.witnesses].flatMap(([witness, { url }]) =>
    url === undefined ? [] : [{ witness, url: `${url.replace(/\/$/, '')}/${name}/checkpoint` }],
  )
  return Promise.all(
    asked.map(async ({ witness, url }) => {
      try {
        const answer = await get(url)
        if (answer.status === 404) return { witness, silent: 'it has no checkpoint of this ledger' }
        if (!answer.ok) return { witness, silent: `it answered ${answer.status}` }
        return { witness, head: headOf(await read(answer), { policy, origin, witness }) }
      } catch (error) {
        return { witness, silent: reasonOf(error) }
      }
    }),
  )
}

async function read(answer: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of answer.body ?? []) {
    bytes += part.length
    if (bytes > limits.checkpoint_bytes_max) throw new Error('it answered too much')
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

function headOf(
  note: string,
  { policy, origin, witness }: { policy: Policy; origin: string; witness: string },
): TreeHead {
  const peer = policy.witnesses.get(witness)
  if (peer === undefined) throw new Error('it is not of the policy')
  const verifier = cosignatureVerifier(peer.vkey, verifyEd25519)
  const { checkpoint, cosignatures } = openCheckpoint(note, {
    origin,
    logKeys: policy.logs
      .filter(({ vkey }) => vkey.name === origin)
      .map(({ vkey }) => noteVerifier(vkey, verifyEd25519)),
    witnesses: [verifier],
  })
  if (!cosignatures.has(verifier)) throw new MerkleError('quorum', 'it has not cosigned its answer')
  return checkpoint
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message
}
