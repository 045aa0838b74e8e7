import type { Cluster } from '../consent/cluster.ts'
import { uncovered } from '../consent/consent.ts'
import { Refusal } from '../consent/refusal.ts'
import type { Terms } from '../consent/terms.ts'
import { findApproval } from '../storage/approvals.ts'
import { readConsent } from '../storage/consents.ts'
import { inBank } from '../storage/database.ts'
import { findDelivery, insertDelivery, type Delivery } from '../storage/deliveries.ts'
import { hashOf, random256 } from '../storage/ids.ts'
import { isRevoked } from '../storage/revoked_tokens.ts'
import type { Vault } from '../storage/vault.ts'
import type { Broker } from './broker.ts'
import { fetchAccounts, fetchTransactions, lookbackStart } from './read_accounts.ts'
import { recordRefusal } from './record_refusal.ts'
import { release, type Asking, type Fetching, type Released } from './release.ts'

/** How long a pointer lives, hours. */
export const pointer_hours = { default: 24, max: 72 } as const

/** Transactions shown of each account on the page. */
const shown_transactions_max = 25

/**
 * A pointer for a thread, under a `link_out` consent. It is no credential: whoever opens it sees no figure and consumes
 * nothing. Throws `Refusal`, which is recorded, when the consent does not cover it.
 */
export async function createDelivery(
  broker: Broker,
  asking: Pick<Asking, 'bank' | 'consentId' | 'client' | 'jti'>,
  { clusters, hours }: { clusters: readonly Cluster[]; hours: number },
): Promise<{ pointer: string; expires: string }> {
  const { bank, consentId, client, jti } = asking
  const { consent, approval, revoked } = await inBank(broker.db, bank, async (tx) => ({
    consent: (await readConsent(tx, bank, consentId))?.consent,
    approval: await findApproval(tx, bank, client),
    revoked: jti !== undefined && (await isRevoked(tx, bank, jti)),
  }))
  const refused = revoked
    ? 'token_revoked'
    : uncovered(consent, {
        access: { recipient: client, to: 'data_subject', clusters, accounts: [] },
        approval,
        at: new Date(broker.now()).toISOString(),
      })
  if (refused !== undefined) {
    await recordRefusal(broker, {
      bank,
      client,
      class: await broker.classOf(client),
      reason: refused,
      ...(consent === undefined ? {} : { consent: consentId }),
    })
    throw new Refusal(refused)
  }
  const pointer = newPointer(broker, bank)
  const { expires } = await insertDelivery(broker.db, bank, {
    pointerHash: hashOf(pointer),
    consentId,
    client,
    clusters,
    hours,
  })
  return { pointer, expires }
}

/** What pointers look like. */
export const pointer_form = /^[A-Za-z0-9_-]{54}$/

/** A nudge names no bank: a pointer tells which one it leads to only to whoever holds the vault's key. */
function newPointer({ vault }: Broker, bank: string): string {
  const random = random256()
  return `${random}${bankTag(vault, random, bank)}`
}

/** The bank that a pointer of ours leads to; undefined for what is none. */
export function bankOfPointer({ vault, bankPort }: Broker, pointer: string): string | undefined {
  if (!pointer_form.test(pointer)) return undefined
  const [random, tag] = [pointer.slice(0, 43), pointer.slice(43)]
  return [...bankPort.banks.keys()].find((bank) => bankTag(vault, random, bank) === tag)
}

const bankTag = (vault: Vault, random: string, bank: string): string =>
  vault.index('pointer', `${random} ${bank}`).subarray(0, 8).toString('base64url')

/** The delivery that a pointer names, with its bank; undefined when it names none, or no longer. */
export async function openPointer(
  broker: Broker,
  pointer: string,
): Promise<(Delivery & { readonly bank: string }) | undefined> {
  const bank = bankOfPointer(broker, pointer)
  if (bank === undefined) return undefined
  const found = await findDelivery(broker.db, bank, hashOf(pointer))
  return found === undefined ? undefined : { ...found, bank }
}

/** What the page shows of one account. */
export interface Figures {
  readonly account: Readonly<Record<string, unknown>>
  readonly transactions: readonly Readonly<Record<string, unknown>>[]
}

/**
 * Releases a delivery's figures to the data subject, in a browser that has proven the bank login of `loginIndex`. Each showing
 * is a release of its own. Throws `Refusal('consent_unknown')` for another login than the link's.
 */
export async function showDelivery(
  broker: Broker,
  {
    pointer,
    loginIndex,
    interaction,
  }: { pointer: string; loginIndex: Buffer; interaction: string },
): Promise<{ released: Released; figures: readonly Figures[] }> {
  const delivery = await openPointer(broker, pointer)
  if (delivery === undefined || !delivery.loginIndex.equals(loginIndex))
    throw new Refusal('consent_unknown')
  const { bank, consentId, client, clusters } = delivery
  const asking: Asking = { bank, consentId, client, delivery: 'link_out', interaction }
  const transactions = clusters.includes('TRANSACTIONS')
  const since = (terms: Terms) => lookbackStart(terms, broker.now())
  let figures: Figures[] = []
  const released = await release(
    broker,
    asking,
    (terms) => ({ clusters, ...(transactions ? { since: since(terms) } : {}) }),
    async (fetching) => {
      figures = await fetchFigures(
        broker,
        asking,
        fetching,
        transactions ? since(fetching.terms) : undefined,
      )
      return {
        body: JSON.stringify(figures),
        accounts: fetching.accounts.map(({ handle }) => handle),
      }
    },
  )
  return { released, figures }
}

async function fetchFigures(
  broker: Broker,
  asking: Asking,
  fetching: Fetching,
  since: string | undefined,
): Promise<Figures[]> {
  const accounts = await fetchAccounts(broker, asking, fetching)
  const figures: Figures[] = []
  for (const { handle, body } of accounts) {
    const one = {
      ...fetching,
      accounts: fetching.accounts.filter((held) => held.handle === handle),
    }
    const page =
      since === undefined
        ? undefined
        : await fetchTransactions(broker, asking, one, {
            handle,
            startTime: `${since}T00:00:00.000Z`,
            limit: shown_transactions_max,
          })
    figures.push({ account: body, transactions: page?.transactions ?? [] })
  }
  return figures
}
