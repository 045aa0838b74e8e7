import { useEffect, useState } from 'preact/hooks'

/** Something that is asked for: not yet there, there, or not to be had. `value` of the time before stays until the next is there. */
export type Loaded<T> =
  | { readonly state: 'loading'; readonly value?: T | undefined }
  | { readonly state: 'done'; readonly value: T }
  | { readonly state: 'failed'; readonly error: Error; readonly value?: undefined }

/** Asks anew whenever `key` changes, and drops the answer to what is no longer asked. Without a key, nothing is asked. */
export function useLoaded<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ state: 'loading' })
  useEffect(() => {
    if (key === undefined) return undefined
    const abort = new AbortController()
    setLoaded(({ value }) => ({ state: 'loading', value }))
    load(abort.signal).then(
      (value) => {
        if (!abort.signal.aborted) setLoaded({ state: 'done', value })
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setLoaded({ state: 'failed', error: errorOf(error) })
      },
    )
    return () => abort.abort()
  }, [key])
  return loaded
}

const errorOf = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error))
