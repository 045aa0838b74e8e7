import type { ClientCertificate } from './client_certificate.ts'
import type { Form } from './form.ts'

/** A POST to an endpoint at which clients authenticate. */
export interface EndpointRequest {
  readonly form: Form
  /** The `DPoP` header. */
  readonly proof: string | undefined
  readonly url: string
  /** `x-fapi-interaction-id`: the one that was sent, or was given to the request; a UUID. */
  readonly interaction: string
  /** Told which client it is, once that is certain and before anything is done for it. What it throws is answered. */
  readonly admitted: (client: string) => Promise<void>
  /** The client certificate that TLS has shown, valid now. */
  readonly certificate: ClientCertificate | undefined
  /** The `Authorization` header. No client of ours authenticates by it. */
  readonly authorizationHeader: string | undefined
}

/** What an endpoint answers. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON, or as it is when it is text, whose type `headers` then name. */
  readonly body?: object | string
}
