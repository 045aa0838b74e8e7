import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { memoryCounters } from '../../src/storage/rate_counters.ts'
import { authorizationApp, type AuthorizationApp } from '../support/authorization_app.ts'
import { contractCheck } from '../support/contract_check.ts'

const scopes = ['grant_management_query']
let oauth: AuthorizationApp

beforeAll(async () => {
  oauth = await authorizationApp({
    limiting: { counter: memoryCounters(), budgets: { calls: { client: 3 } } },
  })
})

afterAll(() => oauth.close())

it('counts a client once it has shown who it is, at PAR and the token endpoint together', async () => {
  const client = await oauth.client({ scopes })
  const token = () => client.token({ grant_type: 'client_credentials', scope: scopes[0] })
  const { headers } = await client.push().expect(201)
  expect(headers['ratelimit']).toBe('"calls-client";r=2;t=60')
  await token().expect(200)
  await client.push({ response_type: 'token' }).expect(400)
  const check = contractCheck()
  const refused = await token()
    .expect(429)
    .expect(({ status, type, headers, body }) =>
      check('post', '/oauth/token', { status, type, headers, body }),
    )
  expect(refused.body.error).toBe('too_many_requests')
  expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60)
  await client.push().expect(429)
})

it('holds a client’s count against no other', async () => {
  const other = await oauth.client()
  await other.push().expect(201)
})

it('counts nobody for what another sends in its name', async () => {
  const client = await oauth.client()
  const other = await oauth.client()
  for (let i = 0; i < 4; i++)
    await other.push({ client_id: client.id, client_assertion: 'x'.repeat(100) }).expect(401)
  await client.push().expect(201)
})

it('lets a client end its tokens when it has used up everything else', async () => {
  const client = await oauth.client()
  const { body } = await client.redeem(await client.code()).expect(200)
  while ((await client.push()).status !== 429);
  for (const token of [body.access_token, body.refresh_token]) await client.end(token).expect(200)
})
