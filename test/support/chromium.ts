import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const { CHROMIUM_PATH } = process.env

/** Where Chromium is installed; undefined where it is not, and tests that need it say so. */
export const chromiumPath = [CHROMIUM_PATH ?? '', '/usr/bin/chromium'].find((path) =>
  existsSync(path),
)

/** Chromium that calls nobody on its own account. */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumPath ?? '',
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  })
