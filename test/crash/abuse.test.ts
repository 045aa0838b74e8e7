import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals'
import { startBalancer } from '../../sandbox/balancer.ts'
import { link, walkToDisclosure, wishOf } from '../../sandbox/acts.ts'
import { openCustomer } from '../../sandbox/customer.ts'
import { startFleet, type Fleet } from '../../sandbox/fleet.ts'
import { freePorts } from '../../sandbox/free_ports.ts'
import { detailsOf, openRecipient, type Recipient } from '../../sandbox/recipient.ts'
import { openWorld, type World } from '../../sandbox/world.ts'
import { guardedDirectory } from '../support/guarded_directory.ts'
import { newSigner, sha256, type JwtParts, type Signer } from '../support/jwt.ts'
import { entriesOf } from '../support/api_app.ts'

const clientId = 'messenger'
const bank = 'citi'
const at_once = 50

let world: World
let fleet: Fleet
let balancer: { close(): Promise<void> }
let recipient: Recipient
let clean: () => Promise<void>
let signer: Signer
let redirectUri: string
const prover = newSigner('ES256')

beforeAll(async () => {
  const guarded = guardedDirectory()
  clean = guarded.clean
  world = await openWorld({ directory: guarded.directory, port: await freePorts(6) })
  fleet = await startFleet(world.config, { folder: guarded.directory })
  balancer = await startBalancer(world.config.port, fleet.urls)
  redirectUri = `http://127.0.0.1:${world.messengerPort}/callback`
  const key = world.identities.clients[clientId]
  if (key === undefined) throw new Error('the messenger has no key')
  const { issuer } = world.config
  recipient = await openRecipient({ issuer, clientId, key, redirectUri })
  const jwk = { ...key } as Record<string, string>
  signer = newSigner('ES256', {
    publicKey: createPublicKey({ key: jwk, format: 'jwk' }),
    privateKey: createPrivateKey({ key: jwk, format: 'jwk' }),
  })
})
afterAll(async () => {
  await balancer.close()
  await fleet.close()
  await world.close()
  await clean()
})

let nonce = ''
beforeEach(async () => {
  // A proof without a nonce is told one; every process gives the same.
  const told = await ask({ grant_type: 'client_credentials' }, { claims: { nonce: undefined } })
  nonce = told.headers.get('dpop-nonce') ?? ''
})

const seconds = () => Math.floor(Date.now() / 1000)

const assertion = ({ claims = {} }: JwtParts = {}) =>
  signer.sign({
    header: { alg: 'ES256', kid: world.identities.clients[clientId]?.kid },
    claims: {
      ...{ iss: clientId, sub: clientId, aud: world.config.issuer },
      ...{ jti: randomBytes(16).toString('hex'), iat: seconds(), exp: seconds() + 60 },
      ...claims,
    },
  })

const proof = ({ claims = {} }: JwtParts = {}) =>
  prover.sign({
    header: { typ: 'dpop+jwt', alg: 'ES256', jwk: prover.publicJwk },
    claims: {
      ...{ jti: randomBytes(16).toString('hex'), htm: 'POST', iat: seconds(), nonce },
      htu: `${world.config.issuer}/oauth/token`,
      ...claims,
    },
  })

interface Told {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, string>
}

/** A token request over whichever process, with an assertion and a proof of its own unless it is given one. */
async function ask(
  form: Record<string, string>,
  shown: JwtParts & { assertion?: string; proof?: string } = {},
): Promise<Told> {
  const answer = await fetch(`${world.config.issuer}/oauth/token`, {
    method: 'POST',
    headers: { DPoP: shown.proof ?? proof(shown), connection: 'close' },
    body: new URLSearchParams({
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: shown.assertion ?? assertion(),
      ...form,
    }),
  })
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as never }
}

/** Reads the accounts with a token; each time with a proof of its own unless it is given one. */
async function read(token: string, given?: string): Promise<number> {
  const claims = { htm: 'GET', htu: `${world.config.issuer}/fdx/v6/accounts`, ath: sha256(token) }
  const answer = await fetch(`${world.config.issuer}/fdx/v6/accounts`, {
    headers: {
      authorization: `DPoP ${token}`,
      DPoP: given ?? proof({ claims }),
      connection: 'close',
    },
  })
  await answer.text()
  return answer.status
}

const many = <T>(make: (i: number) => Promise<T>, count = at_once) =>
  Promise.all(Array.from({ length: count }, (_, i) => make(i)))

/** How many answers there were of each kind. */
function counted(told: readonly Told[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status, body } of told) {
    const kind = `${status} ${body['error'] ?? 'ok'}`
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

const customer = () => openCustomer([redirectUri])

const codeVerifier = 'v'.repeat(43)

/** Pushes a request; the code will be bound to no key. Returns where a browser takes it. */
async function push(person: string): Promise<URL> {
  const { issuer } = world.config
  const answer = await fetch(`${issuer}/oauth/par`, {
    method: 'POST',
    body: new URLSearchParams({
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion(),
      response_type: 'code',
      redirect_uri: redirectUri,
      code_challenge: sha256(codeVerifier),
      code_challenge_method: 'S256',
      authorization_details: JSON.stringify([detailsOf(wishOf(bank, person))]),
    }),
  })
  const { request_uri } = (await answer.json()) as { request_uri: string }
  const url = new URL('/oauth/authorize', issuer)
  url.search = new URLSearchParams({ client_id: clientId, request_uri }).toString()
  return url
}

/** What redeems the code of a request that the customer approved. */
async function approved(person: string): Promise<Record<string, string>> {
  const browser = customer()
  const disclosure = await walkToDisclosure(browser, { url: await push(person) }, 'alice')
  const answer = await browser.press(disclosure, 'approve')
  return {
    grant_type: 'authorization_code',
    code: answer.url.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: codeVerifier,
  }
}

it('one code, redeemed 50 times at once, gives one token, and that one is dead', async () => {
  const form = await approved('reused')
  const redeemed = await many(() => ask(form))
  expect(counted(redeemed)).toEqual({ '200 ok': 1, '400 invalid_grant': at_once - 1 })
  const tokens = redeemed.find(({ status }) => status === 200)?.body ?? {}
  expect(await read(tokens['access_token'] ?? '')).toBe(401)
  const refresh_token = tokens['refresh_token'] ?? ''
  const refreshed = await ask({ grant_type: 'refresh_token', refresh_token })
  expect(counted([refreshed])).toEqual({ '400 invalid_grant': 1 })
})

/** Six browsers come as far as the disclosure of one request, and press their buttons at once. Where each ended. */
async function decidedAtOnce(person: string, buttons: readonly ('approve' | 'decline')[]) {
  const url = await push(person)
  const browsers = await Promise.all(
    buttons.map(async (button) => {
      const browser = customer()
      return { browser, button, page: await walkToDisclosure(browser, { url }, 'alice') }
    }),
  )
  const from = (await entriesOf(fleet.broker, bank)).length
  const ended = await Promise.all(
    browsers.map(({ browser, button, page }) => browser.press(page, button)),
  )
  const entries = (await entriesOf(fleet.broker, bank)).slice(from).map(({ kind }) => kind)
  const answers = ended
    .filter((page) => page.url.href.startsWith(redirectUri))
    .map(({ url: { searchParams } }) =>
      searchParams.has('code') ? 'code' : searchParams.get('error'),
    )
  const pages = ended.filter((page) => !page.url.href.startsWith(redirectUri))
  return { entries, answers, pages: pages.map(({ status }) => status) }
}

it('one request_uri, approved in six browsers at once, gives one consent and one code', async () => {
  expect(
    await decidedAtOnce(
      'approved',
      Array.from({ length: 6 }, () => 'approve'),
    ),
  ).toEqual({
    entries: ['consent.grant'],
    answers: ['code'],
    pages: [409, 409, 409, 409, 409],
  })
})

it('one request_uri, approved and declined at once, is either', async () => {
  const { entries, answers, pages } = await decidedAtOnce('either', [
    ...(['approve', 'decline', 'approve', 'decline', 'approve', 'decline'] as const),
  ])
  // A consent that was declined says so to everyone who comes late; one that was granted was answered before.
  if (entries.length === 1)
    expect({ answers, pages }).toEqual({ answers: ['code'], pages: pages.map(() => 409) })
  else expect(new Set(answers)).toEqual(new Set(['access_denied']))
  expect(entries.length).toBeLessThanOrEqual(1)
})

it('refreshes during a revocation give nothing that opens data after its answer', async () => {
  const linked = await link(customer(), recipient, {
    wish: wishOf(bank, 'revoked'),
    username: 'alice',
  })
  const form = { grant_type: 'refresh_token', refresh_token: linked.refreshToken ?? '' }
  let ended = Infinity
  const revocation = async () => {
    expect((await recipient.endGrant(linked.consentId)).status).toBe(204)
    ended = performance.now()
  }
  const refreshing = async () => {
    const told: { sent: number; answer: Told }[] = []
    while (performance.now() < ended + 500) {
      const sent = performance.now()
      told.push({ sent, answer: await ask(form) })
    }
    return told
  }
  const [told] = await Promise.all([many(refreshing, 8), revocation()])
  const given = told.flat().filter(({ answer }) => answer.status === 200)
  expect(given.length).toBeGreaterThan(0)
  expect(given.filter(({ sent }) => sent > ended)).toEqual([])
  const refused = told.flat().filter(({ answer }) => answer.status !== 200)
  expect(counted(refused.map(({ answer }) => answer))).toEqual({
    '400 invalid_grant': refused.length,
  })
  for (const { answer } of given) expect(await read(answer.body['access_token'] ?? '')).toBe(403)
})

const forItself = { grant_type: 'client_credentials', scope: 'grant_management_query' }

it('one assertion, sent 50 times at once, authenticates once', async () => {
  const shown = { assertion: assertion() }
  expect(counted(await many(() => ask(forItself, shown)))).toEqual({
    '200 ok': 1,
    '401 invalid_client': at_once - 1,
  })
})

it('one proof, sent 50 times at once, is good once: for a token, and for data', async () => {
  const shown = { proof: proof() }
  expect(counted(await many(() => ask(forItself, shown)))).toEqual({
    '200 ok': 1,
    '400 invalid_dpop_proof': at_once - 1,
  })
  const { body } = await ask(await approved('proved'))
  const token = body['access_token'] ?? ''
  const claims = { htm: 'GET', htu: `${world.config.issuer}/fdx/v6/accounts`, ath: sha256(token) }
  const once = proof({ claims })
  const statuses = await many(() => read(token, once))
  expect(statuses.filter((status) => status === 200)).toHaveLength(1)
  expect(statuses.filter((status) => status === 401)).toHaveLength(at_once - 1)
})
