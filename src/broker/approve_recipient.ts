import { isDeepStrictEqual } from 'node:util'
import { mayBeApproved, type Class } from '../consent/class.ts'
import { isCluster } from '../consent/cluster.ts'
import { standing, type Actor } from '../consent/consent.ts'
import { judgePurpose } from '../consent/purpose.ts'
import { Refusal } from '../consent/refusal.ts'
import type { Approval } from '../consent/terms.ts'
import { openApproval, outOfOrder } from '../ledger/approval.ts'
import { CanonicalError } from '../ledger/canonical.ts'
import { checkBody } from '../ledger/entry.ts'
import { isDisabled, NotARecipient } from '../storage/clients.ts'
import { verifyJws } from '../storage/jws.ts'
import type { Decision } from './append.ts'
import { ledgerOrigin, type Broker } from './broker.ts'

/** A bank's approval was not acceptable; the message says why, and repeats nothing that was handed in. */
export class ApprovalRejected extends Error {
  override readonly name = 'ApprovalRejected'
  /** It is good by itself, and comes after one, or after a suspension, that it does not follow. */
  readonly outOfOrder: boolean

  constructor(message: string, { outOfOrder = false } = {}) {
    super(message)
    this.outOfOrder = outOfOrder
  }
}

/**
 * Enters a bank's signed approval of a recipient in its ledger: what that bank lets the recipient ask its customers for, from
 * this entry on. One signed later takes the place of the first, and lifts a suspension that it follows. The class
 * must be the one in our own registry: bank and broker must agree. Throws `ApprovalRejected`.
 */
export async function approveRecipient(
  broker: Broker,
  { bank, jws }: { bank: string; jws: string },
): Promise<Approval> {
  const key = broker.bankPort.banks.get(bank)?.key
  if (key === undefined) throw new ApprovalRejected('no such bank is in the directory')
  const origin = ledgerOrigin(broker.issuer, bank)
  const signed = inForm(() => openApproval(jws, { bank, origin, key, verify: verifyJws }))
  if (!mayBeApproved(signed.class))
    throw new ApprovalRejected(`class ${signed.class} can never receive data`)
  if ((await registeredClass(broker, signed.recipient)) !== signed.class)
    throw new ApprovalRejected(`the recipient is not registered with class ${signed.class}`)
  if (await isDisabled(broker.db, signed.recipient))
    throw new ApprovalRejected('the recipient is disabled')
  if (!signed.purposes.every((purpose) => judgePurpose(purpose) === 'allowed'))
    throw new ApprovalRejected('no consent may name one of the purposes')
  if (signed.clusters.length === 0 || !signed.clusters.every(isCluster))
    throw new ApprovalRejected('the approval names no data cluster')
  const { recipient, class: named, purposes, clusters, keys, iat } = signed
  const approval = { recipient, class: named, purposes, clusters, keys, iat, suspended: false }
  inForm(() => checkBody({ kind: 'recipient.approve', body: signed }))
  await broker.door.append(bank, {
    names: { recipients: [recipient] },
    decide(state): Decision {
      const before = state.approvals.get(recipient)
      // The same paper twice changes nothing while it stands.
      if (isDeepStrictEqual(before, approval)) return {}
      const refused = outOfOrder(before, { iat, at: state.at })
      if (refused !== undefined) throw new ApprovalRejected(refused, { outOfOrder: true })
      return {
        entry: { kind: 'recipient.approve', body: signed },
        effects: [{ kind: 'approval.save', approval }],
      }
    },
  })
  return approval
}

/** What the bank signed must have the form that its entry has. */
function inForm<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof CanonicalError) throw new ApprovalRejected(error.message)
    throw error
  }
}

const registeredClass = (broker: Broker, recipient: string): Promise<Class | undefined> =>
  broker.classOf(recipient).catch((error: unknown) => {
    if (error instanceof NotARecipient) return undefined
    throw error
  })

/**
 * Suspends a recipient at a bank: one entry, which every later decision and every replay honours. Throws `Refusal` when it
 * has no standing approval there.
 */
export async function suspendRecipient(
  broker: Broker,
  { bank, recipient, by }: { bank: string; recipient: string; by: Actor },
): Promise<{ at: string }> {
  const outcome = await broker.door.append(bank, {
    names: { recipients: [recipient] },
    urgent: true,
    decide(state) {
      const approval = state.approvals.get(recipient)
      const refused = standing(approval)
      if (approval === undefined || refused !== undefined)
        return { refused: refused ?? 'recipient_not_approved' }
      return {
        entry: { kind: 'recipient.suspend', body: { by, recipient } },
        effects: [
          {
            kind: 'approval.save',
            approval: { ...approval, suspended: true, suspendedAt: state.at },
          },
        ],
      }
    },
  })
  if (outcome.kind === 'refused') throw new Refusal(outcome.reason)
  return { at: outcome.at }
}
