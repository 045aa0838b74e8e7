import type { RequestHandler } from 'express'
import { builtFile } from './built_file.ts'
import { noSuchResource } from './resource.ts'

/** What an auditor verifies with, as `bundle.js` makes it. */
const names: readonly string[] = ['verify.mjs', 'verify.html']

/**
 * Gives the verifier away, to be kept and run elsewhere: never opened here, where it would say what its server likes. Bytes whose
 * hash was published are the same from anyone.
 */
export const giveVerifier: RequestHandler = (req, res) => {
  const name = names.find((one) => one === req.params['verifier'])
  const file = name && builtFile(name)
  if (name === undefined || file === undefined) throw noSuchResource()
  res.set('cache-control', 'no-cache').download(file, name, { cacheControl: false, etag: false })
}
