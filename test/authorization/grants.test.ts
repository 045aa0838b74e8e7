import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { findPushedRequest } from '../../src/storage/pushed_requests.ts'
import {
  authorizationApp,
  type AuthorizationApp,
  type TestClient,
} from '../support/authorization_app.ts'
import { replayLedger } from '../support/test_broker.ts'

const scopes = ['grant_management_query', 'grant_management_revoke']
let server: AuthorizationApp
let recipient: TestClient
let query: string
let revoke: string

beforeAll(async () => {
  server = await authorizationApp()
  recipient = await server.client({ scopes })
  query = await ownToken(recipient, 'grant_management_query')
  revoke = await ownToken(recipient, 'grant_management_revoke')
})
afterAll(() => server.close())

async function ownToken(client: TestClient, scope: string): Promise<string> {
  const { body } = await client.token({ grant_type: 'client_credentials', scope }).expect(200)
  return body.access_token
}

async function granted(client = recipient) {
  const { body } = await client.redeem(await client.code()).expect(200)
  return body
}

describe('a grant', () => {
  it('shows itself to its client, by scope or by its own token', async () => {
    const { grant_id, access_token, scope, authorization_details } = await granted()
    for (const token of [query, access_token]) {
      const { body, headers } = await recipient
        .call('get', `/oauth/grants/${grant_id}`, token)
        .expect(200)
      expect(headers['cache-control']).toBe('no-store')
      expect(body).toEqual({
        scopes: [{ scope, resource: [`${server.broker.issuer}/fdx/v6`] }],
        authorization_details,
        last_updated: expect.any(Number),
        expires_at: body.last_updated + 90 * 86_400,
      })
    }
  })

  it('shows itself to no token of another consent, and to no token without the scope', async () => {
    const [one, other] = [await granted(), await granted()]
    const { body, headers } = await recipient
      .call('get', `/oauth/grants/${one.grant_id}`, other.access_token)
      .expect(403)
    expect(body.error).toBe('insufficient_scope')
    expect(headers['www-authenticate']).toMatch(
      /^DPoP error="insufficient_scope", scope="grant_management_query"/,
    )
    await recipient.call('get', `/oauth/grants/${one.grant_id}`, revoke).expect(403)
    await recipient.call('delete', `/oauth/grants/${one.grant_id}`, query).expect(403)
    await recipient.call('delete', `/oauth/grants/${one.grant_id}`, one.access_token).expect(403)
  })

  it('is not there for another client, which can neither see nor end it', async () => {
    const other = await server.client({ scopes })
    const { grant_id } = await granted()
    for (const [method, scope] of [
      ['get', 'grant_management_query'],
      ['delete', 'grant_management_revoke'],
    ] as const) {
      const token = await ownToken(other, scope)
      const { body } = await other.call(method, `/oauth/grants/${grant_id}`, token).expect(404)
      expect(body.error).toBe('invalid_grant_id')
    }
    await recipient.call('get', `/oauth/grants/${grant_id}`, query).expect(200)
  })

  it.each(['nonsense', `no-bank.${'x'.repeat(22)}`, `first-bank.${'x'.repeat(22)}`])(
    'that is not known (%s) is not there',
    async (id) => {
      await recipient.call('get', `/oauth/grants/${id}`, query).expect(404)
      await recipient.call('delete', `/oauth/grants/${id}`, revoke).expect(404)
    },
  )

  it('is not there before it is granted, and can be withdrawn then', async () => {
    const { body } = await recipient.push().expect(201)
    const { db, vault } = server.broker
    const named = { clientId: recipient.id, requestUri: String(body.request_uri) }
    const id = (await findPushedRequest(db, vault, named))?.consentId ?? ''
    await recipient.call('get', `/oauth/grants/${id}`, query).expect(404)
    await recipient.call('delete', `/oauth/grants/${id}`, revoke).expect(204)
    const [row] = await server.rows(`select state from consents where id = '${id}'`)
    expect(row?.['state']).toBe('declined')
  })

  it('is revoked once, however often its client revokes it', async () => {
    const { grant_id, refresh_token, access_token } = await granted()
    for (let time = 0; time < 3; time++) {
      const { text } = await recipient
        .call('delete', `/oauth/grants/${grant_id}`, revoke)
        .expect(204)
      expect(text).toBe('')
    }
    await recipient.call('get', `/oauth/grants/${grant_id}`, access_token).expect(404)
    await recipient.call('get', `/oauth/grants/${grant_id}`, query).expect(404)
    await recipient.token({ grant_type: 'refresh_token', refresh_token }).expect(400)
    const replay = await replayLedger(server.broker, server.bank)
    expect(replay.totals['revocations']).toBe(1)
    expect(replay.consents.get(grant_id)).toMatchObject({
      state: 'revoked',
      ended: { by: 'recipient' },
    })
  })

  it('asks for a token', async () => {
    const { body, headers } = await recipient
      .call('get', '/oauth/grants/x', query)
      .unset('Authorization')
      .expect(401)
    expect(body.error).toBe('invalid_token')
    expect(headers['www-authenticate']).toMatch(/^DPoP /)
  })
})
