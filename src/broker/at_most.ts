/**
 * Runs at most `running_max` at once; the others wait in order. Throws what `full` makes when `waiting_max` wait already.
 */
export function atMost(
  running_max: number,
  { waiting_max, full }: { waiting_max: number; full: () => Error },
): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running === running_max) {
      if (waiting.length >= waiting_max) throw full()
      // Whoever is through hands its place on, so `running` stays.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
