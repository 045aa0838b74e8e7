import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Where a file that the build makes in `dist` is, whether the sources run or their build; undefined where it was not built. */
export const builtFile = (name: string): string | undefined =>
  ['../..', '../../dist']
    .map((folder) => join(import.meta.dirname, folder, name))
    .find((file) => existsSync(file))
