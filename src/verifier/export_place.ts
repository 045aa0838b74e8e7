import { isJsonObject } from '../ledger/json_object.ts'
import { encodeBase64 } from '../merkle/encoding.ts'
import { MerkleError } from '../merkle/errors.ts'
import { checkExport, ExportWrong, type ExportTrust } from './export.ts'
import type { ProofReport } from './proof_file.ts'
import { SourceError, type Files } from './source.ts'

/** The names of an export's three files, as they lie side by side. */
interface Names {
  readonly manifest: string
  readonly lines: string
  readonly proof: string
}

const manifest_bytes_max = 1024 * 1024

/**
 * The exports among files: each has a `<name>.manifest`, a `<name>.proof`, and its entries in `<name>.ndjson` or `<name>.csv`. A
 * `manifest` and a `proof` without a name belong to the one file of entries that is there.
 */
export function exportsAmong(names: readonly string[]): Names[] {
  return names
    .filter((name) => /(?:^|\.)manifest$/.test(name))
    .map((manifest) => {
      const stem = manifest.slice(0, -'manifest'.length)
      const lines = names.find((name) =>
        stem === ''
          ? /\.(?:ndjson|csv)$/.test(name)
          : [`${stem}ndjson`, `${stem}csv`].includes(name),
      )
      return { manifest, lines: lines ?? `${stem}ndjson`, proof: `${stem}proof` }
    })
}

/** Checks an export. What is wrong with it is said in the report. */
export async function reportOnExport(
  files: Files,
  { manifest, lines, proof }: Names,
  trust: ExportTrust & { readonly told?: ((done: number, of: number) => void) | undefined },
): Promise<ProofReport> {
  const report = { place: lines, what: 'export' }
  try {
    const note = await files.read(manifest, manifest_bytes_max)
    const of = countIn(note)
    const checked = await checkExport(
      { manifest: note, lines: files.pieces(lines), proof: files.pieces(proof) },
      { ...trust, progress: (done) => trust.told?.(done, of) },
    )
    const { origin, size, root } = checked.checkpoint
    return {
      ...{ ...report, verified: true, findings: [] },
      ledger: { origin, size, root: encodeBase64(root), cosigners: checked.cosigners },
      proven: checked.proves,
      unproven: [],
    }
  } catch (error) {
    const kinds = [ExportWrong, MerkleError, SourceError]
    if (!(error instanceof Error) || !kinds.some((kind) => error instanceof kind)) throw error
    return { ...report, verified: false, findings: [error.message], proven: [], unproven: [] }
  }
}

/** How many entries a manifest says that there are, to show progress by. */
function countIn(note: Uint8Array): number {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(note).split('\n')[1] ?? '')
    return isJsonObject(value) && typeof value['count'] === 'number' ? value['count'] : 0
  } catch {
    return 0
  }
}
