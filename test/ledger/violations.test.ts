import { describe, expect, it } from '@jest/globals'
import { approval_typ } from '../../src/ledger/approval.ts'
import { rules, type Rule } from '../../src/ledger/replay.ts'
import { totalNames } from '../../src/ledger/totals.ts'
import {
  alertsPurpose,
  decodeEntry,
  endingOf,
  newBankKey,
  openLedger,
  purpose,
  random128,
  random256,
  type LedgerBuilder,
} from '../support/ledger_builder.ts'
import { started, tamper, violationOf } from './replaying.ts'

const day = 86_400_000

type Broken = (ledger: LedgerBuilder, consent: string) => unknown

/** A new key of tokens, published and then active. */
function rotated(ledger: LedgerBuilder): string {
  const key = random256()
  ledger.key({ key })
  ledger.key({ key, use: 'active' })
  return key
}

/** Ways to break each rule: the last entry does, after a beginning that keeps all of them. */
const broken: { readonly [R in Rule]: Readonly<Record<string, Broken>> } = {
  form: {
    'an unknown kind': (ledger) => ledger.append('outcome', { n: 1 }),
    'an unknown member': (ledger) => ledger.append('epoch', { size: 3, sum: random256(), zz: 1 }),
    'a time that is none': (ledger) => ledger.epoch({}, { at: '2026-02-30T00:00:00.000Z' }),
  },
  index: {
    'a gap': (ledger) => ledger.epoch({}, { n: 4 }),
    'an index that was used': (ledger) => ledger.epoch({}, { n: 2 }),
  },
  time: {
    'a clock set back': (ledger) => {
      ledger.wait(-1001)
      ledger.epoch()
    },
  },
  genesis: {
    'a second genesis': (ledger) =>
      ledger.append('genesis', decodeEntry(ledger.entries[0] ?? new Uint8Array()).body),
    'another first entry': (ledger) => {
      ledger.entries.length = 0
      ledger.epoch()
    },
    'a genesis that follows itself': (ledger) => {
      const { entries } = openLedger({ genesis: { predecessor: endingOf(ledger.origin, 1) } })
      ledger.entries.splice(0, Infinity, ...entries)
    },
    'a genesis that leaves a total out': (ledger) => {
      const { entries } = openLedger({
        genesis: { totals: totalNames.filter((name) => name !== 'releases_advertising') },
      })
      ledger.entries.splice(0, Infinity, ...entries)
    },
  },
  vocabulary: {
    'a kind that was not declared': (ledger) => {
      const { entries } = openLedger({ genesis: { kinds: ['genesis'] } })
      ledger.entries.splice(0, Infinity, ...entries)
      ledger.epoch({ size: 1 })
    },
  },
  totals: {
    'a total that rises too much': (ledger, consent) => {
      ledger.release(consent)
      tamper(ledger, ({ totals }) => (totals['releases_messaging_platform'] = 2))
    },
    'a total that does not rise': (ledger) => {
      ledger.refuse()
      tamper(ledger, ({ totals }) => (totals['refusals_advertising'] = 0))
    },
    'a total that another takes': (ledger, consent) => {
      ledger.release(consent)
      tamper(ledger, ({ totals }) => {
        totals['releases_messaging_platform'] = 0
        totals['releases_data_subject'] = 1
      })
    },
    'a total that is left out': (ledger) => {
      ledger.epoch()
      tamper(ledger, ({ totals }) => delete totals['releases_advertising'])
    },
    'a total that nobody declared': (ledger) => {
      ledger.epoch()
      tamper(ledger, ({ totals }) => (totals['releases_zebras'] = 0))
    },
    'a new total that does not start at zero': (ledger) => {
      ledger.append('policy', { kinds: [], reasons: [], totals: ['outcomes'] })
      tamper(ledger, ({ totals }) => (totals['outcomes'] = 1))
    },
    'a total that is declared twice': (ledger) =>
      ledger.append('policy', { kinds: [], reasons: [], totals: ['grants'] }),
  },
  chain: {
    'a link to another entry': (ledger, consent) => {
      ledger.release(consent)
      ledger.release(consent, { prev: 2 })
    },
    'no link': (ledger, consent) => {
      ledger.release(consent)
      tamper(ledger, ({ body }) => delete body['prev'])
    },
    'a link where nothing came before': (ledger) => ledger.grant({ prev: 2 }),
    'a link without a consent': (ledger) => ledger.refuse({ prev: 2 }),
  },
  key: {
    'an active key of tokens that was never published': (ledger) => ledger.key({ use: 'active' }),
    'an active key of the ledger that was never published': (ledger) =>
      ledger.key({ of: 'ledger', key: `${ledger.origin}+00000001+AQ==`, use: 'active' }),
    'a key that is published twice': (ledger) => {
      const key = random256()
      ledger.key({ key })
      ledger.key({ key })
    },
    'a key that is active twice': (ledger) => {
      const key = rotated(ledger)
      ledger.key({ key, use: 'active' })
    },
    'a key that comes back': (ledger) => {
      const [key] = [rotated(ledger), rotated(ledger)]
      ledger.key({ key, use: 'retired' })
      ledger.key({ key })
    },
    'a key that is retired before it was active': (ledger) => {
      const key = random256()
      rotated(ledger)
      ledger.key({ key })
      ledger.key({ key, use: 'retired' })
    },
    'the last key of tokens retired': (ledger) =>
      ledger.key({ key: rotated(ledger), use: 'retired' }),
    'the last key of the ledger retired': (ledger) => {
      rotated(ledger) // a key of tokens stands in for none of the ledger's
      ledger.key({ of: 'ledger', key: `${ledger.origin}+00000000+AQ==`, use: 'retired' })
    },
    'a key of tokens that is no thumbprint': (ledger) => ledger.key({ key: 'key' }),
    'a key of another ledger': (ledger) =>
      ledger.key({ of: 'ledger', key: 'broker.example/ledger/citi+00000001+AQ==' }),
  },
  approval: {
    'a signature by another key': (ledger) => ledger.approve({}, { key: newBankKey() }),
    'a signature of something else': (ledger) => {
      ledger.approve()
      tamper(ledger, ({ body }) => (body['jws'] = `${String(body['jws']).slice(0, -6)}AAAAAA`))
    },
    'no signature': (ledger) => {
      ledger.approve()
      tamper(ledger, ({ body }) => (body['jws'] = String(body['jws']).replace(/\.[^.]*$/, '.')))
    },
    'a signature of one character': (ledger) => {
      ledger.approve()
      tamper(ledger, ({ body }) => (body['jws'] = String(body['jws']).replace(/\.[^.]*$/, '.A')))
    },
    'a JWS of four parts': (ledger) => {
      ledger.approve()
      tamper(ledger, ({ body }) => (body['jws'] = `${String(body['jws'])}.AA`))
    },
    'an algorithm that is none': (ledger) =>
      ledger.approve({}, { header: { alg: 'none', typ: approval_typ } }),
    'a JWS of another type': (ledger) =>
      ledger.approve({}, { header: { alg: 'ES256', typ: 'JWT' } }),
    'a critical header': (ledger) =>
      ledger.approve({}, { header: { alg: 'ES256', crit: ['exp'], typ: approval_typ } }),
    'an approval for another ledger': (ledger) =>
      ledger.approve({}, { claims: { aud: 'broker.example/ledger/citi' } }),
    'an approval by another bank': (ledger) => ledger.approve({}, { claims: { iss: 'citi' } }),
    'an approval of another recipient': (ledger) =>
      ledger.approve({}, { claims: { recipient: 'other.example' } }),
    'an approval of another class': (ledger) =>
      ledger.approve({}, { claims: { class: 'data_subject' } }),
    'an approval of fewer purposes': (ledger) =>
      ledger.approve({}, { claims: { purposes: [purpose] } }),
    'an approval of fewer clusters': (ledger) =>
      ledger.approve({}, { claims: { clusters: ['BALANCES'] } }),
    'an approval of a customer as a recipient': (ledger) =>
      ledger.approve({ recipient: 'own.example', class: 'data_subject' }),
    'a paper kept from before the suspension': (ledger) => {
      ledger.wait(60_000)
      const kept = Math.floor(Date.parse(ledger.time()) / 1000) - 30
      ledger.suspend()
      ledger.approve({ iat: kept })
    },
    'a paper as old as the one that stands': (ledger) => {
      const { body } = decodeEntry(ledger.entries[1] ?? new Uint8Array())
      ledger.approve({ iat: (body as { iat: number }).iat, clusters: ['BALANCES'] })
    },
    'a paper of a time to come': (ledger) =>
      ledger.approve({ iat: Math.floor(Date.parse(ledger.time()) / 1000) + 62 }),
    'an approval of other keys': (ledger) => ledger.approve({}, { claims: { keys: [] } }),
    'an approval of an advertiser': (ledger) =>
      ledger.approve({ recipient: 'adnetwork.example', class: 'advertising' }),
    'an approval of a third party': (ledger) =>
      ledger.approve({ recipient: 'reseller.example', class: 'third_party' }),
    'an old approval after a suspension': (ledger) => {
      ledger.suspend()
      ledger.append('recipient.approve', decodeEntry(ledger.entries[1] ?? new Uint8Array()).body)
    },
    'an old approval after another one': (ledger) => {
      ledger.approve({ purposes: [purpose] })
      ledger.append('recipient.approve', decodeEntry(ledger.entries[1] ?? new Uint8Array()).body)
    },
    'a suspension of one who has no approval': (ledger) => ledger.suspend('other.example'),
    'a second suspension': (ledger) => {
      ledger.suspend()
      ledger.suspend()
    },
  },
  consent: {
    'a second grant of one consent': (ledger, consent) => ledger.grant({ consent }),
    'a grant of a consent that was revoked': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.grant({ consent })
    },
    'a grant to a recipient without approval': (ledger) =>
      ledger.grant({ recipient: 'other.example' }),
    'a grant to a suspended recipient': (ledger) => {
      ledger.suspend()
      ledger.grant()
    },
    'a grant for a purpose that the bank did not approve': (ledger) =>
      ledger.grant({ purpose: 'https://w3id.org/dpv#CustomerCare' }),
    'a grant for a purpose that is always denied': (ledger) => {
      const purposes = ['https://w3id.org/dpv#TargetedAdvertising']
      const { entries, ...other } = openLedger({ genesis: { purposes } })
      ledger.entries.splice(0, Infinity, ...entries)
      other.approve({ purposes })
      other.grant({ purpose: purposes[0] ?? '' })
      ledger.entries.splice(0, Infinity, ...entries)
    },
    'a grant for a purpose that genesis did not declare': (ledger) => {
      const { entries, ...other } = openLedger({ genesis: { purposes: [alertsPurpose] } })
      other.approve()
      other.grant()
      ledger.entries.splice(0, Infinity, ...entries)
    },
    'a grant of a cluster that the bank did not approve': (ledger) => {
      ledger.approve({ clusters: ['BALANCES'] })
      ledger.grant()
    },
    'a grant for more than a year': (ledger) =>
      ledger.grant({ expires: new Date(Date.parse(ledger.time()) + 365 * day + 1).toISOString() }),
    'a grant for once, for more than a day': (ledger) =>
      ledger.grant({
        one_time: true,
        expires: new Date(Date.parse(ledger.time()) + day + 1).toISOString(),
      }),
    'a replacement of a consent that was never granted': (ledger) =>
      ledger.replace(`us-bank.${random128()}`),
    'a replacement after a revocation': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.replace(consent)
    },
    'a replacement past the end': (ledger, consent) => {
      ledger.wait(90 * day)
      ledger.replace(consent, { expires: new Date(Date.parse(ledger.time()) + day).toISOString() })
    },
    'a replacement for another recipient': (ledger, consent) => {
      ledger.approve({ recipient: 'other.example' })
      ledger.replace(consent, { recipient: 'other.example' })
    },
    'a broader replacement without a login': (ledger, consent) => {
      ledger.replace(consent, { lookback_days: 91 })
      tamper(ledger, ({ body }) => delete body['login'])
    },
    'a broader replacement whose login is bound to nothing': (ledger, consent) => {
      ledger.replace(consent, { lookback_days: 91 })
      tamper(ledger, ({ body }) => delete body['terms'])
    },
    'a second revocation': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.revoke(consent)
    },
    'a revocation of a consent that was never granted': (ledger) =>
      ledger.revoke(`us-bank.${random128()}`),
    'a revocation after the expiry': (ledger, consent) => {
      ledger.wait(90 * day)
      ledger.expire(consent)
      ledger.revoke(consent)
    },
    'an expiry before the end': (ledger, consent) => ledger.expire(consent),
    'an expiry as unredeemed after a release': (ledger, consent) => {
      ledger.release(consent)
      ledger.expire(consent, { cause: 'unredeemed' })
    },
  },
  release: {
    'a release after the revocation': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.release(consent)
    },
    'a release after the end': (ledger, consent) => {
      ledger.wait(90 * day)
      ledger.release(consent)
    },
    'a release after the expiry': (ledger, consent) => {
      ledger.expire(consent, { cause: 'unredeemed' })
      ledger.release(consent)
    },
    'a release under a consent that was never granted': (ledger) =>
      ledger.release(`us-bank.${random128()}`),
    'a release to a suspended recipient': (ledger, consent) => {
      ledger.suspend()
      ledger.release(consent)
    },
    'a release to another recipient': (ledger, consent) => {
      ledger.approve({ recipient: 'other.example' })
      ledger.release(consent, { recipient: 'other.example' })
    },
    'a release to advertising': (ledger, consent) => ledger.release(consent, { to: 'advertising' }),
    'a release to a third party': (ledger, consent) =>
      ledger.release(consent, { to: 'third_party' }),
    'a release to a class that the delivery does not name': (ledger, consent) =>
      ledger.release(consent, { to: 'data_subject' }),
    'a release of an account outside the consent': (ledger, consent) =>
      ledger.release(consent, { accounts: [random128()] }),
    'a release of an account that was unticked since': (ledger, consent) => {
      const { body } = decodeEntry(ledger.entries.at(-1) ?? new Uint8Array())
      const [first, second] = body['accounts'] as [string, string]
      ledger.replace(consent, { accounts: [first] })
      ledger.release(consent, { accounts: [second] })
    },
    'a release of a cluster outside the consent': (ledger, consent) =>
      ledger.release(consent, { clusters: ['FRAUD_ALERTS', 'TRANSACTIONS'] }),
    'a release of a cluster that is no longer approved': (ledger, consent) => {
      ledger.approve({ clusters: ['BALANCES'] })
      ledger.release(consent)
    },
    'a release for a purpose that is no longer approved': (ledger, consent) => {
      ledger.approve({ purposes: [alertsPurpose] })
      ledger.release(consent)
    },
    'a release for another purpose': (ledger, consent) =>
      ledger.release(consent, { purpose: alertsPurpose }),
    'a release that reaches back too far': (ledger, consent) =>
      ledger.release(consent, { since: '2025-10-01' }),
    'a release of transactions since no day': (ledger, consent) => {
      ledger.release(consent)
      tamper(ledger, ({ body }) => delete body['since'])
    },
    'a release of balances since a day': (ledger, consent) =>
      ledger.release(consent, { clusters: ['BALANCES'] }),
  },
  refusal: {
    'a reason that was not declared': (ledger) => ledger.refuse({ reason: 'weather' }),
  },
  epoch: {
    'an epoch of fewer entries': (ledger) => ledger.epoch({ size: 2 }),
    'an epoch of more entries': (ledger) => ledger.epoch({ size: 4 }),
  },
  statement: {
    'a signature by another key': (ledger) => ledger.statement({}, { key: newBankKey() }),
    'a signature of something else': (ledger) => {
      ledger.statement()
      tamper(ledger, ({ body }) => (body['jws'] = `${String(body['jws']).slice(0, -6)}AAAAAA`))
    },
    'a JWS that is an approval': (ledger) =>
      ledger.statement({}, { header: { alg: 'ES256', typ: approval_typ } }),
    'a statement for another ledger': (ledger) =>
      ledger.statement({}, { claims: { aud: 'broker.example/ledger/citi' } }),
    'a statement by another bank': (ledger) => ledger.statement({}, { claims: { iss: 'citi' } }),
    'a statement of fewer requests': (ledger) =>
      ledger.statement({ count: 2 }, { claims: { count: 1 } }),
    'a statement of other requests': (ledger) =>
      ledger.statement({}, { claims: { root: random256() } }),
    'a statement of another beginning': (ledger) =>
      ledger.statement({}, { claims: { from: '2025-12-31T00:00:00.000Z' } }),
    'a statement of another end': (ledger) =>
      ledger.statement({}, { claims: { to: '2026-01-01T00:00:01.000Z' } }),
    'a statement signed at another time': (ledger) => ledger.statement({}, { claims: { iat: 7 } }),
    'a statement without a count': (ledger) => ledger.statement({}, { claims: { count: 'none' } }),
    'a statement without a root': (ledger) => ledger.statement({}, { claims: { root: 7 } }),
    'a statement that ends as it begins': (ledger) => ledger.statement({ from: ledger.time() }),
    'a statement of a time to come': (ledger) =>
      ledger.statement({ to: new Date(Date.parse(ledger.time()) + 60_001).toISOString() }),
    'a statement signed at a time to come': (ledger) =>
      ledger.statement({ iat: Date.parse(ledger.time()) / 1000 + 61 }),
    'a statement signed before its end': (ledger) => {
      ledger.wait(120_000)
      ledger.statement({ iat: Date.parse(ledger.time()) / 1000 - 61 })
    },
    'the same statement again': (ledger) => {
      ledger.statement()
      ledger.append('statement', decodeEntry(ledger.entries.at(-1) ?? new Uint8Array()).body)
    },
    'a statement that overlaps with one before': (ledger) => {
      const to = Date.parse(ledger.time())
      ledger.statement()
      ledger.statement({ from: new Date(to - 1).toISOString() })
    },
  },
  reconcile: {
    'a reconciliation of nothing': (ledger) => ledger.reconcile(),
    'a reconciliation of another entry': (ledger) => {
      ledger.statement()
      ledger.reconcile({ statement: 2 })
    },
    'a second reconciliation': (ledger) => {
      ledger.statement()
      ledger.reconcile()
      ledger.reconcile()
    },
    'a reconciliation out of turn': (ledger) => {
      ledger.statement()
      ledger.statement()
      ledger.reconcile()
    },
    'a request that nothing became of': (ledger) => {
      ledger.statement({ count: 2 })
      ledger.reconcile({ released: 0, dropped: 1 })
    },
    'a request that two things became of': (ledger, consent) => {
      ledger.release(consent)
      ledger.statement({ count: 1 })
      ledger.reconcile({ unknown: 1 })
    },
    'a request released that no release names': (ledger) => {
      ledger.statement({ count: 1 })
      ledger.reconcile()
    },
    'more missing than were released': (ledger, consent) => {
      ledger.release(consent)
      ledger.statement()
      ledger.reconcile({ missing: 1 })
      ledger.statement()
      ledger.reconcile({ missing: 1 })
    },
    'releases to come': (ledger) => {
      ledger.statement()
      ledger.reconcile({ upto: ledger.entries.length + 1 })
    },
    'releases that were compared before': (ledger) => {
      ledger.statement()
      ledger.reconcile()
      ledger.statement()
      ledger.reconcile({ upto: 1 })
    },
  },
  erasure: {
    'an erasure of an active consent': (ledger, consent) => ledger.erase([consent]),
    'an erasure of an active consent among others': (ledger, consent) => {
      const ended = ledger.grant()
      ledger.revoke(ended)
      ledger.erase([ended, consent])
    },
    'an erasure of a consent that was never granted': (ledger) =>
      ledger.erase([`us-bank.${random128()}`]),
    'a second erasure': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.erase([consent])
      ledger.erase([consent])
    },
  },
  restore: {
    "another ledger's checkpoint": (ledger) => {
      const { checkpoint } = endingOf('broker.example/ledger/other', ledger.entries.length)
      ledger.restore({ checkpoint })
    },
    'a checkpoint of fewer entries': (ledger) => {
      ledger.restore({ checkpoint: endingOf(ledger.origin, ledger.entries.length - 1).checkpoint })
    },
    'a checkpoint of more entries': (ledger) => {
      ledger.restore({ checkpoint: endingOf(ledger.origin, ledger.entries.length + 1).checkpoint })
    },
    'no checkpoint': (ledger) => ledger.restore({ checkpoint: 'A' }),
  },
  close: {
    'an entry after it': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.close()
      ledger.epoch()
    },
    'a consent that is active': (ledger) => ledger.close(),
    "another ledger's checkpoint": (ledger, consent) => {
      ledger.revoke(consent)
      ledger.close(endingOf('broker.example/ledger/other', 1))
    },
    'a checkpoint of entries that come later': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.close(endingOf(ledger.origin, ledger.entries.length + 1))
    },
    'no checkpoint': (ledger, consent) => {
      ledger.revoke(consent)
      ledger.close({ checkpoint: 'A' })
    },
  },
}

describe.each(Object.keys(rules) as Rule[])('the rule %s', (rule) => {
  it.each(Object.keys(broken[rule]))('finds %s', (name) => {
    const { ledger, consent } = started()
    broken[rule][name]?.(ledger, consent)
    expect(violationOf(ledger.entries.slice(0, -1))).toBeUndefined()
    const violation = violationOf(ledger.entries)
    expect(violation).toMatchObject({ rule, index: ledger.entries.length - 1 })
    expect(violation?.message).toBe(
      `entry ${ledger.entries.length - 1}: ${rule}: ${violation?.detail ?? ''}`,
    )
  })
})
