import { rotateTokenKeys, usualTiming } from '../authorization/rotate_keys.ts'
import { listTokenKeys, type TokenKeyRow } from '../storage/token_keys.ts'
import { UsageError } from './arguments.ts'
import { withBroker } from './with_broker.ts'

/** `countersign keys list | rotate [--now]`. */
export async function keysCommand([action, ...argv]: string[]): Promise<number> {
  const now = argv.length === 1 && argv[0] === '--now'
  if (action === 'list' && argv.length === 0)
    return show(await withBroker(({ db }) => listTokenKeys(db)))
  if (action === 'rotate' && (argv.length === 0 || now))
    return show(await withBroker((broker) => rotateTokenKeys(broker, { now })))
  throw new UsageError('keys list, keys rotate, or keys rotate --now')
}

function show(rows: readonly TokenKeyRow[]): number {
  for (const row of rows) process.stdout.write(`${row.kid} ${said(row, rows)}\n`)
  return 0
}

function said({ kid, use, since_s }: TokenKeyRow, rows: readonly TokenKeyRow[]): string {
  const newest = rows.findLast((row) => row.use === 'active')
  const since = `since ${at(-since_s)}`
  if (use === undefined) return 'is made, and not published yet'
  switch (use) {
    case 'next':
      return `is next ${since}, and signs from ${at(usualTiming.lead_s - since_s)}`
    case 'active':
      return newest === undefined || newest.kid === kid
        ? `signs ${since}`
        : `is verified only, until ${at(usualTiming.hold_s - newest.since_s)}`
    case 'retired':
      return `is retired ${since}`
  }
}

const at = (in_s: number) => `${new Date(Date.now() + in_s * 1000).toISOString().slice(0, 19)}Z`
