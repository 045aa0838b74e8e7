import { statSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { basename, dirname, extname, join } from 'node:path'
import { openFolder } from '../verifier/folder.ts'
import { printableJson } from '../verifier/report_text.ts'
import { findAll, type Checking, type Checked } from '../verifier/places.ts'
import type { Files } from '../verifier/source.ts'
import { treesInThreads } from '../verifier/threads.ts'
import { treesHere, type OpenTrees } from '../verifier/trees.ts'
import { KeptRefused, type Seal } from '../verifier/verify.ts'
import { UsageError } from './arguments.ts'
import { showProgress } from './progress.ts'
import { readKept, writeKept } from './resume_file.ts'
import { verifierCrypto as crypto } from './verifier_crypto.ts'
import type { VerifyArguments } from './verify_arguments.ts'

/** Where verdicts and progress go, and the module that other threads run: without one, all is done on this. */
export interface VerifyStreams {
  readonly out: NodeJS.WritableStream
  readonly err?: NodeJS.WriteStream | undefined
  readonly threadModule?: URL | undefined
}

/** Below this many entries, starting a thread takes longer than it saves. */
const threads_entries_min = 8_192

/**
 * Verifies what is in a folder or a file, and writes a report on each thing found in it to `out`, as text or as a line of JSON
 * each. Resolves to the exit code: 0 when nothing was found wrong, 1 when something was. Throws `UsageError`.
 */
export async function verifyFiles(given: VerifyArguments, streams: VerifyStreams): Promise<number> {
  const found = await findAll(openPlace(given.place))
  if (found.length > 1 && (given.earlier !== undefined || given.bankKey !== undefined))
    throw new UsageError('--against and --bank-key are for one ledger, and there are several')
  let isVerified = true
  for (const { folder, check } of found) {
    const name = found.length > 1 ? basename(folder) : ''
    const place = join(given.place, folder)
    const verdict = await verifyBy((how) => check(how), { given, streams, name, folder: place })
    isVerified &&= verdict.verified
  }
  return isVerified ? 0 : 1
}

/** A folder; or one file, with those that belong to it where it is of an export: never another that only has its name. */
function openPlace(place: string): Files {
  if (statSync(place, { throwIfNoEntry: false })?.isFile() !== true) return openFolder(place)
  const files = openFolder(dirname(place))
  const belongs = belongsTo(basename(place))
  const beside = async () => (await files.list('')).filter(belongs)
  return { ...files, place, list: async (folder) => (folder ? [] : beside()) }
}

const entryForms = ['.ndjson', '.csv']
const exportForms = [...entryForms, '.manifest', '.proof']

function belongsTo(name: string): (other: string) => boolean {
  const form = extname(name)
  if (!exportForms.includes(form)) return (other) => other === name
  const forms = entryForms.includes(form) ? [form, '.manifest', '.proof'] : exportForms
  const stem = basename(name, form)
  return (other) => forms.some((one) => other === `${stem}${one}`)
}

/** Verifies one thing as the arguments say, and writes its report. With a `folder`, which its files are in, by threads. */
export async function verifyBy(
  check: (how: Checking) => Promise<Checked>,
  {
    given,
    streams,
    name = '',
    folder,
  }: { given: VerifyArguments; streams: VerifyStreams; name?: string; folder?: string },
): Promise<Checked> {
  const { policy, bankKey, earlier, freshness, json } = given
  const resume = given.resume && (name === '' ? given.resume : `${given.resume}.${name}`)
  const progress = streams.err && showProgress(streams.err, name === '' ? 'Verifying' : name)
  const keep = resume === undefined ? undefined : keeper(resume)
  try {
    const verdict = await check({
      ...{ policy, bankKey, freshness, crypto, earlier: earlier === undefined ? [] : [earlier] },
      openTrees: openTreesFor(given, streams, folder),
      startHash: () => createHash('sha256'),
      told: (done, of) => progress?.at(done, of),
      kept: resume === undefined ? undefined : readKept(resume),
      async watch(done, size, seal) {
        progress?.at(done, size)
        await keep?.(done, size, seal)
      },
    })
    progress?.end()
    streams.out.write(json ? `${printableJson(verdict.json)}\n` : verdict.text)
    return verdict
  } catch (error) {
    progress?.end()
    if (!(error instanceof KeptRefused)) throw error
    throw new UsageError(`${resume} cannot be gone on from: ${error.message}`)
  }
}

function openTreesFor(
  { threads }: VerifyArguments,
  { threadModule: module }: VerifyStreams,
  folder: string | undefined,
): OpenTrees {
  const here = treesHere(crypto.hasher)
  if (module === undefined || folder === undefined || threads < 2) return here
  const elsewhere = treesInThreads({ module, folder, count: threads - 1 })
  return (source, range) => (range.size < threads_entries_min ? here : elsewhere)(source, range)
}

/** How many times as long as keeping a walk takes, the next one is not kept; and never within so many entries. */
const keeping_pause = 40
const keeping_entries_min = 4_096

/** Keeps the walk in a file: now and then, and at the last full bundle, so that a larger ledger is gone on with from there. */
function keeper(path: string) {
  let kept = 0
  let next_ms = 0
  return async (done: number, size: number, seal: Seal): Promise<void> => {
    const isLast = size - done < 256
    const isDue = done - kept >= keeping_entries_min && performance.now() >= next_ms
    if (!isLast && !isDue) return
    const began = performance.now()
    writeKept(path, await seal())
    kept = done
    next_ms = performance.now() + keeping_pause * (performance.now() - began)
  }
}
