import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { differences } from './differences.ts'
import {
  everywhere,
  prefix,
  variants,
  withAssertions,
  withProofs,
  withRequestObjects,
  type Variant,
} from './variants.ts'

const folder = import.meta.dirname
const document = readFileSync(join(folder, '../../docs/conformance.md'), 'utf8')

/** The suite's own list (`FAPI2MessageSigningFinalTestPlan`); true for those of the security profile's plan too. */
const modules = Object.keys(
  JSON.parse(readFileSync(join(folder, 'suite_modules.json'), 'utf8')) as Record<string, boolean>,
)

const call = /\bmodule\(\s*'([^']+)',\s*(\w+),/g

const places: Readonly<Record<string, (variant: Variant) => boolean>> = {
  everywhere,
  withAssertions,
  withProofs,
  withRequestObjects,
}

const variantsOf = (place: string) =>
  Object.entries(variants)
    .filter(([, variant]) => places[place]?.(variant))
    .map(([name]) => name)
    .join(' ')

/** What the tests of this folder have: each module with its file, and the variants in which it runs there. */
const tested = new Map(
  readdirSync(folder)
    .filter((file) => file.endsWith('.test.ts'))
    .flatMap((file) =>
      [...readFileSync(join(folder, file), 'utf8').matchAll(call)].map(
        ([, name = '', where = '']): [string, string[]] => [
          name,
          [variantsOf(where), `\`test/conformance/${file}\``],
        ],
      ),
    ),
)

/** The rows of the table below a heading, without its first two lines. */
function rowsBelow(heading: string): string[][] {
  const [, below = ''] = document.split(`\n${heading}\n`)
  const [section = ''] = below.split(/\n#+ /)
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

const names = (rows: string[][]) => rows.map(([name = '']) => prefix + name.replaceAll('`', ''))

describe('the table of docs/conformance.md', () => {
  const applying = rowsBelow('### Modules that apply')
  const others = rowsBelow('### Modules that do not apply')

  it('has each module of the suite once, and no other', () => {
    expect([...names(applying), ...names(others)].toSorted()).toEqual(modules.toSorted())
  })

  it('names, for each module that applies, the test that there is and the variants it runs in', () => {
    const told = applying.map(([, ...cells], i) => [names(applying)[i], cells])
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(tested))
  })

  it('gives a reason for each of the others', () => {
    for (const [, reason] of others) expect(reason).toMatch(/^.{20,}\.$/)
  })

  it('has the variants', () => {
    const told = rowsBelow('### Variants').map(([name = '', ...values]) => [name, values])
    const there = Object.entries(variants).map(([name, variant]) => [name, Object.values(variant)])
    expect(told).toEqual(there)
  })
})

it('the differences from oidc-provider are those that the differential test explains', () => {
  const told = rowsBelow('## Differences from oidc-provider').map(
    ([name = '', mine = '', others = '', why]) => [
      name,
      { ours: mine.replaceAll('`', ''), theirs: others.replaceAll('`', ''), why },
    ],
  )
  expect(Object.fromEntries(told)).toEqual(differences)
})

describe('the variants', () => {
  const choices = [
    'client_auth_type',
    'sender_constrain',
    'fapi_request_method',
    'fapi_response_mode',
  ] as const

  it('hold each pair of values of two choices', () => {
    const pairs = new Set(
      Object.values(variants).flatMap((one) =>
        choices.flatMap((a) =>
          choices.filter((b) => a < b).map((b) => `${a}=${one[a]} ${b}=${one[b]}`),
        ),
      ),
    )
    expect(pairs.size).toBe(6 * 4)
  })
})
