import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate, named } from '../sandbox/certificates.ts'
import { loadConfig } from '../src/config.ts'
import { formatVkey } from '../src/merkle/vkey.ts'
import { witnessKey } from './merkle/keys.ts'
import { rateLimits } from '../src/http/rate_limits.ts'

let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-'))
  const file = async (name: string, content: string) => {
    await writeFile(join(folder, name), `${content}\n`)
    return join(folder, name)
  }
  env = {
    DATABASE_URL: 'postgres://service@127.0.0.1/countersign',
    ISSUER: 'https://broker.example',
    BANKS_FILE: '/etc/countersign/banks.json',
    MASTER_KEY_FILE: await file('master', randomBytes(32).toString('base64url')),
    LEDGER_KEY_FILE: await file('ledger', randomBytes(32).toString('base64url')),
    CLIENT_KEY_FILE: await file('client', JSON.stringify({ kty: 'EC' })),
    MARKS: '/var/lib/countersign/marks',
    SHORT: await file('short', randomBytes(31).toString('base64url')),
    LIST: await file('list', '[]'),
    EMPTY: await file('empty', ''),
  }
})

afterAll(() => rm(folder, { recursive: true }))

describe('the configuration', () => {
  it('is what the environment says, with defaults, and no sandbox', () => {
    expect(loadConfig(env)).toMatchObject({
      issuer: 'https://broker.example',
      host: '127.0.0.1',
      port: 8080,
      epochSeconds: 3_600,
      statementSlackSeconds: 120,
      sandbox: false,
    })
    expect(loadConfig({ ...env, SANDBOX: 'true' }).sandbox).toBe(false)
  })

  it('takes the database from a file', () => {
    const { LIST: DATABASE_URL_FILE = '' } = env
    expect(loadConfig({ ...env, DATABASE_URL_FILE }).databaseUrl).toBe('[]')
  })

  it('takes witnesses from a policy, each at its pace', async () => {
    const vkey = formatVkey(witnessKey('w.example', 0x20).vkey)
    const write = async (name: string, content: string) => {
      await writeFile(join(folder, name), content)
      return join(folder, name)
    }
    const WITNESS_POLICY_FILE = await write(
      'policy',
      `witness w ${vkey} https://w.example\nquorum w\n`,
    )
    const WITNESS_CADENCE_FILE = await write('cadence', '{"w":300}')
    expect(loadConfig({ ...env, WITNESS_POLICY_FILE }).witnesses).toMatchObject({
      ...{ policy: { quorum: 'w' }, cadence_s: {} },
    })
    const { witnesses } = loadConfig({ ...env, WITNESS_POLICY_FILE, WITNESS_CADENCE_FILE })
    expect(witnesses?.cadence_s).toEqual({ w: 300 })
    for (const [content, problem] of [
      ['hello\n', 'WITNESS_POLICY_FILE does not hold a tlog-policy'],
      [`witness w ${vkey}\nquorum w\n`, 'WITNESS_POLICY_FILE: w has no https URL'],
      [`witness w ${vkey} http://w.example\nquorum w\n`, 'w has no https URL'],
    ] as const) {
      const path = await write('wrong', content)
      expect(() => loadConfig({ ...env, WITNESS_POLICY_FILE: path })).toThrow(problem)
    }
    for (const [content, problem] of [
      ['{"v":300}', 'WITNESS_CADENCE_FILE: v is no witness of the policy'],
      ['{"w":0}', 'whole seconds from 1 to 86400'],
      ['{"w":86401}', 'whole seconds from 1 to 86400'],
      ['{"w":1.5}', 'whole seconds from 1 to 86400'],
      ['[]', 'whole seconds from 1 to 86400'],
    ] as const) {
      const path = await write('wrong', content)
      expect(() => loadConfig({ ...env, WITNESS_POLICY_FILE, WITNESS_CADENCE_FILE: path })).toThrow(
        problem,
      )
    }
  })

  it('says everything that is missing at once', () => {
    for (const key of Object.keys(env).filter((name) => !['SHORT', 'LIST', 'EMPTY'].includes(name)))
      expect(() => loadConfig({})).toThrow(`${key} is not set`)
  })

  it.each([
    ['a plain http issuer', { ISSUER: 'http://broker.example' }, 'ISSUER'],
    ['an issuer with a path', { ISSUER: 'https://broker.example/a' }, 'ISSUER'],
    ['an issuer that is no URL', { ISSUER: 'broker' }, 'ISSUER'],
    ['a port of nothing', { PORT: '0' }, 'PORT'],
    ['a port beyond the last', { PORT: '65536' }, 'PORT'],
    ['limits kept nowhere', { RATE_LIMITS: 'redis' }, 'RATE_LIMITS is not one of'],
    ['a frequency of less than none', { FREQUENCY_LIMIT: '-1' }, 'FREQUENCY_LIMIT'],
    ['a frequency beyond the last', { FREQUENCY_LIMIT: '1000001' }, 'FREQUENCY_LIMIT'],
    [
      'a header of proxies that are not named',
      { PROXY_CERTIFICATE_HEADER: 'client-cert' },
      'PROXY',
    ],
    [
      'a proxy that is no address',
      { PROXY_ADDRESSES: '10.0.0.1,proxy.example' },
      'PROXY_ADDRESSES',
    ],
    ['an archive of no endpoint', { ARCHIVE: '/a', ARCHIVE_ENDPOINT: 's3' }, 'ARCHIVE_ENDPOINT'],
    ['exports less than daily', { ARCHIVE: '/a', ARCHIVE_SECONDS: '86401' }, 'ARCHIVE_SECONDS'],
    ['exports of nothing', { ARCHIVE: '/a', ARCHIVE_ENTRIES: '0' }, 'ARCHIVE_ENTRIES'],
    ['an epoch longer than a day', { EPOCH_SECONDS: '86401' }, 'EPOCH_SECONDS'],
    ['a slack of over an hour', { STATEMENT_SLACK_SECONDS: '3601' }, 'STATEMENT_SLACK_SECONDS'],
    ['a key file that is not there', { MASTER_KEY_FILE: '/nowhere' }, 'cannot be read'],
    ['a certificate without its key', { CLIENT_CERTIFICATE_FILE: '/nowhere' }, 'KEY_FILE'],
  ])('refuses %s', (_name, change, problem) => {
    expect(() => loadConfig({ ...env, ...change })).toThrow(problem)
  })

  it('takes what is set to nothing, or is read from an empty file, for missing', () => {
    expect(() => loadConfig({ ...env, ISSUER: '' })).toThrow('ISSUER is not set')
    const { EMPTY = '' } = env
    for (const key of ['MASTER_KEY_FILE', 'LEDGER_KEY_FILE', 'CLIENT_KEY_FILE'])
      expect(() => loadConfig({ ...env, [key]: EMPTY })).toThrow(`${key} does not hold`)
  })

  it('refuses a key of 31 bytes, and a list where an object belongs', () => {
    expect(() => loadConfig({ ...env, LEDGER_KEY_FILE: env['SHORT'] })).toThrow('32 bytes')
    expect(() => loadConfig({ ...env, CLIENT_KEY_FILE: env['LIST'] })).toThrow('JSON object')
  })

  it('limits the frequency of reads only where it says so', () => {
    for (const FREQUENCY_LIMIT of [undefined, '0'])
      expect(loadConfig({ ...env, FREQUENCY_LIMIT })).not.toHaveProperty('readsPerDay')
    for (const reads of [1, 1_000_000])
      expect(loadConfig({ ...env, FREQUENCY_LIMIT: String(reads) }).readsPerDay).toBe(reads)
  })

  it('names proxies, which need pass on no certificate', () => {
    const PROXY_ADDRESSES = '10.0.0.1, 2001:db8::/32'
    const { proxies } = loadConfig({ ...env, PROXY_ADDRESSES }).mtls
    expect(proxies).not.toHaveProperty('header')
    const found = ['10.0.0.1', '::ffff:10.0.0.1', '2001:db8::9', '10.0.0.2', 'unknown', '']
    expect(found.map((address) => proxies?.have(address))).toEqual([
      ...[true, true, true],
      ...[false, false, false],
    ])
    const PROXY_CERTIFICATE_HEADER = 'Client-Cert'
    const named = loadConfig({ ...env, PROXY_ADDRESSES, PROXY_CERTIFICATE_HEADER }).mtls.proxies
    expect(named?.header).toBe('client-cert')
    expect(loadConfig(env).mtls).not.toHaveProperty('proxies')
  })

  describe('of TLS', () => {
    const authority = makeCertificate({ subject: named('Authority'), usage: 'authority' })
    const own = makeCertificate({ subject: named('broker.example'), usage: 'server' })
    const file = async (name: string, content: string) => {
      await writeFile(join(folder, name), content)
      return join(folder, name)
    }
    const tls = async () => ({
      TLS_CERTIFICATE_FILE: await file('tls.crt', own.cert + authority.cert),
      TLS_KEY_FILE: await file('tls.key', own.key),
      MTLS_ORIGIN: 'https://mtls.broker.example',
      MTLS_PORT: '8443',
      MTLS_CA_FILE: await file('ca.crt', authority.cert + authority.cert),
    })

    it('has a certificate, a second port, and authorities', async () => {
      const { mtls, tls: read } = loadConfig({ ...env, ...(await tls()) })
      expect(read?.key).toBe(own.key.trim())
      expect(mtls).toMatchObject({ origin: 'https://mtls.broker.example', port: 8443 })
      expect(mtls.authorities.map(({ fingerprint256 }) => fingerprint256)).toEqual([
        authority.x509.fingerprint256,
        authority.x509.fingerprint256,
      ])
      expect(loadConfig(env).mtls).toEqual({ authorities: [] })
    })

    it.each<[string, () => Promise<object>, string]>([
      [
        'the key of another certificate',
        async () => ({ TLS_KEY_FILE: await file('other.key', authority.key) }),
        'TLS_KEY_FILE does not hold the key',
      ],
      ['a certificate without its key', async () => ({ TLS_KEY_FILE: undefined }), 'TLS_KEY_FILE'],
      [
        'no certificate for the second port',
        async () => ({ TLS_CERTIFICATE_FILE: undefined, TLS_KEY_FILE: undefined }),
        'MTLS_PORT is set, and TLS_CERTIFICATE_FILE is not',
      ],
      [
        'no origin for the second port',
        async () => ({ MTLS_ORIGIN: undefined }),
        'MTLS_PORT is set, and MTLS_ORIGIN is not',
      ],
      [
        'an origin where nobody asks for a certificate',
        async () => ({ MTLS_PORT: undefined }),
        'neither MTLS_PORT nor PROXY_CERTIFICATE_HEADER',
      ],
      [
        'an origin without TLS',
        async () => ({ MTLS_ORIGIN: 'http://127.0.0.1' }),
        'MTLS_ORIGIN is not an https origin',
      ],
      ['one port for both', async () => ({ PORT: '8443' }), 'MTLS_PORT is PORT'],
      [
        'a certificate that is no authority’s',
        async () => ({ MTLS_CA_FILE: await file('leaf.crt', own.cert) }),
        'MTLS_CA_FILE does not hold certificates of authorities',
      ],
      [
        'no certificate of an authority',
        async () => ({ MTLS_CA_FILE: await file('none.crt', 'x') }),
        'MTLS_CA_FILE does not hold certificates of authorities',
      ],
      [
        'a header of no name',
        async () => ({ PROXY_ADDRESSES: '10.0.0.1', PROXY_CERTIFICATE_HEADER: 'a header' }),
        'PROXY_CERTIFICATE_HEADER is not the name of a header',
      ],
    ])('refuses %s', async (_, change, problem) => {
      const changed = { ...env, ...(await tls()), ...(await change()) }
      expect(() => loadConfig(changed)).toThrow(problem)
    })
  })

  describe('of the rate limits', () => {
    const limitsOf = async (content: string) => {
      const RATE_LIMITS_FILE = join(folder, 'rate_limits.json')
      await writeFile(RATE_LIMITS_FILE, content)
      return loadConfig({ ...env, RATE_LIMITS_FILE }).rateLimits.budgets
    }

    it('is the table, counted in memory, unless something else is said', () => {
      expect(loadConfig(env).rateLimits).toEqual({ kept: 'memory', budgets: rateLimits })
      for (const kept of ['memory', 'postgres', 'off'])
        expect(loadConfig({ ...env, RATE_LIMITS: kept }).rateLimits.kept).toBe(kept)
    })

    it('takes other figures from a file, one by one, and 0 for none', async () => {
      const changed = '{"data":{"client":1,"address":0},"revocation":{"client":5}}'
      expect(await limitsOf(changed)).toEqual({
        ...rateLimits,
        data: { client: 1 },
        revocation: { ...rateLimits.revocation, client: 5 },
      })
      expect(await limitsOf('{}')).toEqual(rateLimits)
    })

    it.each([
      '',
      '[]',
      '{"everything":{"address":1}}',
      '{"constructor":{"address":1}}',
      '{"data":{"second":1}}',
      '{"data":{"address":-1}}',
      '{"data":{"address":1.5}}',
      '{"data":{"address":"1"}}',
      '{"data":{"address":1000000001}}',
      '{"data":null}',
      '{"data":[1]}',
      '{"data":[]}',
    ])('refuses %s', async (content) => {
      await expect(limitsOf(content)).rejects.toThrow('RATE_LIMITS_FILE does not hold')
    })
  })
})
