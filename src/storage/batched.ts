/** As many calls wait for the database as may. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull'
}

const rest = { turn_ms_max: 0.3, wait_ms_max: 10 } as const

/**
 * Returns once the event loop has come to rest, or after 10 ms of work. A batch costs the same for one as for eight, and as long
 * as the loop is at work more are on their way into it; at rest this takes one turn.
 */
export async function loopAtRest(): Promise<void> {
  const began = performance.now()
  for (let turn = began, now = began; now - began < rest.wait_ms_max; turn = now) {
    await new Promise((resolve) => setImmediate(resolve))
    now = performance.now()
    if (now - turn < rest.turn_ms_max) return
  }
}

/**
 * Turns a statement over many rows into a function of one: calls made while a batch is at the database gather into the next
 * one. One batch is in flight at a time, there is no timer, and a batch that fails fails for all in it. Calls beyond
 * `waiting_max` are refused with `QueueFull`.
 */
export function batched<K, V>(
  run: (keys: readonly K[]) => Promise<readonly V[]>,
  { max, waiting_max = 4_096 }: { max: number; waiting_max?: number },
): (key: K) => Promise<V> {
  interface Waiting {
    readonly key: K
    readonly resolve: (value: V) => void
    readonly reject: (error: unknown) => void
  }
  const queue: Waiting[] = []
  let running = false

  const drain = async (): Promise<void> => {
    running = true
    while (queue.length > 0) {
      await loopAtRest()
      const batch = queue.splice(0, max)
      try {
        const values = await run(batch.map(({ key }) => key))
        batch.forEach(({ resolve, reject }, i) => {
          const value = values[i]
          if (i < values.length) resolve(value as V)
          else reject(new Error('a batch answered fewer than it was asked'))
        })
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    running = false
  }

  return (key) =>
    new Promise((resolve, reject) => {
      if (queue.length >= waiting_max)
        return reject(new QueueFull(`${waiting_max} calls are waiting`))
      queue.push({ key, resolve, reject })
      if (!running) void drain()
    })
}

/** The same of a statement in one bank: calls for different banks do not wait for each other. */
export function batchedByBank<K, V>(
  run: (bank: string, keys: readonly K[]) => Promise<readonly V[]>,
  limits: { max: number; waiting_max?: number },
): (bank: string, key: K) => Promise<V> {
  const banks = new Map<string, (key: K) => Promise<V>>()
  return (bank, key) => {
    const call = banks.get(bank) ?? batched((keys) => run(bank, keys), limits)
    banks.set(bank, call)
    return call(key)
  }
}
