import { quorumMet } from '../merkle/policy.ts'
import { formatVkey } from '../merkle/vkey.ts'
import { readWitnessing, witnessedNote } from '../storage/cosignatures.ts'
import { ledgerOrigin, type Broker } from './broker.ts'
import type { WitnessProblem } from './submit_checkpoint.ts'

/** How far the witnesses are with a bank's ledger. Times are RFC 3339, UTC. */
export interface WitnessStatus {
  readonly bank: string
  readonly origin: string
  /** How many entries are signed. */
  readonly signed_size: number
  /** How many of them the quorum has cosigned; absent when no quorum is asked for, or none has come together yet. */
  readonly witnessed_size?: number
  /** The name of the quorum in `/policy`. */
  readonly quorum: string
  /** Whether witnesses that have cosigned the newest checkpoint are a quorum. */
  readonly quorum_met: boolean
  /** Why the ledger is signed no more. */
  readonly stopped?: string
  readonly witnesses: readonly {
    readonly name: string
    readonly vkey: string
    readonly url?: string
    /** The newest size that it has cosigned, when (by its clock), and how many signed entries it has not seen. */
    readonly size?: number
    readonly cosigned_at?: string
    readonly behind: number
    /** Why it did not cosign when it was asked last, by the process that answers. */
    readonly problem?: WitnessProblem
  }[]
}

/** Undefined before anything is signed. */
export async function witnessStatus(
  { db, issuer, signer, witnessing }: Broker,
  bank: string,
): Promise<WitnessStatus | undefined> {
  const { policy, quorum } = witnessing
  const known = [...(policy?.witnesses ?? [])].map(([name, { vkey, url }]) => ({
    name,
    vkey: formatVkey(vkey),
    ...(url === undefined ? {} : { url }),
  }))
  const found = await readWitnessing(
    db,
    bank,
    known.map(({ vkey }) => vkey),
  )
  if (found === undefined) return undefined
  const { newest } = found
  const witnesses = known.map((witness) => {
    const state = found.witnesses.get(witness.vkey)
    const problem = witnessing.problem(bank, witness.name)
    return {
      ...witness,
      ...(state && { size: state.size, cosigned_at: new Date(state.time * 1_000).toISOString() }),
      behind: newest.size - (state?.size ?? 0),
      ...(problem && { problem }),
    }
  })
  const upToDate = witnesses.filter(({ behind }) => behind === 0).map(({ name }) => name)
  const witnessed = quorum && (await witnessedNote(db, bank, quorum))
  const stopped = signer.stopped(bank)
  return {
    bank,
    origin: ledgerOrigin(issuer, bank),
    signed_size: newest.size,
    ...(witnessed && { witnessed_size: witnessed.size }),
    quorum: policy?.quorum ?? 'none',
    quorum_met: policy === undefined || quorumMet(policy, upToDate),
    ...(stopped !== undefined && { stopped }),
    witnesses,
  }
}
