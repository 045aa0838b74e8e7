import { describe, expect, it } from '@jest/globals'
import { atMost } from '../../src/broker/at_most.ts'

describe('a queue of so many at most', () => {
  const full = () => new Error('full')

  it('runs no more at once, and the others in order', async () => {
    const queue = atMost(2, { waiting_max: 10, full })
    const order: number[] = []
    let running = 0
    let most = 0
    const work = (n: number) => async () => {
      order.push(n)
      most = Math.max(most, (running += 1))
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      return n
    }
    expect(await Promise.all([1, 2, 3, 4, 5].map((n) => queue(work(n))))).toEqual([1, 2, 3, 4, 5])
    expect(order).toEqual([1, 2, 3, 4, 5])
    expect(most).toBe(2)
  })

  it('turns away whoever finds the line full, and takes more when it has moved on', async () => {
    const queue = atMost(1, { waiting_max: 1, full })
    let finish: () => void = () => undefined
    const first = queue(() => new Promise<void>((resolve) => (finish = resolve)))
    const second = queue(() => Promise.resolve('second'))
    await expect(queue(() => Promise.resolve())).rejects.toThrow('full')
    finish()
    await first
    expect(await second).toBe('second')
    expect(await queue(() => Promise.resolve('third'))).toBe('third')
  })

  it('goes on after work that failed', async () => {
    const queue = atMost(1, { waiting_max: 1, full })
    const failed = queue(() => Promise.reject(new Error('no')))
    const next = queue(() => Promise.resolve('next'))
    await expect(failed).rejects.toThrow('no')
    expect(await next).toBe('next')
    expect(await queue(() => Promise.resolve('again'))).toBe('again')
  })
})
