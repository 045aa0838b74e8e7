/** What the conformance suite lets a test plan choose, by its own names. The rest is fixed: plain_fapi, plain_oauth, rar. */
export interface Variant {
  readonly client_auth_type: 'private_key_jwt' | 'mtls'
  readonly sender_constrain: 'dpop' | 'mtls'
  readonly fapi_request_method: 'unsigned' | 'signed_non_repudiation'
  readonly fapi_response_mode: 'plain_response' | 'jarm'
}

const variant = (
  client_auth_type: Variant['client_auth_type'],
  sender_constrain: Variant['sender_constrain'],
  fapi_request_method: Variant['fapi_request_method'],
  fapi_response_mode: Variant['fapi_response_mode'],
): Variant => ({ client_auth_type, sender_constrain, fapi_request_method, fapi_response_mode })

/** Five of the sixteen, in which each two values of two choices meet (a test counts the pairs). */
export const variants: Readonly<Record<string, Variant>> = {
  A: variant('private_key_jwt', 'dpop', 'unsigned', 'plain_response'),
  B: variant('private_key_jwt', 'mtls', 'signed_non_repudiation', 'jarm'),
  C: variant('mtls', 'dpop', 'signed_non_repudiation', 'jarm'),
  D: variant('mtls', 'mtls', 'unsigned', 'jarm'),
  E: variant('mtls', 'mtls', 'signed_non_repudiation', 'plain_response'),
}
