import { describe, expect, it } from '@jest/globals'
import { registrationProblems } from '../../src/authorization/registration.ts'
import { isRedirectUri } from '../../src/authorization/redirect_uri.ts'
import type { Client } from '../../src/storage/clients.ts'
import { newSigner } from '../support/jwt.ts'

const [ec, rsa] = [newSigner('ES256'), newSigner('PS256')]

const good = {
  id: 'recipient',
  kind: 'recipient',
  class: 'messaging_platform',
  legalName: 'Recipient, Inc.',
  lei: '7H6GLXDRUGQFU57RNE97',
  website: 'https://recipient.example',
  contacts: [],
  jwks: { keys: [{ ...ec.publicJwk, kid: 'one' }] },
  redirectUris: ['https://recipient.example/callback'],
  scopes: ['grant_management_revoke'],
  pages: ['page'],
} as const satisfies Client

describe('a registration', () => {
  it('that is right has no problem', () => {
    expect(registrationProblems(good)).toEqual([])
    const enc = { kty: 'EC', crv: 'P-256', use: 'enc', kid: 'two', x: 'x', y: 'y' }
    const keys = [...good.jwks.keys, { ...rsa.publicJwk, kid: 'three' }, enc]
    expect(registrationProblems({ ...good, jwks: { keys } })).toEqual([])
  })

  it.each<[string, Partial<typeof good> | object]>([
    ['no key', { jwks: { keys: [] } }],
    ['a private key', { jwks: { keys: [{ ...ec.privateJwk, kid: 'one' }] } }],
    ['a secret', { jwks: { keys: [...good.jwks.keys, { kty: 'oct', k: 'x', kid: 'two' }] } }],
    ['a key without kid', { jwks: { keys: [ec.publicJwk] } }],
    ['a kid twice', { jwks: { keys: [...good.jwks.keys, { ...rsa.publicJwk, kid: 'one' }] } }],
    [
      'a key that refers elsewhere',
      { jwks: { keys: [{ ...good.jwks.keys[0], x5u: 'https://x' }] } },
    ],
    ['a point off the curve', { jwks: { keys: [{ ...good.jwks.keys[0], x: 'AAAA' }] } }],
    ['only a key for encryption', { jwks: { keys: [{ ...good.jwks.keys[0], use: 'enc' }] } }],
    ['no redirect URI', { redirectUris: [] }],
    ['an http redirect URI', { redirectUris: ['http://recipient.example/callback'] }],
    ['a scope of a bank', { scopes: ['consents:revoke'] }],
    ['a scope of data', { scopes: ['fdx:balances:read'] }],
  ])('with %s has one', (_, change) => {
    expect(registrationProblems({ ...good, ...change })).not.toEqual([])
  })
})

describe('a redirect URI', () => {
  it.each(['https://a.example/x?y=z', 'http://127.0.0.1:8080/x', 'http://[::1]/x'])(
    'may be %s',
    (uri) => expect(isRedirectUri(uri)).toBe(true),
  )
  it.each([
    'http://a.example/x',
    'http://localhost/x',
    'http://127.0.0.1.example/x',
    'https://a.example/x#y',
    'https://user@a.example/x',
    'javascript:alert(1)',
    'app:/x',
    '/x',
    '',
  ])('may not be %p', (uri) => expect(isRedirectUri(uri)).toBe(false))
})
