import { useState } from 'preact/hooks'
import { utcTime } from './time.tsx'
import { isSamePolicy, keysOf, readPolicy, remembered, useTrust } from './pinned.tsx'
import { useNavigation } from './navigation.tsx'
import { count } from '../../ledger/words.ts'
import type { Pin } from './remembered.ts'

/** Which keys this browser trusts for the ledger: shown, compared, replaced, forgotten. */
export function TrustView() {
  const { bank } = useNavigation().place
  const { pin } = useTrust()
  const [seen, setSeen] = useState(() => remembered.seen(bank))
  return (
    <>
      <h1 tabIndex={-1}>Trust</h1>
      <p class="lede">
        Every check on these pages is made in your browser, under a policy that you pin: the
        ledger’s key, and the witnesses that must have cosigned.
      </p>
      <p class="note warn">
        These pages, and the key they offer, come from the party under audit. A key served by it
        proves nothing until you have compared it with one that you were given by another way: by
        the bank, by a witness, on paper.
      </p>
      {pin === undefined ? <FirstUse /> : <Pinned pin={pin} />}
      <BringOwn />
      <section class="card" aria-labelledby="history-title">
        <h2 id="history-title">What this browser has seen</h2>
        {seen === undefined ? (
          <p>
            No signed tree yet. The first one that is checked is remembered, and every later one
            held against it.
          </p>
        ) : (
          <>
            <p>
              The largest tree of this ledger that was checked here has{' '}
              {count(seen.size, 'entry', 'entries')}. Every other is held against it, so that a fork
              or a roll-back shows.
            </p>
            <pre class="bytes" tabIndex={0} aria-label="The signed checkpoint that was seen">
              {seen.note}
            </pre>
            <button
              class="quiet small-button"
              id="forget-seen"
              onClick={() => {
                remembered.setSeen(bank, undefined)
                setSeen(undefined)
              }}
            >
              Forget it
            </button>
          </>
        )}
      </section>
      <Shortcut />
    </>
  )
}

function FirstUse() {
  const { bank } = useNavigation().place
  const { served, setPin } = useTrust()
  const [compared, setCompared] = useState(false)
  if (served.state === 'failed')
    return <p class="note bad">The served policy cannot be read: {served.error.message}</p>
  if (served.value === undefined) return <p aria-busy="true">Reading the served policy…</p>
  const policy = served.value
  return (
    <section class="card" aria-labelledby="served-title">
      <h2 id="served-title">The policy that is served for {bank}</h2>
      <Keys policy={policy} />
      <label class="tick">
        <input
          type="checkbox"
          id="compared"
          checked={compared}
          onChange={({ currentTarget }) => setCompared(currentTarget.checked)}
        />
        <span>
          I compared each fingerprint with one that I was given by another way, and they are the
          same.
        </span>
      </label>
      <button
        id="pin-served"
        class={compared ? 'small-button' : 'small-button quiet'}
        onClick={() => setPin({ policy, at: new Date().toISOString(), source: 'served', compared })}
      >
        {compared ? 'Pin this policy' : 'Pin it without comparing, for now'}
      </button>
    </section>
  )
}

function Pinned({ pin }: { pin: Pin }) {
  const { crypto, served, setPin } = useTrust()
  const changed = served.state === 'done' && !isSamePolicy(crypto, served.value, pin.policy)
  return (
    <section class="card" aria-labelledby="pinned-title">
      <h2 id="pinned-title">The policy that you pinned</h2>
      <p class="soft small">
        Pinned on {utcTime(pin.at)},{' '}
        {pin.source === 'given' ? 'as you brought it' : 'as it was served'}
        {pin.compared ? ', compared.' : ', not compared.'}
      </p>
      <Keys policy={pin.policy} />
      <div class="row">
        {!pin.compared && (
          <button
            id="now-compared"
            class="small-button"
            onClick={() => setPin({ ...pin, compared: true })}
          >
            I have compared the fingerprints
          </button>
        )}
        <button id="unpin" class="quiet small-button" onClick={() => setPin(undefined)}>
          Unpin
        </button>
      </div>
      {changed && (
        <details open>
          <summary>What is served now</summary>
          <Keys policy={served.value} />
        </details>
      )}
    </section>
  )
}

/** The keys of a policy and their fingerprints, and its text. */
function Keys({ policy: text }: { policy: string }) {
  const { crypto } = useTrust()
  const { policy, wrong } = readPolicy(crypto, text)
  if (policy === undefined) return <p class="note bad">This is no policy: {wrong}.</p>
  return (
    <>
      {keysOf(crypto, policy).map(({ what, name, vkey, fingerprint }) => (
        <div class="key" key={vkey}>
          <p>
            <strong>{what === 'log' ? 'Ledger' : 'Witness'}</strong> <bdi>{name}</bdi>
          </p>
          <p class="fingerprint">
            <span class="sr">SHA-256 of the key as written below: </span>
            {fingerprint}
          </p>
          <p class="small soft">
            <code>{vkey}</code>
          </p>
        </div>
      ))}
      <p class="small">
        {policy.quorum === 'none'
          ? 'It asks for no witness: only the ledger’s own signature stands behind a tree.'
          : `A tree needs the cosignatures of: ${policy.quorum}.`}
      </p>
      <details>
        <summary>The file (tlog-policy)</summary>
        <pre class="bytes" tabIndex={0} aria-label="The policy file">
          {text}
        </pre>
      </details>
    </>
  )
}

function BringOwn() {
  const { crypto, setPin, pin } = useTrust()
  const [text, setText] = useState('')
  const [wrong, setWrong] = useState<string>()
  const use = () => {
    const policy = text.endsWith('\n') ? text : `${text}\n`
    const found = readPolicy(crypto, policy)
    setWrong(found.wrong)
    if (found.policy === undefined) return
    setPin({ policy, at: new Date().toISOString(), source: 'given', compared: true })
    setText('')
  }
  return (
    <section class="card" aria-labelledby="own-title">
      <h2 id="own-title">{pin === undefined ? 'Or bring your own' : 'Pin another'}</h2>
      <p>Best of all: a policy file (tlog-policy) that you were given by the bank or a witness.</p>
      <label for="policy-text">Paste the file</label>
      <textarea
        id="policy-text"
        rows={4}
        spellcheck={false}
        value={text}
        aria-describedby={wrong === undefined ? undefined : 'policy-wrong'}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
      />
      <label for="policy-file">or choose it</label>
      <input
        type="file"
        id="policy-file"
        onChange={({ currentTarget }) => void currentTarget.files?.[0]?.text().then(setText)}
      />
      {wrong !== undefined && (
        <p class="note bad" role="alert" id="policy-wrong">
          This is no policy: {wrong}.
        </p>
      )}
      <button id="pin-given" class="small-button" disabled={text.trim() === ''} onClick={use}>
        Pin this policy
      </button>
    </section>
  )
}

function Shortcut() {
  const [on, setOn] = useState(() => remembered.shortcut())
  return (
    <label class="tick">
      <input
        type="checkbox"
        checked={on}
        onChange={({ currentTarget }) => {
          remembered.setShortcut(currentTarget.checked)
          setOn(currentTarget.checked)
        }}
      />
      <span>
        The <kbd>/</kbd> key goes to the search box
      </span>
    </label>
  )
}
