import { scopeOf } from '../../src/consent/cluster.ts'
import { approvedPurposes } from '../world.ts'
import type { Certified } from '../certificates.ts'
import type { SuiteClient } from './clients.ts'
import type { Variant } from './plans.ts'

const clusters = ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'] as const

/** Where everything is. */
export interface Place {
  readonly issuer: string
  readonly mtlsOrigin: string
  /** The demo bank that the suite's user logs in at: its id, and the issuer of its login. */
  readonly bank: string
  readonly bankIssuer: string
  /** Whose certificates `tls_client_auth` goes by. */
  readonly authority: Certified
  /** Where the suite receives answers. */
  readonly callback: string
  readonly alias: string
}

/** The suite's configuration for a variant of the two plans with a customer. */
export function configurationOf(
  place: Place,
  variant: Variant,
  [client, client2]: readonly [SuiteClient, SuiteClient],
): object {
  const scope = scopeOf(clusters)
  const at = variant.sender_constrain === 'mtls' ? place.mtlsOrigin : place.issuer
  return {
    ...common(place),
    client: clientOf(client, scope),
    client2: clientOf(client2, scope),
    mtls: mtlsOf(client, place),
    mtls2: mtlsOf(client2, place),
    resource: {
      resourceUrl: `${at}/fdx/v6/accounts`,
      resourceMethod: 'GET',
      richAuthorizationRequest: [
        {
          type: 'fdx_v1.0',
          consentRequest: {
            durationType: 'TIME_BOUND',
            durationPeriod: 90,
            lookbackPeriod: 90,
            resources: [{ resourceType: 'ACCOUNT', dataClusters: clusters }],
          },
          bank: place.bank,
          purpose: approvedPurposes[0],
          delivery: 'in_thread',
          // The suite puts another number and another name in each request: another customer, and so a consent of its own.
          profile: { psid: '${id}', display_name: '${name}' },
        },
      ],
    },
    browser: [authorize(place, walk(place, 'approve'))],
    override: overrides(place),
  }
}

/** The suite's configuration for `fapi_client_credentials_grant`, which needs no browser. */
export function clientCredentialsOf(
  place: Place,
  [client, client2]: readonly [SuiteClient, SuiteClient],
): object {
  return {
    ...common(place),
    client: clientOf(client, 'consents:read'),
    client2: clientOf(client2, 'consents:read'),
    resource: { resourceUrl: `${place.issuer}/consents`, resourceMethod: 'GET' },
  }
}

const common = ({ alias, issuer }: Place) => ({
  alias,
  description: 'Countersign, npm run sandbox:conformance',
  server: { discoveryUrl: `${issuer}/.well-known/oauth-authorization-server` },
})

const clientOf = ({ registered, privateJwk }: SuiteClient, scope: string) => ({
  client_id: registered.id,
  scope,
  jwks: { keys: [privateJwk] },
})

const mtlsOf = ({ certificate: { cert, key } }: SuiteClient, { authority }: Place) => ({
  cert,
  key,
  ca: authority.cert,
})

type Command = readonly (string | number)[]

interface Task {
  readonly task: string
  readonly match: string
  readonly optional?: true
  readonly commands: readonly Command[]
}

/** What the suite's browser does once it is sent to the authorization endpoint; `times` of them, or all. */
const authorize = ({ issuer }: Place, tasks: readonly Task[], times?: number) => ({
  match: `${issuer}/oauth/authorize*`,
  ...(times === undefined ? {} : { 'match-limit': times }),
  tasks,
})

const click = (id: string): Command => ['click', 'id', id]
const type = (id: string, text: string): Command => ['text', 'id', id, text]

/** From our first page over the bank's to the decision, by the ids of the pages' elements. */
const walk = (place: Place, decision: 'approve' | 'decline'): readonly Task[] => [
  {
    task: 'Go on to the bank',
    match: `${place.issuer}/oauth/authorize?*`,
    commands: [click('continue')],
  },
  {
    task: 'Log in at the bank',
    match: `${place.bankIssuer}/interaction/*`,
    commands: [type('username', 'alice'), type('password', 'alice-demo'), click('login')],
  },
  {
    task: 'Choose an account there',
    match: `${place.bankIssuer}/interaction/*`,
    commands: [click('account-1'), click('allow')],
  },
  {
    task: 'Read the disclosure, and decide',
    match: `${place.issuer}/oauth/authorize/disclosure*`,
    commands: [click(decision)],
  },
  arrived(place),
]

const arrived = ({ callback }: Place): Task => ({
  task: 'Back at the suite',
  match: `${callback}*`,
  commands: [['wait', 'id', 'submission_complete', 10]],
})

/** A page that says what is wrong, instead of a redirect: it is shown to the suite as a screenshot would be. */
const seePage = ({ issuer }: Place): Task => ({
  task: 'See what is wrong',
  match: `${issuer}/oauth/authorize*`,
  commands: [['wait', 'id', 'main', 10, '.*This link does not work.*', 'update-image-placeholder']],
})

const seeFirstPage = ({ issuer }: Place): Task => ({
  task: 'Look, and go away again',
  match: `${issuer}/oauth/authorize*`,
  commands: [['wait', 'id', 'continue', 10]],
})

/** Where a module's browser does something else. */
function overrides(place: Place): Record<string, object> {
  const of = (name: string, browser: readonly object[]) => [
    `fapi2-security-profile-final-${name}`,
    { browser },
  ]
  const page = authorize(place, [seePage(place)])
  return Object.fromEntries([
    of('user-rejects-authentication', [authorize(place, walk(place, 'decline'))]),
    of('par-attempt-reuse-request_uri', [authorize(place, walk(place, 'approve'), 1), page]),
    of('par-ensure-reused-request-uri-prior-to-auth-completion-succeeds', [
      authorize(place, [seeFirstPage(place)], 1),
      authorize(place, walk(place, 'approve')),
    ]),
    ...[
      'par-attempt-to-use-expired-request_uri',
      'par-attempt-to-use-request_uri-for-different-client',
      'ensure-unsigned-authorization-request-without-using-par-fails',
    ].map((name) => of(name, [page])),
  ])
}
