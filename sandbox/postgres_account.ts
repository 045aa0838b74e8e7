import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A system account other than our own. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/**
 * The account that PostgreSQL must run as: undefined, which is our own, unless we are root. PostgreSQL refuses root, so
 * root lends it the owner of the data that are there already, else `postgres`, else `nobody`.
 */
export async function chooseAccount(
  data: string,
  { uid = process.getuid?.(), lookUp = lookUpAccount } = {},
): Promise<Account | undefined> {
  if (uid !== 0) return undefined
  const owner = await stat(data).catch(() => undefined)
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const account = (await lookUp('postgres')) ?? (await lookUp('nobody'))
  if (account === undefined) {
    throw new Error(
      'PostgreSQL refuses to run as root, and neither a `postgres` nor a `nobody` account exists: run as an ordinary user',
    )
  }
  return account
}

/** `id` rather than /etc/passwd: it also knows accounts that a directory service provides. */
async function lookUpAccount(name: string): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}

/** Whether the account can work inside a directory: root's own view says nothing about it. */
export async function canReach(account: Account | undefined, directory: string): Promise<boolean> {
  try {
    await run('sh', ['-c', 'test -x "$1"', 'sh', directory], { cwd: '/', ...account })
    return true
  } catch {
    return false
  }
}
