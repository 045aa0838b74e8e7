import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'

/** What is sealed does not open: another key, or it was changed. */
export class PartChanged extends Error {
  override readonly name = 'PartChanged'
}

/** A part's place in its sequence. */
export interface PartPlace {
  readonly n: number
  readonly last: boolean
}

const tag_bytes = 16

/**
 * Seals a sequence of parts, AES-256-GCM each, under a key of the sequence's own, derived from its name, which is never used twice. A
 * part opens in its place only, and the last one is known: none can be changed, moved, left out or cut off.
 */
export function partSealer(secret: Buffer, name: string) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `countersign backup ${name}`, 32))
  const about = ({ n, last }: PartPlace) => {
    const iv = Buffer.alloc(12)
    iv.writeUInt32BE(n, 8)
    return { iv, aad: Buffer.from(`${name} ${n} ${last ? 'last' : 'more'}`) }
  }
  return {
    seal(place: PartPlace, bytes: Uint8Array): Buffer {
      const { iv, aad } = about(place)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad)
      return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
    },
    /** Throws `PartChanged`. */
    open(place: PartPlace, sealed: Uint8Array): Buffer {
      const { iv, aad } = about(place)
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tag_bytes })
          .setAAD(aad)
          .setAuthTag(sealed.subarray(-tag_bytes))
        return Buffer.concat([decipher.update(sealed.subarray(0, -tag_bytes)), decipher.final()])
      } catch {
        throw new PartChanged(
          `part ${place.n} of ${name} does not open: another key, or it was changed`,
        )
      }
    },
  }
}
