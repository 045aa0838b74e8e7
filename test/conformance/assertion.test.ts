import { signingBy } from '../support/jwt.ts'
import { module } from './module.ts'
import { expectError, tokensOf, type Differing, type Suite } from './suite.ts'
import { withAssertions } from './variants.ts'

const unauthenticated = { status: 401, error: 'invalid_client' } as const

/** At the token endpoint, with a code that is good: it is still good afterwards. */
const refusedAtToken = async ({ client }: Suite, assertion: Differing | 'none') => {
  const code = await client.code()
  expectError(await client.redeem(code, { assertion }), unauthenticated)
  tokensOf(await client.redeem(code))
}

const refusedAtPar = async ({ client }: Suite, assertion: Differing) =>
  expectError(await client.push({ assertion }), unauthenticated)

module(
  'fapi2-security-profile-final-ensure-client-assertion-in-token-endpoint',
  withAssertions,
  (suite) => refusedAtToken(suite, 'none'),
)

module(
  'fapi2-security-profile-final-ensure-client-assertion-with-exp-is-5-minutes-in-past-fails',
  withAssertions,
  (suite) => refusedAtToken(suite, { claims: { exp: seconds(suite) - 300 } }),
)

module(
  'fapi2-security-profile-final-ensure-client-assertion-with-no-sub-fails',
  withAssertions,
  (suite) => refusedAtToken(suite, { claims: { sub: undefined } }),
)

module(
  'fapi2-security-profile-final-ensure-client-assertion-with-wrong-aud-fails',
  withAssertions,
  (suite) => refusedAtToken(suite, { claims: { aud: 'https://other.example' } }),
)

module(
  'fapi2-security-profile-final-ensure-signed-client-assertion-with-RS256-fails',
  withAssertions,
  async (suite) => {
    // The registered key, used by another algorithm, and named so in the header.
    await refusedAtToken(suite, { signer: signingBy(suite.client.signer, 'RS256') })
  },
)

module(
  'fapi2-security-profile-final-par-test-array-as-audience-fails',
  withAssertions,
  async (suite) => {
    const { issuer } = suite.server
    for (const aud of [[issuer, 'https://other.example'], [issuer]])
      await refusedAtPar(suite, { claims: { aud } })
  },
)

module(
  'fapi2-security-profile-final-par-test-par-endpoint-url-as-audience-fails',
  withAssertions,
  (suite) => refusedAtPar(suite, { claims: { aud: `${suite.server.issuer}/oauth/par` } }),
)

module(
  'fapi2-security-profile-final-par-test-token-endpoint-url-as-audience-fails',
  withAssertions,
  (suite) => refusedAtPar(suite, { claims: { aud: `${suite.server.issuer}/oauth/token` } }),
)

module(
  'fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted',
  withAssertions,
  async (suite) => {
    const soon = seconds(suite) + 8
    await suite.client.requestUri({ assertion: { claims: { iat: soon, nbf: soon } } })
  },
)

module(
  'fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails',
  withAssertions,
  async (suite) => {
    const late = seconds(suite) + 65
    for (const claims of [{ iat: late }, { nbf: late }])
      await refusedAtPar(suite, { claims: { ...claims, exp: late + 60 } })
  },
)

const seconds = ({ server }: Suite) => Math.floor(server.now() / 1000)
