import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ledgerOrigin } from '../src/broker/broker.ts'
import { ledgerKey } from '../src/broker/ledger_keys.ts'
import type { Config } from '../src/config.ts'
import { parsePolicy } from '../src/merkle/policy.ts'
import { nodeHasher } from '../src/storage/node_crypto.ts'
import { newWitnessKey } from '../src/witness/witness_key.ts'
import { endProcess, startModule } from './module_process.ts'

/** Who cosigns the sandbox's ledgers, and by what name their signatures are known. */
const witnesses = { auditor: 'witness.auditor.example', regulator: 'witness.regulator.example' }

/** Two witnesses, each in a process of its own, without which no checkpoint is shown. */
export interface SandboxWitnesses {
  readonly config: NonNullable<Config['witnesses']>
  close(): Promise<void>
}

/** Starts `countersign witness` twice for the ledgers of a configuration. What they keep is in `folder`. */
export async function startWitnesses(
  { issuer, ledgerSeed }: Config,
  { banks, folder, firstPort }: { banks: readonly string[]; folder: string; firstPort: number },
): Promise<SandboxWitnesses> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const logs = banks.map(
    (bank) => `log ${ledgerKey(ledgerSeed, ledgerOrigin(issuer, bank)).vkey}\n`,
  )
  const policy = join(folder, 'logs')
  await writeFile(policy, `${logs.join('')}quorum none\n`)
  const started = await Promise.all(
    Object.entries(witnesses).map(async ([id, name], i) => {
      const key = join(folder, `${id}.key`)
      const isNew = !existsSync(key)
      if (isNew) await writeFile(key, newWitnessKey(name), { mode: 0o600 })
      const argv = ['--key', key, '--policy', policy, '--state', join(folder, `${id}.state`)]
      // A key that is not new may have cosigned, whatever became of its state.
      const init = isNew ? ['--init'] : []
      const port = ['--port', String(firstPort + i)]
      const { child, first } = await startModule('sandbox/witness_main', {}, [
        ...argv,
        ...init,
        ...port,
      ])
      const { vkey, url } = first as { vkey: string; url: string }
      return { child, line: `witness ${id} ${vkey} ${url}\n` }
    }),
  )
  const text = [
    ...started.map(({ line }) => line),
    `group both all ${Object.keys(witnesses).join(' ')}\n`,
    'quorum both\n',
  ].join('')
  return {
    config: { policy: parsePolicy(nodeHasher, text), cadence_s: {} },
    async close() {
      await Promise.all(started.map(({ child }) => endProcess(child)))
    },
  }
}
