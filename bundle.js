// What is one file for those who run it: bundled after tsc. Run by `npm run build`.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { style } from './dist/src/web/style.js'

/** Each bundle: where it begins, where it goes, and for what it is. */
const bundles = [
  { from: 'src/cli/verify_main.ts', to: 'dist/verify.mjs', platform: 'node' },
  { from: 'src/web/browser/console.tsx', to: 'dist/web/console.js', platform: 'browser' },
]

const options = ({ from, platform }) => ({
  entryPoints: [from],
  platform,
  bundle: true,
  format: 'esm',
  target: platform === 'node' ? 'node20' : ['chrome137', 'firefox129', 'safari17'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: platform === 'browser',
  legalComments: 'inline',
  logLevel: 'warning',
})

await Promise.all(bundles.map((bundle) => build({ ...options(bundle), outfile: bundle.to })))
await writeFile('dist/verify.html', await verifierPage())
for (const file of ['dist/verify.mjs', 'dist/verify.html']) {
  const bytes = await readFile(file)
  const [hex, base64] = ['hex', 'base64'].map((encoding) => hashOf(bytes, encoding))
  process.stdout.write(`${file} sha256 ${hex} integrity sha256-${base64}\n`)
}

/** The verifier as one page, that asks nobody for anything: its script and style within it, and nothing else let run. */
async function verifierPage() {
  const page = { from: 'src/web/browser/verify.ts', platform: 'browser' }
  const { outputFiles } = await build({ ...options(page), format: 'iife', write: false })
  const program = outputFiles[0].text
  const css = style + (await readFile('src/web/browser/verify.css', 'utf8'))
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${hashOf(program, 'base64')}'`,
    `style-src 'sha256-${hashOf(css, 'base64')}'`,
    'worker-src blob:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const template = await readFile('src/web/browser/verify.html', 'utf8')
  const parts = { POLICY: policy, STYLE: css, PROGRAM: program }
  return template.replace(/\s*\b(STYLE|PROGRAM)\b\s*|\b(POLICY)\b/g, (_, a, b) => parts[a ?? b])
}

function hashOf(content, encoding) {
  return createHash('sha256').update(content).digest(encoding)
}
