import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RequestHandler } from 'express'
import { builtFile } from './built_file.ts'

/** A file that the console's pages load. */
export interface Asset {
  readonly body: Buffer
  readonly type: string
  /** With the hash of its content, so that it may be kept for ever. */
  readonly href: string
  /** Subresource integrity: the browser runs these bytes and no others. */
  readonly integrity: string
}

/** What `bundle.js` makes of `web/browser/console.tsx`. */
export interface ConsoleAssets {
  readonly script: Asset
  readonly style: Asset
}

const types = { 'console.js': 'text/javascript', 'console.css': 'text/css' } as const

/** The console's script and style, read at their first use. Throws where `npm run build` has not been run. */
export function openConsoleAssets(): () => ConsoleAssets {
  let read: ConsoleAssets | undefined
  return () => (read ??= { script: readAsset('console.js'), style: readAsset('console.css') })
}

/** Serves them. A file under the hash that it has never changes; under any other it is asked about each time. */
export function serveAsset(assets: () => ConsoleAssets): RequestHandler {
  return (req, res, next) => {
    const { pathname, searchParams } = new URL(req.originalUrl, 'http://console')
    const asset = Object.values(assets()).find(({ href }) => href.startsWith(`${pathname}?`))
    if (asset === undefined) return next()
    const named = asset.href.endsWith(`?v=${searchParams.get('v')}`)
    res
      .set({
        'cache-control': named ? 'public, max-age=31536000, immutable' : 'no-cache',
        'cross-origin-resource-policy': 'same-origin',
        'x-content-type-options': 'nosniff',
      })
      .type(asset.type)
      .send(asset.body)
  }
}

function readAsset(name: keyof typeof types): Asset {
  const file = builtFile(`web/${name}`)
  if (file === undefined) throw new Error(`there is no dist/web/${name}: run "npm run build"`)
  const body = readFileSync(file)
  const sha384 = createHash('sha384').update(body).digest('base64')
  const version = createHash('sha256').update(body).digest('base64url').slice(0, 16)
  return {
    body,
    type: types[name],
    href: `/console/assets/${name}?v=${version}`,
    integrity: `sha384-${sha384}`,
  }
}
