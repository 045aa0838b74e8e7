import type { Request } from 'express'
import type { Broker } from '../broker/broker.ts'
import { findConnections, type Connection } from '../storage/connections.ts'
import { sessionOf } from './browser_session.ts'
import { PageRefused } from './page_errors.ts'

/** A bank login that this browser has proven, and all that is its. */
export interface Owner {
  readonly bank: string
  readonly connections: readonly Connection[]
}

/** The login that this browser's session has proven. Throws `PageRefused` 403 where it has proven none. */
export async function requireOwner(broker: Broker, req: Request): Promise<Owner> {
  const stage = (await sessionOf(broker, req))?.stage
  if (stage?.at !== 'connections')
    throw new PageRefused(403, {
      title: 'Please log in again',
      what: 'Too much time has passed, or this browser has begun something else since.',
      todo: 'Open your connections below and log in at your bank. Nothing was changed.',
    })
  const { bank, login } = stage
  const loginIndex = Buffer.from(login, 'base64url')
  return { bank, connections: await findConnections(broker, { bank, loginIndex }) }
}

/** The connection of this id, if it is this login's. Throws `PageRefused` 404 where it is not. */
export function ownConnection({ connections }: Owner, id: string | undefined): Connection {
  const own = connections.find(({ consent }) => consent.id === id)
  if (own !== undefined) return own
  throw new PageRefused(404, {
    title: 'There is no such connection',
    what: 'What you asked for names a connection that does not belong to this bank login.',
    todo: 'Open your connections below. Nothing was changed.',
  })
}
