/**
 * The FDX data clusters that a consent can open, with the scope that asks for each and the words shown to a customer.
 * FRAUD_ALERTS is our own: it lies outside 12 CFR 1033.211's covered data and the disclosure says so.
 */
export const clusters = {
  ACCOUNT_BASIC: {
    scope: 'fdx:accountbasic:read',
    label: 'Account name, type and last four digits',
    coveredData: true,
  },
  BALANCES: { scope: 'fdx:balances:read', label: 'Account balances', coveredData: true },
  TRANSACTIONS: { scope: 'fdx:transactions:read', label: 'Transactions', coveredData: true },
  FRAUD_ALERTS: { scope: 'fdx:fraudalerts:read', label: 'Fraud alerts', coveredData: false },
} as const

export type Cluster = keyof typeof clusters

export const clusterNames = Object.keys(clusters) as readonly Cluster[]

export function isCluster(value: unknown): value is Cluster {
  return typeof value === 'string' && Object.hasOwn(clusters, value)
}

/** The scope string that asks for exactly these clusters, in the table's order. */
export function scopeOf(wanted: readonly Cluster[]): string {
  return clusterNames
    .filter((name) => wanted.includes(name))
    .map((name) => clusters[name].scope)
    .join(' ')
}
