import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { DirectoryInvalid } from '../../src/banks/directory.ts'
import type { Stray } from '../../src/banks/egress_tripwire.ts'
import { openBanks, type BanksConfig } from '../../src/banks/port.ts'
import { smallBank, type SmallBank } from './small_bank.ts'

let folder: string
let clientKey: JWK
let bankKey: JWK
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-banks-'))
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  clientKey = { ...(await exportJWK(privateKey)), kid: 'broker' }
  bankKey = await exportJWK((await generateKeyPair('ES256')).publicKey)
})
afterAll(() => rm(folder, { recursive: true }))

let small: SmallBank
let strays: Stray[]
beforeEach(async () => {
  const { d: _, ...publicJwk } = clientKey
  small = await smallBank([publicJwk])
  strays = []
})
afterEach(() => small.close())

async function open(changes: Partial<BanksConfig> = {}) {
  const banksFile = join(folder, 'banks.json')
  const { id, legalName, lei, issuer, fdxBaseUrl } = small.bank
  const entry = { id, legal_name: legalName, lei, issuer, fdx_base_url: fdxBaseUrl, key: bankKey }
  await writeFile(banksFile, JSON.stringify([entry]))
  const config = {
    banksFile,
    clientKey,
    databases: ['postgres://127.0.0.1:1/countersign'],
    issuer: 'https://broker.example',
    sandbox: true,
    ...changes,
  }
  return openBanks(config, { onStray: (stray) => strays.push(stray) })
}

describe('the banks of a configuration', () => {
  it('are those of the directory, asked through a gateway to them alone', async () => {
    const { port, gateway, close } = await open()
    const bank = port.banks.get('small-bank')
    expect([...port.banks.keys()]).toEqual(['small-bank'])
    if (bank === undefined) throw new Error('no bank')
    const { url } = await port.startLogin(bank, { nonce: 'n' })
    expect(new URL(url).searchParams.get('client_id')).toBe('https://broker.example')
    expect(small.heardAt('/par')[0]?.form.get('redirect_uri')).toBe(
      'https://broker.example/banks/small-bank/callback',
    )
    const elsewhere = { method: 'GET', url: 'https://other.example/', headers: {} } as const
    await expect(gateway.request(elsewhere)).rejects.toMatchObject({ refused: 'host_not_allowed' })
    expect(strays).toEqual([])
    close()
  })

  it('are watched until they are closed', async () => {
    const { close } = await open()
    await fetch(small.bank.issuer)
    expect(strays.map(({ target }) => target)).toContain(new URL(small.bank.issuer).host)
    const before = strays.length
    close()
    await fetch(small.bank.issuer.replace('127.0.0.1', 'localhost')).catch(() => undefined)
    expect(strays).toHaveLength(before)
  })

  it('may not be on plain http outside the sandbox', async () => {
    await expect(open({ sandbox: false })).rejects.toThrow(DirectoryInvalid)
  })

  it('are not opened with a key that cannot sign, or must not', async () => {
    const { d: _, ...publicJwk } = clientKey
    const rsa = await generateKeyPair('PS256', { extractable: true })
    const p384 = await generateKeyPair('ES384', { extractable: true })
    const wrong = [{}, publicJwk, await exportJWK(rsa.privateKey), await exportJWK(p384.privateKey)]
    for (const key of wrong) await expect(open({ clientKey: key })).rejects.toThrow(/client key/)
  })
})
