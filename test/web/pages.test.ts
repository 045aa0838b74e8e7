import { describe, expect, it } from '@jest/globals'
import { accountName } from '../../src/web/account_name.ts'
import { chooseBankPage } from '../../src/web/choose_bank.tsx'
import { endedPage, narrowedPage } from '../../src/web/confirmation.tsx'
import { connectionsPage } from '../../src/web/connections.tsx'
import { consentEntriesPage } from '../../src/web/consent_entries.tsx'
import { deliveryPage, pointerPage } from '../../src/web/delivery.tsx'
import { disclosurePage } from '../../src/web/disclosure.tsx'
import { errorPage } from '../../src/web/error.tsx'
import { interstitialPage } from '../../src/web/interstitial.tsx'
import { policyPage } from '../../src/web/policy.tsx'
import type { Connection } from '../../src/storage/connections.ts'

/** Chosen by someone who wishes us ill: markup, an attribute's end, and characters that turn the text around. */
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)> \u202eknab ruoy`

const terms = {
  recipient: 'messenger',
  purpose: 'https://w3id.org/dpv#RequestedServiceProvision',
  clusters: ['BALANCES', 'TRANSACTIONS'],
  accounts: ['a'.repeat(22), 'b'.repeat(22)],
  lookback_days: 90,
  one_time: false,
  expires: '2027-02-22T14:00:00.000Z',
  delivery: 'link_out',
  disclosure: { version: '1', language: 'en', sha256: 'c'.repeat(43) },
} as const

const granted = '2026-11-24T14:00:00.000Z'

const active: Connection = {
  consent: { id: 'us-bank.1', state: 'active', recipient: 'messenger', terms, granted },
  recipient: hostile,
  accounts: terms.accounts.map((handle) => ({ handle, display: `${hostile} ••••4242` })),
  lastRelease: '2026-11-25T09:30:00.000Z',
}

const revoked: Connection = {
  consent: {
    ...active.consent,
    id: 'us-bank.2',
    state: 'revoked',
    ended: { at: '2026-11-26T08:00:00.123Z', by: 'bank' },
  },
  recipient: 'Harbor Messaging, Inc.',
  accounts: [],
}

const pages = {
  interstitial: interstitialPage({
    ...{ recipient: hostile, profile: hostile, bank: hostile, csrf: hostile },
  }),
  disclosure: disclosurePage({
    parts: [{ heading: hostile, paragraphs: [hostile], items: [hostile] }],
    ...{ sha256: hostile, profile: hostile, accounts: [hostile], problem: hostile, csrf: hostile },
    sharedBefore: [hostile],
    ticked: () => true,
  }),
  consentEntries: consentEntriesPage({
    ...{ bank: { id: 'us-bank', legalName: hostile }, older: 7, counted: 9 },
    recipient: { id: 'messenger', legalName: hostile },
    address: '/connections/us-bank.1/entries',
    entries: [
      {
        ...{ v: 1, n: 8, at: granted, kind: 'refusal', totals: {} },
        body: {
          ...{ class: 'advertising', client: hostile, consent: 'us-bank.1', count: 2 },
          ...{ reason: hostile, salt: 'd'.repeat(22) },
        },
      },
    ],
  }),
  connections: connectionsPage({
    ...{ bank: hostile, connections: [active, revoked], problem: hostile, csrf: hostile },
    at: '2026-12-01T00:00:00.000Z',
  }),
  ended: endedPage({
    ended: [{ recipient: hostile, endedAt: granted, lastArrival: '2026-11-24T14:00:02.000Z' }],
    back: '/connections',
  }),
  narrowed: narrowedPage({
    ...{ recipient: hostile, accounts: [hostile], back: '/connections' },
    lastArrival: '2026-11-24T14:00:02.000Z',
  }),
  pointer: pointerPage({ pointer: hostile, csrf: hostile }),
  delivery: deliveryPage({
    bank: hostile,
    figures: [
      {
        account: { nickname: hostile, currentBalance: 1234.5, currency: { currencyCode: 'USD' } },
        transactions: [
          {
            transactionTimestamp: hostile,
            description: hostile,
            amount: 12,
            debitCreditMemo: 'DEBIT',
          },
        ],
      },
    ],
    entry: { n: 7, hash: hostile },
  }),
  banks: chooseBankPage({
    ...{ title: hostile, why: hostile, action: hostile, csrf: hostile },
    banks: [{ id: hostile, legalName: hostile }],
  }),
  policy: policyPage({ banks: [{ id: hostile, legalName: hostile }] }),
  error: errorPage({ title: hostile, what: hostile, todo: hostile }),
}

describe.each(Object.entries(pages))('the %s page', (_, html) => {
  it('shows whatever others chose as text, never as markup', () => {
    expect(html).not.toMatch(/<script|<img/)
    expect(html).toContain('&lt;script>alert(1)&lt;/script>')
  })

  it('holds no script, no inline style, and nothing from elsewhere', () => {
    expect(html.replaceAll(/&lt;[^<]*/g, '')).not.toMatch(/<script|<style|\sstyle=|\son\w+=/)
    const loaded = [
      ...html.matchAll(/<(?:link|img|iframe|object|embed)[^>]*(?:href|src)="([^"]*)"/g),
    ]
    expect(loaded.map(([, address]) => address)).toEqual(['/web/style.css', '/web/logo.svg'])
  })

  it('has one main part, one first heading, a language and a title', () => {
    expect(html.match(/<main\b/g)).toHaveLength(1)
    expect(html.match(/<h1\b/g)).toHaveLength(1)
    expect(html).toMatch(/^<!doctype html><html lang="en">.*<title>[^<]+<\/title>/s)
  })

  it('gives every control a name to be found by', () => {
    const controls = [...html.matchAll(/<(button|input)\b(?![^>]*type="hidden")([^>]*)>/g)]
    expect(controls.filter(([, , attributes]) => !attributes?.includes('id="'))).toEqual([])
  })
})

describe('the interstitial', () => {
  const html = interstitialPage({
    recipient: 'Harbor Messaging, Inc.',
    profile: 'Ana Ortiz',
    bank: 'U.S. Bank National Association',
    csrf: 'token',
  })

  it('names the Messenger profile, so that whoever was sent here by a stranger sees the stranger', () => {
    expect(html).toContain(
      'You are linking to the Messenger profile <bdi class="name">“Ana Ortiz”</bdi>',
    )
    expect(html).toContain('If this profile is not yours')
  })

  it('names the recipient and the bank, and lets the customer go on or cancel', () => {
    expect(html).toContain('Harbor Messaging, Inc.')
    expect(html).toMatch(/<button id="continue">Continue to U\.S\. Bank National Association</)
    expect(html).toContain(
      '<button id="cancel" class="quiet" formaction="/oauth/authorize/cancel">',
    )
  })
})

describe('the connections page', () => {
  it('shows what is shared, with whom, why, since when, until when, and when it was last used', () => {
    for (const words of [
      '<li>Account balances</li><li>Transactions</li>',
      'Providing the service you asked for',
      '24 November 2026, 14:00 UTC',
      '22 February 2027, 14:00 UTC',
      '25 November 2026, 09:30 UTC',
      'On a page of Countersign, by a link',
    ])
      expect(pages.connections).toContain(words)
  })

  it('shows of an ended one when it ended and who ended it', () => {
    expect(pages.connections).toContain(
      '<time datetime="2026-11-26T08:00:00.123Z">26 November 2026, 08:00 UTC</time>, by your bank',
    )
  })

  it('ends each active connection in one step, and all of them in one', () => {
    expect(pages.connections.match(/id="revoke-\d+"/g)).toEqual(['id="revoke-0"'])
    expect(pages.connections).toContain('id="revoke-all"')
  })

  it('offers nothing to end when nothing is active, be it that the end is not written yet', () => {
    const html = connectionsPage({
      ...{ bank: 'Citi', connections: [active, revoked], csrf: 'token' },
      at: terms.expires,
    })
    expect(html).not.toMatch(/id="revoke/)
    expect(html).toContain('<span class="state ended">Expired</span>')
  })
})

describe('the page of a pointer', () => {
  it('shows no figure, no bank, no recipient and no event', () => {
    const html = pointerPage({ pointer: 'p', csrf: 'token' })
    expect(html.replaceAll(/<[^>]*>/g, '')).not.toMatch(/\d|alert|balance|transaction|••••/i)
  })
})

describe('the figures', () => {
  it('are amounts with two digits and the currency, debits with a sign', () => {
    expect(pages.delivery).toContain('<strong>1,234.50 USD</strong>')
    expect(pages.delivery).toContain('−12.00')
  })

  it('name the entry that records the showing', () => {
    expect(pages.delivery).toContain('recorded as entry 7 of the ledger')
  })
})

describe('an account’s name', () => {
  it('shows four digits of its number and no more, wherever the bank wrote it', () => {
    expect(accountName({ nickname: 'Rent 4000 1234 5678 9010', accountNumber: '123456789' })).toBe(
      'Rent ••••9010 ••••6789',
    )
  })

  it('falls back from nickname to product to type, and is never empty', () => {
    expect(accountName({ nickname: ' ', productName: 'Savings', accountNumber: '1' })).toBe(
      'Savings ••••1',
    )
    expect(accountName({ accountType: 'CHECKING' })).toBe('CHECKING ••••')
    expect(accountName({})).toBe('Account ••••')
  })
})
