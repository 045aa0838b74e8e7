import { variants, type Variant } from '../../sandbox/conformance/plans.ts'

export { variants, type Variant }

/** Where a module applies, as its class in the suite says (`@VariantNotApplicable`). */
export const everywhere = (): boolean => true
export const withAssertions = ({ client_auth_type }: Variant): boolean =>
  client_auth_type === 'private_key_jwt'
export const withProofs = ({ sender_constrain }: Variant): boolean => sender_constrain === 'dpop'
export const withRequestObjects = ({ fapi_request_method }: Variant): boolean =>
  fapi_request_method === 'signed_non_repudiation'

export const prefix = 'fapi2-security-profile-final-'
