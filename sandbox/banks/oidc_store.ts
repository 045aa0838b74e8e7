import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

/** What a bank's authorization server remembers. */
export interface OidcStore {
  readonly adapter: AdapterFactory
  /** Ends every grant of a customer, and with it the grant's tokens; says how many there were. */
  revokeGrantsOf(customerId: string): Promise<number>
  /** Resolves when the file holds everything. */
  close(): Promise<void>
}

interface StoredRecord {
  readonly payload: AdapterPayload
  /** Milliseconds since the epoch. */
  readonly expires: number
}

/** What must outlive a restart so that the broker's refresh tokens do; everything else lives for minutes. */
const durable = ['Grant', 'RefreshToken', 'AccessToken']
const isDurable = (key: string) => durable.some((model) => key.startsWith(`${model}:`))

/** Opens the store in memory; with `file`, grants and tokens are also kept there, owner-readable only. */
export async function openOidcStore(file?: string): Promise<OidcStore> {
  const records = new Map<string, StoredRecord>(file === undefined ? [] : await load(file))
  const save = file === undefined ? async () => {} : saverOf(file, records)

  const remove = async (unwanted: (key: string, payload: AdapterPayload) => boolean) => {
    const gone = [...records].filter(([key, { payload }]) => unwanted(key, payload))
    for (const [key] of gone) records.delete(key)
    if (gone.some(([key]) => isDurable(key))) await save()
    return gone.length
  }
  const sweep = () => {
    for (const [key, { expires }] of records) if (expires <= Date.now()) records.delete(key)
  }
  const sweeper = setInterval(sweep, 60_000).unref()

  return {
    adapter: (model) => adapterOf(model, { records, remove, save }),
    revokeGrantsOf: (customerId) =>
      remove((key, { accountId }) => key.startsWith('Grant:') && accountId === customerId),
    async close() {
      clearInterval(sweeper)
      await save()
    },
  }
}

function adapterOf(
  model: string,
  {
    records,
    remove,
    save,
  }: {
    records: Map<string, StoredRecord>
    remove: (unwanted: (key: string, payload: AdapterPayload) => boolean) => Promise<unknown>
    save: () => Promise<void>
  },
): Adapter {
  const keyOf = (id: string) => `${model}:${id}`
  // Expired records may be found until they are swept: oidc-provider looks at `exp` itself.
  const find = (key: string) => records.get(key)?.payload
  const findBy = async (member: 'uid' | 'userCode', value: string) =>
    [...records.keys()]
      .filter((key) => key.startsWith(keyOf('')))
      .map(find)
      .find((payload) => payload?.[member] === value)
  return {
    async upsert(id, payload, seconds) {
      const expires = seconds === undefined ? Number.MAX_SAFE_INTEGER : Date.now() + seconds * 1000
      records.set(keyOf(id), { payload, expires })
      if (isDurable(keyOf(id))) await save()
    },
    find: async (id) => find(keyOf(id)),
    findByUid: (uid) => findBy('uid', uid),
    findByUserCode: (userCode) => findBy('userCode', userCode),
    async consume(id) {
      const payload = find(keyOf(id))
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000)
    },
    async destroy(id) {
      await remove((key) => key === keyOf(id))
    },
    async revokeByGrantId(grantId) {
      await remove((key, payload) => key.startsWith(keyOf('')) && payload.grantId === grantId)
    },
  }
}

type StoredEntry = [key: string, record: StoredRecord]

async function load(file: string): Promise<StoredEntry[]> {
  if (!existsSync(file)) return []
  const text = await readFile(file, 'utf8')
  try {
    const entries: unknown = JSON.parse(text)
    assert(Array.isArray(entries) && entries.every(isStoredEntry))
    return entries
  } catch (cause) {
    throw new Error(`${file} is not a bank's state file`, { cause })
  }
}

const isStoredEntry = (entry: unknown): entry is StoredEntry =>
  Array.isArray(entry) && typeof entry[0] === 'string' && typeof entry[1]?.expires === 'number'

/** A save that resolves once everything known at the call is in the file; calls made while one is written share the next. */
function saverOf(file: string, records: ReadonlyMap<string, StoredRecord>): () => Promise<void> {
  let wanted = false
  let writing: Promise<void> | undefined
  const write = async () => {
    try {
      while (wanted) {
        wanted = false
        const entries = [...records].filter(([key]) => isDurable(key))
        // Written beside and renamed over, so that a crash leaves the old file or the new one.
        await writeFile(`${file}.new`, JSON.stringify(entries), { mode: 0o600 })
        await rename(`${file}.new`, file)
      }
    } finally {
      writing = undefined
    }
  }
  return () => {
    wanted = true
    writing ??= write()
    return writing
  }
}
