import { join } from 'node:path'
import { startBroker } from './broker_process.ts'
import { startMessenger } from './messenger.tsx'
import { clientOf } from './story.ts'
import { startWitnesses } from './witnesses.ts'
import { openWorld } from './world.ts'

/** What `npm start` runs without configuration: PostgreSQL, four banks, two witnesses, a Messenger, and the broker, on loopback. */
export async function startSandbox(): Promise<{ close(): Promise<void> }> {
  const port = Number(process.env['PORT'] ?? 8080)
  const directory = join(process.cwd(), '.countersign')
  const world = await openWorld({ directory, port, stateEvery_ms: 15_000 })
  const witnesses = await startWitnesses(world.config, {
    banks: world.banks.map(({ id }) => id),
    folder: join(directory, 'witnesses'),
    firstPort: port + 7,
  })
  const config = { ...world.config, witnesses: witnesses.config }
  // In a process of its own, as it would be anywhere: the Messenger's connections are none of its.
  const broker = await startBroker(config, { port, folder: join(directory, 'broker') })
  const messenger = await startMessenger(await clientOf(world, 'messenger'), {
    port: world.messengerPort,
  })
  process.stdout.write(
    [
      '',
      'Countersign is running, with four demo banks and a simulated Messenger.',
      '',
      `  Link a bank, ask, say STOP   ${messenger.url}`,
      `  What you have granted        ${world.config.issuer}/connections`,
      `  The auditor's console        ${world.config.issuer}/console`,
      `  A ledger's checkpoint        ${world.config.issuer}/ledger/citi/checkpoint`,
      `  Its witnesses                ${world.config.issuer}/ledger/citi/witnesses`,
      '',
      '  Logins at each bank: alice with alice-demo, bob with bob-demo.',
      '  In the console: auditor with auditor-demo; clerk with clerk-demo may not audit.',
      '  Ctrl-C stops everything. What it keeps is in .countersign/',
      '',
      '',
    ].join('\n'),
  )
  return {
    async close() {
      await messenger.close()
      await broker.stop()
      await witnesses.close()
      await world.close()
    },
  }
}
