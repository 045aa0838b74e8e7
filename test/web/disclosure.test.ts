import { describe, expect, it } from '@jest/globals'
import { disclosureText } from '../../src/consent/disclosure.ts'
import { hashOf } from '../../src/storage/ids.ts'
import { disclosurePage } from '../../src/web/disclosure.tsx'
import { textOf } from './page_text.ts'

const facts = {
  requested: {
    recipient: 'messenger',
    bank: 'us-bank',
    clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS', 'FRAUD_ALERTS'],
    purpose: 'https://w3id.org/dpv#RequestedServiceProvision',
    lookback_days: 90,
    one_time: false,
    duration_days: 90,
    delivery: 'link_out',
  },
  recipient: 'Harbor <b>&amp;</b> "Messaging", Inc.',
  bank: 'U.S. Bank National Association',
  connectionsUrl: 'https://broker.example/connections',
  at: Date.parse('2026-11-24T14:00:00Z'),
} as const

describe('the disclosure page', () => {
  const shown = disclosureText(facts)
  const sha256 = hashOf(shown.text).toString('base64url')
  const page = (changes: Partial<Parameters<typeof disclosurePage>[0]> = {}) =>
    disclosurePage({
      ...{ parts: shown.parts, sha256, profile: 'Ana', csrf: 'token' },
      accounts: ['Everyday Checking ••••4242', 'Savings ••••0007'],
      ticked: () => true,
      ...changes,
    })

  it('shows in its article the hashed text, the whole of it and nothing else', () => {
    const article = /<article[^>]*>(.*)<\/article>/s.exec(page())?.[1] ?? ''
    expect(textOf(article)).toBe(shown.text)
    expect(page()).toContain(`name="disclosure" value="${sha256}"`)
  })

  it('keeps the customer out of the hashed text: no profile, no account', () => {
    expect(shown.text).not.toMatch(/Ana|4242|••••/)
  })

  it('gives approving and declining buttons of one look, neither chosen beforehand', () => {
    const buttons = [...page().matchAll(/<button id="(approve|decline)"([^>]*)>/g)]
    expect(buttons.map(([, id]) => id)).toEqual(['approve', 'decline'])
    expect(buttons.map(([, , rest]) => rest?.replace(/value="\w+"/, ''))).toEqual([
      ' name="decision" ',
      ' name="decision" ',
    ])
  })

  it('names the accounts of the permission that it changes beside the choice, and not in the text', () => {
    expect(page()).not.toContain('Shared before')
    const changing = page({ sharedBefore: ['Everyday Checking ••••4242', '<b>Old</b> ••••0001'] })
    expect(textOf(changing)).toContain(
      'Shared before: Everyday Checking ••••4242, <b>Old</b> ••••0001. From now on those you tick, and no others.',
    )
    expect(/<article[^>]*>(.*)<\/article>/s.exec(changing)?.[1]).not.toContain('Shared before')
  })

  it('offers each account as a box of its own, by number and never by the bank’s id', () => {
    const boxes = [
      ...page({ ticked: (index) => index === 1 }).matchAll(/<input type="checkbox"[^>]*>/g),
    ]
    expect(boxes.map(([box]) => box)).toEqual([
      '<input type="checkbox" id="account-0" name="account" value="0"/>',
      '<input type="checkbox" id="account-1" name="account" value="1" checked/>',
    ])
  })
})
