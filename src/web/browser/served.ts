import type { Tile } from '../../merkle/tiles.ts'
import { tilePath } from '../../merkle/tiles.ts'
import type { TileReader } from '../../merkle/proof.ts'

/** The server did not give what was asked for. `todo` says what the reader can do about it. */
export class NotServed extends Error {
  override readonly name = 'NotServed'
  readonly status: number
  readonly todo: string

  constructor(status: number, message: string, todo: string = todoOf(status, null)) {
    super(message)
    this.status = status
    this.todo = todo
  }
}

/** An answer of this origin, with the session's cookie. Throws `NotServed`. */
export async function ask(
  path: string,
  signal?: AbortSignal,
  cache: RequestCache = 'default',
): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, {
      credentials: 'same-origin',
      redirect: 'error',
      cache,
      ...(signal && { signal }),
    })
  } catch (error) {
    if (signal?.aborted === true) throw error
    throw new NotServed(
      0,
      'The server could not be reached.',
      'Check the connection and try again.',
    )
  }
  if (response.ok) return response
  throw await notServed(response)
}

export const askText = async (path: string, signal?: AbortSignal): Promise<string> =>
  (await ask(path, signal)).text()

/** As `askText`, and never from the browser's cache: an older checkpoint would look like a roll-back. */
export const askFreshText = async (path: string, signal?: AbortSignal): Promise<string> =>
  (await ask(path, signal, 'no-store')).text()

export const askJson = async <T>(path: string, signal?: AbortSignal): Promise<T> =>
  (await (await ask(path, signal)).json()) as T

/** The words of a problem document (RFC 9457), or of the status alone. */
async function notServed(response: Response): Promise<NotServed> {
  const { status } = response
  const problem = (await response.json().catch(() => ({}))) as Record<string, unknown>
  const said = [problem['detail'], problem['error_description'], problem['title']].find(
    (text) => typeof text === 'string' && text !== '',
  )
  const message = typeof said === 'string' ? said : `The server answered ${status}.`
  return new NotServed(status, message, todoOf(status, response.headers.get('retry-after')))
}

function todoOf(status: number, retryAfter: string | null): string {
  if (status === 401) return 'Your session has ended. Log in again.'
  if (status === 403) return 'Your access does not cover this, or its time is over. Ask the bank.'
  if (status === 404) return 'Check the address. Entries appear here once they are signed.'
  if (status === 429) return `Try again in ${retryAfter ?? 'a few'} seconds.`
  if (status < 500) return 'Change what you asked for and try again.'
  return 'Try again in a moment.'
}

const readBytes = async (path: string): Promise<Uint8Array> =>
  new Uint8Array(await (await ask(path)).arrayBuffer())

/** The tiles of a bank's ledger, each read once. They are not trusted: from false ones comes a proof that fails. */
export function servedTiles(bank: string): TileReader {
  const reads = new Map<string, Promise<Uint8Array>>()
  return {
    readTile(tile: Tile) {
      const path = `/ledger/${bank}/${tilePath(tile)}`
      const read = reads.get(path) ?? readBytes(path)
      reads.set(path, read)
      return read
    },
  }
}
