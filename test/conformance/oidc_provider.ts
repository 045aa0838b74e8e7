import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { generateKeyPair, exportJWK } from 'jose'
import { errors, Provider, type Configuration } from 'oidc-provider'
import { makeCertificate, named } from '../../sandbox/certificates.ts'
import { openOidcStore } from '../../sandbox/banks/oidc_store.ts'
import type { PageBrowser } from '../support/page_browser.ts'
import { portOf, sendTo } from './server_under_test.ts'
import { scope, type Peer } from './suite.ts'

const details_type = 'fdx_v1.0'
const algorithms = ['ES256', 'PS256', 'EdDSA'] as const
const resource = 'https://resource.example/fdx/v6'

/**
 * The peer: oidc-provider in its FAPI 2.0 configuration, made as strict as it can be made, at the same paths as ours, with a
 * customer who approves at once.
 */
const configuration: Configuration = {
  routes: {
    authorization: '/oauth/authorize',
    pushed_authorization_request: '/oauth/par',
    token: '/oauth/token',
    jwks: '/oauth/jwks',
  },
  scopes: [...scope.split(' '), 'grant_management_query', 'offline_access'],
  responseTypes: ['code'],
  clientAuthMethods: ['private_key_jwt'],
  pkce: { required: () => true },
  enabledJWA: {
    clientAuthSigningAlgValues: algorithms,
    dPoPSigningAlgValues: algorithms,
    requestObjectSigningAlgValues: algorithms,
    authorizationSigningAlgValues: ['ES256'],
    idTokenSigningAlgValues: ['ES256'],
  },
  clientBasedCORS: () => false,
  rotateRefreshToken: false,
  issueRefreshToken: () => true,
  expiresWithSession: () => false,
  ttl: {
    AccessToken: 300,
    AuthorizationCode: 60,
    ClientCredentials: 300,
    Grant: 3_600,
    IdToken: 300,
    Interaction: 300,
    PushedAuthorizationRequest: 300,
    RefreshToken: 3_600,
    Session: 300,
  },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  features: {
    devInteractions: { enabled: false },
    userinfo: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    fapi: { enabled: true, profile: '2.0' },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    requestObjects: { enabled: true },
    jwtResponseModes: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({
        scope:
          'fdx:accountbasic:read fdx:balances:read fdx:transactions:read grant_management_query',
        audience: resource,
        accessTokenTTL: 300,
        accessTokenFormat: 'opaque',
      }),
    },
    richAuthorizationRequests: {
      enabled: true,
      types: {
        [details_type]: {
          validate(_, { bank }) {
            if (typeof bank !== 'string') throw new errors.InvalidAuthorizationDetails('no bank')
          },
        },
      },
      authorizationDetailsForGrantSource: ({ oidc }) => oidc.entities.Grant?.rar,
      authorizationDetailsForAccessToken: (_, __, source) => source?.rar,
    },
  },
}

/** The peer, listening. */
export interface OidcProvider extends Peer {
  close(): Promise<void>
}

export async function openOidcProvider(): Promise<OidcProvider> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${portOf(server)}`
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const { adapter } = await openOidcStore()
  const provider = new Provider(issuer, {
    ...configuration,
    adapter,
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig' }] },
    cookies: { keys: ['of a test'] },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  })
  const answer = provider.callback()
  server.on('request', (req, res) => {
    if (req.url?.startsWith('/interaction/') === true) void approve(provider, req, res)
    else void answer(req, res)
  })
  return {
    ...{ issuer, mtlsOrigin: issuer },
    authority: makeCertificate({ subject: named('unused'), usage: 'authority' }),
    bank: 'first-bank',
    now: Date.now,
    send: (sending) => sendTo({ port: portOf(server) }, sending),
    register: ({ id, jwks, redirectUris, binding, signedRequests, scopes }) =>
      adapter('Client').upsert(id, {
        client_id: id,
        jwks: { keys: (jwks?.keys ?? []).map((key) => ({ ...key })) },
        redirect_uris: [...redirectUris],
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        id_token_signed_response_alg: 'ES256',
        authorization_signed_response_alg: 'ES256',
        require_signed_request_object: signedRequests,
        dpop_bound_access_tokens: binding === 'dpop',
        authorization_details_types: [details_type],
        scope: `${scope} ${scopes.join(' ')}`,
      }),
    browser: () => browserAt(issuer),
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** The customer logs in, and consents to everything that is asked. */
async function approve(
  provider: Provider,
  req: Parameters<Provider['interactionDetails']>[0],
  res: Parameters<Provider['interactionDetails']>[1],
): Promise<void> {
  const { params, prompt } = await provider.interactionDetails(req, res)
  const login = { accountId: 'customer' }
  if (prompt.name === 'login') return provider.interactionFinished(req, res, { login })
  const grant = new provider.Grant({ accountId: 'customer', clientId: String(params['client_id']) })
  const { scope: asked = '', authorization_details: text = '[]' } = params
  if (typeof asked !== 'string' || typeof text !== 'string') throw new TypeError('no parameters')
  grant.addOIDCScope(asked)
  grant.addResourceScope(resource, asked)
  const details: unknown = JSON.parse(text)
  for (const detail of Array.isArray(details) ? details : []) grant.addRar(detail)
  const grantId = await grant.save()
  return provider.interactionFinished(
    req,
    res,
    { consent: { grantId } },
    { mergeWithLastSubmission: true },
  )
}

/** A browser that goes on by itself until it has left for the client, or stands before an error. */
const browserAt = (issuer: string): PageBrowser => {
  const cookies = new Map<string, string>()
  return {
    cookies,
    async get(path) {
      let url = new URL(path, issuer)
      for (let hops = 0; hops < 20; hops += 1) {
        const response = await fetch(url, {
          redirect: 'manual',
          headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        })
        for (const line of response.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
          cookies.set(name, value)
        }
        const { status } = response
        const location = response.headers.get('location') ?? ''
        if (location !== '') url = new URL(location, url)
        if (location === '' || url.origin !== issuer)
          return { status, location, headers: {}, text: await response.text() }
      }
      throw new Error('the browser goes round in circles')
    },
    press: () => Promise.reject(new Error('the customer approves by herself')),
  }
}
