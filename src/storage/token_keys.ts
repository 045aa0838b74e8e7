import type { KeyUse } from '../ledger/key.ts'
import type { Database } from './database.ts'
import { errorCode } from './error_code.ts'
import { importPrivateKey, importPublicKey, newSigningJwk, type Jwk } from './jws.ts'
import type { Vault } from './vault.ts'

/** A key of tokens as the database keeps it: where it is on its way, and since how many seconds of the database's clock. */
export interface TokenKeyRow {
  /** Its RFC 7638 thumbprint. */
  readonly kid: string
  /** Absent while it is made and not yet published. */
  readonly use?: KeyUse
  readonly since_s: number
}

const step = { next: 'published_at', active: 'active_at', retired: 'retired_at' } as const

/** Every key of tokens that ever was, the oldest first. */
export async function listTokenKeys({ knex }: Database): Promise<TokenKeyRow[]> {
  const { rows } = await knex.raw<{ rows: { kid: string; use: KeyUse | null; since_s: string }[] }>(
    `select kid,
       case when retired_at is not null then 'retired' when active_at is not null then 'active'
         when published_at is not null then 'next' end as use,
       extract(epoch from clock_timestamp() - coalesce(retired_at, active_at, published_at, created_at)) as since_s
     from token_keys order by created_at`,
  )
  return rows.map(({ kid, use, since_s }) => ({
    kid,
    ...(use === null ? {} : { use }),
    since_s: Number(since_s),
  }))
}

/** The private keys that are published, the one that signs first, then those active before it, then the next. */
export async function openTokenKeyJwks({ knex }: Database, vault: Vault): Promise<readonly Jwk[]> {
  const { rows } = await knex.raw<{ rows: { kid: string; sealed: Buffer }[] }>(
    `select kid, sealed from token_keys where published_at is not null and retired_at is null
     order by active_at desc nulls last`,
  )
  return rows.map(({ kid, sealed }) => vault.open(sealed, about(kid)) as Jwk)
}

const about = (kid: string) => `token_key ${kid}`

/**
 * Makes the key that will sign next, if none is on its way: its name, or undefined. With `onlyFirst`, only if there never was
 * one.
 */
export async function insertTokenKey(
  { knex }: Database,
  vault: Vault,
  { onlyFirst = false } = {},
): Promise<string | undefined> {
  const jwk = newSigningJwk()
  const kid = importPublicKey(importPrivateKey(jwk).publicJwk, 'ES256').thumbprint
  const { rowCount } = await knex
    .raw<{ rowCount: number }>(
      `insert into token_keys (kid, sealed) select ?, ?::bytea
       ${onlyFirst ? 'where not exists (select from token_keys)' : ''}`,
      [kid, vault.seal(jwk, about(kid))],
    )
    .catch((error: unknown) => {
      if (errorCode(error) === unique_violation) return { rowCount: 0 }
      throw error
    })
  return rowCount === 1 ? kid : undefined
}

const unique_violation = '23505'

/** Notes that a key has taken its next step. Any number of processes may say so; the first is heard. */
export async function moveTokenKey(
  { knex }: Database,
  { kid, use }: { kid: string; use: KeyUse },
): Promise<void> {
  const column = step[use]
  await knex.raw(
    `update token_keys set ${column} = clock_timestamp() where kid = ? and ${column} is null`,
    [kid],
  )
}
