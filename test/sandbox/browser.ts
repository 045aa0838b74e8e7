/** As much of a browser as a form needs: cookies, redirects, and posting. */

export interface Page {
  /** Where the redirects ended. */
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export interface Browser {
  visit(url: URL | string): Promise<Page>
  /** Posts a form to the page's own address, as the bank's forms do. */
  submit(page: Page, form: readonly (readonly [name: string, value: string])[]): Promise<Page>
}

/** A browser that stops, without a request, at an address that starts with `home`. */
export function openBrowser(home: string): Browser {
  const jar = new Map<string, string>()

  const follow = async (url: URL, body?: URLSearchParams): Promise<Page> => {
    if (url.href.startsWith(home)) return { url, status: 0, headers: new Headers(), text: '' }
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(body && { method: 'POST', body }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    const location = response.headers.get('location')
    if (location !== null) return follow(new URL(location, url))
    const { status, headers } = response
    return { url, status, headers, text: await response.text() }
  }

  return {
    visit: (url) => follow(new URL(url)),
    submit: (page, form) => follow(page.url, new URLSearchParams(form.map(([...pair]) => pair))),
  }
}
