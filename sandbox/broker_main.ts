import { loadConfig } from '../src/config.ts'
import { serve } from '../src/main.ts'

/**
 * `countersign serve` with banks on loopback, which no environment variable allows. It ends when whoever started it does.
 */
process.once('disconnect', () => process.exit(1))
const serving = await serve({ ...loadConfig(), sandbox: true })
process.once('SIGTERM', () => {
  void serving.close().then(() => process.exit(0))
})
process.send?.({ url: serving.url })
