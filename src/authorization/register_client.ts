import { suspendRecipient } from '../broker/approve_recipient.ts'
import type { Broker } from '../broker/broker.ts'
import { classes } from '../consent/class.ts'
import { isLei } from '../consent/lei.ts'
import { Refusal } from '../consent/refusal.ts'
import { bankOfClient, disableClient, insertClient, type Client } from '../storage/clients.ts'
import { errorCode } from '../storage/error_code.ts'
import { registrationProblems } from './registration.ts'

/** A client cannot be registered as asked; `problems` are sentences, and `taken` says that another has its id or a page. */
export class RegistrationRefused extends Error {
  override readonly name = 'RegistrationRefused'
  readonly problems: readonly string[]
  readonly taken: boolean

  constructor(problems: readonly string[], { taken = false } = {}) {
    super(problems.join('\n'))
    this.problems = problems
    this.taken = taken
  }
}

/** What the tables' constraints say of a client, by SQLSTATE. */
const refusedByDatabase: Readonly<Record<string, RegistrationRefused>> = {
  '23505': new RegistrationRefused(['the id or a page is taken'], { taken: true }),
  '23514': new RegistrationRefused(['the id or a page has a form that none can have']),
  '22021': new RegistrationRefused(['a text holds a character that cannot be kept']),
  '22P05': new RegistrationRefused(['a text holds a character that cannot be kept']),
}

/** Registers a client, whoever asks and by whichever way. Throws `RegistrationRefused` with all that forbids it. */
export async function registerClient(
  { db, bankPort }: Pick<Broker, 'db' | 'bankPort'>,
  client: Client,
): Promise<void> {
  const bank = bankOfClient(client)
  const problems = [
    ...(isLei(client.lei) ? [] : ['the LEI is none (ISO 17442)']),
    ...(client.kind === 'recipient' && !classes[client.class].ofRecipients
      ? ['no recipient is of this class']
      : []),
    ...registrationProblems(client),
    ...(bank === undefined || bankPort.banks.has(bank)
      ? []
      : ['there is no such bank in the directory']),
  ]
  if (problems.length > 0) throw new RegistrationRefused(problems)
  await insertClient(db, client).catch((error: unknown) => {
    throw refusedByDatabase[errorCode(error) ?? ''] ?? error
  })
}

/**
 * Ends a client for good: it gets no token and no approval any more, and a recipient is suspended wherever a bank approves it,
 * one entry a bank. False when there is none in use by this id. A bank whose ledger does not answer keeps no other from it:
 * its error is thrown at the end, and doing it again does what was left.
 */
export async function disableForGood(broker: Broker, id: string): Promise<boolean> {
  const disabled = await disableClient(broker.db, id)
  const suspended = await Promise.allSettled(
    [...broker.bankPort.banks.keys()].map((bank) =>
      suspendRecipient(broker, { bank, recipient: id, by: 'operator' }),
    ),
  )
  for (const one of suspended)
    if (one.status === 'rejected' && !(one.reason instanceof Refusal)) throw one.reason
  return disabled
}
