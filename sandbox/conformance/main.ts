import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { variants } from './plans.ts'
import { startConformance } from './start.ts'

/** `npm run sandbox:conformance`: everything that the conformance suite needs, until Ctrl-C. docs/conformance.md says more. */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8600' },
    suite: { type: 'string', default: 'https://localhost.emobix.co.uk:8443' },
    alias: { type: 'string', default: 'countersign' },
  },
})
const directory = join(tmpdir(), `countersign-conformance-${randomBytes(8).toString('hex')}`)
const { port, suite, alias } = values
const server = await startConformance({ directory, port: Number(port), suite, alias })
const certificate = join(directory, 'server.crt')
await writeFile(certificate, server.certificate.cert)
const { place, configurations } = server
process.send?.({ place, configurations, certificate: server.certificate.cert })
const plans = Object.entries(server.configurations).map(([name, path]) => {
  const variant = variants[name]
  const facts =
    variant === undefined ? 'fapi_client_credentials_grant' : Object.values(variant).join(' ')
  return `  ${name}  ${facts}\n     ${path}`
})
process.stdout.write(
  [
    '',
    'Countersign is running for the OpenID Foundation conformance suite.',
    '',
    `  Discovery            ${server.place.issuer}/.well-known/oauth-authorization-server`,
    `  Client certificates  ${server.place.mtlsOrigin}`,
    `  Server certificate   ${certificate}`,
    `  Redirect URI         ${server.place.callback}`,
    '',
    'Configurations, to be pasted into a plan (plain_fapi, plain_oauth, rar):',
    '',
    ...plans,
    '',
    'The user is alice with alice-demo. Ctrl-C stops everything and removes it.',
    '',
    '',
  ].join('\n'),
)

let closing = false
async function close(): Promise<void> {
  if (closing) return
  closing = true
  await server.close()
  await rm(directory, { recursive: true, force: true })
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close())
process.once('disconnect', () => void close())
