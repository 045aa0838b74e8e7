import { MerkleError } from '../merkle/errors.ts'
import { parsePolicy, type Policy } from '../merkle/policy.ts'
import { nodeHasher } from '../storage/node_crypto.ts'
import { readFileArgument, UsageError } from './arguments.ts'

/** The tlog-policy in a file named by an argument. Throws `UsageError`, with the line that is wrong. */
export function readPolicyFile(path: string): Policy {
  try {
    return parsePolicy(nodeHasher, readFileArgument(path))
  } catch (error) {
    if (error instanceof MerkleError) throw new UsageError(`the policy is wrong: ${error.message}`)
    throw error
  }
}
