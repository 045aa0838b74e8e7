import { figure } from '../ledger/words.ts'

/** Tells how far some work has come. */
export interface Progress {
  at(done: number, of: number): void
  /** Takes away what was shown. */
  end(): void
}

const bar_columns = 24
const redraw_ms = 100

/** A line that shows how far the entries are verified, at what rate, and for how long yet. Silent unless `out` is a terminal. */
export function showProgress(out: NodeJS.WriteStream, name: string): Progress {
  if (!out.isTTY) return { at: () => undefined, end: () => undefined }
  let began: { ms: number; done: number } | undefined
  let drawn = 0
  return {
    at(done, of) {
      const now = performance.now()
      began ??= { ms: now, done }
      if (now - drawn < redraw_ms && done < of) return
      drawn = now
      const rate = ((done - began.done) * 1_000) / Math.max(1, now - began.ms)
      out.write(`\r${lineOf(name, { done, of, rate }).slice(0, out.columns - 1)}\u001b[K`)
    },
    end: () => void out.write('\r\u001b[K'),
  }
}

function lineOf(
  name: string,
  { done, of, rate }: { done: number; of: number; rate: number },
): string {
  const filled = Math.floor((bar_columns * done) / of)
  const bar = `${'#'.repeat(filled)}${'.'.repeat(bar_columns - filled)}`
  const left = rate > 0 ? `, ${Math.ceil((of - done) / rate)} s left` : ''
  const words = [done, of, Math.round(rate)].map(figure)
  return `${name} [${bar}] ${words[0]} of ${words[1]} entries, ${words[2]}/s${left}`
}
