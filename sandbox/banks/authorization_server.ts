import { randomBytes } from 'node:crypto'
import type { JWK } from 'jose'
import { Provider, errors, interactionPolicy } from 'oidc-provider'
import type { AdapterFactory, AuthorizationDetail, Configuration } from 'oidc-provider'
import { consent_type, isGrantedDetail, isRequestedDetail } from './consent_grant.ts'
import { errorPage, loggedOutPage, logoutPage } from './pages.tsx'
import type { Brand } from './pages.tsx'
import type { StaffMember } from './staff.ts'

/** The broker as the bank registered it: an OAuth client with its public keys. */
export interface BrokerClient {
  readonly clientId: string
  readonly jwks: { readonly keys: readonly JWK[] }
  readonly redirectUri: string
  /** The same broker for logins of the bank's staff: a client of its own, which knows no accounts. */
  readonly staff?: {
    readonly clientId: string
    readonly redirectUri: string
    /** Where browsers go after a logout. */
    readonly loggedOutUri: string
  }
}

/** FDX allows 900 s. */
const access_token_s = 300
const login_s = 3600
/** A login that asks for the customer's identity only leaves a grant that nothing can be fetched with. */
const identity_grant_s = 3600

/** The authentication context that the banks assert: a password alone. */
export const acr = 'urn:countersign:demo-bank:password'

/**
 * A bank's authorization server: oidc-provider under FAPI 2.0. Requests are pushed and carry a PKCE S256 challenge, the client
 * authenticates with private_key_jwt, access tokens are opaque and bound to a DPoP key, id tokens are ES256 with `acr` and
 * `auth_time`. A refresh token lives as long as the bank's consent and does not rotate; a ONE_TIME consent has none.
 */
export function authorizationServer({
  brand,
  issuer,
  resource,
  signingKey,
  adapter,
  staff,
}: {
  brand: Brand & { readonly id: string }
  issuer: string
  /** The data API, which all access tokens are for. */
  resource: string
  /** Private, ES256: signs id tokens. */
  signingKey: JWK
  adapter: AdapterFactory
  staff: readonly StaffMember[]
}): Provider {
  return new Provider(issuer, {
    adapter,
    jwks: { keys: [signingKey] },
    ...protocol,
    features: { ...features, ...dataAccess(resource), ...logout(brand) },
    interactions: { policy: everyLoginFresh(), url: (_, { uid }) => `/interaction/${uid}` },
    // Cookies know no ports, and the four banks share a host.
    cookies: {
      names: {
        session: `${brand.id}_session`,
        interaction: `${brand.id}_interaction`,
        resume: `${brand.id}_resume`,
      },
      keys: [randomBytes(32).toString('base64url')],
    },
    findAccount: (_, sub) => {
      const { name, roles } = staff.find(({ staffId }) => staffId === sub) ?? {}
      return { accountId: sub, claims: () => ({ sub, ...(roles && { name, roles: [...roles] }) }) }
    },
    // One grant a consent: ending one leaves the customer's others.
    loadExistingGrant: ({ oidc }) => {
      const grantId = oidc.result?.consent?.grantId
      return grantId === undefined ? undefined : oidc.provider.Grant.find(grantId)
    },
    renderError(ctx, out) {
      ctx.type = 'html'
      ctx.body = errorPage(brand, out.error_description ?? out.error)
    },
  })
}

/** Registers the broker in the store of a bank's authorization server. */
export async function registerBroker(
  adapter: AdapterFactory,
  { clientId, jwks, redirectUri, staff }: BrokerClient,
): Promise<void> {
  const both = {
    client_name: 'Countersign',
    jwks: { keys: jwks.keys.map((key) => ({ ...key })) },
    response_types: ['code' as const],
    token_endpoint_auth_method: 'private_key_jwt' as const,
    id_token_signed_response_alg: 'ES256' as const,
    dpop_bound_access_tokens: true,
  }
  await adapter('Client').upsert(clientId, {
    ...both,
    client_id: clientId,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    authorization_details_types: [consent_type],
  })
  if (staff === undefined) return
  await adapter('Client').upsert(staff.clientId, {
    ...both,
    client_id: staff.clientId,
    redirect_uris: [staff.redirectUri],
    post_logout_redirect_uris: [staff.loggedOutUri],
    grant_types: ['authorization_code'],
  })
}

const asymmetric = ['ES256', 'PS256', 'EdDSA', 'Ed25519'] as const

const protocol = {
  scopes: ['openid', 'offline_access'],
  claims: { openid: ['sub', 'acr', 'auth_time', 'name', 'roles'] },
  // What is said of the staff is in the signed answer: nothing is fetched with their access tokens.
  conformIdTokenClaims: false,
  acrValues: [acr],
  responseTypes: ['code'],
  clientAuthMethods: ['private_key_jwt'],
  pkce: { required: () => true },
  enabledJWA: {
    clientAuthSigningAlgValues: asymmetric,
    dPoPSigningAlgValues: asymmetric,
    idTokenSigningAlgValues: ['ES256'],
  },
  clientBasedCORS: () => false,
  expiresWithSession: () => false,
  rotateRefreshToken: false,
  issueRefreshToken: (_, __, { rar: [detail] = [] }) =>
    isGrantedDetail(detail) && detail.consentGrant.durationType === 'TIME_BOUND',
  ttl: {
    AccessToken: access_token_s,
    AuthorizationCode: 60,
    IdToken: access_token_s,
    Interaction: login_s,
    Session: login_s,
    Grant: (_, { rar }) => secondsLeft(rar) ?? identity_grant_s,
    RefreshToken: (_, { rar }) => secondsLeft(rar) ?? identity_grant_s,
  },
} satisfies Configuration

const features = {
  devInteractions: { enabled: false },
  userinfo: { enabled: false },
  fapi: { enabled: true, profile: '2.0' },
  pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
  dPoP: { enabled: true },
  revocation: {
    enabled: true,
    allowedPolicy: (_, client, token) => token.clientId === client.clientId,
  },
} satisfies Configuration['features']

/** A page of the bank's own, on which its staff end their login. */
const logout = (brand: Brand) =>
  ({
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        ctx.body = logoutPage(brand, form)
      },
      postLogoutSuccessSource(ctx) {
        ctx.body = loggedOutPage(brand)
      },
    },
  }) satisfies Configuration['features']

const dataAccess = (resource: string) =>
  ({
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: (_, wanted) => {
        if (wanted !== resource) throw new errors.InvalidTarget()
        return {
          scope: '',
          audience: resource,
          accessTokenTTL: access_token_s,
          accessTokenFormat: 'opaque',
        }
      },
    },
    richAuthorizationRequests: {
      enabled: true,
      types: {
        [consent_type]: {
          validate(_, detail) {
            if (!isRequestedDetail(detail))
              throw new errors.InvalidAuthorizationDetails('not a consent request')
          },
        },
      },
      // Tokens carry what the customer agreed to, never merely what was asked.
      authorizationDetailsForGrantSource: ({ oidc }) => oidc.entities.Grant?.rar,
      authorizationDetailsForAccessToken: (_, __, source) => source?.rar,
    },
  }) satisfies Configuration['features']

/** How long the bank's consent still stands, or undefined where there is none. */
function secondsLeft([detail]: readonly AuthorizationDetail[] = []): number | undefined {
  if (!isGrantedDetail(detail)) return undefined
  const left_ms = Date.parse(detail.consentGrant.expirationTime) - Date.now()
  return Math.max(1, Math.floor(left_ms / 1000))
}

/** A login is for one request: an earlier one in the same browser is forgotten, so `auth_time` is this request's. */
function everyLoginFresh() {
  const { Check, base } = interactionPolicy
  const policy = base()
  policy.get('login')?.checks.add(
    new Check('fresh_login', 'each request needs a login of its own', ({ oidc }) => {
      if (oidc.result?.login !== undefined) return Check.NO_NEED_TO_PROMPT
      delete oidc.session?.accountId
      return Check.REQUEST_PROMPT
    }),
  )
  return policy
}
