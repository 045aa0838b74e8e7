import { canonical } from '../ledger/canonical.ts'
import type { ConsentFilter, Place } from '../storage/consent_search.ts'
import type { Vault } from '../storage/vault.ts'
import { ContractError } from './contract.ts'

/** What a page key goes on with: a bank's search. Both are bound in. */
interface Search {
  readonly bank: string
  readonly filter: ConsentFilter
}

/** The page key of what comes after a place: sealed, so that it tells nothing and cannot be made up. */
export function sealSearchKey(
  vault: Vault,
  { place, ...search }: Search & { place: Place },
): string {
  return vault.seal(place, aboutOf(search)).toString('base64url')
}

/** The place that a page key goes on after. Throws `ContractError` for one that was not given for this search of this bank. */
export function openSearchKey(
  vault: Vault,
  { pageKey, ...search }: Search & { pageKey: string },
): Place {
  try {
    const sealed = Buffer.from(pageKey, 'base64url')
    const place = vault.open(sealed, aboutOf(search))
    if (sealed.toString('base64url') === pageKey && isPlace(place)) return place
  } catch {
    // Said below: whatever does not open is not a page key.
  }
  const detail = 'was not given by this server for this search'
  throw new ContractError([{ in: 'query', name: 'pageKey', detail }])
}

const aboutOf = ({ bank, filter }: Search) => `consents ${canonical({ bank, ...filter })}`

const isPlace = (value: unknown): value is Place =>
  typeof value === 'object' &&
  value !== null &&
  'at' in value &&
  typeof value.at === 'string' &&
  'id' in value &&
  typeof value.id === 'string'
