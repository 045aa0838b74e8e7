import { EventEmitter, once } from 'node:events'
import type { Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, expect, it } from '@jest/globals'
import express from 'express'
import supertest from 'supertest'
import type { Released } from '../../src/broker/release.ts'
import { problems } from '../../src/http/problem.ts'
import { sendReleased } from '../../src/http/send_released.ts'

const released: Released = {
  body: '{"name":"Zoë"}',
  n: 7,
  hash: new Uint8Array(32),
  at: '2026-01-01T00:00:00.000Z',
  deadline: Infinity,
}

const appOf = (change: () => Partial<Released>) =>
  express()
    .get('/', (_req, res) => sendReleased(res, { ...released, ...change() }))
    .use(problems('https://broker.example'))

let server: Server | undefined

afterEach(() => {
  server?.close()
  server?.closeAllConnections()
})

it('sends the body that was released, byte for byte, with its entry', async () => {
  const answer = await supertest(appOf(() => ({ deadline: performance.now() + 2_000 }))).get('/')
  expect(answer.text).toBe(released.body)
  expect(answer.headers).toMatchObject({
    'content-length': String(Buffer.byteLength(released.body)),
    'countersign-entry': '7 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  })
})

it('sends nothing of an answer whose time is over', async () => {
  const answer = await supertest(appOf(() => ({ deadline: performance.now() - 1 }))).get('/')
  expect(answer.status).toBe(503)
  expect(answer.body.code).toBe('answer_too_late')
  expect(answer.headers).not.toHaveProperty('countersign-entry')
})

it('drops what the other side has not taken when the time is over', async () => {
  const body = 'x'.repeat(64 * 1024 * 1024)
  const sent = new EventEmitter()
  server = express()
    .get('/', (_req, res) => {
      res.once('close', () => sent.emit('closed'))
      sendReleased(res, { ...released, body, deadline: performance.now() + 200 })
    })
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: broker.example\r\n\r\n') // and reads nothing for now
  await once(sent, 'closed')
  let taken = 0
  socket.on('data', (chunk) => (taken += chunk.length))
  await once(socket, 'close')
  expect(taken).toBeLessThan(body.length)
})
