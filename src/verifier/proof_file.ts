import { isJsonObject, type JsonObject } from '../ledger/json_object.ts'
import { carriesEntry } from '../merkle/tlog_proof.ts'
import { checkEntryProof } from './entry_proof.ts'
import { checkReport } from './range_report.ts'
import { ledgerRows, printable, row } from './report_text.ts'
import { SourceError, type LedgerSource } from './source.ts'
import { checkSumProof } from './sum.ts'
import { checkSummary } from './summary.ts'
import type { Trust, Verdict } from './verdict.ts'

const file_bytes_max = 16 * 1024 * 1024

/** A file as it was read: its text, and what that is as JSON, if it is an object. */
interface File {
  readonly text: string
  readonly json: JsonObject | undefined
}

const hasMembers =
  (...members: readonly string[]) =>
  ({ json }: File): boolean =>
    json !== undefined && members.every((member) => member in json)

/** Files that prove what they say by themselves, and how each is known. */
const kinds: readonly {
  readonly what: string
  readonly is: (file: File) => boolean
  readonly check: (file: File, trust: Trust) => Verdict
}[] = [
  {
    what: 'summary',
    is: hasMembers('basis', 'proofs', 'totals'),
    check: ({ json }, trust) => checkSummary(json, trust),
  },
  {
    what: 'report',
    is: hasMembers('report', 'summary', 'releases', 'refusals'),
    check: ({ json }, trust) => checkReport(json, trust),
  },
  {
    what: 'sum proof',
    is: hasMembers('nodes', 'proofs', 'totals'),
    check: ({ json }, trust) => checkSumProof(json, trust),
  },
  {
    what: 'entry proof',
    is: ({ text }) => carriesEntry(text),
    check: ({ text }, trust) => checkEntryProof(text, trust),
  },
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
  const file = { text, json: jsonOf(text) }
  const kind = kinds.find(({ is }) => is(file))
  return kind && ((trust) => ({ place: name, what: kind.what, ...kind.check(file, trust) }))
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
