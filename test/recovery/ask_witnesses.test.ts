import { expect, it } from '@jest/globals'
import { parsePolicy } from '../../src/merkle/policy.ts'
import { formatVkey } from '../../src/merkle/vkey.ts'
import { askWitnesses } from '../../src/recovery/ask_witnesses.ts'
import { WitnessUnavailable, type WitnessAnswer } from '../../src/broker/witness_port.ts'
import { nodeHasher } from '../../src/storage/node_crypto.ts'
import { logKey, witnessKey } from '../merkle/keys.ts'
import { openLedger } from '../support/ledger_builder.ts'
import { checkpointOf } from '../support/ledger_folder.ts'

const origin = 'broker.example/ledger/citi'
const key = logKey(origin, 0x00)
const names = ['heard', 'unknown', 'broken', 'not-cosigned', 'another-log', 'down'] as const
const witnesses = new Map(names.map((name, i) => [name as string, witnessKey(name, 0x10 + i)]))

const { entries } = openLedger({ origin, vkey: formatVkey(key.vkey) })
const note = (...cosigners: string[]) =>
  Buffer.from(
    checkpointOf(entries, key, {
      cosigners: cosigners.flatMap((name) => witnesses.get(name)?.signer ?? []),
    }),
  )

const answered = (status: number, body: Uint8Array = Buffer.alloc(0)): WitnessAnswer => ({
  ...{ status, body, type: 'text/plain' },
})

const answers: Readonly<Record<string, () => WitnessAnswer>> = {
  heard: () => answered(200, note('heard', 'down')),
  unknown: () => answered(404),
  broken: () => answered(500),
  'not-cosigned': () => answered(200, note('heard')),
  'another-log': () => answered(200, Buffer.from(checkpointOf(entries, logKey('other', 0x01)))),
  down: () => {
    throw new WitnessUnavailable('unreachable', 'nobody is there')
  },
}

it('counts what the log signed and the witness itself cosigned, and says why it hears of no other', async () => {
  const policy = parsePolicy(
    nodeHasher,
    [
      `log ${formatVkey(key.vkey)}`,
      ...[...witnesses].map(
        ([name, { vkey }]) => `witness ${name} ${formatVkey(vkey)} https://${name}.example`,
      ),
      `witness silent ${formatVkey(witnessKey('silent', 0x40).vkey)}`,
      'quorum heard\n',
    ].join('\n'),
  )
  const asked: string[] = []
  const latest = async (url: string, of: string) => {
    asked.push(of)
    return Promise.resolve(answers[new URL(url).hostname.split('.')[0] ?? '']?.() ?? answered(400))
  }
  expect(await askWitnesses({ latest }, policy, origin)).toEqual([
    { witness: 'heard', head: expect.objectContaining({ size: entries.length }) },
    { witness: 'unknown', silent: 'it has no checkpoint of this ledger' },
    { witness: 'broken', silent: 'it answered 500' },
    { witness: 'not-cosigned', silent: 'it has not cosigned its answer' },
    { witness: 'another-log', silent: expect.any(String) },
    { witness: 'down', silent: 'nobody is there' },
  ])
  expect(new Set(asked)).toEqual(new Set([origin]))
})
