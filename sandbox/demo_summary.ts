import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { verifierCrypto as crypto } from '../src/cli/verifier_crypto.ts'
import { readEntry } from '../src/ledger/entry.ts'
import { parsePolicy } from '../src/merkle/policy.ts'
import { tilesForSize } from '../src/merkle/tiles.ts'
import { nodeHasher } from '../src/storage/node_crypto.ts'
import { reportText } from '../src/verifier/report_text.ts'
import { openSource } from '../src/verifier/open_source.ts'
import { readEntries } from '../src/verifier/source.ts'
import { verifyLedger } from '../src/verifier/verify.ts'
import type { Report } from '../src/verifier/report.ts'

/** Where the files of one ledger were put. */
export interface LedgerFiles {
  readonly bank: string
  readonly files: string
}

/** What the ledgers' files say, and whether they hold: nothing here comes from the broker that wrote them. */
export async function summarise(ledgers: readonly LedgerFiles[]) {
  const checked = await Promise.all(
    ledgers.map(async (ledger) => ({ ...ledger, report: await check(ledger) })),
  )
  const counts = checked.flatMap(({ report }) => report.counts ?? [])
  const sum = (of: (one: NonNullable<Report['counts']>) => number) =>
    counts.reduce((total, one) => total + of(one), 0)
  const late = await Promise.all(
    checked.map(({ files, report }) => releasesAfterRevocation(files, report.ledger?.size ?? 0)),
  )
  const refusals: Record<string, number> = {}
  for (const one of counts)
    for (const [reason, n] of Object.entries(one.refusals_by_reason))
      refusals[reason] = (refusals[reason] ?? 0) + n
  const verified =
    checked.every(({ report }) => report.verified) && counts.length === ledgers.length
  return {
    verified,
    text: checked.map(({ report }) => reportText(report)).join('\n'),
    json: {
      ledgers: checked.map(({ bank, files, report }) => ({
        bank,
        origin: report.ledger?.origin,
        size: report.ledger?.size,
        root: report.ledger?.root,
        vkey: report.counts?.vkeys.at(-1),
        files,
      })),
      consents: {
        granted: sum(({ consents }) => consents.granted),
        revoked: sum(({ consents }) => consents.revoked),
        expired: sum(({ consents }) => consents.expired),
      },
      releases: {
        data_subject: sum(({ releases }) => releases.data_subject),
        messaging_platform: sum(({ releases }) => releases.messaging_platform),
        advertising: sum(({ releases }) => releases.advertising),
        third_party: sum(({ releases }) => releases.third_party),
      },
      refusals,
      released_after_revocation: late.reduce((total, n) => total + n, 0),
      verified,
    },
  }
}

async function check({ files }: LedgerFiles): Promise<Report> {
  const policy = parsePolicy(nodeHasher, await readFile(join(files, 'policy')))
  return verifyLedger(openSource(files), { policy, crypto })
}

/** Counted from the entries themselves, beside the verifier's own rule. */
async function releasesAfterRevocation(files: string, size: number): Promise<number> {
  const revoked = new Set<string>()
  let late = 0
  for (const tile of tilesForSize(size)) {
    if (tile.level !== 0) continue
    for (const bytes of await readEntries(openSource(files), { ...tile, level: 'entries' })) {
      const { kind, body } = readEntry(bytes)
      if (kind === 'consent.revoke') revoked.add(body.consent)
      if (kind === 'release' && revoked.has(body.consent)) late += 1
    }
  }
  return late
}
