import { renderPage } from './layout.tsx'

/** Something did not go on: what it was and what to do now, in plain words. */
export interface Notice {
  readonly title: string
  readonly what: string
  readonly todo: string
}

export function errorPage({ title, what, todo }: Notice): string {
  return renderPage({
    title,
    children: (
      <>
        <h1>{title}</h1>
        <div class="card" role="alert">
          <p>{what}</p>
          <p>{todo}</p>
        </div>
      </>
    ),
  })
}
