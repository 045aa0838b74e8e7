import { describe, expect, it } from '@jest/globals'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** What each folder of src may import: ground ← storage ← broker ← authorization, banks ← http ← main. */
const ground = ['consent', 'merkle', 'ledger']
const mayImport: Readonly<Record<string, readonly string[]>> = {
  consent: [],
  merkle: [],
  ledger: ['consent'],
  storage: ground,
  broker: [...ground, 'storage'],
  authorization: [...ground, 'storage', 'broker'],
  banks: [...ground, 'storage', 'broker'],
  web: [...ground, 'storage', 'broker'],
  'web/browser': [...ground, 'web', 'verifier'],
  observe: ['consent'],
  http: [...ground, 'storage', 'broker', 'authorization', 'web', 'observe'],
  verifier: ground,
  recovery: [...ground, 'storage', 'broker', 'verifier'],
  witness: [...ground, 'storage'],
}

const refusedNames = [
  'utils',
  'helpers',
  'common',
  'services',
  'controllers',
  'repositories',
  'models',
  'types',
]

const root = resolve(import.meta.dirname, '..')

const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))

function importsOf(file: string): string[] {
  const source = readFileSync(file, 'utf8')
  return [...source.matchAll(/(?<!')\b(?:from|import)\s*\(?'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  )
}

/** What runs in a page is a folder of its own. */
function folderOf(file: string): string {
  const path = relative(join(root, 'src'), file)
  return path.startsWith('web/browser/') ? 'web/browser' : (path.split('/')[0] ?? '')
}

describe('the house', () => {
  it('has imports that go one way only', () => {
    const upward = files.flatMap((file) => {
      const folder = folderOf(file)
      const allowed = mayImport[folder]
      if (allowed === undefined) return []
      return importsOf(file)
        .filter((target) => target.startsWith('.'))
        .map((target) => folderOf(resolve(dirname(file), target)))
        .filter((target) => target !== folder && !allowed.includes(target))
        .map((target) => `${relative(root, file)} imports ${target}`)
    })
    expect(upward).toEqual([])
  })

  it('stands on a ground that does no input or output', () => {
    const impure = files
      .filter((file) => ground.includes(folderOf(file)))
      .flatMap((file) =>
        importsOf(file)
          .filter((target) => !target.startsWith('.'))
          .map((target) => `${relative(root, file)} imports ${target}`),
      )
    expect(impure).toEqual([])
  })

  it('runs in the browser the ground and the verifier, and nothing of the server', () => {
    const foreign = files
      .filter((file) => relative(join(root, 'src'), file).startsWith('web/browser/'))
      .flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(/^import (?!type\b)[^'\n]*'(\.[^']+)'/gm)]
          .map(([, target = '']) => relative(join(root, 'src'), resolve(dirname(file), target)))
          .filter((target) => !/^(web\/browser|consent|merkle|ledger|verifier)\//.test(target))
          .map((target) => `${relative(root, file)} imports ${target}`),
      )
    expect(foreign).toEqual([])
  })

  it('reads the environment in one place', () => {
    const readers = files
      .filter((file) => readFileSync(file, 'utf8').includes('process.env'))
      .map((file) => relative(join(root, 'src'), file))
      .filter((file) => file !== 'config.ts')
    expect(readers).toEqual([])
  })

  it('has no room for leftovers', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
    expect(folders.filter(({ name }) => refusedNames.includes(name))).toEqual([])
  })

  it('depends on nothing that advertises or tracks', () => {
    const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
    expect(lock).not.toMatch(
      /"node_modules\/(?:@segment|@amplitude|mixpanel|@sentry|posthog|facebook-nodejs-business-sdk|react-ga|@google-analytics|newrelic|@datadog\/browser)/,
    )
  })
})
