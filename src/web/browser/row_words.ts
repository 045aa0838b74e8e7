import type { Status } from './verification.ts'

/** What is shown beside an entry of a list. */
export const outcomeWords = (status: Status | undefined): string =>
  status === undefined ? '…' : words[status]

const words: Readonly<Record<Status, string>> = {
  passed: '✓ verified',
  failed: '✗ not in the ledger',
  not_done: '– not checked',
}
