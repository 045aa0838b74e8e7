import { newSigner, signingBy } from '../support/jwt.ts'
import { module } from './module.ts'
import { expectError, type Differing, type Suite } from './suite.ts'
import { withRequestObjects } from './variants.ts'

const seconds = ({ server }: Suite) => Math.floor(server.now() / 1000)

/** A request object that differs from the right one is refused where it is pushed. */
const refused = async ({ client }: Suite, object: Differing) =>
  expectError(await client.push({ object }), { status: 400, error: 'invalid_request_object' })

const accepted = async ({ client }: Suite, object: Differing) => {
  await client.tokens({ object })
}

module(
  'fapi2-security-profile-final-ensure-request-object-with-multiple-aud-succeeds',
  withRequestObjects,
  (suite) => accepted(suite, { claims: { aud: ['https://other.example', suite.server.issuer] } }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted',
  withRequestObjects,
  (suite) => accepted(suite, { claims: { nbf: seconds(suite) + 8 } }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-with-bad-aud-fails',
  withRequestObjects,
  (suite) => refused(suite, { claims: { aud: 'https://other.example' } }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-without-exp-fails',
  withRequestObjects,
  (suite) => refused(suite, { claims: { exp: undefined } }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-without-nbf-fails',
  withRequestObjects,
  (suite) => refused(suite, { claims: { nbf: undefined } }),
)

module(
  'fapi2-security-profile-final-ensure-expired-request-object-fails',
  withRequestObjects,
  (suite) => refused(suite, { claims: { nbf: seconds(suite) - 600, exp: seconds(suite) - 300 } }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-with-exp-over-60-fails',
  withRequestObjects,
  (suite) => refused(suite, { claims: { exp: seconds(suite) + 70 * 60 } }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-with-nbf-over-60-fails',
  withRequestObjects,
  (suite) => refused(suite, { claims: { nbf: seconds(suite) - 70 * 60 } }),
)

module(
  'fapi2-security-profile-final-ensure-signed-request-object-with-RS256-fails',
  withRequestObjects,
  (suite) => refused(suite, { signer: signingBy(suite.client.signer, 'RS256') }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-signature-algorithm-is-not-none',
  withRequestObjects,
  (suite) => refused(suite, { signer: newSigner('none'), header: { kid: undefined } }),
)

module(
  'fapi2-security-profile-final-ensure-request-object-with-invalid-signature-fails',
  withRequestObjects,
  (suite) => refused(suite, { text: (made) => made.replace(/[^.]*$/, 'A'.repeat(342)) }),
)

module(
  'fapi2-security-profile-final-ensure-matching-key-in-authorization-request',
  withRequestObjects,
  (suite) => refused(suite, { signer: suite.client2.signer }),
)

module(
  'fapi2-security-profile-final-ensure-unsigned-request-at-par-endpoint-fails',
  withRequestObjects,
  async ({ client }) => {
    expectError(await client.push({ object: 'none' }), { status: 400, error: 'invalid_request' })
  },
)

module(
  'fapi2-security-profile-final-par-authorization-request-containing-request_uri',
  withRequestObjects,
  async (suite) => {
    const request_uri = await suite.client.requestUri()
    await refused(suite, { claims: { request_uri } })
  },
)
