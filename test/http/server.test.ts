import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { openAuthorization } from '../../src/authorization/authorization.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { createServer } from '../../src/http/server.ts'
import { openLog, type RequestEvent } from '../../src/observe/log.ts'
import { newSigner } from '../support/jwt.ts'
import { testBroker } from '../support/test_broker.ts'

const events: RequestEvent[] = []
let server: Server

beforeAll(async () => {
  const broker = await testBroker('postgres://nobody@127.0.0.1:1/none', { banks: [] })
  await broker.close() // what is asked here needs no database
  const authorization = openAuthorization(broker, {
    keys: tokenKeysOf([newSigner('ES256').privateJwk]),
    nonceKey: randomBytes(32),
  })
  const log = { ...openLog('silent'), request: (event: RequestEvent) => void events.push(event) }
  server = createServer(broker, authorization, log).listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(() => void server.close())

it('takes headers of up to 16 KiB', async () => {
  const get = (bytes: number) =>
    supertest(server).get('/oauth/jwks').set('colour', 'x'.repeat(bytes))
  await get(15 * 1024).expect(200)
  await get(16 * 1024).expect(431)
})

it('gives slow clients and idle connections an end', () => {
  expect(server).toMatchObject({
    ...{ headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 },
  })
})

it('logs each request once, under the route and not the path', async () => {
  events.length = 0
  await supertest(server).get('/oauth/jwks?token=secret').expect(200)
  await supertest(server).get('/secret/path').expect(404)
  expect(events).toMatchObject([
    { method: 'GET', route: '/oauth/jwks', status: 200 },
    { method: 'GET', route: 'none', status: 404 },
  ])
  expect(events.every(({ duration_ms, cut }) => duration_ms >= 0 && cut === undefined)).toBe(true)
  expect(JSON.stringify(events)).not.toContain('secret')
})
