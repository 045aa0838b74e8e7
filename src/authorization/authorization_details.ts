import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { clusterNames, type Cluster } from '../consent/cluster.ts'
import type { ActiveConsent } from '../consent/consent.ts'
import { details_type, durationOf, resourcesOf } from '../consent/fdx.ts'
import { deliveries, limits, type Delivery, type RequestedTerms } from '../consent/terms.ts'
import type { Profile } from '../storage/links.ts'
import { OAuthError } from './oauth_error.ts'

const text_chars_max = 4_096

/** Whom a recipient asks for. A recipient with one page need not name it. */
export type AskedProfile = Omit<Profile, 'page_id'> & Partial<Profile>

/** One authorization detail (RFC 9396) as a recipient sends it: FDX's, with a bank, a purpose, a delivery and a profile. */
interface Detail {
  readonly type: typeof details_type
  readonly consentRequest: {
    readonly durationType: 'ONE_TIME' | 'TIME_BOUND'
    readonly durationPeriod?: number
    readonly lookbackPeriod: number
    readonly resources: readonly [
      { readonly resourceType: 'ACCOUNT'; readonly dataClusters: readonly Cluster[] },
    ]
  }
  readonly bank: string
  readonly purpose: string
  readonly delivery?: Delivery
  readonly profile: AskedProfile
}

const object = (properties: object, optional: readonly string[] = []) => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
})

const id = { type: 'string', pattern: '^[A-Za-z0-9._:-]{1,64}$' }

/** Closed at every level, and so bounded in size and depth: what is not named here cannot be sent. */
const schema = {
  type: 'array',
  minItems: 1,
  maxItems: 1,
  items: object(
    {
      type: { const: details_type },
      consentRequest: object(
        {
          durationType: { enum: ['ONE_TIME', 'TIME_BOUND'] },
          durationPeriod: { type: 'integer', minimum: 1, maximum: limits.duration_days_max },
          lookbackPeriod: { type: 'integer', minimum: 0, maximum: limits.lookback_days_max },
          resources: {
            type: 'array',
            minItems: 1,
            maxItems: 1,
            items: object({
              resourceType: { const: 'ACCOUNT' },
              dataClusters: {
                type: 'array',
                minItems: 1,
                uniqueItems: true,
                items: { enum: clusterNames },
              },
            }),
          },
        },
        ['durationPeriod'],
      ),
      bank: { type: 'string', pattern: '^[a-z0-9-]{1,40}$' },
      purpose: { type: 'string', pattern: '^https://[!-~]{1,192}$' },
      delivery: { enum: deliveries },
      profile: object(
        {
          page_id: id,
          psid: id,
          // Shown on our pages, in quotation marks: none of those, no control or line characters, none without a width of its
          // own but the joiner of emoji, and none that turns the direction of what follows.
          display_name: {
            type: 'string',
            pattern:
              '^[^\\p{Cc}"\\u201c-\\u201f\\u200b\\u2028\\u2029\\u2060\\ufeff\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]{1,100}$',
          },
        },
        ['page_id'],
      ),
    },
    ['delivery'],
  ),
}

const validate = new Ajv2020().compile<readonly [Detail]>(schema)

/**
 * What a recipient asks for. `profile` is kept apart: it is never echoed. Throws
 * `OAuthError('invalid_authorization_details')`, naming the member that is wrong.
 */
export function parseAuthorizationDetails(
  text: string,
  recipient: string,
): { terms: RequestedTerms; profile: AskedProfile } {
  const value = parseJson(text)
  if (!validate(value)) throw invalid(describe(validate.errors?.[0]))
  const [{ consentRequest, bank, purpose, delivery = 'link_out', profile }] = value
  return {
    terms: {
      recipient,
      bank,
      clusters: clusterNames.filter((name) =>
        consentRequest.resources[0].dataClusters.includes(name),
      ),
      purpose,
      lookback_days: consentRequest.lookbackPeriod,
      one_time: consentRequest.durationType === 'ONE_TIME',
      duration_days: consentRequest.durationPeriod ?? limits.duration_days_default,
      delivery,
    },
    profile,
  }
}

/** What was granted, as tokens and grants show it: the accounts by their handles, and never the profile. */
export function grantedDetails(
  { id: consentId, terms }: ActiveConsent,
  requested: RequestedTerms,
): object[] {
  return [
    {
      type: details_type,
      consentId,
      consentRequest: {
        ...durationOf({ one_time: terms.one_time, duration_days: requested.duration_days }),
        lookbackPeriod: terms.lookback_days,
        resources: resourcesOf(terms),
      },
      bank: requested.bank,
      purpose: terms.purpose,
      delivery: terms.delivery,
    },
  ]
}

function parseJson(text: string): unknown {
  if (text.length > text_chars_max) throw invalid(`is longer than ${text_chars_max} characters`)
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('is not JSON')
  }
}

/** The path holds names of the schema and indexes only, and no message anything that was sent. */
function describe(error: ErrorObject | undefined): string {
  const what = error?.keyword === 'pattern' ? 'is not of the form it has' : error?.message
  return `${error?.instancePath ?? ''} ${what ?? 'is not valid'}`.trim().replaceAll('"', "'")
}

const invalid = (why: string) =>
  new OAuthError('invalid_authorization_details', `authorization_details ${why}`)
