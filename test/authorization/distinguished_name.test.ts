import { describe, expect, it } from '@jest/globals'
import { makeCertificate, type CertificateParts } from '../../sandbox/certificates.ts'
import { parsed } from '../../src/authorization/client_certificate.ts'
import { isSubject, parseDistinguishedName } from '../../src/authorization/distinguished_name.ts'

const [C, O, OU, CN, UID, DC, organizationIdentifier] = [
  ...['2.5.4.6', '2.5.4.10', '2.5.4.11', '2.5.4.3'],
  ...['0.9.2342.19200300.100.1.1', '0.9.2342.19200300.100.1.25', '2.5.4.97'],
] as const

const isNamed = (written: string, subject: CertificateParts['subject']) => {
  const name = parseDistinguishedName(written)
  if (name === undefined) return undefined
  return isSubject(name, parsed(makeCertificate({ subject }).x509).tbsCertificate.subject)
}

describe('a distinguished name (RFC 4514)', () => {
  it.each<[string, CertificateParts['subject']]>([
    // The examples of RFC 4514 §4.
    ['UID=jsmith,DC=example,DC=net', [[[DC, 'net']], [[DC, 'example']], [[UID, 'jsmith']]]],
    [
      'OU=Sales+CN=J.  Smith,DC=example,DC=net',
      [
        [[DC, 'net']],
        [[DC, 'example']],
        [
          [CN, 'J.  Smith'],
          [OU, 'Sales'],
        ],
      ],
    ],
    [
      String.raw`CN=James \"Jim\" Smith\, III,DC=example,DC=net`,
      [[[DC, 'net']], [[DC, 'example']], [[CN, 'James "Jim" Smith, III']]],
    ],
    [
      String.raw`CN=Before\0dAfter,DC=example,DC=net`,
      [[[DC, 'net']], [[DC, 'example']], [[CN, 'Before\rAfter']]],
    ],
    [String.raw`CN=Lu\C4\8Di\C4\87`, [[[CN, 'Lučić']]]],
    ['1.3.6.1.4.1.1466.0=#0c024869', [[['1.3.6.1.4.1.1466.0', 'Hi']]]],
    // And what they do not show.
    ['cn=Lučić', [[[CN, 'Lučić']]]],
    ['2.5.4.3=a', [[[CN, 'a']]]],
    [String.raw`CN=\ a\ ,O=\#b\\41`, [[[O, String.raw`#b\41`]], [[CN, ' a ']]]],
    ['CN=a=b', [[[CN, 'a=b']]]],
    ['organizationIdentifier=PSDUS-1,C=US', [[[C, 'US']], [[organizationIdentifier, 'PSDUS-1']]]],
  ])('%s is the name of its certificate', (written, subject) => {
    expect(isNamed(written, subject)).toBe(true)
  })

  it.each<[string, CertificateParts['subject']]>([
    ['CN=a,C=US', [[[CN, 'a']], [[C, 'US']]]],
    ['CN=a', [[[C, 'US']], [[CN, 'a']]]],
    ['CN=a,C=US', [[[CN, 'a']]]],
    ['CN=a+OU=b', [[[CN, 'a']]]],
    [
      'CN=a',
      [
        [
          [CN, 'a'],
          [OU, 'b'],
        ],
      ],
    ],
    [
      'OU=b,CN=a',
      [
        [
          [CN, 'a'],
          [OU, 'b'],
        ],
      ],
    ],
    ['CN=A', [[[CN, 'a']]]],
    ['CN=a b', [[[CN, 'a  b']]]],
    ['OU=a', [[[CN, 'a']]]],
    ['2.5.4.3=#130161', [[[CN, 'a']]]],
  ])('%s is not the name of any other', (written, subject) => {
    expect(isNamed(written, subject)).toBe(false)
  })

  it.each([
    '',
    'a',
    'CN=',
    'CN=a,',
    ',CN=a',
    'CN=a, C=US',
    'CN= a',
    'CN=a ',
    'CN=#a',
    'CN=#zz',
    'CN="a"',
    'CN=a;C=US',
    'CN=a\\',
    'CN=a\\z',
    'CN=a<b',
    'CN=a\0b',
    'XX=a',
    '2.5.04.3=a',
    '2=a',
    '/CN=a/C=US',
  ])('%p is none', (written) => {
    expect(parseDistinguishedName(written)).toBeUndefined()
  })
})
