import { count, figure } from '../../ledger/words.ts'
import type { Checked } from '../../verifier/places.ts'
import { filesOfDrop, filesOfInput, type Dropped } from './dropped_files.ts'
import { verifyDropped, type Asked, type Told } from './verify_work.ts'

// The verifier as one page, which opens from a disk: its script is the page's and its worker's alike.

if (typeof document === 'undefined')
  addEventListener('message', (event: MessageEvent<Asked>) => {
    void verifyDropped(event.data, (told) => postMessage(told))
  })
else openPage()

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no ${id}`)
  return found as T
}

function openPage(): void {
  let chosen: readonly Dropped[] = []
  let stop: (() => void) | undefined
  const choose = (files: readonly Dropped[]) => {
    chosen = files
    element('chosen').textContent = files.length === 0 ? 'Nothing is chosen yet.' : describe(files)
  }
  for (const id of ['folder', 'files']) {
    const input = element<HTMLInputElement>(id)
    input.addEventListener('change', () => choose(filesOfInput(input)))
  }
  takeDrops(choose)
  element('form').addEventListener('submit', (event) => {
    event.preventDefault()
    stop?.()
    const policy = fileOf('policy')
    if (chosen.length === 0) return complain('Choose what to verify: a folder, or files.', 'folder')
    if (policy === undefined)
      return complain('Choose the policy file: it says which keys to trust.', 'policy')
    stop = verify({
      files: chosen,
      policy,
      earlier: fileOf('earlier'),
      bankKey: fileOf('bank-key'),
    })
  })
  element('stop').addEventListener('click', () => {
    stop?.()
    element('verify').focus()
  })
}

function describe(files: readonly Dropped[]): string {
  const [first = ''] = files.map(([path]) => path)
  const top = first.includes('/') ? `${first.slice(0, first.indexOf('/'))}: ` : ''
  return `Chosen: ${top}${count(files.length, 'file', 'files')}.`
}

const fileOf = (id: string): File | undefined => element<HTMLInputElement>(id).files?.[0]

/** A file that is dropped beside the field would be opened by the browser, in the place of this page. */
function takeDrops(choose: (files: readonly Dropped[]) => void): void {
  const field = element('drop')
  const over = (is: boolean) => field.classList.toggle('over', is)
  document.addEventListener('dragover', (event) => {
    event.preventDefault()
    over(true)
  })
  document.addEventListener('dragleave', () => over(false))
  document.addEventListener('drop', (event) => {
    event.preventDefault()
    over(false)
    if (event.dataTransfer === null) return
    filesOfDrop(event.dataTransfer).then(choose, () =>
      complain(
        'This browser does not let the page read what was dropped. Choose it instead.',
        'folder',
      ),
    )
  })
}

function complain(what: string, field: string): void {
  const problem = element('problem')
  problem.textContent = what
  problem.hidden = false
  element(field).focus()
}

/** Verifies in a worker, so that the page stays usable. Returns how to stop it. */
function verify(asked: Asked): () => void {
  const program = element('program').textContent
  const url = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }))
  const worker = new Worker(url)
  const stop = () => {
    worker.terminate()
    URL.revokeObjectURL(url)
    showWorking(false)
  }
  element('problem').hidden = true
  element('results').replaceChildren()
  showWorking(true)
  const checked: Checked[] = []
  worker.addEventListener('message', ({ data: told }: MessageEvent<Told>) => {
    if ('done' in told) showProgress(told)
    else if ('checked' in told) checked.push(told.checked)
    else {
      stop()
      if ('problem' in told) complain(told.problem, 'policy')
      else showResults(checked)
    }
  })
  worker.addEventListener('error', (event) => {
    stop()
    complain(`This page failed: ${event.message}. Nothing is verified.`, 'verify')
  })
  worker.postMessage(asked, [])
  return stop
}

function showWorking(is: boolean): void {
  element('working').hidden = !is
  element('stop').hidden = !is
  element('said').textContent = is ? 'Verifying…' : ''
  element('progress').removeAttribute('value')
}

function showProgress({ done, of }: { done: number; of: number }): void {
  const progress = element<HTMLProgressElement>('progress')
  const before = Math.floor(progress.position * 10)
  progress.max = of
  progress.value = done
  // Whoever listens is told of each tenth, and not of each bundle.
  if (Math.floor(progress.position * 10) !== before)
    element('said').textContent = `${figure(done)} of ${count(of, 'entry', 'entries')} verified.`
}

function showResults(checked: readonly Checked[]): void {
  const results = element('results')
  results.replaceChildren(...checked.map(resultOf), actionsFor(checked))
  results.focus()
  results.scrollIntoView()
}

function resultOf({ verified, text }: Checked): HTMLElement {
  const [, , verdict = '', ...rest] = text.split('\n')
  const card = make('section', 'card')
  const note = make('div', `note ${verified ? 'good' : 'bad'}`)
  const heading = make('h2', 'verdict')
  heading.textContent = `${verified ? '✓' : '✗'} ${verdict}`
  const report = make('div', 'report')
  report.textContent = rest.join('\n').trim()
  note.append(heading)
  card.append(note, report)
  return card
}

function actionsFor(checked: readonly Checked[]): HTMLElement {
  const actions = make('p', 'actions')
  const print = make('button', '')
  print.textContent = 'Print'
  print.addEventListener('click', () => window.print())
  const save = make('a', 'button') as HTMLAnchorElement
  save.textContent = 'Save as JSON'
  save.download = 'verification.json'
  const lines = checked.map(({ json }) => `${JSON.stringify(json)}\n`)
  save.href = URL.createObjectURL(new Blob(lines, { type: 'application/json' }))
  actions.append(print, save)
  return actions
}

function make(name: string, className: string): HTMLElement {
  const made = document.createElement(name)
  made.className = className
  return made
}
