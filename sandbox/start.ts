import { join } from 'node:path'
import { serve } from '../src/main.ts'
import { startMessenger } from './messenger.tsx'
import { openRecipient } from './recipient.ts'
import { openWorld } from './world.ts'

/** What `npm start` runs without configuration: PostgreSQL, four banks, a Messenger, and the broker, on loopback. */
export async function startSandbox(): Promise<{ close(): Promise<void> }> {
  const port = Number(process.env['PORT'] ?? 8080)
  const world = await openWorld({ directory: join(process.cwd(), '.countersign'), port })
  const serving = await serve(world.config)
  const key = world.identities.clients['messenger']
  if (key === undefined) throw new Error('the sandbox has no key for messenger')
  const messenger = await startMessenger(
    await openRecipient({
      issuer: serving.url,
      clientId: 'messenger',
      key,
      redirectUri: `http://127.0.0.1:${world.messengerPort}/callback`,
    }),
    { port: world.messengerPort },
  )
  process.stdout.write(
    [
      '',
      'Countersign is running, with four demo banks and a simulated Messenger.',
      '',
      `  Link a bank, ask, say STOP   ${messenger.url}`,
      `  What you have granted        ${serving.url}/connections`,
      `  A ledger's checkpoint        ${serving.url}/ledger/citi/checkpoint`,
      '',
      '  Logins at each bank: alice with alice-demo, bob with bob-demo.',
      '  Ctrl-C stops everything. What it keeps is in .countersign/',
      '',
      '',
    ].join('\n'),
  )
  return {
    async close() {
      await messenger.close()
      await serving.close()
      await world.close()
    },
  }
}
