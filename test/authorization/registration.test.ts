import { describe, expect, it } from '@jest/globals'
import { registrationProblems } from '../../src/authorization/registration.ts'
import { isSecureUri } from '../../src/authorization/secure_uri.ts'
import { makeCertificate, named } from '../../sandbox/certificates.ts'
import { usualSecurity, type CertificateSubject, type Client } from '../../src/storage/clients.ts'
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

const certified = makeCertificate({ subject: named('client') })
const byName = (type: CertificateSubject['type'], value: string) =>
  ({ authentication: { method: 'tls_client_auth', subject: { type, value } } }) as const

describe('how a client authenticates', () => {
  it.each<[string, Partial<Client>]>([
    ['by its authority’s word, without keys', { ...byName('subject_dn', 'CN=a'), jwks: undefined }],
    ['by keys elsewhere', { jwksUri: 'https://recipient.example/jwks', jwks: undefined }],
    [
      'by its own certificate',
      {
        authentication: { method: 'self_signed_tls_client_auth' },
        jwks: { keys: [certified.jwk] },
      },
    ],
    [
      'by its own certificate, elsewhere',
      {
        authentication: { method: 'self_signed_tls_client_auth' },
        jwksUri: 'https://recipient.example/jwks',
        jwks: undefined,
      },
    ],
    ['with tokens bound to a certificate', { binding: 'mtls' }],
    ['with signed requests', { signedRequests: true }],
  ] as [string, Partial<Client>][])('may be %s', (_, change) => {
    expect(registrationProblems({ ...good, ...change } as Client)).toEqual([])
  })

  it.each<[string, object, string]>([
    [
      'keys in two places',
      { jwksUri: 'https://recipient.example/jwks' },
      'keys are given by value or by URI, not by both',
    ],
    ['keys in no place', { jwks: undefined }, 'no key can authenticate the client'],
    [
      'keys at a place without TLS',
      { jwks: undefined, jwksUri: 'http://recipient.example/jwks' },
      'jwks_uri is not an https URI, nor one of the loopback interface',
    ],
    [
      'a certificate of its own that is not there',
      { authentication: { method: 'self_signed_tls_client_auth' } },
      'no key has the certificate (x5c) that authenticates the client',
    ],
    [
      'a certificate of another key',
      { jwks: { keys: [{ ...good.jwks.keys[0], x5c: certified.jwk.x5c }] } },
      'key 0 has a certificate of another key',
    ],
    [
      'what is no certificate',
      { jwks: { keys: [{ ...good.jwks.keys[0], x5c: ['AAAA'] }] } },
      'key 0 has a certificate of another key',
    ],
    [
      'signed requests, and no key to verify them',
      { ...byName('san_dns', 'a.example'), jwks: undefined, signedRequests: true },
      'no key can verify signed requests',
    ],
    [
      'a name with a wildcard',
      byName('san_dns', '*.example'),
      'tls_client_auth_san_dns is not a host name without wildcard',
    ],
    [
      'no name',
      byName('san_dns', ''),
      'tls_client_auth_san_dns is not a host name without wildcard',
    ],
    [
      'an address that is none',
      byName('san_ip', '192.0.2.256'),
      'tls_client_auth_san_ip is not an IPv4 or IPv6 address',
    ],
    ['a URI that is none', byName('san_uri', 'client'), 'tls_client_auth_san_uri is not a URI'],
    [
      'an email address that is none',
      byName('san_email', 'client'),
      'tls_client_auth_san_email is not an email address',
    ],
    [
      'a subject that is no name',
      byName('subject_dn', 'client'),
      'tls_client_auth_subject_dn is not a distinguished name as in RFC 4514',
    ],
  ])('may not be with %s', (_, change, problem) => {
    expect(registrationProblems({ ...good, ...change })).toEqual([problem])
  })
})

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
    (uri) => expect(isSecureUri(uri)).toBe(true),
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
  ])('may not be %p', (uri) => expect(isSecureUri(uri)).toBe(false))
})
