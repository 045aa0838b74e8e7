/** Requests in one window, by what is counted: the address they come from, before anything is read, or the client, once it is known. */
export interface Budget {
  readonly address?: number
  readonly client?: number
}

/** How long a window is, seconds. It begins with its first request. */
export const window_s = 60

const groups = {
  /** Data for recipients: 500 a second from one recipient, or from one of its addresses. */
  data: { address: 30_000, client: 30_000 },
  /** Whether a token is good: asked by resource servers at each call of theirs. */
  introspection: { address: 30_000, client: 30_000 },
  /** Everything else that clients call, and what is named nowhere. */
  calls: { address: 6_000, client: 6_000 },
  /** What auditors ask: most of it is an entry in the ledger. */
  audit: { address: 1_200, client: 600 },
  /** Ending access, and a customer's way there. Counted by itself, so that no other traffic can use it up, and by client never. */
  revocation: { address: 6_000 },
  /** The other pages. Many customers share the address of a mobile network. */
  pages: { address: 3_000 },
  /** What was recorded of a customer's connection, and its proofs: each is a search, or many hashes. */
  record: { address: 600 },
  /** What is public and the same for everyone, most of it from a cache. */
  files: { address: 12_000 },
  /** For whoever runs the broker. */
  operation: {},
} as const satisfies Readonly<Record<string, Budget>>

export type RateLimitGroup = keyof typeof groups

/** Every limit, in requests a window. What is not named is not limited. `RATE_LIMITS_FILE` changes figures, never routes. */
export const rateLimits: Readonly<Record<RateLimitGroup, Budget>> = groups

export function isRateLimitGroup(name: string): name is RateLimitGroup {
  return Object.hasOwn(rateLimits, name)
}

/** How a path answers: problem documents (at FDX with the interaction's id), OAuth's errors, or pages. */
export type Surface = 'fdx' | 'resource' | 'oauth' | 'page'

export interface RouteFacts {
  readonly group: RateLimitGroup
  readonly surface: Surface
}

/** The first that matches holds. No method: all of them. */
const routes: readonly (RouteFacts & { readonly method?: string; readonly path: RegExp })[] = [
  { path: /^\/(health|metrics)$/, group: 'operation', surface: 'resource' },
  { path: /^\/fdx\/v6\/accounts(\/|$)/, group: 'data', surface: 'fdx' },
  {
    ...{ method: 'PUT', path: /^\/fdx\/v6\/consents\/[^/]+\/revocation$/ },
    ...{ group: 'revocation', surface: 'fdx' },
  },
  {
    path: /^\/registry\/.+\/(suspension|disablement)$/,
    ...{ group: 'revocation', surface: 'fdx' },
  },
  {
    path: /^\/(fdx\/v6\/consents|consents|deliveries|registry)(\/|$)/,
    group: 'calls',
    surface: 'fdx',
  },
  {
    ...{ method: 'DELETE', path: /^\/oauth\/grants\/[^/]+$/ },
    ...{ group: 'revocation', surface: 'oauth' },
  },
  { path: /^\/oauth\/revoke$/, group: 'revocation', surface: 'oauth' },
  { path: /^\/oauth\/introspect$/, group: 'introspection', surface: 'oauth' },
  { path: /^\/oauth\/authorize(\/|$)/, group: 'pages', surface: 'page' },
  { path: /^\/oauth\/jwks$/, group: 'files', surface: 'oauth' },
  { path: /^\/oauth\//, group: 'calls', surface: 'oauth' },
  { path: /^\/\.well-known\//, group: 'files', surface: 'oauth' },
  { path: /^\/ledger\/[^/]+\/(tile\/entries\/|sum(\/|$))/, group: 'calls', surface: 'resource' },
  { path: /^\/ledger\/[^/]+\/statements$/, group: 'calls', surface: 'resource' },
  { path: /^\/ledger\//, group: 'files', surface: 'resource' },
  { path: /^\/audit\//, group: 'audit', surface: 'resource' },
  { path: /^\/connections\/[^/]+\/entries(\/|$)/, group: 'record', surface: 'page' },
  { path: /^\/connections(\/|$)/, group: 'revocation', surface: 'page' },
  { path: /^\/banks\/[^/]+\/callback$/, group: 'revocation', surface: 'page' },
  { path: /^\/d\/[^/]+\/stop$/, group: 'revocation', surface: 'page' },
  { path: /^\/d\//, group: 'pages', surface: 'page' },
  { path: /^\/console\/assets\//, group: 'files', surface: 'page' },
  { path: /^\/console(\/|$)/, group: 'pages', surface: 'page' },
  { path: /^\/policy$/, group: 'files', surface: 'page' },
  { path: /^\/web\//, group: 'files', surface: 'page' },
]

const otherwise: RouteFacts = { group: 'calls', surface: 'resource' }

/** What a request counts as. A path in a spelling that no route has is `calls`, like any that leads nowhere. */
export function routeFacts(method: string, path: string): RouteFacts {
  return routes.find((one) => one.path.test(path) && (one.method ?? method) === method) ?? otherwise
}
