import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { makeCertificate, named } from '../../sandbox/certificates.ts'
import { freePorts } from '../../sandbox/free_ports.ts'
import { openLedger } from '../../src/broker/open_ledger.ts'
import { serve, type Serving } from '../../src/main.ts'
import { callTls, serverCertificate } from '../support/tls_caller.ts'
import { operator, type Operator } from './operator.ts'

let at: Operator
let serving: Serving
let ports: { readonly browsers: number; readonly certificates: number }

beforeAll(async () => {
  at = await operator()
  for (const { id } of at.banks) await openLedger(at.broker, id)
  const port = await freePorts(2)
  ports = { browsers: port, certificates: port + 1 }
  serving = await serve({
    ...at.config,
    port,
    tls: serverCertificate,
    mtls: { origin: 'https://mtls.broker.example', port: port + 1, authorities: [] },
  })
})

afterAll(async () => {
  await serving.close()
  await at.close()
})

it('serves https at both ports, and the pages at the first alone', async () => {
  const pages = await callTls(ports.browsers, '/policy')
  expect(pages.status).toBe(200)
  expect(pages.headers['strict-transport-security']).toBeDefined()
  expect((await callTls(ports.certificates, '/policy')).status).toBe(404)
  const { body } = await callTls(ports.certificates, '/.well-known/oauth-authorization-server')
  expect(body['mtls_endpoint_aliases']).toBeDefined()
})

it('asks for a certificate at the second port and nowhere else', async () => {
  const as = makeCertificate({ subject: named('client') })
  const form = { client_id: 'nobody', grant_type: 'client_credentials' }
  const said = async (port: number) =>
    (await callTls(port, '/oauth/token', { as, form })).body['error_description']
  // The one sees no certificate; the other sees it, and knows no such client.
  expect(await said(ports.browsers)).toMatch(/^a client authenticates with/)
  expect(await said(ports.certificates)).toMatch(/not by this certificate$/)
})
