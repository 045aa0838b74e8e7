import { hash, type X509Certificate } from 'node:crypto'
import { AsnConvert } from '@peculiar/asn1-schema'
import { Certificate } from '@peculiar/asn1-x509'

/** A certificate whose key the caller holds: TLS has shown it, here or at the proxy. Nothing is said of who issued it. */
export interface ClientCertificate {
  readonly x509: X509Certificate
  /** SHA-256 of its DER, base64url: `x5t#S256` (RFC 8705 §3.1). */
  readonly thumbprint: string
}

export const clientCertificate = (x509: X509Certificate): ClientCertificate => ({
  x509,
  thumbprint: hash('sha256', x509.raw, 'base64url'),
})

/** Whether `now`, in milliseconds since the epoch, lies in the certificate's own time. */
export const isCurrent = ({ validFrom, validTo }: X509Certificate, now: number): boolean =>
  Date.parse(validFrom) <= now && now <= Date.parse(validTo)

/** The certificate's own parts. Only ever of one that a trusted authority issued. */
export const parsed = ({ raw }: X509Certificate): Certificate => AsnConvert.parse(raw, Certificate)
