/** What the broker needs of witnesses (c2sp.org/tlog-witness); `banks/` implements it. Every call is bounded in time and size. */
export interface WitnessPort {
  /** `POST <url>/add-checkpoint`. Throws `WitnessUnavailable`. */
  addCheckpoint(url: string, body: string): Promise<WitnessAnswer>
  /** `GET <url>/<SHA-256 of the origin>/checkpoint`: the newest checkpoint that it has cosigned. Throws `WitnessUnavailable`. */
  latest(url: string, origin: string): Promise<WitnessAnswer>
}

/** An answer, whatever it is. */
export interface WitnessAnswer {
  readonly status: number
  /** The media type, without parameters; empty when none was sent. */
  readonly type: string
  readonly body: Uint8Array
  /** What `Retry-After` says, ms. */
  readonly retryAfter_ms?: number
}

/** There was no answer, or none that may be read. */
export class WitnessUnavailable extends Error {
  override readonly name = 'WitnessUnavailable'
  readonly why: 'timeout' | 'unreachable' | 'bad_answer' | 'too_large'

  constructor(why: WitnessUnavailable['why'], detail: string) {
    super(detail)
    this.why = why
  }
}
