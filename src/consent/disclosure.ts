import { clusterNames, clusters, type Cluster } from './cluster.ts'
import { plainDate } from './plain_date.ts'
import { purposeLabel } from './purpose.ts'
import { expiryOf, limits, type Delivery, type RequestedTerms, type Terms } from './terms.ts'

/** Changes whenever a word below changes: a grant names the wording it was given under. */
export const disclosure_version = '2'

/** What the disclosure is told. All of it may be known to anyone: the text is kept by its hash in a public ledger. */
export interface DisclosureFacts {
  readonly requested: RequestedTerms
  /** Legal names. */
  readonly recipient: string
  readonly bank: string
  /** Where the customer looks at connections and ends them. */
  readonly connectionsUrl: string
  /** The permission that the request changes, as it stands: its terms, and since when they do, RFC 3339 UTC. */
  readonly before?: { readonly terms: Terms; readonly granted: string }
  /** When it is shown, in milliseconds since the epoch: the end is given as a date, UTC. */
  readonly at: number
}

/** One headed part of the text, shown in this order: the heading, the paragraphs, the list. */
export interface DisclosurePart {
  readonly heading: string
  readonly paragraphs: readonly string[]
  readonly items?: readonly string[]
}

/**
 * The authorization disclosure: what 12 CFR 1033.411(b) and 1033.431(b), (c) list, in plain words. `text` is what is hashed and
 * `parts` what a page shows of it, all and nothing else. It holds nothing about the customer (no profile, no account), because
 * its unsalted hash goes into the ledger; the accounts a customer ticks are bound by their handles. No sentence ends with a
 * legal name, since many of those end with a full stop.
 */
export function disclosureText(facts: DisclosureFacts): {
  version: string
  language: string
  text: string
  parts: readonly DisclosurePart[]
} {
  const parts = [
    whoAsks(facts),
    ...whatChanges(facts),
    whatFor(facts),
    whichData(facts),
    howDelivered(facts),
    howLong(facts),
    howToEnd(facts),
    whoCarries(facts),
    certified(facts),
  ]
  return { version: disclosure_version, language: 'en', text: parts.map(plain).join('\n'), parts }
}

const plain = ({ heading, paragraphs, items = [] }: DisclosurePart): string =>
  [heading, ...paragraphs, ...items.map((item) => `- ${item}`)].map((line) => `${line}\n`).join('')

// 1033.411(b)(1), (2)
const whoAsks = ({ recipient, bank }: DisclosureFacts): DisclosurePart => ({
  heading: 'Who asks',
  paragraphs: [`${recipient} asks for data about your accounts at ${bank}, your bank.`],
})

/** A permission that is changed: what stays as it was is named too, so that nobody has to compare. */
function whatChanges({ recipient, requested, before, at }: DisclosureFacts): DisclosurePart[] {
  if (before === undefined) return []
  const { terms, granted } = before
  const change = (what: string, old: string, now: string) =>
    old === now ? `${what}: ${now}, as before` : `${what}: until now ${old}; from now on ${now}`
  return [
    {
      heading: 'This changes a permission that you gave before',
      paragraphs: [
        `On ${plainDate(granted)} (UTC) you gave ${recipient} access. If you approve, these terms take the place of those, at once. ` +
          'If you decline, that permission goes on as it was.',
      ],
      items: [
        'Accounts: until now those named below as shared before; from now on those you tick',
        change('Data', dataWords(terms), dataWords(requested)),
        change('Purpose', purposeLabel(terms.purpose), purposeLabel(requested.purpose)),
        change(
          'How it reaches you',
          deliveryWords[terms.delivery],
          deliveryWords[requested.delivery],
        ),
        change('End', plainDate(terms.expires), plainDate(expiryOf(requested, { at }))),
      ],
    },
  ]
}

const dataWords = (terms: Pick<Terms, 'clusters' | 'lookback_days'>): string =>
  clusterNames
    .filter((name) => terms.clusters.includes(name))
    .map((name) => clusterWords(name, terms.lookback_days))
    .join(', ')

const deliveryWords: Readonly<Record<Delivery, string>> = {
  in_thread: 'written into your Messenger conversation, where Meta sees it',
  link_out: 'shown on a page of Countersign, to you alone',
}

// 1033.411(b)(3); 1033.421(a)(2)
const whatFor = ({ recipient, requested }: DisclosureFacts): DisclosurePart => ({
  heading: 'What for',
  paragraphs: [
    `The service: ${recipient} gives you your bank information in Messenger. ` +
      `The purpose: ${purposeLabel(requested.purpose)}.`,
    `${recipient} will collect, use and keep your data only as reasonably necessary to provide this service. ` +
      'It may not use your data for targeted advertising, may not use it to sell you other products, and may not sell it.',
  ],
})

// 1033.411(b)(4); FRAUD_ALERTS are outside 1033.211
const whichData = ({ requested }: DisclosureFacts): DisclosurePart => ({
  heading: 'Which data',
  paragraphs: ['Of the accounts you tick, and of no others:'],
  items: clusterNames
    .filter((name) => requested.clusters.includes(name))
    .map((name) => clusterWords(name, requested.lookback_days)),
})

function clusterWords(name: Cluster, lookbackDays: number): string {
  const { label, coveredData } = clusters[name]
  if (!coveredData) return `${label} (these lie outside the covered data of 12 CFR 1033.211)`
  return name === 'TRANSACTIONS' ? `${label} of the last ${days(lookbackDays)}` : label
}

const howDelivered = ({ recipient, requested, bank }: DisclosureFacts): DisclosurePart => ({
  heading: 'How it reaches you',
  paragraphs:
    requested.delivery === 'in_thread'
      ? [
          `${recipient} receives the data and writes it into your Messenger conversation. ` +
            'Meta, which runs Messenger, sees everything in that conversation, and so does anyone who manages the page you write to.',
          'Account numbers are cut to their last four digits. ' +
            'What happens to the data once it is in the conversation, nobody outside Meta can check.',
        ]
      : [
          'Your Messenger conversation carries a link and no figures. ' +
            `The figures are shown to you alone, on a page of Countersign: in this browser, or in another once you log in at ${bank} there.`,
          `Neither ${recipient} nor Meta receives the figures. Account numbers are cut to their last four digits.`,
        ],
})

// 1033.411(b)(6)
const howLong = ({ requested, at }: DisclosureFacts): DisclosurePart => {
  const end = plainDate(expiryOf(requested, { at }))
  return {
    heading: 'How long',
    paragraphs: [
      requested.one_time
        ? `On one occasion, within ${limits.one_time_hours_max} hours of your approval. If you approve today, access ends on ${end} (UTC) at the latest.`
        : `For ${days(requested.duration_days)} from your approval. If you approve today, access ends on ${end} (UTC), or sooner if your bank ends it.`,
      'Data is never collected for more than one year after you last gave this approval.',
    ],
  }
}

// 1033.411(b)(7); GDPR 7(3)
const howToEnd = ({ recipient, bank, connectionsUrl }: DisclosureFacts): DisclosurePart => ({
  heading: 'How to end it',
  paragraphs: [
    `At any time and free of charge, in one step: log in at ${connectionsUrl} and choose “End access”. ` +
      `You can also ask ${recipient} or ${bank} to end it.`,
    'It takes effect at once. It does not undo what was shown before. Changing your bank password does not end access.',
  ],
})

// 1033.431(b)
const whoCarries = ({ recipient, bank }: DisclosureFacts): DisclosurePart => ({
  heading: 'Who carries the data',
  paragraphs: [
    `Between ${bank} and ${recipient} stands Countersign, a data aggregator. ` +
      'It keeps your approval and checks every request for data against it. ' +
      'Of the data itself it keeps only the names of the accounts you tick, encrypted. ' +
      'It writes every release and every refusal to a ledger that others can check, which names neither you nor your accounts.',
  ],
})

// 1033.411(b)(5), 1033.431(c)
const certified = ({ recipient }: DisclosureFacts): DisclosurePart => ({
  heading: 'What is certified to you',
  paragraphs: [
    `${recipient} certifies that it agrees to the obligations of an authorized third party in 12 CFR 1033.421. ` +
      'Countersign certifies that it agrees to those of 12 CFR 1033.421(a) to (f) and (i). Each of them:',
  ],
  items: [
    'collects, uses and keeps your data only as reasonably necessary for the service above',
    'keeps your data accurate and secure',
    'binds by contract anyone it passes your data to, to the same limits',
    'tells you on request what it collected, why, and with whom it was shared',
    'stops collecting when access ends, and stops using and keeping what it no longer needs for the service',
  ],
})

const days = (count: number): string => (count === 1 ? '1 day' : `${count} days`)
