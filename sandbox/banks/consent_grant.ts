import { randomUUID } from 'node:crypto'
import { Ajv2020 } from 'ajv/dist/2020.js'

/** FDX ConsentRequest: what the broker asks for, in one `authorization_details` member of type `fdx_v1.0`. */
export interface ConsentRequest extends ConsentTerms {
  readonly resources: readonly Resource[]
}

/** FDX ConsentGrant: the bank's own consent. The bank serves what it names, whatever the token's holder asks for. */
export interface ConsentGrant extends ConsentTerms {
  readonly id: string
  readonly status: 'ACTIVE'
  /** RFC 3339, UTC. */
  readonly createdTime: string
  readonly expirationTime: string
  /** `resourceId` is the account's id. */
  readonly resources: readonly (Resource & { readonly resourceId: string })[]
}

interface ConsentTerms {
  readonly durationType: 'ONE_TIME' | 'TIME_BOUND'
  /** Days; a ONE_TIME consent lasts one. */
  readonly durationPeriod?: number
  /** Days before the request. */
  readonly lookbackPeriod: number
}

interface Resource {
  readonly resourceType: 'ACCOUNT'
  readonly dataClusters: readonly string[]
}

export const consent_type = 'fdx_v1.0'

/** What the broker pushes. */
export interface RequestedDetail {
  readonly type: typeof consent_type
  readonly consentRequest: ConsentRequest
}

/** What the bank's tokens carry and its token answers echo. */
export interface GrantedDetail extends RequestedDetail {
  readonly consentGrant: ConsentGrant
}

const requestedSchema = {
  type: 'object',
  required: ['type', 'consentRequest'],
  additionalProperties: false,
  properties: {
    type: { const: consent_type },
    consentRequest: {
      type: 'object',
      required: ['durationType', 'lookbackPeriod', 'resources'],
      additionalProperties: false,
      properties: {
        durationType: { enum: ['ONE_TIME', 'TIME_BOUND'] },
        durationPeriod: { type: 'integer', minimum: 1, maximum: 365 },
        lookbackPeriod: { type: 'integer', minimum: 0, maximum: 730 },
        resources: {
          type: 'array',
          minItems: 1,
          items: {
            type: 'object',
            required: ['resourceType', 'dataClusters'],
            additionalProperties: false,
            properties: {
              resourceType: { const: 'ACCOUNT' },
              dataClusters: {
                type: 'array',
                minItems: 1,
                items: { enum: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS', 'FRAUD_ALERTS'] },
              },
            },
          },
        },
      },
      anyOf: [
        { properties: { durationType: { const: 'ONE_TIME' } } },
        { required: ['durationPeriod'] },
      ],
    },
  },
}

/** Whether a member of `authorization_details` is a consent request that this bank understands. */
export const isRequestedDetail = new Ajv2020().compile<RequestedDetail>(requestedSchema)

/** Whether a detail is one that `grantConsent` made: only the bank writes this member. */
export function isGrantedDetail(detail: object | undefined): detail is GrantedDetail {
  return detail !== undefined && 'consentGrant' in detail
}

/** The data clusters that a request asks for, each once. */
export function clustersAsked(request: ConsentRequest): readonly string[] {
  return [...new Set(request.resources.flatMap((resource) => resource.dataClusters))]
}

/** The bank's consent to a request, for the accounts that the customer picked. */
export function grantConsent(
  { type, consentRequest }: RequestedDetail,
  { accountIds, now }: { accountIds: readonly string[]; now: Date },
): GrantedDetail {
  const { resources: _, ...terms } = consentRequest
  const days = terms.durationType === 'ONE_TIME' ? 1 : (terms.durationPeriod ?? 1)
  return {
    type,
    consentRequest,
    consentGrant: {
      id: randomUUID(),
      status: 'ACTIVE',
      createdTime: now.toISOString(),
      expirationTime: new Date(now.getTime() + days * 86_400_000).toISOString(),
      ...terms,
      resources: accountIds.map((resourceId) => ({
        resourceType: 'ACCOUNT',
        resourceId,
        dataClusters: clustersAsked(consentRequest),
      })),
    },
  }
}
