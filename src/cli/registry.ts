import { approveRecipient, suspendRecipient } from '../broker/approve_recipient.ts'
import { keysOf } from '../authorization/key_set.ts'
import {
  disableForGood,
  registerClient,
  RegistrationRefused,
} from '../authorization/register_client.ts'
import { isClass } from '../consent/class.ts'
import {
  authenticationMethods,
  subjectTypes,
  usualSecurity,
  type Authentication,
  type CertificateSubject,
  type Client,
} from '../storage/clients.ts'
import type { Jwk } from '../storage/jws.ts'
import { parseOptions, readTextArgument, UsageError, type Arguments } from './arguments.ts'
import { withBroker } from './with_broker.ts'

const registration_options = [
  'id',
  'legal-name',
  'lei',
  'website',
  'contact',
  'jwks',
  'jwks-uri',
  'auth',
  ...subjectTypes.map(subjectOption),
  'binding',
  'redirect-uri',
  'scope',
]
const registration_flags = ['signed-requests']

/** `--tls-subject-dn`, `--tls-san-dns` and so on. */
function subjectOption(type: CertificateSubject['type']): string {
  return `tls-${type.replace('_', '-')}`
}

/** `countersign recipient add | approve | suspend | disable`. */
export async function recipientCommand([action, ...argv]: string[]): Promise<number> {
  switch (action) {
    case 'add':
      return addRecipient(registrationOptions(argv, ['class', 'page']))
    case 'approve':
      return approve(parseOptions(argv, ['bank', 'jws']))
    case 'suspend':
      return suspend(parseOptions(argv, ['bank', 'id']))
    case 'disable':
      return disable(parseOptions(argv, ['id']))
    default:
      throw new UsageError('recipient add, approve, suspend or disable')
  }
}

/** `countersign client add | disable`: a bank's back end or its auditor, an operator, or a resource server. */
export async function clientCommand([action, ...argv]: string[]): Promise<number> {
  switch (action) {
    case 'add':
      return addClient(argv)
    case 'disable':
      return disable(parseOptions(argv, ['id']))
    default:
      throw new UsageError('client add or disable')
  }
}

function addClient(argv: string[]): Promise<number> {
  const options = registrationOptions(argv, ['kind', 'bank'])
  const kind = options.one('kind')
  if (kind === 'bank' || kind === 'auditor')
    return add({ ...registration(options), kind, bank: options.one('bank') })
  if (kind === 'operator' || kind === 'resource_server') {
    if (options.maybe('bank') !== undefined)
      throw new UsageError('--bank goes with --kind bank or auditor')
    return add({ ...registration(options), kind })
  }
  throw new UsageError('--kind is bank, auditor, operator or resource_server')
}

function addRecipient(options: Arguments): Promise<number> {
  const named = options.one('class')
  if (!isClass(named)) throw new UsageError(`--class ${named} is not a class`)
  return add({
    ...registration(options),
    kind: 'recipient',
    class: named,
    pages: options.all('page'),
  })
}

async function add(client: Client): Promise<number> {
  await withBroker((broker) => registerClient(broker, client)).catch((error: unknown) => {
    throw error instanceof RegistrationRefused ? new UsageError(error.message) : error
  })
  process.stdout.write(`${client.id} is registered\n`)
  return 0
}

function registration(options: Arguments) {
  const website = options.one('website')
  if (!URL.canParse(website)) throw new UsageError(`--website ${website} is not a URL`)
  return {
    id: options.one('id'),
    legalName: options.one('legal-name'),
    lei: options.one('lei'),
    website,
    contacts: options.all('contact'),
    ...keysPlace(options),
    ...security(options),
    redirectUris: options.all('redirect-uri'),
    scopes: options.all('scope'),
  }
}

const registrationOptions = (argv: readonly string[], more: readonly string[]) =>
  parseOptions(argv, [...registration_options, ...more], registration_flags)

function keysPlace(options: Arguments): Pick<Client, 'jwks' | 'jwksUri'> {
  const [path, jwksUri] = [options.maybe('jwks'), options.maybe('jwks-uri')]
  return {
    ...(path === undefined ? {} : { jwks: { keys: readKeySet(readTextArgument(path)) } }),
    ...(jwksUri === undefined ? {} : { jwksUri }),
  }
}

function readKeySet(text: string): readonly Jwk[] {
  try {
    const keys = keysOf(JSON.parse(text)) ?? []
    if (keys.length > 0) return keys
  } catch {
    // Said below: what is not JSON is not a JWK Set either.
  }
  throw new UsageError('--jwks does not hold a JWK Set')
}

function security(
  options: Arguments,
): Pick<Client, 'authentication' | 'binding' | 'signedRequests'> {
  const binding = options.maybe('binding') ?? usualSecurity.binding
  if (binding !== 'dpop' && binding !== 'mtls') throw new UsageError('--binding is dpop or mtls')
  return {
    authentication: authentication(options),
    binding,
    signedRequests: options.flag('signed-requests'),
  }
}

function authentication(options: Arguments): Authentication {
  const named = options.maybe('auth') ?? usualSecurity.authentication.method
  const method = authenticationMethods.find((one) => one === named)
  if (method === undefined)
    throw new UsageError(`--auth is one of ${authenticationMethods.join(', ')}`)
  const [subject, another] = subjectTypes.flatMap((type) =>
    options.all(subjectOption(type)).map((value) => ({ type, value })),
  )
  const what = `one of ${subjectTypes.map((type) => `--${subjectOption(type)}`).join(', ')}`
  if (method !== 'tls_client_auth') {
    if (subject === undefined) return { method }
    throw new UsageError(`${what} goes with --auth tls_client_auth`)
  }
  if (subject === undefined || another !== undefined)
    throw new UsageError(`--auth tls_client_auth takes exactly ${what}`)
  return { method, subject }
}

async function approve(options: Arguments): Promise<number> {
  const bank = options.one('bank')
  const jws = readTextArgument(options.one('jws'))
  const approval = await withBroker((broker) => approveRecipient(broker, { bank, jws }))
  process.stdout.write(`${bank} approves ${approval.recipient} as ${approval.class}\n`)
  return 0
}

async function suspend(options: Arguments): Promise<number> {
  const [bank, recipient] = [options.one('bank'), options.one('id')]
  const { at } = await withBroker((broker) =>
    suspendRecipient(broker, { bank, recipient, by: 'operator' }),
  )
  process.stdout.write(`${recipient} is suspended at ${bank} from ${at}\n`)
  return 0
}

/** A recipient is suspended wherever a bank approves it, too. */
async function disable(options: Arguments): Promise<number> {
  const id = options.one('id')
  const disabled = await withBroker((broker) => disableForGood(broker, id))
  process.stdout.write(disabled ? `${id} is disabled\n` : `${id} is not an enabled client\n`)
  return disabled ? 0 : 1
}
