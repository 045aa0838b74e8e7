import { limits, SourceError, type LedgerSource } from './source.ts'

const get = (url: URL): Promise<Response> =>
  fetch(url, { redirect: 'error', signal: AbortSignal.timeout(limits.request_ms_max) })

/** The files under an http(s) URL. `getEntries` reads the entries, which are not public as all else is. */
export function webSource(
  url: string,
  getEntries: (url: URL) => Promise<Response> = get,
): LedgerSource {
  const prefix = url.endsWith('/') ? url : `${url}/`
  return {
    place: url,
    ahead: 4,
    async read(path, bytesMax) {
      const read = path.startsWith('tile/entries/') ? getEntries : get
      try {
        const response = await within(read(new URL(path, prefix)), limits.request_ms_max)
        if (response.ok)
          return await within(readBody(path, response, bytesMax), limits.request_ms_max)
        await response.body?.cancel()
        throw new SourceError(path, answered(response.status), { absent: response.status === 404 })
      } catch (error) {
        if (error instanceof SourceError) throw error
        throw new SourceError(path, reasonOf(error))
      }
    },
  }
}

/** Whoever reads the entries may know no limit of time, neither for the answer nor for what follows. */
async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

async function readBody(path: string, response: Response, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > bytesMax) throw new SourceError(path, `longer than ${bytesMax} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function answered(status: number): string {
  if (status === 404) return 'there is no such file'
  return status === 401 || status === 403
    ? `the server gives it to the bank and its auditors only (${status})`
    : `the server answered ${status}`
}

/** `fetch` says what went wrong in the cause of its error. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return String(error)
  const because = 'cause' in error && error.cause !== undefined ? reasonOf(error.cause) : ''
  return because === '' ? String(error.message) : because
}
