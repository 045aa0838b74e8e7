/**
 * Whether codes may ever be sent to this URI, or keys fetched from it: https, or http to the loopback interface by its address
 * (FAPI 2.0 §5.3.2.2, RFC 8252 §7.3), and no fragment (RFC 6749 §3.1.2).
 */
export function isSecureUri(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  const secure =
    protocol === 'https:' ||
    (protocol === 'http:' && (hostname === '127.0.0.1' || hostname === '[::1]'))
  return secure && username === '' && password === '' && !text.includes('#')
}
