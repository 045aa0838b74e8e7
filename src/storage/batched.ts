/** As many calls wait for the database as may. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull'
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
      // In a later turn, so that the calls of this one share the batch.
      if (!running) {
        running = true
        setImmediate(() => void drain())
      }
    })
}
