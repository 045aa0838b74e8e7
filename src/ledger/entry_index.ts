/** The index that a text writes, as it is written everywhere: undefined for a sign, a leading zero, or more than 15 digits. */
export const readIndex = (text: string): number | undefined =>
  /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined
