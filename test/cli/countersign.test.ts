import { expect, it } from '@jest/globals'
import { countersign } from './operator.ts'

it.each([[], ['__proto__']])('lists its commands when it is called as %j', async (...argv) => {
  const { code, out, err } = await countersign({}, ...argv)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  for (const name of [
    'serve',
    'migrate',
    'ledger',
    'recipient',
    'client',
    'revoke',
    'erase',
    'verify',
  ])
    expect(err).toContain(`\n  countersign ${name} `)
})

it.each([
  ['ledger open', '--bank is missing'],
  ['ledger open --bank one --bank two', '--bank is given twice'],
  ['recipient', 'recipient add, approve, suspend or disable'],
  ['client', 'client add or disable'],
  ['client add --kind recipient', '--kind is bank, auditor, operator or resource_server'],
  ['revoke --consent one', 'one is not a consent id'],
  ['erase --consent one', 'one is not a consent id'],
  ['verify', 'one place is needed'],
])('"%s" is a wrong call, and says how it is right', async (line, why) => {
  const argv = line.split(' ')
  const { code, out, err } = await countersign({}, ...argv)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err.startsWith(why)).toBe(true)
  expect(err).toContain(`\nusage: countersign ${argv[0]} `)
  expect(err).not.toContain('    at ')
})

it('names every setting that is missing, at once', async () => {
  const { code, out, err } = await countersign({}, 'serve')
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err.split('\n').filter((line) => line !== '')).toEqual([
    'the broker cannot start:',
    '- DATABASE_URL is not set',
    '- ISSUER is not set',
    '- BANKS_FILE is not set',
    '- MASTER_KEY_FILE is not set',
    '- LEDGER_KEY_FILE is not set',
    '- CLIENT_KEY_FILE is not set',
    '- MARKS is not set',
  ])
  expect((await countersign({}, 'migrate')).err).toBe('DATABASE_OWNER_URL is not set\n')
})

it('shows where an error comes from that nobody foresaw', async () => {
  const { code, err } = await countersign({ DATABASE_OWNER_URL: 'postgres://[' }, 'migrate')
  expect(code).toBe(1)
  expect(err).toContain('Invalid URL\n')
  expect(err).toContain('\n    at ')
})
