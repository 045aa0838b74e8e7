import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { closed, listening } from './listening.ts'

/** What a test may have the storage do instead of answering a request as it should. */
export type Fault =
  | { readonly kind: 'error'; readonly status: number; readonly code: string }
  /** Never answers; with `head`, after the head of the answer. */
  | { readonly kind: 'hang'; readonly head?: true }
  /** Does what is asked, and closes the connection unanswered. */
  | { readonly kind: 'lose_answer' }
  | { readonly kind: 'redirect'; readonly to: string }

export interface S3Server {
  /** An origin, for `ARCHIVE_ENDPOINT`. */
  readonly url: string
  /** By `<bucket>/<key>`. */
  readonly objects: Map<string, Buffer>
  /** `PUT /bucket/key` and so on, in order. */
  readonly asked: string[]
  /** Asked before every request; what it returns happens instead. */
  fault: (method: string, path: string) => Fault | undefined
  /** False: as storage that does not know `If-None-Match`. */
  conditional: boolean
  close(): Promise<void>
}

/** How many keys a page of a list has: few, so that tests meet more than one. */
const page_keys = 3

/**
 * The part of S3 that an archive needs, in memory, with the bucket in the path: PutObject with `If-None-Match: *`, GetObject,
 * ListObjectsV2. Bodies are checked against `x-amz-checksum-crc32`'s presence only; signatures not at all.
 */
export async function startS3(): Promise<S3Server> {
  const server = createServer((request, response) => void handle(storage, request, response))
  const storage: Omit<S3Server, 'url' | 'close'> = {
    objects: new Map(),
    asked: [],
    fault: () => undefined,
    conditional: true,
  }
  const port = await listening(server)
  return Object.assign(storage, {
    url: `http://127.0.0.1:${port}`,
    close: () => closed(server),
  })
}

async function handle(
  storage: Omit<S3Server, 'url' | 'close'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://s3')
  const path = decodeURIComponent(url.pathname.slice(1))
  const method = request.method ?? ''
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  storage.asked.push(`${method} /${path}`)
  const fault = storage.fault(method, path)
  if (fault?.kind === 'error') return failed(response, fault.status, fault.code)
  if (fault?.kind === 'redirect') return void response.writeHead(307, { location: fault.to }).end()
  if (fault?.kind === 'hang') {
    if (fault.head) response.writeHead(200, { 'content-length': '10' }).write('x')
    return
  }
  if (fault?.kind === 'lose_answer') {
    answer(storage, { request, url, path, body: Buffer.concat(parts) })
    return void response.destroy()
  }
  const { status, code, body, headers } = answer(storage, {
    request,
    url,
    path,
    body: Buffer.concat(parts),
  })
  if (code !== undefined) return failed(response, status, code)
  response.writeHead(status, headers).end(body)
}

interface Answer {
  readonly status: number
  readonly code?: string
  readonly body?: Buffer | string
  readonly headers?: Record<string, string>
}

function answer(
  { objects, conditional }: Omit<S3Server, 'url' | 'close'>,
  { request, url, path, body }: { request: IncomingMessage; url: URL; path: string; body: Buffer },
): Answer {
  if (request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') !== true)
    return { status: 403, code: 'AccessDenied' }
  if (request.method === 'PUT') {
    if (conditional && request.headers['if-none-match'] === '*' && objects.has(path))
      return { status: 412, code: 'PreconditionFailed' }
    objects.set(path, body)
    return { status: 200 }
  }
  if (request.method !== 'GET') return { status: 405, code: 'MethodNotAllowed' }
  if (url.searchParams.get('list-type') === '2') return list(objects, url.searchParams, path)
  const found = objects.get(path)
  return found === undefined ? { status: 404, code: 'NoSuchKey' } : { status: 200, body: found }
}

function list(
  objects: ReadonlyMap<string, Buffer>,
  query: URLSearchParams,
  bucket: string,
): Answer {
  const prefix = query.get('prefix') ?? ''
  const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
  const keys = [...objects.keys()]
    .map((path) => path.slice(bucket.replace(/\/$/, '').length + 1))
    .filter((key) => key.startsWith(prefix) && key > after)
    .toSorted()
  const page = keys.slice(0, page_keys)
  const more = keys.length > page.length
  const contents = page.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')
  const token = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0"?><ListBucketResult><KeyCount>${page.length}</KeyCount><IsTruncated>${more}</IsTruncated>${token}${contents}</ListBucketResult>`,
  }
}

function failed(response: ServerResponse, status: number, code: string): void {
  response
    .writeHead(status, { 'content-type': 'application/xml' })
    .end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`)
}
