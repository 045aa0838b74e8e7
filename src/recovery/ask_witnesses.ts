import { WitnessUnavailable, type WitnessPort } from '../broker/witness_port.ts'
import { openCheckpoint } from '../merkle/checkpoint.ts'
import { cosignatureVerifier } from '../merkle/cosignature.ts'
import { MerkleError } from '../merkle/errors.ts'
import { noteVerifier } from '../merkle/note.ts'
import type { Peer, Policy } from '../merkle/policy.ts'
import type { TreeHead } from '../merkle/proof.ts'
import { verifyEd25519 } from '../storage/node_crypto.ts'

/** What a witness of the policy says it has cosigned last, or why it says nothing. */
export interface Testimony {
  readonly witness: string
  readonly head?: TreeHead
  /** Why there is no head: it knows none, or could not be asked. */
  readonly silent?: string
}

/**
 * Asks each witness of the policy that has a URL for its own newest checkpoint of a log (c2sp.org/tlog-witness). What it answers
 * counts if the log signed it and the witness cosigned it.
 */
export async function askWitnesses(
  { latest }: Pick<WitnessPort, 'latest'>,
  policy: Policy,
  origin: string,
): Promise<Testimony[]> {
  const logs = policy.logs.filter(({ vkey }) => vkey.name === origin)
  return Promise.all(
    [...policy.witnesses].flatMap(([witness, peer]) =>
      peer.url === undefined ? [] : [ask(witness, { ...peer, url: peer.url })],
    ),
  )

  async function ask(witness: string, peer: Peer & { readonly url: string }): Promise<Testimony> {
    try {
      const { status, body } = await latest(peer.url, origin)
      if (status === 404) return { witness, silent: 'it has no checkpoint of this ledger' }
      if (status !== 200) return { witness, silent: `it answered ${status}` }
      return { witness, head: headOf(body, { logs, origin, peer }) }
    } catch (error) {
      if (error instanceof WitnessUnavailable || error instanceof MerkleError)
        return { witness, silent: error.message }
      throw error
    }
  }
}

function headOf(
  note: Uint8Array,
  { logs, origin, peer }: { logs: readonly Peer[]; origin: string; peer: Peer },
): TreeHead {
  const verifier = cosignatureVerifier(peer.vkey, verifyEd25519)
  const { checkpoint, cosignatures } = openCheckpoint(note, {
    origin,
    logKeys: logs.map(({ vkey }) => noteVerifier(vkey, verifyEd25519)),
    witnesses: [verifier],
  })
  if (!cosignatures.has(verifier)) throw new MerkleError('quorum', 'it has not cosigned its answer')
  return checkpoint
}
