import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { metadata } from '../../src/authorization/metadata.ts'
import { apiApp, bank, type ApiApp } from '../support/api_app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

const issuer = 'https://broker.example'
const well_known = '/.well-known/oauth-protected-resource'

let database: TestDatabase
let api: ApiApp

beforeAll(async () => {
  database = await testDatabase()
  api = await apiApp(database.serviceUrl)
})

afterAll(async () => {
  await api.close()
  await database.drop()
})

describe('protected resource metadata', () => {
  it('is at the path that RFC 9728 §3.1 gives the identifier, and names it', async () => {
    const { body, headers } = await api.call('get', `${well_known}/fdx/v6`).expect(200)
    expect(body).toMatchObject({
      resource: `${issuer}/fdx/v6`,
      authorization_servers: [issuer],
      authorization_details_types_supported: ['fdx_v1.0'],
      bearer_methods_supported: ['header'],
    })
    expect(headers['cache-control']).toBe('public, max-age=300')
    expect(body.scopes_supported.every((scope: string) => scope.startsWith('fdx:'))).toBe(true)
  })

  it('is there for what clients do for themselves too', async () => {
    const { body } = await api.call('get', well_known).expect(200)
    expect(body.resource).toBe(issuer)
    expect(body.scopes_supported).toContain('registry:read')
    expect(metadata({ issuer, mtls: { authorities: [] } }).protected_resources).toEqual([
      `${issuer}/fdx/v6`,
      issuer,
    ])
  })

  it.each([
    ['data', '/fdx/v6/accounts', '/fdx/v6'],
    ['a consent', '/fdx/v6/consents/first-bank.x', '/fdx/v6'],
    ['the entries of a ledger', `/ledger/${bank}/tile/entries/000.p/1`, ''],
    ['a grant', '/oauth/grants/x', ''],
  ])('is where the challenge at %s points to', async (_, path, resource) => {
    const { headers } = await api.call('get', path).expect(401)
    const named = /resource_metadata="([^"]+)"/.exec(headers['www-authenticate'] ?? '')?.[1] ?? ''
    expect(named).toBe(`${issuer}${well_known}${resource}`)
    const { body } = await api.call('get', new URL(named).pathname).expect(200)
    expect(body.resource).toBe(issuer + resource)
  })

  it('is where the challenges of deliveries, and of a token that falls short, point to', async () => {
    const unauthenticated = await api.call('post', '/deliveries').expect(401)
    expect(unauthenticated.headers['www-authenticate']).toContain(`${well_known}/fdx/v6"`)
    const short = await api
      .call('get', '/oauth/grants/x', api.clientToken('messenger', 'ledger:read'))
      .expect(403)
    expect(short.headers['www-authenticate']).toMatch(
      /scope="grant_management_query".*protected-resource", Bearer /,
    )
  })

  it('names a policy that a person can read, and that leads to the proof', async () => {
    const { body } = await api.call('get', `${well_known}/fdx/v6`)
    const page = new URL(body.resource_policy_uri).pathname
    const { text, headers } = await supertest(api.app).get(page).expect(200)
    expect(text).toContain('Never for advertising. Never to third')
    expect(text).toContain(`href="/ledger/${bank}/summary"`)
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['x-frame-options']).toBe('DENY')
  })
})
