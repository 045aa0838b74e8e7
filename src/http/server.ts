import { constants } from 'node:crypto'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import type { Authorization } from '../authorization/authorization.ts'
import type { Broker } from '../broker/broker.ts'
import type { Log } from '../observe/log.ts'
import { createApp } from './app.ts'
import type { RateLimiting } from './limits.ts'

/** How long a client may take, ms, and how much it may send in headers. A proxy in front keeps idle connections shorter. */
const limits = {
  header_bytes_max: 16 * 1024,
  headers_ms_max: 10_000,
  request_ms_max: 30_000,
  idle_ms_max: 65_000,
  checked_every_ms: 5_000,
} as const

const http_options = {
  maxHeaderSize: limits.header_bytes_max,
  headersTimeout: limits.headers_ms_max,
  requestTimeout: limits.request_ms_max,
  keepAliveTimeout: limits.idle_ms_max,
  connectionsCheckingInterval: limits.checked_every_ms,
} as const

/** PEM. */
export interface ServerCertificate {
  readonly cert: string
  readonly key: string
}

/** TLS 1.2 with the cipher suites of RFC 9325 §4.2, and TLS 1.3. */
const https_options: ServerOptions = {
  ...http_options,
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
  ].join(':'),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  handshakeTimeout: limits.headers_ms_max,
}

/** The server, not yet listening. It asks for no client certificate: browsers come here. Without a certificate, plain http. */
export function createServer(
  broker: Broker,
  authorization: Authorization,
  log: Log,
  { limiting, tls }: { limiting?: RateLimiting; tls?: ServerCertificate | undefined } = {},
): Server {
  const app = createApp(broker, authorization, log, { limiting })
  return tls === undefined
    ? createHttpServer(http_options, app)
    : createHttpsServer({ ...https_options, ...tls }, app)
}

/**
 * The server for clients with certificates, not yet listening: everything but the pages. TLS shows who holds a certificate's
 * key and is told of no authority, so that it names none to clients and lets self-signed certificates through; what a
 * certificate is worth is for those who look at it.
 */
export function createMtlsServer(
  broker: Broker,
  authorization: Authorization,
  log: Log,
  { limiting, tls }: { limiting?: RateLimiting; tls: ServerCertificate },
): Server {
  return createHttpsServer(
    { ...https_options, ...tls, requestCert: true, rejectUnauthorized: false, ca: [] },
    createApp(broker, authorization, log, { limiting, pages: false }),
  )
}
