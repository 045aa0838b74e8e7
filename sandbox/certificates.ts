import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509'

/** What a certificate says. */
export interface CertificateParts {
  /** Relative names, the least specific first, as a certificate has them: OIDs and values. */
  readonly subject: readonly (readonly (readonly [oid: string, value: string])[])[]
  readonly dns?: readonly string[]
  readonly ips?: readonly string[]
  readonly uris?: readonly string[]
  readonly emails?: readonly string[]
  readonly usage?: 'client' | 'server' | 'authority'
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** The key to certify, when it is not a new one. */
  readonly privateKey?: KeyObject
  /** What the key may do, when the certificate says so: a bit of RFC 5280 §4.2.1.3. */
  readonly keyUsage?: 'digitalSignature' | 'keyEncipherment'
  /** More extensions, by OID. */
  readonly extensions?: readonly { readonly oid: string; readonly critical: boolean }[]
}

/** A certificate with its key, P-256. */
export interface Certified {
  readonly x509: X509Certificate
  readonly privateKey: KeyObject
  /** PEM. */
  readonly cert: string
  readonly key: string
  /** The public key with the certificate, as `self_signed_tls_client_auth` registers it. */
  readonly jwk: JsonWebKey & { readonly kid: string; readonly x5c: string[] }
}

const ecdsa_with_sha256 = '1.2.840.10045.4.3.2'
const common_name = '2.5.4.3'

/** A subject that is a common name and nothing else. */
export const named = (name: string): CertificateParts['subject'] => [[[common_name, name]]]

/** Makes a key and its certificate: signed by an authority, or by itself. Valid for a day unless it says otherwise. */
export function makeCertificate(parts: CertificateParts, authority?: Certified): Certified {
  const { privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } = parts
  const publicKey = createPublicKey(privateKey)
  const algorithm = new AlgorithmIdentifier({ algorithm: ecdsa_with_sha256 })
  const now = Date.now()
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: arrayBuffer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    signature: algorithm,
    issuer: authority === undefined ? nameOf(parts.subject) : subjectOf(authority),
    validity: new Validity({
      notBefore: parts.notBefore ?? new Date(now - 3_600_000),
      notAfter: parts.notAfter ?? new Date(now + 86_400_000),
    }),
    subject: nameOf(parts.subject),
    subjectPublicKeyInfo: AsnConvert.parse(
      publicKey.export({ type: 'spki', format: 'der' }),
      SubjectPublicKeyInfo,
    ),
    extensions: new Extensions(extensionsOf(parts)),
  })
  const signed = Buffer.from(AsnConvert.serialize(tbsCertificate))
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: arrayBuffer(sign('sha256', signed, authority?.privateKey ?? privateKey)),
  })
  const x509 = new X509Certificate(Buffer.from(AsnConvert.serialize(certificate)))
  return {
    x509,
    privateKey,
    cert: x509.toString(),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    jwk: {
      ...publicKey.export({ format: 'jwk' }),
      kid: x509.serialNumber,
      x5c: [x509.raw.toString('base64')],
    },
  }
}

const subjectOf = ({ x509 }: Certified): Name =>
  AsnConvert.parse(x509.raw, Certificate).tbsCertificate.subject

function nameOf(subject: CertificateParts['subject']): Name {
  return new Name(
    subject.map(
      (relative) =>
        new RelativeDistinguishedName(
          relative.map(
            ([type, value]) =>
              new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String: value }) }),
          ),
        ),
    ),
  )
}

function extensionsOf(parts: CertificateParts): Extension[] {
  const { dns = [], ips = [], uris = [], emails = [], usage = 'client', extensions = [] } = parts
  const names = [
    ...dns.map((dNSName) => new GeneralName({ dNSName })),
    ...ips.filter((ip) => isIP(ip) !== 0).map((iPAddress) => new GeneralName({ iPAddress })),
    ...uris.map((uri) => new GeneralName({ uniformResourceIdentifier: uri })),
    ...emails.map((rfc822Name) => new GeneralName({ rfc822Name })),
  ]
  const made = (extnID: string, critical: boolean, value: unknown) =>
    new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) })
  return [
    usage === 'authority'
      ? made(id_ce_basicConstraints, true, new BasicConstraints({ cA: true }))
      : made(
          id_ce_extKeyUsage,
          false,
          new ExtendedKeyUsage([usage === 'client' ? id_kp_clientAuth : id_kp_serverAuth]),
        ),
    ...(parts.keyUsage === undefined
      ? []
      : [made(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags[parts.keyUsage]))]),
    ...(names.length === 0
      ? []
      : [made(id_ce_subjectAltName, false, new SubjectAlternativeName(names))]),
    ...extensions.map(({ oid, critical }) =>
      made(oid, critical, new OctetString(Buffer.from('x'))),
    ),
  ]
}

const arrayBuffer = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer
