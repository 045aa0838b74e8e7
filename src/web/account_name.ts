import { lastFour, maskNumbers } from '../broker/minimise.ts'

const name_characters_max = 60

/** An account, in FDX members, as its customer knows it: its name at the bank with numbers masked, and its last four digits. */
export function accountName(account: Readonly<Record<string, unknown>>): string {
  const name = [account['nickname'], account['productName'], account['accountType']].find(
    (one): one is string => typeof one === 'string' && one.trim() !== '',
  )
  const shown = maskNumbers(name ?? 'Account').slice(0, name_characters_max)
  return `${shown} ${lastFour(account)}`
}
