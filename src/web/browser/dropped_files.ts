import { SourceError, type Files } from '../../verifier/source.ts'

/** A file that was dropped or chosen, by its path below what was dropped. */
export type Dropped = readonly [path: string, file: File]

/** Files in a page. What all of them lie in, if anything, is the top. */
export function droppedFiles(dropped: readonly Dropped[]): Files {
  const place = topOf(dropped)
  const below = place === '' ? 0 : place.length + 1
  const files = new Map(dropped.map(([path, file]) => [path.slice(below), file]))
  const folders = new Map<string, Set<string>>()
  for (const path of files.keys()) addNames(folders, path)
  return {
    place: place === '' ? dropped.map(([path]) => path).join(', ') : place,
    async read(path, bytesMax) {
      const file = files.get(path)
      if (file === undefined) throw new SourceError(path, 'there is no such file', { absent: true })
      if (file.size > bytesMax) throw new SourceError(path, `longer than ${bytesMax} bytes`)
      try {
        return new Uint8Array(await file.arrayBuffer())
      } catch {
        throw new SourceError(path, 'it cannot be read, or was changed since it was chosen')
      }
    },
    list: async (folder) => [...(folders.get(folder) ?? [])],
    async *pieces(path) {
      const file = files.get(path)
      if (file === undefined) throw new SourceError(path, 'there is no such file', { absent: true })
      for (let at = 0; at < file.size; at += piece_bytes)
        yield new Uint8Array(await file.slice(at, at + piece_bytes).arrayBuffer())
    },
  }
}

const piece_bytes = 1024 * 1024

function topOf(dropped: readonly Dropped[]): string {
  const tops = new Set(dropped.map(([path]) => path.slice(0, Math.max(0, path.indexOf('/')))))
  const [top = ''] = tops
  return tops.size === 1 ? top : ''
}

/** Each folder of a path holds the next. */
function addNames(folders: Map<string, Set<string>>, path: string): void {
  for (let start = 0, end = 0; end >= 0; start = end + 1) {
    end = path.indexOf('/', start)
    const folder = path.slice(0, start)
    const names = folders.get(folder) ?? new Set()
    names.add(path.slice(start, end < 0 ? undefined : end))
    folders.set(folder, names)
  }
}

/** Chromium lets a page from the disk read a dropped folder by its handle only; Firefox and Safari have its entry only. */
interface WithHandle {
  getAsFileSystemHandle?: () => Promise<Handle | null>
}

type Handle =
  | { readonly kind: 'file'; readonly name: string; getFile(): Promise<File> }
  | { readonly kind: 'directory'; readonly name: string; values(): AsyncIterable<Handle> }

/** All files of what was dropped, folders and all within them. Rejects where the browser does not let a page read them. */
export async function filesOfDrop({ items }: DataTransfer): Promise<Dropped[]> {
  // All are taken before anything is awaited: the transfer is empty afterwards.
  const taken = [...items].map((item) => {
    const byHandle = (item as WithHandle).getAsFileSystemHandle?.()
    return byHandle ?? item.webkitGetAsEntry()
  })
  const found: Dropped[] = []
  for (const one of taken) {
    const dropped = await one
    if (dropped === null) continue
    await ('kind' in dropped ? addHandle(found, dropped, '') : addEntry(found, dropped))
  }
  return found
}

async function addHandle(found: Dropped[], handle: Handle, folder: string): Promise<void> {
  const path = `${folder}${handle.name}`
  if (handle.kind === 'file') found.push([path, await handle.getFile()])
  else for await (const inner of handle.values()) await addHandle(found, inner, `${path}/`)
}

async function addEntry(found: Dropped[], entry: FileSystemEntry): Promise<void> {
  if (isFile(entry)) {
    const file = await new Promise<File>((take, fail) => entry.file(take, fail))
    found.push([entry.fullPath.slice(1), file])
    return
  }
  if (!isFolder(entry)) return
  const reader = entry.createReader()
  for (;;) {
    // At most a hundred at a time, until there are none.
    const some = await new Promise<FileSystemEntry[]>((take, fail) =>
      reader.readEntries(take, fail),
    )
    if (some.length === 0) return
    for (const one of some) await addEntry(found, one)
  }
}

// Their classes are not to be had in every page.
const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile
const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory

/** The files of an input, by their paths where a folder was chosen. */
export const filesOfInput = ({ files }: HTMLInputElement): Dropped[] =>
  [...(files ?? [])].map((file) => [file.webkitRelativePath || file.name, file])
