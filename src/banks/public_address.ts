import { lookup } from 'node:dns/promises'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { EgressRefused } from './egress_refused.ts'

/** All addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly { address: string; family: number }[]>

export const resolveBySystem: Resolve = (host) => lookup(host, { all: true })

// IANA's special-purpose registry (RFC 6890): this network, private, carrier-grade NAT, loopback, link-local (cloud metadata),
// protocol assignments, documentation, benchmarking, multicast, reserved.
const special4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

// Only global unicast is public, which leaves out loopback, ULA, link-local, multicast, NAT64 and IPv4 in any disguise. Of it,
// IETF assignments (Teredo among them), documentation and 6to4 are not.
const global6 = '2000::/3'
const special6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const specials = blockList([...special4, ...special6])
const globals = blockList([global6])

/** Whether an IP address, of either family and in any notation, is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (family === 'ipv6' && (address.includes('%') || !globals.check(address, family))) return false
  return !specials.check(address, family)
}

function blockList(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [net = '', prefix] = subnet.split('/')
    list.addSubnet(net, Number(prefix), isIP(net) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

/**
 * A socket's own look-up that answers with public addresses only: the address that was judged is the one connected to, so a
 * name that changes its answer between two questions gains nothing. One private address among several refuses them all.
 */
export function publicLookup(resolve: Resolve): LookupFunction {
  return (host, options, answer) => {
    void resolvePublic(resolve, host).then(
      (addresses): void => {
        const [first] = addresses
        if (options.all === true) answer(null, [...addresses])
        else answer(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => answer(error, ''),
    )
  }
}

async function resolvePublic(resolve: Resolve, host: string) {
  const [first, ...others] = await resolve(host)
  if (first === undefined) throw new Error(`${host} has no address`)
  const addresses = [first, ...others] as const
  if (!addresses.every(({ address }) => isPublicAddress(address)))
    throw new EgressRefused('private_address', host)
  return addresses
}
