import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Takes connections at a port and passes each on to the next of several servers, as a load balancer does. */
export async function startBalancer(
  port: number,
  urls: readonly string[],
): Promise<{ close(): Promise<void> }> {
  const open = new Set<Socket>()
  let taken = 0
  const server = createServer((socket) => {
    const { hostname, port: to } = new URL(urls[taken++ % urls.length] ?? '')
    const onward = connect(Number(to), hostname)
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      open.add(one)
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    async close() {
      server.close()
      for (const socket of open) socket.destroy()
      await once(server, 'close')
    },
  }
}
