import { createHash, randomUUID } from 'node:crypto'
import type { JWK, JWTPayload } from 'jose'
import type { Served } from './fdx_api.ts'
import type { Misstatement } from './misbehaviour.ts'
import { openRecipient } from '../recipient.ts'

/** How a bank states what it served: as the broker's client that it is, by the public API. */
export interface StatingOptions {
  /** The broker's issuer identifier. */
  readonly broker: string
  readonly clientId: string
  /** The client's private key. */
  readonly key: JWK
  /** How often the bank states by itself what it served since, ms. */
  readonly every_ms: number
}

export interface Stating {
  /** States what was served since the statement before, now, and resolves to the index of its entry. */
  state(): Promise<number>
  close(): Promise<void>
}

/** What a statement is about, and is posted with until the broker has answered. */
interface Said {
  readonly to: string
  readonly statement: string
  readonly interactions: readonly string[]
}

/**
 * States on and on, each range beginning where the one before ended, for as long as something was served in this or the one before.
 * A broker that does not answer is asked again at the next turn, with the very same.
 */
export function startStating({
  options,
  bank,
  served,
  sign,
  misstatement,
}: {
  options: StatingOptions
  /** The bank's id at the broker. */
  bank: string
  served: readonly Served[]
  sign: (payload: JWTPayload) => Promise<string>
  misstatement: () => Misstatement | undefined
}): Stating {
  const path = `/ledger/${bank}/statements`
  let client: ReturnType<typeof openRecipient> | undefined
  let from = new Date().toISOString()
  let counted = 0
  let unanswered: Said | undefined
  let quiet = true

  const compose = async (): Promise<Said> => {
    const to = new Date().toISOString()
    const inRange = served.slice(counted).filter(({ at }) => at < to)
    counted += inRange.length
    quiet = inRange.length === 0
    const interactions = misstated(distinct(inRange), quiet ? undefined : misstatement())
    const statement = await sign({
      ...{ iss: bank, aud: `${new URL(options.broker).host}/ledger/${bank}`, from, to },
      ...{ iat: Math.floor(Date.now() / 1000), count: interactions.length },
      root: rootOf(interactions.map(leaf)).toString('base64url'),
    })
    return { to, statement, interactions }
  }

  const state = async (): Promise<number> => {
    client ??= openRecipient({ ...options, issuer: options.broker, redirectUri: '' })
    client.catch(() => (client = undefined))
    const { ownToken, call } = await client
    const said = (unanswered ??= await compose())
    const { statement, interactions } = said
    const token = await ownToken('statements:write')
    const answer = await call(token, path, 'POST', { statement, interactions })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    from = said.to
    unanswered = undefined
    return ((await answer.json()) as { entry: number }).entry
  }

  // One at a time: the turn's and whoever else asks.
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }
  const timer = setInterval(() => {
    if (quiet && unanswered === undefined && served.length === counted) return
    inTurn(state).catch(() => undefined) // the next turn tries again
  }, options.every_ms)
  return {
    state: () => inTurn(state),
    async close() {
      clearInterval(timer)
      await turn
    },
  }
}

const distinct = (served: readonly Served[]): string[] =>
  [...new Set(served.map(({ interactionId }) => interactionId.toLowerCase()))].toSorted()

function misstated(interactions: string[], how: Misstatement | undefined): string[] {
  switch (how) {
    case 'one_too_many':
      return [...interactions, randomUUID()].toSorted()
    case 'one_too_few':
      return interactions.slice(1)
    case undefined:
      return interactions
  }
}

const sha256 = (...parts: readonly (string | Buffer)[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

const leaf = (id: string) => sha256('\u0000', id)

/** RFC 6962 §2.1, as the bank's own people wrote it: of leaf hashes, by pairs, the odd one carried up. */
function rootOf(hashes: readonly Buffer[]): Buffer {
  const [first, second] = hashes
  if (first === undefined) return sha256()
  if (second === undefined) return first
  const above = hashes.flatMap((left, i) => {
    if (i % 2 === 1) return []
    const right = hashes[i + 1]
    return [right === undefined ? left : sha256('\u0001', left, right)]
  })
  return rootOf(above)
}
