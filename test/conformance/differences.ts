/** Where oidc-provider, in its FAPI 2.0 configuration, says something else than ours, and why ours says what it says. */
export const differences: Readonly<
  Record<string, { readonly ours: string; readonly theirs: string; readonly why: string }>
> = {
  'metadata: response_modes_supported': {
    ours: '["jwt","query","query.jwt"]',
    theirs: '["form_post","form_post.jwt","fragment","fragment.jwt","jwt","query","query.jwt"]',
    why: 'A code goes back in the query and nowhere else; the other modes are not there to be chosen.',
  },
  'PAR: a scope too few': {
    ours: '400 invalid_scope',
    theirs: '201',
    why: 'What is asked for is said by authorization_details. A scope beside them that says less would leave open which of the two counts.',
  },
  'PAR: an unknown scope': {
    ours: '400 invalid_scope',
    theirs: '201',
    why: 'oidc-provider drops scopes that it does not know (RFC 6749 section 3.3 allows both). A recipient that asks for more than there is should hear of it.',
  },
  'PAR: response_mode fragment': {
    ours: '400 invalid_request',
    theirs: '201',
    why: 'A fragment is for implicit flows, of which there are none.',
  },
  'PAR: response_mode unknown': {
    ours: '400 invalid_request',
    theirs: '400 unsupported_response_mode',
    why: 'The error code of oidc-provider is its own; no RFC registers one for it.',
  },
  'PAR: with request_uri': {
    ours: '400 invalid_request',
    theirs: '400 request_uri_not_supported',
    why: 'RFC 9126 section 2.1 forbids the parameter here, whether or not references are supported elsewhere.',
  },
  'PAR: without authorization_details': {
    ours: '400 invalid_request',
    theirs: '201',
    why: 'Nothing can be asked for without them: there is no consent without a bank, a purpose and a profile.',
  },
  'PAR: PUT': { ours: '405 invalid_request', theirs: '404', why: 'RFC 9126 section 2.3 has 405.' },
  'PAR: GET': { ours: '405 invalid_request', theirs: '404', why: 'RFC 9126 section 2.3 has 405.' },
  'assertion: good for an hour': {
    ours: '401 invalid_client',
    theirs: '201',
    why: 'An assertion must be remembered until it ends: ours lives for five minutes at most, which keeps the replay store small.',
  },
  'assertion: iat 65 s ahead': {
    ours: '401 invalid_client',
    theirs: '201',
    why: 'FAPI 2.0 section 5.3.2.1 no. 13 has iat or nbf refused from 60 s ahead; oidc-provider holds nbf to it.',
  },
  'assertion: typ of a proof': {
    ours: '401 invalid_client',
    theirs: '201',
    why: 'RFC 8725 section 3.11: a JWT made for something else is no assertion, though the same key signed it.',
  },
  'assertion: client_id of another': {
    ours: '401 invalid_client',
    theirs: '400 invalid_request',
    why: 'The client did not authenticate as the one that it names. The conformance suite takes either.',
  },
  'proof: none': {
    ours: '400 invalid_dpop_proof',
    theirs: '400 invalid_grant',
    why: 'RFC 9449 section 5 names invalid_dpop_proof for what is wrong with a proof; that there is none is wrong with it too.',
  },
  'proof: iat an hour ahead': {
    ours: '400 invalid_dpop_proof',
    theirs: '200',
    why: "oidc-provider goes by the nonce alone where there is one. Ours holds the client's clock to a minute as well (RFC 9449 section 11.1).",
  },
  'proof: iat an hour ago': {
    ours: '400 invalid_dpop_proof',
    theirs: '200',
    why: 'As for an iat an hour ahead.',
  },
  'proof: used twice': {
    ours: '400 invalid_dpop_proof',
    theirs: '400 invalid_grant',
    why: 'RFC 9449 section 5 names invalid_dpop_proof for what is wrong with a proof.',
  },
  'client_credentials: without scope': {
    ours: '400 invalid_scope',
    theirs: '200',
    why: 'A token without a scope opens nothing here.',
  },
  'client_credentials: an unknown scope': {
    ours: '400 invalid_scope',
    theirs: '200',
    why: 'oidc-provider drops scopes that it does not know, as at PAR.',
  },
  'token: GET': {
    ours: '405 invalid_request',
    theirs: '404',
    why: 'RFC 6749 section 3.2: the method is POST. Ours says so.',
  },
  'code: a code_verifier too short': {
    ours: '400 invalid_grant',
    theirs: '400 invalid_request',
    why: 'Either is right: one is a parameter that is malformed, the other a verifier that does not match (RFC 7636 section 4.6).',
  },
  'code: without redirect_uri': {
    ours: '400 invalid_request',
    theirs: '200',
    why: 'RFC 6749 section 4.1.3 requires it when it was pushed. oidc-provider follows OAuth 2.1, where it is gone.',
  },
  'refresh: a scope too few': {
    ours: '400 invalid_scope',
    theirs: '200',
    why: "A consent is refreshed as a whole: its scope is what the customer approved. Narrowing is the customer's.",
  },
  'refresh: without a proof': {
    ours: '400 invalid_dpop_proof',
    theirs: '400 invalid_grant',
    why: 'As for a proof that is missing elsewhere.',
  },
  'authorize: without PAR': {
    ours: 'page 400',
    theirs: 'to the client: invalid_request',
    why: 'No address is redirected to that an authenticated client has not pushed: a page says what is wrong.',
  },
  'authorize: an unknown request_uri': {
    ours: 'page 400',
    theirs: 'to the client: invalid_request_uri',
    why: 'As without PAR: what was pushed is not there, and with it no address.',
  },
  'authorize: request_uri of another client': {
    ours: 'page 400',
    theirs: 'to the client: invalid_request_object',
    why: "As without PAR. The browser of one client is never told of another's request.",
  },
  'authorize: request_uri after its decision': {
    ours: 'page 400',
    theirs: 'to the client: invalid_request_uri',
    why: 'What was pushed is used up with the decision, its address included.',
  },
  'request object: typ of a proof': {
    ours: '400 invalid_request_object',
    theirs: '201',
    why: 'RFC 8725 section 3.11, as for an assertion.',
  },
  'JARM: response_mode fragment.jwt': {
    ours: '400 invalid_request',
    theirs: '201',
    why: 'As for fragment.',
  },
  'JARM: response_mode form_post.jwt': {
    ours: '400 invalid_request',
    theirs: '201',
    why: 'FAPI 2.0 needs the query only, and a page that posts by script is one more page.',
  },
}
