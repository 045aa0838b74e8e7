import type { Broker } from '../broker/broker.ts'
import type { Archive } from '../storage/archive.ts'
import { openAccounts } from '../storage/held_accounts.ts'
import {
  insertKept,
  keptOfAll,
  keptOfBank,
  type KeptConsent,
  type KeptRow,
} from '../storage/kept_rows.ts'
import type { RebuiltConsent } from '../storage/rebuilt_consents.ts'
import { moveTokenKey } from '../storage/token_keys.ts'
import { keyUses } from '../ledger/key.ts'
import { SealError, type Vault } from '../storage/vault.ts'
import { readBackup } from './backup.ts'
import type { Rebuilt } from './rebuild_entries.ts'

/** A backup, and the key that opens it. */
export interface KeptFrom {
  readonly place: Archive
  readonly name: string
  readonly key: Buffer
}

/** What a backup has of a bank's consents, and of the keys of their links. */
export interface Kept {
  readonly consents: ReadonlyMap<string, KeptConsent>
  readonly linkKeys: ReadonlyMap<string, Buffer>
}

/** Reads a whole backup, so that one that was changed is refused before anything of it is used. */
export async function gatherKept(from: KeptFrom, bank: string): Promise<Kept> {
  const consents = new Map<string, KeptConsent>()
  const linkKeys = new Map<string, Buffer>()
  for await (const page of readBackup(from.place, from)) {
    if (page.bank !== bank) continue
    for (const row of page.rows)
      if (page.table === 'consents' && isKeptConsent(row)) consents.set(row.id, row)
      else if (page.table === 'link_keys')
        linkKeys.set(String(row['link_id']), bytesOf(row['sealed']))
  }
  return { consents, linkKeys }
}

const isKeptConsent = (row: KeptRow): row is KeptRow & KeptConsent =>
  typeof row['id'] === 'string' && typeof row['link_id'] === 'string'

const bytesOf = (value: unknown) => Buffer.from(String(value).slice(2), 'hex')

/** The consents of a ledger, each with its row in the backup where that fits. An erased one has none. */
export function consentsOf(
  vault: Vault,
  { state, revocationReasons }: Rebuilt,
  kept: Kept | undefined,
): RebuiltConsent[] {
  const erased = erasedLinks(state.erased, kept)
  return [...state.consents.values()].flatMap((consent) => {
    if (!('terms' in consent)) return []
    const found = kept?.consents.get(consent.id)
    const trail = state.trails.get(consent.id)
    const fits =
      kept !== undefined &&
      found !== undefined &&
      !erased.has(found.link_id) &&
      opens(vault, { consent, found, key: kept.linkKeys.get(found.link_id) })
    return [
      {
        consent,
        revocationReason: revocationReasons.get(consent.id),
        released: trail?.released === true,
        tail: trail?.tail ?? 0,
        kept: fits ? found : undefined,
      },
    ]
  })
}

/** An erasure names every consent of its link. */
function erasedLinks(erased: ReadonlySet<string>, kept: Kept | undefined): Set<string> {
  return new Set([...erased].flatMap((id) => kept?.consents.get(id)?.link_id ?? []))
}

/** Whether the row leads from the consent to its accounts: those of terms that were replaced since have other handles. */
function opens(
  vault: Vault,
  {
    consent,
    found,
    key,
  }: { consent: RebuiltConsent['consent']; found: KeptConsent; key: Buffer | undefined },
): boolean {
  if (key === undefined) return false
  if (consent.state !== 'active') return true
  if (found.accounts_sealed === null) return false
  try {
    const held = openAccounts(
      vault.linkKey(key, found.link_id),
      found.link_id,
      bytesOf(found.accounts_sealed),
    )
    const handles = new Set(held.map(({ handle }) => handle))
    return consent.terms.accounts.every((handle) => handles.has(handle))
  } catch (error) {
    if (error instanceof SealError) return false
    throw error
  }
}

/**
 * Stores what a backup has beside the consents: clients and keys of tokens, and of the bank all that does not lead to an erased
 * person. Refresh tokens come back with the consents that stand.
 */
export async function storeKept(
  { db }: Pick<Broker, 'db'>,
  {
    bank,
    backup,
    rebuilt,
    consents,
    kept,
  }: {
    bank: string
    backup: KeptFrom
    rebuilt: Rebuilt
    consents: readonly RebuiltConsent[]
    kept: Kept
  },
): Promise<void> {
  const erased = erasedLinks(rebuilt.state.erased, kept)
  const standing = new Set(
    consents.flatMap((one) =>
      one.consent.state === 'active' && one.kept !== undefined ? [one.consent.id] : [],
    ),
  )
  // A link that came while the backup was written may be in it without its consents: nothing then says that it was not erased.
  const named = new Set([...kept.consents.values()].map(({ link_id }) => link_id))
  const leads = (link: unknown) => named.has(String(link)) && !erased.has(String(link))
  const belongs: Readonly<Record<string, (row: KeptRow) => boolean>> = {
    links: ({ id }) => leads(id),
    link_keys: ({ link_id }) => leads(link_id),
    bank_tokens: ({ link_id }) => leads(link_id),
    refresh_tokens: ({ consent_id }) => standing.has(String(consent_id)),
    staff: () => true,
  }
  for await (const { table, bank: of, rows } of readBackup(backup.place, backup)) {
    if (of !== undefined && of !== bank) continue
    const found = (of === undefined ? keptOfAll : keptOfBank).find((one) => one.table === table)
    if (found === undefined || found.part === true) continue
    const wanted = of === undefined ? rows : rows.filter(belongs[table] ?? (() => false))
    await insertKept(db, found, wanted, of)
  }
  for (const [kid, use] of rebuilt.state.keys.tokens)
    for (const step of keyUses.slice(0, keyUses.indexOf(use) + 1))
      await moveTokenKey(db, { kid, use: step })
}
