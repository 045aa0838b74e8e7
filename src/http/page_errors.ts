import type { ErrorRequestHandler } from 'express'
import { BankRefused } from '../broker/bank_port.ts'
import { Refusal } from '../consent/refusal.ts'
import { errorPage, type Notice } from '../web/error.tsx'
import { problemOf } from './problem.ts'

/** A page that says why something does not go on. */
export class PageRefused extends Error {
  override readonly name = 'PageRefused'
  readonly status: number
  readonly notice: Notice

  constructor(status: number, notice: Notice) {
    super(notice.title)
    this.status = status
    this.notice = notice
  }
}

/** What went wrong, for whoever reads the page. */
type Fault = 'notConfirmed' | 'bankSilent' | 'busy' | 'tooMany' | 'unreadable' | 'unforeseen'

/** Answers errors as pages, in plain words. What was thrown stays in `res.locals.error` for the log. */
export function errorPages({
  render,
  notices,
}: {
  render: (notice: Notice) => string
  notices: Readonly<Record<Fault, Notice>>
}): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    res.locals['error'] = error
    if (res.headersSent) {
      res.destroy()
      return
    }
    if (error instanceof PageRefused) {
      res.status(error.status).type('html').send(render(error.notice))
      return
    }
    const { status, headers } = problemOf(error)
    const notice = error instanceof Refusal ? refused(error) : notices[faultOf(error, status)]
    res.status(status).set(headers).type('html').send(render(notice))
  }
}

function faultOf(error: unknown, status: number): Fault {
  if (error instanceof BankRefused) return 'notConfirmed'
  if (status === 502 || status === 504) return 'bankSilent'
  if (status === 503) return 'busy'
  if (status === 429) return 'tooMany'
  return status < 500 ? 'unreadable' : 'unforeseen'
}

const refused = ({ message }: Refusal): Notice => ({
  title: 'This cannot go on',
  what: `The request was refused: ${message}.`,
  todo: 'Nothing was passed on. If you expected something else, ask the company you write to in Messenger.',
})

/** What customers are told. */
export const customerNotices: Readonly<Record<Fault, Notice>> = {
  notConfirmed: {
    title: 'Your bank did not confirm the login',
    what: 'The login was cancelled, or the answer of your bank did not match it.',
    todo: 'Nothing was passed on. Go back to where you started and begin again.',
  },
  bankSilent: {
    title: 'Your bank is not answering',
    what: 'The bank did not answer, or not in the way it should.',
    todo: 'Nothing was passed on. Wait a few minutes and try again.',
  },
  busy: {
    title: 'Please try again in a moment',
    what: 'Countersign cannot record this right now, and passes nothing on that it cannot record.',
    todo: 'Nothing was changed or passed on. Wait a few seconds and try again.',
  },
  tooMany: {
    title: 'Please wait a minute',
    what: 'Too many pages were asked for from where you are, by you or by others.',
    todo: 'Nothing was changed. Wait a minute and try again.',
  },
  unreadable: {
    title: 'This request cannot be read',
    what: 'The form was too long, or not in the form that a browser sends.',
    todo: 'Go back and try again. Nothing was changed.',
  },
  unforeseen: {
    title: 'Something went wrong',
    what: 'That is our fault, and it has been noted.',
    todo: 'Wait a moment and try again. If it stays, begin again from Messenger.',
  },
}

/** For pages that customers read. */
export const pageErrors: ErrorRequestHandler = errorPages({
  render: errorPage,
  notices: customerNotices,
})
