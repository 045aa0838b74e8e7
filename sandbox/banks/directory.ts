import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Customer } from './account.ts'
import { readStatementFile } from './statement_file.ts'

/** A demo bank: it bears a real bank's name and LEI, and nothing else of it. */
export interface BankEntry {
  readonly id: string
  readonly legalName: string
  readonly lei: string
  /** CSS colour of the bank's pages, dark enough for white text. */
  readonly colour: string
}

/** The four banks of the sandbox. */
export const bankDirectory: readonly BankEntry[] = [
  {
    id: 'jpmorgan-chase',
    legalName: 'JPMorgan Chase Bank, National Association',
    lei: '7H6GLXDRUGQFU57RNE97',
    colour: '#1f4e79',
  },
  {
    id: 'wells-fargo',
    legalName: 'Wells Fargo Bank, National Association',
    lei: 'KB1H1DSPRFMYMCUFXT09',
    colour: '#8f1d14',
  },
  {
    id: 'citi',
    legalName: 'Citibank, National Association',
    lei: 'E57ODZWZ7FF32TWEFA76',
    colour: '#0b5f6b',
  },
  {
    id: 'us-bank',
    legalName: 'U.S. Bank National Association',
    lei: '6BYL5QZYBDK8S7L73M02',
    colour: '#4a2a7a',
  },
]

/** By bank and username: the OFX files of a customer's accounts. */
export const customerStatements: Readonly<Record<string, Readonly<Record<string, string[]>>>> = {
  'jpmorgan-chase': {
    alice: ['jpmorgan-chase-alice.ofx', 'jpmorgan-chase-alice-card.ofx'],
    bob: ['jpmorgan-chase-bob.ofx'],
  },
  'wells-fargo': { alice: ['wells-fargo-alice.ofx'], bob: ['wells-fargo-bob.ofx'] },
  citi: { alice: ['citi-alice-card.ofx'], bob: ['citi-bob.ofx'] },
  'us-bank': { alice: ['us-bank-alice.ofx'], bob: ['us-bank-bob.ofx'] },
}

/**
 * The customers of the demo bank with this id, none for another; `alice` has the password `alice-demo`, and so on. Dates are
 * moved so that the newest transaction of each file was yesterday.
 */
export async function customersOf(id: string, now: Date): Promise<readonly Customer[]> {
  return Promise.all(
    Object.entries(customerStatements[id] ?? {}).map(async ([username, names]) => {
      const files = await Promise.all(names.map((name) => readFile(statementUrl(name))))
      return {
        customerId: createHash('sha256')
          .update(`${id}/${username}`)
          .digest('base64url')
          .slice(0, 22),
        username,
        password: `${username}-demo`,
        accounts: files.flatMap((bytes) => readStatementFile(bytes, { now, shift: true }).accounts),
      }
    }),
  )
}

/** The OFX files stay among the sources: the build, in dist/, reads them from there. */
function statementUrl(name: string): URL {
  const found = ['../statements/', '../../../sandbox/statements/']
    .map((folder) => new URL(folder + name, import.meta.url))
    .find((url) => existsSync(url))
  if (found === undefined) throw new Error(`the sandbox has no statement ${name}`)
  return found
}
