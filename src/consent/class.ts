/**
 * Who may see data. A recipient is registered with one class; a release is counted under the class of whoever sees it.
 * Two classes can ever receive; the other two are known so that their attempts are named, refused and recorded.
 */
export const classes = {
  data_subject: { mayReceive: true },
  messaging_platform: { mayReceive: true },
  advertising: { mayReceive: false },
  third_party: { mayReceive: false },
} as const

export type Class = keyof typeof classes

export const classNames = Object.keys(classes) as readonly Class[]

export function isClass(value: unknown): value is Class {
  return typeof value === 'string' && Object.hasOwn(classes, value)
}
