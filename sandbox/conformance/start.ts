import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startBroker } from '../broker_process.ts'
import { makeCertificate, named, type Certified } from '../certificates.ts'
import { openWorld } from '../world.ts'
import { backEndsOf, recipientsOf } from './clients.ts'
import { clientCredentialsOf, configurationOf, type Place } from './configuration.ts'
import { variants } from './plans.ts'

/** The demo bank at which the suite's user is a customer. */
const bank = 'citi'

/** A server that the conformance suite can be pointed at, and the files that it is to be given. */
export interface ConformanceServer {
  readonly place: Place
  /** The server's certificate: whoever calls it must trust it. */
  readonly certificate: Certified
  /** By plan: the variant's letter, or `client-credentials`. */
  readonly configurations: Readonly<Record<string, string>>
  close(): Promise<void>
}

/**
 * Starts the broker at https with a listener for client certificates, its banks, and the clients of every plan, all with keys made
 * anew. `suite` is the suite's base URL, `alias` the alias of its plans. Nothing is limited.
 */
export async function startConformance({
  directory,
  port,
  suite,
  alias,
}: {
  directory: string
  port: number
  suite: string
  alias: string
}): Promise<ConformanceServer> {
  const month = { notAfter: new Date(Date.now() + 30 * 86_400_000) }
  const authority = makeCertificate({
    ...{ ...month, subject: named('Sandbox Authority'), usage: 'authority' },
  })
  const certificate = makeCertificate({
    ...{ ...month, subject: named('localhost'), usage: 'server' },
    ...{ dns: ['localhost'], ips: ['127.0.0.1'] },
  })
  const callback = `${suite}/test/a/${alias}/callback`
  const redirectUris = [callback, `${callback}?dummy1=lorem&dummy2=ipsum`]
  const plans = Object.entries(variants).map(([name, variant]) => ({
    ...{ name, variant },
    clients: recipientsOf(name, variant, { authority, redirectUris }),
  }))
  const backEnds = backEndsOf(bank)
  const world = await openWorld({
    ...{ directory, port, tls: { certificate, authority } },
    clients: [...plans.flatMap(({ clients }) => clients), ...backEnds].map(
      ({ registered }) => registered,
    ),
  })
  const config = {
    ...world.config,
    rateLimits: { ...world.config.rateLimits, kept: 'off' },
  } as const
  try {
    const broker = await startBroker(config, { port, folder: join(directory, 'broker') })
    const place: Place = {
      ...{ issuer: config.issuer, mtlsOrigin: config.mtls.origin ?? '', bank, callback, alias },
      bankIssuer: world.banks.find(({ id }) => id === bank)?.issuer ?? '',
      authority,
    }
    const folder = join(directory, 'suite')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const file = async (name: string, content: object): Promise<[string, string]> => {
      const path = join(folder, `${name}.json`)
      await writeFile(path, JSON.stringify(content, null, 2), { mode: 0o600 })
      return [name, path]
    }
    const files = [
      ...plans.map(({ name, variant, clients }) =>
        file(name, configurationOf(place, variant, clients)),
      ),
      file('client-credentials', clientCredentialsOf(place, backEnds)),
    ]
    return {
      ...{ place, certificate },
      configurations: Object.fromEntries(await Promise.all(files)),
      async close() {
        await broker.stop()
        await world.close()
      },
    }
  } catch (error) {
    await world.close()
    throw error
  }
}
