import { expect } from '@jest/globals'
import { newSigner, sha256, thumbprintOf } from '../support/jwt.ts'
import { module } from './module.ts'
import { expectError, tokensOf, type Reading, type Suite, type SuiteClient } from './suite.ts'
import { withProofs } from './variants.ts'

const seconds = ({ server }: Suite) => Math.floor(server.now() / 1000)

/** The same claims in the proof at each of the three endpoints. */
async function succeedsEverywhere({ client }: Suite, claims: Record<string, unknown>) {
  const proof = { claims }
  const tokens = tokensOf(await client.redeem(await client.code({ proof }), { proof }))
  expect(await client.read(tokens, { proof })).toMatchObject({ status: 200 })
}

module('fapi2-security-profile-final-check-dpop-proof-nbf-exp', withProofs, (suite) =>
  succeedsEverywhere(suite, { nbf: seconds(suite), exp: seconds(suite) + 300 }),
)

module(
  'fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-before-succeeds',
  withProofs,
  (suite) => succeedsEverywhere(suite, { iat: seconds(suite) - 10 }),
)

module(
  'fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-after-succeeds',
  withProofs,
  (suite) => succeedsEverywhere(suite, { iat: seconds(suite) + 8 }),
)

module(
  'fapi2-security-profile-final-ensure-dpopproof-at-par-endpoint-binding-success',
  withProofs,
  async ({ client }) => {
    await client.tokens({ proof: {} })
  },
)

module(
  'fapi2-security-profile-final-ensure-dpop-auth-code-binding-success',
  withProofs,
  async ({ client }) => {
    const parameters = { dpop_jkt: thumbprintOf(client.prover) }
    await client.tokens({ parameters, proof: {} })
  },
)

module(
  'fapi2-security-profile-final-ensure-mismatched-dpop-jkt-fails',
  withProofs,
  async ({ client }) => {
    const parameters = { dpop_jkt: sha256('another key') }
    expectError(await client.push({ parameters, proof: {} }), {
      status: 400,
      error: ['invalid_request', 'invalid_dpop_proof'],
    })
  },
)

const anotherKey = { status: 400, error: 'invalid_grant' } as const

module(
  'fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-jkt',
  withProofs,
  async ({ client }) => {
    const code = await client.code({ parameters: { dpop_jkt: sha256('another key') } })
    expectError(await client.redeem(code), anotherKey)
  },
)

module(
  'fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt',
  withProofs,
  async ({ client }) => {
    const code = await client.code({ proof: { signer: newSigner('ES256') } })
    expectError(await client.redeem(code), anotherKey)
  },
)

/** What a proof says and must not, at the resource: each refused with 401, and with the challenge that says why. */
const wrong: Readonly<Record<string, (client: SuiteClient, now: number) => Reading>> = {
  'two proofs': () => ({ sent: (proof) => [proof, proof] }),
  'no JWT': () => ({ sent: (proof) => proof.replaceAll('.', '') }),
  'no typ': () => ({ proof: { header: { typ: undefined } } }),
  'no alg': () => ({ proof: { header: { alg: undefined } } }),
  'no jwk': () => ({ proof: { header: { jwk: undefined } } }),
  'no jti': () => ({ proof: { claims: { jti: undefined } } }),
  'no htm': () => ({ proof: { claims: { htm: undefined } } }),
  'no htu': () => ({ proof: { claims: { htu: undefined } } }),
  'no iat': () => ({ proof: { claims: { iat: undefined } } }),
  'no ath': () => ({ proof: { claims: { ath: undefined } } }),
  'another typ': () => ({ proof: { header: { typ: 'JWT' } } }),
  RS256: () => ({ proof: { signer: newSigner('RS256') } }),
  'alg none': () => ({ proof: { header: { alg: 'none' } } }),
  'another signature': () => ({
    sent: (proof) => proof.slice(0, -12) + 'A'.repeat(10) + proof.slice(-2),
  }),
  'a private key': ({ prover }) => ({ proof: { header: { jwk: prover.privateJwk } } }),
  'another htm': () => ({ proof: { claims: { htm: 'PUT' } } }),
  'another htu': () => ({ proof: { claims: { htu: 'https://other.example/fdx/v6/accounts' } } }),
  'an iat an hour ahead': (_, now) => ({ proof: { claims: { iat: now + 3_600 } } }),
  'an iat an hour ago': (_, now) => ({ proof: { claims: { iat: now - 3_600 } } }),
  'another ath': () => ({ proof: { claims: { ath: sha256('another token') } } }),
  'another key': () => ({ proof: { signer: newSigner('ES256') } }),
  'no proof': () => ({ proof: 'none' }),
  'no proof, as a bearer token': () => ({ proof: 'none', scheme: 'Bearer' }),
}

/** What looks odd, and is right (RFC 9449 §4.3, RFC 3986 §6.2). */
const right: Readonly<Record<string, (issuer: string) => Reading>> = {
  'htu with a query and a fragment': (issuer) => ({
    proof: { claims: { htu: `${issuer}/fdx/v6/accounts?a=b#c` } },
  }),
  'a query beside htu': () => ({ path: '/fdx/v6/accounts?a=b' }),
  'a scheme and host in capitals': (issuer) => ({
    proof: { claims: { htu: `${issuer.toUpperCase()}/fdx/v6/accounts` } },
  }),
  'the default port': (issuer) => ({
    proof: { claims: { htu: `${issuer}:443/fdx/v6/accounts` } },
  }),
  'members that are not known': () => ({
    proof: { header: { extra: 'header' }, claims: { extra: ['claim'] } },
  }),
  nothing: () => ({}),
}

module('fapi2-security-profile-final-dpop-negative-tests', withProofs, async (suite) => {
  const { client, server } = suite
  const tokens = await client.tokens()
  expect(await client.read(tokens)).toMatchObject({ status: 200 })
  for (const [what, reading] of Object.entries(wrong)) {
    const { status, headers } = await client.read(tokens, reading(client, seconds(suite)))
    expect({ what, status }).toEqual({ what, status: 401 })
    expect(headers['www-authenticate']).toMatch(/^DPoP /)
  }
  for (const [what, reading] of Object.entries(right)) {
    const { status } = await client.read(tokens, reading(server.issuer))
    expect({ what, status }).toEqual({ what, status: 200 })
  }
  const proof = { claims: { jti: 'used twice' } }
  expect(await client.read(tokens, { proof })).toMatchObject({ status: 200 })
  expect(await client.read(tokens, { proof })).toMatchObject({ status: 401 })
})
