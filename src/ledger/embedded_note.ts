/** A signed note inside an entry is base64url, since no string of an entry has a line break; at most this many characters. */
export const embedded_note_chars_max = 2_400

/** A note as an entry holds it: with as many cosignatures, which come last, as fit. */
export function embedNote(note: string): string {
  const lines = note.trimEnd().split('\n')
  for (;;) {
    const text = embedded(`${lines.join('\n')}\n`)
    if (text.length <= embedded_note_chars_max) return text
    lines.pop()
  }
}

function embedded(text: string): string {
  const bytes = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte))
  return btoa(bytes.join('')).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/**
 * What the checkpoint inside an entry says of itself, by its form alone (c2sp.org/tlog-checkpoint): its signatures are for whoever
 * has a policy to check. Undefined where it is none.
 */
export function embeddedCheckpoint(note: string): { origin: string; size: number } | undefined {
  const [origin = '', size = '', root = '', blank] = (noteText(note) ?? '').split('\n')
  const isCheckpoint =
    origin !== '' && /^(?:0|[1-9]\d{0,15})$/.test(size) && root.length === 44 && blank === ''
  return isCheckpoint ? { origin, size: Number(size) } : undefined
}

/** The text of a note inside an entry; undefined where it is not base64url of UTF-8. */
export function noteText(note: string): string | undefined {
  try {
    const bytes = atob(note.replaceAll('-', '+').replaceAll('_', '/'))
    return utf8.decode(Uint8Array.from(bytes, (one) => one.charCodeAt(0)))
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
