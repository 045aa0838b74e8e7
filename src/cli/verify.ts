import type { JWK } from 'jose'
import { isUrl, openSource } from '../verifier/open_source.ts'
import { reportText } from '../verifier/report_text.ts'
import { verifyLedger } from '../verifier/verify.ts'
import { readFileArgument, UsageError, type Arguments } from './arguments.ts'
import { readAsAuditor, type Get } from './read_as_auditor.ts'
import { readVerifyArguments } from './verify_arguments.ts'
import { verifyBy, verifyFiles, type VerifyStreams } from './verify_files.ts'

/**
 * Verifies a ledger, or what else there is to verify in a place, and writes the report to `out`, as text or as one line of JSON.
 * Resolves to the exit code: 0 when nothing was found wrong, 1 when something was. Throws `UsageError`.
 */
export async function verifyCommand(argv: string[], streams: VerifyStreams): Promise<number> {
  const { given, options } = readVerifyArguments(argv, ['client', 'client-key'])
  const getEntries = await auditorOf(given.place, options)
  if (!isUrl(given.place)) return verifyFiles(given, streams)
  const source = openSource(given.place, { getEntries })
  const { verified } = await verifyBy(
    async (how) => {
      const report = await verifyLedger(source, how)
      return { verified: report.verified, text: reportText(report), json: report }
    },
    { given, streams },
  )
  return verified ? 0 : 1
}

/** Entries over HTTP are read as a registered client, when one is named. */
async function auditorOf(place: string, options: Arguments): Promise<Get | undefined> {
  const [client, keyFile] = [options.maybe('client'), options.maybe('client-key')]
  if (client === undefined && keyFile === undefined) return undefined
  if (client === undefined || keyFile === undefined)
    throw new UsageError('--client and --client-key go together')
  const key = privateKeyOf(readFileArgument(keyFile))
  if (!isUrl(place)) throw new UsageError('a client reads from a URL only')
  return readAsAuditor(new URL(place), { clientId: client, key })
}

function privateKeyOf(file: Buffer): JWK {
  try {
    const key: unknown = JSON.parse(file.toString())
    if (isPrivateJwk(key)) return key
  } catch {
    // Said below: whatever is not such an object is no private key.
  }
  throw new UsageError('the client key is not a private JWK')
}

const isPrivateJwk = (value: unknown): value is JWK =>
  typeof value === 'object' && value !== null && 'd' in value && 'kty' in value
