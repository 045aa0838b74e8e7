import { classNames, type Class } from '../consent/class.ts'
import { rules } from '../ledger/replay.ts'
import { checks, type Check, type Counts, type Finding, type Report } from './report.ts'

/** A report for people to read. */
export function reportText(report: Report): string {
  const { verified, place, ledger, earlier, counts } = report
  const sections = [
    [
      'Countersign ledger verification',
      '',
      verified
        ? 'VERIFIED. Nothing was found wrong with this ledger.'
        : `NOT VERIFIED. ${count(report.findings.length, 'thing', 'things')} found wrong with this ledger.`,
    ],
    [
      row('Read from', place),
      ...(ledger === undefined
        ? []
        : [
            row('Ledger', ledger.origin),
            row('Size', count(ledger.size, 'entry', 'entries')),
            row('Root', ledger.root),
            row('Cosigned by', cosigned(ledger.cosigners)),
          ]),
      ...(counts === undefined
        ? []
        : [
            row('Bank', `${counts.bank}, LEI ${counts.lei}`),
            row('Bank key', JSON.stringify(counts.bank_key)),
            ...counts.vkeys.map((vkey) => row('Signed by', vkey)),
            row('Entries from', `${counts.first} to ${counts.last}`),
          ]),
      ...(earlier === undefined
        ? []
        : [row('Compared with', `the checkpoint of ${count(earlier.size, 'entry', 'entries')}`)]),
    ],
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

const row = (name: string, value: string) => `${name.padEnd(16)}${value}`

const count = (n: number, one: string, many: string) =>
  `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`

const day_ms_max = 8.64e15

function cosigned(cosigners: readonly { name: string; time: number }[]): string {
  if (cosigners.length === 0) return 'no witness. Others may have been told otherwise.'
  return cosigners
    .map(
      ({ name, time }) => `${name} at ${new Date(Math.min(time * 1000, day_ms_max)).toISOString()}`,
    )
    .join(', ')
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

const whom: Readonly<Record<Class, string>> = {
  data_subject: 'data subjects',
  messaging_platform: 'the messaging platform',
  advertising: 'advertising',
  third_party: 'third parties',
}

function countLines({
  releases,
  refusals,
  refusals_by_reason,
  consents,
  recipients,
}: Counts): string[] {
  const reasons = Object.entries(refusals_by_reason).toSorted(([, a], [, b]) => b - a)
  return [
    'Releases authorised',
    ...classNames.map((name) => tally(`to ${whom[name]}`, releases[name])),
    ...(['advertising', 'third_party'] as const)
      .filter((name) => releases[name] === 0)
      .map((name) => `  No data was released to ${whom[name]}.`),
    '',
    'Attempts refused',
    ...classNames.map((name) => tally(`by ${whom[name]}`, refusals[name])),
    ...reasons.map(([reason, times]) => tally(`for: ${reason.replaceAll('_', ' ')}`, times)),
    '',
    'Consents',
    ...Object.entries(consents).map(([what, times]) => tally(what, times)),
    '',
    'Recipients that the bank approved',
    ...(recipients.length === 0 ? ['  none'] : []),
    ...recipients.map(
      ({ recipient, class: named, suspended }) =>
        `  ${recipient} (${named.replaceAll('_', ' ')})${suspended ? ', suspended' : ''}`,
    ),
  ]
}

const tally = (what: string, n: number) =>
  `  ${what.padEnd(40)}${n.toLocaleString('en-US').padStart(15)}`

function checked({ checks: status }: Report, check: Check): string {
  const sign = { passed: '✓', failed: '✗', not_done: '–' }[status[check]]
  return `  ${sign} ${checks[check]}${status[check] === 'not_done' ? ' (Not checked.)' : ''}`
}

/** A ledger is not trusted to speak to the reader's terminal: control and direction characters are shown, not sent. */
const printable = (line: string) =>
  line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u{${code.toString(16)}}`
  })
