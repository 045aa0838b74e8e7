import { once } from 'node:events'
import { parentPort, workerData, Worker } from 'node:worker_threads'
import { MerkleError, type MerkleErrorCode } from '../merkle/errors.ts'
import type { Hasher } from '../merkle/hash.ts'
import { openFolder } from './folder.ts'
import { SourceError } from './source.ts'
import {
  addCounted,
  hashBundle,
  inOrder,
  type Counted,
  type Hashed,
  type OpenTrees,
  type Summed,
} from './trees.ts'

/** How many bundles each thread is asked for before their turn. */
const ahead_max = 4

interface Job {
  readonly folder: string
  readonly size: number
  readonly summed: Summed
}

type Asked = { readonly hash: number } | { readonly count: Counted } | { readonly sum: true }

type Answer =
  | { readonly index: number; readonly hashed: Hashed }
  | { readonly index: number; readonly failure: Failure }
  | { readonly summed: Summed }

/** An error of the files, in a form that goes from thread to thread. */
type Failure =
  | { readonly path: string; readonly why: string; readonly absent: boolean }
  | { readonly code: MerkleErrorCode; readonly message: string }
  | { readonly bug: string }

/**
 * By `count` other threads, each of which runs `module`, which must come to `workOnTrees`. They read the files of `folder`
 * themselves. The first of them keeps the sum tree. What is found is what `treesHere` finds, in the same order.
 */
export const treesInThreads =
  ({ module, count, folder }: { module: URL; count: number; folder: string }): OpenTrees =>
  (_, { size, first, summed }) => {
    const job: Job = { folder, size, summed }
    const threads = Array.from({ length: count }, () => startThread(module, job))
    const [sums] = threads
    if (sums === undefined) throw new RangeError('there is no thread to work')
    return {
      bundles: inOrder({ size, first }, { ahead: count * ahead_max }, (index) =>
        (threads[index % count] ?? sums).hash(index),
      ),
      count: (counted) => sums.count(counted),
      summed: () => sums.summed(),
      async close() {
        await Promise.all(threads.map((thread) => thread.end()))
      },
    }
  }

function startThread(module: URL, job: Job) {
  const worker = new Worker(module, { workerData: job })
  const waiting = new Map<number | 'sum', PromiseWithResolvers<unknown>>()
  const settle = (of: number | 'sum', by: (one: PromiseWithResolvers<unknown>) => void) => {
    const one = waiting.get(of)
    waiting.delete(of)
    if (one !== undefined) by(one)
  }
  worker.on('message', (answer: Answer) => {
    if ('summed' in answer) settle('sum', (one) => one.resolve(answer.summed))
    else if ('failure' in answer) settle(answer.index, (one) => one.reject(errorOf(answer.failure)))
    else settle(answer.index, (one) => one.resolve(answer.hashed))
  })
  let ended: { readonly by: unknown } | undefined
  const fail = (error: unknown) => {
    ended ??= { by: error }
    for (const of of waiting.keys()) settle(of, (one) => one.reject(error))
  }
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('a thread ended')))
  const ask = <T>(of: number | 'sum', asked: Asked): Promise<T> => {
    const one = promiseWithResolvers<unknown>()
    waiting.set(of, one)
    if (ended === undefined) worker.postMessage(asked, [])
    else fail(ended.by)
    return one.promise as Promise<T>
  }
  return {
    hash: (index: number) => ask<Hashed>(index, { hash: index }),
    count: (counted: Counted) =>
      worker.postMessage({ count: counted } satisfies Asked, [
        counted.counts.buffer as ArrayBuffer,
        counted.leaves.buffer as ArrayBuffer,
      ]),
    summed: () => ask<Summed>('sum', { sum: true }),
    end: () => worker.terminate(),
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(reason: unknown): void
}

function promiseWithResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => undefined
  let reject: (reason: unknown) => void = () => undefined
  const promise = new Promise<T>((resolved, rejected) => {
    resolve = resolved
    reject = rejected
  })
  return { promise, resolve: (value) => resolve(value), reject: (reason) => reject(reason) }
}

/** What a thread of `treesInThreads` does until it is ended. */
export async function workOnTrees(hasher: Hasher): Promise<void> {
  const { folder, size, summed } = workerData as Job
  const source = openFolder(folder)
  const port = parentPort
  if (port === null) throw new Error('this is the main thread')
  const answer = (what: Answer, given: ArrayBuffer[] = []) => port.postMessage(what, given)
  port.on('message', async (asked: Asked) => {
    if ('count' in asked) return addCounted(hasher, summed, asked.count)
    if ('sum' in asked) return answer({ summed })
    const index = asked.hash
    try {
      const hashed = await hashBundle(hasher, source, { size, index })
      answer({ index, hashed }, [
        hashed.read.bytes.buffer as ArrayBuffer,
        hashed.leaves.buffer as ArrayBuffer,
      ])
    } catch (error) {
      answer({ index, failure: failureOf(error) })
    }
  })
  await once(port, 'close')
}

function failureOf(error: unknown): Failure {
  if (error instanceof SourceError)
    return { path: error.path, why: error.why, absent: error.absent }
  if (error instanceof MerkleError) return { code: error.code, message: error.message }
  return { bug: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

function errorOf(failure: Failure): Error {
  if ('path' in failure) return new SourceError(failure.path, failure.why, failure)
  if ('code' in failure) return new MerkleError(failure.code, failure.message)
  return new Error(failure.bug)
}
