/**
 * The mark: how far a ledger has been signed, kept outside its database so that the two cannot be rolled back together.
 * It is advanced before every note by compare-and-swap; a signer that cannot advance it must not sign.
 */
export interface Mark {
  readonly size: number
  /** The root at that size, base64. */
  readonly root: string
}

/** Shared by every broker process. Once `replace` returns true the mark is durable. */
export interface MarkStore {
  read(origin: string): Promise<Mark | undefined>
  /** Puts the mark at `next` if it stands at `old` (undefined: if there is none yet); false when it stands elsewhere. */
  replace(origin: string, old: Mark | undefined, next: Mark): Promise<boolean>
}
