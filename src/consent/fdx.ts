import type { Cluster } from './cluster.ts'
import type { RequestedTerms } from './terms.ts'

/** FDX's type of authorization detail (RFC 9396): what recipients ask us for, and what we ask banks for. */
export const details_type = 'fdx_v1.0'

/** How long, as FDX ConsentRequest and ConsentGrant say it. */
export function durationOf({
  one_time,
  duration_days,
}: Pick<RequestedTerms, 'one_time' | 'duration_days'>) {
  return one_time
    ? ({ durationType: 'ONE_TIME' } as const)
    : ({ durationType: 'TIME_BOUND', durationPeriod: duration_days } as const)
}

/** Of what, likewise: the accounts by their handles, or one resource for them all while none is chosen. */
export function resourcesOf({
  clusters,
  accounts,
}: {
  clusters: readonly Cluster[]
  accounts?: readonly string[]
}) {
  const resource = { resourceType: 'ACCOUNT', dataClusters: clusters } as const
  return accounts?.map((resourceId) => ({ ...resource, resourceId })) ?? [resource]
}
