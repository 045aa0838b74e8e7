import { DoorBusy } from '../broker/append.ts'

/**
 * Lets so many through at once, for all banks and for one, so that none keeps the others out, and turns the rest away with `DoorBusy`.
 * For what takes a good part of a processor.
 */
export function turnstile(most: {
  readonly all: number
  readonly bank: number
}): <T>(bank: string, work: () => Promise<T>) => Promise<T> {
  const inside: string[] = []
  return async (bank, work) => {
    if (inside.length >= most.all || inside.filter((one) => one === bank).length >= most.bank)
      throw new DoorBusy('as many are being made as may be')
    inside.push(bank)
    try {
      return await work()
    } finally {
      inside.splice(inside.indexOf(bank), 1)
    }
  }
}
