import { randomBytes } from 'node:crypto'
import { grant, replace } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import { expiryOf, type ShownDisclosure, type Terms } from '../consent/terms.ts'
import { findConsent } from '../storage/consents.ts'
import { inBank } from '../storage/database.ts'
import { sealAccounts, type HeldAccount } from '../storage/held_accounts.ts'
import { random128 } from '../storage/ids.ts'
import type { ConsentRecord, Effect, LedgerState, SealedParts } from '../storage/ledger_state.ts'
import { findOrInsertLink, type Profile } from '../storage/links.ts'
import { revokeNow } from '../storage/outbox.ts'
import { sha256Text } from '../storage/sha256.ts'
import type { Decision } from './append.ts'
import type { BankLogin } from './bank_port.ts'
import { keepBankTokens } from './bank_tokens.ts'
import type { Broker } from './broker.ts'
import { CannotReplace, changedConsent } from './changed_consent.ts'
import { commitment } from './commitment.ts'
import { recordRefusal } from './record_refusal.ts'

/** What the customer approved, and the login that proves it was them. */
export interface Approved {
  readonly bank: string
  readonly consentId: string
  readonly profile: Profile
  readonly login: BankLogin
  /** The salt of the commitment to the requested terms that the login's `nonce` is; base64url. */
  readonly termsSalt: string
  /** The login's `nonce`: SHA-256(salt ‖ JCS(requested terms)), base64url. */
  readonly termsCommitment: string
  readonly accounts: readonly { readonly bankAccountId: string; readonly display: string }[]
  readonly disclosure: ShownDisclosure
  /** The grant that the request names, to be replaced. */
  readonly replaces?: string
  /** The interaction id of the browser's session. */
  readonly interaction?: string
}

/** A draft of a grant: everything but what the lock decides. */
interface Grant {
  readonly consentId: string
  readonly replaces: string | undefined
  readonly linkId: string
  readonly bankTokenId: string
  readonly terms: Omit<Terms, 'expires'>
  readonly bankEnd: number | undefined
  readonly evidence: {
    readonly terms: string
    readonly login: string
    readonly acr?: string
    readonly auth_time?: number
  }
  readonly sealed: SealedParts
  readonly interaction: string | undefined
}

/**
 * requested → active, at the customer's approval; or new terms for an active consent, which keeps its id: for the one that the
 * request replaces, and else for one of the same link, recipient, purpose and delivery. Returns the id of the consent that is
 * now active. Throws `Refusal`, which is recorded, when the bank's approval of the recipient does not stand or cover the
 * terms, `CannotReplace`, and `TokensGivenBack` for an approval that came to nothing before.
 *
 * What the grant needs beside the ledger (link, key, bank tokens) is stored before, and gives no right to anything. Where no consent
 * comes to stand on the tokens, the outbox ends them at the bank, and removes a link that nothing else stands on: at once after a
 * refusal, and after `unclaimed_ms_max` where it is not known what became of the grant, which may then be tried again.
 */
export async function grantConsent(
  broker: Broker,
  approved: Approved,
): Promise<{ consentId: string; at: string }> {
  const { bank, consentId, replaces } = approved
  const record = await findConsent(broker.db, bank, consentId)
  if (record === undefined) throw new Refusal('consent_unknown')
  const { recipient } = record.consent
  const prepared = await prepareGrant(broker, approved, record)
  const giveBackTokens = () =>
    inBank(broker.db, bank, (tx) => revokeNow(tx, bank, prepared.bankTokenId))
  let active = consentId
  const appended = broker.door.append(bank, {
    names: {
      consents: replaces === undefined ? [consentId] : [consentId, replaces],
      recipients: [recipient],
      identical: {
        linkId: prepared.linkId,
        recipient,
        purpose: prepared.terms.purpose,
        delivery: prepared.terms.delivery,
      },
    },
    decide(state) {
      const changed = changedUnder(state, prepared)
      active = changed?.consent.id ?? consentId
      return changed === undefined
        ? decideGrant(state, prepared)
        : decideReplace(state, prepared, changed)
    },
  })
  const outcome = await appended.catch(async (error: unknown) => {
    if (error instanceof CannotReplace) await giveBackTokens()
    throw error
  })
  if (outcome.kind !== 'refused') return { consentId: active, at: outcome.at }
  // A consent that was decided already is the customer's second click, no attempt of the recipient's.
  if (!outcome.reason.startsWith('consent_'))
    await recordRefusal(broker, {
      bank,
      client: recipient,
      class: await broker.classOf(recipient),
      reason: outcome.reason,
      consent: consentId,
    })
  // Last, since an approval whose tokens are given back cannot be tried again.
  await giveBackTokens()
  throw new Refusal(outcome.reason)
}

async function prepareGrant(
  broker: Broker,
  approved: Approved,
  record: ConsentRecord,
): Promise<Grant> {
  const { bank, consentId, login } = approved
  const { requested } = record
  const held: HeldAccount[] = approved.accounts.map((account) => ({
    handle: random128(),
    ...account,
  }))
  const loginSalt = randomBytes(32)
  const { version, language, text } = approved.disclosure
  return inBank(broker.db, bank, async (tx) => {
    const link = await findOrInsertLink(tx, broker.vault, {
      bank,
      profile: approved.profile,
      bankSubject: login.subject,
    })
    const bankTokenId = tokenIdOf(broker, approved)
    await keepBankTokens(
      tx,
      { bank, id: bankTokenId, linkId: link.id },
      { key: link.key, tokens: login.tokens },
    )
    return {
      consentId,
      replaces: approved.replaces,
      interaction: approved.interaction,
      linkId: link.id,
      bankTokenId,
      bankEnd: login.bankEnd,
      terms: {
        recipient: requested.recipient,
        purpose: requested.purpose,
        clusters: requested.clusters,
        accounts: held.map(({ handle }) => handle),
        lookback_days: requested.lookback_days,
        one_time: requested.one_time,
        delivery: requested.delivery,
        disclosure: { version, language, sha256: sha256Text(text) },
      },
      evidence: {
        terms: approved.termsCommitment,
        login: commitment(loginSalt, login.idToken),
        ...(login.acr === undefined ? {} : { acr: login.acr }),
        ...(login.authTime === undefined ? {} : { auth_time: login.authTime }),
      },
      sealed: {
        accounts: sealAccounts(link.key, link.id, held),
        evidence: link.key.seal(
          {
            requested,
            terms_salt: approved.termsSalt,
            id_token: login.idToken,
            login_salt: loginSalt.toString('base64url'),
            disclosure: text,
          },
          `evidence ${link.id}`,
        ),
      },
    }
  })
}

/** The same at each try of one approval: what ends the tokens of a try that failed never ends those of the one that did not. */
function tokenIdOf({ vault }: Broker, { consentId, termsSalt, login }: Approved): string {
  const approval = JSON.stringify([consentId, termsSalt, login.tokens.access_token])
  return vault.index('bank tokens', approval).subarray(0, 16).toString('base64url')
}

function changedUnder(
  state: LedgerState,
  { consentId, replaces, linkId, terms }: Grant,
): ConsentRecord | undefined {
  const ofLink = [...state.consents.values()].filter((one) => one.linkId === linkId)
  const { recipient, purpose, delivery } = terms
  return changedConsent(ofLink, {
    ...{ consentId, recipient, purpose, delivery, at: state.at },
    ...(replaces === undefined ? {} : { replaces }),
  })
}

/** What the customer agreed to, as it would stand. The end is counted from the moment of the entry, which only the lock knows. */
function agreed(
  { at, approvals }: LedgerState,
  { terms, bankEnd }: Grant,
  { requested }: ConsentRecord,
) {
  const expires = expiryOf(requested, { at: Date.parse(at), bankEnd })
  return { terms: { ...terms, expires }, approval: approvals.get(terms.recipient), at }
}

function decideGrant(state: LedgerState, prepared: Grant): Decision {
  const record = state.consents.get(prepared.consentId)
  if (record === undefined) return { refused: 'consent_unknown' }
  const moved = grant(record.consent, agreed(state, prepared, record))
  if (typeof moved === 'string') return { refused: moved }
  const { evidence, linkId, bankTokenId, sealed } = prepared
  return {
    entry: { kind: 'consent.grant', body: { ...moved.terms, ...evidence, consent: moved.id } },
    effects: [
      {
        ...{ kind: 'consent.save', updatedBy: 'client', sealed },
        record: { ...record, consent: moved, linkId, bankTokenId },
      },
      approvedEvent(moved.id, prepared),
    ],
  }
}

const approvedEvent = (consent: string, { interaction }: Grant): Effect => ({
  kind: 'authorization_event.add',
  event: { consent, event: 'approved', ...(interaction === undefined ? {} : { interaction }) },
})

/**
 * The pending consent gives way: the active one takes its terms, with handles of its own for the accounts, and its bank token in
 * place of the one it had. What was fetched under the old terms names old handles, and so is not released under the new ones.
 */
function decideReplace(state: LedgerState, prepared: Grant, before: ConsentRecord): Decision {
  const pending = state.consents.get(prepared.consentId)
  if (pending === undefined) return { refused: 'consent_unknown' }
  if (pending.consent.state !== 'requested') return { refused: 'consent_not_active' }
  const moved = replace(before.consent, agreed(state, prepared, pending))
  if (typeof moved === 'string') return { refused: moved }
  const { evidence, linkId, bankTokenId, sealed } = prepared
  return {
    entry: {
      kind: 'consent.replace',
      body: { ...moved.terms, ...evidence, by: 'customer', consent: moved.id },
    },
    effects: [
      { kind: 'consent.remove', id: prepared.consentId, into: moved.id },
      approvedEvent(moved.id, prepared),
      {
        ...{ kind: 'consent.save', updatedBy: 'client' },
        record: { ...before, requested: pending.requested, consent: moved, linkId, bankTokenId },
        sealed,
      },
      { kind: 'codes.end', consent: moved.id },
      { kind: 'refresh_tokens.end', consent: moved.id },
      ...(before.bankTokenId === undefined
        ? []
        : [{ kind: 'bank_token.end', id: before.bankTokenId } as const]),
    ],
  }
}
