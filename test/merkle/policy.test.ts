import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { signCheckpoint } from '../../src/merkle/checkpoint.ts'
import { formatNote, parseNote, signNote } from '../../src/merkle/note.ts'
import { openUnderPolicy, formatPolicy, parsePolicy, quorumMet } from '../../src/merkle/policy.ts'
import { formatVkey } from '../../src/merkle/vkey.ts'
import { nodeHasher, verifyEd25519 } from '../../src/storage/node_crypto.ts'
import { log, logKey, witness, witnessKey } from './keys.ts'
import { codeOf, sha256 } from './oracle.ts'
import { cosigned5, vectors } from './vectors.ts'

const parse = (text: string) => parsePolicy(nodeHasher, text)
const witnesses = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'].map((name, i) => ({
  name,
  ...witnessKey(`${name.toLowerCase()}.example`, 0x50 + i, 1_000 + i),
}))
const witnessLines = witnesses.map(({ name, vkey }) => `witness ${name} ${formatVkey(vkey)}`)
const logLine = `log ${vectors.vkeyL}`

/** The example of the tlog-policy specification. */
const example = `${logLine}

# three here
${witnessLines.slice(0, 3).join('\n')}
group X-witnesses 2 X1 X2 X3

  # three there
${witnessLines.slice(3).join('\n')}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`

describe('a policy', () => {
  it('of the specification’s example is read', () => {
    const policy = parse(example)
    expect(policy.logs).toEqual([{ vkey: log.vkey }])
    expect([...policy.witnesses.keys()]).toEqual(['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'])
    expect([...policy.groups]).toEqual([
      ['X-witnesses', { threshold: 2, members: ['X1', 'X2', 'X3'] }],
      ['Y-witnesses', { threshold: 1, members: ['Y1', 'Y2', 'Y3'] }],
      ['X-and-Y', { threshold: 2, members: ['X-witnesses', 'Y-witnesses'] }],
    ])
    expect(policy.quorum).toBe('X-and-Y')
  })

  it('may be spaced by tabs, and name the places of its logs and witnesses', () => {
    const policy = parse(
      `\t${logLine}\thttps://log.example/ \n witness \t w ${vectors.vkeyW} https://w.example/\nquorum\tw\n`,
    )
    expect(policy.logs).toEqual([{ vkey: log.vkey, url: 'https://log.example/' }])
    expect(policy.witnesses).toEqual(
      new Map([['w', { vkey: witness.vkey, url: 'https://w.example/' }]]),
    )
  })

  it('may have no logs, and its quorum before other lines', () => {
    expect(parse('quorum none\n')).toMatchObject({ logs: [], quorum: 'none' })
    expect(parse(`quorum none\n${witnessLines[0]}\ngroup g 1 X1\n`).groups.size).toBe(1)
  })

  const head = `${logLine}\n${witnessLines.join('\n')}\n`
  it.each([
    ['no quorum', head],
    ['nothing', ''],
    ['two quorums', `${head}quorum X1\nquorum X1\n`],
    ['a quorum of nobody', `${head}quorum\n`],
    ['a quorum of two names', `${head}quorum X1 X2\n`],
    ['a quorum that is not defined', `${head}quorum Z\n`],
    ['a quorum defined only below', `${head}quorum g\ngroup g any X1\n`],
    ['a last line cut short', `${head}quorum X1`],
    ['another last line cut short', `${head}quorum X1\ngroup g any X2`],
    ['an unknown keyword', `${head}mirror X1\nquorum X1\n`],
    ['a keyword in capitals', `${head}Quorum X1\n`],
    ['a member that is not defined', `${head}group g any X1 Z\nquorum g\n`],
    ['a group within itself', `${head}group g any X1 g\nquorum g\n`],
    ['none as a member', `${head}group g any X1 none\nquorum g\n`],
    ['a member listed twice in a group', `${head}group g 2 X1 X1\nquorum g\n`],
    ['a member of two groups', `${head}group g any X1\ngroup h any X1 X2\nquorum h\n`],
    ['a group without members', `${head}group g all\nquorum g\n`],
    ['a group without a threshold', `${head}group g\nquorum none\n`],
    ['a threshold of 0', `${head}group g 0 X1 X2\nquorum g\n`],
    ['a threshold above the members', `${head}group g 3 X1 X2\nquorum g\n`],
    ['a negative threshold', `${head}group g -1 X1 X2\nquorum g\n`],
    ['a threshold with a leading zero', `${head}group g 01 X1 X2\nquorum g\n`],
    ['a group named none', `${head}group none 1 X1\nquorum none\n`],
    ['a group without a name', `${head}group\nquorum none\n`],
    ['a name defined twice', `${head}group X1 any X2\nquorum X1\n`],
    ['a witness named none', `witness none ${vectors.vkeyW}\nquorum none\n`],
    ['a witness without a key', 'witness w\nquorum w\n'],
    ['a log without a key', 'log\nquorum none\n'],
    ['a log’s key for a witness', `witness w ${vectors.vkeyL}\nquorum w\n`],
    ['a witness’s key for a log', `log ${vectors.vkeyW}\nquorum none\n`],
    ['a wrong key id', `${logLine.replace('10bd240c', '10bd240d')}\nquorum none\n`],
    ['one log twice', `${logLine}\n${logLine}\nquorum none\n`],
    [
      'one key under two names',
      `${logLine}\nlog ${formatVkey(logKey('other.example', 0x00).vkey)}\nquorum none\n`,
    ],
    [
      'one witness key under two names',
      `witness a ${vectors.vkeyW}\nwitness b ${vectors.vkeyW}\nquorum a\n`,
    ],
    ['a place that is no URL', `${logLine} log.example\nquorum none\n`],
    ['a comment after a line', `${logLine} # ours\nquorum none\n`],
    ['a word too many', `${logLine} https://log.example/ more\nquorum none\n`],
    ['a carriage return', 'quorum none\r\n'],
    ['a form feed for a space', 'quorum\fnone\n'],
    ['a no-break space for a space', 'quorum\u00a0none\n'],
    ['a delete character', '# \u007f\nquorum none\n'],
  ])('is refused with %s', (_, text) => {
    expect(codeOf(() => parse(text))).toMatch(/^(policy|encoding)$/)
  })

  it('is refused with the number of the line that is wrong', () => {
    expect(() => parse(`${logLine}\n\nmirror\nquorum none\n`)).toThrow(/^line 3: /)
  })
})

describe('a quorum', () => {
  const policy = parse(example)

  it('is what the groups of the policy ask for, of all subsets of its witnesses', () => {
    fc.assert(
      fc.property(fc.subarray(witnesses.map(({ name }) => name)), (names) => {
        const x = names.filter((name) => name.startsWith('X')).length
        const y = names.filter((name) => name.startsWith('Y')).length
        expect(quorumMet(policy, names)).toBe(x >= 2 && y >= 1)
      }),
    )
  })

  it('counts neither groups, nor strangers, nor one witness twice', () => {
    expect(quorumMet(policy, ['X-and-Y'])).toBe(false)
    expect(quorumMet(policy, ['X-witnesses', 'Y-witnesses'])).toBe(false)
    expect(quorumMet(policy, ['X1', 'X1', 'Y1'])).toBe(false)
    expect(quorumMet(policy, ['X1', 'Z', 'Y1'])).toBe(false)
    expect(quorumMet(policy, ['none'])).toBe(false)
  })

  it('of one witness is that witness, and none is always met', () => {
    expect(quorumMet(parse(`${witnessLines[0]}\nquorum X1\n`), ['X1'])).toBe(true)
    expect(quorumMet(parse(`${witnessLines[0]}\nquorum X1\n`), [])).toBe(false)
    expect(quorumMet(parse('quorum none\n'), [])).toBe(true)
  })
})

describe('a checkpoint under a policy', () => {
  const open = (policy: string, note: string) => openUnderPolicy(verifyEd25519, parse(policy), note)
  const signedBy = (...names: string[]) =>
    formatNote(
      witnesses
        .filter(({ name }) => names.includes(name))
        .reduce((note, { signer }) => signNote(note, signer), parseNote(vectors.c5)),
    )

  it('opens when the log signed and a quorum cosigned, and tells who did and when', () => {
    const { checkpoint, cosigners } = open(example, signedBy('X1', 'X3', 'Y2'))
    expect(checkpoint).toMatchObject({ origin: vectors.origin, size: 5 })
    expect(cosigners).toEqual([
      { name: 'X1', time: 1_000 },
      { name: 'X3', time: 1_002 },
      { name: 'Y2', time: 1_004 },
    ])
  })

  it('opens without cosignatures where the quorum is none', () => {
    expect(open(`${logLine}\nquorum none\n`, cosigned5).cosigners).toEqual([])
  })

  it('is refused without a quorum', () => {
    expect(codeOf(() => open(example, signedBy('X1', 'Y2')))).toBe('quorum')
    expect(codeOf(() => open(example, cosigned5))).toBe('quorum')
  })

  it('is refused when the log did not sign, whoever cosigned', () => {
    const { text, signatures } = parseNote(signedBy('X1', 'X3', 'Y2'))
    const note = formatNote({ text, signatures: signatures.slice(1) })
    expect(codeOf(() => open(example, note))).toBe('unsigned')
  })

  it('of a log outside the policy is refused', () => {
    const stranger = logKey('other.example/log', 0x70)
    const note = signCheckpoint(
      { origin: 'other.example/log', size: 5, root: sha256() },
      stranger.signer,
    )
    expect(codeOf(() => open(`${logLine}\nquorum none\n`, note))).toBe('origin')
  })

  it('of one log is refused when only another log of the policy signed it', () => {
    const stranger = logKey('other.example/log', 0x70)
    const policy = `${logLine}\nlog ${formatVkey(stranger.vkey)}\nquorum none\n`
    const note = signCheckpoint(
      { origin: 'other.example/log', size: 5, root: sha256() },
      log.signer,
    )
    expect(codeOf(() => open(policy, note))).toBe('unsigned')
  })

  it('is refused when one cosignature of the policy’s witnesses is bad, quorum or not', () => {
    const { text, signatures } = parseNote(signedBy('X1', 'X3', 'Y2', 'Y3'))
    const bad = signatures.map((line) =>
      line.name === 'y3.example' ? { ...line, signature: line.signature.toReversed() } : line,
    )
    expect(codeOf(() => open(example, formatNote({ text, signatures: bad })))).toBe('signature')
  })
})

it('is written as it is read', () => {
  const policy = parsePolicy(nodeHasher, example)
  expect(parsePolicy(nodeHasher, formatPolicy(policy))).toEqual(policy)
  const none = parsePolicy(nodeHasher, `${logLine}\nquorum none\n`)
  expect(formatPolicy(none)).toBe(`${logLine}\nquorum none\n`)
})
