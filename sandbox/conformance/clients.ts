import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { usualSecurity, type Client } from '../../src/storage/clients.ts'
import { makeCertificate, named, type Certified } from '../certificates.ts'
import type { Variant } from './plans.ts'

/** A client of the suite: how it is registered, and the keys that the suite is given. */
export interface SuiteClient {
  readonly registered: Client
  readonly privateJwk: JsonWebKey
  readonly certificate: Certified
}

const registration = {
  legalName: 'Conformance Suite',
  lei: '5493001KJTIIGC8Y1R12',
  website: 'https://suite.example',
  contacts: ['security@suite.example'],
}

const keyPairs = {
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
} as const satisfies Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }>

/** A signing key, as the client registers it and as the suite is given it. */
function signingKey(alg: keyof typeof keyPairs, kid: string) {
  const { publicKey, privateKey } = keyPairs[alg]()
  const facts = { kid, alg, use: 'sig' }
  return {
    publicJwk: { ...publicKey.export({ format: 'jwk' }), ...facts },
    privateJwk: { ...privateKey.export({ format: 'jwk' }), ...facts },
  }
}

/**
 * The two recipients of a plan. The first signs with PS256 and, where certificates authenticate, is known by a name in one of the
 * authority's; the second signs with ES256 and is known by a certificate of its own making.
 */
export function recipientsOf(
  plan: string,
  variant: Variant,
  { authority, redirectUris }: { authority: Certified; redirectUris: readonly string[] },
): [SuiteClient, SuiteClient] {
  const make = (place: 1 | 2): SuiteClient => {
    const id = `suite-${plan.toLowerCase()}-${place}`
    const name = `${id}.suite.example`
    const { publicJwk, privateJwk } = signingKey(place === 1 ? 'PS256' : 'ES256', id)
    const certificate =
      place === 1
        ? makeCertificate({ subject: named(id), dns: [name] }, authority)
        : makeCertificate({ subject: named(id) })
    const byItself = variant.client_auth_type === 'mtls' && place === 2
    return {
      certificate,
      privateJwk,
      registered: {
        ...{ ...registration, id, kind: 'recipient', class: 'messaging_platform' },
        pages: [`${id}-page`],
        jwks: { keys: [publicJwk, ...(byItself ? [certificate.jwk] : [])] },
        authentication: authenticationOf(variant, byItself, name),
        binding: variant.sender_constrain,
        signedRequests: variant.fapi_request_method === 'signed_non_repudiation',
        redirectUris,
        scopes: [],
      },
    }
  }
  return [make(1), make(2)]
}

function authenticationOf(
  { client_auth_type }: Variant,
  byItself: boolean,
  name: string,
): Client['authentication'] {
  if (client_auth_type === 'private_key_jwt') return { method: 'private_key_jwt' }
  return byItself
    ? { method: 'self_signed_tls_client_auth' }
    : { method: 'tls_client_auth', subject: { type: 'san_dns', value: name } }
}

/** Two clients of a bank's, for the plan without a customer. */
export function backEndsOf(bank: string): [SuiteClient, SuiteClient] {
  const make = (place: 1 | 2): SuiteClient => {
    const id = `suite-${bank}-${place}`
    const { publicJwk, privateJwk } = signingKey(place === 1 ? 'PS256' : 'ES256', id)
    return {
      certificate: makeCertificate({ subject: named(id) }),
      privateJwk,
      registered: {
        ...{ ...registration, ...usualSecurity, id, kind: 'bank', bank },
        jwks: { keys: [publicJwk] },
        redirectUris: [],
        scopes: ['consents:read'],
      },
    }
  }
  return [make(1), make(2)]
}
