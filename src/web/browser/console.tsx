import { render } from 'preact'
import type { ConsoleTold } from '../console.tsx'
import './console.css'

/** What the page was told by the server. */
const root = document.getElementById('console')
const told = JSON.parse(root?.dataset['told'] ?? '{}') as ConsoleTold

function Console({ bank, size, staff }: ConsoleTold) {
  return (
    <>
      <h1>{bank.legalName}</h1>
      <p>
        Logged in as {staff.name ?? staff.id}. The ledger has {size} signed entries.
      </p>
    </>
  )
}

if (root !== null) render(<Console {...told} />, root)
