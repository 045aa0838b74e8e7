import type { Express } from 'express'
import supertest from 'supertest'

/** A page as a browser without scripts has it. */
export interface Visit {
  readonly status: number
  readonly text: string
  readonly location: string
  readonly headers: Readonly<Record<string, string>>
}

/** As much of a browser as a form needs. Its cookies are open to tests, which plant, copy and take them away. */
export interface PageBrowser {
  readonly cookies: Map<string, string>
  get(path: string): Promise<Visit>
  /** Presses the button of an id on a page: sends that button's form, as it stands or with other fields. */
  press(page: Visit, button: string, change?: Change): Promise<Visit>
}

export interface Change {
  /** Instead of what the form has; a field set to nothing is left out. */
  readonly fields?: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Where the page is, when its form is sent to its own address. */
  readonly page?: URL
  /** Instead of what a browser says of a form sent from the page itself; a header set to nothing is left out. */
  readonly headers?: Readonly<Record<string, string | undefined>>
}

/** A browser at `origin`, which is where the app believes it is served; or is, at a server on localhost, whatever its certificate. */
export function openPageBrowser(app: Express | string, origin: string): PageBrowser {
  const cookies = new Map<string, string>()

  const visit = async (request: supertest.Test): Promise<Visit> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await request.set('cookie', cookie).redirects(0).trustLocalhost()
    for (const line of response.get('Set-Cookie') ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const { status, text, headers } = response
    return { status, text, headers, location: headers['location'] ?? '' }
  }

  return {
    cookies,
    get: (path) => visit(supertest(app).get(path)),
    press(page, button, { fields = {}, headers = {}, page: at } = {}) {
      const form = formWith(page.text, button)
      const body = new URLSearchParams(form.fields)
      for (const [name, value] of Object.entries(fields)) {
        body.delete(name)
        for (const one of [value ?? []].flat()) body.append(name, one)
      }
      const action = form.action === '' && at !== undefined ? at.pathname + at.search : form.action
      const request = supertest(app).post(action).type('form').send(body.toString())
      const said = { origin, 'sec-fetch-site': 'same-origin', ...headers }
      for (const [name, value] of Object.entries(said))
        if (value !== undefined) void request.set(name, value)
      return visit(request)
    },
  }
}

/** What pressing a button would send, and where to. */
function formWith(html: string, id: string): { action: string; fields: [string, string][] } {
  const form = [...html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].find(([, , inner]) =>
    inner?.includes(`id="${id}"`),
  )
  const [, opening = '', inner = ''] = form ?? []
  const button = [...inner.matchAll(/<button\b([^>]*)>/g)].find(([, tag]) =>
    tag?.includes(`id="${id}"`),
  )?.[1]
  if (button === undefined) throw new Error(`there is no button ${id} on this page:\n${html}`)
  const inputs = [...inner.matchAll(/<input\b([^>]*)>/g)]
    .map(([, tag = '']) => tag)
    .filter((tag) => !tag.includes('type="checkbox"') || / checked\b/.test(tag))
  return {
    action: attribute(button, 'formaction') ?? attribute(opening, 'action') ?? '',
    fields: [...inputs, button].flatMap((tag) => {
      const name = attribute(tag, 'name')
      return name === undefined ? [] : [[name, attribute(tag, 'value') ?? '']]
    }),
  }
}

const attribute = (tag: string, name: string): string | undefined =>
  new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1]
