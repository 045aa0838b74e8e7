import { parseArgs } from 'node:util'
import { measureAppend } from './append.ts'
import { endpoints, measureEndpoints } from './endpoints.ts'
import { measureGrowth } from './growth.ts'
import { measureRelease } from './release.ts'
import { measureRevoke } from './revoke.ts'
import { setStage } from './stage.ts'
import { rounded } from './statistics.ts'
import { measureTiles } from './tiles.ts'

/** `npm run bench`: measures what docs/performance.md describes, prints it, and with `--json` ends with one line of it. */

const sections = ['release', 'append', 'verify', 'revoke', 'tiles', ...endpoints] as const
type Section = (typeof sections)[number]

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** Some of the sections, by commas. `verify` fills a ledger with a million entries, and measures `append_growth` too. */
    only: { type: 'string', default: sections.join() },
    /** How long each slice of a measurement lasts. */
    seconds: { type: 'string', default: '2' },
  },
})
const wanted = new Set(values.only.split(',').map(sectionOf))
const seconds = Number(values.seconds)
if (!(seconds > 0)) throw new RangeError('--seconds takes a number above 0')

const stage = await setStage()
process.once('SIGINT', () => void stage.close().then(() => process.exit(130)))
try {
  const figures = await measure()
  process.stdout.write(tableOf(figures))
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
} finally {
  await stage.close()
}

function sectionOf(name: string): Section {
  const found = sections.find((one) => one === name)
  if (found === undefined) throw new RangeError(`--only takes ${sections.join(', ')}`)
  return found
}

/** What JSON is made of here. */
interface Figures {
  readonly [name: string]: number | Figures
}

async function measure(): Promise<Figures> {
  const release = wanted.has('release') ? await measureRelease(stage, { seconds }) : undefined
  const append = wanted.has('append') ? await measureAppend(stage, { seconds }) : undefined
  const growth = wanted.has('verify') ? await measureGrowth(stage) : undefined
  const revoke = wanted.has('revoke') ? await measureRevoke(stage) : undefined
  const tile_per_s = wanted.has('tiles') ? await measureTiles(stage, { seconds }) : undefined
  const asked = endpoints.filter((one) => wanted.has(one))
  const answered = asked.length > 0 ? await measureEndpoints(stage, { asked, seconds }) : {}
  return roundedAll({
    ...(release && { release: { ...release.release } }),
    ...(append && { append }),
    ...(growth && {
      append_growth: growth.append_growth,
      verify_per_s: growth.verify.one_thread_per_s,
      verify: { ...growth.verify },
    }),
    ...(growth && { ...growth.audit, audit_query: { ...growth.audit.audit_query } }),
    rss_mb: {
      ...(release && { broker: release.rss_bytes / 2 ** 20 }),
      ...(growth && { verify: growth.verify.rss_mb }),
    },
    ...(revoke && { ...revoke }),
    ...(tile_per_s !== undefined && { tile_per_s }),
    ...Object.fromEntries(Object.entries(answered).map(([name, of]) => [name, { ...of }])),
  })
}

function roundedAll(figures: Figures): Figures {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [
      name,
      typeof value === 'number' ? rounded(value) : roundedAll(value),
    ]),
  )
}

/** A line for each figure, by its name in the JSON. */
function tableOf(figures: Figures, prefix = ''): string {
  return Object.entries(figures)
    .map(([name, value]) =>
      typeof value === 'number'
        ? `${(prefix + name).padEnd(28)}${String(value).padStart(12)}\n`
        : tableOf(value, `${prefix}${name}.`),
    )
    .join('')
}
