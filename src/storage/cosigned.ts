/**
 * What a witness remembers: of each log the newest checkpoint that it cosigned, as the note with its own signature. It may be
 * shared by several processes.
 */
export interface CosignedStore {
  /** Throws when what is there cannot be read: a witness that does not know what it signed must not sign. */
  read(origin: string): Promise<Cosigned | undefined>
  /** Puts `note` in place of what was read (undefined: nothing), if that is still there. Once true, it is durable. */
  replace(origin: string, old: Cosigned | undefined, note: string): Promise<boolean>
}

export interface Cosigned {
  /** Grows by one with every note. */
  readonly version: number
  readonly note: string
}
