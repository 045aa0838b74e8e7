/** `1,234`. */
export const figure = (n: number): string => n.toLocaleString('en-US')

/** `1 entry`, `1,234 entries`. */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${figure(n)} ${n === 1 ? one : many}`
