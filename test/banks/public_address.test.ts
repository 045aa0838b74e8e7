import { describe, expect, it } from '@jest/globals'
import { isPublicAddress, publicLookup } from '../../src/banks/public_address.ts'

describe('an address', () => {
  it.each([
    '0.0.0.0',
    '0.1.2.3',
    '10.255.255.255',
    '100.64.0.0',
    '100.100.100.200',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.0.2.1',
    '192.168.255.255',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.7',
    '203.0.113.7',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:8.8.8.8',
    '::ffff:127.0.0.1',
    '::ffff:0:127.0.0.1',
    '::127.0.0.1',
    '64:ff9b::8.8.8.8',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%lo',
    '2606:4700::1111%lo',
    'ff02::1',
  ])('is not public: %s', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each([
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '223.255.255.255',
    '2001:4860:4860::8888',
    '2606:4700:4700::1111',
  ])('is public: %s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
})

const lookUp = (answers: readonly string[], all: boolean) =>
  new Promise<unknown>((resolve, reject) => {
    const found = answers.map((address) => ({ address, family: 4 }))
    publicLookup(() => Promise.resolve(found))('bank.test', { all }, (error, address, family) => {
      if (error) reject(error)
      else resolve(family === undefined ? address : { address, family })
    })
  })

describe('the look-up of a socket', () => {
  it('answers with the very addresses that were judged', async () => {
    expect(await lookUp(['1.1.1.1', '8.8.8.8'], true)).toEqual([
      { address: '1.1.1.1', family: 4 },
      { address: '8.8.8.8', family: 4 },
    ])
    expect(await lookUp(['1.1.1.1', '8.8.8.8'], false)).toEqual({ address: '1.1.1.1', family: 4 })
  })

  it('asks once for each connection, so a name that changes its answer gains nothing', async () => {
    const answers = ['1.1.1.1', '127.0.0.1']
    const rebinding = publicLookup(() =>
      Promise.resolve([{ address: answers.shift() ?? '', family: 4 }]),
    )
    const connect = () =>
      new Promise<unknown>((resolve) =>
        rebinding('bank.test', {}, (error, address) => resolve(error ?? address)),
      )
    expect(await connect()).toBe('1.1.1.1')
    expect(answers).toEqual(['127.0.0.1'])
    expect(await connect()).toMatchObject({ refused: 'private_address' })
  })

  it('gives none of several addresses when one of them is private', async () => {
    for (const all of [true, false])
      await expect(lookUp(['1.1.1.1', '10.0.0.1'], all)).rejects.toMatchObject({
        refused: 'private_address',
      })
  })
})
