import { generateKeyPairSync, randomBytes, randomUUID, sign, type KeyObject } from 'node:crypto'
import { classNames } from '../../src/consent/class.ts'
import { clusterNames } from '../../src/consent/cluster.ts'
import { allowedPurposes } from '../../src/consent/purpose.ts'
import { refusalReasons } from '../../src/consent/refusal.ts'
import { earliestDate, type Approval } from '../../src/consent/terms.ts'
import { approval_typ } from '../../src/ledger/approval.ts'
import { canonical, type Json } from '../../src/ledger/canonical.ts'
import { kinds, type Bodies, type Draft } from '../../src/ledger/entry.ts'
import { addTotals, countsOf, noTotals, totalNames, type Totals } from '../../src/ledger/totals.ts'
import { appendSum, emptySumEdge, sumLeaf, sumRootText } from '../../src/merkle/sum_tree.ts'
import { leafHash } from '../../src/merkle/tree.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { statement_typ } from '../../src/ledger/statement.ts'

/** A P-256 key pair such as a bank signs approvals with. */
export interface BankKey {
  readonly privateKey: KeyObject
  readonly jwk: Readonly<Record<string, string>>
}

export function newBankKey(): BankKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty = '', crv = '', x = '', y = '' } = publicKey.export({ format: 'jwk' })
  return { privateKey, jwk: { crv, kty, x, y } }
}

/** What the builder works out for itself, unless a test wants it wrong. */
interface Envelope {
  n?: number
  at?: string
  totals?: Totals
}

/** What a bank's word is signed with and for. */
export interface Signing {
  key: BankKey
  header: Readonly<Record<string, Json>>
  claims: Readonly<Record<string, Json>>
}

type Terms = Bodies['consent.grant']

/** A ledger under construction. Each method appends one entry, as valid as its arguments, and checks nothing. */
export interface LedgerBuilder {
  readonly bank: string
  readonly origin: string
  readonly bankKey: BankKey
  readonly entries: Uint8Array[]
  /** Lets time pass, in milliseconds; else each entry is one second after the one before. */
  wait(ms: number): void
  /** The time of the next entry. */
  time(): string
  append(kind: string, body: Readonly<Record<string, unknown>>, envelope?: Envelope): number
  /** A key of tokens that is published next, unless the test says otherwise. */
  key(body?: Partial<Bodies['key']>): number
  approve(approval?: Partial<Approval & { iat: number }>, signing?: Partial<Signing>): number
  suspend(recipient?: string): number
  /** Grants a consent and returns its id. */
  grant(body?: Partial<Terms>): string
  replace(consent: string, body?: Partial<Bodies['consent.replace']>): number
  revoke(consent: string, body?: Partial<Bodies['consent.revoke']>): number
  expire(consent: string, body?: Partial<Bodies['consent.expire']>): number
  /** Releases all that the latest terms of the consent allow. */
  release(consent: string, body?: Partial<Bodies['release']>): number
  refuse(body?: Partial<Bodies['refusal']>): number
  epoch(body?: Partial<Bodies['epoch']>, envelope?: Envelope): number
  /** A statement of what the bank served since the one before it. */
  statement(body?: Partial<Bodies['statement']>, signing?: Partial<Signing>): number
  /** Reconciles the newest statement: all that it counts was released, unless the test says otherwise. */
  reconcile(body?: Partial<Bodies['reconcile']>): number
  erase(consents: readonly string[]): number
  /** Says that it was restored to the entries so far, whatever their root. */
  restore(body?: Partial<Bodies['restore']>): number
  close(body?: Partial<Bodies['close']>): number
  /** An auditor was shown something. */
  access(body?: Partial<Bodies['access']>): number
}

const utf8 = new TextEncoder()
const dayMs = 86_400_000

export const random128 = () => randomBytes(16).toString('base64url')
export const random256 = () => randomBytes(32).toString('base64url')
export const messenger = 'messenger.example'
export const purpose = 'https://w3id.org/dpv#RequestedServiceProvision'
export const alertsPurpose = 'https://w3id.org/dpv#FraudPreventionAndDetection'

/** The bytes of an entry that says whatever the test wants, as long as it has a canonical form. */
export const encodeEntry = (entry: unknown): Uint8Array => utf8.encode(canonical(entry as Json))

/** An entry as a plain object that a test may change. */
export const decodeEntry = (bytes: Uint8Array): Loose =>
  JSON.parse(new TextDecoder().decode(bytes)) as Loose

interface Loose {
  v: number
  n: number
  at: string
  kind: string
  body: Record<string, unknown>
  totals: Record<string, number>
}

/** Opens a ledger: its genesis entry is in place. `vkey` is what genesis says signs it. */
export function openLedger({
  bank = 'us-bank',
  origin = `broker.example/ledger/${bank}`,
  vkey = `${origin}+00000000+AQ==`,
  bankKey = newBankKey(),
  genesis = {},
}: {
  bank?: string
  origin?: string
  vkey?: string
  bankKey?: BankKey
  genesis?: Readonly<Record<string, unknown>>
} = {}): LedgerBuilder {
  const entries: Uint8Array[] = []
  const tails = new Map<string, number>()
  const terms = new Map<string, Terms>()
  const sums = emptySumEdge()
  let totals: Totals = noTotals
  let now = Date.UTC(2026, 0, 1)
  let signedAt = 0
  let newest = { n: 0, count: 0, to: new Date(now).toISOString() }

  const sumNow = () => sumRootText(nodeHasher, sums)

  const time = () => new Date(now).toISOString()

  const append: LedgerBuilder['append'] = (kind, body, envelope = {}) => {
    const n = entries.length
    const consent = body['consent']
    const prev = typeof consent === 'string' ? tails.get(consent) : undefined
    const chained = prev === undefined ? body : { prev, ...body }
    if (kind === 'policy') totals = { ...totals, ...zeros(body['totals']) }
    const draft = { kind, body } as unknown as Draft
    totals = addTotals(totals, draft)
    const bytes = encodeEntry({
      v: 1,
      n,
      at: time(),
      kind,
      totals,
      ...envelope,
      body: withoutUndefined(chained),
    })
    entries.push(bytes)
    const names = (genesis['totals'] as string[] | undefined) ?? totalNames
    const leaf = leafHash(nodeHasher, bytes)
    appendSum(nodeHasher, sums, sumLeaf(nodeHasher, countsOf(names, draft), leaf))
    if (typeof consent === 'string') tails.set(consent, n)
    now += 1000
    return n
  }

  append('genesis', {
    bank,
    bank_key: bankKey.jwk,
    kinds,
    lei: '6BYL5QZYBDK8S7L73M02',
    origin,
    purposes: allowedPurposes,
    reasons: refusalReasons,
    totals: totalNames,
    vkey,
    ...genesis,
  })

  return {
    bank,
    origin,
    bankKey,
    entries,
    wait: (ms) => void (now += ms),
    time,
    append,
    key: (body) => append('key', { key: random256(), of: 'tokens', use: 'next', ...body }),
    approve(approval, signing) {
      // Later than any before it, and than a suspension in the same second.
      signedAt = Math.max(signedAt, Math.floor(now / 1000)) + 1
      const body = { iat: signedAt, ...approvalBody(approval) }
      return append('recipient.approve', {
        ...body,
        jws: signJws({
          key: bankKey,
          header: { alg: 'ES256', typ: approval_typ },
          ...signing,
          claims: { iss: bank, aud: origin, ...body, ...signing?.claims },
        }),
      })
    },
    suspend: (recipient = messenger) => append('recipient.suspend', { by: 'bank', recipient }),
    grant(body) {
      const consent = body?.consent ?? `${bank}.${random128()}`
      const granted = { ...grantBody(consent, now), ...body }
      terms.set(consent, granted)
      append('consent.grant', granted)
      return consent
    },
    replace(consent, body) {
      const { prev: _, ...before } = terms.get(consent) ?? grantBody(consent, now)
      const replaced = { ...before, by: 'customer' as const, ...body }
      terms.set(consent, replaced)
      return append('consent.replace', replaced)
    },
    revoke: (consent, body) =>
      append('consent.revoke', { by: 'customer', consent, reason: 'USER_ACTION', ...body }),
    expire: (consent, body) => append('consent.expire', { cause: 'term', consent, ...body }),
    release: (consent, body) =>
      append('release', {
        ...releaseBody(terms.get(consent) ?? grantBody(consent, now), time()),
        consent,
        ...body,
      }),
    refuse: (body) =>
      append('refusal', {
        class: 'advertising',
        client: 'adnetwork.example',
        count: 1,
        reason: 'class_denied',
        salt: random128(),
        ...body,
      }),
    epoch: (body, envelope) =>
      append('epoch', { size: entries.length, sum: sumNow(), ...body }, envelope),
    statement(body, signing) {
      const iat = Math.floor(now / 1000)
      const said = { count: 0, from: newest.to, iat, root: random256(), to: time(), ...body }
      newest = { n: entries.length, count: said.count, to: said.to }
      return append('statement', {
        ...said,
        jws: signJws({
          key: bankKey,
          header: { alg: 'ES256', typ: statement_typ },
          ...signing,
          claims: { iss: bank, aud: origin, ...said, ...signing?.claims },
        }),
      })
    },
    reconcile: (body) =>
      append('reconcile', {
        ...{ dropped: 0, missing: 0, offered: 0, refused: 0, unknown: 0, released: newest.count },
        ...{ statement: newest.n, upto: newest.n, ...body },
      }),
    erase: (consents) => append('erasure', { consents }),
    restore: (body) => {
      const { checkpoint } = endingOf(origin, entries.length)
      return append('restore', { checkpoint, ...body })
    },
    close: (body) => append('close', { ...endingOf(origin, entries.length), ...body }),
    access: (body) =>
      append('access', { actor: 'first-audit', asked: random256(), what: 'entries', ...body }),
  }
}

/** The end of a ledger: a checkpoint that nobody signed. */
export function endingOf(origin: string, size: number): Bodies['close'] {
  const note = `${origin}\n${size}\n${'A'.repeat(43)}=\n\n— ${origin} AA==\n`
  return { checkpoint: Buffer.from(note).toString('base64url'), reason: 'the bank has a new key' }
}

function approvalBody(approval: Partial<Approval & { iat: number }> = {}) {
  const { suspended: _, ...wanted } = approval
  return {
    class: 'messaging_platform' as const,
    clusters: clusterNames,
    keys: [random256()],
    purposes: [purpose, alertsPurpose],
    recipient: messenger,
    ...wanted,
  }
}

/** Signs what a bank says as a compact JWS, ES256. */
export function signJws({ key, header, claims }: Signing): string {
  const part = (value: Json) => Buffer.from(canonical(value)).toString('base64url')
  const input = `${part(header)}.${part(claims)}`
  const signature = sign('sha256', Buffer.from(input), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  return `${input}.${signature.toString('base64url')}`
}

const grantBody = (consent: string, now: number): Terms => ({
  accounts: [random128(), random128()],
  clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
  consent,
  delivery: 'in_thread',
  disclosure: { language: 'en', sha256: random256(), version: '1' },
  expires: new Date(now + 90 * dayMs).toISOString(),
  login: random256(),
  lookback_days: 90,
  one_time: false,
  purpose,
  recipient: messenger,
  terms: random256(),
})

const releaseBody = (terms: Terms, at: string) => ({
  accounts: terms.accounts,
  clusters: terms.clusters,
  consent: terms.consent,
  fetches: [random128()],
  interaction: randomUUID(),
  payload: random256(),
  purpose: terms.purpose,
  recipient: terms.recipient,
  since: terms.clusters.includes('TRANSACTIONS')
    ? earliestDate(terms.lookback_days, at)
    : undefined,
  to: terms.delivery === 'in_thread' ? classNames[1] : classNames[0],
})

const zeros = (names: unknown) =>
  Object.fromEntries((Array.isArray(names) ? names : []).map((name: unknown) => [name, 0]))

const withoutUndefined = (body: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
