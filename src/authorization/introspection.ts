import type { Broker } from '../broker/broker.ts'
import { scopeOf } from '../consent/cluster.ts'
import { seenBy, uncovered, type ActiveConsent } from '../consent/consent.ts'
import type { Client } from '../storage/clients.ts'
import { kindOfStanding } from '../storage/client_tokens.ts'
import type { OpeningToken, TokenStanding } from '../storage/token_standing.ts'
import type { AccessToken } from './access_token.ts'
import { admit } from './admit.ts'
import type { Authorization } from './authorization.ts'
import { grantedDetails } from './authorization_details.ts'
import { tokenType } from './binding.ts'
import type { Answer, EndpointRequest } from './endpoint.ts'
import { required } from './form.ts'
import { recognise, type Presented } from './presented_token.ts'

/** The media type of a signed answer (RFC 9701 §5). */
export const signed_type = 'application/token-introspection+jwt'

/**
 * Token introspection (RFC 7662), signed when that is asked for (RFC 9701). A client is told of its own tokens, a resource server
 * of every access token; for anyone else, and for what does not stand at this moment, the answer is `{"active": false}` and tells
 * nothing more (§2.2, §4). Whatever a token says of itself, what stands behind it is read anew: one statement. Throws `OAuthError`.
 */
export async function introspect(
  broker: Broker,
  authorization: Authorization,
  request: EndpointRequest & { readonly signed: boolean },
): Promise<Answer> {
  const { client, headers } = await admit(broker, authorization, request)
  const token = required(request.form, 'token')
  const found = await recognise(broker, authorization, token)
  const told =
    found !== undefined && mayAsk(client, found)
      ? await describe(broker, authorization, { client, token, found })
      : undefined
  const answer = told === undefined ? { active: false } : { active: true, ...told }
  if (!request.signed) return { status: 200, headers, body: answer }
  const { issuer, keys } = authorization
  const jwt = keys.sign('token-introspection+jwt', {
    iss: issuer,
    aud: client.id,
    iat: Math.floor(broker.now() / 1000),
    token_introspection: answer,
  })
  return { status: 200, headers: { ...headers, 'Content-Type': signed_type }, body: jwt }
}

/** A refresh token is for no resource (RFC 7662 §4), and whose it is its row has to say. */
const mayAsk = (client: Client, found: Presented): boolean =>
  'refresh' in found
    ? client.kind === 'recipient'
    : client.kind === 'resource_server' || found.access.clientId === client.id

/** What is told of a token that stands; undefined of one that does not. */
async function describe(
  broker: Broker,
  authorization: Authorization,
  { client, token, found }: { client: Client; token: string; found: Presented },
): Promise<object | undefined> {
  if ('refresh' in found) {
    const { bank } = found.refresh
    const open = await opened(broker, authorization, { bank, token: { refreshToken: token } })
    if (open?.consent.recipient !== client.id) return undefined
    return { ...open.told, iat: seconds(open.given), exp: open.ends }
  }
  const { access } = found
  const told = ofAccessToken(access)
  const { clientId, consentId, jti, bank } = access
  if (consentId === undefined || bank === undefined)
    return (await kindOfStanding(broker.db, access)) !== undefined
      ? { ...ofItself(authorization, access), ...told }
      : undefined
  const asked = { consentId, recipient: clientId, jti }
  const open = await opened(broker, authorization, { bank, token: asked })
  return (
    open && {
      ...open.told,
      aud: authorization.resource,
      ...told,
      exp: Math.min(told.exp, open.ends),
    }
  )
}

/** What an access token alone says, and no row. */
const ofAccessToken = ({ jti, issued, expires, binding }: AccessToken) => ({
  jti,
  iat: issued / 1000,
  exp: expires / 1000,
  token_type: tokenType(binding),
  cnf: binding,
})

const ofItself = ({ issuer }: Authorization, { clientId, scopes, bank }: AccessToken) => ({
  iss: issuer,
  aud: issuer,
  sub: clientId,
  client_id: clientId,
  scope: scopes.join(' '),
  ...(bank === undefined ? {} : { bank }),
})

/** What a token opens at this moment, as the consent's row has it; undefined when nothing of it can be released. */
async function opened(
  broker: Broker,
  { issuer, tokenStanding }: Authorization,
  { bank, token }: { bank: string; token: OpeningToken },
) {
  const standing = await tokenStanding(bank, token)
  const consent = standing && releasable(standing, new Date(broker.now()).toISOString())
  if (standing === undefined || consent === undefined) return undefined
  return {
    consent,
    given: standing.given,
    /** When the consent does, seconds since the epoch. */
    ends: Math.floor(Date.parse(consent.terms.expires) / 1000),
    told: {
      iss: issuer,
      sub: standing.sub,
      client_id: consent.recipient,
      scope: scopeOf(consent.terms.clusters),
      authorization_details: grantedDetails(consent, standing.record.requested),
      bank,
      fdxConsentId: consent.id,
      grant_id: consent.id,
    },
  }
}

/** The consent, when all that it names could be released now: by the predicate behind every release. */
function releasable({ record, approval }: TokenStanding, at: string): ActiveConsent | undefined {
  const { consent } = record
  if (consent.state !== 'active') return undefined
  const { recipient, terms } = consent
  const { clusters, accounts } = terms
  const access = { recipient, to: seenBy(terms, approval), clusters, accounts }
  return uncovered(consent, { access, approval, at }) === undefined ? consent : undefined
}

const seconds = (time: Date | undefined) => time && Math.floor(time.getTime() / 1000)
