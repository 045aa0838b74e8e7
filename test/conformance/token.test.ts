import { expect } from '@jest/globals'
import { module } from './module.ts'
import { expectError, tokensOf, type Asking, type Suite } from './suite.ts'
import { everywhere } from './variants.ts'

const badGrant = { status: 400, error: 'invalid_grant' } as const

module(
  'fapi2-security-profile-final-access-token-type-header-case-sensitivity',
  everywhere,
  async ({ client }) => {
    const tokens = await client.tokens()
    const inverted = tokens.token_type.replaceAll(/./g, (letter) =>
      letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase(),
    )
    expect(await client.read(tokens, { scheme: inverted })).toMatchObject({ status: 200 })
  },
)

module(
  'fapi2-security-profile-final-attempt-reuse-authorization-code-after-one-second',
  everywhere,
  async ({ server, client }) => {
    const code = await client.code()
    const tokens = tokensOf(await client.redeem(code))
    expect(await client.read(tokens)).toMatchObject({ status: 200 })
    await server.advance(1)
    expectError(await client.redeem(code), badGrant)
    const { status } = await client.read(tokens)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expectError(await client.refresh(tokens), badGrant)
  },
)

module(
  'fapi2-security-profile-final-ensure-token-endpoint-fails-with-expired-auth-code',
  everywhere,
  async ({ server, client }) => {
    const code = await client.code()
    await server.advance(60)
    expectError(await client.redeem(code), badGrant)
  },
)

module(
  'fapi2-security-profile-final-ensure-pkce-code-verifier-required',
  everywhere,
  async ({ client }) => {
    const answer = await client.redeem(await client.code(), { form: { code_verifier: undefined } })
    expectError(answer, badGrant)
  },
)

module(
  'fapi2-security-profile-final-incorrect-pkce-code-verifier-rejected',
  everywhere,
  async ({ client }) => {
    const form = { code_verifier: 'w'.repeat(43) }
    expectError(await client.redeem(await client.code(), { form }), badGrant)
  },
)

module(
  'fapi2-security-profile-final-ensure-authorization-code-is-bound-to-client',
  everywhere,
  async ({ client, client2 }) => {
    const code = await client.code()
    const { redirectUri: redirect_uri, codeVerifier: code_verifier } = client
    expectError(await client2.redeem(code, { form: { redirect_uri, code_verifier } }), {
      status: 400,
      error: 'invalid_grant',
    })
  },
)

module(
  'fapi2-security-profile-final-ensure-client-id-in-token-endpoint',
  everywhere,
  async ({ client, client2 }) => {
    const code = await client.code()
    // Client 2's id with client 1's key: in an assertion that names client 2, and in one that names client 1.
    for (const claims of [{ iss: client2.id, sub: client2.id }, {}])
      expectError(await client.redeem(code, { client_id: client2.id, assertion: { claims } }), {
        status: 401,
        error: 'invalid_client',
      })
  },
)

/** Asked without what the token is, or would be, bound to. */
const keyless = ({ variant }: Suite): Asking =>
  variant.sender_constrain === 'dpop' ? { proof: 'none' } : { certificate: 'none' }

const anonymous = ({ variant }: Suite): Asking =>
  variant.client_auth_type === 'mtls' ? { certificate: 'none' } : { assertion: 'none' }

const withoutKey = ({ variant }: Suite) =>
  variant.sender_constrain === 'dpop'
    ? { status: 400, error: 'invalid_dpop_proof' }
    : { status: [400, 401], error: ['invalid_client', 'invalid_request'] }

module('fapi2-security-profile-final-ensure-holder-of-key-required', everywhere, async (suite) => {
  const { client } = suite
  const answer = await client.redeem(await client.code(), keyless(suite))
  expectError(answer, withoutKey(suite))
})

module('fapi2-security-profile-final-refresh-token', everywhere, async (suite) => {
  const { client, client2 } = suite
  const tokens = await client.tokens()
  expect(tokens.refresh_token).toMatch(/^[ -~]{22,}$/)
  const again = tokensOf(await client.refresh(tokens))
  expect(again.access_token).not.toBe(tokens.access_token)
  expect(again).not.toHaveProperty('refresh_token')
  expect(await client.read(again)).toMatchObject({ status: 200 })
  expect(tokensOf(await client.refresh(tokens))).toMatchObject({ scope: tokens.scope })

  expectError(await client.refresh(tokens, anonymous(suite)), {
    status: 401,
    error: 'invalid_client',
  })
  expectError(await client.refresh(tokens, keyless(suite)), withoutKey(suite))

  const tokens2 = await client2.tokens()
  tokensOf(await client2.refresh(tokens2))
  expectError(await client.refresh(tokens2), badGrant)
  expectError(await client2.refresh(tokens), badGrant)
  expect(await client.read(tokens2)).toMatchObject({ status: 401 })
})
