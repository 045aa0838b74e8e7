import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import express, { type Request, type RequestHandler } from 'express'
import { parse } from 'yaml'
import { RequestError } from './problem.ts'

/** A JSON body is at most this long. */
export const body_bytes_max = 64 * 1024

/** How many errors one answer names; a request may have more. */
const errors_named_max = 16

/** What is wrong with one part of a request. `detail` repeats nothing that was sent. */
export interface InputError {
  readonly in: Place | 'body'
  readonly name: string
  readonly detail: string
}

/** A request that openapi.yaml does not allow: 400 with what is wrong, or 404 for a path that nothing of ours can have. */
export class ContractError extends RequestError {
  constructor(errors: readonly InputError[]) {
    if (errors.some((error) => error.in === 'path'))
      super(404, 'not_found', 'there is no such resource')
    else super(400, 'invalid_request', 'the request does not keep to the contract', {}, errors)
  }
}

/** The public contract: openapi.yaml, which requests are read by. */
export interface Contract {
  /** Every operation: its method in lower case, its path with `{parameters}`. */
  readonly operations: readonly {
    readonly id: string
    readonly method: string
    readonly path: string
  }[]
  /**
   * The reader of one operation's requests. What it returns is as openapi.yaml describes it, and `T` says so in TypeScript:
   * `path`, `query` and `header` (names in lower case) with the parameters named there, and `body`. Other parameters are ignored,
   * and a named one that is repeated is refused. The reader throws `ContractError`, or `RequestError` 415.
   */
  reader<T>(operationId: string): (req: Request) => T
}

const places = ['path', 'query', 'header'] as const
type Place = (typeof places)[number]

interface Parameter {
  readonly in: Place
  readonly name: string
  readonly required?: boolean
  readonly schema: object
}

interface Reference {
  readonly $ref: string
}

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly (Parameter | Reference)[]
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> }
}

/** The parts of an OpenAPI 3.1 document that are read here. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly parameters: Readonly<Record<string, Parameter>> }
}

let document: OpenApi | undefined

/** openapi.yaml, in the package's root whether the sources run or their build in dist. It is parsed once in a process. */
export function readDocument(): OpenApi {
  document ??= parseDocument()
  return document
}

function parseDocument(): OpenApi {
  const files = ['../../openapi.yaml', '../../../openapi.yaml'].map((path) =>
    join(import.meta.dirname, path),
  )
  return parse(readFileSync(files.find((file) => existsSync(file)) ?? String(files[0]), 'utf8'))
}

const root = 'openapi.yaml'
const json = 'application/json'
const methods = ['get', 'put', 'post', 'delete']

/** What a document has that is no schema's. */
const openApiWords = [
  ...['openapi', 'info', 'servers', 'tags', 'security', 'paths', 'components'],
  'example',
]

/** Compiles the schemas of the document, each found by `schemaAt`. */
export function openValidators(document: OpenApi): Ajv2020 {
  const ajv = new Ajv2020({ allErrors: true })
  addFormats.default(ajv, ['date', 'date-time', 'ipv4', 'ipv6', 'uri', 'uuid'])
  ajv.addVocabulary(openApiWords)
  return ajv.addSchema(document, root)
}

/** The schema at these names from the document's root down (RFC 6901). */
export const schemaAt = (...names: readonly (string | number)[]): Reference => ({
  $ref: `${root}#/${names.map((name) => encodeURIComponent(escaped(String(name)))).join('/')}`,
})

const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')

let contract: Contract | undefined

/** The one of openapi.yaml, which all servers of a process share. */
export function openContract(): Contract {
  contract ??= contractOf(readDocument())
  return contract
}

function contractOf(document: OpenApi): Contract {
  const validators = openValidators(document)
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method]
      return operation === undefined ? [] : [{ id: operation.operationId, method, path, operation }]
    }),
  )
  return {
    operations: operations.map(({ id, method, path }) => ({ id, method, path })),
    reader<T>(operationId: string) {
      const found = operations.find(({ id }) => id === operationId)
      if (found === undefined) throw new TypeError(`openapi.yaml has no operation ${operationId}`)
      const parameters = parametersOf(document, found)
      const body =
        found.operation.requestBody?.content[json] === undefined
          ? undefined
          : schemaAt('paths', found.path, found.method, 'requestBody', 'content', json, 'schema')
      let validate: ValidateFunction<T> | undefined
      return (req) => {
        // Compiled for the first request: a second for all operations is much for a start, and most serve a few.
        validate ??= validators.compile<T>(inputSchema(parameters, body))
        return read(req, { parameters, hasBody: body !== undefined, validate })
      }
    },
  }
}

/** A parameter, by its key in Express's own maps, with the schema that it is checked by. */
interface Read {
  readonly in: Place
  readonly key: string
  readonly required: boolean
  readonly isInteger: boolean
  readonly schema: Reference
}

function parametersOf(
  { components }: OpenApi,
  { path, method, operation }: { path: string; method: string; operation: Operation },
): Read[] {
  return (operation.parameters ?? []).map((one, i) => {
    const shared = '$ref' in one ? one.$ref.replace('#/components/parameters/', '') : undefined
    const parameter = '$ref' in one ? components.parameters[String(shared)] : one
    if (parameter === undefined) throw new TypeError(`openapi.yaml has no parameter ${shared}`)
    return {
      in: parameter.in,
      key: parameter.in === 'header' ? parameter.name.toLowerCase() : parameter.name,
      required: parameter.required ?? false,
      isInteger: 'type' in parameter.schema && parameter.schema.type === 'integer',
      schema:
        shared === undefined
          ? schemaAt('paths', path, method, 'parameters', i, 'schema')
          : schemaAt('components', 'parameters', shared, 'schema'),
    }
  })
}

/** One schema for all that a request carries: an object of its places, each an object of its parameters. */
function inputSchema(parameters: readonly Read[], body: Reference | undefined): object {
  const schemas = places.map((place) => {
    const here = parameters.filter((parameter) => parameter.in === place)
    const schema = {
      type: 'object',
      properties: Object.fromEntries(here.map(({ key, schema }) => [key, schema])),
      required: here.filter(({ required }) => required).map(({ key }) => key),
    }
    return [place, schema] as const
  })
  return { type: 'object', properties: { ...Object.fromEntries(schemas), ...(body && { body }) } }
}

function read<T>(
  req: Request,
  by: { parameters: readonly Read[]; hasBody: boolean; validate: ValidateFunction<T> },
): T {
  const given = { path: req.params, query: req.query, header: req.headers }
  const taken: Record<Place, Record<string, unknown>> = { path: {}, query: {}, header: {} }
  for (const parameter of by.parameters) {
    const value = given[parameter.in][parameter.key]
    if (value !== undefined) taken[parameter.in][parameter.key] = valueOf(parameter, value)
  }
  const input: unknown = by.hasBody ? { ...taken, body: bodyOf(req) } : taken
  if (by.validate(input)) return input
  throw new ContractError(faults(by.validate.errors ?? []))
}

/** One fault of each part of the request: several rules may say the same of it. */
function faults(errors: readonly ErrorObject[]): InputError[] {
  const byPlace = new Map(errors.map(describe).map((fault) => [`${fault.in} ${fault.name}`, fault]))
  return [...byPlace.values()].slice(0, errors_named_max)
}

/** A wildcard's segments as one path; digits as the integer they write. */
function valueOf({ in: place, key, isInteger }: Read, value: unknown): unknown {
  if (Array.isArray(value) && place === 'path') return value.join('/')
  if (Array.isArray(value))
    throw new ContractError([{ in: place, name: key, detail: 'is sent more than once' }])
  return isInteger && typeof value === 'string' && /^(?:0|-?[1-9]\d{0,14})$/.test(value)
    ? Number(value)
    : value
}

function bodyOf(req: Request): unknown {
  const body: unknown = req.body
  if (body !== undefined) return body
  if (req.is(json) === false) throw new RequestError(415, 'media_type', `the body is ${json}`)
  throw new ContractError([{ in: 'body', name: '', detail: 'is required' }])
}

/** Reads a JSON body, for the reader of its operation. What is no JSON, too long or encoded goes to the error handlers. */
export const jsonBody: RequestHandler = express.json({
  limit: body_bytes_max,
  inflate: false,
  strict: false,
  type: json,
})

/** The path of an error's place begins with what it is in. A member that is missing or unknown is named by itself. */
function describe({ instancePath, params, message = 'is not valid' }: ErrorObject): InputError {
  const [, place, ...names] = instancePath.split('/')
  const member: unknown =
    params['missingProperty'] ?? params['additionalProperty'] ?? params['unevaluatedProperty']
  const allowed: unknown = params['allowedValues']
  return {
    in: places.find((one) => one === place) ?? 'body',
    name: [...names, ...(typeof member === 'string' ? [member.slice(0, 64)] : [])].join('/'),
    detail: Array.isArray(allowed) ? `must be one of ${allowed.join(', ')}` : message,
  }
}
