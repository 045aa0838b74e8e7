import { Agent, request, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { dpopProver } from '../src/banks/dpop.ts'
import type { CrowdConsent, TokenMint } from './many_consents.ts'

/** A release that was answered: what its `Countersign-Entry` header says. */
export interface Acknowledged {
  readonly bank: string
  readonly consentId: string
  readonly n: number
  /** Base64. */
  readonly hash: string
}

/** Clients that read accounts without a pause, each consent over whichever broker process, and what they were told. */
export interface Crowd {
  readonly acknowledged: Acknowledged[]
  /** Answered although the question was asked after the answer to the consent's revocation. There must be none. */
  readonly tooLate: Acknowledged[]
  /** By status; `lost` where no answer came. */
  readonly answers: Map<number | 'lost', number>
  /** How long each revocation took to be answered, ms. */
  readonly revocations_ms: number[]
  /** Ends one of the consents as its bank does, over HTTP; again and again until it is answered. */
  revoke(consent: CrowdConsent): Promise<void>
  /** Ends about one consent in `every_ms`, until the crowd is stopped; one of every bank always stays. */
  keepRevoking(every_ms: number): void
  stop(): Promise<void>
}

/** How long a client waits after an answer that was no success, and for an answer, ms. */
const pause_ms = 50
const answer_ms_max = 5_000

export function startCrowd({
  urls,
  issuer,
  consents,
  mint,
  clients = 64,
}: {
  urls: readonly string[]
  issuer: string
  consents: readonly CrowdConsent[]
  mint: TokenMint
  clients?: number
}): Crowd {
  const agent = new Agent({ keepAlive: true })
  const call = caller(issuer, mint, agent)
  const tokens = new Map(consents.map((one) => [one.consent.id, mint.tokenOf(one)]))
  const endedAt = new Map<string, number>()
  const answers: Crowd['answers'] = new Map()
  const acknowledged: Acknowledged[] = []
  const tooLate: Acknowledged[] = []
  const revocations_ms: number[] = []
  const running: Promise<void>[] = []
  const stopping = new AbortController()

  const note = (status: number | 'lost') => answers.set(status, (answers.get(status) ?? 0) + 1)

  /** Whether an answer came. */
  const read = async (url: string, { bank, consent: { id } }: CrowdConsent): Promise<boolean> => {
    const asked = performance.now()
    const answer = await call(url, {
      method: 'GET',
      path: '/fdx/v6/accounts',
      token: tokens.get(id) ?? '',
    })
    note(answer?.status ?? 'lost')
    if (answer?.status !== 200) {
      await sleep(pause_ms)
      return answer !== undefined
    }
    const [n, hash = ''] = answer.entry.split(' ')
    const release = { bank, consentId: id, n: Number(n), hash }
    acknowledged.push(release)
    if (asked > (endedAt.get(id) ?? Infinity)) tooLate.push(release)
    return true
  }

  const revoke = async ({ bank, consent: { id } }: CrowdConsent) => {
    const token = mint.backEndToken(bank)
    for (;;) {
      const began = performance.now()
      const answer = await call(pick(urls), {
        method: 'PUT',
        path: `/fdx/v6/consents/${id}/revocation`,
        token,
        body: JSON.stringify({ reason: 'BUSINESS_RULE', initiator: 'DATA_PROVIDER' }),
      })
      if (answer?.status === 204 || answer?.status === 409) {
        endedAt.set(id, performance.now())
        if (answer.status === 204) revocations_ms.push(performance.now() - began)
        return
      }
      if (answer !== undefined && answer.status < 500)
        throw new Error(`a revocation was answered ${answer.status}`)
      await sleep(pause_ms)
    }
  }

  for (let i = 0; i < clients; i++)
    running.push(
      (async () => {
        // A client stays with one process until that gives no answer.
        for (let place = i; !stopping.signal.aborted;)
          if (!(await read(urls[place % urls.length] ?? '', pick(consents)))) place += 1
      })(),
    )

  return {
    acknowledged,
    tooLate,
    answers,
    revocations_ms,
    revoke,
    keepRevoking(every_ms) {
      running.push(
        (async () => {
          for (const consent of allButOneOfEach(consents)) {
            if (stopping.signal.aborted) return
            await Promise.all([revoke(consent), sleep(every_ms)])
          }
        })(),
      )
    },
    async stop() {
      stopping.abort()
      await Promise.all(running)
      agent.destroy()
    },
  }
}

/** All but the first consent of every bank. */
function allButOneOfEach(consents: readonly CrowdConsent[]): CrowdConsent[] {
  const kept = new Map(consents.toReversed().map((one) => [one.bank, one]))
  return consents.filter((one) => kept.get(one.bank) !== one)
}

function pick<T>(from: readonly T[]): T {
  const one = from[Math.floor(Math.random() * from.length)]
  if (one === undefined) throw new RangeError('there is nothing to pick from')
  return one
}

interface Call {
  readonly method: 'GET' | 'PUT'
  readonly path: string
  readonly token: string
  readonly body?: string
}

interface Answer {
  readonly status: number
  /** The `Countersign-Entry` header. */
  readonly entry: string
}

/** Calls with a DPoP proof, twice where the broker wants another nonce. Undefined where no answer came. */
function caller(issuer: string, { key }: TokenMint, agent: Agent) {
  const prove = dpopProver(key, Date.now)
  let nonce: string | undefined

  const once = async (url: string, { method, path, token, body }: Call) => {
    const proof = prove({ method, url: issuer + path, accessToken: token, nonce })
    const sent = request(url + path, {
      agent,
      method,
      timeout: answer_ms_max,
      headers: {
        authorization: `DPoP ${token}`,
        dpop: proof,
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    })
    const answer = await new Promise<IncomingMessage | undefined>((resolve) => {
      sent.on('response', (incoming) => {
        incoming.resume()
        incoming.on('close', () => resolve(incoming.complete ? incoming : undefined))
      })
      sent.on('timeout', () => sent.destroy())
      sent.on('error', () => resolve(undefined))
      sent.end(body)
    })
    const given = answer?.headers['dpop-nonce']
    if (typeof given === 'string') nonce = given
    return answer
  }

  return async (url: string, one: Call): Promise<Answer | undefined> => {
    const first = await once(url, one)
    const answer =
      first?.statusCode === 401 && first.headers['dpop-nonce'] !== undefined
        ? await once(url, one)
        : first
    if (answer?.statusCode === undefined) return undefined
    return { status: answer.statusCode, entry: String(answer.headers['countersign-entry']) }
  }
}
