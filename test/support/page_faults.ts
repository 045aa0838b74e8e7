import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** What axe finds wrong with a page as it is, and by how many pixels it is too wide. Needs a context that bypasses the page's CSP. */
export async function pageFaults(page: Page): Promise<unknown> {
  await page.waitForLoadState()
  await page.addScriptTag({ path: axe })
  return page.evaluate(`axe.run({ resultTypes: ['violations'] }).then(({ violations }) => ({
    violations: violations.map(({ id, impact, nodes }) => [id, impact, nodes.map(({ html }) => html)]),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }))`)
}

export const noFaults = { violations: [], overflow: 0 } as const
