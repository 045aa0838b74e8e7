import './global_setup.ts'

/** Runs after failed tests too. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.testServer?.stop()
}
