import { describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { authorizationResponse } from '../../src/authorization/authorization_response.ts'
import { tokenKeysOf } from '../../src/authorization/keys.ts'
import { newSigner } from '../support/jwt.ts'

const issuer = 'https://broker.example'
const keys = tokenKeysOf([newSigner('ES256').privateJwk])
const now = Date.now()
const request = {
  clientId: 'messenger',
  redirectUri: 'https://recipient.example/callback?tenant=a%20b',
  responseMode: 'query',
} as const

const respond = (change: object, outcome: Parameters<typeof authorizationResponse>[2]['outcome']) =>
  authorizationResponse({ issuer, keys }, { ...request, ...change }, { outcome, now })

describe('a plain answer', () => {
  it('has a code, state and iss, beside what the redirect URI has already', () => {
    expect(respond({ state: 'a&b' }, { code: 'c' })).toBe(
      'https://recipient.example/callback?tenant=a%20b&code=c&state=a%26b&iss=https%3A%2F%2Fbroker.example',
    )
  })

  it('has an error in the same way, and without a state there is none', () => {
    const redirectUri = 'https://recipient.example/callback'
    const outcome = { error: 'access_denied', error_description: 'the customer declined' } as const
    expect(respond({ redirectUri }, outcome)).toBe(
      'https://recipient.example/callback?error=access_denied&error_description=the+customer+declined&iss=https%3A%2F%2Fbroker.example',
    )
  })
})

describe('a signed answer', () => {
  it.each([
    ['a code', { code: 'c' }],
    ['an error', { error: 'access_denied', error_description: 'no' } as const],
  ])('has %s inside one parameter, for its client, and not for long', async (_, outcome) => {
    const location = new URL(respond({ responseMode: 'jwt', state: 's' }, outcome))
    expect([...location.searchParams.keys()]).toEqual(['tenant', 'response'])
    const { payload, protectedHeader } = await jwtVerify(
      location.searchParams.get('response') ?? '',
      createLocalJWKSet({ keys: keys.jwks.keys.map((key) => ({ kty: 'EC', ...key })) }),
      { issuer, audience: 'messenger', algorithms: ['ES256'] },
    )
    expect(payload).toEqual({
      ...outcome,
      state: 's',
      iss: issuer,
      aud: 'messenger',
      exp: Math.floor(now / 1000) + 300,
    })
    expect(protectedHeader).toMatchObject({ alg: 'ES256', kid: expect.any(String), typ: 'JWT' })
  })
})
