import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { append, emptyEdge, leafHash, rootOf } from '../../src/merkle/tree.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { messenger, newBankKey, openLedger, type LedgerBuilder } from '../support/ledger_builder.ts'
import { CanonicalError } from '../../src/ledger/canonical.ts'
import { replayEntry, startReplay } from '../../src/ledger/replay.ts'
import { openReplay, sealReplay } from '../../src/ledger/sealed.ts'
import { verifyJws } from '../../src/storage/jws.ts'
import { replayAll, violationOf } from './replaying.ts'

const bankKey = newBankKey()
const day = 86_400_000

/** What happens next, if it may: `pick` chooses a consent, a number of days, a count. */
const happenings = {
  grant({ ledger, ends, approved }) {
    if (approved) ends.set(ledger.grant(), Date.parse(ledger.time()) + 90 * day)
  },
  release(model, pick) {
    const consent = standing(model, pick)
    if (consent !== undefined) model.ledger.release(consent)
  },
  narrow(model, pick) {
    const consent = standing(model, pick)
    if (consent !== undefined) model.ledger.replace(consent, { lookback_days: pick % 90 })
  },
  revoke({ ledger, ends }, pick) {
    const consent = chosen(ends, pick)
    if (consent === undefined || !ends.delete(consent)) return
    ledger.revoke(consent)
    if (pick % 2 === 0) ledger.erase([consent])
  },
  state({ ledger }, pick) {
    ledger.statement({ count: pick % 3 })
    ledger.reconcile({ released: 0, dropped: pick % 3 })
  },
  expire({ ledger, ends }, pick) {
    const consent = chosen(ends, pick)
    const end = ends.get(consent ?? '') ?? Infinity
    if (consent === undefined || Date.parse(ledger.time()) < end) return
    ends.delete(consent)
    ledger.expire(consent)
  },
  refuse: ({ ledger }, pick) => void ledger.refuse({ count: 1 + (pick % 9) }),
  suspend(model) {
    if (model.approved) model.ledger.suspend()
    model.approved = false
  },
  approve(model) {
    model.ledger.approve()
    model.approved = true
  },
  epoch: ({ ledger }) => void ledger.epoch(),
  access: ({ ledger }) => void ledger.access(),
  wait: ({ ledger }, pick) => ledger.wait((pick % 60) * day),
} satisfies Record<string, (model: Model, pick: number) => void>

interface Model {
  readonly ledger: LedgerBuilder
  /** The end of each consent that is active. */
  readonly ends: Map<string, number>
  approved: boolean
}

const chosen = (ends: ReadonlyMap<string, number>, pick: number) =>
  [...ends.keys()][pick % Math.max(1, ends.size)]

/** The chosen consent, if anything may be done under it now. */
function standing({ ledger, ends, approved }: Model, pick: number): string | undefined {
  const consent = chosen(ends, pick)
  const end = ends.get(consent ?? '') ?? 0
  return approved && Date.parse(ledger.time()) < end ? consent : undefined
}

type Happening = keyof typeof happenings

const names = Object.keys(happenings) as Happening[]
const events = fc.array(
  fc.record({
    what: fc.constantFrom<Happening>(...names, 'grant', 'release', 'release', 'release'),
    pick: fc.nat(),
  }),
  { minLength: 5, maxLength: 60 },
)

function history(happened: readonly { what: Happening; pick: number }[]): LedgerBuilder {
  const model: Model = { ledger: openLedger({ bankKey }), ends: new Map(), approved: false }
  happenings.approve(model)
  for (const { what, pick } of happened) happenings[what](model, pick)
  return model.ledger
}

function rootOfAll(entries: readonly Uint8Array[]): string {
  const edge = emptyEdge()
  for (const bytes of entries) append(nodeHasher, edge, leafHash(nodeHasher, bytes))
  return Buffer.from(rootOf(nodeHasher, edge)).toString('hex')
}

describe('a valid history', () => {
  it('replays cleanly, whatever happened in it', () => {
    fc.assert(
      fc.property(events, (happened) => {
        const { entries } = history(happened)
        const state = replayAll(entries)
        expect(state.size).toBe(entries.length)
        expect(state.totals['releases_advertising']).toBe(0)
        expect(state.approvals.has(messenger)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('has another root once any byte of it is another, and replay never does worse than say so', () => {
    fc.assert(
      fc.property(
        events,
        fc.array(fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }))),
        (happened, flips) => {
          const { entries } = history(happened)
          const root = rootOfAll(entries)
          for (const [entry, byte, bits] of flips) {
            const changed = [...entries]
            const bytes = Uint8Array.from(entries[entry % entries.length] ?? [])
            bytes[byte % bytes.length] = (bytes[byte % bytes.length] ?? 0) ^ bits
            changed[entry % entries.length] = bytes
            violationOf(changed)
            expect(rootOfAll(changed)).not.toBe(root)
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  const moved = (how: (entries: Uint8Array[], at: number) => void) =>
    fc.assert(
      fc.property(events, fc.nat(), (happened, pick) => {
        const { entries } = history(happened)
        const at = pick % (entries.length - 1)
        const changed = [...entries]
        how(changed, at)
        expect(violationOf(changed)).toMatchObject({ index: at })
        expect(rootOfAll(changed)).not.toBe(rootOfAll(entries))
      }),
      { numRuns: 40 },
    )

  it('is broken where an entry is dropped', () => {
    moved((entries, at) => void entries.splice(at, 1))
  })

  it('is broken where two entries are swapped', () => {
    moved((entries, at) => void entries.splice(at, 2, ...entries.slice(at, at + 2).toReversed()))
  })

  it('is broken behind an entry that is repeated', () => {
    fc.assert(
      fc.property(events, fc.nat(), (happened, pick) => {
        const { entries } = history(happened)
        const at = pick % entries.length
        const changed = [...entries.slice(0, at + 1), ...entries.slice(at)]
        expect(violationOf(changed)).toMatchObject({ index: at + 1 })
      }),
      { numRuns: 40 },
    )
  })

  it('only loses its end when its last entries are dropped, which the root alone shows', () => {
    fc.assert(
      fc.property(events, (happened) => {
        const { entries } = history(happened)
        const cut = entries.slice(0, -1)
        expect(violationOf(cut)).toBeUndefined()
        expect(rootOfAll(cut)).not.toBe(rootOfAll(entries))
      }),
      { numRuns: 40 },
    )
  })
})

describe('the sealed state of a replay', () => {
  it('is what replaying goes on from, wherever it was interrupted', () => {
    fc.assert(
      fc.property(events, fc.nat(), (happened, pick) => {
        const { entries } = history(happened)
        const cut = pick % (entries.length + 1)
        const before = startReplay()
        for (const bytes of entries.slice(0, cut)) replayEntry(before, bytes, verifyJws)
        const lines = [...sealReplay(before)]
        const state = openReplay(lines)
        expect([...sealReplay(state)]).toEqual(lines)
        for (const bytes of entries.slice(cut)) replayEntry(state, bytes, verifyJws)
        expect(state).toEqual(replayAll(entries))
      }),
      { numRuns: 60 },
    )
  })

  it('is one line of text for each thing that it remembers', () => {
    const { entries } = history([])
    const [head = '', ...elements] = sealReplay(replayAll(entries))
    expect(JSON.parse(head)).toMatchObject({ size: 2, genesis: { bank: 'us-bank' } })
    expect(elements).toContain('["purposes","https://w3id.org/dpv#CustomerCare"]')
    expect(elements.join('')).not.toContain('\n')
  })

  it.each([
    [[]],
    [['']],
    [['[]']],
    [['{}', '["else","a"]']],
    [['{}', '{}']],
    [['{"__proto__":1}']],
  ])('is not %j', (lines) => {
    expect(() => openReplay(lines)).toThrow(CanonicalError)
  })
})
