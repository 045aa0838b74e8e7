import { afterAll, beforeAll, describe, it } from '@jest/globals'
import { openServerUnderTest, type ServerUnderTest } from './server_under_test.ts'
import { openSuite, type Suite } from './suite.ts'
import { variants, type Variant } from './variants.ts'

let server: ServerUnderTest

beforeAll(async () => {
  server = await openServerUnderTest()
})
afterAll(() => server.close())

/**
 * A test module of the OpenID Foundation's conformance suite, by its own name, for each of our variants that it applies to. What
 * it accepts is what the suite's module accepts; where the suite accepts several answers, it holds ours to one of them.
 * docs/conformance.md lists every module with the file that has it.
 */
export function module(
  name: string,
  applies: (variant: Variant) => boolean,
  run: (suite: Suite) => Promise<void>,
): void {
  const rows = Object.entries(variants).filter(([, variant]) => applies(variant))
  describe(name, () => {
    it.each(rows)('in variant %s', async (_, variant) => {
      await run(await openSuite(server, variant))
    })
  })
}
