import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  chmod,
  chown,
  mkdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { canReach, type Account } from './postgres_account.ts'
import { postgresEnvironment } from './postgres_binaries.ts'

/** Where root keeps what the account that PostgreSQL runs as cannot reach inside a private directory, such as root's home. */
export const rootsPlace = '/var/lib/countersign'

/** The three roles of a cluster: its superuser, who owns our databases, and who works in them. */
export const roles = ['postgres', 'countersign_owner', 'countersign_service'] as const
export type Role = (typeof roles)[number]
export type Passwords = Readonly<Record<Role, string>>

/** A cluster's files: `data` is PostgreSQL's own directory, `log` the output of its latest start. */
export interface Cluster {
  readonly data: string
  readonly log: string
  readonly passwords: Passwords
}

/**
 * Opens the cluster under `directory`, and makes it, with random passwords in a 0600 file, where there is none. A cluster
 * appears whole or not at all: it is built beside its place and renamed.
 */
export async function openCluster(
  directory: string,
  { account, initdb }: { account: Account | undefined; initdb: string },
): Promise<Cluster> {
  const data = join(directory, 'data')
  const made = existsSync(data)
  const passwords = await openPasswords(join(directory, 'passwords.json'), { mayCreate: !made })
  if (!made) {
    const place = await choosePlace(directory, account)
    await initialise(place, { account, passwords, initdb })
    if (place !== data) {
      await rm(data, { force: true }) // a link whose end is gone
      await symlink(place, data)
    }
  }
  return { data: await realpath(data), log: join(directory, 'log'), passwords }
}

/** Makes a directory private to us, and its parents; an account lent by root may pass through what is made here. */
export async function makeDirectory(
  directory: string,
  account: Account | undefined,
): Promise<void> {
  const first = (await mkdir(directory, { recursive: true, mode: 0o700 })) ?? directory
  if (account === undefined || (await stat(directory)).uid !== 0) return
  for (let made = directory; made.startsWith(first); made = dirname(made)) {
    await chown(made, 0, account.gid)
    await chmod(made, 0o710)
  }
}

async function choosePlace(directory: string, account: Account | undefined): Promise<string> {
  if (account === undefined || (await canReach(account, directory))) return join(directory, 'data')
  await mkdir(rootsPlace, { recursive: true })
  await chmod(rootsPlace, 0o755)
  return join(rootsPlace, createHash('sha256').update(directory).digest('hex').slice(0, 16))
}

async function openPasswords(
  file: string,
  { mayCreate }: { mayCreate: boolean },
): Promise<Passwords> {
  if (mayCreate && !existsSync(file)) {
    const fresh = roles.map((role) => [role, randomBytes(24).toString('base64url')])
    await writeFile(file, JSON.stringify(Object.fromEntries(fresh)), { flag: 'wx', mode: 0o600 })
  }
  const passwords: Passwords = JSON.parse(await readFile(file, 'utf8'))
  return passwords
}

async function initialise(
  place: string,
  {
    account,
    passwords,
    initdb,
  }: { account: Account | undefined; passwords: Passwords; initdb: string },
): Promise<void> {
  const unfinished = `${place}.new`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  if (account !== undefined) await chown(unfinished, account.uid, account.gid)
  // The password goes through a pipe: a file, even for an instant, would have to be readable by the account. Node's own
  // pipes are sockets, which cannot be opened by name; the shell's can.
  const child = spawn(
    'sh',
    [
      ...['-c', 'cat | "$@" --pwfile=/dev/stdin', 'sh', initdb, '-D', unfinished, '-U', 'postgres'],
      ...['--auth-host=scram-sha-256', '--auth-local=reject', '--encoding=UTF8', '--locale=C'],
      // The same order and case rules on every host, whatever its locales.
      ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ],
    { cwd: '/', env: postgresEnvironment, stdio: 'pipe', ...account },
  )
  child.stdin.on('error', () => undefined) // initdb that fails early closes it; its own words say why
  child.stdin.end(passwords.postgres)
  const [[code], , complaint] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ])
  if (code !== 0) throw new Error(`initdb failed: ${complaint.trim()}`)
  await rm(place, { recursive: true, force: true })
  await rename(unfinished, place)
}
