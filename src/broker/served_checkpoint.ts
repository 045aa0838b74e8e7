import { withCosignatures, witnessedNote, type SignedNote } from '../storage/cosignatures.ts'
import { publishCheckpoint } from '../storage/signed.ts'
import type { Broker } from './broker.ts'

/**
 * The checkpoint that is shown to everyone, with the newest cosignature of each witness: the newest that the quorum has cosigned,
 * so that whoever asks for that quorum always finds it, some seconds behind what is signed. Where no quorum is asked for, or none
 * has come together yet, the newest that is signed. Undefined when nothing is signed yet.
 */
export async function servedCheckpoint(
  { db, witnessing }: Pick<Broker, 'db' | 'witnessing'>,
  bank: string,
): Promise<SignedNote | undefined> {
  const { quorum } = witnessing
  const witnessed = quorum && (await witnessedNote(db, bank, quorum))
  const found = witnessed ?? (await publishCheckpoint(db, bank))
  return found && withCosignatures(db, bank, found)
}

/** The newest signed checkpoint, with what cosignatures it has. */
export async function newestCheckpoint(
  { db }: Pick<Broker, 'db'>,
  bank: string,
): Promise<SignedNote | undefined> {
  const found = await publishCheckpoint(db, bank)
  return found && withCosignatures(db, bank, found)
}
