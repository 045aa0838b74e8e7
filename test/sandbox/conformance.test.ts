import { createPrivateKey, createPublicKey, type JsonWebKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Place } from '../../sandbox/conformance/configuration.ts'
import { variants, type Variant } from '../../sandbox/conformance/plans.ts'
import { freePorts } from '../../sandbox/free_ports.ts'
import { endProcess, startModule } from '../../sandbox/module_process.ts'
import { sendTo, type Sending } from '../conformance/server_under_test.ts'
import { suiteClient, tokensOf, type SuiteClient } from '../conformance/suite.ts'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import { newSigner, type Alg } from '../support/jwt.ts'
import { openPageBrowser, type PageBrowser, type Visit } from '../support/page_browser.ts'

/** What a configuration says, as far as it is used here: nothing else is known of the server. */
interface Configuration {
  readonly server: { readonly discoveryUrl: string }
  readonly client: SuiteKeys
  readonly client2: SuiteKeys
  readonly mtls: { readonly cert: string; readonly key: string }
  readonly mtls2: { readonly cert: string; readonly key: string }
  readonly resource: { readonly resourceUrl: string; readonly richAuthorizationRequest: [object] }
  readonly browser: readonly [{ readonly tasks: readonly Task[] }]
  readonly override: Readonly<Record<string, { browser: [{ tasks: readonly Task[] }] }>>
}

interface SuiteKeys {
  readonly client_id: string
  readonly jwks: { readonly keys: [JsonWebKey & { kid: string; alg: Alg }] }
}

interface Task {
  readonly match: string
  readonly commands: readonly string[][]
}

let child: ChildProcess
let place: Place
let ca: string
let files: Readonly<Record<string, string>>

beforeAll(async () => {
  const port = String(await freePorts(7))
  const args = ['--port', port, '--suite', 'https://suite.example', '--alias', 'test']
  const started = await startModule('sandbox/conformance/main', {}, args)
  child = started.child
  const told = started.first as {
    place: Place
    certificate: string
    configurations: Record<string, string>
  }
  place = told.place
  ca = told.certificate
  files = told.configurations
})
afterAll(() => endProcess(child))

const read = async (plan: string) =>
  JSON.parse(await readFile(files[plan] ?? '', 'utf8')) as Configuration

const send = (sending: Sending) => {
  const { port } = new URL(sending.certificate === undefined ? place.issuer : place.mtlsOrigin)
  return sendTo({ port: Number(port), ca }, sending)
}

/** The suite's client, made from what a configuration says of it and nothing else. */
function clientOf(configuration: Configuration, variant: Variant, second = false): SuiteClient {
  const { client_id: id, jwks } = second ? configuration.client2 : configuration.client
  const [jwk] = jwks.keys
  const key = { key: jwk, format: 'jwk' } as const
  let made = 0
  return suiteClient({ ...place, now: Date.now, send, browser: stranded }, variant, {
    ...{ id, kid: jwk.kid },
    signer: newSigner(jwk.alg, {
      publicKey: createPublicKey(key),
      privateKey: createPrivateKey(key),
    }),
    certificate: second ? configuration.mtls2 : configuration.mtls,
    redirectUri: second ? `${place.callback}?dummy1=lorem&dummy2=ipsum` : place.callback,
    // What the suite does with `${…}` in it.
    details: () => {
      const [detail] = configuration.resource.richAuthorizationRequest
      const text = JSON.stringify(detail).replace('${id}', `${Date.now()}${(made += 1)}`)
      return JSON.parse(text.replace('${name}', 'Suite User')) as object
    },
    namesMediaType: second,
  })
}

const stranded = (): PageBrowser => {
  throw new Error('the script drives its own browsers')
}

/** A browser over https that does what a configuration's tasks say, as the suite's does. Gives the address that it ends at. */
async function drive(from: string, tasks: readonly Task[]): Promise<string> {
  const browsers = new Map<string, PageBrowser>()
  const at = (url: URL): PageBrowser => {
    const known = browsers.get(url.origin) ?? openPageBrowser(url.origin, url.origin)
    browsers.set(url.origin, known)
    return known
  }
  const follow = async (url: URL, visit: Promise<Visit>): Promise<{ url: URL; visit: Visit }> => {
    const { location } = await visit
    if (location === '') return { url, visit: await visit }
    const next = new URL(location, url)
    if (next.href.startsWith(place.callback)) return { url: next, visit: await visit }
    return follow(next, at(next).get(next.pathname + next.search))
  }
  const start = new URL(from)
  let { url, visit } = await follow(start, at(start).get(start.pathname + start.search))
  for (const { match, commands } of tasks) {
    expect(url.href).toMatch(pattern(match))
    const typed: Record<string, string> = {}
    for (const [command = '', , id = '', text = ''] of commands) {
      if (command === 'text') typed[id] = text
      if (command !== 'click') continue
      if (id.startsWith('account-')) typed['account'] = valueOf(visit, id)
      else
        ({ url, visit } = await follow(url, at(url).press(visit, id, { fields: typed, page: url })))
    }
  }
  return url.href
}

/** Spring's simple match: `*` is anything. */
const pattern = (match: string) =>
  new RegExp(
    `^${match
      .split('*')
      .map((part) => part.replaceAll(/[.?+()[\]]/g, '\\$&'))
      .join('.*')}$`,
  )

const valueOf = ({ text }: Visit, id: string): string =>
  new RegExp(`id="${id}"[^>]*value="([^"]*)"`).exec(text)?.[1] ?? ''

const authorizeUrl = (client: SuiteClient, requestUri: string) =>
  `${place.issuer}/oauth/authorize?${new URLSearchParams({ client_id: client.id, request_uri: requestUri })}`

describe.each(Object.entries(variants))('the configuration for variant %s', (plan, variant) => {
  it('is enough for whole flows of both clients, over https, by the ids of the pages', async () => {
    const configuration = await read(plan)
    const { pathname } = new URL(configuration.server.discoveryUrl)
    expect(await send({ method: 'GET', path: pathname })).toMatchObject({
      status: 200,
      body: { issuer: place.issuer },
    })
    for (const second of [false, true]) {
      const client = clientOf(configuration, variant, second)
      const from = authorizeUrl(client, await client.requestUri())
      const ended = await drive(from, configuration.browser[0].tasks)
      const answer = await client.answerAt(ended)
      const tokens = tokensOf(await client.redeem(answer['code'] ?? ''))
      for (let i = 0; i < 20; i += 1) expect((await client.read(tokens)).status).toBe(200)
    }
  })
})

const withChromium = chromiumPath === undefined ? it.skip : it

withChromium(
  'the pages let a real browser through, with their policies, by the same script',
  async () => {
    const configuration = await read('E')
    const client = clientOf(configuration, variants['E'] as Variant)
    const from = authorizeUrl(client, await client.requestUri())
    const browser = await launchChromium()
    try {
      const page = await browser.newPage({ ignoreHTTPSErrors: true })
      const back = page.waitForRequest((request) => request.url().startsWith(place.callback))
      await page.goto(from)
      for (const { match, commands } of configuration.browser[0].tasks.slice(0, -1)) {
        await page.waitForURL(pattern(match))
        for (const [command, , id = '', text = ''] of commands)
          if (command === 'text') await page.fill(`#${id}`, text)
          else await page.click(`#${id}`)
      }
      const answer = await client.answerAt((await back).url())
      tokensOf(await client.redeem(answer['code'] ?? ''))
    } finally {
      await browser.close()
    }
  },
)

it('a user who declines is told so, by the configuration for that module', async () => {
  const configuration = await read('A')
  const client = clientOf(configuration, variants['A'] as Variant)
  const override =
    configuration.override['fapi2-security-profile-final-user-rejects-authentication']
  const tasks = override?.browser[0].tasks ?? []
  const ended = await drive(authorizeUrl(client, await client.requestUri()), tasks)
  expect(await client.answerAt(ended)).toMatchObject({ error: 'access_denied' })
})

it('a bank reads its consents with a token of its own', async () => {
  const configuration = await read('client-credentials')
  const client = clientOf(
    { ...configuration, mtls: { cert: '', key: '' } },
    variants['A'] as Variant,
  )
  const asked = { grant_type: 'client_credentials', scope: 'consents:read' }
  const { status, body } = await client.token({ form: asked })
  expect({ status, body }).toMatchObject({ status: 200, body: { scope: 'consents:read' } })
  const token = body as never
  const { pathname } = new URL(configuration.resource.resourceUrl)
  expect(await client.read(token, { path: pathname })).toMatchObject({ status: 200 })
})
