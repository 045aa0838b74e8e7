import { startTestServer, type TestServer } from './server.ts'

declare global {
  var testServer: TestServer | undefined
}

/** One server and one migrated template for the whole run; the test files learn of them through the environment. */
export default async function globalSetup(): Promise<void> {
  const server = await startTestServer(process.env['DATABASE_URL'])
  globalThis.testServer = server
  process.env['COUNTERSIGN_TEST_OWNER_URL'] = server.ownerUrl
  process.env['COUNTERSIGN_TEST_SERVICE_URL'] = server.serviceUrl
}
