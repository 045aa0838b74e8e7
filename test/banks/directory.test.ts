import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { DirectoryInvalid, parseBankDirectory } from '../../src/banks/directory.ts'

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed25519 = generateKeyPairSync('ed25519')
const key = p256.publicKey.export({ format: 'jwk' })

const chase = {
  id: 'jpmorgan-chase',
  legal_name: 'JPMorgan Chase Bank, National Association',
  lei: '7H6GLXDRUGQFU57RNE97',
  issuer: 'https://login.chase.example',
  fdx_base_url: 'https://api.chase.example:8443/fdx/v6',
  key: { ...key, alg: 'ES256', kid: 'one' },
}

const read = (entries: unknown, sandbox = false) =>
  parseBankDirectory(typeof entries === 'string' ? entries : JSON.stringify(entries), { sandbox })

function problems(entries: unknown, sandbox = false): readonly string[] {
  try {
    read(entries, sandbox)
  } catch (error) {
    if (error instanceof DirectoryInvalid) return error.problems
    throw error
  }
  return []
}

describe('the bank directory', () => {
  it('gives the banks by id, with the hosts that may be called', () => {
    const wells = {
      ...chase,
      id: 'wells-fargo',
      lei: 'KB1H1DSPRFMYMCUFXT09',
      issuer: 'https://wells.example/oidc',
      fdx_base_url: 'https://wells.example/fdx/v6',
      key: ed25519.publicKey.export({ format: 'jwk' }),
      client_id: 'countersign-7',
      hosts: ['mtls.wells.example:443'],
    }
    const banks = read([chase, wells])
    expect([...banks.keys()]).toEqual(['jpmorgan-chase', 'wells-fargo'])
    expect(banks.get('jpmorgan-chase')).toEqual({
      id: chase.id,
      legalName: chase.legal_name,
      lei: chase.lei,
      issuer: chase.issuer,
      fdxBaseUrl: chase.fdx_base_url,
      key: chase.key,
      hosts: ['login.chase.example:443', 'api.chase.example:8443'],
    })
    expect(banks.get('wells-fargo')).toMatchObject({
      clientId: 'countersign-7',
      hosts: ['wells.example:443', 'mtls.wells.example:443'],
    })
  })

  it.each([
    '7H6GLXDRUGQFU57RNE97',
    'KB1H1DSPRFMYMCUFXT09',
    'E57ODZWZ7FF32TWEFA76',
    '6BYL5QZYBDK8S7L73M02',
  ])('knows the check digits of an LEI: %s', (lei) => {
    expect(problems([{ ...chase, lei }])).toEqual([])
    const wrong = lei.slice(0, 19) + String((Number(lei.at(19)) + 1) % 10)
    expect(problems([{ ...chase, lei: wrong }])).toEqual(['/0/lei has wrong check digits'])
  })

  it('names every problem of its form at once', () => {
    const { issuer: _, ...rest } = chase
    expect(
      problems([
        { ...rest, id: 'Chase', lei: 'short', extra: 1 },
        { ...chase, fdx_base_url: 'https://api.example/fdx/', key: { ...key, d: 'secret' } },
      ]),
    ).toEqual(
      expect.arrayContaining([
        "/0 must have required property 'issuer'",
        '/0 must NOT have additional properties: extra',
        expect.stringMatching(/^\/0\/id must match/),
        expect.stringMatching(/^\/0\/lei must match/),
        expect.stringMatching(/^\/1\/fdx_base_url must match/),
        '/1/key/d boolean schema is false',
      ]),
    )
  })

  it('names every problem of its sense at once', () => {
    const crooked = { ...key, x: key.y, y: key.x }
    expect(
      problems([
        chase,
        { ...chase, lei: '7H6GLXDRUGQFU57RNE98', key: crooked, fdx_base_url: 'http://api.example' },
      ]),
    ).toEqual([
      '/1/lei has wrong check digits',
      '/1/key is not a point of its curve',
      '/1/fdx_base_url is not https',
      '/1/id is there before: jpmorgan-chase',
      "/1/issuer is another bank's: https://login.chase.example",
    ])
  })

  it('has a bank twice when a ledger follows another, with the same providers for customers and for staff', () => {
    const client = { issuer: chase.issuer, client_id: 'console' }
    const staff = { ...client, claim: 'roles', auditor: ['auditor'] }
    const next = { ...chase, id: 'jpmorgan-chase-2', staff }
    expect([...read([{ ...chase, staff }, next]).keys()]).toEqual([
      'jpmorgan-chase',
      'jpmorgan-chase-2',
    ])
    expect(
      problems([
        chase,
        { ...next, issuer: 'https://b.example', staff: { ...staff, client_id: undefined } },
      ]),
    ).toEqual(['/1/staff/client_id is the one for customers: another is needed'])
  })

  it('takes plain http in the sandbox only', () => {
    const local = {
      ...chase,
      issuer: 'http://127.0.0.1:4000',
      fdx_base_url: 'http://127.0.0.1:4000/fdx/v6',
    }
    expect(read([local], true).get('jpmorgan-chase')?.hosts).toEqual(['127.0.0.1:4000'])
    expect(problems([local])).toEqual(['/0/issuer is not https', '/0/fdx_base_url is not https'])
  })

  describe('a provider of identities for the staff', () => {
    const staff = { issuer: 'https://staff.chase.example', claim: 'roles', auditor: ['auditor'] }
    const wells = {
      ...chase,
      id: 'wells-fargo',
      lei: 'KB1H1DSPRFMYMCUFXT09',
      issuer: 'https://wells.example',
    }

    const words = (count: number) => Array.from({ length: count }, (_, i) => `word-${i}`)

    it('is read, and its host may be called', () => {
      const whole = { ...staff, client_id: 'c', scopes: ['groups'], acr: ['urn:x'] }
      const banks = read([
        { ...chase, staff },
        { ...wells, staff: { ...whole, issuer: wells.issuer } },
      ])
      expect(banks.get('jpmorgan-chase')).toMatchObject({
        staff: { ...staff, scopes: [], acr: [] },
        hosts: [
          ...(read([chase]).get('jpmorgan-chase')?.hosts ?? []).slice(0, 2),
          'staff.chase.example:443',
        ],
      })
      expect(banks.get('wells-fargo')?.staff).toEqual({
        issuer: wells.issuer,
        ...{
          clientId: 'c',
          claim: 'roles',
          auditor: ['auditor'],
          scopes: ['groups'],
          acr: ['urn:x'],
        },
      })
    })

    it('may name 20 values, scopes and ways of logging in', () => {
      const most = { ...staff, auditor: words(20), scopes: words(20), acr: words(20) }
      expect(problems([{ ...chase, staff: most }])).toEqual([])
    })

    it('speaks for one bank only', () => {
      for (const issuer of [chase.issuer, staff.issuer])
        expect(
          problems([
            { ...chase, staff },
            { ...wells, staff: { ...staff, issuer } },
          ]),
        ).toContain(`/1/staff/issuer is another bank's: ${issuer}`)
    })

    it('knows the broker as another client than the customers’ provider does, where it is the same', () => {
      const same = { ...staff, issuer: chase.issuer }
      const problem = ['/0/staff/client_id is the one for customers: another is needed']
      expect(problems([{ ...chase, staff: same }])).toEqual(problem)
      expect(problems([{ ...chase, client_id: 'c', staff: { ...same, client_id: 'c' } }])).toEqual(
        problem,
      )
      expect(problems([{ ...chase, staff: { ...same, client_id: 'c' } }])).toEqual([])
    })

    it('is not of a bank whose id is a word of the console’s own addresses', () => {
      expect(problems([{ ...chase, id: 'callback', staff }]).join()).toMatch(/id is a word/)
      expect(problems([{ ...chase, id: 'callback' }])).toEqual([])
    })

    it.each([
      ['plain http', { ...staff, issuer: 'http://staff.example' }, /staff\/issuer is not https/],
      ['no claim', { ...staff, claim: undefined }, /'claim'/],
      ['nothing that makes an auditor', { ...staff, auditor: [] }, /auditor must NOT have fewer/],
      ['an empty value', { ...staff, auditor: [''] }, /auditor\/0/],
      ['more than 20 values', { ...staff, auditor: words(21) }, /auditor must NOT have more/],
      ['a scope that is two', { ...staff, scopes: ['openid groups'] }, /scopes\/0/],
      ['a member that is not known', { ...staff, admin: true }, /additional properties: admin/],
    ])('is refused with %s', (_, wrong, problem) => {
      expect(problems([{ ...chase, staff: wrong }]).join()).toMatch(problem)
    })
  })

  it.each([
    ['not JSON', '{', /it is not JSON/],
    ['not a list', '{}', /must be array/],
    ['an empty list', '[]', /fewer than 1/],
    ['an RSA key', [{ ...chase, key: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } }], /key/],
    ['another curve', [{ ...chase, key: { ...key, crv: 'P-384' } }], /crv/],
    ['another algorithm', [{ ...chase, key: { ...key, alg: 'RS256' } }], /alg/],
    ['credentials in a URL', [{ ...chase, issuer: 'https://user@login.example' }], /issuer/],
    ['a query in a URL', [{ ...chase, issuer: 'https://login.example?x=1' }], /issuer/],
    ['a host without a port', [{ ...chase, hosts: ['login.example'] }], /hosts/],
  ])('is refused: %s', (_, entries, problem) => {
    expect(problems(entries).join()).toMatch(problem)
  })
})
