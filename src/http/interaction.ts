import { randomUUID } from 'node:crypto'
import type { RequestHandler, Response } from 'express'

const interaction_header = 'x-fapi-interaction-id'
const uuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i

/** Answers carry the interaction id that was sent, errors too, or a new one where none was, or no UUID. */
export const interaction: RequestHandler = (req, res, next) => {
  const sent = req.headers[interaction_header]
  res.setHeader(
    interaction_header,
    typeof sent === 'string' && uuid.test(sent) ? sent : randomUUID(),
  )
  next()
}

/** The interaction id that `interaction` gave an answer. */
export const interactionOf = (res: Response): string =>
  String(res.getHeader(interaction_header)).toLowerCase()
