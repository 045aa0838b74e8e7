import { isIP, isIPv4 } from 'node:net'
import type { Request } from 'express'

/**
 * Where a request comes from: the connection's other end, or, where that is one of our proxies, the last address of
 * `X-Forwarded-For` that is none of them. What others write into that header is before it, and is not read.
 */
export function addressOf({ ip = '', socket }: Request): string {
  const address = withoutPort(ip)
  return isIP(address) === 0 ? (socket.remoteAddress ?? '') : address
}

/** Some proxies write the port along: `192.0.2.7:4711`, `[2001:db8::1]:4711`. */
export const withoutPort = (text: string): string =>
  /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text

/**
 * The network that an address is counted as: an IPv4 address is one by itself; of an IPv6 address the first 64 bits, which is what
 * one subscriber is given at least. IPv4 written as IPv6 is IPv4.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
  if (isIPv4(mapped)) return mapped
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const before = groupsOf(head)
  const after = tail === undefined ? [] : groupsOf(tail)
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
  const first = [...before, ...zeros, ...after].slice(0, 4)
  return `${first.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}

/** Groups of 16 bits; a dotted quad at the end is two, and never among the first four. */
const groupsOf = (text: string): string[] =>
  text === ''
    ? []
    : text.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]))
