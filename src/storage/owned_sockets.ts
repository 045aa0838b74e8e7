import type { Agent } from 'node:http'

/** Remembers an agent, and the sockets that it opens, as ours. Returns the agent. */
export function marking<A extends Agent>(agent: A, owned: WeakSet<object>): A {
  const create = agent.createConnection.bind(agent)
  owned.add(agent)
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback)
    if (socket) owned.add(socket)
    return socket
  }
  return agent
}
