import { expect, it } from '@jest/globals'
import { DoorBusy } from '../../src/broker/append.ts'
import { exports_at_once_max } from '../../src/http/audit_export_routes.ts'
import { turnstile } from '../../src/http/turnstile.ts'

it('lets as many exports through as are declared, and one more when one has ended, however it ended', async () => {
  const atOnce = turnstile(exports_at_once_max)
  const ends: ((error?: Error) => void)[] = []
  const enter = (bank: string) =>
    atOnce(
      bank,
      () =>
        new Promise<void>((resolve, reject) => {
          ends.push((error) => (error === undefined ? resolve() : reject(error)))
        }),
    )
  const inside = ['one', 'one', 'two', 'two'].map(enter)
  expect(inside).toHaveLength(exports_at_once_max.all)
  await expect(enter('three')).rejects.toBeInstanceOf(DoorBusy)
  ends[0]?.(new Error('broken off'))
  await expect(inside[0]).rejects.toThrow('broken off')
  await expect(enter('two')).rejects.toBeInstanceOf(DoorBusy)
  const late = enter('three')
  await expect(enter('four')).rejects.toBeInstanceOf(DoorBusy)
  for (const end of ends) end()
  await Promise.all([...inside.slice(1), late])
})
