import { openWitnessCalls } from '../banks/witness_calls.ts'
import { ledgerOrigin, type Broker } from '../broker/broker.ts'
import { loadConfig, type Config } from '../config.ts'
import type { Policy } from '../merkle/policy.ts'
import { archivedSizes } from '../recovery/archive_source.ts'
import { askWitnesses, type Testimony } from '../recovery/ask_witnesses.ts'
import { newestBackup } from '../recovery/backup.ts'
import type { KeptFrom } from '../recovery/kept_parts.ts'
import { restoreLedger } from '../recovery/restore_ledger.ts'
import { openArchive } from '../storage/archive_place.ts'
import { findRestore } from '../storage/restores.ts'
import { parseOptions, UsageError, type Arguments } from './arguments.ts'
import { archivedAt } from './export.ts'
import { readPolicyFile } from './policy_file.ts'
import { verifierCrypto as crypto } from './verifier_crypto.ts'
import { withBroker } from './with_broker.ts'

/**
 * `countersign restore`: ledgers from an archive, and what no ledger holds from a backup, into a database that was migrated and has
 * nothing in it.
 */
export async function restoreCommand(argv: string[]): Promise<number> {
  const options = parseOptions(argv, ['from', 'policy', 'bank', 'backup'], ['all'])
  if (options.flag('all') === (options.maybe('bank') !== undefined))
    throw new UsageError('either --bank or --all is needed')
  const policy = readPolicyFile(options.one('policy'))
  const testimonies = await testimoniesOf(policy)
  await withBroker(
    (broker) => restoreAll(broker, { options, policy, testimonies }),
    archivedAt(options.one('from')),
  )
  return 0
}

/**
 * What the witnesses say of each log of the policy. They are wherever the policy says, in the house too. Asked before there is a broker, whose
 * tripwire does not know them.
 */
async function testimoniesOf(policy: Policy): Promise<Map<string, readonly Testimony[]>> {
  const urls = [...policy.witnesses.values()].flatMap(({ url }) => url ?? [])
  const calls = openWitnessCalls(urls, { sandbox: true })
  const testimonies = new Map<string, readonly Testimony[]>()
  for (const { vkey } of policy.logs)
    testimonies.set(vkey.name, await askWitnesses(calls, policy, vkey.name))
  calls.gateway.close()
  return testimonies
}

interface Wish {
  readonly options: Arguments
  readonly policy: Policy
  readonly testimonies: ReadonlyMap<string, readonly Testimony[]>
}

async function restoreAll(broker: Broker, { options, policy, testimonies }: Wish): Promise<void> {
  const { archive } = broker.db
  if (archive === undefined) throw new UsageError('--from is missing')
  const from = options.maybe('backup')
  const backup = from === undefined ? undefined : await openBackup(from, loadConfig())
  if (backup !== undefined) say(`the backup is ${backup.name}`)
  const one = options.maybe('bank')
  for (const bank of one === undefined ? broker.bankPort.banks.keys() : [one]) {
    if (one === undefined && (await archivedSizes(archive, bank)).length === 0) {
      say(`${bank}: the archive has no export of it`)
      continue
    }
    const before = await findRestore(broker.db, bank)
    if (one === undefined && before?.phase === 'finished') {
      say(`${bank}: was restored here before, to ${before.size} entries`)
      continue
    }
    const said = testimonies.get(ledgerOrigin(broker.issuer, bank)) ?? []
    for (const { witness, head, silent } of said)
      say(
        `${bank}: ${witness} ${silent === undefined ? `has cosigned ${head?.size} entries` : `is not heard: ${silent}`}`,
      )
    const work = { broker, bank, archive, policy, crypto, testimonies: said, backup }
    const { size, ended, unsigned } = await restoreLedger(work)
    say(
      `${bank}: restored to ${size} entries, and verified; ${ended} consents that lost their mapping were ended`,
    )
    if (unsigned !== undefined) say(`${bank}: it is not signed yet: ${unsigned}`)
  }
  backup?.place.close()
}

const say = (line: string) => void process.stdout.write(`${line}\n`)

async function openBackup(from: string, { archive, backup }: Config): Promise<KeptFrom> {
  if (backup.key === undefined) throw new UsageError('BACKUP_KEY_FILE is not set')
  const place = openArchive(from, { endpoint: archive.endpoint })
  return { place, name: await newestBackup(place), key: backup.key }
}
