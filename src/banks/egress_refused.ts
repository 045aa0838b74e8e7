import { BankUnavailable } from '../broker/bank_port.ts'

const explanations = {
  host_not_allowed: 'is not on the list of allowed hosts',
  not_https: 'was to be reached without TLS',
  credentials_in_url: 'was named with credentials in the URL',
  private_address: 'does not have a public address',
} as const

/** The gateway did not let a request out. To callers the bank is unreachable; to the operator it is a fault to look into. */
export class EgressRefused extends BankUnavailable {
  readonly refused: keyof typeof explanations

  constructor(refused: keyof typeof explanations, host: string) {
    super('unreachable', `${host} ${explanations[refused]}`)
    this.refused = refused
  }
}
