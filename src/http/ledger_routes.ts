import type { Request, RequestHandler, Router } from 'express'
import type { Broker } from '../broker/broker.ts'
import { proveEntry } from '../broker/prove_entry.ts'
import { servedCheckpoint } from '../broker/served_checkpoint.ts'
import { witnessStatus } from '../broker/witness_status.ts'
import { MerkleError } from '../merkle/errors.ts'
import { formatPolicy, noQuorum } from '../merkle/policy.ts'
import {
  encodeBundle,
  parseTilePath,
  tileWidth,
  widthAt,
  type Bundle,
  type Tile,
} from '../merkle/tiles.ts'
import { formatTlogProof } from '../merkle/tlog_proof.ts'
import { parseVkey } from '../merkle/vkey.ts'
import { findLedger, readLeaves, signedTile } from '../storage/ledgers.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { signedSize } from '../storage/signed.ts'
import { requireReader } from './reader.ts'
import { exactRouter, noSuchResource, notAllowed, type Api } from './resource.ts'

interface OfBank {
  readonly path: { readonly bank: string }
}

/** What is served at a path; undefined when there is nothing. */
type Find = (req: Request) => Promise<string | Uint8Array | object | undefined>

const text = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'public, max-age=1' }
const json = { ...text, 'Content-Type': 'application/json; charset=utf-8' }
const bytes = { 'Content-Type': 'application/octet-stream' }
const tiles = { ...bytes, 'Cache-Control': 'public, max-age=31536000, immutable' }
const entries = { ...bytes, 'Cache-Control': 'private, no-store' }

/**
 * A bank's ledger as its files (c2sp.org/tlog-tiles), never past what is signed. All of it is public but the entries, which the
 * bank and its auditors read.
 */
export function ledgerRoutes(api: Api): Router {
  const { broker, contract } = api
  const { db } = broker
  const checkpoint = contract.reader<OfBank>('getCheckpoint')
  const tile = contract.reader<OfBank>('getTile')
  const proof = contract.reader<{ path: { bank: string; index: number } }>('getProof')
  const policy = contract.reader<OfBank>('getPolicy')
  const witnesses = contract.reader<OfBank>('getWitnesses')
  const router = exactRouter()

  router
    .route('/ledger/:bank/tile/entries/*bundle')
    .get(served(entries, readEntries(api)))
    .all(notAllowed('GET, HEAD'))

  const files: readonly [string, Readonly<Record<string, string>>, Find][] = [
    [
      '/ledger/:bank/checkpoint',
      text,
      async (req) => (await servedCheckpoint(broker, checkpoint(req).path.bank))?.note,
    ],
    [
      '/ledger/:bank/tile/*tile',
      tiles,
      async (req) => {
        const { bank } = tile(req).path
        const found = parseTile(req, bank)
        return found.level === 'entries' ? undefined : signedTile(db, bank, found)
      },
    ],
    [
      '/ledger/:bank/proof/:index',
      text,
      async (req) => {
        const found = await proveEntry(broker, proof(req).path)
        return found && formatTlogProof(found)
      },
    ],
    ['/ledger/:bank/policy', text, (req) => policyOf(broker, policy(req).path.bank)],
    ['/ledger/:bank/witnesses', json, (req) => witnessStatus(broker, witnesses(req).path.bank)],
  ]
  for (const [path, headers, find] of files)
    router.route(path).all(anyOrigin).get(served(headers, find)).all(notAllowed('GET, HEAD'))

  return router
}

/** Public files may be read by any page: nobody is recognised there. */
const anyOrigin: RequestHandler = (_req, res, next) => {
  res.setHeader('Access-Control-Allow-Origin', '*')
  next()
}

function served(headers: Readonly<Record<string, string>>, find: Find): RequestHandler {
  return async (req, res) => {
    const found = await find(req)
    if (found === undefined) throw noSuchResource()
    res.set(headers).send(found instanceof Uint8Array ? Buffer.from(found) : found)
  }
}

/** The entries themselves, for the bank whose ledger it is, and its auditors. */
function readEntries(api: Api): Find {
  const { broker, contract } = api
  const bundle = contract.reader<OfBank>('getEntries')
  return async (req) => {
    await requireReader(api, req)
    const { bank } = bundle(req).path
    const { index, width } = await signedBundle(broker, bank, req)
    const from = index * tileWidth
    return encodeBundle(await readLeaves(broker.db, bank, { from, to: from + width }))
  }
}

/** The bundle that a path names, if it is signed in full. Throws `RequestError` 404. */
async function signedBundle({ db }: Broker, bank: string, req: Request): Promise<Tile | Bundle> {
  const bundle = parseTile(req, bank)
  const width = widthAt(await signedSize(db, bank), { level: 0, index: bundle.index })
  if (bundle.width > width) throw noSuchResource()
  return bundle
}

/** The tile or bundle that a path names, as it was sent, if it is spelt right. Throws `RequestError` 404. */
function parseTile(req: Request, bank: string): Tile | Bundle {
  try {
    return parseTilePath(req.path.slice(`/ledger/${bank}/`.length))
  } catch (error) {
    if (error instanceof MerkleError) throw noSuchResource()
    throw error
  }
}

/** c2sp.org/tlog-policy: the ledger's key, and the witnesses that the broker asks with the quorum that it waits for. */
async function policyOf(
  { db, issuer, witnessing: { policy } }: Broker,
  bank: string,
): Promise<string | undefined> {
  const ledger = await findLedger(db, bank)
  if (ledger === undefined) return undefined
  const { witnesses, groups, quorum } = policy ?? noPolicy
  const log = { vkey: parseVkey(nodeHasher, ledger.vkey), url: `${issuer}/ledger/${bank}` }
  return formatPolicy({ logs: [log], witnesses, groups, quorum })
}

const noPolicy = { witnesses: new Map(), groups: new Map(), quorum: noQuorum } as const
