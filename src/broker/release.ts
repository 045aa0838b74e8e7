import type { Cluster } from '../consent/cluster.ts'
import { seenBy, uncovered, type Access, type ActiveConsent } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import type { Approval, Delivery } from '../consent/terms.ts'
import type { Standing } from '../storage/early_check.ts'
import { openAccounts, type HeldAccount } from '../storage/held_accounts.ts'
import { interactionOfFetch, random128 } from '../storage/ids.ts'
import { revocableNames } from '../storage/token_ids.ts'
import type { LinkKey } from '../storage/vault.ts'
import { DoorUnavailable, type Draft } from './append.ts'
import type { Broker } from './broker.ts'
import { commitment } from './commitment.ts'
import { withinFrequency, type Frequency } from './frequency.ts'
import { recordRefusal } from './record_refusal.ts'

/** An answer not sent within this time of its entry is dropped, so that a revocation can name the last possible instant. */
export const answer_ms_max = 2_000

/** Who asks for data, authenticated and with proof of possession. */
export interface Asking {
  readonly bank: string
  readonly consentId: string
  readonly client: string
  /** The access token's `jti`; absent on our own page. */
  readonly jti?: string
  readonly delivery: Delivery
  /** The recipient reads by itself: by its own word the customer is not there. */
  readonly unattended?: boolean
  /** `x-fapi-interaction-id`, a UUID. */
  readonly interaction: string
}

/** What is asked: refused early when the terms do not cover it, before a bank is troubled. */
export interface Wanted {
  readonly clusters: readonly Cluster[]
  /** Account handles; absent when every account of the terms is meant. */
  readonly accounts?: readonly string[]
  /** The earliest UTC date asked for; present exactly when TRANSACTIONS are. */
  readonly since?: string
}

/** What a fetch is given: the consent as it stands, and what is needed to ask the bank. */
export interface Fetching {
  readonly terms: ActiveConsent['terms']
  /** The clusters that the release will name: nothing of another may be in the body. */
  readonly clusters: readonly Cluster[]
  readonly standing: Standing
  readonly key: LinkKey
  readonly linkId: string
  readonly accounts: readonly HeldAccount[]
  /** Sent to the bank as its `x-fapi-interaction-id`. */
  readonly interaction: string
}

/** What came of a fetch, already minimised: the exact body to answer with, and what it carries. */
export interface Fetched {
  readonly body: string
  readonly accounts: readonly string[]
}

export interface Released {
  readonly body: string
  readonly n: number
  readonly hash: Uint8Array
  readonly at: string
  /** `performance.now()` at which the answer must have been sent, or be dropped. */
  readonly deadline: number
  /** How often more it may be read today; absent where that is not limited. */
  readonly frequency?: Frequency
}

/** The entry was made, but too late for the answer to be sent. */
export class AnswerTooLate extends Error {
  override readonly name = 'AnswerTooLate'
}

/**
 * The data path, and the only one: early check → fetch → minimise → `append(release)` → the answer. Nothing leaves before the
 * entry that records it is durable; what the bank returned is dropped when the consent ended meanwhile. Throws `Refusal`, which
 * is then recorded, `FrequencyUsedUp`, or what the bank, the door or the clock made impossible.
 */
export async function release(
  broker: Broker,
  asking: Asking,
  wanted: (terms: ActiveConsent['terms']) => Wanted,
  fetch: (fetching: Fetching) => Promise<Fetched>,
): Promise<Released> {
  const { bank, consentId, client } = asking
  const fetchId = random128()
  const standing = await broker.earlyCheck(bank, {
    consent: consentId,
    recipient: client,
    fetch: fetchId,
    interaction: asking.interaction,
  })
  if (standing === undefined) throw new Refusal('consent_unknown')
  let asked = false
  try {
    const { access, fetching } = prepare(broker, asking, { standing, wanted, fetchId })
    const read = async () => {
      asked = true
      const fetched = await fetch(fetching)
      // An entry names one account at least: where the bank gave none, those that were asked for.
      const carried = {
        ...access,
        accounts: fetched.accounts.length === 0 ? access.accounts : fetched.accounts,
      }
      return enterRelease(broker, asking, {
        access: carried,
        fetched,
        fetchId,
        key: fetching.key,
      })
    }
    return await withinFrequency(broker, asking, read, mayHaveEntered)
  } catch (error) {
    if (error instanceof Refusal)
      await recordRefusal(broker, {
        bank,
        client,
        class: standing.approval?.class ?? (await broker.classOf(client)),
        reason: error.reason,
        consent: consentId,
        ...(asked ? { fetch: fetchId } : {}),
      })
    throw error
  }
}

/** After these the release may stand in the ledger, although nobody has its answer. */
const mayHaveEntered = (error: unknown): boolean =>
  error instanceof AnswerTooLate || error instanceof DoorUnavailable

/** The cheap refusals, and everything a fetch needs. */
function prepare(
  broker: Broker,
  asking: Asking,
  {
    standing,
    wanted,
    fetchId,
  }: { standing: Standing; wanted: (terms: ActiveConsent['terms']) => Wanted; fetchId: string },
): { access: Access; fetching: Fetching } {
  const { record, approval, linkKey } = standing
  const { consent, linkId } = record
  const at = new Date(broker.now()).toISOString()
  if (consent.state !== 'active') {
    const reason = uncovered(consent, {
      access: { ...nothing, recipient: asking.client },
      approval,
      at,
    })
    throw new Refusal(reason ?? 'consent_not_active')
  }
  const access = accessOf(consent, { asking, approval, want: wanted(consent.terms) })
  const reason = uncovered(consent, { access, approval, at })
  if (reason !== undefined) throw new Refusal(reason)
  if (linkKey === undefined || linkId === undefined || standing.accounts === undefined)
    throw new Error(`consent ${consent.id} is active without a link`)
  const key = broker.vault.linkKey(linkKey, linkId)
  const held = openAccounts(key, linkId, standing.accounts)
  return {
    access,
    fetching: {
      terms: consent.terms,
      clusters: access.clusters,
      standing,
      key,
      linkId,
      accounts: held.filter(({ handle }) => access.accounts.includes(handle)),
      interaction: interactionOfFetch(fetchId),
    },
  }
}

const nothing: Access = { recipient: '', to: 'data_subject', clusters: [], accounts: [] }

function accessOf(
  { terms }: ActiveConsent,
  { asking, approval, want }: { asking: Asking; approval: Approval | undefined; want: Wanted },
): Access {
  return {
    recipient: asking.client,
    to: seenBy(asking, approval),
    clusters: want.clusters,
    accounts: want.accounts ?? terms.accounts,
    ...(want.since === undefined ? {} : { since: want.since }),
  }
}

/** Enters the release, and with it the right to answer; the entry is durable before this returns. */
async function enterRelease(
  broker: Broker,
  asking: Asking,
  {
    access,
    fetched,
    fetchId,
    key,
  }: { access: Access; fetched: Fetched; fetchId: string; key: LinkKey },
): Promise<Released> {
  const payload = commitment(key.salt('payload', fetchId), fetched.body)
  const outcome = await broker.door.append(
    asking.bank,
    releaseDraft(asking, { access, fetchId, payload }),
  )
  if (outcome.kind === 'refused') throw new Refusal(outcome.reason)
  if (outcome.kind !== 'entered') throw new Error('a release made no entry')
  const deadline = outcome.began + answer_ms_max
  if (performance.now() > deadline)
    throw new AnswerTooLate('the answer was not ready within 2 s of its entry')
  return { body: fetched.body, n: outcome.n, hash: outcome.hash, at: outcome.at, deadline }
}

/** A release for the door, which decides again, under the lock, on the consent as it is then. */
export function releaseDraft(
  { consentId, client, jti, interaction }: Asking,
  { access, fetchId, payload }: { access: Access; fetchId: string; payload: string },
): Draft {
  const tokens = jti === undefined ? [] : revocableNames(jti)
  return {
    names: { consents: [consentId], recipients: [client], tokens },
    releases: true,
    decide(state) {
      const consent = state.consents.get(consentId)?.consent
      const approval = state.approvals.get(client)
      const refused = uncovered(consent, { access, approval, at: state.at })
      if (refused !== undefined || consent?.state !== 'active')
        return { refused: refused ?? 'consent_not_active' }
      if (tokens.some((name) => state.revokedTokens.has(name))) return { refused: 'token_revoked' }
      const { purpose } = consent.terms
      const fetches = [fetchId]
      const body = { ...access, consent: consentId, fetches, interaction, payload, purpose }
      return { entry: { kind: 'release', body } }
    },
  }
}
