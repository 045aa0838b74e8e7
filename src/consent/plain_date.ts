const months =
  'January February March April May June July August September October November December'.split(' ')

/** `22 February 2027`, of an RFC 3339 UTC time: the same on every machine, whatever its locale data. */
export function plainDate(at: string): string {
  const date = new Date(at)
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]} ${date.getUTCFullYear()}`
}
