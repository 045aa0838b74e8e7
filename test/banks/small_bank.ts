import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  EmbeddedJWK,
  SignJWT,
  calculateJwkThumbprint,
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  type JWK,
} from 'jose'
import type { DirectoryBank } from '../../src/banks/directory.ts'
import { closed, listening } from '../support/listening.ts'

/** A request as the bank got it. */
export interface Heard {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly form: URLSearchParams
}

type Answer = (heard: Heard, res: ServerResponse) => Promise<void> | void

/**
 * A bank of one customer and few manners: it checks what our side must get right (client assertion, PKCE, DPoP) and lets a
 * test bend any answer of its own. For how a real authorization server behaves there is the demo bank.
 */
export async function smallBank(clientKeys: readonly JWK[]) {
  const heard: Heard[] = []
  const bent = new Map<string, Answer>()
  const pushed = new Map<string, URLSearchParams>()
  const codes = new Map<string, { request: URLSearchParams; jkt: string | undefined }>()
  const server = createServer((req, res) => void answer(req, res))
  const issuer = `http://127.0.0.1:${await listening(server)}`
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const metadata: Record<string, unknown> = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    pushed_authorization_request_endpoint: `${issuer}/par`,
    revocation_endpoint: `${issuer}/revoke`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    authorization_details_types_supported: ['fdx_v1.0'],
    authorization_response_iss_parameter_supported: true,
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA'],
    id_token_signing_alg_values_supported: ['ES256'],
  }
  const bank: DirectoryBank = {
    id: 'small-bank',
    legalName: 'Small Bank',
    lei: '7H6GLXDRUGQFU57RNE97',
    issuer,
    fdxBaseUrl: `${issuer}/fdx/v6`,
    key: {},
    hosts: [new URL(issuer).host],
  }
  let claims: object = {}
  let issued: object = {}
  let signIdentity = (token: SignJWT): Promise<string> =>
    token.setProtectedHeader({ alg: 'ES256' }).sign(privateKey)

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '', issuer)
    const body = Buffer.concat(await req.toArray()).toString()
    const one: Heard = {
      method: req.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: req.headers,
      form: new URLSearchParams(body),
    }
    heard.push(one)
    const own = bent.get(one.path) ?? answers[one.path]
    try {
      if (own === undefined) json(res, 404, {})
      else await own(one, res)
    } catch (error) {
      json(res, 400, { error: 'invalid_request', error_description: String(error) })
    }
  }

  const answers: Record<string, Answer> = {
    '/.well-known/openid-configuration': (_, res) => json(res, 200, metadata),
    '/jwks': async (_, res) => json(res, 200, { keys: [await exportJWK(publicKey)] }),
    '/par': async ({ form, headers }, res) => {
      await checkClient(form, headers)
      const uri = `urn:ietf:params:oauth:request_uri:${randomUUID()}`
      pushed.set(uri, form)
      json(res, 201, { request_uri: uri, expires_in: 60 })
    },
    '/token': async ({ form, headers }, res) => {
      await checkClient(form, headers)
      const jkt = await thumbprint(headers, '/token', 'POST')
      if (form.get('grant_type') === 'refresh_token') return json(res, 200, tokens('refreshed'))
      const granted = codes.get(form.get('code') ?? '')
      codes.delete(form.get('code') ?? '')
      const verifier = createHash('sha256').update(form.get('code_verifier') ?? '')
      if (
        granted?.request.get('code_challenge') !== verifier.digest('base64url') ||
        granted.jkt !== jkt
      )
        return json(res, 400, { error: 'invalid_grant' })
      const identity = new SignJWT({
        iss: issuer,
        aud: form.get('client_id') ?? '',
        iat: seconds(),
        exp: seconds() + 300,
        sub: 'customer-1',
        nonce: granted.request.get('nonce'),
        acr: 'urn:bank:password',
        auth_time: seconds(),
        ...claims,
      })
      const id_token = await signIdentity(identity)
      json(res, 200, { ...tokens('first'), ...issued, id_token })
    },
    '/revoke': async ({ form, headers }, res) => {
      await checkClient(form, headers)
      res.writeHead(200).end()
    },
  }

  /** FAPI 2.0: the assertion's audience is the issuer, as a string. */
  async function checkClient(form: URLSearchParams, headers: IncomingMessage['headers']) {
    if (headers['x-client-certificate'] !== undefined) return
    const { payload } = await jwtVerify(
      form.get('client_assertion') ?? '',
      createLocalJWKSet({ keys: [...clientKeys] }),
      { audience: issuer, issuer: form.get('client_id') ?? '', requiredClaims: ['jti', 'exp'] },
    )
    if (payload.aud !== issuer) throw new Error('aud is not the issuer')
  }

  async function thumbprint(headers: IncomingMessage['headers'], path: string, method: string) {
    if (metadata['dpop_signing_alg_values_supported'] === undefined) return undefined
    const { payload, protectedHeader } = await jwtVerify(String(headers['dpop']), EmbeddedJWK, {
      typ: 'dpop+jwt',
      maxTokenAge: 60,
      clockTolerance: 5,
    })
    if (payload['htm'] !== method || payload['htu'] !== issuer + path)
      throw new Error('wrong proof')
    return calculateJwkThumbprint(protectedHeader.jwk ?? {})
  }

  return {
    bank,
    metadata,
    heard,
    heardAt: (path: string) => heard.filter((one) => one.path === path),
    /** What the browser brings back when the customer agreed; `dpop` is the header of the pushed request. */
    async agree(url: string, changes: Record<string, string | undefined> = {}): Promise<URL> {
      const asked = new URL(url).searchParams
      const request = asked.has('state') ? asked : pushed.get(asked.get('request_uri') ?? '')
      const proof = heard.findLast(({ path }) => path === '/par')
      if (request === undefined) throw new Error('nothing was pushed')
      const code = randomUUID()
      codes.set(code, { request, jkt: await thumbprint(proof?.headers ?? {}, '/par', 'POST') })
      const callback = new URL(request.get('redirect_uri') ?? '')
      const answered = { code, state: request.get('state') ?? '', iss: issuer, ...changes }
      for (const [name, value] of Object.entries(answered))
        if (value !== undefined) callback.searchParams.set(name, value)
      return callback
    },
    /** Answers a path in this way from now on; without one as it should. */
    bend(path: string, own?: Answer) {
      if (own === undefined) bent.delete(path)
      else bent.set(path, own)
    },
    /** Claims of id tokens from now on, and how they are signed. */
    assertIdentity(wanted: object, sign: typeof signIdentity = signIdentity) {
      claims = wanted
      signIdentity = sign
    },
    /** Changes what comes with the id token. */
    issue(wanted: object) {
      issued = wanted
    },
    close: () => closed(server),
  }
}

export type SmallBank = Awaited<ReturnType<typeof smallBank>>

export const seconds = () => Math.floor(Date.now() / 1000)

export function json(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export const tokens = (name: string) => ({
  access_token: `${name}-access`,
  refresh_token: `${name}-refresh`,
  token_type: 'DPoP',
  expires_in: 300,
})
