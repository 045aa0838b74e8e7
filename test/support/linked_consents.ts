import { randomUUID } from 'node:crypto'
import type { BankTokens } from '../../src/broker/bank_port.ts'
import type { BankTokenUse } from '../../src/broker/bank_tokens.ts'
import type { Broker } from '../../src/broker/broker.ts'
import { grantConsent } from '../../src/broker/grant_consent.ts'
import { random128 } from '../../src/storage/ids.ts'
import { requestedConsent } from './test_broker.ts'

/** A consent of `messenger`, granted by this customer after a login that gave these tokens. Returns the active one's id. */
export async function linkedConsent(
  broker: Broker,
  bank: string,
  { tokens, customer = randomUUID() }: { tokens: BankTokens; customer?: string },
): Promise<string> {
  const consentId = await requestedConsent(broker, { bank, recipient: 'messenger' })
  const granted = await grantConsent(broker, {
    bank,
    consentId,
    profile: { page_id: 'page', psid: customer, display_name: 'A. Customer' },
    login: { subject: customer, idToken: 'signed', tokens },
    termsSalt: random128(),
    termsCommitment: 'A'.repeat(43),
    accounts: [{ bankAccountId: 'account-1', display: 'Everyday ••••1234' }],
    disclosure: { version: '1', language: 'en', text: 'disclosure' },
  })
  return granted.consentId
}

/** The consent's bank tokens as the data path gets them: from the early check. */
export async function bankTokenUse(
  broker: Broker,
  bank: string,
  consentId: string,
): Promise<BankTokenUse> {
  const standing = await broker.earlyCheck(bank, {
    consent: consentId,
    recipient: 'messenger',
    fetch: random128(),
    interaction: randomUUID(),
  })
  const linkId = standing?.record.linkId
  if (!standing?.linkKey || !standing.bankToken || linkId === undefined)
    throw new Error(`${consentId} has no bank tokens`)
  const key = broker.vault.linkKey(standing.linkKey, linkId)
  return { bank, consentId, linkId, key, row: standing.bankToken }
}
