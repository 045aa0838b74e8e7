import type { Server } from 'node:http'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { makeCertificate, named, type Certified } from '../../sandbox/certificates.ts'
import { createMtlsServer, createServer } from '../../src/http/server.ts'
import { openLog } from '../../src/observe/log.ts'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { listening } from '../support/listening.ts'
import { callTls, serverCertificate } from '../support/tls_caller.ts'

/** The proxy calls from here; everybody else from 127.0.0.1. */
const proxyAddress = '127.0.0.2'
const authority = makeCertificate({ subject: named('Authority'), usage: 'authority' })
const certificate = makeCertificate(
  { subject: named('client'), dns: ['client.example'] },
  authority,
)
const ofAnother = makeCertificate({ subject: named('other'), dns: ['other.example'] }, authority)

let server: AuthorizationApp
let plain: Server
let encrypted: Server
let ports: { readonly plain: number; readonly encrypted: number }
let client: TestClient

beforeAll(async () => {
  const proxies = { header: 'client-cert', have: (address: string) => address === proxyAddress }
  server = await authorizationApp({ mtls: { authorities: [authority.x509], proxies } })
  const { broker, authorization } = server
  const log = openLog('silent')
  plain = createServer(broker, authorization, log)
  encrypted = createMtlsServer(broker, authorization, log, { tls: serverCertificate })
  ports = { plain: await listening(plain), encrypted: await listening(encrypted) }
  client = await server.client({
    security: {
      authentication: {
        method: 'tls_client_auth',
        subject: { type: 'san_dns', value: 'client.example' },
      },
      binding: 'mtls',
    },
    scopes: ['grant_management_query'],
  })
})

afterAll(async () => {
  plain.close()
  encrypted.close()
  await server.close()
})

const passed = ({ x509 }: Certified) => `:${x509.raw.toString('base64')}:`

interface Sent {
  readonly from?: string
  readonly header?: string | string[]
  readonly path?: string
  readonly token?: string
}

/** A call without TLS, as a proxy makes it. */
function call({ from = proxyAddress, header, token }: Sent) {
  return new Promise<{ status: number; body: Record<string, unknown> }>((resolve, reject) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port: ports.plain, localAddress: from, agent: false },
        ...(token === undefined
          ? { method: 'POST', path: '/oauth/token' }
          : { path: '/oauth/grants/first-bank.x' }),
        headers: {
          ...(token === undefined
            ? { 'content-type': 'application/x-www-form-urlencoded' }
            : { authorization: `Bearer ${token}` }),
          ...(header === undefined ? {} : { 'client-cert': header }),
        },
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            body: text.startsWith('{') ? JSON.parse(text) : {},
          }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(token === undefined ? new URLSearchParams(own()).toString() : undefined)
  })
}

const own = () => ({
  client_id: client.id,
  grant_type: 'client_credentials',
  scope: 'grant_management_query',
})

describe('behind a proxy that ends TLS', () => {
  it('the certificate in its header authenticates, and is what tokens are bound to', async () => {
    const { status, body } = await call({ header: passed(certificate) })
    expect({ status, type: body['token_type'] }).toEqual({ status: 200, type: 'Bearer' })
    const token = String(body['access_token'])
    expect((await call({ token, header: passed(certificate) })).status).toBe(404)
    expect((await call({ token, header: passed(ofAnother) })).status).toBe(401)
    expect((await call({ token })).status).toBe(401)
  })

  it('the header is ignored from any other address, whatever it claims to forward', async () => {
    expect((await call({ from: '127.0.0.1', header: passed(certificate) })).status).toBe(401)
    const { body } = await call({ header: passed(certificate) })
    const token = String(body['access_token'])
    const stolen = { token, from: '127.0.0.1', header: passed(certificate) }
    expect((await call(stolen)).status).toBe(401)
    // What is no certificate is no fault there: nobody looks at it.
    expect((await call({ from: '127.0.0.1', header: 'garbage' })).status).toBe(401)
  })

  it('a certificate of another client, or none, does not authenticate', async () => {
    expect((await call({ header: passed(ofAnother) })).status).toBe(401)
    expect((await call({})).status).toBe(401)
  })

  it('the chain is checked here too: what the proxy lets through need not be trusted', async () => {
    const selfMade = makeCertificate({ subject: named('client'), dns: ['client.example'] })
    expect((await call({ header: passed(selfMade) })).status).toBe(401)
    const expired = makeCertificate(
      {
        ...{ subject: named('client'), dns: ['client.example'] },
        notAfter: new Date(Date.now() - 60_000),
      },
      authority,
    )
    expect((await call({ header: passed(expired) })).status).toBe(401)
  })

  it.each<[string, () => string | string[]]>([
    ['PEM', () => encodeURIComponent(certificate.cert)],
    ['base64 without its colons', () => certificate.x509.raw.toString('base64')],
    ['a byte sequence with a parameter', () => `${passed(certificate)};a=1`],
    ['a list of two', () => `${passed(certificate)}, ${passed(certificate)}`],
    ['the header twice', () => [passed(certificate), passed(certificate)]],
    ['bytes that are no certificate', () => ':AAAA:'],
    ['no bytes', () => '::'],
    [
      'a certificate cut short',
      () => `:${certificate.x509.raw.subarray(0, 200).toString('base64')}:`,
    ],
    ['nothing', () => ''],
  ])('%s in its header is an error', async (_, header) => {
    const { status, body } = await call({ header: header() })
    expect({ status, error: body['error'] }).toEqual({ status: 400, error: 'invalid_request' })
  })

  it('its own certificate, on the connection to us, is never the client’s', async () => {
    const asked = (header?: string) =>
      callTls(ports.encrypted, '/oauth/token', {
        form: own(),
        as: certificate,
        headers: { 'client-cert': header },
        options: { localAddress: proxyAddress },
      })
    expect((await asked()).status).toBe(401)
    expect((await asked(passed(ofAnother))).status).toBe(401)
    expect((await asked(passed(certificate))).status).toBe(200)
  })

  it('with no header named, it passes on no certificate, and its own is still not the client’s', async () => {
    const { broker, authorization } = server
    const proxies = { have: (address: string) => address === proxyAddress }
    const mtls = { ...authorization.mtls, proxies }
    const unnamed = createMtlsServer(broker, { ...authorization, mtls }, openLog('silent'), {
      tls: serverCertificate,
    })
    const port = await listening(unnamed)
    const asked = (localAddress: string, header: Certified) =>
      callTls(port, '/oauth/token', {
        ...{ form: own(), as: certificate, headers: { 'client-cert': passed(header) } },
        options: { localAddress },
      })
    expect((await asked(proxyAddress, certificate)).status).toBe(401)
    expect((await asked('127.0.0.1', ofAnother)).status).toBe(200)
    unnamed.close()
  })

  it('for everybody else the connection’s certificate counts, and not the header', async () => {
    const asked = (as: Certified, header: Certified) =>
      callTls(ports.encrypted, '/oauth/token', {
        ...{ form: own(), as, headers: { 'client-cert': passed(header) } },
      })
    expect((await asked(ofAnother, certificate)).status).toBe(401)
    expect((await asked(certificate, ofAnother)).status).toBe(200)
  })
})
