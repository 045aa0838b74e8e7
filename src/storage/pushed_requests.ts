import { inBank, type Database, type Tx } from './database.ts'
import { bankIdOf, hashOf } from './ids.ts'
import type { Profile } from './links.ts'
import type { Vault } from './vault.ts'

/** An authorization request as it was pushed (RFC 9126), already checked. */
export interface PushedRequest {
  readonly bank: string
  readonly clientId: string
  readonly consentId: string
  readonly redirectUri: string
  readonly state?: string
  readonly scope: string
  readonly codeChallenge: string
  readonly dpopJkt?: string
  readonly profile: Profile
  /** How the browser brings the answer back: as plain parameters, or as one signed JWT (JARM). */
  readonly responseMode: ResponseMode
  /** The active consent that gets these terms, when the request replaces a grant. */
  readonly replaces?: string
  /** Milliseconds since the epoch: until when the browser may arrive with it. */
  readonly expires: number
}

export type ResponseMode = 'query' | 'jwt'

const prefix = 'urn:ietf:params:oauth:request_uri:'

/** The `request_uri` of a handle, which is routed to its bank. */
export const requestUriOf = (handle: string): string => prefix + handle

export async function insertPushedRequest(
  tx: Tx,
  vault: Vault,
  { handle, pushed }: { handle: string; pushed: PushedRequest },
): Promise<void> {
  await tx.raw(
    `insert into pushed_requests
       (bank_id, handle_hash, client_id, consent_id, redirect_uri, state, scope, code_challenge, dpop_jkt, profile_sealed,
        response_mode, replaces, expires_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, to_timestamp(?::bigint / 1000.0))`,
    [
      pushed.bank,
      hashOf(handle),
      pushed.clientId,
      pushed.consentId,
      pushed.redirectUri,
      pushed.state ?? null,
      pushed.scope,
      pushed.codeChallenge,
      pushed.dpopJkt ?? null,
      vault.seal(pushed.profile, sealedAbout(pushed.consentId)),
      pushed.responseMode,
      pushed.replaces ?? null,
      pushed.expires,
    ],
  )
}

/**
 * What this client pushed under this `request_uri`; undefined for an unknown one and for another client's. An expired one is
 * still found: its lifetime gates the browser's arrival only, and whoever lets it in compares `expires`.
 */
export async function findPushedRequest(
  db: Database,
  vault: Vault,
  { clientId, requestUri }: { clientId: string; requestUri: string },
): Promise<PushedRequest | undefined> {
  const handle = requestUri.startsWith(prefix) ? requestUri.slice(prefix.length) : ''
  const bank = bankIdOf(handle)
  if (bank === undefined) return undefined
  const row = await inBank(db, bank, async (tx) => {
    const { rows } = await tx.raw<{ rows: PushedRow[] }>(
      `select client_id, consent_id, redirect_uri, state, scope, code_challenge, dpop_jkt, profile_sealed,
         response_mode, replaces, floor(extract(epoch from expires_at) * 1000)::bigint as expires_ms
       from pushed_requests where bank_id = ? and handle_hash = ?`,
      [bank, hashOf(handle)],
    )
    return rows[0]
  })
  if (row?.client_id !== clientId) return undefined
  return {
    bank,
    clientId,
    consentId: row.consent_id,
    redirectUri: row.redirect_uri,
    ...(row.state === null ? {} : { state: row.state }),
    scope: row.scope,
    codeChallenge: row.code_challenge,
    ...(row.dpop_jkt === null ? {} : { dpopJkt: row.dpop_jkt }),
    profile: profileOf(vault.open(row.profile_sealed, sealedAbout(row.consent_id))),
    responseMode: row.response_mode,
    ...(row.replaces === null ? {} : { replaces: row.replaces }),
    expires: Number(row.expires_ms),
  }
}

interface PushedRow {
  client_id: string
  consent_id: string
  redirect_uri: string
  state: string | null
  scope: string
  code_challenge: string
  dpop_jkt: string | null
  profile_sealed: Buffer
  response_mode: ResponseMode
  replaces: string | null
  expires_ms: string
}

const sealedAbout = (consentId: string) => `pushed_request ${consentId}`

function profileOf(value: unknown): Profile {
  if (
    typeof value === 'object' &&
    value !== null &&
    'page_id' in value &&
    typeof value.page_id === 'string' &&
    'psid' in value &&
    typeof value.psid === 'string' &&
    'display_name' in value &&
    typeof value.display_name === 'string'
  )
    return { page_id: value.page_id, psid: value.psid, display_name: value.display_name }
  throw new Error('not the profile of a pushed request')
}
