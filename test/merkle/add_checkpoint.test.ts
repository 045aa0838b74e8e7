import { describe, expect, it } from '@jest/globals'
import { formatAddCheckpoint, parseAddCheckpoint } from '../../src/merkle/add_checkpoint.ts'
import { encodeBase64, encodeUtf8 } from '../../src/merkle/encoding.ts'
import { codeOf, someLeaves } from './oracle.ts'
import { consistency3to5, vectors } from './vectors.ts'

const body = `old 3
4KpZw5GS2prcvahI0smqEeWySTFd7ZhEmuP8XtNhojg=
0R7fKyKl4RbInnJC2/zmi/owTy6blTO1qLokqdsw/ig=
PqP4QjzxKxOY1um0aBFONo/Oq4a1O8xXrbKaFWTAIm0=
pE9i8dXnSeLjQtfA7Z+++0EV6vZCnwlVmuEx5iUgibA=

${vectors.c5}`

describe('a request to a witness', () => {
  it('has the bytes of the vector', () => {
    const request = { old: 3, proof: consistency3to5, checkpoint: vectors.c5 }
    expect(formatAddCheckpoint(request)).toBe(body)
    expect(parseAddCheckpoint(body)).toEqual(request)
    expect(parseAddCheckpoint(encodeUtf8(body))).toEqual(request)
  })

  it('has no proof lines from the empty tree', () => {
    const request = { old: 0, proof: [], checkpoint: vectors.c3 }
    expect(formatAddCheckpoint(request)).toBe(`old 0\n\n${vectors.c3}`)
    expect(parseAddCheckpoint(formatAddCheckpoint(request))).toEqual(request)
  })

  it('has at most 63 proof lines', () => {
    const request = (hashes: number) =>
      formatAddCheckpoint({ old: 3, proof: someLeaves(hashes), checkpoint: vectors.c5 })
    expect(parseAddCheckpoint(request(63)).proof).toHaveLength(63)
    expect(codeOf(() => parseAddCheckpoint(request(64)))).toBe('add_checkpoint')
  })

  it.each([
    ['nothing', ''],
    ['no old size', body.replace('old 3\n', '')],
    ['another word', body.replace('old', 'new')],
    ['a size with leading zeros', body.replace('old 3', 'old 03')],
    ['two spaces', body.replace('old 3', 'old  3')],
    ['no blank line', 'old 3\n'],
    ['carriage returns', body.replaceAll('\n', '\r\n')],
    ['a hash of 31 bytes', `old 3\n${encodeBase64(new Uint8Array(31))}\n\n${vectors.c5}`],
    ['a hash without padding', body.replace('=', '')],
  ])('is refused with %s', (_, text) => {
    expect(codeOf(() => parseAddCheckpoint(text))).toMatch(/^(add_checkpoint|encoding)$/)
  })
})
