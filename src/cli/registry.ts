import type { JsonWebKey } from 'node:crypto'
import { approveRecipient, suspendRecipient } from '../broker/approve_recipient.ts'
import { registrationProblems } from '../authorization/registration.ts'
import { isClass } from '../consent/class.ts'
import { isLei } from '../consent/lei.ts'
import { Refusal } from '../consent/refusal.ts'
import {
  bankOfClient,
  disableClient,
  insertClient,
  usualSecurity,
  type Client,
} from '../storage/clients.ts'
import { errorCode } from '../storage/error_code.ts'
import { parseOptions, readArgumentFile, UsageError, type Arguments } from './arguments.ts'
import { withBroker } from './with_broker.ts'

const registration_options = [
  'id',
  'legal-name',
  'lei',
  'website',
  'contact',
  'jwks',
  'redirect-uri',
  'scope',
]

/** `countersign recipient add | approve | suspend | disable`. */
export async function recipientCommand([action, ...argv]: string[]): Promise<number> {
  switch (action) {
    case 'add':
      return addRecipient(parseOptions(argv, [...registration_options, 'class', 'page']))
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

/** `countersign client add`: a bank's back end or its auditor, an operator, or a resource server. */
export async function clientCommand([action, ...argv]: string[]): Promise<number> {
  if (action !== 'add') throw new UsageError('client add')
  const options = parseOptions(argv, [...registration_options, 'kind', 'bank'])
  const kind = options.one('kind')
  if (kind === 'bank' || kind === 'auditor')
    return add({ ...registration(options), kind, bank: options.one('bank') })
  if (kind === 'operator' || kind === 'resource_server')
    return add({ ...registration(options), kind })
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
  const problems = registrationProblems(client)
  if (problems.length > 0) throw new UsageError(problems.join('\n'))
  await withBroker(async ({ db, bankPort }) => {
    const bank = bankOfClient(client)
    if (bank !== undefined && !bankPort.banks.has(bank))
      throw new UsageError(`no bank ${bank} is in the directory`)
    await insertClient(db, client).catch((error: unknown) => {
      const why = refusedByDatabase[errorCode(error) ?? '']
      throw why === undefined ? error : new UsageError(why)
    })
  })
  process.stdout.write(`${client.id} is registered\n`)
  return 0
}

/** What the tables' constraints say of a client, by SQLSTATE. */
const refusedByDatabase: Readonly<Record<string, string>> = {
  '23505': 'the id or a page is taken',
  '23514': 'the id or a page has a form that none can have',
}

function registration(options: Arguments) {
  const lei = options.one('lei')
  if (!isLei(lei)) throw new UsageError(`--lei ${lei} is not an LEI (ISO 17442)`)
  const website = options.one('website')
  if (!URL.canParse(website)) throw new UsageError(`--website ${website} is not a URL`)
  return {
    id: options.one('id'),
    legalName: options.one('legal-name'),
    lei,
    website,
    contacts: options.all('contact'),
    jwks: keysOf(readArgumentFile(options.one('jwks'))),
    ...usualSecurity,
    redirectUris: options.all('redirect-uri'),
    scopes: options.all('scope'),
  }
}

function keysOf(text: string): { keys: JsonWebKey[] } {
  try {
    const value: unknown = JSON.parse(text)
    if (
      typeof value === 'object' &&
      value !== null &&
      'keys' in value &&
      Array.isArray(value.keys)
    ) {
      const keys = value.keys.filter(
        (key): key is JsonWebKey => typeof key === 'object' && key !== null,
      )
      if (keys.some((key) => key.d !== undefined))
        throw new UsageError('--jwks holds a private key')
      if (keys.length > 0) return { keys }
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
  }
  throw new UsageError('--jwks does not hold a JWK Set')
}

async function approve(options: Arguments): Promise<number> {
  const bank = options.one('bank')
  const jws = readArgumentFile(options.one('jws'))
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

/** Nothing more is given to a disabled recipient: it is suspended wherever a bank approves it, one entry a bank. */
async function disable(options: Arguments): Promise<number> {
  const id = options.one('id')
  const disabled = await withBroker(async (broker) => {
    for (const bank of broker.bankPort.banks.keys())
      await suspendRecipient(broker, { bank, recipient: id, by: 'operator' }).catch(
        (error: unknown) => {
          if (!(error instanceof Refusal)) throw error
        },
      )
    return disableClient(broker.db, id)
  })
  process.stdout.write(disabled ? `${id} is disabled\n` : `${id} is not an enabled client\n`)
  return disabled ? 0 : 1
}
