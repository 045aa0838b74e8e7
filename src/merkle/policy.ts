import { openCheckpoint, parseCheckpoint } from './checkpoint.ts'
import type { Checkpoint } from './checkpoint.ts'
import { cosignatureTime, cosignatureVerifier } from './cosignature.ts'
import { parseDecimal, readText } from './encoding.ts'
import type { Text } from './encoding.ts'
import { MerkleError } from './errors.ts'
import { equalBytes } from './hash.ts'
import type { Hasher } from './hash.ts'
import { noteVerifier, parseNote } from './note.ts'
import { formatVkey, keyTypes, parseVkey } from './vkey.ts'
import type { KeyType, VerifyEd25519, Vkey } from './vkey.ts'

/**
 * Which logs and witnesses are trusted, and how many witnesses it takes (c2sp.org/tlog-policy).
 * Names are the policy's own.
 */
export interface Policy {
  readonly logs: readonly Peer[]
  readonly witnesses: ReadonlyMap<string, Peer>
  /** In the order of their definition: a group's members come before it. */
  readonly groups: ReadonlyMap<string, Group>
  /** The name of a witness or a group, or `none`. */
  readonly quorum: string
}

/** A log or a witness: its key, and where it can be reached. */
export interface Peer {
  readonly vkey: Vkey
  readonly url?: string
}

export interface Group {
  readonly threshold: number
  readonly members: readonly string[]
}

/**
 * A checkpoint that satisfies a policy, with the witnesses of the policy that cosigned it and when
 * (seconds since the epoch).
 */
export interface WitnessedCheckpoint {
  readonly checkpoint: Checkpoint
  readonly cosigners: readonly { readonly name: string; readonly time: number }[]
}

interface Draft {
  readonly logs: Peer[]
  readonly witnesses: Map<string, Peer>
  readonly groups: Map<string, Group>
  quorum: string | undefined
}

/** The name of the quorum that asks for no witness. */
export const noQuorum = 'none'

/**
 * Parses a policy file. Throws `policy` with the number of the line that is wrong, or `encoding`.
 */
export function parsePolicy(hasher: Hasher, input: Text): Policy {
  const lines = readText(input, '\t\n').split('\n')
  if (lines.pop() !== '') throw new MerkleError('policy', 'the last line does not end')
  const draft: Draft = { logs: [], witnesses: new Map(), groups: new Map(), quorum: undefined }
  lines.forEach((line, i) => {
    try {
      readLine(hasher, draft, line)
    } catch (cause) {
      if (!(cause instanceof MerkleError)) throw cause
      throw new MerkleError('policy', `line ${i + 1}: ${cause.message}`, { cause })
    }
  })
  const { quorum } = draft
  if (quorum === undefined) throw new MerkleError('policy', 'there is no quorum line')
  return { ...draft, quorum }
}

function readLine(hasher: Hasher, draft: Draft, line: string): void {
  if (line.includes('\u007f')) throw new MerkleError('policy', 'a control character')
  const words = line.split(/[ \t]+/).filter((word) => word !== '')
  const [keyword = '#', ...rest] = words
  if (keyword.startsWith('#')) return
  switch (keyword) {
    case 'log':
      draft.logs.push(readPeer(hasher, rest, keyTypes.ed25519, draft.logs))
      return
    case 'witness': {
      const [name, ...peer] = rest
      const others = [...draft.witnesses.values()]
      draft.witnesses.set(
        newName(draft, name),
        readPeer(hasher, peer, keyTypes.cosignature, others),
      )
      return
    }
    case 'group': {
      const [name, threshold, ...members] = rest
      draft.groups.set(newName(draft, name), readGroup(draft, threshold, members))
      return
    }
    case 'quorum':
      draft.quorum = readQuorum(draft, rest)
      return
    default:
      throw new MerkleError('policy', `unknown keyword ${keyword}`)
  }
}

function readPeer(
  hasher: Hasher,
  words: readonly string[],
  type: KeyType,
  others: readonly Peer[],
): Peer {
  const [key = '', url, ...rest] = words
  const vkey = parseVkey(hasher, key)
  if (vkey.type !== type) throw new MerkleError('policy', 'a key of the wrong signature type')
  if (others.some((other) => equalBytes(other.vkey.publicKey, vkey.publicKey))) {
    throw new MerkleError('policy', 'a second line with the same key')
  }
  if (rest.length > 0) throw new MerkleError('policy', 'too many words')
  if (url === undefined) return { vkey }
  if (!URL.canParse(url)) throw new MerkleError('policy', `${url} is not a URL`)
  return { vkey, url }
}

function readGroup(draft: Draft, threshold: string | undefined, members: readonly string[]): Group {
  const taken = new Set([...draft.groups.values()].flatMap((group) => group.members))
  for (const member of members) {
    if (!isDefined(draft, member)) throw new MerkleError('policy', `${member} is not defined above`)
    if (taken.has(member)) throw new MerkleError('policy', `${member} is a member twice`)
    taken.add(member)
  }
  const count = members.length
  const needed =
    threshold === 'all' ? count : threshold === 'any' ? 1 : parseDecimal(threshold ?? '')
  if (needed < 1 || needed > count) throw new MerkleError('policy', 'no such threshold')
  return { threshold: needed, members }
}

function readQuorum(draft: Draft, words: readonly string[]): string {
  const [name = '', ...rest] = words
  if (draft.quorum !== undefined) throw new MerkleError('policy', 'a second quorum line')
  if (rest.length > 0) throw new MerkleError('policy', 'too many words')
  if (name !== noQuorum && !isDefined(draft, name)) {
    throw new MerkleError('policy', `${name} is not defined above`)
  }
  return name
}

function newName(draft: Draft, name: string | undefined): string {
  if (name === undefined) throw new MerkleError('policy', 'the name is missing')
  if (name === noQuorum || isDefined(draft, name)) {
    throw new MerkleError('policy', `${name} is already defined`)
  }
  return name
}

function isDefined(draft: Draft, name: string): boolean {
  return draft.witnesses.has(name) || draft.groups.has(name)
}

/** The policy file that `parsePolicy` reads so. */
export function formatPolicy({ logs, witnesses, groups, quorum }: Policy): string {
  const peer = ({ vkey, url }: Peer) => [formatVkey(vkey), ...(url === undefined ? [] : [url])]
  const lines = [
    ...logs.map((log) => ['log', ...peer(log)]),
    ...[...witnesses].map(([name, witness]) => ['witness', name, ...peer(witness)]),
    ...[...groups].map(([name, { threshold, members }]) => [
      ...['group', name, String(threshold)],
      ...members,
    ]),
    ['quorum', quorum],
  ]
  return lines.map((words) => `${words.join(' ')}\n`).join('')
}

/**
 * Whether these witnesses, by their names in the policy, are a quorum. Names that are not a
 * witness's count for nothing.
 */
export function quorumMet(policy: Policy, cosignerNames: Iterable<string>): boolean {
  const witnessed = new Set([...cosignerNames].filter((name) => policy.witnesses.has(name)))
  for (const [name, { threshold, members }] of policy.groups) {
    if (members.filter((member) => witnessed.has(member)).length >= threshold) witnessed.add(name)
  }
  return policy.quorum === noQuorum || witnessed.has(policy.quorum)
}

/**
 * Opens a checkpoint that one of the policy's logs signed, under the log's own name, and a quorum
 * of its witnesses cosigned. Throws `origin` for another log, `quorum` for too few cosignatures,
 * and what `openCheckpoint` throws.
 */
export function openUnderPolicy(
  verifyEd25519: VerifyEd25519,
  policy: Policy,
  note: Text,
): WitnessedCheckpoint {
  const { origin } = parseCheckpoint(parseNote(note).text)
  const logKeys = policy.logs
    .filter(({ vkey }) => vkey.name === origin)
    .map(({ vkey }) => noteVerifier(vkey, verifyEd25519))
  if (logKeys.length === 0) throw new MerkleError('origin', `the policy has no log ${origin}`)
  const witnesses = [...policy.witnesses].map(([name, { vkey }]) => ({
    name,
    verifier: cosignatureVerifier(vkey, verifyEd25519),
  }))
  const { checkpoint, cosignatures } = openCheckpoint(note, {
    origin,
    logKeys,
    witnesses: witnesses.map(({ verifier }) => verifier),
  })
  const cosigners = witnesses.flatMap(({ name, verifier }) => {
    const signature = cosignatures.get(verifier)
    return signature === undefined ? [] : [{ name, time: cosignatureTime(signature) }]
  })
  const names = cosigners.map(({ name }) => name)
  if (!quorumMet(policy, names)) throw new MerkleError('quorum', 'too few witnesses cosigned')
  return { checkpoint, cosigners }
}
