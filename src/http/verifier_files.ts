import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { RequestHandler } from 'express'
import { noSuchResource } from './resource.ts'

/** What an auditor verifies with, as `bundle.js` makes it. */
const names: readonly string[] = ['verify.mjs', 'verify.html']

/**
 * Gives the verifier away, to be kept and run elsewhere: never opened here, where it would say what its server likes. Bytes whose
 * hash was published are the same from anyone.
 */
export const giveVerifier: RequestHandler = (req, res) => {
  const name = names.find((one) => one === req.params['verifier'])
  const file = name && fileOf(name)
  if (name === undefined || file === undefined) throw noSuchResource()
  res.set('cache-control', 'no-cache').download(file, name, { cacheControl: false, etag: false })
}

/** In dist, whether the sources run or their build in dist. */
const fileOf = (name: string): string | undefined =>
  ['../..', '../../dist']
    .map((folder) => join(import.meta.dirname, folder, name))
    .find((file) => existsSync(file))
