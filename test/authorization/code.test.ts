import { expect, it } from '@jest/globals'
import { authorizationResponse } from '../../src/authorization/code.ts'

const issuer = 'https://broker.example'

it('a code goes to the redirect URI with state and iss', () => {
  const redirectUri = 'https://recipient.example/callback?tenant=a%20b'
  expect(authorizationResponse(issuer, { redirectUri, state: 'a&b' }, { code: 'c' })).toBe(
    'https://recipient.example/callback?tenant=a%20b&code=c&state=a%26b&iss=https%3A%2F%2Fbroker.example',
  )
})

it('an error goes there too, and without a state there is none', () => {
  const redirectUri = 'https://recipient.example/callback'
  const outcome = { error: 'access_denied', error_description: 'the customer declined' } as const
  expect(authorizationResponse(issuer, { redirectUri }, outcome)).toBe(
    'https://recipient.example/callback?error=access_denied&error_description=the+customer+declined&iss=https%3A%2F%2Fbroker.example',
  )
})
