// What is one file for those who run it: bundled after tsc, from its output's sources. Run by `npm run build`.
import { build } from 'esbuild'

/** Each bundle: where it begins, where it goes, and for what it is. */
const bundles = [
  { from: 'src/cli/verify_main.ts', to: 'dist/verify.mjs', platform: 'node' },
  { from: 'src/web/browser/console.tsx', to: 'dist/web/console.js', platform: 'browser' },
]

await Promise.all(
  bundles.map(({ from, to, platform }) =>
    build({
      entryPoints: [from],
      outfile: to,
      platform,
      bundle: true,
      format: 'esm',
      target: platform === 'node' ? 'node20' : ['chrome137', 'firefox129', 'safari17'],
      jsx: 'automatic',
      jsxImportSource: 'preact',
      minify: platform === 'browser',
      legalComments: 'inline',
      logLevel: 'warning',
    }),
  ),
)
