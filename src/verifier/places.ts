import type { Text } from '../merkle/encoding.ts'
import { archivedCheckpoints, areLedger, ledgerOf } from './ledger_files.ts'
import type { ExportTrust } from './export.ts'
import { exportsAmong, reportOnExport } from './export_place.ts'
import { proofText, readProofFile, type ProofReport } from './proof_file.ts'
import { reportText } from './report_text.ts'
import { filesBelow, limits, type Files } from './source.ts'
import { compareAge, verifyLedger } from './verify.ts'

/** What was found about one thing that was checked: for people, and as JSON. */
export interface Checked {
  readonly verified: boolean
  readonly text: string
  readonly json: object
}

/** How to check whatever it is. */
export type Checking = Parameters<typeof verifyLedger>[1] & {
  /** SHA-256 of what comes in pieces. */
  readonly startHash: ExportTrust['startHash']
  /** Told of progress that cannot be gone on from. */
  readonly told?: (done: number, of: number) => void
}

/** Something that can be checked. */
export interface Found {
  /** Its folder among the files, which ends in `/`; empty where it is all of them. */
  readonly folder: string
  check(how: Checking): Promise<Checked>
}

/** What a verifier knows, by what its files look like. Each looks for itself: what lies beside a good file is not good for that. */
const kinds: readonly ((files: Files) => Promise<readonly Found[]>)[] = [
  findLedger,
  findArchive,
  findExports,
  findProofs,
]

/** Everything there is to check among these files. Where they are nothing that a verifier knows, a ledger is missing. */
export async function findAll(files: Files): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const find of kinds) found.push(...(await find(files)))
  return found.length > 0 ? found : [ledgerAt(files, '')]
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

/** Exports of entries. */
async function findExports(files: Files): Promise<readonly Found[]> {
  const names = (await files.list('')).toSorted()
  return exportsAmong(names).map((one) => ({
    folder: '',
    check: async (how) => {
      const { policy, crypto, startHash, told } = how
      const trust = { ...crypto, policy, startHash, told }
      return checkedProof(await reportOnExport(files, one, trust), how)
    },
  }))
}

/** Files that carry their own proofs. */
async function findProofs(files: Files): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const name of (await files.list('')).toSorted()) {
    const check = await readProofFile(files, name)
    if (check !== undefined)
      found.push({ folder: '', check: async (how) => checkedProof(check(how), how) })
  }
  return found
}

/**
 * What a file proves, it proves by cosignatures that are recent enough, where that is asked for. What it cannot be compared with, and
 * that nobody cosigned it, is said.
 */
function checkedProof(report: ProofReport, how: Checking): Checked {
  const { freshness, policy, earlier = [], bankKey } = how
  const { ledger } = report
  const stale =
    ledger === undefined || freshness === undefined
      ? []
      : compareAge(ledger, freshness, policy).map(({ detail }) => detail)
  const open = [
    ...(ledger?.cosigners.length === 0 ? [notCompared.witnesses] : []),
    ...(earlier.length > 0 ? [notCompared.earlier] : []),
    ...(bankKey === undefined ? [] : [notCompared.bankKey]),
  ]
  const said = {
    ...report,
    verified: report.verified && stale.length === 0,
    findings: [...report.findings, ...stale],
    unproven: [...report.unproven, ...open],
  }
  return { verified: said.verified, text: proofText(said), json: said }
}

const notCompared = {
  witnesses: 'No witness cosigned it: others may have been told otherwise.',
  earlier: 'The checkpoint that you kept was not compared with: that takes the whole ledger.',
  bankKey: 'The key of the bank was not compared with: that takes the whole ledger.',
} as const

/** Every checkpoint that an archive kept was signed: the ledger has to stand by each. */
async function archivedNotes(files: Files): Promise<Text[]> {
  const paths = await archivedCheckpoints(files)
  return Promise.all(paths.map((path) => files.read(path, limits.checkpoint_bytes_max)))
}
