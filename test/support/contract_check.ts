import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js'
import { openValidators, readDocument, schemaAt, type OpenApi } from '../../src/http/contract.ts'

/** An answer as a client sees it. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

interface Described {
  readonly headers?: Readonly<Record<string, Header | Reference>>
  readonly content?: Readonly<Record<string, object>>
}

interface Header {
  readonly required?: boolean
  readonly schema: object
}

interface Reference {
  readonly $ref: string
}

/**
 * Holds answers against openapi.yaml: the operation has that status, the status that content type and those headers, and the
 * JSON is what the schema says, without a member that it does not name. Throws for an answer that is not described, and for one
 * that carries a header of ours which is not.
 */
export function contractCheck(): (method: string, path: string, answer: Answer) => void {
  const document = closed(readDocument())
  const validators = remembering(openValidators(document))
  const operations = Object.entries(document.paths)
    .flatMap(([template, item]) =>
      Object.keys(item).map((method) => ({ template, method, matches: matcher(template) })),
    )
    .toSorted((a, b) => b.template.length - a.template.length)
  return (method, path, answer) => {
    const found = operations.find((one) => one.method === method && one.matches.test(path))
    if (found === undefined && [404, 405].includes(answer.status)) return
    if (found === undefined) throw new Error(`openapi.yaml does not describe ${method} ${path}`)
    const { value: described, at } = resolve<Described>(document, [
      ...['paths', found.template, found.method, 'responses', String(answer.status)],
    ])
    if (described === undefined) throw new Error(`${at.join(' ')} is not described`)
    checkHeaders(document, validators, { at, described, answer })
    checkBody(validators, { at, described, answer })
  }
}

/** `{tile}` and `{bundle}` have slashes of their own, which OpenAPI cannot say. The longer template is tried first. */
const matcher = (template: string): RegExp =>
  new RegExp(`^${template.replace(/\{(tile|bundle)\}/, '.+').replace(/\{\w+\}/g, '[^/]+')}$`)

interface Validators {
  /** The check of a schema, compiled once: Ajv itself tells schemas apart by the object that they are. */
  at(schema: Reference): ValidateFunction
  errorsText(errors: ValidateFunction['errors']): string
}

function remembering(ajv: Ajv2020): Validators {
  const compiled = new Map<string, ValidateFunction>()
  return {
    at(schema) {
      const validate = compiled.get(schema.$ref) ?? ajv.compile(schema)
      compiled.set(schema.$ref, validate)
      return validate
    },
    errorsText: (errors) => ajv.errorsText(errors),
  }
}

/** What clients act on. Others are for browsers, or everywhere the same. */
const ourHeaders = [
  ...['access-control-allow-origin', 'allow', 'cache-control', 'countersign-entry', 'dpop-nonce'],
  ...['location', 'retry-after', 'www-authenticate', 'x-fapi-interaction-id'],
]

function checkHeaders(
  document: OpenApi,
  validators: Validators,
  { at, described, answer }: { at: readonly string[]; described: Described; answer: Answer },
): void {
  const names = Object.keys(described.headers ?? {})
  const known = names.map((name) => name.toLowerCase())
  const unknown = ourHeaders.find((name) => name in answer.headers && !known.includes(name))
  if (unknown !== undefined) throw new Error(`${at.join(' ')} has no ${unknown}`)
  for (const name of names) {
    const header = resolve<Header>(document, [...at, 'headers', name])
    const value = answer.headers[name.toLowerCase()]
    if (value === undefined && header.value?.required !== true) continue
    const validate = validators.at(schemaAt(...header.at, 'schema'))
    if (!validate(value))
      throw new Error(`${name}: ${String(value)} ${validators.errorsText(validate.errors)}`)
  }
}

function checkBody(
  validators: Validators,
  { at, described, answer }: { at: readonly string[]; described: Described; answer: Answer },
): void {
  const types = Object.keys(described.content ?? {})
  if (types.length === 0 && answer.type === '') return
  if (!types.includes(answer.type)) throw new Error(`${at.join('/')} is not ${answer.type}`)
  if (!answer.type.endsWith('json')) return
  const validate = validators.at(schemaAt(...at, 'content', answer.type, 'schema'))
  if (!validate(answer.body))
    throw new Error(
      `${at.join('/')}: ${validators.errorsText(validate.errors)}: ${JSON.stringify(answer.body)}`,
    )
}

/** What is at these names, behind references, and where that is. */
function resolve<T>(
  document: OpenApi,
  names: readonly string[],
): { value: T | undefined; at: readonly string[] } {
  let value: unknown = document
  let at: readonly string[] = []
  for (const name of names) {
    at = [...at, name]
    value = memberOf(value, name)
    const reference = memberOf(value, '$ref')
    if (typeof reference !== 'string') continue
    at = reference.replace('#/', '').split('/')
    value = at.reduce(memberOf, document)
  }
  return { value: value as T | undefined, at }
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined

/**
 * The same document with every object closed that does not say whether it is open. What others are made of (`allOf`) is not: it
 * does not know their members.
 */
function closed(document: OpenApi): OpenApi {
  const text = JSON.stringify(document)
  const parts = [...text.matchAll(/"allOf":\[\{"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name]) => name,
  )
  return JSON.parse(text, (name, value: unknown) =>
    memberOf(value, 'type') === 'object' &&
    memberOf(value, 'properties') !== undefined &&
    !parts.includes(name)
      ? { unevaluatedProperties: false, ...Object(value) }
      : value,
  )
}
