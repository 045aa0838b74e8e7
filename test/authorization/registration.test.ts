import { describe, expect, it } from '@jest/globals'
import { registrationProblems } from '../../src/authorization/registration.ts'
import { isRedirectUri } from '../../src/authorization/redirect_uri.ts'
import { usualSecurity, type Client } from '../../src/storage/clients.ts'
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
  ...usualSecurity,
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

  const [key] = good.jwks.keys

  it.each<[string, Partial<typeof good> | object, ...string[]]>([
    ['no key', { jwks: { keys: [] } }, 'no key can authenticate the client'],
    [
      'a private key',
      { jwks: { keys: [{ ...ec.privateJwk, kid: 'one' }] } },
      'key 0 is not public',
    ],
    [
      'a secret',
      { jwks: { keys: [key, { kty: 'oct', k: 'x', kid: 'two' }] } },
      'key 1 is not public',
    ],
    ['a key without kid', { jwks: { keys: [ec.publicJwk] } }, 'key 0 has no kid'],
    [
      'a kid twice',
      { jwks: { keys: [key, { ...rsa.publicJwk, kid: 'one' }] } },
      'two keys have the same kid',
    ],
    [
      'a key that refers elsewhere',
      { jwks: { keys: [{ ...key, x5u: 'https://x' }] } },
      'key 0 refers elsewhere with x5u',
    ],
    [
      'a point off the curve',
      { jwks: { keys: [{ ...key, x: 'AAAA' }] } },
      'key 0: the key is not valid',
    ],
    [
      'only a key for encryption',
      { jwks: { keys: [{ ...key, use: 'enc' }] } },
      'no key can authenticate the client',
    ],
    ['no redirect URI', { redirectUris: [] }, 'a recipient has a redirect URI'],
    [
      'an http redirect URI',
      { redirectUris: ['http://recipient.example/callback'] },
      'a redirect URI is neither https nor of the loopback interface',
    ],
    [
      'a scope of a bank',
      { scopes: ['consents:revoke'] },
      'a client of kind recipient cannot have the scope consents:revoke',
    ],
    [
      'a scope of data',
      { scopes: ['fdx:balances:read'] },
      'a client of kind recipient cannot have the scope fdx:balances:read',
    ],
  ])('with %s has that problem and no other', (_, change, ...problems) => {
    expect(registrationProblems({ ...good, ...change })).toEqual(problems)
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
