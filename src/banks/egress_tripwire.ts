import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { ClientRequest } from 'node:http'
import { Socket } from 'node:net'
import type { Gateway } from './egress.ts'

/** A connection that went around the gateway. */
export interface Stray {
  /** The Node channel that showed it. Two of them may show the same one. */
  readonly channel: string
  /** `host:port` as it was asked for. */
  readonly target: string
}

export interface Tripwire {
  /** How many strays were shown so far. */
  readonly count: number
  stop(): void
}

/**
 * Watches the outbound connections of this process through Node's diagnostics channels and reports each that is neither the
 * gateway's nor a database's: the evidence that nothing goes around the gateway. It reports, it does not prevent. Node 24
 * shows every TCP socket; Node 20 those of net.connect, http, https and fetch, but not of a bare tls.connect or new Socket.
 */
export function watchSockets({
  gateway,
  databases,
  onStray,
}: {
  gateway: Pick<Gateway, 'owns'>
  /** Their URLs. */
  databases: readonly string[]
  onStray: (stray: Stray) => void
}): Tripwire {
  const allowed = new Set(databases.map(databaseHost))
  let count = 0
  const report = (channel: string, target: string) => {
    count += 1
    onStray({ channel, target })
  }

  // It is shown before its opener could mark it, and before it has a goal. Unix sockets, which have no port, stay inside.
  const onSocket = (message: unknown, channel: string | symbol) => {
    const { socket } = fields(message)
    if (!(socket instanceof Socket)) return
    let name: string | undefined
    socket.once('lookup', (_error, _address, _family, host) => (name = host))
    socket.once('connectionAttempt', (address: string, port: number | undefined) => {
      const target = `${name ?? address}:${port}`
      if (port === undefined || allowed.has(target) || gateway.owns(socket)) return
      report(String(channel), target)
    })
  }

  const onRequest = (message: unknown, channel: string | symbol) => {
    const { request } = fields(message)
    if (!(request instanceof ClientRequest) || request.protocol !== 'https:') return
    if (!gateway.owns(request)) report(String(channel), String(request.getHeader('host')))
  }

  const onUndici = (message: unknown, channel: string | symbol) =>
    report(String(channel), String(fields(fields(message).connectParams).host))

  const watched = [
    ['net.client.socket', onSocket],
    ['http.client.request.start', onRequest],
    ['undici:client:beforeConnect', onUndici],
  ] as const
  for (const [channel, listener] of watched) subscribe(channel, listener)
  return {
    get count() {
      return count
    },
    stop() {
      for (const [channel, listener] of watched) unsubscribe(channel, listener)
    },
  }
}

function databaseHost(url: string): string {
  const { hostname, port } = new URL(url)
  return `${hostname}:${port || '5432'}`
}

interface Shown {
  readonly socket?: unknown
  readonly request?: unknown
  readonly connectParams?: unknown
  readonly host?: unknown
}

const fields = (message: unknown): Shown =>
  typeof message === 'object' && message !== null ? message : {}
