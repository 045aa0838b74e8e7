import { describe, expect, it } from '@jest/globals'
import { allowedPurposes, judgePurpose, purposeLabel, purposes } from '../../src/consent/purpose.ts'

const dpv = (term: string) => `https://w3id.org/dpv#${term}`
const finance = (term: string) => `https://w3id.org/dpv/sector/finance#${term}`

const allowed = [
  dpv('ServiceProvision'),
  dpv('RequestedServiceProvision'),
  dpv('FraudPreventionAndDetection'),
  dpv('CustomerCare'),
  dpv('CommunicationForCustomerCare'),
  dpv('AccountManagement'),
  dpv('LegalCompliance'),
  dpv('RightsFulfilment'),
  dpv('RecordManagement'),
  dpv('EnforceSecurity'),
  dpv('IdentityVerification'),
  finance('ServiceProvision'),
  finance('AccountManagement'),
  finance('FraudManagement'),
  finance('TransactionFraudManagement'),
  finance('RegulatoryCompliance'),
]

const denied = [
  dpv('Marketing'),
  dpv('Advertising'),
  dpv('PersonalisedAdvertising'),
  dpv('TargetedAdvertising'),
  dpv('DirectMarketing'),
  dpv('SocialMediaMarketing'),
  dpv('SellDataToThirdParties'),
  dpv('SellInsightsFromData'),
  dpv('SellProductsToDataSubject'),
  dpv('SellProducts'),
  dpv('ProvideProductRecommendations'),
  dpv('ProvidePersonalisedRecommendations'),
  finance('ProductRecommendation'),
  dpv('PersonalisedServiceProvision'),
  dpv('CreditScoreEvaluation'),
  dpv('CreditChecking'),
]

const unknown = [
  '',
  dpv(''),
  dpv('ThirdPartyMarketing'),
  dpv('serviceprovision'),
  dpv('CustomerManagement'),
  'ServiceProvision',
  'http://w3id.org/dpv#ServiceProvision',
  `${dpv('ServiceProvision')} `,
  '__proto__',
  'constructor',
]

describe('the purpose table', () => {
  it.each(allowed)('allows %s', (iri) => expect(judgePurpose(iri)).toBe('allowed'))
  it.each(denied)('denies %s', (iri) => expect(judgePurpose(iri)).toBe('denied'))
  it.each(unknown)('does not know %j', (iri) => expect(judgePurpose(iri)).toBe('unknown'))

  it('lets a denial win over an allowance above it', () => {
    for (const iri of [dpv('SellProducts'), dpv('PersonalisedServiceProvision')])
      expect(purposes[iri]?.broader).toBe(dpv('ServiceProvision'))
    expect(purposes[finance('ProductRecommendation')]?.broader).toBe(finance('ServiceProvision'))
  })

  it('declares exactly the allowed purposes, sorted', () => {
    expect(allowedPurposes).toEqual([...allowed].toSorted())
  })

  it('names no broader term that it does not hold', () => {
    const broader = Object.values(purposes).flatMap((purpose) => purpose.broader ?? [])
    expect(broader.filter((iri) => !Object.hasOwn(purposes, iri))).toEqual([])
  })

  it('has words for each purpose, and none for one that it does not know', () => {
    expect(purposeLabel(dpv('RequestedServiceProvision'))).toBe(
      'providing the service you asked for',
    )
    expect(purposeLabel(dpv('ThirdPartyMarketing'))).toBe(dpv('ThirdPartyMarketing'))
    expect(purposeLabel('constructor')).toBe('constructor')
  })
})
