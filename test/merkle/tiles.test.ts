import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  decodeBundle,
  encodeBundle,
  parseTilePath,
  tilePath,
  tilesForSize,
  widthAt,
} from '../../src/merkle/tiles.ts'
import type { Bundle, Tile } from '../../src/merkle/tiles.ts'
import { codeOf, oracleOf, someLeaves } from './oracle.ts'
import { entries } from './vectors.ts'

describe('the path of a tile', () => {
  const paths: readonly (readonly [string, Tile | Bundle])[] = [
    ['tile/0/000', { level: 0, index: 0, width: 256 }],
    ['tile/0/005', { level: 0, index: 5, width: 256 }],
    ['tile/0/999.p/1', { level: 0, index: 999, width: 1 }],
    ['tile/1/x001/000', { level: 1, index: 1_000, width: 256 }],
    ['tile/0/x001/x234/067', { level: 0, index: 1_234_067, width: 256 }],
    ['tile/63/x001/x234/067.p/255', { level: 63, index: 1_234_067, width: 255 }],
    ['tile/entries/000.p/5', { level: 'entries', index: 0, width: 5 }],
    ['tile/entries/x012/345', { level: 'entries', index: 12_345, width: 256 }],
  ]

  it.each(paths)('is %s', (path, tile) => {
    expect(tilePath(tile)).toBe(path)
    expect(parseTilePath(path)).toEqual(tile)
  })

  it('brings back the tile', () => {
    const tiles = fc.record({
      level: fc.oneof(fc.nat({ max: 63 }), fc.constant('entries' as const)),
      index: fc.maxSafeNat(),
      width: fc.integer({ min: 1, max: 256 }),
    })
    const tileOf = (level: number | 'entries', index: number, width: number): Tile | Bundle =>
      level === 'entries' ? { level, index, width } : { level, index, width }
    fc.assert(
      fc.property(tiles, ({ level, index, width }) => {
        const tile = tileOf(level, index, width)
        expect(parseTilePath(tilePath(tile))).toEqual(tile)
      }),
    )
  })

  it.each([
    '',
    'tile/0',
    'tile/0/',
    '/tile/0/000',
    'tile/0/000/',
    'tile/0/000\n',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/data/000',
    'tile/0/0',
    'tile/0/0000',
    'tile/0/x000/000',
    'tile/0/x000/001',
    'tile/0/001/000',
    'tile/0/x001/x000',
    'tile/0/x001x000',
    'tile/0/X001/000',
    'tile/0/000.p',
    'tile/0/000.p/',
    'tile/0/000.p/0',
    'tile/0/000.p/05',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/999',
    'tile/0/000.p/5/',
    'tile/0/x009/x007/x199/x254/x740/992',
    'tile/0/../000',
  ])('is not %j', (path) => {
    expect(codeOf(() => parseTilePath(path))).toBe('tile')
  })
})

describe('the tiles of a size', () => {
  it('are those that tlog-tiles lists for 70,000', () => {
    const tiles = [...tilesForSize(70_000)]
    expect(tiles).toHaveLength(273 + 1 + 1 + 1 + 1)
    expect(tiles.filter(({ level, width }) => level === 0 && width === 256)).toHaveLength(273)
    expect(tiles.slice(273)).toEqual([
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 0, width: 256 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ])
  })

  it('are none for the empty tree, and never empty', () => {
    expect([...tilesForSize(0)]).toEqual([])
    expect([...tilesForSize(1)].map(tilePath)).toEqual(['tile/0/000.p/1'])
    expect([...tilesForSize(255)].map(tilePath)).toEqual(['tile/0/000.p/255'])
    expect([...tilesForSize(256)].map(tilePath)).toEqual(['tile/0/000', 'tile/1/000.p/1'])
    expect([...tilesForSize(257)].map(tilePath)).toEqual([
      'tile/0/000',
      'tile/0/001.p/1',
      'tile/1/000.p/1',
    ])
  })

  it('have the widths of widthAt, which is 0 beyond them', () => {
    fc.assert(
      fc.property(fc.nat({ max: 200_000 }), (size) => {
        const last: number[] = []
        for (const { level, index, width } of tilesForSize(size)) {
          expect(width).toBe(widthAt(size, { level, index }))
          last[level] = index
        }
        last.forEach((index, level) => {
          expect(widthAt(size, { level, index: index + 1 })).toBe(0)
        })
        expect(widthAt(size, { level: last.length, index: 0 })).toBe(0)
      }),
      { numRuns: 20 },
    )
  })

  it('begin with the bytes of the same tiles of every smaller size', async () => {
    const oracle = oracleOf(someLeaves(1_100))
    const larger = oracle.reader(1_100)
    for (const size of [1, 255, 256, 257, 511, 512, 1_024, 1_099]) {
      const smaller = oracle.reader(size)
      for (const tile of tilesForSize(size)) {
        const partial = await smaller.readTile(tile)
        const full = { ...tile, width: widthAt(1_100, tile) }
        expect((await larger.readTile(full)).subarray(0, partial.length)).toEqual(partial)
      }
    }
  })
})

describe('a bundle of entries', () => {
  it('has the bytes of the vector', () => {
    const bundle = encodeBundle(entries)
    expect(Buffer.from(bundle).toString('hex')).toBe(
      '00016100026262000363636300046464646400056565656565',
    )
    expect(decodeBundle(bundle, 5)).toEqual(entries)
  })

  it('brings back its entries, and is the beginning of any longer bundle', () => {
    const bytes = fc.uint8Array({ maxLength: 600 })
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 256 }), (some) => {
        const bundle = encodeBundle(some)
        expect(decodeBundle(bundle, some.length)).toEqual(some)
        const first = encodeBundle(some.slice(0, 1))
        expect(bundle.subarray(0, first.length)).toEqual(first)
      }),
      { numRuns: 50 },
    )
  })

  it('is read where it lies in a larger buffer', () => {
    const buffer = Buffer.concat([Buffer.from('before'), encodeBundle(entries)])
    expect(
      decodeBundle(buffer.subarray(6), 5).map((entry) => Buffer.from(entry).toString()),
    ).toEqual(['a', 'bb', 'ccc', 'dddd', 'eeeee'])
  })

  it('holds entries of 0 to 65,535 bytes', () => {
    const extremes = [new Uint8Array(0), new Uint8Array(65_535)]
    expect(decodeBundle(encodeBundle(extremes), 2)).toEqual(extremes)
    expect(codeOf(() => encodeBundle([new Uint8Array(65_536)]))).toBe('tile')
  })

  it('holds 1 to 256 entries', () => {
    const one = new Uint8Array(1)
    expect(codeOf(() => encodeBundle([]))).toBe('tile')
    expect(decodeBundle(encodeBundle(Array<Uint8Array>(256).fill(one)), 256)).toHaveLength(256)
    expect(codeOf(() => encodeBundle(Array<Uint8Array>(257).fill(one)))).toBe('tile')
  })

  it('is refused when it is cut short, too long, or of another width', () => {
    const bundle = encodeBundle(entries)
    expect(codeOf(() => decodeBundle(bundle, 4))).toBe('tile')
    expect(codeOf(() => decodeBundle(bundle, 6))).toBe('tile')
    for (let length = 0; length < bundle.length; length++) {
      expect(codeOf(() => decodeBundle(bundle.subarray(0, length), 5))).toBe('tile')
    }
    expect(codeOf(() => decodeBundle(Buffer.concat([bundle, Uint8Array.of(0)]), 5))).toBe('tile')
    expect(codeOf(() => decodeBundle(Buffer.concat([bundle, Uint8Array.of(0, 0)]), 5))).toBe('tile')
  })
})
