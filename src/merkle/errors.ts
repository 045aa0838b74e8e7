/**
 * What was wrong, by the thing it was wrong with. `signature`, `unsigned`, `origin`, `quorum` and
 * `proof` concern well-formed input.
 */
export type MerkleErrorCode =
  | 'encoding'
  | 'tree'
  | 'sum'
  | 'tile'
  | 'vkey'
  | 'note'
  | 'signature'
  | 'unsigned'
  | 'checkpoint'
  | 'origin'
  | 'add_checkpoint'
  | 'tlog_proof'
  | 'policy'
  | 'quorum'
  | 'proof'

/** Bytes from outside are not what their specification says, or do not prove what they claim. */
export class MerkleError extends Error {
  override readonly name: string = 'MerkleError'
  readonly code: MerkleErrorCode

  constructor(code: MerkleErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * A Merkle proof does not hold: the entry is not in that tree, or one tree does not extend the
 * other.
 */
export class ProofError extends MerkleError {
  override readonly name = 'ProofError'

  constructor(message: string) {
    super('proof', message)
  }
}
