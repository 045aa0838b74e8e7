import { hash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { JWK } from 'jose'
import { mintAccessToken, token_s_max } from '../src/authorization/access_token.ts'
import type { Authorization } from '../src/authorization/authorization.ts'
import {
  consentTokens,
  readRedeemable,
  type Redeemable,
} from '../src/authorization/consent_token.ts'
import type { Broker } from '../src/broker/broker.ts'
import { grantConsent } from '../src/broker/grant_consent.ts'
import type { Config } from '../src/config.ts'
import { insertRequested, markRedeemed } from '../src/storage/consents.ts'
import { inBank } from '../src/storage/database.ts'
import { random128, routed } from '../src/storage/ids.ts'
import { generateKey } from './banks/bank_keys.ts'
import { startModule } from './module_process.ts'
import { approvedPurposes, backEndOf } from './world.ts'

/** A consent that a crowd of clients reads under. */
export interface CrowdConsent extends Redeemable {
  readonly bank: string
}

const recipient = 'messenger'
const digest = (text: string) => hash('sha256', text, 'base64url')
const ten_years_ms = 10 * 365 * 86_400_000

/** How many customers approve at the same time. */
const at_once = 32

/** Grants `count` consents of a bank to Messenger: by the verbs that the pages call, and a login that no bank was asked for. */
export async function grantMany(
  broker: Broker,
  { bank, count }: { bank: string; count: number },
): Promise<CrowdConsent[]> {
  const granted: CrowdConsent[] = []
  for (let from = 0; from < count; from += at_once)
    granted.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(at_once, count - from) }, () => grantOne(broker, bank)),
      )),
    )
  return granted
}

async function grantOne(broker: Broker, bank: string): Promise<CrowdConsent> {
  const customer = random128()
  const consentId = routed(bank, random128())
  const requested = {
    recipient,
    bank,
    clusters: ['ACCOUNT_BASIC', 'BALANCES', 'TRANSACTIONS'],
    purpose: approvedPurposes[0] ?? '',
    lookback_days: 90,
    one_time: false,
    duration_days: 90,
    delivery: 'in_thread',
  } as const
  await inBank(broker.db, bank, (tx) => insertRequested(tx, { id: consentId, requested }))
  await grantConsent(broker, {
    bank,
    consentId,
    profile: { page_id: `${bank}-page`, psid: customer, display_name: customer },
    login: {
      subject: customer,
      idToken: `for ${customer}`,
      tokens: { access_token: `access of ${customer}`, expires: Date.now() + ten_years_ms },
    },
    termsSalt: randomBytes(32).toString('base64url'),
    termsCommitment: digest(customer),
    accounts: ['stub-1', 'stub-2'].map((bankAccountId) => ({ bankAccountId, display: '••••4242' })),
    disclosure: { version: '1', language: 'en', text: 'disclosure' },
  })
  return inBank(broker.db, bank, async (tx) => {
    await markRedeemed(tx, bank, consentId)
    const found = await readRedeemable(tx, {
      bank,
      consentId,
      clientId: recipient,
      now: Date.now(),
    })
    if ('refused' in found) throw new Error(`${consentId} is ${found.refused}`)
    return { bank, ...found }
  })
}

/** A configuration whose banks' data is at a stub, which is started; their logins stay where they are. */
export async function withBankStub(config: Config, file: string) {
  const { child, first } = await startModule('sandbox/bank_stub')
  const { port } = first as { port: number }
  const banks = JSON.parse(await readFile(config.banksFile, 'utf8')) as { id: string }[]
  const elsewhere = banks.map((bank) => ({
    ...bank,
    fdx_base_url: `http://127.0.0.1:${port}/${bank.id}/fdx/v6`,
  }))
  await writeFile(file, JSON.stringify(elsewhere))
  return { config: { ...config, banksFile: file }, stub: child }
}

/** Tokens as the token endpoint gives them, for a key that their holders prove with. */
export interface TokenMint {
  /** The holders' private key. */
  readonly key: JWK
  /** An access token that opens a consent, for Messenger. */
  tokenOf(consent: CrowdConsent): string
  /** An access token by which a bank's back end ends consents. */
  backEndToken(bank: string): string
}

export async function openTokenMint(
  broker: Broker,
  authorization: Authorization,
): Promise<TokenMint> {
  const key = await generateKey()
  const binding = { jkt: key.kid ?? '' }
  return {
    key,
    tokenOf: (consent) =>
      consentTokens(broker, authorization, {
        ...consent,
        clientId: recipient,
        binding,
        jti: random128(),
      }).access_token,
    backEndToken: (bank) =>
      mintAccessToken(
        authorization,
        {
          clientId: backEndOf(bank),
          sub: backEndOf(bank),
          jti: random128(),
          scope: 'consents:revoke',
          binding,
          bank,
          lifetime_s: token_s_max,
        },
        Date.now(),
      ),
  }
}
