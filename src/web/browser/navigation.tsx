import { createContext, type ComponentChildren } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import { addressOf, readPlace, type Place, type View } from './view.ts'

interface Navigation {
  readonly place: Place
  go(view: View): void
}

const Here = createContext<Navigation>({
  place: { bank: '', view: { name: 'unknown' } },
  go: () => undefined,
})

export const useNavigation = () => useContext(Here)

/** Keeps the place that the address names, whoever changes it: a link, a form, or the browser's own buttons. */
export function Navigated({ children }: { children: ComponentChildren }) {
  const [place, setPlace] = useState(() => readPlace(window.location))
  useEffect(() => {
    const read = () => setPlace(readPlace(window.location))
    window.addEventListener('popstate', read)
    return () => window.removeEventListener('popstate', read)
  }, [])
  const go = (view: View) => {
    const next = { bank: place.bank, view }
    window.history.pushState(null, '', addressOf(next))
    setPlace(next)
  }
  return <Here.Provider value={{ place, go }}>{children}</Here.Provider>
}

/** A link to a view: an ordinary one, so that it can be copied, and opened in another tab. */
export function To({
  view,
  children,
  ...attributes
}: {
  view: View
  children: ComponentChildren
  id?: string
  class?: string
  rel?: 'prev' | 'next'
  'aria-current'?: 'page' | undefined
  'aria-label'?: string
}) {
  const { place, go } = useNavigation()
  return (
    <a
      {...attributes}
      href={addressOf({ bank: place.bank, view })}
      onClick={(event: MouseEvent) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
          return
        event.preventDefault()
        go(view)
      }}
    >
      {children}
    </a>
  )
}
