import { isJsonObject, type JsonObject } from '../ledger/json_object.ts'
import { isTlogProof } from '../merkle/tlog_proof.ts'
import { checkEntryProof } from './entry_proof.ts'
import { checkReport } from './range_report.ts'
import { ledgerRows, printable, row } from './report_text.ts'
import { SourceError, type LedgerSource } from './source.ts'
import { checkSumProof } from './sum.ts'
import { checkSummary, type Trust, type Verdict } from './summary.ts'

const file_bytes_max = 16 * 1024 * 1024

/** JSON that proves what it says by itself, by the members that only it has. */
const kinds: readonly {
  readonly what: string
  readonly has: readonly string[]
  readonly check: (file: unknown, trust: Trust) => Verdict
}[] = [
  { what: 'summary', has: ['basis', 'proofs', 'totals'], check: checkSummary },
  { what: 'report', has: ['report', 'summary', 'releases', 'refusals'], check: checkReport },
  { what: 'sum proof', has: ['nodes', 'proofs', 'totals'], check: checkSumProof },
]

/** What was found about a file that carries its own proofs. As JSON it is the output of `verify --json`. */
export interface ProofReport extends Verdict {
  readonly place: string
  readonly what: string
}

/** How to check a file that carries its own proofs; undefined for any other. */
export async function readProofFile(
  files: LedgerSource,
  name: string,
): Promise<((trust: Trust) => ProofReport) | undefined> {
  const text = await textOf(files, name)
  if (text === undefined) return undefined
  const found = isTlogProof(text)
    ? { what: 'entry', check: (trust: Trust) => checkEntryProof(text, trust) }
    : jsonProof(text)
  return found && ((trust) => ({ place: name, what: found.what, ...found.check(trust) }))
}

async function textOf(files: LedgerSource, name: string): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await files.read(name, file_bytes_max))
  } catch (error) {
    // Another file, which is none of ours.
    if (error instanceof SourceError) return undefined
    throw error
  }
}

function jsonProof(text: string) {
  const file = jsonOf(text)
  const kind = file && kinds.find(({ has }) => has.every((member) => member in file))
  return kind && { what: kind.what, check: (trust: Trust) => kind.check(file, trust) }
}

function jsonOf(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The report for people to read. */
export function proofText(report: ProofReport): string {
  const { place, what, verified, findings, ledger, proven, unproven } = report
  const sections = [
    [
      `Countersign ${what} verification`,
      '',
      verified
        ? `VERIFIED. It proves what it says.`
        : 'NOT VERIFIED. It does not prove what it says.',
    ],
    [
      row('Read from', place),
      ...(ledger === undefined
        ? []
        : [
            ...ledgerRows(ledger),
            row('Cosigned by', ledger.cosigners.map(({ name }) => name).join(', ') || 'no witness'),
          ]),
    ],
    ...listed('What is wrong', findings),
    ...listed('What this proves', proven),
    ...listed('What this does not prove', unproven),
  ]
  return `${sections.map((lines) => lines.map(printable).join('\n')).join('\n\n')}\n`
}

const listed = (title: string, lines: readonly string[]): string[][] =>
  lines.length === 0 ? [] : [[title, ...lines.map((line) => `  - ${line}`)]]
