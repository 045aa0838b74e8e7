import { hash } from 'node:crypto'

/** SHA-256 as base64url text: how a hash is written in proofs, tokens and entries. */
export const sha256Text = (value: string | Uint8Array): string => hash('sha256', value, 'base64url')
