import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import type { Bank, StaffProvider } from '../broker/bank_port.ts'
import { isLei, lei_form } from '../consent/lei.ts'
import { hostOf } from './egress.ts'

/** A bank, and how the broker is registered there. */
export interface DirectoryBank extends Bank {
  /** Where the bank knows the broker under an id of its own. */
  readonly clientId?: string
  /** `host:port` of everything of the bank's that the broker may call. */
  readonly hosts: readonly string[]
}

/** The directory cannot be used; `problems` are all that was found, one a line. */
export class DirectoryInvalid extends Error {
  override readonly name = 'DirectoryInvalid'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the bank directory cannot be used:\n${problems.join('\n')}`)
    this.problems = problems
  }
}

interface Entry {
  readonly id: string
  readonly legal_name: string
  readonly lei: string
  readonly issuer: string
  readonly fdx_base_url: string
  readonly key: Readonly<Record<string, string>>
  readonly client_id?: string
  readonly hosts?: readonly string[]
  readonly staff?: StaffEntry
}

interface StaffEntry {
  readonly issuer: string
  readonly client_id?: string
  readonly scopes?: readonly string[]
  readonly claim: string
  readonly auditor: readonly string[]
  readonly acr?: readonly string[]
}

const url = { type: 'string', pattern: '^https?://[^/?#@\\s]+(/[^/?#\\s]+)*$' }
const coordinate = { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' }
const words = (form: string, { min }: { min: number }) => ({
  type: 'array',
  minItems: min,
  maxItems: 20,
  uniqueItems: true,
  items: { type: 'string', pattern: form },
})
/** One word of a list that spaces part (RFC 6749 appendix A). */
const token = '^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,200}$'
const staff = {
  type: 'object',
  required: ['issuer', 'claim', 'auditor'],
  additionalProperties: false,
  properties: {
    issuer: url,
    client_id: { type: 'string', minLength: 1 },
    scopes: words(token, { min: 0 }),
    claim: { type: 'string', minLength: 1, maxLength: 200 },
    auditor: words('^.{1,200}$', { min: 1 }),
    acr: words(token, { min: 1 }),
  },
}
const schema = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    required: ['id', 'legal_name', 'lei', 'issuer', 'fdx_base_url', 'key'],
    additionalProperties: false,
    properties: {
      id: { type: 'string', pattern: '^[a-z0-9-]{1,40}$' },
      legal_name: { type: 'string', minLength: 1, maxLength: 200 },
      lei: { type: 'string', pattern: lei_form.source },
      issuer: url,
      fdx_base_url: url,
      client_id: { type: 'string', minLength: 1 },
      staff,
      hosts: { type: 'array', items: { type: 'string', pattern: '^[^/?#@\\s]+:\\d{1,5}$' } },
      key: {
        type: 'object',
        additionalProperties: { type: 'string' },
        properties: { d: false },
        discriminator: { propertyName: 'kty' },
        required: ['kty'],
        oneOf: [
          {
            required: ['crv', 'x', 'y'],
            properties: {
              kty: { const: 'EC' },
              crv: { const: 'P-256' },
              alg: { const: 'ES256' },
              x: coordinate,
              y: coordinate,
            },
          },
          {
            required: ['crv', 'x'],
            properties: {
              kty: { const: 'OKP' },
              crv: { const: 'Ed25519' },
              alg: { enum: ['EdDSA', 'Ed25519'] },
              x: coordinate,
            },
          },
        ],
      },
    },
  },
}
const isDirectory = new Ajv2020({ allErrors: true, discriminator: true }).compile<Entry[]>(schema)

/** Reads the directory file. Throws `DirectoryInvalid` with every problem at once. */
export function readBankDirectory(
  path: string,
  { sandbox }: { sandbox: boolean },
): Map<string, DirectoryBank> {
  return parseBankDirectory(readFileSync(path, 'utf8'), { sandbox })
}

/** The banks that the text of a directory names, by id. Outside the sandbox every URL of theirs must be https. */
export function parseBankDirectory(
  text: string,
  { sandbox }: { sandbox: boolean },
): Map<string, DirectoryBank> {
  const entries = parseJson(text)
  if (!isDirectory(entries)) throw new DirectoryInvalid((isDirectory.errors ?? []).map(explain))
  const problems = [
    ...entries.flatMap((entry, i) => problemsOf(entry, { sandbox }).map((one) => `/${i}/${one}`)),
    ...repeatedIds(entries),
    ...sharedIssuers(entries),
    ...sharedStaff(entries),
    ...customersClients(entries),
  ]
  if (problems.length > 0) throw new DirectoryInvalid(problems)
  return new Map(entries.map((entry) => [entry.id, bankOf(entry)]))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DirectoryInvalid([`it is not JSON: ${String(error)}`])
  }
}

const explain = ({ instancePath, message = 'is wrong', params }: ErrorObject): string => {
  const unknown: unknown = params['additionalProperty']
  return `${instancePath || '/'} ${message}${typeof unknown === 'string' ? `: ${unknown}` : ''}`
}

/** What a schema cannot say. */
function problemsOf(entry: Entry, { sandbox }: { sandbox: boolean }): string[] {
  const problems: string[] = []
  if (!isLei(entry.lei)) problems.push('lei has wrong check digits')
  if (!isKey(entry.key)) problems.push('key is not a point of its curve')
  const urls = {
    issuer: entry.issuer,
    fdx_base_url: entry.fdx_base_url,
    ...(entry.staff === undefined ? {} : { 'staff/issuer': entry.staff.issuer }),
  }
  for (const [name, value] of Object.entries(urls)) {
    if (!URL.canParse(value)) problems.push(`${name} is not a URL`)
    else if (!sandbox && !value.startsWith('https:')) problems.push(`${name} is not https`)
  }
  if (entry.staff !== undefined && consoleWords.includes(entry.id))
    problems.push(`id is a word of the console's own addresses: ${consoleWords.join(', ')}`)
  return problems
}

/** What follows `/console/` where a bank's id otherwise does. */
const consoleWords = ['assets', 'callback', 'login', 'logout']

/** One provider speaks for the staff of one bank: else one bank's word would let people in at another. */
function sharedStaff(entries: readonly Entry[]): string[] {
  return entries.flatMap(({ lei, staff }, i) =>
    entries.some(
      (other) => other.lei !== lei && [other.issuer, other.staff?.issuer].includes(staff?.issuer),
    ) && staff !== undefined
      ? [`/${i}/staff/issuer is another bank's: ${staff.issuer}`]
      : [],
  )
}

/** Where customers log in at the same provider, staff do so at another client: else whoever is let in as one is let in as the other. */
function customersClients(entries: readonly Entry[]): string[] {
  return entries.flatMap(({ staff }, i) =>
    entries.some(
      ({ issuer, client_id }) => staff?.issuer === issuer && staff.client_id === client_id,
    )
      ? [`/${i}/staff/client_id is the one for customers: another is needed`]
      : [],
  )
}

function isKey(key: Entry['key']): boolean {
  try {
    createPublicKey({ key: { ...key }, format: 'jwk' })
    return true
  } catch {
    return false
  }
}

function repeatedIds(entries: readonly Entry[]): string[] {
  const ids = entries.map(({ id }) => id)
  return ids.flatMap((id, i) => (ids.indexOf(id) < i ? [`/${i}/id is there before: ${id}`] : []))
}

/** One provider speaks for one bank, which is there twice when a ledger follows another: both have its LEI. */
function sharedIssuers(entries: readonly Entry[]): string[] {
  return entries.flatMap(({ issuer, lei }, i) =>
    entries.slice(0, i).some((other) => other.issuer === issuer && other.lei !== lei)
      ? [`/${i}/issuer is another bank's: ${issuer}`]
      : [],
  )
}

function bankOf(entry: Entry): DirectoryBank {
  const { issuer, fdx_base_url: fdxBaseUrl, client_id: clientId, staff, hosts = [] } = entry
  const urls = [issuer, fdxBaseUrl, ...(staff === undefined ? [] : [staff.issuer])]
  return {
    id: entry.id,
    legalName: entry.legal_name,
    lei: entry.lei,
    issuer,
    fdxBaseUrl,
    key: entry.key,
    ...(clientId === undefined ? {} : { clientId }),
    ...(staff === undefined ? {} : { staff: staffOf(staff) }),
    hosts: [...new Set([...urls.map((one) => hostOf(new URL(one))), ...hosts])],
  }
}

function staffOf({ issuer, client_id, scopes, claim, auditor, acr }: StaffEntry): StaffProvider {
  const clientId = client_id === undefined ? {} : { clientId: client_id }
  return { issuer, ...clientId, scopes: scopes ?? [], claim, auditor, acr: acr ?? [] }
}
