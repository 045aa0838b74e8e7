import { createContext, type ComponentChildren } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'

const Announce = createContext<(words: string) => void>(() => undefined)

/** A live region for the whole page: what happened, for those who do not see it happen. */
export function Announced({ children }: { children: ComponentChildren }) {
  const [words, setWords] = useState('')
  return (
    <Announce.Provider value={setWords}>
      {children}
      <p class="sr" role="status" aria-live="polite" id="announcer">
        {words}
      </p>
    </Announce.Provider>
  )
}

/** Says something once it is so. */
export function useAnnouncement(words: string | undefined): void {
  const announce = useContext(Announce)
  useEffect(() => {
    if (words !== undefined) announce(words)
  }, [words])
}
