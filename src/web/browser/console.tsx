import { render } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import 'uplot/dist/uPlot.min.css'
import { Announced } from './announcer.tsx'
import { browserHasher, verifyEd25519 } from './browser_crypto.ts'
import './console.css'
import { EntryView } from './entry.tsx'
import { ExportView } from './export.tsx'
import { Navigated, To, useNavigation } from './navigation.tsx'
import { OverviewView } from './overview.tsx'
import { isSamePolicy, remembered, TrustOf, useTrust } from './pinned.tsx'
import { ReportView } from './report.tsx'
import { SearchView } from './search.tsx'
import { TrustView } from './trust.tsx'
import type { View } from './view.ts'

/** The auditor's console: everything that is shown at the addresses of one bank's console. */
function Console() {
  return (
    <Navigated>
      <TrustOf crypto={{ hasher: browserHasher, verifyEd25519 }}>
        <Announced>
          <Tabs />
          <PolicyChanged />
          <Here />
          <Limits />
        </Announced>
      </TrustOf>
    </Navigated>
  )
}

const tabs: readonly (readonly [string, View])[] = [
  ['Overview', { name: 'overview', range: {}, by: 'class' }],
  ['Search', { name: 'search', filters: {} }],
  ['Export', { name: 'export', filters: {} }],
  ['Report', { name: 'report', range: {} }],
  ['Trust', { name: 'trust' }],
]

function Tabs() {
  const { view } = useNavigation().place
  return (
    <nav class="tabs" aria-label="Console">
      {tabs.map(([label, to]) => (
        <To key={label} view={to} aria-current={to.name === tabOf(view) ? 'page' : undefined}>
          {label}
        </To>
      ))}
    </nav>
  )
}

const tabOf = ({ name }: View) => (name === 'entry' ? 'search' : name)

const titles: Readonly<Record<View['name'], string>> = {
  overview: 'Overview',
  search: 'Search',
  entry: 'Entry',
  export: 'Export',
  report: 'Report',
  trust: 'Trust',
  unknown: 'Not found',
}

/** The view that the address names. A new one is told by its title and its heading, which takes the focus. */
function Here() {
  const { place, go } = useNavigation()
  const { view, bank } = place
  const title = view.name === 'entry' ? `Entry ${view.index}` : titles[view.name]
  const first = useRef(true)
  const focused = useRef(heading)
  useEffect(() => {
    document.title = `${title} – ${bank} – Countersign console`
    if (!first.current) {
      window.scrollTo(0, 0)
      document.querySelector<HTMLElement>(focused.current)?.focus()
    }
    first.current = false
    focused.current = heading
  }, [title])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return
      if (!remembered.shortcut() || isTyping(event.target)) return
      event.preventDefault()
      const box = document.getElementById('q')
      if (box !== null) return box.focus()
      focused.current = '#q'
      go({ name: 'search', filters: {} })
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [go])
  switch (view.name) {
    case 'overview':
      return <OverviewView {...view} />
    case 'search':
      return <SearchView {...view} />
    case 'entry':
      return <EntryView {...view} />
    case 'export':
      return <ExportView {...view} />
    case 'report':
      return <ReportView {...view} />
    case 'trust':
      return <TrustView />
    case 'unknown':
      return <NotFound />
  }
}

/** What a new view gives the focus to, unless the reader asked for something in it. */
const heading = 'main h1'

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches('input, textarea, select')

function NotFound() {
  return (
    <>
      <h1 tabIndex={-1}>There is nothing here</h1>
      <p>
        The address names no view of the console.{' '}
        <To view={{ name: 'overview', range: {}, by: 'class' }}>Go to the overview</To>
      </p>
    </>
  )
}

/** A policy that is served now and is not the one pinned: a new key, fewer witnesses, or somebody else's ledger. */
function PolicyChanged() {
  const { crypto, pin, served } = useTrust()
  if (pin === undefined || served.state !== 'done') return null
  if (isSamePolicy(crypto, served.value, pin.policy)) return null
  return (
    <p class="note warn" role="alert" id="policy-changed">
      The broker now serves another policy than the one you pinned. Everything here is still checked
      under yours. <To view={{ name: 'trust' }}>Compare the two</To>
    </p>
  )
}

/** What a page cannot prove about itself. */
function Limits() {
  return (
    <p class="small soft page-limits">
      This page is served by the party under audit, and could lie about its own checks. What it says
      can be checked without it: export, and verify offline with a key from elsewhere and{' '}
      <a href="/web/verifier/verify.html">a verifier</a> whose hash you compared.
    </p>
  )
}

const root = document.getElementById('console')
if (root !== null) render(<Console />, root)
