import type { Client } from 'pg'
import { consentOf, writeEntry, type Draft as EntryDraft, type Entry } from '../ledger/entry.ts'
import { addTotals } from '../ledger/totals.ts'
import type { RefusalReason } from '../consent/refusal.ts'
import { loopAtRest } from '../storage/batched.ts'
import { errorCode } from '../storage/error_code.ts'
import {
  entriesOfDrafts,
  lockAndLoad,
  NoLedger,
  rollBack,
  writeAndCommit,
  type Batch,
} from '../storage/door.ts'
import type { Effect, LedgerState, Names } from '../storage/ledger_state.ts'
import { idsInARow } from '../storage/ids.ts'
import { applyEffect } from './apply_effect.ts'
import { growTrees } from './grow_trees.ts'
import type { Signing } from './signing.ts'

/**
 * The one door. Everything that changes what may be released, and every release and refusal, is a draft handed to `append`;
 * a ledger's order is the order in which drafts pass its bank's lock. See ARCHITECTURE.md, "The one door".
 */
export interface Door {
  /**
   * Decides a draft on the state under the bank's lock and, when it becomes an entry, returns after that entry is durable.
   * Throws `DoorBusy` when the queue is full, `ReleasesStopped` for a release while signing is not in order, `LedgerClosed` for
   * whatever would change a ledger that was closed (after each of these nothing is in the ledger), and `DoorUnavailable` when the
   * database did not answer in time: the entry may or may not be there, and the caller must act as if it were not.
   */
  append(bank: string, draft: Draft): Promise<Outcome>
  /** Lets the batches in flight finish; refuses new drafts. */
  close(): Promise<void>
}

export interface Draft {
  readonly names: Names
  /** Goes before every draft that is not: revocations, suspensions. */
  readonly urgent?: boolean
  /** Whether deciding for this draft would release data, and so needs signing to be in order. */
  readonly releases?: boolean
  /** Pure. What happens, given the state. What it throws, its own caller gets, and no other draft. */
  decide(state: LedgerState): Decision
}

export type Decision =
  | { readonly entry?: EntryDraft; readonly effects?: readonly Effect[] }
  | { readonly refused: RefusalReason }

/** `began` is `performance.now()` before the batch began: the entry's `at` is never earlier. */
export type Outcome =
  | {
      readonly kind: 'entered'
      readonly n: number
      readonly hash: Uint8Array
      readonly at: string
      readonly began: number
    }
  | { readonly kind: 'unchanged'; readonly at: string }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly at: string }

export const limits = {
  batch_drafts_max: 256,
  queue_drafts_max: 4_096,
  attempts_max: 4,
  /** A release is refused when the oldest unsigned entry has waited this long. */
  unsigned_ms_max: 5_000,
} as const

export class DoorBusy extends Error {
  override readonly name = 'DoorBusy'
}

export class DoorUnavailable extends Error {
  override readonly name = 'DoorUnavailable'
}

/** The bank's ledger was closed: nothing is entered in it any more. */
export class LedgerClosed extends Error {
  override readonly name = 'LedgerClosed'
}

export class ReleasesStopped extends Error {
  override readonly name = 'ReleasesStopped'
}

interface Waiting {
  readonly draft: Draft
  readonly id: string
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: Error) => void
}

interface Queue {
  readonly urgent: Waiting[]
  readonly others: Waiting[]
  running: Promise<void> | undefined
}

/** A connection for one batch: `broken` ones are not used again. */
export interface Connections {
  acquire(): Promise<Client>
  release(client: Client, broken: boolean): void
}

/** A door over connections of the service role. `signing` says whether releases may go on. */
export function openDoor(connections: Connections, signing: Signing): Door {
  const queues = new Map<string, Queue>()
  const draftId = idsInARow()
  let closed = false

  const queueOf = (bank: string): Queue => {
    const queue = queues.get(bank) ?? { urgent: [], others: [], running: undefined }
    queues.set(bank, queue)
    return queue
  }

  // While one batch commits the next one fills: group commit, one batch in flight a bank, and no timer. Nothing urgent waits for
  // the loop to come to rest.
  const drain = async (bank: string, queue: Queue): Promise<void> => {
    while (queue.urgent.length + queue.others.length > 0) {
      if (queue.urgent.length === 0) await loopAtRest()
      const batch = queue.urgent.splice(0, limits.batch_drafts_max)
      batch.push(...queue.others.splice(0, limits.batch_drafts_max - batch.length))
      await runBatch({ connections, signing, bank, batch })
    }
    queue.running = undefined
  }

  return {
    append(bank, draft) {
      const queue = queueOf(bank)
      if (closed) return Promise.reject(new DoorUnavailable('the broker is stopping'))
      if (
        queue.urgent.length + queue.others.length >= limits.queue_drafts_max &&
        draft.urgent !== true
      )
        return Promise.reject(
          new DoorBusy(`${limits.queue_drafts_max} drafts are waiting for ${bank}`),
        )
      return new Promise((resolve, reject) => {
        const waiting = { draft, id: draftId(), resolve, reject }
        ;(draft.urgent === true ? queue.urgent : queue.others).push(waiting)
        queue.running ??= Promise.resolve().then(() => drain(bank, queue))
      })
    },
    async close() {
      closed = true
      await Promise.all([...queues.values()].flatMap(({ running }) => running ?? []))
    },
  }
}

interface BatchRun {
  readonly connections: Connections
  readonly signing: Signing
  readonly bank: string
  readonly batch: readonly Waiting[]
}

/** Runs a batch until each of its drafts is answered: again after a lost connection, and one by one when it is poisoned. */
async function runBatch(run: BatchRun): Promise<void> {
  const first = performance.now()
  let lostCommit = false
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptBatch(run, lostCommit ? { lostSince: first } : {})
    } catch (error) {
      if (error instanceof NoLedger) return failAll(run.batch, error)
      // The commit may have happened unheard. Ask for the draft ids, under the lock, before trying again.
      lostCommit = true
      if (isDataError(error) && run.batch.length > 1) return runAlone(run)
      if (isDataError(error) || attempt === limits.attempts_max)
        return failAll(
          run.batch,
          new DoorUnavailable('the ledger did not take the entry', { cause: error }),
        )
      if (run.batch.every(({ draft }) => draft.releases === true) && attempt > 1)
        return failAll(
          run.batch,
          new DoorUnavailable('the ledger is not answering', { cause: error }),
        )
    }
  }
}

async function runAlone(run: BatchRun): Promise<void> {
  for (const waiting of run.batch) await runBatch({ ...run, batch: [waiting] })
}

function failAll(batch: readonly Waiting[], error: Error): void {
  for (const { reject } of batch) reject(error)
}

/** Errors of the data itself (SQLSTATE classes 22, 23, and our own): trying again cannot help, trying alone can. */
function isDataError(error: unknown): boolean {
  return /^(2[23]|CS)/.test(errorCode(error) ?? '')
}

async function attemptBatch(
  { connections, signing, bank, batch }: BatchRun,
  { lostSince }: { lostSince?: number },
): Promise<void> {
  const began = performance.now()
  const client = await connections.acquire()
  let broken = true
  try {
    const state = await lockAndLoad(
      client,
      bank,
      batch.map(({ draft }) => draft.names),
    )
    signing.observe(bank, { size: state.edge.size, vkey: state.vkey })
    const known =
      lostSince !== undefined
        ? await entriesOfDrafts(
            client,
            bank,
            batch.map(({ id }) => id),
          )
        : undefined
    const pending = fold(state, batch, { signing, began, lostSince: lostSince ?? began, known })
    if (pending.batch.entries.length + pending.batch.effects.length > 0)
      await writeAndCommit(client, bank, pending.batch)
    else await rollBack(client)
    signing.grew(bank, state.edge.size)
    broken = false
    for (const answer of pending.answers) answer()
  } finally {
    connections.release(client, broken)
  }
}

/** Decides every draft in order, on a state that each changes for the next. Nothing is answered before the commit. */
function fold(
  state: LedgerState,
  batch: readonly Waiting[],
  {
    signing,
    began,
    lostSince,
    known,
  }: {
    signing: Signing
    began: number
    /** What was found was entered at the first attempt, and its time counts from there. */
    lostSince: number
    known: Awaited<ReturnType<typeof entriesOfDrafts>> | undefined
  },
): { batch: Batch; answers: (() => void)[] } {
  const oldSize = state.edge.size
  const entries: Batch['entries'][number][] = []
  const subtrees: Batch['subtrees'][number][] = []
  const effects: Effect[] = []
  const answers: (() => void)[] = []
  for (const { draft, id, resolve, reject } of batch) {
    const found = known?.get(id)
    if (found !== undefined) {
      answers.push(() => resolve({ kind: 'entered', ...found, began: lostSince }))
      continue
    }
    try {
      const decision = decide(state, draft, signing)
      if ('refused' in decision) {
        answers.push(() => resolve({ kind: 'refused', reason: decision.refused, at: state.at }))
        continue
      }
      const written = decision.entry === undefined ? undefined : enter(state, decision.entry)
      for (const effect of decision.effects ?? []) applyEffect(state, effect)
      effects.push(...(decision.effects ?? []))
      if (written === undefined) {
        answers.push(() => resolve({ kind: 'unchanged', at: state.at }))
        continue
      }
      entries.push({ ...written, draftId: id })
      subtrees.push(...written.completed)
      const { n, hash } = written
      answers.push(() => resolve({ kind: 'entered', n, hash, at: state.at, began }))
    } catch (error) {
      answers.push(() => reject(error instanceof Error ? error : new Error(String(error))))
    }
  }
  return {
    batch: {
      oldSize,
      at: state.at,
      edge: state.edge,
      sumEdge: state.sums.edge,
      totals: state.totals,
      entries,
      subtrees,
      effects,
    },
    answers,
  }
}

function decide(state: LedgerState, draft: Draft, signing: Signing): Decision {
  const decision = draft.decide(state)
  if (state.closed && changes(decision))
    throw new LedgerClosed(`the ledger of ${state.bank} is closed`)
  if (draft.releases !== true || 'refused' in decision) return decision
  const stopped = signing.stopped(state.bank)
  if (stopped !== undefined) throw new ReleasesStopped(stopped)
  if (state.unsignedMs > limits.unsigned_ms_max)
    throw new ReleasesStopped(`the ledger has not been signed for ${state.unsignedMs} ms`)
  return decision
}

const changes = (decision: Decision): boolean =>
  !('refused' in decision) && (decision.entry !== undefined || decision.effects !== undefined)

/** The entry's bytes and hash; the state is changed only once nothing can fail any more. */
function enter(state: LedgerState, draft: EntryDraft) {
  const consent = consentOf(draft)
  const prev = consent === undefined ? undefined : state.tails.get(consent)
  const body = prev === undefined ? draft.body : { ...draft.body, prev }
  const n = state.edge.size
  const totals = addTotals(state.totals, draft)
  const entry = { v: 1, n, at: state.at, kind: draft.kind, body, totals } as Entry
  const leaf = Buffer.from(writeEntry(entry))
  state.totals = totals
  if (consent !== undefined) state.tails.set(consent, n)
  if (draft.kind === 'epoch') state.newestEpoch = { n, at: state.at }
  if (draft.kind === 'statement') state.newestStatement = draft.body
  if (draft.kind === 'reconcile') state.newestReconcile = draft.body
  return { n, kind: draft.kind, consent, leaf, ...growTrees(state, draft, leaf) }
}
