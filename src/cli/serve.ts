import { isConfigured, loadConfig } from '../config.ts'
import type { Serving } from '../main.ts'

/** `countersign serve`: until SIGTERM or SIGINT, which drain. */
export async function serveCommand(): Promise<number> {
  // Pages, routes and the contract are loaded where they are served: no other command needs them.
  const { serve } = await import('../main.ts')
  return untilStopped(await serve(loadConfig()))
}

/** `countersign start`: what `npm start` does. The sandbox is loaded only here, and is no part of the image. */
export async function startCommand(): Promise<number> {
  if (isConfigured()) return serveCommand()
  const { startSandbox } = await import('../../sandbox/start.ts')
  return untilStopped(await startSandbox())
}

async function untilStopped(serving: Pick<Serving, 'close'>): Promise<number> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  await serving.close()
  return 0
}
