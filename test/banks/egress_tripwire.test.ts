import { createServer, get } from 'node:http'
import { get as getTls } from 'node:https'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { openGateway, type Gateway } from '../../src/banks/egress.ts'
import { watchSockets, type Stray, type Tripwire } from '../../src/banks/egress_tripwire.ts'
import { closed, listening } from '../support/listening.ts'

const server = createServer((_, res) => void res.end('x'))
let host: string
let port: number
let gateway: Gateway
beforeAll(async () => {
  port = await listening(server)
  host = `127.0.0.1:${port}`
  gateway = openGateway({
    allowedHosts: [host],
    sandbox: true,
    timeout_ms: 5_000,
    body_bytes_max: 1_000,
  })
})
afterAll(async () => {
  gateway.close()
  await closed(server)
})

let strays: Stray[]
let tripwire: Tripwire
beforeEach(() => {
  strays = []
  tripwire = watchSockets({
    gateway,
    databases: [],
    onStray: (stray) => strays.push(stray),
  })
})
afterEach(() => tripwire.stop())

const ended = (emitter: NodeJS.EventEmitter) =>
  new Promise<void>((resolve) => emitter.on('error', () => undefined).on('close', resolve))

const targets = () => [...new Set(strays.map(({ target }) => target))]

describe('the tripwire', () => {
  it('stays silent while everything leaves through the gateway', async () => {
    const ask = () => gateway.request({ method: 'GET', url: `http://${host}/`, headers: {} })
    await Promise.all([ask(), ask(), ask()])
    const url = `https://${host}/`
    await expect(gateway.request({ method: 'GET', url, headers: {} })).rejects.toThrow()
    expect(tripwire.count).toBe(0)
  })

  it('sees a stray fetch, plain or with TLS', async () => {
    expect(await (await fetch(`http://${host}/`)).text()).toBe('x')
    expect(targets()).toEqual([host])
    const before = tripwire.count
    await expect(fetch(`https://${host}/`)).rejects.toThrow()
    expect(tripwire.count).toBeGreaterThan(before)
    expect(targets()).toEqual([host])
  })

  it('sees stray requests and sockets', async () => {
    const goals: [string, () => NodeJS.EventEmitter][] = [
      ['http', () => get(`http://${host}/`, (answer) => answer.resume())],
      ['https', () => getTls(`https://${host}/`)],
      ['net', () => connect(port, '127.0.0.1').end()],
    ]
    // Node 20 does not show a bare tls.connect.
    if (Number(process.versions.node.split('.')[0]) >= 24)
      goals.push(['tls', () => connectTls(port, '127.0.0.1')])
    for (const [name, open] of goals) {
      strays = []
      await ended(open())
      expect([name, targets()]).toEqual([name, [host]])
    }
  })

  it('names the host as it was asked for', async () => {
    await fetch(`http://localhost:${port}/`).catch(() => undefined)
    expect(targets()).toEqual([`localhost:${port}`])
  })

  it('lets connections to the databases be', async () => {
    tripwire.stop()
    tripwire = watchSockets({
      gateway,
      databases: [`postgres://user:secret@${host}/countersign`],
      onStray: (stray) => strays.push(stray),
    })
    await ended(connect(port, '127.0.0.1').end())
    expect(strays).toEqual([])
    await ended(connect(port, 'localhost').end())
    expect(targets()).toEqual([`localhost:${port}`])
  })

  it('sees nothing once it is stopped', async () => {
    tripwire.stop()
    await ended(connect(port, '127.0.0.1').end())
    expect(tripwire.count).toBe(0)
  })
})
