import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import supertest, { type Response } from 'supertest'
import { openValidators, readDocument, schemaAt } from '../../src/http/contract.ts'
import { authorizationApp, type AuthorizationApp } from '../support/authorization_app.ts'
import { contractCheck } from '../support/contract_check.ts'

let oauth: AuthorizationApp
const check = contractCheck()

beforeAll(async () => {
  oauth = await authorizationApp()
})

afterAll(() => oauth.close())

/** Holds an answer against openapi.yaml. */
const kept =
  (method: string, path: string) =>
  ({ status, type, headers, body }: Response) =>
    check(method, path, { status, type, headers, body })

describe('the answers of the authorization server are those of openapi.yaml', () => {
  it.each([
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-protected-resource/fdx/v6',
    '/.well-known/oauth-protected-resource',
    '/oauth/jwks',
  ])('at %s', async (path) => {
    await supertest(oauth.app).get(path).expect(200).expect(kept('get', path))
    await supertest(oauth.app).post(path).expect(405).expect(kept('get', path))
  })

  it('to pushed requests, good and bad', async () => {
    const client = await oauth.client()
    const keeps = kept('post', '/oauth/par')
    await client.push().expect(201).expect(keeps)
    await client.pushObject(client.requestObject()).expect(201).expect(keeps)
    await client.pushObject('none').expect(400).expect(keeps)
    await client.push({ response_type: 'token' }).expect(400).expect(keeps)
    await client.push({ client_assertion: 'none' }).expect(401).expect(keeps)
    await client
      .push({ state: 'x'.repeat(64 * 1024) })
      .expect(413)
      .expect(keeps)
    const ads = await oauth.client({ class: 'advertising' })
    const { body } = await ads.push().expect(400).expect(keeps)
    expect(body.error).toBe('access_denied')
  })

  it('to requests for tokens, good and bad', async () => {
    const client = await oauth.client({ scopes: ['grant_management_query'] })
    const keeps = kept('post', '/oauth/token')
    const { body } = await client
      .redeem(await client.code())
      .expect(200)
      .expect(keeps)
    const { refresh_token } = body
    await client.token({ grant_type: 'refresh_token', refresh_token }).expect(200).expect(keeps)
    const scope = 'grant_management_query'
    await client.token({ grant_type: 'client_credentials', scope }).expect(200).expect(keeps)
    await client.redeem('first-bank.unknown').expect(400).expect(keeps)
    await client.token({ grant_type: 'password' }).expect(400).expect(keeps)
    await client.token({ client_assertion: 'none' }).expect(401).expect(keeps)
    const proof = client.proof({ claims: { nonce: undefined } })
    const nonce = await client.token({ grant_type: 'x' }, { DPoP: proof }).expect(400).expect(keeps)
    expect(nonce.body.error).toBe('use_dpop_nonce')
    expect(nonce.headers).toHaveProperty('dpop-nonce')
  })

  it('about tokens, and to their revocation', async () => {
    const client = await oauth.client({ scopes: ['grant_management_query'] })
    const resourceServer = await oauth.client({ kind: 'resource_server' })
    const { body } = await client.redeem(await client.code()).expect(200)
    const scope = 'grant_management_query'
    const own = await client.token({ grant_type: 'client_credentials', scope }).expect(200)
    const told = kept('post', '/oauth/introspect')
    const ended = kept('post', '/oauth/revoke')
    const tokens = [body.access_token, body.refresh_token, own.body.access_token]
    for (const token of [...tokens, 'none']) {
      await client.introspect(token).expect(200).expect(told)
      await resourceServer.introspect(token).expect(200).expect(told)
      const Accept = 'application/token-introspection+jwt'
      await client.introspect(token, {}, { Accept }).expect(200).expect(told)
      await client.introspect(token, {}, { DPoP: 'none' }).expect(400).expect(told)
      await client.introspect(token, { client_assertion: 'none' }).expect(401).expect(told)
      await client.end(token, { client_assertion: 'none' }).expect(401).expect(ended)
      await client.end(token).expect(200).expect(ended)
    }
    await client.post('/oauth/introspect', {}).expect(400).expect(told)
    const other = oauth.authorization.keys.sign('token-introspection+jwt', {})
    await client.end(other).expect(400).expect(ended)
    for (const path of ['/oauth/introspect', '/oauth/revoke']) {
      const long = { token: 'x'.repeat(64 * 1024) }
      await client.post(path, long).expect(413).expect(kept('post', path))
      await supertest(oauth.app).get(path).expect(405).expect(kept('post', path))
    }
  })

  it('about grants, one’s own and others', async () => {
    const scopes = ['grant_management_query', 'grant_management_revoke']
    const client = await oauth.client({ scopes })
    const { body: granted } = await client.redeem(await client.code()).expect(200)
    const { body: own } = await client.token({
      ...{ grant_type: 'client_credentials', scope: scopes.join(' ') },
    })
    const path = `/oauth/grants/${granted.grant_id}`
    const call = (method: 'get' | 'delete', at = path, token = own.access_token) =>
      client.call(method, at, token).expect(kept(method, at))
    await call('get').expect(200)
    await call('get', path, granted.access_token).expect(200)
    await call('delete', path, granted.access_token).expect(403)
    await call('get', `${path}x`).expect(404)
    await call('get', path, 'no.good.token').expect(401)
    await call('delete').expect(204)
    await call('delete').expect(204)
    await call('get').expect(404)
    await supertest(oauth.app).put(path).expect(405).expect(kept('get', path))
    const code = await client.code()
    const { body: revoked } = await client.redeem(code).expect(200)
    await client.redeem(code).expect(400)
    const { headers } = await call(
      'get',
      `/oauth/grants/${revoked.grant_id}`,
      revoked.access_token,
    ).expect(401)
    expect(headers['www-authenticate']).toMatch(/^DPoP error="invalid_token"/)
  })
})

it('takes the authorization details that openapi.yaml describes, and refuses the others', async () => {
  const client = await oauth.client()
  const described = openValidators(readDocument()).compile(
    schemaAt('components', 'schemas', 'AuthorizationDetails'),
  )
  const page_id = `page.${client.id}`
  const changes = [
    {},
    { profile: { page_id, psid: '2', display_name: 'A' } },
    { delivery: undefined },
    { delivery: 'by_post' },
    { purpose: 'marketing' },
    { bank: undefined },
    { bank: 'First Bank' },
    { colour: 'red' },
    { profile: { page_id, psid: '2', display_name: '' } },
    { profile: { page_id, psid: '2', display_name: 'A', email: 'a@b.example' } },
    { type: 'payment_initiation' },
  ]
  for (const change of changes) {
    const details = [JSON.parse(JSON.stringify(client.details(change)))]
    const { status } = await client.push({ authorization_details: JSON.stringify(details) })
    expect({ change, taken: status === 201 }).toEqual({ change, taken: described(details) })
  }
})
