import { Banks, Form, renderPage, type Csrf } from './layout.tsx'

/** The banks to choose from, before a login that shows the customer what is theirs. */
export function chooseBankPage({
  title,
  why,
  action,
  banks,
  csrf,
}: Csrf & {
  title: string
  why: string
  action: string
  banks: readonly { readonly id: string; readonly legalName: string }[]
}): string {
  return renderPage({
    title,
    children: (
      <>
        <h1>{title}</h1>
        <p class="lede">{why}</p>
        <Form action={action} csrf={csrf} class="card">
          <h2>Choose your bank</h2>
          <Banks banks={banks} />
        </Form>
      </>
    ),
  })
}
