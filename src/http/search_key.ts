import { canonical } from '../ledger/canonical.ts'
import type { ConsentFilter, Place } from '../storage/consent_search.ts'
import type { Vault } from '../storage/vault.ts'
import { ContractError } from './contract.ts'

/** What a page key goes on with: a bank's search, and the auditor's who made it. All of it is bound in. */
interface Search {
  readonly bank: string
  readonly auditor?: string
  readonly filter: ConsentFilter
}

/** Where an auditor's search goes on, and how long what was entered of it covers that: milliseconds since the epoch. */
type GoesOn = Place & { readonly until?: number }

/** The page key of what comes after a place: sealed, so that it tells nothing and cannot be made up. */
export function sealSearchKey(
  vault: Vault,
  { place, ...search }: Search & { place: GoesOn },
): string {
  return vault.seal(place, aboutOf(search)).toString('base64url')
}

/** The place that a page key goes on after. Throws `ContractError` for one that was not given for this search, or has ended. */
export function openSearchKey(
  vault: Vault,
  { pageKey, now, ...search }: Search & { pageKey: string; now: number },
): GoesOn {
  const place = opened(vault, { pageKey, ...search })
  if (place === undefined) throw wrong('was not given by this server for this search')
  if (place.until !== undefined && place.until < now)
    throw wrong('has ended: search again without it')
  return place
}

function opened(
  vault: Vault,
  { pageKey, ...search }: Search & { pageKey: string },
): GoesOn | undefined {
  try {
    const sealed = Buffer.from(pageKey, 'base64url')
    const place = vault.open(sealed, aboutOf(search))
    if (sealed.toString('base64url') === pageKey && isPlace(place)) return place
  } catch {
    // Said by the caller: whatever does not open is not a page key.
  }
  return undefined
}

const wrong = (detail: string) => new ContractError([{ in: 'query', name: 'pageKey', detail }])

const aboutOf = ({ bank, auditor, filter }: Search) =>
  `consents ${canonical({ bank, ...(auditor !== undefined && { auditor }), ...filter })}`

const isPlace = (value: unknown): value is GoesOn =>
  typeof value === 'object' &&
  value !== null &&
  'at' in value &&
  typeof value.at === 'string' &&
  'id' in value &&
  typeof value.id === 'string' &&
  (!('until' in value) || typeof value.until === 'number')
