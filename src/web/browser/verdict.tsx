import type { ComponentChildren } from 'preact'
import { useTrust } from './pinned.tsx'
import { To } from './navigation.tsx'
import { figure } from '../../ledger/words.ts'
import {
  entryChecks,
  outcomeOf,
  type EntryCheck,
  type Outcome,
  type Status,
  type Verification,
} from './verification.ts'

/** The sign of an outcome: never by colour alone. */
export const signs: Readonly<Record<Status, string>> = { passed: '✓', failed: '✗', not_done: '–' }

const classOf: Readonly<Record<Outcome, string>> = {
  verified: 'note good',
  failed: 'note bad',
  incomplete: 'note warn',
}

const headings: Readonly<Record<Outcome, string>> = {
  verified: '✓ Verified in this browser',
  failed: '✗ Not verified: the proof fails',
  incomplete: '– Not fully checked',
}

/** What this browser found about one entry, check by check. */
export function Verdict({ verification }: { verification: Verification }) {
  const outcome = outcomeOf(verification)
  const { steps, detail, leaf, tree } = verification
  return (
    <div class={classOf[outcome]} id="verdict" data-outcome={outcome} role="status">
      <h2>{headings[outcome]}</h2>
      {detail !== undefined && <p id="verdict-detail">{detail}</p>}
      <ul class="checks">
        {(Object.keys(entryChecks) as EntryCheck[]).map((check) => (
          <Check key={check} status={steps[check]}>
            {entryChecks[check]}
          </Check>
        ))}
      </ul>
      {tree !== undefined && (
        <p class="small">
          Under the signed tree of {figure(tree.checkpoint.size)} entries.{' '}
          {tree.cosigners.length === 0
            ? 'No witness of your policy cosigned it: others might be shown another tree.'
            : `Cosigned by ${tree.cosigners.map(({ name, time }) => `${name} at ${new Date(time * 1000).toISOString().slice(0, 19)}Z`).join(', ')}.`}
        </p>
      )}
      {leaf !== undefined && (
        <p class="small">
          Leaf hash, computed here: <code>{leaf}</code>
        </p>
      )}
      <Uncompared />
    </div>
  )
}

/** One check with what came of it, for eyes and for ears. */
export function Check({ status, children }: { status: Status; children: ComponentChildren }) {
  const words = { passed: 'Passed', failed: 'Failed', not_done: 'Not checked' }[status]
  return (
    <li data-status={status}>
      <span aria-hidden="true">{signs[status]}</span>
      <span>
        <span class="sr">{words}: </span>
        {children}
      </span>
    </li>
  )
}

/** A proof under a key that came from the party under audit proves that the party agrees with itself. */
export function Uncompared() {
  const { pin } = useTrust()
  if (pin === undefined || pin.compared) return null
  return (
    <p class="small" id="uncompared">
      The key was served by the party under audit and you have not compared it: so far this shows
      only that they agree with themselves. <To view={{ name: 'trust' }}>Compare the key</To>
    </p>
  )
}

/** What stands in place of a proof while no policy is pinned. */
export function Unpinned() {
  return (
    <p class="note warn" id="unpinned">
      Nothing is verified yet: this browser does not know which key to trust for this ledger.{' '}
      <To view={{ name: 'trust' }}>Pin a policy</To>
    </p>
  )
}
