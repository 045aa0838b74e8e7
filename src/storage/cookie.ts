import { createHash, randomBytes } from 'node:crypto'

/** 256 random bits, base64url: what a browser is known by. */
export const newCookie = (): string => randomBytes(32).toString('base64url')

/** What is kept of a cookie. */
export const cookieHash = (cookie: string): Buffer => createHash('sha256').update(cookie).digest()
