import { open } from 'node:fs/promises'
import { MerkleError } from '../merkle/errors.ts'
import type { Peer } from '../merkle/policy.ts'
import type { CosignedStore } from '../storage/cosigned.ts'
import { openCosignedDatabase } from '../storage/cosigned_database.ts'
import { openCosignedFiles } from '../storage/cosigned_files.ts'
import { errorCode } from '../storage/error_code.ts'
import { StateUnfit } from '../storage/state_unfit.ts'
import { serveWitness, type Witnessing } from '../witness/server.ts'
import { newWitnessKey, readWitnessKey } from '../witness/witness_key.ts'
import {
  integerOf,
  parseOptions,
  readTextArgument,
  UsageError,
  type Arguments,
} from './arguments.ts'
import { readPolicyFile } from './policy_file.ts'

/**
 * `countersign witness`: cosigns the checkpoints of the logs that a policy names, until SIGTERM or SIGINT. It needs no broker and
 * no database of one. It starts on what its key cosigned before; `--init`, once, where that is nothing yet. `keygen` makes its key, once, and says the vkey that goes into policies.
 */
export async function witnessCommand(argv: string[]): Promise<number> {
  const [action, ...rest] = argv
  if (action === 'keygen') return makeKey(parseOptions(rest, ['name', 'key']))
  const { vkey, witnessing, end } = await startWitness(argv)
  process.stdout.write(`${vkey}\nlistening at ${witnessing.url}\n`)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  await end()
  return 0
}

async function makeKey(options: Arguments): Promise<number> {
  const path = options.one('key')
  const text = mended(() => newWitnessKey(options.one('name')))
  try {
    // A key that is written over is a witness that is lost.
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(text).finally(() => file.close())
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw new UsageError(`${path} is there already`)
    throw new UsageError(`${path} cannot be written`)
  }
  process.stdout.write(`${readWitnessKey(text).vkey}\n`)
  return 0
}

/** Starts what the arguments describe. Throws `UsageError`. */
export async function startWitness(
  argv: string[],
): Promise<{ vkey: string; witnessing: Witnessing; end(): Promise<void> }> {
  const options = parseOptions(
    argv,
    ['key', 'policy', 'state', 'state-url', 'host', 'port'],
    ['init'],
  )
  const { vkey, signer } = mended(() => readWitnessKey(`${readTextArgument(options.one('key'))}\n`))
  const { logs } = readPolicyFile(options.one('policy'))
  if (logs.length === 0) throw new UsageError('the policy names no log')
  const port = integerOf('port', options.maybe('port') ?? '8090', { min: 0, max: 65_535 })
  const state = stateOf(options, vkey)
  try {
    await recallOrBegin(state, { origins: originsOf(logs), init: options.flag('init') })
  } catch (error) {
    await state.close()
    throw error
  }
  const witnessing = await serveWitness(
    { logs, signer, store: state.store },
    {
      host: options.maybe('host') ?? '127.0.0.1',
      port,
      failed: (error) => void process.stderr.write(`${String(error)}\n`),
    },
  )
  const end = async () => {
    await witnessing.close()
    await state.close()
  }
  return { vkey, witnessing, end }
}

/** What a witness remembers, and what its operator calls the place. */
interface State {
  readonly place: string
  readonly store: CosignedStore
  close(): Promise<void>
}

function stateOf(options: Arguments, vkey: string): State {
  const [folder, file] = [options.maybe('state'), options.maybe('state-url')]
  if (folder !== undefined && file === undefined)
    return {
      place: folder,
      store: openCosignedFiles(folder, vkey),
      close: () => Promise.resolve(),
    }
  if (file === undefined || folder !== undefined)
    throw new UsageError('one of --state, a folder, and --state-url, a file with a URL, is needed')
  const store = openCosignedDatabase(readTextArgument(file), vkey)
  return { place: `the database of ${file}`, store, close: store.close }
}

/** Several keys may sign for one log. */
const originsOf = (logs: readonly Peer[]) => [...new Set(logs.map(({ vkey: { name } }) => name))]

/** A witness that forgot would cosign what it refused: only its operator knows that there is nothing to remember. */
async function recallOrBegin(
  { place, store }: State,
  { origins, init }: { origins: readonly string[]; init: boolean },
): Promise<void> {
  await store.check().catch((error: unknown) => {
    if (!(error instanceof StateUnfit)) throw error
    throw new UsageError(
      `${place} holds what is not understood: ${error.message}. It may be what this key cosigned, and is left as it is: do not remove it to begin here. If this key never cosigned, give it a place that holds nothing else. If it did, and its own state is nowhere else, make a new key with a new name: this one might cosign what it refused`,
    )
  })
  if (init) {
    if (await store.begin(origins)) return
    throw new UsageError(
      `${place} already holds what this key cosigned: leave --init out. To begin logs that are new, give --init a policy of these alone`,
    )
  }
  for (const origin of origins)
    if ((await store.read(origin)) === undefined)
      throw new UsageError(
        `${place} holds nothing of what this key cosigned of ${origin}. If it was lost, make a new key with a new name: this one might cosign what it refused. If this key never cosigned that log, start once with --init`,
      )
}

function mended<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof MerkleError) throw new UsageError(error.message)
    throw error
  }
}
