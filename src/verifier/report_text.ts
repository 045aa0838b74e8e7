import { classes, classNames } from '../consent/class.ts'
import { rules } from '../ledger/replay.ts'
import { count, figure } from '../ledger/words.ts'
import {
  checks,
  type Check,
  type Counts,
  type Finding,
  type Report,
  type StatementCounts,
} from './report.ts'

/** A report for people to read. */
export function reportText(report: Report): string {
  const { verified, counts } = report
  const sections = [
    [
      'Countersign ledger verification',
      '',
      verified
        ? verdict(counts?.statements)
        : `NOT VERIFIED. ${count(report.findings.length, 'thing', 'things')} found wrong with this ledger.`,
    ],
    aboutRows(report),
    ...(report.findings.length === 0 ? [] : [['What is wrong', ...report.findings.flatMap(wrong)]]),
    counts === undefined
      ? ['Releases, refusals and consents are not counted: the entries are not sound.']
      : countLines(counts),
    [
      'What was checked',
      ...(Object.keys(checks) as Check[]).map((check) => checked(report, check)),
    ],
    ['What this does not prove', ...report.unproven.map((line) => `  - ${line}`)],
  ]
  return `${sections.map((lines) => lines.map(printable).join('\n')).join('\n\n')}\n`
}

/** What was verified, and under what. */
function aboutRows({ place, ledger, counts, earlier, freshness, resumed_at }: Report): string[] {
  return [
    row('Read from', place),
    ...(ledger === undefined
      ? []
      : [
          ...ledgerRows(ledger),
          ...cosigned(ledger.cosigners, freshness).map((line) => row('Cosigned by', line)),
        ]),
    ...(counts === undefined ? [] : bankRows(counts)),
    ...(earlier === undefined ? [] : [row('Compared with', comparedWith(earlier))]),
    ...(resumed_at === undefined
      ? []
      : [row('Resumed', `${count(resumed_at, 'entry', 'entries')} were read before`)]),
  ]
}

/** Which ledger, as its checkpoint says. */
export const ledgerRows = ({
  origin,
  size,
  root,
}: Pick<NonNullable<Report['ledger']>, 'origin' | 'size' | 'root'>): string[] => [
  row('Ledger', origin),
  row('Size', count(size, 'entry', 'entries')),
  row('Root', root),
]

const bankRows = (counts: Counts): string[] => [
  row('Bank', `${counts.bank}, LEI ${counts.lei}`),
  row('Bank key', JSON.stringify(counts.bank_key)),
  ...counts.vkeys.map((vkey) => row('Signed by', vkey)),
  row('Entries from', `${counts.first} to ${counts.last}`),
  ...(counts.closed ? [row('Closed', 'for ever, by the last of them')] : []),
  ...counts.restores.map(({ n, at }) =>
    row('Restored', `from an archive of ${count(n, 'entry', 'entries')}, at ${at}`),
  ),
  ...(counts.predecessor === undefined ? [] : [row('Follows', follows(counts.predecessor))]),
]

const verdict = (stated: StatementCounts | undefined): string =>
  stated === undefined || mismatchesOf(stated) === 0
    ? 'VERIFIED. Nothing was found wrong with this ledger.'
    : 'VERIFIED, WITH A MISMATCH. The ledger keeps every rule, and the bank states otherwise: see its statements.'

const mismatchesOf = ({ unknown, missing }: StatementCounts): number => unknown + missing

export const row = (name: string, value: string) => `${name.padEnd(16)}${value}`

const follows = ({ origin, size, reason }: NonNullable<Counts['predecessor']>) =>
  `${origin}, which ended with ${count(size, 'entry', 'entries')}: ${reason}`

const comparedWith = ({ checkpoints, size }: NonNullable<Report['earlier']>) =>
  checkpoints === 1
    ? `the checkpoint of ${count(size, 'entry', 'entries')}`
    : `${figure(checkpoints)} checkpoints, the largest of ${count(size, 'entry', 'entries')}`

const day_ms_max = 8.64e15

function cosigned(
  cosigners: readonly { name: string; time: number }[],
  freshness: Report['freshness'],
): string[] {
  if (cosigners.length === 0) return ['no witness. Others may have been told otherwise.']
  return cosigners.map(({ name, time }) => {
    const at = Math.min(time * 1000, day_ms_max)
    const age = freshness && `, ${ageOf(Date.parse(freshness.at) - at)}`
    return `${name} at ${new Date(at).toISOString()}${age ?? ''}`
  })
}

const ageOf = (ms: number) => {
  const s = figure(Math.round(Math.abs(ms) / 1_000))
  return ms < 0 ? `${s} s ahead of this clock` : `${s} s ago`
}

function wrong({ check, detail, index, rule, notes }: Finding): string[] {
  const where = rule === undefined ? check : `entry ${index ?? ''} breaks the rule "${rule}"`
  const evidence = [...(notes ?? [])].flatMap((note, i) => [
    `    ${i === 0 ? 'earlier' : 'newest'} checkpoint:`,
    ...note
      .trimEnd()
      .split('\n')
      .map((line) => `      ${line}`),
  ])
  const inWords = rule === undefined ? [] : [`    ${rules[rule]}`]
  return [`  ✗ ${where}: ${detail}.`, ...inWords, ...evidence]
}

function countLines({
  releases,
  refusals,
  refusals_by_reason,
  consents,
  recipients,
  statements,
}: Counts): string[] {
  const reasons = Object.entries(refusals_by_reason).toSorted(([, a], [, b]) => b - a)
  return [
    'Releases authorised',
    ...classNames.map((name) => tally(`to ${classes[name].label}`, releases[name])),
    ...(['advertising', 'third_party'] as const)
      .filter((name) => releases[name] === 0)
      .map((name) => `  No data was released to ${classes[name].label}.`),
    '',
    'Attempts refused',
    ...classNames.map((name) => tally(`by ${classes[name].label}`, refusals[name])),
    ...reasons.map(([reason, times]) => tally(`for: ${reason.replaceAll('_', ' ')}`, times)),
    '',
    'Consents',
    ...Object.entries(consents).map(([what, times]) => tally(what, times)),
    '',
    ...statementLines(statements),
    '',
    'Recipients that the bank approved',
    ...(recipients.length === 0 ? ['  none'] : []),
    ...recipients.map(
      ({ recipient, class: named, suspended }) =>
        `  ${recipient} (${named.replaceAll('_', ' ')})${suspended ? ', suspended' : ''}`,
    ),
  ]
}

function statementLines(stated: StatementCounts): string[] {
  const { statements, waiting, served, uncovered_ms, unknown, missing } = stated
  if (statements === 0)
    return [
      'Statements of the bank',
      '  None: nobody but the broker says that the releases are all.',
    ]
  const mismatches = mismatchesOf(stated)
  return [
    'Statements of the bank, of what it served to the broker',
    tally('statements', statements),
    tally('not reconciled yet', waiting),
    tally('requests served', served),
    tally('of them released', stated.released),
    tally('of them refused', stated.refused),
    tally('of them dropped', stated.dropped),
    tally('of them for customers to choose from', stated.offered),
    tally('of them unknown to the broker', unknown),
    tally('released, and not stated', missing),
    mismatches === 0
      ? '  What the bank stated and what was released agree, as far as they are compared.'
      : `  MISMATCH. ${count(mismatches, 'request is', 'requests are')} in one of the two records only.`,
    `  No statement covers ${duration(uncovered_ms)} of the time from the first entry to the last.`,
  ]
}

/** Days, hours and minutes, or seconds where there are none. */
function duration(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  const parts = [
    [Math.floor(minutes / 1_440), 'd'],
    [Math.floor(minutes / 60) % 24, 'h'],
    [minutes % 60, 'min'],
  ] as const
  const said = parts.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`)
  return said.length > 0 ? said.join(' ') : `${Math.ceil(ms / 1000)} s`
}

const tally = (what: string, n: number) => `  ${what.padEnd(40)}${figure(n).padStart(15)}`

function checked({ checks: status }: Report, check: Check): string {
  const sign = { passed: '✓', failed: '✗', not_done: '–' }[status[check]]
  return `  ${sign} ${checks[check]}${status[check] === 'not_done' ? ' (Not checked.)' : ''}`
}

/** A ledger is not trusted to speak to the reader's terminal: control and direction characters are shown, not sent. */
export const printable = (line: string) =>
  line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u{${code.toString(16)}}`
  })

/** A line of JSON that no terminal takes orders from either: what a file says may be anything. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    Array.from({ length: character.length }, (_, i) => {
      const unit = character.charCodeAt(i)
      return `\\u${unit.toString(16).padStart(4, '0')}`
    }).join(''),
  )
