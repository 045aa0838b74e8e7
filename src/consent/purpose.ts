/**
 * Purposes are W3C DPV 2.3 terms. Each row names its broader term; a row may allow or deny itself and everything below it.
 * Deny wins over allow wherever both apply: `SellProducts` sits under `ServiceProvision`, so "descendants of an allowed
 * purpose are allowed" alone would permit selling. A term outside this table is unknown and never permitted.
 */
const dpv = 'https://w3id.org/dpv#'
const finance = 'https://w3id.org/dpv/sector/finance#'

interface Purpose {
  readonly broader?: string
  readonly verdict?: 'allow' | 'deny'
  readonly label: string
}

/** Source: W3C DPV 2.3, modules/purposes and sector/finance. */
export const purposes: Readonly<Record<string, Purpose>> = {
  [`${dpv}ServiceProvision`]: { verdict: 'allow', label: 'providing a service' },
  [`${dpv}RequestedServiceProvision`]: {
    broader: `${dpv}ServiceProvision`,
    label: 'providing the service you asked for',
  },
  [`${dpv}CustomerManagement`]: { label: 'managing customers' },
  [`${dpv}CustomerCare`]: {
    broader: `${dpv}CustomerManagement`,
    verdict: 'allow',
    label: 'customer care',
  },
  [`${dpv}CommunicationForCustomerCare`]: {
    broader: `${dpv}CustomerCare`,
    label: 'messages for customer care',
  },
  [`${dpv}AccountManagement`]: { verdict: 'allow', label: 'managing your account' },
  [`${dpv}LegalCompliance`]: { verdict: 'allow', label: 'complying with the law' },
  [`${dpv}RightsFulfilment`]: { verdict: 'allow', label: 'fulfilling your rights' },
  [`${dpv}RecordManagement`]: { verdict: 'allow', label: 'keeping records' },
  [`${dpv}EnforceSecurity`]: { verdict: 'allow', label: 'security' },
  [`${dpv}FraudPreventionAndDetection`]: {
    broader: `${dpv}EnforceSecurity`,
    label: 'preventing and detecting fraud',
  },
  [`${dpv}IdentityVerification`]: {
    broader: `${dpv}EnforceSecurity`,
    label: 'verifying your identity',
  },
  [`${finance}ServiceProvision`]: {
    broader: `${dpv}ServiceProvision`,
    label: 'providing a financial service',
  },
  [`${finance}AccountManagement`]: {
    broader: `${dpv}AccountManagement`,
    label: 'managing a bank account',
  },
  [`${finance}FraudManagement`]: {
    broader: `${dpv}FraudPreventionAndDetection`,
    label: 'managing fraud',
  },
  [`${finance}TransactionFraudManagement`]: {
    broader: `${finance}FraudManagement`,
    label: 'managing card and transaction fraud',
  },
  [`${finance}RegulatoryCompliance`]: {
    broader: `${dpv}LegalCompliance`,
    label: 'complying with financial regulation',
  },

  [`${dpv}Marketing`]: { verdict: 'deny', label: 'marketing' },
  [`${dpv}Advertising`]: { broader: `${dpv}Marketing`, label: 'advertising' },
  [`${dpv}PersonalisedAdvertising`]: {
    broader: `${dpv}Advertising`,
    label: 'personalised advertising',
  },
  [`${dpv}TargetedAdvertising`]: {
    broader: `${dpv}PersonalisedAdvertising`,
    label: 'targeted advertising',
  },
  [`${dpv}DirectMarketing`]: { broader: `${dpv}Marketing`, label: 'direct marketing' },
  [`${dpv}SocialMediaMarketing`]: { broader: `${dpv}Marketing`, label: 'social media marketing' },
  [`${dpv}SellProducts`]: {
    broader: `${dpv}ServiceProvision`,
    verdict: 'deny',
    label: 'selling products',
  },
  [`${dpv}SellDataToThirdParties`]: {
    broader: `${dpv}SellProducts`,
    verdict: 'deny',
    label: 'selling data to third parties',
  },
  [`${dpv}SellInsightsFromData`]: {
    broader: `${dpv}SellProducts`,
    label: 'selling insights from data',
  },
  [`${dpv}SellProductsToDataSubject`]: {
    broader: `${dpv}SellProducts`,
    label: 'selling products to you',
  },
  [`${dpv}PersonalisedServiceProvision`]: {
    broader: `${dpv}ServiceProvision`,
    verdict: 'deny',
    label: 'personalised services',
  },
  [`${dpv}ProvidePersonalisedRecommendations`]: {
    broader: `${dpv}PersonalisedServiceProvision`,
    label: 'personalised recommendations',
  },
  [`${dpv}ProvideProductRecommendations`]: {
    broader: `${dpv}ProvidePersonalisedRecommendations`,
    label: 'product recommendations',
  },
  [`${finance}ProductRecommendation`]: {
    broader: `${finance}ServiceProvision`,
    verdict: 'deny',
    label: 'recommending financial products',
  },
  [`${dpv}CreditScoreEvaluation`]: { verdict: 'deny', label: 'evaluating a credit score' },
  [`${dpv}CreditChecking`]: { verdict: 'deny', label: 'checking credit' },
}

function ancestry(iri: string): Purpose[] {
  const path: Purpose[] = []
  for (let at: string | undefined = iri; at !== undefined; at = purposes[at]?.broader) {
    const purpose = Object.hasOwn(purposes, at) ? purposes[at] : undefined
    if (purpose === undefined) break
    path.push(purpose)
  }
  return path
}

type Verdict = 'allowed' | 'denied' | 'unknown'

function verdictOf(iri: string): Verdict {
  const path = ancestry(iri)
  if (path.some((purpose) => purpose.verdict === 'deny')) return 'denied'
  return path.some((purpose) => purpose.verdict === 'allow') ? 'allowed' : 'unknown'
}

const verdicts: ReadonlyMap<string, Verdict> = new Map(
  Object.keys(purposes).map((iri) => [iri, verdictOf(iri)]),
)

/** What the table says of a purpose: a denial anywhere on the way up wins, then an allowance, else it is unknown. */
export function judgePurpose(iri: string): Verdict {
  return verdicts.get(iri) ?? 'unknown'
}

/** Every purpose a consent may name, sorted: what a ledger's genesis entry declares. */
export const allowedPurposes: readonly string[] = Object.keys(purposes)
  .filter((iri) => judgePurpose(iri) === 'allowed')
  .toSorted()

/** The purpose in a customer's words; the IRI itself when the table has none. */
export function purposeLabel(iri: string): string {
  return ancestry(iri)[0]?.label ?? iri
}
