#!/usr/bin/env node
import { isMainThread } from 'node:worker_threads'
import { nodeHasher } from '../storage/node_crypto.ts'
import { workOnTrees } from '../verifier/threads.ts'
import { UsageError } from './arguments.ts'
import { readVerifyArguments, verifyArgumentsUsage } from './verify_arguments.ts'
import { verifyFiles } from './verify_files.ts'

// The verifier for a machine that nothing else is on: what is bundled as verify.mjs. Its threads run this same file.

const usage = `usage: node verify.mjs <folder or file> ${verifyArgumentsUsage}
Checks a ledger's files, an archive, an export or a report, and asks nobody.
Exit code 0: nothing was found wrong. 1: something was. 2: it was called wrongly.
`

if (isMainThread) process.exitCode = await main(process.argv.slice(2))
else await workOnTrees(nodeHasher)

async function main(argv: string[]): Promise<number> {
  try {
    return await verifyFiles(readVerifyArguments(argv).given, {
      out: process.stdout,
      err: process.stderr,
      threadModule: new URL(import.meta.url),
    })
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n${usage}`)
    return 2
  }
}
