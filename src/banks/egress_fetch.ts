import type { CustomFetch } from 'openid-client'
import type { EgressRequest, Gateway } from './egress.ts'

/** The gateway in the shape of `fetch`, for openid-client. Takes complete bodies only. */
export function fetchThrough(gateway: Gateway): CustomFetch {
  return async (url, { method, headers, body, signal }) => {
    const answer = await gateway.request({
      method: methodOf(method),
      url,
      headers,
      body: bytesOf(body),
      signal,
    })
    const headed = new Headers()
    for (const [name, value] of Object.entries(answer.headers))
      for (const one of [value ?? []].flat()) headed.append(name, one)
    const { status } = answer
    // The standard gives these no body, and Response refuses one.
    const bare = status === 204 || status === 205 || status === 304
    return new Response(bare ? null : new Uint8Array(answer.body), { status, headers: headed })
  }
}

function methodOf(method: string): EgressRequest['method'] {
  if (method === 'GET' || method === 'POST' || method === 'PUT' || method === 'DELETE')
    return method
  throw new TypeError(`${method} requests do not leave through the gateway`)
}

function bytesOf(body: Parameters<CustomFetch>[1]['body']): EgressRequest['body'] {
  if (body === null || body === undefined) return undefined
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  if (body instanceof URLSearchParams) return body.toString()
  throw new TypeError('only a complete body leaves through the gateway')
}
