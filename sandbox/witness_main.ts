import { startWitness } from '../src/cli/witness.ts'

/** `countersign witness` for whoever started it, which is told the key and the URL. It ends when that one does. */
process.once('disconnect', () => process.exit(1))
const { vkey, witnessing, end } = await startWitness(process.argv.slice(2))
process.once('SIGTERM', () => {
  void end().then(() => process.exit(0))
})
process.send?.({ vkey, url: witnessing.url })
