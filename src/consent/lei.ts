/** The form of a Legal Entity Identifier (ISO 17442): 18 letters and digits, and two check digits. */
export const lei_form = /^[A-Z0-9]{18}[0-9]{2}$/

/** Whether this is an LEI, its check digits included (ISO 7064, MOD 97-10): letters count from A = 10, and 97 leaves 1. */
export function isLei(text: string): boolean {
  if (!lei_form.test(text)) return false
  const digits = text.replace(/[A-Z]/g, (letter) => String(parseInt(letter, 36)))
  return BigInt(digits) % 97n === 1n
}
