import { useState } from 'preact/hooks'
import { encodeBase64 } from '../../merkle/encoding.ts'
import { count } from '../../ledger/words.ts'

/** The exact bytes of an entry and their proof, to read, to copy, and to check elsewhere. */
export function RawBytes({
  index,
  bytes,
  proof,
}: {
  index: number
  bytes: Uint8Array
  proof: string
}) {
  const text = new TextDecoder().decode(bytes)
  const base64 = encodeBase64(bytes)
  return (
    <section class="card" aria-labelledby="raw-title">
      <h2 id="raw-title">Raw</h2>
      <details>
        <summary>The entry, indented</summary>
        <pre class="bytes" tabIndex={0} aria-label="The entry, indented" id="pretty">
          {indented(text)}
        </pre>
      </details>
      <details>
        <summary>Its {count(bytes.length, 'byte')}, exactly</summary>
        <pre class="bytes" tabIndex={0} aria-label="The exact bytes" id="exact">
          {text}
        </pre>
        <p class="small soft">In base64:</p>
        <pre class="bytes wrap" tabIndex={0} aria-label="The exact bytes, in base64">
          {base64}
        </pre>
        <div class="row">
          <Copy what="bytes" text={text} />
          <Copy what="base64" text={base64} />
          <Save name={`entry-${index}.json`} content={bytes}>
            Download the bytes
          </Save>
        </div>
      </details>
      <details>
        <summary>The proof (tlog-proof)</summary>
        <pre class="bytes" tabIndex={0} aria-label="The proof" id="proof">
          {proof}
        </pre>
        <div class="row">
          <Copy what="proof" text={proof} />
          <Save name={`entry-${index}.tlog-proof`} content={proof}>
            Download the proof
          </Save>
        </div>
      </details>
      <div class="row">
        <Copy what="link to this entry" text={window.location.href} />
      </div>
    </section>
  )
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

/** A button that copies, and says that it did. */
export function Copy({ what, text }: { what: string; text: string }) {
  const [done, setDone] = useState<'copied' | 'failed'>()
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setDone('copied'),
      () => setDone('failed'),
    )
  const words = done === undefined ? `Copy the ${what}` : doneWords[done]
  return (
    <button type="button" class="quiet small-button" aria-live="polite" onClick={() => void copy()}>
      {words}
    </button>
  )
}

const doneWords = { copied: 'Copied', failed: 'The browser does not let this page copy' } as const

/** A button that hands something which the page already has to the browser's downloads. */
export function Save({
  name,
  content,
  children,
}: {
  name: string
  content: string | Uint8Array
  children: string
}) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([content as BlobPart]))
    const link = document.createElement('a')
    link.href = url
    link.download = name
    link.click()
    URL.revokeObjectURL(url)
  }
  return (
    <button type="button" class="quiet small-button" onClick={save}>
      {children}
    </button>
  )
}
