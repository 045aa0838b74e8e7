import { AsnConvert } from '@peculiar/asn1-schema'
import type { AttributeValue, Name } from '@peculiar/asn1-x509'

/** One attribute of a name: its type's OID, and its value as text, or as the hexadecimal digits of its DER. */
type Attribute =
  { readonly oid: string; readonly text: string } | { readonly oid: string; readonly der: string }

/** A distinguished name as RFC 4514 writes it: the most specific of its relative names first. */
export type DistinguishedName = readonly (readonly Attribute[])[]

/** Attribute types by their descriptors: RFC 4514 §3, and those of RFC 4519 and X.520 that certificates of companies carry. */
const descriptors: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  SERIALNUMBER: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  STREET: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  BUSINESSCATEGORY: '2.5.4.15',
  ORGANIZATIONIDENTIFIER: '2.5.4.97',
  UID: '0.9.2342.19200300.100.1.1',
  DC: '0.9.2342.19200300.100.1.25',
  EMAILADDRESS: '1.2.840.113549.1.9.1',
}

const oid = /^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+$/

/** An attribute value: pairs after a backslash, and no special character without one (RFC 4514 §3). */
const text = /^(?![ #])(?:\\[ "#+,;<=>\\]|\\[\da-f]{2}|[^\\"+,;<>\0])*(?<![^\\] )$/i

/** Reads the string form of a name (RFC 4514), with no space around its separators. Undefined for anything else. */
export function parseDistinguishedName(written: string): DistinguishedName | undefined {
  const names = split(written, ',').map((name) => split(name, '+').map(attributeOf))
  return names.every((name): name is Attribute[] => !name.includes(undefined)) ? names : undefined
}

/** Splits at a separator that no backslash precedes. */
function split(written: string, separator: ',' | '+'): string[] {
  const pattern = separator === ',' ? /(?:\\.|[^\\,])*/gsu : /(?:\\.|[^\\+])*/gsu
  const parts: string[] = []
  let at = 0
  while (at <= written.length) {
    pattern.lastIndex = at
    const part = pattern.exec(written)?.[0] ?? ''
    parts.push(part)
    at += part.length + 1
  }
  return parts
}

function attributeOf(written: string): Attribute | undefined {
  const [, type = '', value = ''] = /^([^=]+)=(.*)$/s.exec(written) ?? []
  const named = oid.test(type) ? type : descriptors[type.toUpperCase()]
  if (named === undefined) return undefined
  const [, der] = /^#((?:[\da-f]{2})+)$/i.exec(value) ?? []
  if (der !== undefined) return { oid: named, der: der.toLowerCase() }
  return text.test(value) && value !== '' ? { oid: named, text: unescaped(value) } : undefined
}

/** Pairs of hexadecimal digits are bytes of UTF-8; any other character after a backslash is itself. */
const unescaped = (value: string): string =>
  value.replace(/(?:\\[\da-f]{2})+|\\(.)/gi, (pairs: string, character: string | undefined) =>
    character === undefined ? Buffer.from(pairs.replaceAll('\\', ''), 'hex').toString() : character,
  )

/**
 * Whether a certificate's subject is this name: the same relative names in the same order, of the same attributes, each value
 * the same character by character. Stricter than RFC 4517's distinguishedNameMatch, which folds case and spaces: what is
 * refused here can be registered as the certificate has it.
 */
export function isSubject(name: DistinguishedName, subject: Name): boolean {
  const found = [...subject].map((relative) => [...relative]).toReversed()
  return (
    found.length === name.length &&
    found.every((relative, i) => {
      const wanted = name[i] ?? []
      return (
        relative.length === wanted.length &&
        wanted.every((attribute) =>
          relative.some(({ type, value }) => type === attribute.oid && isValue(attribute, value)),
        )
      )
    })
  )
}

function isValue(attribute: Attribute, value: AttributeValue): boolean {
  if ('text' in attribute) return textOf(value) === attribute.text
  return Buffer.from(AsnConvert.serialize(value)).toString('hex') === attribute.der
}

/** Only of string types whose characters are beyond doubt. */
const textOf = (value: AttributeValue): string | undefined =>
  value.utf8String ?? value.printableString ?? value.ia5String
