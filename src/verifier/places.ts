import type { Text } from '../merkle/encoding.ts'
import { archivedCheckpoints, areLedger, ledgerOf } from './ledger_files.ts'
import { proofText, readProofFile } from './proof_file.ts'
import { reportText } from './report_text.ts'
import { filesBelow, limits, type Files } from './source.ts'
import { verifyLedger } from './verify.ts'

/** What was found about one thing that was checked: for people, and as JSON. */
export interface Checked {
  readonly verified: boolean
  readonly text: string
  readonly json: object
}

export type Checking = Parameters<typeof verifyLedger>[1]

/** Something that can be checked. */
export interface Found {
  /** Its folder among the files, which ends in `/`; empty where it is all of them. */
  readonly folder: string
  check(how: Checking): Promise<Checked>
}

/** What a verifier knows, by what its files look like. Each looks for itself, and the first that finds anything has it. */
const kinds: readonly ((files: Files) => Promise<readonly Found[]>)[] = [
  findLedger,
  findArchive,
  findProofs,
]

/** What there is to check among these files. Where they are nothing that a verifier knows, a ledger is missing. */
export async function findAll(files: Files): Promise<readonly Found[]> {
  for (const find of kinds) {
    const found = await find(files)
    if (found.length > 0) return found
  }
  return [ledgerAt(files, '')]
}

async function findLedger(files: Files): Promise<readonly Found[]> {
  return (await areLedger(files)) ? [ledgerAt(files, '')] : []
}

const bankName = /^[a-z0-9-]{1,40}$/

/** An archive holds a ledger for each bank. */
async function findArchive(files: Files): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const bank of (await files.list('ledger/')).toSorted()) {
    if (!bankName.test(bank)) continue
    const folder = `ledger/${bank}/`
    const ledger = filesBelow(files, folder)
    if (await areLedger(ledger)) found.push(ledgerAt(ledger, folder))
  }
  return found
}

const ledgerAt = (files: Files, folder: string): Found => ({
  folder,
  async check(how) {
    const earlier = [...(how.earlier ?? []), ...(await archivedNotes(files))]
    const report = await verifyLedger(ledgerOf(files), { ...how, earlier })
    return { verified: report.verified, text: reportText(report), json: report }
  },
})

/** Files that carry their own proofs. */
async function findProofs(files: Files): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const name of (await files.list('')).toSorted()) {
    const check = await readProofFile(files, name)
    if (check !== undefined)
      found.push({
        folder: '',
        async check(how) {
          const report = check(how)
          return { verified: report.verified, text: proofText(report), json: report }
        },
      })
  }
  return found
}

/** Every checkpoint that an archive kept was signed: the ledger has to stand by each. */
async function archivedNotes(files: Files): Promise<Text[]> {
  const paths = await archivedCheckpoints(files)
  return Promise.all(paths.map((path) => files.read(path, limits.checkpoint_bytes_max)))
}
