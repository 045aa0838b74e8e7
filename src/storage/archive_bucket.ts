import { Agent as HttpAgent, ClientRequest } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { equalBytes } from '../merkle/hash.ts'
import { ArchiveConflict, ArchiveUnavailable, ArchiveUnfit, type Archive } from './archive.ts'
import { marking } from './owned_sockets.ts'

const sockets_max = 16
const attempts_max = 3

/** Written once to each bucket, to see that it refuses what is there already. */
const probe = { path: 'countersign-archive', bytes: Buffer.from('countersign archive\n') }

/**
 * An archive in S3-compatible object storage. Files are made by `If-None-Match: *`, which the storage must heed: it is tried
 * before the first file is written. Region and credentials are the SDK's to find: in the environment, or in its files. The
 * agents open connections to the endpoint and to nowhere else.
 */
export function archiveBucket(
  place: string,
  { endpoint, call_ms_max }: { endpoint: string | undefined; call_ms_max: number },
): Archive {
  const { bucket, prefix } = placeOf(place)
  const way = openWay({ bucket, endpoint })
  const at = (path: string) => ({ Bucket: bucket, Key: `${prefix}${path}` })
  const bounded = () => ({ abortSignal: AbortSignal.timeout(call_ms_max) })

  /** Whether it was made; false when there is a file at the path. */
  const make = async (path: string, bytes: Uint8Array): Promise<boolean> => {
    const { client, PutObjectCommand } = await way.sdk()
    const command = new PutObjectCommand({ ...at(path), Body: bytes, IfNoneMatch: '*' })
    // 409 is for one of two who write at the same time: by the next attempt the other is done.
    for (let attempt = 1; ; attempt++)
      try {
        await client.send(command, bounded())
        return true
      } catch (error) {
        const status = statusOf(error)
        if (status === 412) return false
        if (status !== 409 || attempt === attempts_max) throw unavailable(place, path, error)
      }
  }
  const get = async (path: string, bytesMax: number): Promise<Uint8Array | undefined> => {
    const { client, GetObjectCommand } = await way.sdk()
    try {
      const { Body: body } = await client.send(new GetObjectCommand(at(path)), bounded())
      return await collect(body as AsyncIterable<Uint8Array> | undefined, bytesMax)
    } catch (error) {
      const noBucket = error instanceof Error && error.name === 'NoSuchBucket'
      if (statusOf(error) === 404 && !noBucket) return undefined
      throw unavailable(place, path, error)
    }
  }
  let fit: Promise<void> | undefined
  const checkFit = async (): Promise<void> => {
    if ((await make(probe.path, probe.bytes)) && (await make(probe.path, probe.bytes)))
      throw new ArchiveUnfit(
        `${place} does not heed If-None-Match: it would write over what it has`,
      )
  }
  return {
    place,
    async put(path, bytes) {
      fit ??= checkFit()
      await fit.catch((error: unknown) => {
        fit = undefined
        throw error
      })
      if (await make(path, bytes)) return true
      const found = await get(path, bytes.length).catch((error: unknown) => {
        if (error instanceof TooLong) throw new ArchiveConflict(place, path)
        throw error
      })
      if (found === undefined) throw new ArchiveUnavailable(`${place}: ${path} comes and goes`)
      if (!equalBytes(found, bytes)) throw new ArchiveConflict(place, path)
      return false
    },
    get,
    async *list(folder, after) {
      const { client, ListObjectsV2Command } = await way.sdk()
      let token: string | undefined
      do {
        const page = await client
          .send(
            new ListObjectsV2Command({
              Bucket: bucket,
              Prefix: `${prefix}${folder}`,
              StartAfter: after === undefined ? undefined : `${prefix}${after}`,
              ContinuationToken: token,
            }),
            bounded(),
          )
          .catch((error: unknown) => {
            throw unavailable(place, folder, error)
          })
        for (const { Key: key } of page.Contents ?? []) if (key) yield key.slice(prefix.length)
        token = page.NextContinuationToken
      } while (token !== undefined)
    },
    owns: way.owns,
    close: way.close,
  }
}

function placeOf(place: string): { bucket: string; prefix: string } {
  const [, bucket, rest = ''] =
    /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9._/-]*))?$/.exec(place) ?? []
  if (bucket === undefined) throw new ArchiveUnfit(`${place} is not s3://bucket/prefix`)
  return { bucket, prefix: rest === '' || rest.endsWith('/') ? rest : `${rest}/` }
}

/** The client, with agents that go to the endpoint only. The SDK is loaded at the first use: it takes a while, and 25 MB. */
function openWay({ bucket, endpoint }: { bucket: string; endpoint: string | undefined }) {
  const owned = new WeakSet<object>()
  const pool = { keepAlive: true, maxSockets: sockets_max }
  const http = marking(fenced(new HttpAgent(pool), { bucket, endpoint }), owned)
  const https = marking(fenced(new HttpsAgent(pool), { bucket, endpoint }), owned)
  const open = async () => {
    const sdk = await import('@aws-sdk/client-s3')
    const client = new sdk.S3Client({
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      maxAttempts: attempts_max,
      followRegionRedirects: false,
      requestHandler: { httpAgent: http, httpsAgent: https },
    })
    return { ...sdk, client }
  }
  let opened: ReturnType<typeof open> | undefined
  return {
    sdk: () => (opened ??= open()),
    // The SDK makes the requests, with our agents.
    owns: (one: object) =>
      owned.has(one) || (one instanceof ClientRequest && owned.has(agentOf(one) ?? {})),
    close() {
      http.destroy()
      https.destroy()
    },
  }
}

const agentOf = (request: ClientRequest): object | undefined =>
  'agent' in request && typeof request.agent === 'object' ? (request.agent ?? undefined) : undefined

/** Refuses to connect to anything but the endpoint: the one that is set, or AWS's for the bucket. */
function fenced<A extends HttpAgent>(
  agent: A,
  { bucket, endpoint }: { bucket: string; endpoint: string | undefined },
): A {
  const create = agent.createConnection.bind(agent)
  const set = endpoint === undefined ? undefined : new URL(endpoint)
  const isOurs = (host: string, port: number) =>
    set === undefined
      ? port === 443 && isAws(host, bucket)
      : host === set.hostname.replace(/^\[|\]$/g, '') &&
        port === Number(set.port || (set.protocol === 'https:' ? 443 : 80))
  agent.createConnection = (options, callback) => {
    const [host, port] = [String(options.host), Number(options.port)]
    if (!isOurs(host, port)) throw new ArchiveUnfit(`${host}:${port} is not the archive's endpoint`)
    return create(options, callback)
  }
  return agent
}

/** `<bucket>.s3.<region>.amazonaws.com`, and with the bucket in the path where its name has dots. */
const isAws = (host: string, bucket: string) =>
  /^s3\.(?:dualstack\.)?[a-z0-9-]+\.amazonaws\.com(?:\.cn)?$/.test(
    host.startsWith(`${bucket}.`) ? host.slice(bucket.length + 1) : host,
  )

class TooLong extends Error {}

async function collect(
  body: AsyncIterable<Uint8Array> | undefined,
  bytesMax: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body ?? []) {
    length += part.length
    if (length > bytesMax) throw new TooLong(`longer than ${bytesMax} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** The status of the answer in which the storage refused; undefined for what is none. */
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined
  const { $metadata: about } = error
  const known = typeof about === 'object' && about !== null && 'httpStatusCode' in about
  return known && typeof about.httpStatusCode === 'number' ? about.httpStatusCode : undefined
}

function unavailable(place: string, path: string, error: unknown): Error {
  if (error instanceof ArchiveUnfit) return error
  if (error instanceof TooLong) return new ArchiveConflict(place, path)
  const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new ArchiveUnavailable(`${place}: ${path}: ${why}`, { cause: error })
}
