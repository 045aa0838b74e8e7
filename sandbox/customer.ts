import { parse, type HTMLElement } from 'node-html-parser'

/** A customer's browser, as far as forms go: cookies, redirects, ticking, and pressing buttons by their id. */
export interface Customer {
  /** Opens an address, and follows redirects until a page, or an address that is not ours to open. */
  visit(url: URL | string): Promise<Page>
  /** Submits the form that holds the button with this id, with what was filled in. */
  press(page: Page, buttonId: string): Promise<Page>
}

/** A page as it stands before the customer. */
export interface Page {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  /** Its words, without markup. */
  readonly text: string
  /** Whether there is an element with this id. */
  has(id: string): boolean
  /** Types into a field. */
  fill(id: string, value: string): void
  /** Ticks exactly these boxes among those whose id begins with `prefix`. */
  tickOnly(prefix: string, picked: (index: number) => boolean): void
}

/** Addresses that begin with one of `homes` are a recipient's own: they are reported, and not opened. */
export function openCustomer(homes: readonly string[]): Customer {
  const jars = new Map<string, Map<string, string>>()

  const jarOf = (url: URL): Map<string, string> => {
    const jar = jars.get(url.host) ?? new Map<string, string>()
    jars.set(url.host, jar)
    return jar
  }

  const follow = async (url: URL, post?: { body: URLSearchParams; from: URL }): Promise<Page> => {
    if (homes.some((home) => url.href.startsWith(home))) return pageOf(url, new Response(null), '')
    const jar = jarOf(url)
    const response = await fetch(url, {
      redirect: 'manual',
      headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        accept: 'text/html',
        ...(post === undefined
          ? {}
          : { origin: post.from.origin, 'sec-fetch-site': 'same-origin' }),
      },
      ...(post === undefined ? {} : { method: 'POST', body: post.body }),
    })
    for (const cookie of response.headers.getSetCookie()) keepCookie(jar, cookie)
    const location = response.headers.get('location')
    if (location !== null && response.status < 400) return follow(new URL(location, url))
    return pageOf(url, response, await response.text())
  }

  return {
    visit: (url) => follow(new URL(url)),
    press(page, buttonId) {
      const { action, body } = formOf(page, buttonId)
      return follow(new URL(action, page.url), { body, from: page.url })
    },
  }
}

function keepCookie(jar: Map<string, string>, cookie: string): void {
  const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
  if (value === '' || /max-age=0/i.test(cookie)) jar.delete(name)
  else jar.set(name, value)
}

const roots = new WeakMap<Page, HTMLElement>()

function pageOf(url: URL, response: Response, html: string): Page {
  const root = parse(html)
  const find = (id: string) => root.querySelector(`[id="${id}"]`)
  const page: Page = {
    url,
    status: response.status,
    headers: response.headers,
    text: (root.querySelector('main') ?? root).structuredText,
    has: (id) => find(id) !== null,
    fill(id, value) {
      const field = find(id)
      if (field === null) throw new Error(`${url.pathname} has no field ${id}: ${page.text}`)
      field.setAttribute('value', value)
    },
    tickOnly(prefix, picked) {
      for (const [i, box] of root
        .querySelectorAll(`input[type="checkbox"][id^="${prefix}"]`)
        .entries())
        if (picked(i)) box.setAttribute('checked', '')
        else box.removeAttribute('checked')
    },
  }
  roots.set(page, root)
  return page
}

/** What a browser would send, by HTML's rules for successful controls. */
function formOf(page: Page, buttonId: string): { action: string; body: URLSearchParams } {
  const root = roots.get(page)
  const button = root?.querySelector(`[id="${buttonId}"]`)
  const form = button?.closest('form')
  if (button === null || button === undefined || form === null || form === undefined)
    throw new Error(`${page.url.pathname} (${page.status}) has no button ${buttonId}: ${page.text}`)
  const body = new URLSearchParams()
  for (const control of form.querySelectorAll('input')) {
    const [name, type] = [control.getAttribute('name'), control.getAttribute('type')]
    if (
      name === undefined ||
      ((type === 'checkbox' || type === 'radio') && !control.hasAttribute('checked'))
    )
      continue
    body.append(name, control.getAttribute('value') ?? (type === 'checkbox' ? 'on' : ''))
  }
  const named = button.getAttribute('name')
  if (named !== undefined) body.append(named, button.getAttribute('value') ?? '')
  const action = button.getAttribute('formaction') ?? form.getAttribute('action') ?? page.url.href
  return { action, body }
}
