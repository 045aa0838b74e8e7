import { Readable, pipeline } from 'node:stream'
import type { NextFunction, Request, RequestHandler, Response } from 'express'

/**
 * How a demo bank can be told to fail the broker. `hang`, `server_error` and `slow` touch everything that the broker calls
 * (data API, pushed requests, tokens, revocation), `invalid_grant` its token requests, misstatements the bank's statements, the others the data API's answers.
 */
export type Misbehaviour =
  | 'hang'
  | 'server_error'
  | `slow:${number}`
  | 'invalid_grant'
  | 'redirect'
  | 'wrong_content_type'
  | 'invalid_json'
  | 'oversize'
  | 'foreign_account'
  | Misstatement

/** How a statement of what was served can be wrong. */
export type Misstatement = 'one_too_many' | 'one_too_few'

export interface Mischief {
  /** Fails the next `times` requests that `kind` touches, all of them by default; `undefined` is good behaviour again. */
  readonly misbehave: (kind: Misbehaviour | undefined, times?: number) => void
  /** How many more requests will fail. */
  readonly failuresLeft: number
  readonly handler: RequestHandler
  /** What is wrong with the statement that is being made; it counts as one of the `times`. */
  readonly misstatement: () => Misstatement | undefined
}

export function mischief(): Mischief {
  let kind: Misbehaviour | undefined
  let failuresLeft = 0
  return {
    misbehave(wanted, times = Infinity) {
      kind = wanted
      failuresLeft = wanted === undefined ? 0 : times
    },
    get failuresLeft() {
      return failuresLeft
    },
    misstatement() {
      if (kind === undefined || failuresLeft <= 0 || !isMisstatement(kind)) return undefined
      failuresLeft -= 1
      return kind
    },
    handler(req, res, next) {
      if (kind === undefined || failuresLeft <= 0 || !touches(kind, req.path)) return next()
      failuresLeft -= 1
      fail(kind, { req, res, next })
    },
  }
}

const tokenPath = '/token'
const backChannel = [tokenPath, '/token/revocation', '/request']

const isMisstatement = (kind: Misbehaviour): kind is Misstatement =>
  kind === 'one_too_many' || kind === 'one_too_few'

function touches(kind: Misbehaviour, path: string): boolean {
  if (isMisstatement(kind)) return false
  if (kind === 'invalid_grant') return path === tokenPath
  if (path.startsWith('/fdx/')) return true
  return isFault(kind) && backChannel.includes(path)
}

const isFault = (kind: Misbehaviour) =>
  kind === 'hang' || kind === 'server_error' || kind.startsWith('slow:')

function fail(
  kind: Misbehaviour,
  { req, res, next }: { req: Request; res: Response; next: NextFunction },
): void {
  switch (kind) {
    case 'hang':
      return
    case 'server_error':
      res.status(500).json({ code: 500, message: 'something went wrong' })
      return
    case 'invalid_grant':
      res.status(400).json({ error: 'invalid_grant' })
      return
    case 'redirect':
      res.redirect(302, `/elsewhere${req.path}`)
      return
    case 'wrong_content_type':
      return rewrite(res, next, (body) => res.type('html').send(JSON.stringify(body)))
    case 'invalid_json':
      return rewrite(res, next, (body) => res.type('json').send(JSON.stringify(body).slice(0, -2)))
    case 'oversize':
      return rewrite(res, next, (body) => {
        res.type('json')
        pipeline(Readable.from(padded(JSON.stringify(body))), res, () => {})
        return res
      })
    case 'one_too_many':
    case 'one_too_few':
      return next()
    case 'foreign_account':
      return rewrite(res, next, (body) =>
        res.type('json').send(JSON.stringify(withForeignAccount(body))),
      )
    default:
      setTimeout(next, Number(kind.slice('slow:'.length)))
  }
}

/** Lets the request be answered, and sends the JSON answer in another way. */
function rewrite(res: Response, next: NextFunction, send: (body: object) => Response): void {
  res.json = send
  next()
}

const chunk_bytes = 65_536
const chunks = 1024

/** Valid JSON of 64 MiB, without a Content-Length to refuse it by. */
function* padded(json: string): Generator<string> {
  for (let index = 0; index < chunks; index += 1) yield ' '.repeat(chunk_bytes)
  yield json
}

/** The id of the account that `foreign_account` slips into answers. */
export const foreign_account_id = 'an-account-that-was-not-picked'

function withForeignAccount(body: object): object {
  const withOne = (list: readonly object[]) => [
    ...list,
    { ...list[0], accountId: foreign_account_id },
  ]
  if ('accounts' in body && Array.isArray(body.accounts))
    return { ...body, accounts: withOne(body.accounts) }
  if ('transactions' in body && Array.isArray(body.transactions))
    return { ...body, transactions: withOne(body.transactions) }
  return { ...body, accountId: foreign_account_id }
}
