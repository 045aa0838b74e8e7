import { createContext, type ComponentChildren } from 'preact'
import { useContext, useMemo, useState } from 'preact/hooks'
import { encodeBase64 } from '../../merkle/encoding.ts'
import { MerkleError } from '../../merkle/errors.ts'
import { parsePolicy, type Policy } from '../../merkle/policy.ts'
import { formatVkey, type Vkey } from '../../merkle/vkey.ts'
import { useLoaded, type Loaded } from './loaded.ts'
import { useNavigation } from './navigation.tsx'
import { rememberIn, type Pin } from './remembered.ts'
import { askText } from './served.ts'
import { policyFor, type PageCrypto } from './verification.ts'

/** What everything on the page is checked with: the policy that the auditor pinned in this browser, if he has. */
interface Trust {
  readonly crypto: PageCrypto
  readonly pin: Pin | undefined
  readonly policy: Policy | undefined
  /** The policy that the broker serves now: it proves nothing, but that it changed is worth knowing. */
  readonly served: Loaded<string>
  setPin(pin: Pin | undefined): void
}

export const remembered = rememberIn(window.localStorage)

const Trusted = createContext<Trust | undefined>(undefined)

export function useTrust(): Trust {
  const trust = useContext(Trusted)
  if (trust === undefined) throw new Error('there is no trust outside of the console')
  return trust
}

export function TrustOf({ crypto, children }: { crypto: PageCrypto; children: ComponentChildren }) {
  const { bank } = useNavigation().place
  const [pin, keepPin] = useState(() => remembered.pin(bank))
  const served = useLoaded(bank, (signal) => askText(`/ledger/${bank}/policy`, signal))
  const policy = useMemo(() => {
    const read = readPolicy(crypto, pin?.policy).policy
    return read && policyFor(read, bank)
  }, [pin, bank])
  const setPin = (next: Pin | undefined) => {
    remembered.setPin(bank, next)
    keepPin(next)
  }
  return (
    <Trusted.Provider value={{ crypto, pin, policy, served, setPin }}>{children}</Trusted.Provider>
  )
}

/** A policy, or what is wrong with its text. */
export function readPolicy(
  { hasher }: PageCrypto,
  text: string | undefined,
): { policy?: Policy; wrong?: string } {
  if (text === undefined) return {}
  try {
    return { policy: parsePolicy(hasher, text) }
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    return { wrong: error.message }
  }
}

/** The keys that a policy names, with what people compare: SHA-256 of the verifier key as it is written, in groups of four. */
export function keysOf({ hasher }: PageCrypto, policy: Policy) {
  const row = (what: 'log' | 'witness', name: string, vkey: Vkey) => {
    const text = formatVkey(vkey)
    const digest = hasher.sha256(new TextEncoder().encode(text))
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
    return { what, name, vkey: text, fingerprint: hex.match(/.{4}/g)?.join(' ') ?? '' }
  }
  return [
    ...policy.logs.map(({ vkey }) => row('log', vkey.name, vkey)),
    ...[...policy.witnesses].map(([name, { vkey }]) => row('witness', name, vkey)),
  ]
}

/** Whether two policies say the same, whatever their comments and spaces are. */
export function isSamePolicy(crypto: PageCrypto, a: string, b: string): boolean {
  const [one, other] = [readPolicy(crypto, a).policy, readPolicy(crypto, b).policy]
  return one !== undefined && other !== undefined && summaryOf(one) === summaryOf(other)
}

const summaryOf = ({ logs, witnesses, groups, quorum }: Policy): string =>
  JSON.stringify([
    logs.map(({ vkey }) => formatVkey(vkey)),
    [...witnesses].map(([name, { vkey }]) => [name, encodeBase64(vkey.publicKey)]),
    [...groups],
    quorum,
  ])
