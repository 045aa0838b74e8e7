import { LRUCache } from 'lru-cache'
import type { Client } from '../storage/clients.ts'
import { keySetProblems, keysOf } from './key_set.ts'
import { JwsError, type Jwk } from '../storage/jws.ts'
import { OAuthError } from './oauth_error.ts'

/** Where the keys are that clients keep themselves. */
export interface KeySets {
  /**
   * What is at a `jwks_uri`, parsed, or undefined where there is nothing; bounded in time and size. Throws for whatever is not
   * JSON.
   */
  fetch(uri: string): Promise<unknown>
  /** A client's place gave no good keys. */
  failed(client: string, error: unknown): void
}

/** The public keys of clients, wherever each keeps them. */
export interface ClientKeys {
  /**
   * The keys of a client for which `suffices` holds. Keys that the client keeps itself are fetched when they are older than ten
   * minutes, and once more when they do not suffice. Throws `OAuthError('temporarily_unavailable')` when there are none to be had.
   */
  of(client: Client, suffices: (keys: readonly Jwk[]) => boolean): Promise<readonly Jwk[]>
}

/**
 * Fetched keys are taken without asking while they are fresh, and until they are a day old while their place cannot be reached
 * or holds what is no good set. A place that is empty has withdrawn them. Nothing that a caller sends makes us ask one place more often than once in `cooldown_ms`.
 */
const limits = {
  fresh_ms: 600_000,
  kept_ms: 86_400_000,
  cooldown_ms: 30_000,
  places_max: 5_000,
} as const

interface Place {
  keys?: readonly Jwk[]
  fetched: number
  asked: number
  asking?: Promise<void>
}

/** `now` is in milliseconds since the epoch. */
export function openClientKeys({ fetch, failed }: KeySets, now: () => number): ClientKeys {
  const places = new LRUCache<string, Place>({ max: limits.places_max })

  /** Asks the place, together with whoever asks at the same time, unless it was asked a moment ago. */
  const ask = async (client: Client, uri: string, place: Place): Promise<void> => {
    if (place.asking === undefined && now() - place.asked < limits.cooldown_ms) return
    place.asking ??= fetchInto(client, uri, place).finally(() => delete place.asking)
    await place.asking
  }
  const fetchInto = async (client: Client, uri: string, place: Place): Promise<void> => {
    place.asked = now()
    try {
      const found = await fetch(uri)
      const keys = found === undefined ? [] : keysOf(found)
      if (keys === undefined) throw new JwsError('it is no JWK Set')
      if (keys.length === 0) {
        delete place.keys
        throw new JwsError('there are none')
      }
      const [problem] = keySetProblems(keys)
      if (problem !== undefined) throw new JwsError(problem)
      place.keys = keys
      place.fetched = now()
    } catch (error) {
      failed(client.id, error)
    }
  }

  return {
    async of(client, suffices) {
      const { jwks, jwksUri: uri } = client
      if (uri === undefined) return jwks?.keys ?? []
      const place = places.get(uri) ?? { fetched: -Infinity, asked: -Infinity }
      places.set(uri, place)
      if (now() - place.fetched >= limits.fresh_ms || !suffices(place.keys ?? []))
        await ask(client, uri, place)
      if (place.keys === undefined || now() - place.fetched >= limits.kept_ms)
        throw new OAuthError('temporarily_unavailable', "the client's keys cannot be fetched")
      return place.keys
    },
  }
}
