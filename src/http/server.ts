import { createServer as createHttpServer, type Server } from 'node:http'
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

/** The server, not yet listening. */
export function createServer(
  broker: Broker,
  authorization: Authorization,
  log: Log,
  limiting?: RateLimiting,
): Server {
  return createHttpServer(
    {
      maxHeaderSize: limits.header_bytes_max,
      headersTimeout: limits.headers_ms_max,
      requestTimeout: limits.request_ms_max,
      keepAliveTimeout: limits.idle_ms_max,
      connectionsCheckingInterval: limits.checked_every_ms,
    },
    createApp(broker, authorization, log, limiting),
  )
}
