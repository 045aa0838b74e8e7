import { describe, expect, it } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { classNames } from '../../src/consent/class.ts'
import { clusterNames } from '../../src/consent/cluster.ts'
import { allowedPurposes } from '../../src/consent/purpose.ts'
import { refusalReasons } from '../../src/consent/refusal.ts'
import { entry_bytes_max, kinds, readEntry } from '../../src/ledger/entry.ts'
import { rules } from '../../src/ledger/replay.ts'
import { noTotals, totalNames } from '../../src/ledger/totals.ts'
import { encodeEntry } from '../support/ledger_builder.ts'

const text = readFileSync(new URL('../../docs/ledger-format.md', import.meta.url), 'utf8')

/** What follows a heading, up to the next one of its level or above. */
function section(heading: string): string {
  const level = heading.split(' ')[0]?.length ?? 0
  const [, after = ''] = text.split(`\n${heading}\n`)
  return after.split(new RegExp(`^#{1,${level}} `, 'm'))[0] ?? ''
}

describe('docs/ledger-format.md', () => {
  it('has a section for each kind, in order, and for no other', () => {
    const headings = [...text.matchAll(/^### `(.+)`$/gm)].map(([, kind]) => kind)
    expect(headings).toEqual(kinds)
  })

  it.each(kinds)('has a valid example of %s', (kind) => {
    const [, example = ''] = /```json\n(.+?)```/s.exec(section(`### \`${kind}\``)) ?? []
    const body = JSON.parse(example) as object
    const at = '2026-01-01T00:00:00.000Z'
    const entry = readEntry(encodeEntry({ v: 1, n: 10, at, kind, body, totals: noTotals }))
    expect(entry.body).toEqual(body)
    for (const member of Object.keys(body)) expect(text).toContain(`\`${member}\``)
  })

  it('gives each reason of a refusal a sentence, in order', () => {
    const rows = [...section('## Reasons of refusals').matchAll(/^\| `(\w+)` +\| (.+?) +\|$/gm)]
    expect(rows.map(([, reason]) => reason)).toEqual(refusalReasons)
    for (const [, , sentence] of rows) expect(sentence).toMatch(/^[A-Z].*\.$/)
  })

  it('states each rule, in order', () => {
    const numbered = [...section('## The rules').matchAll(/^\d+\. \*\*`(\w+)`\*\*/gm)]
    expect(numbered.map(([, rule]) => rule)).toEqual(Object.keys(rules))
  })

  it('names every total, class, cluster and purpose', () => {
    for (const name of totalNames) expect(section('## Totals')).toContain(`\`${name}\``)
    for (const name of [...classNames, ...clusterNames])
      expect(section('### Forms of values')).toContain(`\`${name}\``)
    const named = [...section('## The rules').matchAll(/`(dpv|fin):(\w+)`/g)].map(
      ([, prefix, term]) =>
        `https://w3id.org/dpv${prefix === 'fin' ? '/sector/finance' : ''}#${term ?? ''}`,
    )
    expect(named.toSorted()).toEqual(allowedPurposes)
  })

  it('states the limit of an entry', () => {
    expect(text).toContain(`at most ${entry_bytes_max} bytes`)
  })
})
