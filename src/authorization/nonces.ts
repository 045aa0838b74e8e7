import { createHmac } from 'node:crypto'

/** DPoP nonces (RFC 9449 §8) without any state: every process with the same key gives and accepts the same ones. */
export interface Nonces {
  /** The nonce to use from `now` on, milliseconds since the epoch. */
  current(now: number): string
  /** Whether a nonce is accepted at `now`: the current one, or the one before it. */
  accepts(nonce: string, now: number): boolean
}

/** A nonce is given out for this long, and accepted for as long again. */
const step_ms = 150_000

/** Nonces that are an HMAC of the time's step. The key is secret, so that nobody can make proofs for a time to come. */
export function openNonces(key: Buffer): Nonces {
  if (key.length < 32) throw new TypeError('a nonce key has 32 bytes or more')
  const nonceOf = (step: number) =>
    createHmac('sha256', key).update(`dpop nonce ${step}`).digest('base64url')
  let known = { step: -1, current: '', previous: '' }
  const at = (now: number) => {
    const step = Math.floor(now / step_ms)
    if (step !== known.step) known = { step, current: nonceOf(step), previous: nonceOf(step - 1) }
    return known
  }
  return {
    current: (now) => at(now).current,
    accepts(nonce, now) {
      const { current, previous } = at(now)
      return nonce === current || nonce === previous
    },
  }
}
