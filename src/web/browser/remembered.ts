import type { Seen } from './history.ts'

/** What an auditor trusts for one bank's ledger, in c2sp.org/tlog-policy's own words. */
export interface Pin {
  readonly policy: string
  /** When it was pinned, RFC 3339 UTC. */
  readonly at: string
  /** `given`: the auditor brought it. `served`: it came from the party under audit, and is worth what it was compared with. */
  readonly source: 'given' | 'served'
  /** Whether the auditor said that the fingerprints are those he was given by another way. */
  readonly compared: boolean
}

/** What this browser keeps between visits, by bank. */
export interface Remembered {
  pin(bank: string): Pin | undefined
  setPin(bank: string, pin: Pin | undefined): void
  seen(bank: string): Seen | undefined
  setSeen(bank: string, seen: Seen | undefined): void
  /** Whether `/` goes to the search box. */
  shortcut(): boolean
  setShortcut(on: boolean): void
}

/** The browser's storage of one origin. */
interface Store {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

/** Keeps it in the browser's storage. What is there but malformed counts as not there. */
export function rememberIn(storage: Store): Remembered {
  const read = <T>(key: string, form: Readonly<Record<keyof T, string>>): T | undefined => {
    const found = parse(storage.getItem(`countersign.${key}`))
    return found !== undefined && hasForm(found, form) ? (found as T) : undefined
  }
  const write = (key: string, value: unknown) =>
    value === undefined
      ? storage.removeItem(`countersign.${key}`)
      : storage.setItem(`countersign.${key}`, JSON.stringify(value))
  return {
    pin: (bank) => read<Pin>(`pin.${bank}`, pinForm),
    setPin: (bank, pin) => write(`pin.${bank}`, pin),
    seen: (bank) => read<Seen>(`seen.${bank}`, seenForm),
    setSeen: (bank, seen) => write(`seen.${bank}`, seen),
    shortcut: () => storage.getItem('countersign.shortcut') !== 'off',
    setShortcut: (on) => storage.setItem('countersign.shortcut', on ? 'on' : 'off'),
  }
}

const pinForm = { policy: 'string', at: 'string', source: 'string', compared: 'boolean' } as const
const seenForm = { size: 'number', root: 'string', note: 'string' } as const

function parse(text: string | null): Record<string, unknown> | undefined {
  if (text === null) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

const hasForm = (value: Record<string, unknown>, form: Readonly<Record<string, string>>): boolean =>
  Object.entries(form).every(([name, type]) => typeof value[name] === type)
