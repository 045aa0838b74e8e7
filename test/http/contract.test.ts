import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import express, { type Express } from 'express'
import supertest from 'supertest'
import { openAuthorization } from '../../src/authorization/authorization.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { pointer_hours } from '../../src/broker/deliver.ts'
import { page_transactions } from '../../src/broker/read_accounts.ts'
import { clusterNames } from '../../src/consent/cluster.ts'
import { allowedPurposes } from '../../src/consent/purpose.ts'
import { refusalReasons } from '../../src/consent/refusal.ts'
import { createApp } from '../../src/http/app.ts'
import {
  body_bytes_max,
  ContractError,
  jsonBody,
  openContract,
  readDocument,
} from '../../src/http/contract.ts'
import { problems } from '../../src/http/problem.ts'
import { isJsonObject } from '../../src/ledger/json_object.ts'
import { openLog } from '../../src/observe/log.ts'
import { newSigner } from '../support/jwt.ts'
import { testBroker } from '../support/test_broker.ts'

const contract = openContract()

/** Steps between pages: forms and redirects that no other program calls. */
const steps = /^(get|post) \/(oauth\/authorize|connections|console|d\/\{pointer\}|web)(\/|$)/

describe('openapi.yaml and the routes', () => {
  it('list each other, but for the steps between pages', async () => {
    const served = await routesOf()
    const described = contract.operations.map(({ method, path }) => `${method} ${path}`)
    expect(described.filter((operation) => !served.includes(operation))).toEqual([])
    expect(served.filter((route) => !described.includes(route) && !steps.test(route))).toEqual([])
  })

  it('say that the console’s own pages call what an auditor’s client does', () => {
    const asked = Object.entries(readDocument().paths)
      .filter(([path]) => path.startsWith('/audit/'))
      .flatMap(([path, item]) => Object.values(item).map((operation) => ({ path, ...operation })))
    for (const operation of asked)
      expect(operation).toMatchObject({
        security: [{ clientToken: ['audit:read'] }, { staffSession: [] }],
      })
    expect(asked.length).toBeGreaterThan(2)
  })

  it('have a reader for each operation, whose schemas compile', () => {
    const request = { params: {}, query: {}, headers: {}, body: {} } as express.Request
    for (const { id } of contract.operations) {
      let thrown: unknown
      try {
        contract.reader(id)(request)
      } catch (error) {
        thrown = error
      }
      expect(thrown === undefined || thrown instanceof ContractError).toBe(true)
    }
  })

  it('name each operation once', () => {
    const ids = contract.operations.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('openapi.yaml says what the code keeps to', () => {
  const text = readFileSync('openapi.yaml', 'utf8')
  const read = <T>(operation: string, values: T[], send: (value: T) => object) => {
    const reader = contract.reader(operation)
    return values.map((value) => {
      try {
        reader(send(value) as express.Request)
        return true
      } catch {
        return false
      }
    })
  }

  it('names every reason of a refusal', () => {
    expect(refusalReasons.filter((reason) => !text.includes(`\`${reason}\``))).toEqual([])
  })

  it('lists the purposes that a consent may name', () => {
    const { schemas } = Object(readDocument().components)
    const { purpose } = schemas.AuthorizationDetails.items.properties
    expect(purpose.enum.toSorted()).toEqual(allowedPurposes)
  })

  it('has the clusters and the limits', () => {
    const headers = { dpop: 'proof' }
    const limits = [1, page_transactions.max, page_transactions.max + 1].map(String)
    expect(
      read('listTransactions', limits, (limit) => ({
        headers,
        params: { accountId: 'a' },
        query: { limit },
      })),
    ).toEqual([true, true, false])
    const hours = [1, pointer_hours.max, pointer_hours.max + 1]
    expect(
      read('createDelivery', hours, (one) => ({
        headers,
        body: { clusters: [...clusterNames], hours: one },
      })),
    ).toEqual([true, true, false])
    expect(text).toContain(`default: ${page_transactions.default}\n`)
    expect(text).toContain(`default: ${pointer_hours.default}\n`)
    expect(text).toContain(`body ${body_bytes_max / 1024} KiB`)
  })
})

describe('a list whose items differ', () => {
  it('is one of scalars, so that it is checked in time however long', () => {
    const careless: string[] = []
    walk(readDocument(), '', (schema, at) => {
      if (schema['uniqueItems'] !== true) return
      const { items } = schema
      // Ajv compares each item with each other one unless it sees that they are scalars.
      if (!isJsonObject(items) || !['string', 'integer'].includes(String(items['type'])))
        careless.push(at)
    })
    expect(careless).toEqual([])
  })
})

function walk(
  value: unknown,
  at: string,
  see: (schema: Record<string, unknown>, at: string) => void,
) {
  if (Array.isArray(value)) value.forEach((one, i) => walk(one, `${at}/${i}`, see))
  if (!isJsonObject(value)) return
  see(value, at)
  for (const [name, one] of Object.entries(value)) walk(one, `${at}/${name}`, see)
}

/** Every method and path of the whole app, with parameters written as OpenAPI does. No database is reached for it. */
async function routesOf(): Promise<string[]> {
  const broker = await testBroker('postgres://nobody@127.0.0.1:1/none', { banks: [] })
  const authorization = openAuthorization(broker, {
    keys: tokenKeysOf([newSigner('ES256').privateJwk]),
    nonceKey: randomBytes(32),
  })
  const app = createApp(broker, authorization, openLog('silent'))
  await broker.close()
  return [...new Set(layersOf(app.router))].toSorted()
}

interface Layer {
  readonly route?: {
    readonly path: string
    readonly stack: readonly { readonly method?: string }[]
  }
  readonly handle?: object
}

/** Express keeps no list of its routes: they are in the layers of its routers, which are mounted at the root here. */
function layersOf(router: object): string[] {
  const layers: readonly Layer[] = Reflect.get(router, 'stack') ?? []
  return layers.flatMap(({ route, handle }) => {
    if (route === undefined) return handle === undefined ? [] : layersOf(handle)
    const path = route.path
      .replace(/[:*](\w+)/g, '{$1}')
      .replace('grants/{id}', 'grants/{grant_id}')
    const methods = route.stack.map(({ method }) => method)
    return methods
      .filter((method) => method !== undefined && method !== 'head')
      .map((method) => `${method} ${path}`)
  })
}

describe('the reader of an operation', () => {
  const read = contract.reader<{ query: object; path: object; header: object }>('listTransactions')
  const app = appOf((req) => read(req))
  const get = (query: string) =>
    supertest(app).get(`/one/${query}`).set('DPoP', 'proof').set('Colour', 'red')

  it('gives what the operation names, numbers as numbers, and nothing else', async () => {
    const { body } = await get('?limit=20&startDate=2026-01-01&colour=red&colour=blue').expect(200)
    expect(body).toEqual({
      path: { accountId: 'one' },
      query: { limit: 20, startDate: '2026-01-01' },
      header: { dpop: 'proof' },
    })
  })

  it('names everything that is wrong, and repeats nothing that was sent', async () => {
    const { body, text } = await get('?limit=secret1&startDate=secret2').expect(400)
    expect(body).toMatchObject({ code: 'invalid_request', title: 'Bad request', status: 400 })
    expect(body.errors.map(({ name }: { name: string }) => name)).toEqual(['startDate', 'limit'])
    expect(text).not.toContain('secret')
  })

  it.each(['007', '1e2', '0x10', ' 5', '5.0', ''])('takes %j for no integer', async (limit) => {
    await get(`?limit=${encodeURIComponent(limit)}`).expect(400)
  })

  it('refuses a named parameter that is repeated', async () => {
    const { body } = await get('?limit=5&limit=6').expect(400)
    expect(body.errors).toEqual([{ in: 'query', name: 'limit', detail: 'is sent more than once' }])
  })

  it('finds nothing at a path that nothing of ours can have', async () => {
    const { body } = await supertest(app)
      .get(`/${'x'.repeat(257)}/`)
      .set('DPoP', 'p')
      .expect(404)
    expect(body).toMatchObject({ code: 'not_found' })
    expect(body).not.toHaveProperty('errors')
  })

  it('exists for operations of openapi.yaml only', () => {
    expect(() => contract.reader('getEverything')).toThrow('no operation getEverything')
  })
})

describe('a JSON body', () => {
  const read = contract.reader<{ body: object }>('createDelivery')
  const app = appOf((req) => read(req).body)
  const post = (text: string, type = 'application/json') =>
    supertest(app).post('/one/').set('DPoP', 'proof').type(type).send(text)

  it('is given as it was sent', async () => {
    const { body } = await post('{"clusters":["BALANCES"]}', 'application/json; charset=utf-8')
    expect(body).toEqual({ clusters: ['BALANCES'] })
  })

  it.each([
    ['malformed', '{', 400],
    ['empty', '', 400],
    ['no object', '[]', 400],
    ['with an unknown member', '{"clusters":["BALANCES"],"__proto__":{"hours":1}}', 400],
    ['too long', `{"clusters":["BALANCES"]${' '.repeat(64 * 1024)}}`, 413],
  ])('is refused when it is %s', async (_, text, status) => {
    await post(text).expect(status)
  })

  it('is refused under another media type', async () => {
    await post('{"clusters":["BALANCES"]}', 'text/plain').expect(415)
    await supertest(app).post('/one/').set('DPoP', 'proof').expect(415)
  })

  it('names at most 16 of its faults', async () => {
    const { body } = await post(JSON.stringify({ clusters: Array(99).fill('secret') })).expect(400)
    expect(body.errors).toHaveLength(16)
  })
})

/** Answers with what a reader gives, at a path with one parameter. */
function appOf(read: (req: express.Request) => object): Express {
  return express()
    .set('query parser', 'simple')
    .all('/:accountId/', jsonBody, (req, res) => {
      res.json(read(req))
    })
    .use(problems('https://broker.example'))
}
