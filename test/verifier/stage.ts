import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifierCrypto as crypto } from '../../src/cli/verifier_crypto.ts'
import type { PublicJwk } from '../../src/ledger/entry.ts'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { formatVkey } from '../../src/merkle/vkey.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import type { Finding, Freshness, Report } from '../../src/verifier/report.ts'
import { openSource } from '../../src/verifier/open_source.ts'
import { verifyLedger } from '../../src/verifier/verify.ts'
import { logKey } from '../merkle/keys.ts'
import { newBankKey, openLedger, type LedgerBuilder } from '../support/ledger_builder.ts'
import { policyOf, writeLedgerFolder } from '../support/ledger_folder.ts'

export const origin = 'broker.example/ledger/us-bank'
/** The ledger's key, and one that pretends to be. */
export const key = logKey(origin, 0x00)
export const thief = logKey(origin, 0x40)
const bankKey = newBankKey()

/** 300 entries, unless told otherwise: more than a tile holds. Every second one is a release under the one consent. */
export function started({ size = 300 } = {}): { ledger: LedgerBuilder; consent: string } {
  const ledger = openLedger({ origin, vkey: formatVkey(key.vkey), bankKey })
  ledger.approve()
  const consent = ledger.grant()
  while (ledger.entries.length < size)
    if (ledger.entries.length % 2 === 0) ledger.refuse()
    else ledger.release(consent)
  return { ledger, consent }
}

interface Options {
  readonly policy?: string
  readonly earlier?: string
  readonly bankKey?: PublicJwk
  readonly freshness?: Freshness
}

/** A folder in which an operator, who has the ledger's key, may write whatever he likes, and an auditor reads it. */
export interface Stage {
  readonly folder: string
  verify(options?: Options): Promise<Report>
  /** What is found in entries that the operator hashed and signed so. */
  foundIn(entries: readonly Uint8Array[], options?: Options): Promise<readonly Finding[]>
  /** Changes a byte of a file. */
  spoil(
    path: string,
    at: (bytes: Buffer) => number,
    spoilt?: (byte: number) => number,
  ): Promise<void>
  remove(): Promise<void>
}

export async function newStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-verify-'))
  const verify: Stage['verify'] = ({ policy = policyOf(key), earlier, ...others } = {}) =>
    verifyLedger(openSource(folder), {
      policy: parsePolicy(nodeHasher, policy),
      earlier: earlier === undefined ? [] : [earlier],
      ...{ ...others, crypto },
    })
  return {
    folder,
    verify,
    async foundIn(entries, options) {
      await writeLedgerFolder(folder, entries, key)
      return (await verify(options)).findings
    },
    async spoil(path, at, spoilt = (byte) => byte ^ 1) {
      const bytes = await readFile(join(folder, path))
      bytes.writeUInt8(spoilt(bytes.readUInt8(at(bytes))), at(bytes))
      await writeFile(join(folder, path), bytes)
    },
    remove: () => rm(folder, { recursive: true }),
  }
}
