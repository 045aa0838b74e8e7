import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { JWK } from 'jose'
import { errorCode } from '../src/storage/error_code.ts'
import { generateBankKeys, generateKey, type BankKeys } from './banks/bank_keys.ts'

/** Every secret of a sandbox, made at its first start. They open nothing outside it. */
export interface Identities {
  /** 32 bytes each, base64url. */
  readonly masterKey: string
  readonly ledgerSeed: string
  /** The broker's, at the banks. */
  readonly clientKey: JWK
  /** When the banks signed their approvals, seconds since the epoch: the same ones at every start. */
  readonly approvedAt: number
  readonly banks: Readonly<Record<string, BankKeys>>
  /** Private keys of the clients, by client id. */
  readonly clients: Readonly<Record<string, JWK>>
}

/** The identities kept in a file, mode 0600; made and kept when it is not there yet. */
export async function openIdentities(
  path: string,
  names: { readonly banks: readonly string[]; readonly clients: readonly string[] },
): Promise<Identities> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Identities
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  const made: Identities = {
    masterKey: randomBytes(32).toString('base64url'),
    ledgerSeed: randomBytes(32).toString('base64url'),
    clientKey: await generateKey(),
    approvedAt: Math.floor(Date.now() / 1000),
    banks: await byName(names.banks, generateBankKeys),
    clients: await byName(names.clients, generateKey),
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, JSON.stringify(made, null, 2), { mode: 0o600 })
  await chmod(`${path}.new`, 0o600)
  await rename(`${path}.new`, path)
  return made
}

async function byName<T>(
  names: readonly string[],
  make: () => Promise<T>,
): Promise<Record<string, T>> {
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await make()] as const)),
  )
}
