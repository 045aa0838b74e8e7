import type { Request, Router } from 'express'
import type { Broker } from '../broker/broker.ts'
import { entriesOfConsent, proveOfConsent, proveSumOfConsent } from '../broker/consent_entries.ts'
import { countedEntries } from '../broker/prove_sums.ts'
import { readIndex } from '../ledger/entry_index.ts'
import { consentEntriesPage } from '../web/consent_entries.tsx'
import type { NamedRecipient } from '../web/consent_line.ts'
import { errorPage } from '../web/error.tsx'
import { bankOf } from './bank_login.ts'
import { ownConnection, requireOwner } from './connections_owner.ts'
import { only, pageHeaders, sendPage } from './page.ts'
import { customerNotices, errorPages, PageRefused } from './page_errors.ts'
import { exactRouter } from './resource.ts'

/** Entries on one page. */
export const page_entries = 25

/** Where a customer sees what the ledger says of a connection, and takes the proofs along. */
export function consentEntriesRoutes(broker: Broker): Router {
  const page = pageHeaders(broker, { referrer: 'same-origin' })
  const router = exactRouter()
  router.get('/connections/:consent/entries', ...page, async (req, res) => {
    const { bank, consent, recipient } = await ownConsent(broker, req)
    const before = beforeIn(req)
    const found = await entriesOfConsent(broker, bank, { consent, before, limit: page_entries })
    const shown = consentEntriesPage({
      ...{ bank: bankOf(broker, bank), recipient, ...found },
      address: `/connections/${consent}/entries`,
      counted: await countedEntries(broker, bank),
    })
    sendPage(res, shown)
  })
  router.get('/connections/:consent/entries/:index', ...page, async (req, res) => {
    const { bank, consent } = await ownConsent(broker, req)
    const index = indexFrom(req.params['index'])
    const proof = must(await proveOfConsent(broker, bank, { consent, index }))
    res.attachment(`${bank}-${index}.tlog-proof`).type('text/plain').send(proof)
  })
  router.get('/connections/:consent/entries/:index/sum', ...page, async (req, res) => {
    const { bank, consent } = await ownConsent(broker, req)
    const index = indexFrom(req.params['index'])
    const proof = must(await proveSumOfConsent(broker, bank, { consent, index }))
    res.attachment(`${bank}-${index}-sum.json`).json(proof)
  })
  router.use(readingErrors)
  return router
}

/** Nothing is recorded here, so that what fails is reading. */
const readingErrors = errorPages({
  render: errorPage,
  notices: {
    ...customerNotices,
    busy: {
      title: 'Please try again in a minute',
      what: 'What was recorded cannot be read right now. It is not lost.',
      todo: 'Nothing was changed. Wait a minute and try again.',
    },
  },
})

/** The consent that a path names, if this browser's login gave it. */
async function ownConsent(
  broker: Broker,
  req: Request,
): Promise<{ bank: string; consent: string; recipient: NamedRecipient }> {
  const owner = await requireOwner(broker, req)
  const { consent, recipient } = ownConnection(owner, String(req.params['consent']))
  return {
    bank: owner.bank,
    consent: consent.id,
    recipient: { id: consent.recipient, legalName: recipient },
  }
}

/** Before which entry to go on, if the query says so. */
function beforeIn(req: Request): number | undefined {
  const query = new URL(req.originalUrl, 'http://path').searchParams
  return query.has('before') ? indexFrom(only(query, 'before')) : undefined
}

function indexFrom(text: string | string[] | undefined): number {
  return must(typeof text === 'string' ? readIndex(text) : undefined)
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw noSuchEntry()
  return value
}

const noSuchEntry = () =>
  new PageRefused(404, {
    title: 'There is no such entry',
    what: 'The address names no entry about this connection, or one that witnesses have not signed for, or the published totals do not count, yet.',
    todo: 'Go back to your connections, and open what was recorded from there. A new entry may need some minutes.',
  })
