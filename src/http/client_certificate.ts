import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Request } from 'express'
import type { Authorization } from '../authorization/authorization.ts'
import {
  clientCertificate,
  isCurrent,
  type ClientCertificate,
} from '../authorization/client_certificate.ts'
import { OAuthError } from '../authorization/oauth_error.ts'

/** A certificate as RFC 9440 §2.1 passes it on: one byte sequence (RFC 8941 §3.3.5) without parameters, and nothing beside it. */
const byte_sequence = /^:([A-Za-z0-9+/]+={0,2}):$/

/**
 * The certificate that the client of a request has shown, if it is valid now. From the address of a proxy that ends TLS for us,
 * the one in its header, and never the proxy's own; from anyone else the one of the TLS connection, whatever the headers say.
 * Throws `OAuthError('invalid_request')` when a proxy passes on what is no certificate.
 */
export function clientCertificateOf(
  { mtls }: Authorization,
  { socket, headers }: Pick<Request, 'socket' | 'headers'>,
  now: number,
): ClientCertificate | undefined {
  const { proxies } = mtls
  const shown = proxies?.have(socket.remoteAddress ?? '')
    ? proxies.header === undefined
      ? undefined
      : passedOn(headers[proxies.header])
    : shownOn(socket)
  return shown !== undefined && isCurrent(shown.x509, now) ? shown : undefined
}

function passedOn(header: string | string[] | undefined): ClientCertificate | undefined {
  if (header === undefined) return undefined
  const [, base64] = byte_sequence.exec(String(header)) ?? []
  try {
    return clientCertificate(new X509Certificate(Buffer.from(base64 ?? '', 'base64')))
  } catch {
    throw new OAuthError('invalid_request', 'the proxy passes on what is no certificate')
  }
}

/** A connection keeps its certificate: it is read once. */
const bySocket = new WeakMap<Socket, ClientCertificate | 'none'>()

function shownOn(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  let known = bySocket.get(socket)
  if (known === undefined) {
    const x509 = socket.getPeerX509Certificate()
    known = x509 === undefined ? 'none' : clientCertificate(x509)
    bySocket.set(socket, known)
  }
  return known === 'none' ? undefined : known
}
