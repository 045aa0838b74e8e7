import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { random128 } from '../../src/storage/ids.ts'
import { parseCheckpoint } from '../../src/merkle/checkpoint.ts'
import { equalBytes } from '../../src/merkle/hash.ts'
import { parseNote } from '../../src/merkle/note.ts'
import { openUnderPolicy, parsePolicy } from '../../src/merkle/policy.ts'
import { rootFromTiles, type TileReader } from '../../src/merkle/proof.ts'
import { decodeBundle, tilePath, tilesForSize, type Bundle } from '../../src/merkle/tiles.ts'
import { checkTlogProof, parseTlogProof, type TlogProof } from '../../src/merkle/tlog_proof.ts'
import { leafHash, splitHashes } from '../../src/merkle/tree.ts'
import { findLedger } from '../../src/storage/ledgers.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { apiApp, bank, otherBank, recipient, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

const ledger = `/ledger/${otherBank}`
let database: TestDatabase
let api: ApiApp
let reader: string

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
  reader = api.clientToken('back-end', 'ledger:read', otherBank)
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

const text = async (path: string) => (await api.call('get', `${ledger}/${path}`).expect(200)).text

async function bytes(path: string): Promise<Buffer> {
  const { body } = await api.call('get', `${ledger}/${path}`).expect(200)
  return body
}

async function bundleAt(bundle: Bundle): Promise<Uint8Array[]> {
  const { body } = await api.call('get', `${ledger}/${tilePath(bundle)}`, reader).expect(200)
  return decodeBundle(body, bundle.width)
}

const sizeNow = async () => (await findLedger(api.broker.db, otherBank))?.size ?? 0

/** Lets the ledger grow to this size, of entries that mean nothing; signs it unless told otherwise. */
async function growTo(size: number, { signed = true } = {}): Promise<void> {
  const missing = size - (await sizeNow())
  await Promise.all(
    Array.from({ length: missing }, () =>
      api.broker.door.append(otherBank, {
        names: {},
        decide: () => ({
          entry: {
            kind: 'refusal',
            body: {
              class: 'advertising',
              client: 'ads',
              count: 1,
              reason: 'class_denied',
              salt: random128(),
            },
          },
        }),
      }),
    ),
  )
  if (signed) expect(await api.broker.signer.sign(otherBank)).toBeUndefined()
}

const policy = async () => parsePolicy(nodeHasher, await text('policy'))

/** Throws unless the proof shows, under the policy that is served, that the ledger has this entry. */
async function checkProof(tlogProof: TlogProof, entry: Uint8Array): Promise<void> {
  const leaf = leafHash(nodeHasher, entry)
  checkTlogProof({ hasher: nodeHasher, verifyEd25519 }, { policy: await policy(), tlogProof, leaf })
}

const overHttp: TileReader = { readTile: (tile) => bytes(tilePath(tile)) }

describe.each([1, 2, 255, 256, 257, 512, 513])('a ledger of %d entries', (size) => {
  it('is served whole: every tile under the root that was signed, every entry under its hash', async () => {
    await growTo(size)
    const { checkpoint } = openUnderPolicy(verifyEd25519, await policy(), await text('checkpoint'))
    expect(checkpoint.size).toBe(size)
    const root = await rootFromTiles(nodeHasher, overHttp, size)
    expect(equalBytes(root, checkpoint.root)).toBe(true)
    for (const tile of tilesForSize(size)) {
      const hashes = splitHashes(await overHttp.readTile(tile))
      expect(hashes).toHaveLength(tile.width)
      if (tile.level > 0) continue
      const entries = await bundleAt({ ...tile, level: 'entries' })
      expect(entries.map((entry) => leafHash(nodeHasher, entry))).toEqual(hashes)
    }
  })

  it('proves its first and its last entry', async () => {
    for (const index of new Set([0, size - 1])) {
      const tlogProof = parseTlogProof(await text(`proof/${index}`))
      expect(tlogProof).not.toHaveProperty('extra')
      const [entry = Buffer.of()] = (await bundleAt(bundleOf(index, size))).slice(index % 256)
      await checkProof(tlogProof, entry)
    }
  })

  it('has nothing beyond what is signed', async () => {
    await growTo(size + 1, { signed: false })
    const beyond = bundleOf(size, size + 1)
    await api.call('get', `${ledger}/${tilePath({ ...beyond, level: 0 })}`).expect(404)
    await api.call('get', `${ledger}/${tilePath(beyond)}`, reader).expect(404)
    expect(parseCheckpoint(parseNote(await text('checkpoint')).text).size).toBe(size)
  })
})

/** The bundle that holds an entry, as far as a ledger of this size fills it. */
const bundleOf = (index: number, size: number): Bundle => {
  const at = Math.floor(index / 256)
  return { level: 'entries', index: at, width: Math.min(256, size - at * 256) }
}

describe('tiles', () => {
  it('keep for ever, partial ones too, and any page may read them', async () => {
    await growTo(514)
    for (const path of ['tile/0/000', 'tile/0/000.p/5', 'tile/0/001.p/1', 'tile/1/000.p/2']) {
      const { headers } = await api.call('get', `${ledger}/${path}`).expect(200)
      expect(headers).toMatchObject({
        'cache-control': 'public, max-age=31536000, immutable',
        'content-type': 'application/octet-stream',
        'access-control-allow-origin': '*',
      })
      expect(headers).not.toHaveProperty('content-encoding')
    }
  })

  it.each([
    ...['tile/0/000.p/0', 'tile/0/000.p/256', 'tile/0/0', 'tile/0/x000/000', 'tile/00/000'],
    ...['tile/64/000', 'tile/0/%30%30%30', 'tile/0/000/', 'tile/0//000', 'tile/0/002.p/3'],
    ...[
      'tile/1/001',
      'tile/2/000',
      'tile/9/000',
      'tile/0/x999/x999/x999/x999/x999/999',
      'tile/-1/000',
    ],
    ...['tile/', 'tile', 'Tile/0/000', 'checkpoint/', 'tile/entries/000.p/0'],
  ])('have one path each, and nothing is at %s', async (path) => {
    const { status } = await supertest(api.app).get(`${ledger}/${path}`)
    expect(path.includes('entries') ? 401 : 404).toBe(status)
    const { status: authenticated } = await api.call('get', `${ledger}/${path}`, reader)
    expect(authenticated).toBe(404)
  })
})

describe('entries', () => {
  const path = `${ledger}/tile/entries/000.p/2`

  it('are for a token of that bank, with the scope to read them', async () => {
    await api.call('get', path).expect(401)
    for (const token of [
      api.clientToken('auditor', 'ledger:read', bank),
      api.clientToken('back-end', 'consents:revoke', otherBank),
      api.clientToken(recipient, 'grant_management_query'),
    ]) {
      const { body, headers } = await api.call('get', path, token).expect(403)
      expect(body.code).toBe('insufficient_scope')
      expect(headers['www-authenticate']).toMatch(
        /^DPoP error="insufficient_scope", scope="ledger:read", .*algs="/,
      )
    }
  })

  it('are kept by no cache, and given to no other origin', async () => {
    const { headers } = await api.call('get', path, reader).expect(200)
    expect(headers['cache-control']).toBe('private, no-store')
    expect(headers).not.toHaveProperty('access-control-allow-origin')
    expect(headers).not.toHaveProperty('content-encoding')
  })
})

describe('a proof', () => {
  it('of an entry that is not signed yet has it signed', async () => {
    const size = (await sizeNow()) + 1
    await growTo(size, { signed: false })
    const proof = parseTlogProof(await text(`proof/${size - 1}`))
    expect(parseCheckpoint(parseNote(proof.checkpoint).text).size).toBe(size)
  })

  it.each(['999999', '-1', '01', '1.0', 'x', '99999999999999999999'])(
    'is not there for %s',
    async (index) => {
      await api.call('get', `${ledger}/proof/${index}`).expect(404)
    },
  )
})

it.each(['checkpoint', 'tile/0/000', 'proof/0', 'summary', 'policy'])(
  'has no %s for a bank that there is not',
  async (path) => {
    for (const unknown of ['no-bank', 'No_Bank', '..%2f', 'x'.repeat(41)]) {
      const { headers } = await supertest(api.app).get(`/ledger/${unknown}/${path}`).expect(404)
      expect(headers['cache-control']).toBe('no-store')
    }
  },
)

it('has no method but GET and HEAD', async () => {
  const { headers } = await api.call('post', `${ledger}/checkpoint`).expect(405)
  expect(headers['allow']).toBe('GET, HEAD')
  await api.call('head', `${ledger}/checkpoint`).expect(200)
})
