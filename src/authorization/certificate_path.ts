import type { X509Certificate } from 'node:crypto'
import { AsnConvert } from '@peculiar/asn1-schema'
import {
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_clientAuth,
  KeyUsage,
  KeyUsageFlags,
} from '@peculiar/asn1-x509'
import { isCurrent, parsed } from './client_certificate.ts'

/** Signatures that an authority may still make (RFC 9325 §4.2, and Ed25519), by the certificate's algorithm identifier. */
const signatures: ReadonlySet<string> = new Set([
  '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  '1.2.840.10045.4.3.3', // ecdsa-with-SHA384
  '1.2.840.10045.4.3.4', // ecdsa-with-SHA512
  '1.2.840.113549.1.1.10', // RSASSA-PSS
  '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  '1.2.840.113549.1.1.12', // sha384WithRSAEncryption
  '1.2.840.113549.1.1.13', // sha512WithRSAEncryption
  '1.3.101.112', // Ed25519
])

/** Critical extensions that are heeded here. */
const understood: ReadonlySet<string> = new Set([
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_extKeyUsage,
  id_ce_subjectAltName,
])

/**
 * Whether one of the authorities issued this certificate for authenticating a client, as RFC 5280 §6 validates a path of one
 * certificate under a trust anchor. There are no longer paths: an intermediate authority is trusted by being in the list.
 */
export function isIssuedByOneOf(
  authorities: readonly X509Certificate[],
  x509: X509Certificate,
  now: number,
): boolean {
  const issued = authorities.some(
    (authority) =>
      authority.ca &&
      isCurrent(authority, now) &&
      x509.checkIssued(authority) &&
      x509.verify(authority.publicKey),
  )
  return issued && isCurrent(x509, now) && isForClients(x509)
}

function isForClients(x509: X509Certificate): boolean {
  const { signatureAlgorithm, tbsCertificate } = parsed(x509)
  const extensions = tbsCertificate.extensions ?? []
  const purposes = x509.keyUsage as readonly string[] | undefined
  const usage = extensions.find(({ extnID }) => extnID === id_ce_keyUsage)
  return (
    !x509.ca &&
    signatures.has(signatureAlgorithm.algorithm) &&
    (purposes ?? [id_kp_clientAuth]).includes(id_kp_clientAuth) &&
    (usage === undefined || signs(AsnConvert.parse(usage.extnValue, KeyUsage))) &&
    extensions.every(({ critical, extnID }) => !critical || understood.has(extnID))
  )
}

const signs = (usage: KeyUsage): boolean =>
  (usage.toNumber() & KeyUsageFlags.digitalSignature) !== 0
