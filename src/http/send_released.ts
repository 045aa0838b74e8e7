import type { Response } from 'express'
import { AnswerTooLate, type Released } from '../broker/release.ts'

/**
 * Answers with what was released, byte for byte, and with the entry that records it. Whatever the connection has not taken by
 * the deadline is dropped with it: a revocation's answer names the last instant at which anything can still arrive. Throws
 * `AnswerTooLate` when that has passed already.
 */
export function sendReleased(res: Response, { body, n, hash, deadline }: Released): void {
  dropAfter(res, deadline)
  res.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'countersign-entry': `${n} ${Buffer.from(hash).toString('base64')}`,
  })
  res.end(body)
}

/**
 * Called before an answer is sent: cuts the connection off if it has not taken the answer by the deadline, a time of
 * `performance.now()`. Throws `AnswerTooLate` when that has passed already.
 */
export function dropAfter(res: Response, deadline: number): void {
  const left_ms = deadline - performance.now()
  if (left_ms <= 0) throw new AnswerTooLate('the answer was not ready within 2 s of its entry')
  const drop = setTimeout(() => res.destroy(), left_ms)
  res.once('close', () => clearTimeout(drop))
}
