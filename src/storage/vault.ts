import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

/**
 * Encryption at rest. One master key, held outside the database, wraps a key per link; deleting a link's key erases what was
 * sealed under it. Look-ups go by HMAC, so that the database alone names nobody.
 */
export interface Vault {
  /** Seals under the master key, for what belongs to no link: sessions, pushed requests, link keys. `about` is bound in. */
  seal(value: unknown, about: string): Buffer
  open(sealed: Buffer, about: string): unknown
  /** A look-up index: the same value and label always give the same 32 bytes; without the key they tell nothing. */
  index(label: string, value: string): Buffer
  /** A fresh key for a link, and the form in which the database keeps it. */
  newLinkKey(linkId: string): { key: LinkKey; sealed: Buffer }
  linkKey(sealed: Buffer, linkId: string): LinkKey
}

/** What is sealed under one link's key, and the salts derived from it. */
export interface LinkKey {
  seal(value: unknown, about: string): Buffer
  open(sealed: Buffer, about: string): unknown
  /** The salt of one commitment: another for each label and id, 256 bits, gone when the key is. */
  salt(label: 'payload', id: string): Buffer
  /** A stable name for something of the bank's, that tells nothing of it: 128 bits, base64url. */
  pseudonym(value: string): string
}

export class SealError extends Error {
  override readonly name = 'SealError'
}

const iv_bytes = 12
const tag_bytes = 16

function seal(key: Buffer, value: unknown, about: string): Buffer {
  const iv = randomBytes(iv_bytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(about))
  const body = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

function open(key: Buffer, sealed: Buffer, about: string): unknown {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, iv_bytes), {
      authTagLength: tag_bytes,
    })
      .setAAD(Buffer.from(about))
      .setAuthTag(sealed.subarray(iv_bytes, iv_bytes + tag_bytes))
    const body = decipher.update(sealed.subarray(iv_bytes + tag_bytes))
    return JSON.parse(Buffer.concat([body, decipher.final()]).toString('utf8'))
  } catch {
    throw new SealError(`what is sealed as ${about} does not open with this key`)
  }
}

const derive = (master: Buffer, label: string): Buffer =>
  Buffer.from(hkdfSync('sha256', master, '', `countersign ${label}`, 32))

/** A vault over a 32-byte master key. */
export function openVault(master: Buffer): Vault {
  if (master.length !== 32) throw new SealError('the master key is not 32 bytes')
  const sealing = derive(master, 'seal')
  const indexing = derive(master, 'index')
  const linkKey = (key: Buffer): LinkKey => ({
    seal: (value, about) => seal(key, value, about),
    open: (sealed, about) => open(key, sealed, about),
    salt: (label, id) => createHmac('sha256', key).update(`salt ${label}|${id}`).digest(),
    pseudonym: (value) =>
      createHmac('sha256', key)
        .update(`pseudonym|${value}`)
        .digest()
        .subarray(0, 16)
        .toString('base64url'),
  })
  return {
    seal: (value, about) => seal(sealing, value, about),
    open: (sealed, about) => open(sealing, sealed, about),
    index: (label, value) => createHmac('sha256', indexing).update(`${label}|${value}`).digest(),
    newLinkKey(linkId) {
      const key = randomBytes(32)
      return {
        key: linkKey(key),
        sealed: seal(sealing, key.toString('base64url'), `link_key ${linkId}`),
      }
    },
    linkKey(sealed, linkId) {
      const key = open(sealing, sealed, `link_key ${linkId}`)
      if (typeof key !== 'string') throw new SealError('not a link key')
      return linkKey(Buffer.from(key, 'base64url'))
    },
  }
}
