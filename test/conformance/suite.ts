import { randomBytes } from 'node:crypto'
import { expect } from '@jest/globals'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import { makeCertificate, named, type Certified } from '../../sandbox/certificates.ts'
import type { Recipient } from '../../src/storage/clients.ts'
import { newSigner, sha256, type JwtParts, type Signer } from '../support/jwt.ts'
import type { PageBrowser, Visit } from '../support/page_browser.ts'
import { purpose, type Answer, type Sending, type ServerUnderTest } from './server_under_test.ts'
import type { Variant } from './variants.ts'

type Members = Readonly<Record<string, unknown>>
type Form = Readonly<Record<string, string | undefined>>

/** A JWT that differs from the right one; a member set to undefined is left out. */
export interface Differing extends JwtParts {
  readonly signer?: Signer
  /** What is sent instead of the JWT that was made. */
  readonly text?: (made: string) => string
}

/** How a client authenticates, where it does not do so as it was registered. */
export interface Authenticating {
  /** `none`: no assertion, whatever else is sent. */
  readonly assertion?: Differing | 'none'
  /** `none`: no client certificate, where one would be sent. */
  readonly certificate?: 'none'
  readonly client_id?: string
}

export interface Pushing extends Authenticating {
  /** The authorization request, in parameters or in a request object as the variant has it. */
  readonly parameters?: Members
  /** In a request object, what differs from the right one; `none` sends bare parameters. */
  readonly object?: Differing | 'none'
  /** Form parameters beside it. */
  readonly beside?: Form
  /** A proof at the PAR endpoint, to which the code is bound. */
  readonly proof?: Differing
}

export interface Asking extends Authenticating {
  readonly form?: Form
  readonly proof?: Differing | 'none'
}

export interface Reading {
  readonly method?: string
  readonly path?: string
  readonly scheme?: string
  readonly certificate?: 'none'
  readonly headers?: Readonly<Record<string, string>>
  readonly proof?: Differing | 'none'
  /** What is sent instead of the proof that was made. */
  readonly sent?: (proof: string) => string | readonly string[]
}

/** What a token response gives. */
export interface Tokens {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly refresh_token: string
  readonly scope: string
  readonly authorization_details: readonly { readonly type: string }[]
}

/** Where the browser ended: back at the client with an answer, or at a page that says what is wrong. */
export type Ended =
  { readonly answer: Readonly<Record<string, string>>; readonly to: string } | { page: Visit }

export type Deciding = 'approve' | 'decline' | 'cancel' | 'cancel_at_bank'

/** A server that the suite can be held against. */
export type Peer = Pick<
  ServerUnderTest,
  'issuer' | 'mtlsOrigin' | 'authority' | 'bank' | 'now' | 'send' | 'register' | 'browser'
>

export interface Suite<Server extends Peer = ServerUnderTest> {
  readonly server: Server
  readonly variant: Variant
  readonly client: SuiteClient
  /** Of other keys, and with a query in its redirect URI. */
  readonly client2: SuiteClient
}

/** Made once: an RSA key takes longer than a flow. */
const signers = { client: newSigner('PS256'), client2: newSigner('ES256') }

export const scope = 'fdx:accountbasic:read fdx:balances:read fdx:transactions:read'

/** The suite, with two clients newly registered as the variant has them. */
export async function openSuite<Server extends Peer>(
  server: Server,
  variant: Variant,
): Promise<Suite<Server>> {
  const at = 'https://suite.example/test/a/countersign/callback'
  const [client, client2] = await Promise.all([
    openClient(server, variant, { signer: signers.client, redirectUri: at, isFirst: true }),
    openClient(server, variant, {
      signer: signers.client2,
      redirectUri: `${at}?dummy1=lorem&dummy2=ipsum`,
      isFirst: false,
    }),
  ])
  return { server, variant, client, client2 }
}

export type SuiteClient = ReturnType<typeof suiteClient>

async function openClient(
  server: Peer,
  variant: Variant,
  { signer, redirectUri, isFirst }: { signer: Signer; redirectUri: string; isFirst: boolean },
): Promise<SuiteClient> {
  const id = `suite-${randomBytes(6).toString('hex')}`
  const certificate = certificateFor(server, isFirst)
  const registered: Recipient = {
    ...{ id, kind: 'recipient', class: 'messaging_platform', pages: [`page.${id}`] },
    legalName: 'Conformance Suite',
    lei: '7H6GLXDRUGQFU57RNE97',
    website: 'https://suite.example',
    contacts: ['privacy@suite.example'],
    authentication: authenticationOf(variant, isFirst),
    binding: variant.sender_constrain,
    signedRequests: variant.fapi_request_method === 'signed_non_repudiation',
    jwks: {
      keys: [
        { ...signer.publicJwk, kid: 'one', alg: signer.alg, use: 'sig' },
        ...(variant.client_auth_type === 'mtls' && !isFirst ? [certificate.jwk] : []),
      ],
    },
    redirectUris: [redirectUri],
    scopes: ['grant_management_query'],
  }
  await server.register(registered)
  const details = () => detailsOf(server.bank, registered)
  return suiteClient(server, variant, {
    ...{ id, kid: 'one', signer, certificate, redirectUri, details },
    namesMediaType: !isFirst,
  })
}

/** What the suite knows of a client that is registered. */
export interface KnownClient {
  readonly id: string
  readonly kid: string
  readonly signer: Signer
  readonly certificate: Pick<Certified, 'cert' | 'key'>
  readonly redirectUri: string
  /** One authorization detail, new at each call. */
  readonly details: () => object
  /** Whether its request objects say what they are. */
  readonly namesMediaType: boolean
}

/** A registered client, as the variant has it act. */
export function suiteClient(
  server: Pick<Peer, 'issuer' | 'mtlsOrigin' | 'now' | 'send' | 'browser'>,
  variant: Variant,
  { id, kid, signer, certificate, redirectUri, details, namesMediaType }: KnownClient,
) {
  const prover = newSigner('ES256')
  const codeVerifier = randomBytes(32).toString('base64url')
  const jarm = variant.fapi_response_mode === 'jarm'
  const signed = variant.fapi_request_method === 'signed_non_repudiation'
  const byCertificate = variant.client_auth_type === 'mtls'
  const bound = variant.sender_constrain === 'mtls'
  /** What goes to the address for clients with certificates, and with which. */
  const showing = (needed: boolean, differing?: 'none') =>
    needed ? { certificate: differing ?? certificate } : {}
  /** As the server gave it; none before the first answer. */
  let nonce: string | undefined

  const seconds = () => Math.floor(server.now() / 1000)

  const assertion = (differing?: Differing) =>
    jwtOf(
      {
        signer,
        header: () => ({ kid }),
        claims: {
          iss: id,
          sub: id,
          aud: server.issuer,
          jti: randomBytes(16).toString('hex'),
          iat: seconds(),
          exp: seconds() + 60,
        },
      },
      differing,
    )

  const proof = (
    to: { method: string; path: string; token?: string; origin?: string },
    differing?: Differing,
  ) =>
    jwtOf(
      {
        signer: prover,
        header: (by) => ({ typ: 'dpop+jwt', jwk: by.publicJwk }),
        claims: {
          jti: randomBytes(16).toString('hex'),
          htm: to.method,
          htu: (to.origin ?? server.issuer) + to.path.split('?')[0],
          iat: seconds(),
          ...(nonce === undefined ? {} : { nonce }),
          ...(to.token === undefined ? {} : { ath: sha256(to.token) }),
        },
      },
      differing,
    )

  /** Sends what `make` makes, and once more when the server asks for a nonce, as its clients do. */
  const send = async (make: () => Sending): Promise<Answer> => {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await server.send(make())
      const given = answer.headers['dpop-nonce']
      if (typeof given === 'string') nonce = given
      const asked =
        answer.body?.['error'] === 'use_dpop_nonce' ||
        answer.headers['www-authenticate']?.includes('use_dpop_nonce') === true
      if (!asked || attempt === 2) return answer
    }
  }

  const authentication = ({ assertion: differing, client_id = id }: Authenticating): Form =>
    byCertificate || differing === 'none'
      ? { client_id }
      : {
          client_id,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion(differing),
        }

  const parameters = (change: Members = {}): Members => ({
    client_id: id,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope,
    state: randomBytes(8).toString('hex'),
    code_challenge: sha256(codeVerifier),
    code_challenge_method: 'S256',
    authorization_details: [details()],
    ...(jarm ? { response_mode: 'jwt' } : {}),
    ...change,
  })

  const requestObject = (asked: Members, differing: Differing) =>
    jwtOf(
      {
        signer,
        // Some of the suite's clients name the media type, and some do not.
        header: () => ({ kid, ...(namesMediaType ? { typ: 'oauth-authz-req+jwt' } : {}) }),
        claims: {
          ...asked,
          iss: id,
          aud: server.issuer,
          nbf: seconds(),
          exp: seconds() + 300,
        },
      },
      differing,
    )

  /** The authorization request as this variant pushes it. */
  const request = (asked: Members, object: Pushing['object'] = {}): Form =>
    signed && object !== 'none' ? { request: requestObject(asked, object) } : asText(asked)

  const push = ({
    parameters: change,
    object,
    beside = {},
    proof: differing,
    certificate: shown,
    ...how
  }: Pushing = {}) => {
    const asked = parameters(change)
    const to = { method: 'POST', path: '/oauth/par' }
    const origin = byCertificate ? server.mtlsOrigin : server.issuer
    return send(() => ({
      ...to,
      ...showing(byCertificate, shown),
      headers: differing === undefined ? {} : { DPoP: proof({ ...to, origin }, differing) },
      form: sent({ ...request(asked, object), ...authentication(how), ...beside }),
    }))
  }

  const token = ({ form = {}, proof: differing, certificate: shown, ...how }: Asking) => {
    const to = { method: 'POST', path: '/oauth/token' }
    const origin = byCertificate ? server.mtlsOrigin : server.issuer
    return send(() => ({
      ...to,
      ...showing(byCertificate || bound, shown),
      headers: bound || differing === 'none' ? {} : { DPoP: proof({ ...to, origin }, differing) },
      form: sent({ ...authentication(how), ...form }),
    }))
  }

  const redeem = (code: string, { form = {}, ...asking }: Asking = {}) =>
    token({
      ...asking,
      form: {
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        code_verifier: codeVerifier,
        ...form,
      },
    })

  const client = {
    ...{ id, signer, prover, certificate, codeVerifier, redirectUri, parameters, assertion },
    push,
    token,
    redeem,
    /** Pushes, and gives the reference that it got. */
    async requestUri(pushing?: Pushing): Promise<string> {
      const { status, body } = await push(pushing)
      expect({ status, body }).toMatchObject({ status: 201 })
      return String(body?.['request_uri'])
    },
    /** Takes a browser to the authorization endpoint, as the suite does: with its parameters beside the reference. */
    open: (
      requestUri: string,
      { browser = server.browser(), query = {} }: { browser?: PageBrowser; query?: Form } = {},
    ) => openAt(browser, { ...asText(parameters()), request_uri: requestUri, ...query }),
    /** What the user of the suite does, until the browser is back or stopped. */
    authorize: async (
      requestUri: string,
      {
        decide = 'approve',
        query = {},
        browser = server.browser(),
      }: { decide?: Deciding; query?: Form; browser?: PageBrowser } = {},
    ): Promise<Ended> => {
      const first = await client.open(requestUri, { browser, query })
      const last = first.status === 200 ? await walk(browser, first, decide) : first
      return answered(last, { server, id, redirectUri, jarm })
    },
    /** What an address at which a browser came back says. */
    async answerAt(location: string): Promise<Readonly<Record<string, string>>> {
      const visit = { status: 303, location, text: '', headers: {} }
      const ended = await answered(visit, { server, id, redirectUri, jarm })
      return 'answer' in ended ? ended.answer : {}
    },
    /** The code of a request that the user approved. */
    async code(pushing?: Pushing): Promise<string> {
      const ended = await client.authorize(await client.requestUri(pushing))
      if ('page' in ended) throw new Error(`no answer, but a page: ${ended.page.status}`)
      expect(ended.answer).toMatchObject({ code: expect.any(String), iss: server.issuer })
      return ended.answer['code'] ?? ''
    },
    async tokens(pushing?: Pushing): Promise<Tokens> {
      return tokensOf(await redeem(await client.code(pushing)))
    },
    refresh: (tokens: Tokens, { form = {}, ...asking }: Asking = {}) =>
      token({
        ...asking,
        form: {
          ...{ grant_type: 'refresh_token', refresh_token: tokens.refresh_token, scope },
          ...form,
        },
      }),
    /** Calls the resource with a token. */
    read(
      { access_token, token_type }: Tokens,
      { method = 'GET', path = '/fdx/v6/accounts', ...reading }: Reading = {},
    ): Promise<Answer> {
      const { scheme = token_type, headers = {}, proof: differing, sent: resent } = reading
      const { certificate: shown } = reading
      return send(() => {
        const made =
          bound || differing === 'none'
            ? undefined
            : proof({ method, path, token: access_token }, differing)
        return {
          ...{ method, path, ...showing(bound, shown) },
          headers: {
            ...headers,
            Authorization: `${scheme} ${access_token}`,
            ...(made === undefined ? {} : { DPoP: resent?.(made) ?? made }),
          },
        }
      })
    },
  }
  return client
}

/** The first client is known by a name in a certificate of the authority, the second by a certificate of its own making. */
const authenticationOf = (
  { client_auth_type }: Variant,
  isFirst: boolean,
): Recipient['authentication'] => {
  if (client_auth_type === 'private_key_jwt') return { method: 'private_key_jwt' }
  return isFirst
    ? { method: 'tls_client_auth', subject: { type: 'san_dns', value: certified_name } }
    : { method: 'self_signed_tls_client_auth' }
}

const certified_name = 'client.suite.example'

const certificateFor = ({ authority }: Peer, isFirst: boolean): Certified =>
  isFirst
    ? makeCertificate({ subject: named('first'), dns: [certified_name] }, authority)
    : makeCertificate({ subject: named('second') })

/** A JWT as it is right, and as it differs. */
function jwtOf(
  { signer, header, claims }: { signer: Signer; header: (by: Signer) => Members; claims: Members },
  differing: Differing = {},
): string {
  const by = differing.signer ?? signer
  const made = by.sign({
    header: { alg: by.alg, ...header(by), ...differing.header },
    claims: { ...claims, ...differing.claims },
  })
  return differing.text?.(made) ?? made
}

const detailsOf = (bank: string, { id }: Recipient) => ({
  type: 'fdx_v1.0',
  consentRequest: {
    durationType: 'TIME_BOUND',
    durationPeriod: 90,
    lookbackPeriod: 90,
    resources: [
      { resourceType: 'ACCOUNT', dataClusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'] },
    ],
  },
  bank,
  purpose,
  delivery: 'in_thread',
  profile: {
    page_id: `page.${id}`,
    psid: randomBytes(8).toString('hex'),
    display_name: 'Suite User',
  },
})

/** Parameters as a form has them: what is not text is JSON. */
const asText = (members: Members): Form =>
  Object.fromEntries(
    Object.entries(members).map(([name, value]) => [
      name,
      value === undefined || typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )

/** Leaves out what a test has set to undefined. */
const sent = (members: Form): Record<string, string> =>
  Object.fromEntries(
    Object.entries(members).filter((member): member is [string, string] => member[1] !== undefined),
  )

const openAt = (browser: PageBrowser, query: Form): Promise<Visit> =>
  browser.get(`/oauth/authorize?${new URLSearchParams(sent(query))}`)

/** From the first page to where the last form leads. */
async function walk(browser: PageBrowser, first: Visit, decide: Deciding): Promise<Visit> {
  if (decide === 'cancel') return browser.press(first, 'cancel')
  const login = new URL((await browser.press(first, 'continue')).location).searchParams
  const back = new URLSearchParams({
    state: login.get('state') ?? '',
    ...(decide === 'cancel_at_bank'
      ? { error: 'access_denied' }
      : { code: randomBytes(8).toString('hex') }),
  })
  const returned = await browser.get(`/banks/${login.get('bank')}/callback?${back}`)
  return decide === 'cancel_at_bank'
    ? returned
    : browser.press(await browser.get('/oauth/authorize/disclosure'), decide)
}

/** A redirect to the client, taken apart: with 303, to its own address and nowhere else, and never a fragment. */
async function answered(
  visit: Visit,
  {
    server,
    id,
    redirectUri,
    jarm,
  }: {
    server: Pick<Peer, 'issuer' | 'now' | 'send'>
    id: string
    redirectUri: string
    jarm: boolean
  },
): Promise<Ended> {
  if (visit.location === '') return { page: visit }
  expect(visit.status).toBe(303)
  expect(visit.location).toMatch(/^[^#]+$/)
  expect(visit.location.startsWith(redirectUri)).toBe(true)
  const own = new URL(redirectUri).searchParams
  const all = [...new URL(visit.location).searchParams]
  const sentBack = Object.fromEntries(all.filter(([name]) => !own.has(name)))
  const answer = jarm ? await signedAnswer(server, { sentBack, id }) : sentBack
  return { answer, to: visit.location }
}

/** What a JARM response says, verified with the published keys by a library of others. */
async function signedAnswer(
  server: Pick<Peer, 'issuer' | 'now' | 'send'>,
  { sentBack, id }: { sentBack: Readonly<Record<string, string>>; id: string },
): Promise<Record<string, string>> {
  expect(Object.keys(sentBack)).toEqual(['response'])
  const { body } = await server.send({ method: 'GET', path: '/oauth/jwks' })
  const keys = createLocalJWKSet(body as unknown as JSONWebKeySet)
  const { payload } = await jwtVerify(sentBack['response'] ?? '', keys, {
    algorithms: ['ES256'],
    audience: id,
    issuer: server.issuer,
    currentDate: new Date(server.now()),
    requiredClaims: ['exp'],
  })
  const { aud, exp, ...answer } = payload
  expect(exp).toBeGreaterThan(server.now() / 1000)
  expect(aud).toBe(id)
  return answer as Record<string, string>
}

/** The tokens of a token response that is as the suite wants it. */
export function tokensOf({ status, headers, body }: Answer): Tokens {
  expect({ status, body }).toMatchObject({ status: 200 })
  expect(headers['cache-control']).toBe('no-store')
  expect(body).toMatchObject({
    access_token: expect.stringMatching(/^.{22,}$/),
    expires_in: expect.any(Number),
    authorization_details: [{ type: 'fdx_v1.0' }],
  })
  expect(body).not.toHaveProperty('id_token')
  return body as unknown as Tokens
}

/** The characters of an `error_description` (RFC 6749 §4.1.2.1, §5.2). */
export const description = /^[ !#-[\]-~]+$/

/** An error of the token or the PAR endpoint, in JSON. */
export function expectError(
  { status, headers, body, text }: Answer,
  expected: { status: number | readonly number[]; error: string | readonly string[] },
): void {
  expect([expected.status].flat()).toContain(status)
  expect(headers['content-type']).toMatch(/^application\/json\b/)
  expect(headers['cache-control']).toBe('no-store')
  expect([expected.error].flat()).toContain(body?.['error'])
  expect(body?.['error_description']).toMatch(description)
  expect(text).not.toMatch(/<html|at .*\.ts:/)
}

/** A page that says what is wrong with the request, and leads nowhere. */
export function expectPage(ended: Ended): void {
  if (!('page' in ended)) throw new Error(`an answer went to ${ended.to}`)
  const { status, location, text, headers } = ended.page
  expect({ status, location }).toEqual({ status: 400, location: '' })
  expect(headers['content-type']).toMatch(/^text\/html/)
  expect(text).toContain('This link does not work')
}
