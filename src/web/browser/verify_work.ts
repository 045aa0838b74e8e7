import { sha256 } from '@noble/hashes/sha2.js'
import type { PublicJwk } from '../../ledger/entry.ts'
import { isJsonObject } from '../../ledger/json_object.ts'
import { MerkleError } from '../../merkle/errors.ts'
import { parsePolicy } from '../../merkle/policy.ts'
import { findAll, type Checked } from '../../verifier/places.ts'
import { browserHasher, verifyEd25519, verifyJws } from './browser_crypto.ts'
import { droppedFiles, type Dropped } from './dropped_files.ts'

/** What a page asks its worker to verify. */
export interface Asked {
  readonly files: readonly Dropped[]
  readonly policy: File
  readonly earlier: File | undefined
  readonly bankKey: File | undefined
}

/** What the worker says: how far it has come, each thing it has checked, and that it is done, or why it cannot begin. */
export type Told =
  | { readonly done: number; readonly of: number }
  | { readonly checked: Checked }
  | { readonly end: true }
  | { readonly problem: string }

/** What was given is not what it should be: said to whoever gave it. */
class NotUsable extends Error {
  override readonly name = 'NotUsable'
}

const startHash = () => sha256.create()
const crypto = { hasher: browserHasher, verifyEd25519, verifyJws }

/** Progress is told so often, in bundles of 256 entries. */
const bundles_between = 8

/** Verifies all that is found among the files, and tells of it as it goes. */
export async function verifyDropped(asked: Asked, tell: (told: Told) => void): Promise<void> {
  try {
    const how = {
      policy: await policyOf(asked.policy),
      earlier: asked.earlier === undefined ? [] : [await bytesOf(asked.earlier)],
      bankKey: asked.bankKey && (await publicKeyOf(asked.bankKey)),
    }
    const found = await findAll(droppedFiles(asked.files))
    if (found.length > 1 && (how.earlier.length > 0 || how.bankKey !== undefined))
      throw new NotUsable('There are several ledgers: an earlier checkpoint or a key is of one.')
    for (const { check } of found) {
      let bundles = 0
      const watch = (done: number, of: number) => {
        if (bundles++ % bundles_between === 0) tell({ done, of })
      }
      tell({ checked: await check({ ...how, crypto, startHash, watch, told: watch }) })
    }
    tell({ end: true })
  } catch (error) {
    if (error instanceof NotUsable) tell({ problem: error.message })
    else throw error
  }
}

const file_bytes_max = 1024 * 1024

async function bytesOf(file: File): Promise<Uint8Array> {
  if (file.size > file_bytes_max) throw new NotUsable(`${file.name} is longer than 1 MiB.`)
  return new Uint8Array(await file.arrayBuffer())
}

async function policyOf(file: File) {
  try {
    return parsePolicy(browserHasher, await bytesOf(file))
  } catch (error) {
    if (error instanceof MerkleError) throw new NotUsable(`The policy is wrong: ${error.message}.`)
    throw error
  }
}

async function publicKeyOf(file: File): Promise<PublicJwk> {
  const text = new TextDecoder().decode(await bytesOf(file))
  try {
    const key: unknown = JSON.parse(text)
    if (isJsonObject(key) && 'kty' in key && !('d' in key))
      return Object.fromEntries(Object.entries(key).map(([name, value]) => [name, String(value)]))
  } catch {
    // Said below: whatever is not such an object is no public key.
  }
  throw new NotUsable('The bank’s key is not a public JWK.')
}
