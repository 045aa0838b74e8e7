import { useEffect } from 'preact/hooks'
import { CanonicalError } from '../../ledger/canonical.ts'
import { readEntry, type Entry } from '../../ledger/entry.ts'
import { sentenceOf } from '../../ledger/sentence.ts'
import { codeOf } from '../../ledger/code.ts'
import { useAnnouncement } from './announcer.tsx'
import { readOneEntry } from './api.ts'
import { Facts } from './facts.tsx'
import { useLoaded, type Loaded } from './loaded.ts'
import { To, useNavigation } from './navigation.tsx'
import { remembered, useTrust } from './pinned.tsx'
import { RawBytes } from './raw_bytes.tsx'
import { servedTiles } from './served.ts'
import { rememberTree } from './signed_tree.ts'
import { Evidence, Shown } from './state_words.tsx'
import { At } from './time.tsx'
import { Unpinned, Verdict } from './verdict.tsx'
import { outcomeOf, verifyEntry, type Verification } from './verification.ts'

/** What was served of one entry, and what this page makes of the bytes: never of what the server says of them. */
interface Opened {
  readonly bytes: Uint8Array
  readonly proof: string
  readonly entry: Entry | undefined
}

/** One entry: what it says, its exact bytes, and whether they are in the ledger that was signed. */
export function EntryView({ index }: { index: number }) {
  const { bank } = useNavigation().place
  const opened = useLoaded(`${bank}/${index}`, async (signal): Promise<Opened> => {
    const { bytes, proof } = await readOneEntry(bank, index, signal)
    return { bytes, proof, entry: readOrUndefined(bytes) }
  })
  return (
    <>
      <nav class="row between" aria-label="Entries beside this one">
        {index > 0 ? (
          <To view={{ name: 'entry', index: index - 1 }} rel="prev" id="previous-entry">
            ← Entry {String(index - 1)}
          </To>
        ) : (
          <span />
        )}
        <To view={{ name: 'entry', index: index + 1 }} rel="next" id="next-entry">
          Entry {String(index + 1)} →
        </To>
      </nav>
      <h1 tabIndex={-1}>Entry {String(index)}</h1>
      <Shown loaded={opened} what="entry">
        {(found) => <OpenedEntry key={index} index={index} {...found} />}
      </Shown>
    </>
  )
}

function readOrUndefined(bytes: Uint8Array): Entry | undefined {
  try {
    return readEntry(bytes)
  } catch (error) {
    if (error instanceof CanonicalError) return undefined
    throw error
  }
}

function OpenedEntry({ index, bytes, proof, entry }: Opened & { index: number }) {
  return (
    <div class="beside">
      {entry === undefined ? (
        <p class="note warn">
          These bytes are no entry that this version can read. They are shown below as they are.
        </p>
      ) : (
        <section class="card" aria-label="What it says">
          <p class="sentence" id="sentence">
            {sentenceOf(entry)}
          </p>
          <p class="soft small">
            <At at={entry.at} /> · <code class="code">{codeOf(entry)}</code>{' '}
            <code>{entry.kind}</code>
          </p>
        </section>
      )}
      <div class="verdict-side">
        <VerifiedHere index={index} bytes={bytes} proof={proof} />
      </div>
      {entry !== undefined && <Facts entry={entry} />}
      <RawBytes index={index} bytes={bytes} proof={proof} />
    </div>
  )
}

interface Checked {
  readonly verification: Verification
  readonly notes?: readonly [string, string]
}

/** Checks the bytes in this page, and holds their tree against what this browser has seen. */
function VerifiedHere({
  index,
  bytes,
  proof,
}: {
  index: number
  bytes: Uint8Array
  proof: string
}) {
  const { bank } = useNavigation().place
  const { crypto, policy, pin } = useTrust()
  const key = policy && `${index} ${pin?.at}`
  const checked: Loaded<Checked> = useLoaded(key, async () => {
    if (policy === undefined) throw new Error('no policy is pinned')
    const verification = verifyEntry(crypto, { policy, index, bytes, tlogProof: proof })
    const { steps, tree } = verification
    if (tree === undefined || steps.inclusion !== 'passed') return { verification }
    const compared = await rememberTree(crypto, {
      ...{ bank, remembered },
      tree: { ...tree.checkpoint, note: tree.note },
      tiles: servedTiles(bank),
    })
    const { status, detail, notes } = compared
    return {
      verification: {
        ...verification,
        steps: { ...steps, history: status },
        ...(detail !== undefined && { detail }),
      },
      ...(notes && { notes }),
    }
  })
  const outcome = checked.value && outcomeOf(checked.value.verification)
  useAnnouncement(outcome === undefined ? undefined : `Entry ${index}: ${announced[outcome]}`)
  useEffect(() => {
    document.documentElement.dataset['verified'] = outcome ?? ''
    return () => delete document.documentElement.dataset['verified']
  }, [outcome])
  if (policy === undefined) return <Unpinned />
  return (
    <Shown loaded={checked} what="proof">
      {({ verification, notes }) => (
        <>
          <Verdict verification={verification} />
          {notes !== undefined && <Evidence notes={notes} />}
        </>
      )}
    </Shown>
  )
}

const announced = {
  verified: 'verified in this browser',
  failed: 'not verified, the proof fails',
  incomplete: 'not fully checked',
} as const
