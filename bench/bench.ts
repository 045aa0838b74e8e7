import { measureRelease } from './release.ts'
import { setStage } from './stage.ts'
const stage = await setStage()
try {
  const out = await measureRelease(stage, { seconds: Number(process.argv[2] ?? 2) })
  process.stdout.write(JSON.stringify(out, null, 1) + '\n')
} finally {
  await stage.close()
}
