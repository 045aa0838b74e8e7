import { describe, expect, it } from '@jest/globals'
import { showProgress } from '../../src/cli/progress.ts'

function screen(isTTY: boolean) {
  const written: string[] = []
  const out = { isTTY, columns: 60, write: (text: string) => written.push(text) }
  return { out: out as unknown as NodeJS.WriteStream, written }
}

describe('progress', () => {
  it('is a line on a terminal, no longer than it is wide, and leaves nothing behind', () => {
    const { out, written } = screen(true)
    const progress = showProgress(out, 'Verifying')
    progress.at(0, 1_000)
    progress.at(1_000, 1_000)
    progress.end()
    expect(written[1]).toContain('\rVerifying [########################] 1,000 of 1,000')
    for (const line of written)
      expect(line.replace('\r', '').replace('\u001b[K', '').length).toBeLessThan(60)
    expect(written.at(-1)).toBe('\r\u001b[K')
  })

  it('is not drawn for each step', () => {
    const { out, written } = screen(true)
    const progress = showProgress(out, 'Verifying')
    for (let done = 0; done < 1_000; done++) progress.at(done, 1_000_000)
    expect(written.length).toBeLessThan(100)
  })

  it('is silent where there is no terminal', () => {
    const { out, written } = screen(false)
    const progress = showProgress(out, 'Verifying')
    progress.at(1, 2)
    progress.end()
    expect(written).toEqual([])
  })
})
