/**
 * Who may see data. A recipient is registered with one class; a release is counted under the class of whoever sees it.
 * Two classes can ever receive; the other two are known so that their attempts are named, refused and recorded. No recipient
 * is of class `data_subject`: it is the customer, who sees figures on our own page.
 */
export const classes = {
  data_subject: { label: 'data subjects', mayReceive: true, ofRecipients: false },
  messaging_platform: { label: 'the messaging platform', mayReceive: true, ofRecipients: true },
  advertising: { label: 'advertising', mayReceive: false, ofRecipients: true },
  third_party: { label: 'third parties', mayReceive: false, ofRecipients: true },
} as const

export type Class = keyof typeof classes

export const classNames = Object.keys(classes) as readonly Class[]

export function isClass(value: unknown): value is Class {
  return typeof value === 'string' && Object.hasOwn(classes, value)
}

/** Whether a bank may approve a recipient of this class. */
export const mayBeApproved = (name: Class): boolean =>
  classes[name].mayReceive && classes[name].ofRecipients
