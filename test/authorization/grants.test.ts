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
        created_at: body.last_updated,
        last_updated: expect.any(Number),
        updated_by: 'client',
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

describe('a grant that is replaced', () => {
  const balances = {
    consentRequest: {
      ...{ durationType: 'TIME_BOUND', durationPeriod: 30, lookbackPeriod: 7 },
      resources: [{ resourceType: 'ACCOUNT', dataClusters: ['BALANCES'] }],
    },
  }
  const replacing = (grant_id: string) => ({ grant_management_action: 'replace', grant_id })

  it('keeps its id, has the new terms and tokens of its own, and its refresh tokens end', async () => {
    const customer = 'ann'
    const { body: before } = await recipient.redeem(await recipient.code({ customer })).expect(200)
    server.advance(1)
    const { body: shown } = await recipient
      .call('get', `/oauth/grants/${before.grant_id}`, query)
      .expect(200)
    const code = await recipient.code({
      ...{ customer, details: { ...balances, delivery: 'link_out' } },
      form: replacing(before.grant_id),
    })
    const { body: after } = await recipient.redeem(code).expect(200)
    expect(after).toMatchObject({
      ...{ grant_id: before.grant_id, scope: 'fdx:balances:read' },
      authorization_details: [
        {
          ...{ type: 'fdx_v1.0', consentId: before.grant_id, delivery: 'link_out' },
          consentRequest: {
            ...{ durationPeriod: 30, lookbackPeriod: 7 },
            resources: [
              { dataClusters: ['BALANCES'], resourceId: expect.any(String) },
              { dataClusters: ['BALANCES'], resourceId: expect.any(String) },
            ],
          },
        },
      ],
    })
    const refresh = (refresh_token: string) =>
      recipient.token({ grant_type: 'refresh_token', refresh_token })
    const { body: ended } = await refresh(before.refresh_token).expect(400)
    expect(ended.error).toBe('invalid_grant')
    await refresh(after.refresh_token).expect(200)

    const { body } = await recipient
      .call('get', `/oauth/grants/${before.grant_id}`, query)
      .expect(200)
    expect(body).toMatchObject({ created_at: shown.created_at, updated_by: 'client' })
    expect(body.authorization_details).toEqual(after.authorization_details)
    const replay = await replayLedger(server.broker, server.bank)
    expect(replay.consents.get(before.grant_id)).toMatchObject({ state: 'active' })
  })

  it('takes with it the codes that were issued for the terms before', async () => {
    const customer = 'cleo'
    const { body: before } = await recipient.redeem(await recipient.code({ customer })).expect(200)
    const form = replacing(before.grant_id)
    const earlier = await recipient.code({ customer, form })
    const later = await recipient.code({ customer, form, details: balances })
    expect((await recipient.redeem(earlier).expect(400)).body.error).toBe('invalid_grant')
    const { body: after } = await recipient.redeem(later).expect(200)
    expect(after).toMatchObject({ grant_id: before.grant_id, scope: 'fdx:balances:read' })
  })

  it.each(['unknown', 'foreign', 'ended', 'past its end', 'only asked for'])(
    'is not one that is %s',
    async (which) => {
      const grant_id = await grantThatIs(which)
      const { body } = await recipient.push(replacing(grant_id)).expect(400)
      expect(body).toEqual({
        error: 'invalid_grant_id',
        error_description: 'no active grant of this client',
      })
    },
  )

  async function grantThatIs(which: string): Promise<string> {
    if (which === 'unknown') return `first-bank.${'x'.repeat(22)}`
    if (which === 'foreign') return (await granted(await server.client())).grant_id
    if (which === 'only asked for') {
      const { body } = await recipient.push().expect(201)
      const { db, vault } = server.broker
      const named = { clientId: recipient.id, requestUri: String(body.request_uri) }
      return (await findPushedRequest(db, vault, named))?.consentId ?? ''
    }
    const { grant_id } = await granted()
    const past = `jsonb_set(terms, '{expires}', '"2026-01-01T00:00:00.000Z"')`
    if (which === 'past its end')
      await server.rows(`update consents set terms = ${past} where id = '${grant_id}'`)
    else await recipient.call('delete', `/oauth/grants/${grant_id}`, revoke).expect(204)
    return grant_id
  }

  it('is at the bank that is asked', async () => {
    const { grant_id } = await granted()
    const authorization_details = JSON.stringify([recipient.details({ bank: 'other-bank' })])
    const { body } = await recipient
      .push({ ...replacing(grant_id), authorization_details })
      .expect(400)
    expect(body.error).toBe('invalid_authorization_details')
  })
})
