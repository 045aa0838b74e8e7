import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { createServer as createNetServer, type Socket } from 'node:net'
import { finished } from 'node:stream/promises'
import { afterEach, describe, expect, it } from '@jest/globals'
import { openGateway, type Gateway, type GatewayOptions } from '../../src/banks/egress.ts'
import { EgressRefused } from '../../src/banks/egress_refused.ts'
import { BankUnavailable } from '../../src/broker/bank_port.ts'
import { makeCertificate, named } from '../../sandbox/certificates.ts'
import { closed, listening } from '../support/listening.ts'

/** The bank's own, and the authority that is trusted: for servers and clients alike. */
const { cert, key } = makeCertificate({
  subject: named('bank.test'),
  dns: ['localhost'],
  ips: ['127.0.0.1'],
  usage: 'authority',
})
const certificate = { cert, key }

const ends: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function serve(server: Server): Promise<number> {
  const port = await listening(server)
  ends.push(() => closed(server))
  return port
}

function gatewayTo(hosts: readonly string[], options: Partial<GatewayOptions> = {}): Gateway {
  const gateway = openGateway({
    allowedHosts: hosts,
    sandbox: true,
    timeout_ms: 20_000,
    body_bytes_max: 1_000,
    ...options,
  })
  ends.push(() => gateway.close())
  return gateway
}

type Answer = (...args: Parameters<RequestListener>) => unknown

/** A host that answers so, and a gateway that may reach it. */
async function host(answer: Answer, options: Partial<GatewayOptions> = {}) {
  const server = createServer((req, res) => void answer(req, res))
  const port = await serve(server)
  const gateway = gatewayTo([`127.0.0.1:${port}`], options)
  const url = `http://127.0.0.1:${port}/`
  const ask = (method: 'GET' | 'POST' = 'GET', body?: string) =>
    gateway.request({ method, url, headers: {}, body })
  return { server, gateway, url, ask }
}

/** Why the gateway did not let this out, or what became of it. */
const ask = (gateway: Gateway, url: string) =>
  gateway.request({ method: 'GET', url, headers: {} }).then(
    () => 'let through',
    (error: unknown) => (error instanceof EgressRefused ? error.refused : String(error)),
  )

const unavailable = (why: BankUnavailable['why']) => ({ name: 'BankUnavailable', why })

describe('what the gateway lets out', () => {
  it('is only what goes to a listed host and port, without credentials in the URL', async () => {
    const gateway = gatewayTo(['bank.example:443', '127.0.0.1:9'])
    expect(await ask(gateway, 'https://other.example/')).toBe('host_not_allowed')
    expect(await ask(gateway, 'https://bank.example:8443/')).toBe('host_not_allowed')
    expect(await ask(gateway, 'http://bank.example/')).toBe('host_not_allowed')
    expect(await ask(gateway, 'https://sub.bank.example/')).toBe('host_not_allowed')
    expect(await ask(gateway, 'https://bank.example.:443/')).toBe('host_not_allowed')
    expect(await ask(gateway, 'https://a:b@bank.example/')).toBe('credentials_in_url')
    expect(await ask(gateway, 'http://127.0.0.1:9/')).toMatch(/ECONNREFUSED/)
  })

  it('is only TLS outside the sandbox', async () => {
    const gateway = gatewayTo(['bank.example:80', 'bank.example:21'], { sandbox: false })
    expect(await ask(gateway, 'http://bank.example/')).toBe('not_https')
    expect(await ask(gateway, 'ftp://bank.example:21/')).toBe('not_https')
  })

  it.each([
    'https://127.0.0.1:7/',
    'https://2130706433:7/',
    'https://0x7f.1:7/',
    'https://0.0.0.0:7/',
    'https://[::1]:7/',
    'https://[::ffff:127.0.0.1]:7/',
    'https://[::ffff:a9fe:a9fe]:7/',
    'https://169.254.169.254:7/',
    'https://10.0.0.1:7/',
    'https://100.64.0.1:7/',
    'https://[fd00:ec2::254]:7/',
    'https://[fe80::1]:7/',
    'https://[64:ff9b::7f00:1]:7/',
  ])('is not a private address outside the sandbox, even when it is listed: %s', async (url) => {
    const gateway = gatewayTo([new URL(url).host], { sandbox: false })
    expect(await ask(gateway, url)).toBe('private_address')
  })

  it('is not a name that leads to a private address, and nothing reaches that address', async () => {
    let reached = 0
    const server = createNetServer((socket) => {
      reached += 1
      socket.destroy()
    })
    const port = await listening(server)
    ends.push(() => void server.close())
    const answers = [['127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['::1']]
    const gateway = gatewayTo([`bank.test:${port}`], {
      sandbox: false,
      resolve: () =>
        Promise.resolve(
          (answers.shift() ?? []).map((address) => ({
            address,
            family: address.includes(':') ? 6 : 4,
          })),
        ),
    })
    for (let i = 0; i < 3; i++)
      expect(await ask(gateway, `https://bank.test:${port}/`)).toBe('private_address')
    expect(await ask(gateway, `https://bank.test:${port}/`)).toMatch(/has no address/)
    expect(reached).toBe(0)
  })

  it('needs an allow-list of host:port', () => {
    for (const entry of ['bank.example', 'https://bank.example:443', 'bank.example:443/x', ''])
      expect(() => gatewayTo([entry])).toThrow(/host:port/)
  })
})

describe('an answer', () => {
  it('comes back whole: status, headers, body', async () => {
    const { gateway, url } = await host(async (req, res) => {
      const body = await req.toArray()
      res.writeHead(201, { 'x-seen': `${req.method} ${String(req.headers['x-sent'])}` })
      res.end(Buffer.concat(body).toString().toUpperCase())
    })
    const answer = await gateway.request({
      method: 'POST',
      url,
      headers: { 'x-sent': 'this' },
      body: 'hello',
    })
    expect(answer).toMatchObject({ status: 201, headers: { 'x-seen': 'POST this' } })
    expect(answer.body.toString()).toBe('HELLO')
  })

  it('that redirects is an answer, and its goal is never asked', async () => {
    const paths: (string | undefined)[] = []
    const { ask } = await host((req, res) => {
      paths.push(req.url)
      res.writeHead(302, { location: '/elsewhere' }).end()
    })
    expect(await ask()).toMatchObject({ status: 302, headers: { location: '/elsewhere' } })
    expect(paths).toEqual(['/'])
  })

  it('may be as large as the limit, and not one byte larger, whether or not it says its length', async () => {
    let bytes = 0
    let chunked = false
    const { ask, gateway, url } = await host((_, res) => {
      if (!chunked) res.setHeader('content-length', bytes)
      res.write('x'.repeat(bytes - 1))
      res.end('x')
    })
    for (chunked of [false, true]) {
      bytes = 1_000
      expect((await ask()).body.length).toBe(1_000)
      bytes = 1_001
      await expect(ask()).rejects.toMatchObject(unavailable('too_large'))
    }
    const request = { method: 'GET', url, headers: {}, body_bytes_max: 1_001 } as const
    expect((await gateway.request(request)).body.length).toBe(1_001)
  })

  it('without an end is cut off at the limit', async () => {
    const outcomes: Promise<string>[] = []
    const { ask } = await host((_, res) => {
      outcomes.push(
        finished(res).then(
          () => 'sent',
          () => 'cut off',
        ),
      )
      const more = () => {
        while (res.write('x'.repeat(100)));
      }
      res.on('drain', more)
      more()
    })
    await expect(ask()).rejects.toMatchObject(unavailable('too_large'))
    expect(await Promise.all(outcomes)).toEqual(['cut off'])
  })

  it('that is compressed is refused, since its size was not counted', async () => {
    const { ask } = await host((req, res) => {
      res.setHeader('content-encoding', 'gzip').end(req.headers['accept-encoding'])
    })
    await expect(ask()).rejects.toMatchObject(unavailable('bad_answer'))
  })

  it.each(['no headers', 'no body'])('that never comes is given up: %s', async (missing) => {
    const answer: Answer = (_, res) => {
      if (missing === 'no body') res.writeHead(200).write('x')
    }
    const idle = await host(answer, { idle_ms: 20 })
    await expect(idle.ask()).rejects.toMatchObject(unavailable('timeout'))
    const total = await host(answer, { timeout_ms: 20 })
    await expect(total.ask()).rejects.toMatchObject(unavailable('timeout'))
  })

  it('that drips is given up in the end, though it never falls silent', async () => {
    const { ask } = await host(
      (_, res) => {
        const drip = setInterval(() => res.write('x'), 5)
        res.on('close', () => clearInterval(drip))
      },
      { timeout_ms: 100, idle_ms: 10_000, body_bytes_max: 1_000_000 },
    )
    await expect(ask()).rejects.toMatchObject(unavailable('timeout'))
  })

  it('is not waited for when the caller gives up', async () => {
    const { gateway, url } = await host(() => undefined)
    const controller = new AbortController()
    const asked = gateway.request({
      method: 'GET',
      url,
      headers: {},
      signal: controller.signal,
    })
    controller.abort()
    await expect(asked).rejects.toMatchObject(unavailable('timeout'))
  })

  it.each([
    ['is not HTTP', 'hello\r\n\r\n', 'bad_answer'],
    ['ends before its length', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', 'unreachable'],
    [
      'has two lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx',
      'bad_answer',
    ],
  ] as const)('that %s is no answer', async (_, bytes, why) => {
    const server = createNetServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.end(bytes))
    })
    const port = await listening(server)
    ends.push(() => void server.close())
    const gateway = gatewayTo([`127.0.0.1:${port}`])
    const asked = gateway.request({ method: 'GET', url: `http://127.0.0.1:${port}/`, headers: {} })
    await expect(asked).rejects.toMatchObject(unavailable(why))
  })
})

describe('connections', () => {
  it('are kept and used again', async () => {
    const { server, ask } = await host((_, res) => void res.end('x'))
    let connections = 0
    server.on('connection', () => (connections += 1))
    for (let i = 0; i < 5; i++) await ask()
    expect(connections).toBe(1)
  })

  it('that died while idle cost a GET nothing, and are not tried twice with a POST', async () => {
    const sockets = new Set<Socket>()
    const { server, ask } = await host((req, res) => {
      // The first request of a connection is answered, the second meets a closed door.
      if (sockets.has(req.socket)) req.socket.resetAndDestroy()
      else res.end('x')
      sockets.add(req.socket)
    })
    let connections = 0
    server.on('connection', () => (connections += 1))
    await ask()
    expect((await ask()).status).toBe(200)
    expect(connections).toBe(2)
    await expect(ask('POST', 'x')).rejects.toMatchObject(unavailable('unreachable'))
    expect(connections).toBe(2)
  })

  it('end with the gateway', async () => {
    const { gateway, ask } = await host((_, res) => void res.end('x'))
    await ask()
    const asked = ask()
    gateway.close()
    await expect(asked).rejects.toBeInstanceOf(BankUnavailable)
  })
})

/** A host with TLS, and how to ask it through a gateway with these credentials. */
async function tlsHost(options: ServerOptions) {
  const server = createTlsServer({ ...certificate, ...options }, (_, res) => void res.end('x'))
  const port = await serve(server)
  return (tls?: GatewayOptions['tls']) => {
    const gateway = gatewayTo([`127.0.0.1:${port}`], tls ? { tls } : {})
    const url = `https://127.0.0.1:${port}/`
    return gateway.request({ method: 'GET', url, headers: {} })
  }
}

describe('TLS', () => {
  const { cert: ca } = certificate

  it('is with hosts whose certificate can be traced to an authority that we trust', async () => {
    const ask = await tlsHost({})
    expect(await ask({ ca })).toMatchObject({ status: 200 })
    await expect(ask()).rejects.toMatchObject(unavailable('unreachable'))
  })

  it('shows our certificate to a host that asks for it', async () => {
    const ask = await tlsHost({ ca, requestCert: true, rejectUnauthorized: true })
    expect(await ask({ ca, ...certificate })).toMatchObject({ status: 200 })
    await expect(ask({ ca })).rejects.toMatchObject(unavailable('unreachable'))
  })
})
