import { Router, type Request, type Response } from 'express'
import type { Broker } from '../broker/broker.ts'
import { entriesOfConsent, proveOfConsent, proveSumOfConsent } from '../broker/consent_entries.ts'
import { countedEntries } from '../broker/prove_sums.ts'
import { consentEntriesPage } from '../web/consent_entries.tsx'
import { bankOf } from './bank_login.ts'
import { ownConnection, requireOwner } from './owner.ts'
import { only, pageHeaders, sendPage } from './page.ts'
import { pageErrors, PageRefused } from './page_errors.ts'

/** Entries on one page. */
export const page_entries = 50

/** Where a customer sees what the ledger says of a connection, and takes the proofs along. */
export function consentEntriesRoutes(broker: Broker): Router {
  const page = pageHeaders(broker, { referrer: 'same-origin' })
  const router = Router()
  router.get('/connections/:consent/entries', ...page, async (req, res) => {
    const { bank, consent, recipient } = await ownConsent(broker, req)
    const before = beforeOf(req)
    const { entries, older } = await entriesOfConsent(broker, bank, {
      ...{ consent, before, limit: page_entries },
    })
    const shown = consentEntriesPage({
      ...{ bank: bankOf(broker, bank), recipient, entries },
      address: `/connections/${consent}/entries`,
      counted: await countedEntries(broker, bank),
      ...(older === undefined ? {} : { older }),
    })
    sendPage(res, shown)
  })
  router.get('/connections/:consent/entries/:index', ...page, async (req, res) => {
    const { bank, consent } = await ownConsent(broker, req)
    const index = indexOf(req)
    const proof = await proveOfConsent(broker, bank, { consent, index })
    give(res, { name: `${bank}-${index}.tlog-proof`, type: 'text/plain', body: proof })
  })
  router.get('/connections/:consent/entries/:index/sum', ...page, async (req, res) => {
    const { bank, consent } = await ownConsent(broker, req)
    const index = indexOf(req)
    const proof = await proveSumOfConsent(broker, bank, { consent, index })
    const body = proof && `${JSON.stringify(proof, null, 2)}\n`
    give(res, { name: `${bank}-${index}-sum.json`, type: 'application/json', body })
  })
  router.use(pageErrors)
  return router
}

/** The consent that a path names, if this browser's login gave it. */
async function ownConsent(
  broker: Broker,
  req: Request,
): Promise<{ bank: string; consent: string; recipient: string }> {
  const owner = await requireOwner(broker, req)
  const { consent, recipient } = ownConnection(owner, String(req.params['consent']))
  return { bank: owner.bank, consent: consent.id, recipient }
}

const isIndex = (text: string): boolean => /^(?:0|[1-9]\d{0,14})$/.test(text)

function beforeOf(req: Request): number | undefined {
  const query = new URL(req.originalUrl, 'http://path').searchParams
  if (!query.has('before')) return undefined
  const before = only(query, 'before') ?? ''
  if (!isIndex(before)) throw noSuchEntry()
  return Number(before)
}

function indexOf(req: Request): number {
  const index = String(req.params['index'])
  if (!isIndex(index)) throw noSuchEntry()
  return Number(index)
}

/** Gives a file to be kept. */
function give(
  res: Response,
  { name, type, body }: { name: string; type: string; body: string | undefined },
): void {
  if (body === undefined) throw noSuchEntry()
  res.type(type).attachment(name).type(type).send(body)
}

const noSuchEntry = () =>
  new PageRefused(404, {
    title: 'There is no such entry',
    what: 'The address names no entry about this connection, or one that the published totals do not count yet.',
    todo: 'Go back to your connections, and open what was recorded from there.',
  })
