import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert } from '@peculiar/asn1-schema'
import { id_ce_subjectAltName, SubjectAlternativeName, type GeneralName } from '@peculiar/asn1-x509'
import type { CertificateSubject } from '../storage/clients.ts'
import { parsed } from './client_certificate.ts'
import { isSubject, parseDistinguishedName } from './distinguished_name.ts'

/** How each kind of alternative name (RFC 5280 §4.2.1.6) is written, found in a certificate, and brought to the one form compared. */
const alternativeNames: Readonly<
  Record<
    Exclude<CertificateSubject['type'], 'subject_dn'>,
    {
      what: string
      is: (value: string) => boolean
      of: (name: GeneralName) => string | undefined
      normal: (value: string) => string
    }
  >
> = {
  san_dns: {
    what: 'a host name without wildcard',
    is: (value) => /^(?=.{1,253}$)[a-z\d-]{1,63}(?:\.[a-z\d-]{1,63})*$/i.test(value),
    of: ({ dNSName }) => dNSName,
    normal: (value) => value.toLowerCase(),
  },
  san_uri: {
    what: 'a URI',
    is: (value) => URL.canParse(value),
    of: ({ uniformResourceIdentifier }) => uniformResourceIdentifier,
    normal: (value) => value,
  },
  san_ip: {
    what: 'an IPv4 or IPv6 address',
    is: (value) => isIP(value) !== 0,
    of: ({ iPAddress }) => iPAddress,
    normal: (value) => (isIP(value) === 6 ? new URL(`http://[${value}]`).hostname : value),
  },
  san_email: {
    what: 'an email address',
    is: (value) => /^[^@\s]+@[^@\s]+$/.test(value),
    of: ({ rfc822Name }) => rfc822Name,
    normal: (value) => value,
  },
}

/** What a subject is not, and should be; undefined for one that certificates can have. */
export function subjectProblem({ type, value }: CertificateSubject): string | undefined {
  const [what, is] =
    type === 'subject_dn'
      ? ['a distinguished name as in RFC 4514', parseDistinguishedName(value) !== undefined]
      : [alternativeNames[type].what, alternativeNames[type].is(value)]
  return is ? undefined : `tls_client_auth_${type} is not ${what}`
}

/**
 * Whether a certificate is known by this name (RFC 8705 §2.1.2). Host names are compared without regard to case, addresses as
 * addresses, everything else character by character; a wildcard in a certificate stands for nothing but itself.
 */
export function isKnownBy({ type, value }: CertificateSubject, x509: X509Certificate): boolean {
  const { subject, extensions = [] } = parsed(x509).tbsCertificate
  if (type === 'subject_dn') {
    const name = parseDistinguishedName(value)
    return name !== undefined && isSubject(name, subject)
  }
  const { of, normal } = alternativeNames[type]
  const found = extensions.find(({ extnID }) => extnID === id_ce_subjectAltName)
  if (found === undefined) return false
  return [...AsnConvert.parse(found.extnValue, SubjectAlternativeName)].some((name) => {
    const one = of(name)
    return one !== undefined && normal(one) === normal(value)
  })
}
