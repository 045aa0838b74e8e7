import { describe, expect, it } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { refusalReasons } from '../../src/consent/refusal.ts'
import { codeOf, eventCodes } from '../../src/ledger/code.ts'
import { checkBody, kinds, type Draft } from '../../src/ledger/entry.ts'

const text = readFileSync(new URL('../../docs/ledger-format.md', import.meta.url), 'utf8')
const [, section = ''] = /^## Event codes$([\s\S]*?)^## /m.exec(text) ?? []
const rows = [...section.matchAll(/^\| `(\w+)` +\| (.+?) +\| (.*?) *\| (.*?) *\|$/gm)].map(
  ([, code = '', kind = '', outcome = '', example = '']) => ({
    code,
    kind: kind.replaceAll('`', '').replace('a kind ', ''),
    outcome: outcome.replaceAll('`', '').replace('a reason ', ''),
    example: example.slice(1, -1),
  }),
)

/** The example of a kind in its own section. */
const exampleOf = (kind: string) =>
  /```json\n(.+?)```/s.exec(text.split(`\n### \`${kind}\`\n`)[1] ?? '')?.[1] ?? ''

describe('event codes', () => {
  it('are of one form, and each belongs to one thing', () => {
    const codes = eventCodes.map(({ code }) => code)
    for (const code of codes) expect(code).toMatch(/^[A-Z]{2}\d{3}[EIW]$/)
    expect(new Set(codes).size).toBe(codes.length)
  })

  it('are there for every kind, and every reason of a refusal', () => {
    expect(new Set(eventCodes.map(({ kind }) => kind))).toEqual(
      new Set([...kinds, 'declared later']),
    )
    const reasons = eventCodes
      .filter(({ kind }) => kind === 'refusal')
      .map(({ outcome }) => outcome)
    expect(reasons).toEqual([...refusalReasons, 'declared later'])
  })

  it('are what docs/ledger-format.md says', () => {
    expect(rows.map(({ code, kind, outcome }) => ({ code, kind, outcome }))).toEqual(
      eventCodes.map(({ code, kind, outcome = '' }) => ({ code, kind, outcome })),
    )
  })

  it.each(rows.filter(({ kind }) => kind !== 'declared later'))(
    'have an example there: $code, $kind $outcome',
    ({ code, kind, example }) => {
      const draft = { kind, body: JSON.parse(example || exampleOf(kind)) } as Draft
      checkBody(draft)
      expect(codeOf(draft)).toBe(code)
    },
  )
})
