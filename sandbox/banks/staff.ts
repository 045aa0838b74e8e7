import { createHash } from 'node:crypto'

/** Somebody who works at a demo bank, and has no account there. */
export interface StaffMember {
  /** The identity that the bank asserts as `sub`. */
  readonly staffId: string
  readonly username: string
  readonly password: string
  readonly name: string
  /** What the claim `roles` says of them. */
  readonly roles: readonly string[]
}

/** The role by which the demo banks let a member of their staff audit. */
export const auditorRole = 'countersign-auditor'

const people = [
  { username: 'auditor', name: 'Ada Auditor', roles: ['employee', auditorRole] },
  { username: 'clerk', name: 'Carl Clerk', roles: ['employee'] },
]

/** The staff of the demo bank with this id: an auditor, and a clerk who may not audit. Passwords as of its customers. */
export function staffOf(bank: string): readonly StaffMember[] {
  return people.map((one) => ({
    ...one,
    staffId: createHash('sha256')
      .update(`${bank} staff/${one.username}`)
      .digest('hex')
      .slice(0, 20),
    password: `${one.username}-demo`,
  }))
}
