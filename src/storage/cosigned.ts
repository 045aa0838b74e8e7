/**
 * What a witness remembers: of each log the newest checkpoint that it cosigned, as the note with its own signature. It is one key's,
 * and may be shared by several processes.
 */
export interface CosignedStore {
  /**
   * Throws `StateUnfit` when the place holds anything that such a store does not make: it may be what this key cosigned, in a form
   * that is not understood. For before it is begun, or read for the first time.
   */
  check(): Promise<void>
  /** Begins to remember logs of which this key cosigned nothing; false, and nothing is begun, when one of them was begun before. */
  begin(origins: readonly string[]): Promise<boolean>
  /**
   * Undefined of a log that was never begun, or when what is remembered of it is lost. Throws when what is there cannot be read: a
   * witness that does not know what it signed must not sign.
   */
  read(origin: string): Promise<Cosigned | undefined>
  /** Puts `note` in place of what was read, if that is still there. Once true, it is durable. */
  replace(origin: string, old: Cosigned, note: string): Promise<boolean>
}

export interface Cosigned {
  /** Grows by one with every note. */
  readonly version: number
  /** Undefined until the first one. */
  readonly note: string | undefined
}
