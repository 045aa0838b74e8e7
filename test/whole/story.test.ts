import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as oauth from 'oauth4webapi'
import { importJWK } from 'jose'
import { readEverything, link, walkToDisclosure, wishOf } from '../../sandbox/acts.ts'
import { startBroker, type BrokerProcess } from '../../sandbox/broker_process.ts'
import { openCustomer } from '../../sandbox/customer.ts'
import { summarise } from '../../sandbox/demo_summary.ts'
import { freePorts } from '../../sandbox/free_ports.ts'
import { downloadLedger } from '../../sandbox/ledger_files.ts'
import { castOf, clientOf, playAt, type Cast } from '../../sandbox/story.ts'
import { approvedPurposes, auditorOf, openWorld, pageOf, type World } from '../../sandbox/world.ts'
import { guardedDirectory } from '../support/guarded_directory.ts'

/**
 * The whole of it, as its users have it: four banks that nobody here wrote the authorization server of, the broker in a process
 * of its own, recipients on libraries that know nothing of it, and the proof from files.
 */

const realStatements = resolve(import.meta.dirname, '../../../shared/data/ofx')

let world: World
let broker: BrokerProcess
let cast: Cast
let clean: () => Promise<void>
const told: string[] = []

beforeAll(async () => {
  const guarded = guardedDirectory()
  clean = guarded.clean
  const { directory } = guarded
  const real = existsSync(realStatements) ? await readdir(realStatements) : []
  const statements = real
    .filter((name) => name.endsWith('.ofx'))
    .map((name) => ({ path: join(realStatements, name), shift: true }))
  world = await openWorld({
    directory,
    port: await freePorts(6),
    banks: { citi: { statements } },
    epochSeconds: 1,
    stateEvery_ms: 1_000,
    statementSlackSeconds: 1,
  })
  broker = await startBroker(world.config, { port: world.config.port, folder: directory })
  cast = await castOf(world, (line) => told.push(line))
})

afterAll(async () => {
  await broker.stop()
  await world.close()
  await clean()
})

describe('the story', () => {
  it('goes from a link to a proof: granted, released, refused, revoked, and nothing after', async () => {
    for (const bank of world.banks.slice(0, 2)) await playAt(bank, cast)
    const said = told.join('\n')
    expect(said).toContain('ad-network asks: access_denied')
    expect(said).toContain('A crawler opens the pointer: 200, figures shown: false')
    expect(said).toContain('in the browser he logged in with: 200, figures shown: true')
    expect(said.match(/Messenger reads: 403 consent_revoked/g)).toHaveLength(8)
  })

  it('holds with real statements: every account of every file is shown, and its number never', async () => {
    if (!existsSync(realStatements))
      return process.stderr.write('skipped: there is no ../shared/data/ofx\n')
    const { messenger } = cast.recipients
    const customer = openCustomer([messenger.redirectUri])
    const linked = await link(customer, messenger, {
      wish: wishOf('citi', 'Alice', { lookbackDays: 730 }),
      username: 'alice',
    })
    const answer = await messenger.call(linked.accessToken, '/fdx/v6/accounts')
    const { accounts } = (await answer.json()) as { accounts: Record<string, unknown>[] }
    // Six accounts are in the five files, and one is the bank's own.
    expect(accounts.length).toBe(7)
    for (const account of accounts) {
      expect(account['accountNumberDisplay']).toMatch(/^••••[0-9A-Za-z]{0,4}$/)
      expect(Object.keys(account)).not.toContain('accountNumber')
    }
    expect(await readEverything(messenger, linked)).toBeGreaterThan(14)
    return undefined
  })

  it('is told by oauth4webapi as it is by openid-client', async () => {
    const { config, identities, messengerPort } = world
    const jwk = identities.clients['messenger']
    const key = await importJWK(jwk ?? {}, 'ES256')
    if (key instanceof Uint8Array || jwk?.kid === undefined) throw new Error('no key')
    const insecure = { [oauth.allowInsecureRequests]: true }
    const issuer = new URL(config.issuer)
    const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
    const as = await oauth.processDiscoveryResponse(issuer, discovered)
    const client: oauth.Client = { client_id: 'messenger' }
    const auth = oauth.PrivateKeyJwt({ key, kid: jwk.kid })
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
    const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()]
    const redirectUri = `http://127.0.0.1:${messengerPort}/callback`
    const parameters = {
      redirect_uri: redirectUri,
      response_type: 'code',
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      authorization_details: JSON.stringify([
        {
          type: 'fdx_v1.0',
          bank: 'us-bank',
          purpose: approvedPurposes[0],
          delivery: 'in_thread',
          profile: { page_id: pageOf('us-bank'), psid: 'another', display_name: 'Another' },
          consentRequest: {
            durationType: 'ONE_TIME',
            lookbackPeriod: 30,
            resources: [{ resourceType: 'ACCOUNT', dataClusters: ['BALANCES'] }],
          },
        },
      ]),
    }
    const push = () =>
      oauth.pushedAuthorizationRequest(as, client, auth, parameters, { DPoP, ...insecure })
    const pushed = await retryNonce(async () =>
      oauth.processPushedAuthorizationResponse(as, client, await push()),
    )
    const url = new URL(as.authorization_endpoint ?? '')
    url.searchParams.set('client_id', 'messenger')
    url.searchParams.set('request_uri', pushed.request_uri)
    const customer = openCustomer([redirectUri])
    const disclosure = await walkToDisclosure(customer, { url }, 'bob')
    const answer = await customer.press(disclosure, 'approve')
    const answered = oauth.validateAuthResponse(as, client, answer.url, state)
    const redeem = () =>
      oauth.authorizationCodeGrantRequest(as, client, auth, answered, redirectUri, verifier, {
        DPoP,
        ...insecure,
      })
    const tokens = await retryNonce(async () =>
      oauth.processAuthorizationCodeResponse(as, client, await redeem()),
    )
    expect(tokens.token_type).toBe('dpop')
    expect(tokens.refresh_token).toBeUndefined()
    const read = await oauth.protectedResourceRequest(
      tokens.access_token,
      'GET',
      new URL('/fdx/v6/accounts', issuer),
      undefined,
      undefined,
      { DPoP, ...insecure },
    )
    expect(read.status).toBe(200)
    expect(read.headers.get('countersign-entry')).toMatch(/^\d+ [A-Za-z0-9+/]{43}=$/)
  })

  it('has banks that state what they served; one too many and one too few are found by themselves', async () => {
    const { messenger } = cast.recipients
    const [first, , citi, usBank] = world.banks
    if (first === undefined || citi === undefined || usBank === undefined)
      throw new Error('a bank is missing')
    const linked = await Promise.all(
      [citi, usBank].map((bank) =>
        link(openCustomer([messenger.redirectUri]), messenger, {
          ...{ wish: wishOf(bank.id, 'Carol'), username: 'alice' },
        }),
      ),
    )
    // What the customer chose from is stated before: who leaves that out leaves out no release.
    await citi.state()
    citi.misbehave('one_too_few', 1)
    usBank.misbehave('one_too_many', 1)
    for (const one of linked) await readEverything(messenger, one)
    expect(await compared(citi.id, ({ missing }) => missing > 0)).toMatchObject({
      ...{ unknown: 0, missing: 1 },
    })
    expect(await compared(usBank.id, ({ unknown }) => unknown > 0)).toMatchObject({
      ...{ unknown: 1, missing: 0 },
    })
    expect(await compared(first.id, ({ released }) => released > 5)).toMatchObject({
      ...{ unknown: 0, missing: 0 },
    })
  })

  it('leaves ledgers that a stranger verifies from their files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ledgers-'))
    // The sweeper's next turn ends what was never redeemed, and the signer's next signs it.
    await expired()
    const ledgers = []
    for (const { id } of world.banks) {
      const auditor = await clientOf(world, auditorOf(id))
      const token = await auditor.ownToken('ledger:read')
      const files = join(folder, id)
      await downloadLedger(files, (path) => auditor.call(token, `/ledger/${id}/${path}`))
      ledgers.push({ bank: id, files })
    }
    const { json, text, verified } = await summarise(ledgers)
    expect(text.match(/MISMATCH. 1 request is in one of the two records only/g)).toHaveLength(2)
    await rm(folder, { recursive: true })
    expect(verified).toBe(true)
    expect(json).toMatchObject({
      releases: { advertising: 0, third_party: 0 },
      consents: { expired: 2, revoked: 8 },
      released_after_revocation: 0,
    })
    expect(json.releases.data_subject).toBe(2)
    expect(json.releases.messaging_platform).toBeGreaterThan(10)
    expect(Object.keys(json.refusals).toSorted()).toEqual([
      'account_not_covered',
      'class_denied',
      'cluster_not_approved',
      'consent_of_another_recipient',
      'consent_revoked',
      'delivery_not_covered',
      'purpose_denied',
      'purpose_not_approved',
      'recipient_not_approved',
      'time_not_covered',
    ])
  })
})

interface Compared {
  readonly entry: number
  readonly released: number
  readonly unknown: number
  readonly missing: number
}

type Sums = Omit<Compared, 'entry'>

/** What became of all that a bank stated, as its auditor sees it, once that is so, and signed. */
async function compared(bank: string, isSo: (sums: Sums) => boolean): Promise<Sums> {
  const auditor = await clientOf(world, auditorOf(bank))
  const token = await auditor.ownToken('ledger:read')
  const deadline = Date.now() + 30_000
  for (;;) {
    const answer = await auditor.call(token, `/ledger/${bank}/statements?limit=500`)
    const { statements } = (await answer.json()) as {
      statements: { reconciliation?: Compared }[]
    }
    const found = statements.flatMap(({ reconciliation }) => reconciliation ?? [])
    const sum = (of: keyof Sums) => found.reduce((total, one) => total + one[of], 0)
    const sums = { released: sum('released'), unknown: sum('unknown'), missing: sum('missing') }
    if (isSo(sums)) {
      const [newest] = found
      await fetch(`${world.config.issuer}/ledger/${bank}/proof/${newest?.entry ?? 0}`)
      return sums
    }
    if (Date.now() > deadline) throw new Error(`${bank}: ${JSON.stringify(sums)}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** A server that wants a nonce says so once. */
async function retryNonce<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (oauth.isDPoPNonceError(error)) return work()
    throw error
  }
}

/** Waits until both banks' unredeemed grants have ended and are under a signed checkpoint. */
async function expired(): Promise<void> {
  const deadline = Date.now() + 30_000
  for (const { id } of world.banks.slice(0, 2))
    for (;;) {
      const response = await fetch(`${world.config.issuer}/ledger/${id}/summary`)
      const { totals } = (await response.json()) as { totals?: { expiries?: number } }
      if ((totals?.expiries ?? 0) > 0) break
      if (Date.now() > deadline) throw new Error(`nothing expired at ${id}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
}
