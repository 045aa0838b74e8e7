import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Server as NetServer } from 'node:net'

/** Listens on a free port of 127.0.0.1, and says which. */
export async function listening(server: NetServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  return address.port
}

/** Closes a server with all its connections. */
export async function closed(server: Server): Promise<void> {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}
