import { archiveFolder } from './archive_folder.ts'
import { archiveBucket } from './archive_bucket.ts'
import { ArchiveUnavailable, isArchivePath, limits, type Archive } from './archive.ts'

/**
 * The archive at a place: `s3://bucket` or `s3://bucket/prefix` at `endpoint`, an origin (AWS's own where there is none, else with the bucket
 * in the path), or a folder. Nothing is read or written yet. Throws `ArchiveUnfit` for a place that is none.
 */
export function openArchive(
  place: string,
  {
    endpoint,
    call_ms_max = limits.call_ms_max,
  }: { endpoint?: string | undefined; call_ms_max?: number } = {},
): Archive {
  const opened = place.startsWith('s3:')
    ? archiveBucket(place, { endpoint, call_ms_max })
    : archiveFolder(place)
  return {
    ...opened,
    async put(path, bytes) {
      checkPath(path)
      if (bytes.length > limits.file_bytes_max)
        throw new RangeError(`${path} is longer than ${limits.file_bytes_max} bytes`)
      return within(opened.put(path, bytes), call_ms_max, `${place}: ${path}`)
    },
    async get(path, bytesMax) {
      checkPath(path)
      return within(opened.get(path, bytesMax), call_ms_max, `${place}: ${path}`)
    },
    async *list(folder, after) {
      checkPath(folder.replace(/\/$/, ''))
      const paths = opened.list(folder, after)[Symbol.asyncIterator]()
      for (;;) {
        const next = await within(paths.next(), call_ms_max, `${place}: ${folder}`)
        if (next.done === true) return
        yield next.value
      }
    },
  }
}

function checkPath(path: string): void {
  if (!isArchivePath(path)) throw new RangeError(`${path} is no path in an archive`)
}

/** A file system may hang too, when it is on another machine. */
async function within<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ArchiveUnavailable(`${what}: no answer within ${ms} ms`)),
      ms,
    )
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
