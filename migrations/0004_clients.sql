-- Clients that are no bank's: operators, who keep the register, and resource servers, which ask about tokens. How a client
-- authenticates and what its tokens are bound to are its registration's to say (RFC 7591 §2, RFC 8705 §2, §3, RFC 9101 §10.5).

alter table clients drop constraint clients_kind_check;
alter table clients add constraint clients_kind_check
  check (kind in ('recipient', 'bank', 'auditor', 'operator', 'resource_server'));
alter table clients drop constraint others_have_a_bank;
alter table clients add constraint a_banks_clients_have_a_bank check ((kind in ('bank', 'auditor')) = (bank_id is not null));

alter table clients
  add column authentication text not null default 'private_key_jwt'
    check (authentication in ('private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth')),
  add column binding text not null default 'dpop' check (binding in ('dpop', 'mtls')),
  add column signed_requests boolean not null default false,
  add column jwks_uri text check (jwks_uri ~ '^https?://'),
  add column certificate_subject jsonb;
alter table clients alter column jwks drop not null;
alter table clients add constraint keys_have_one_place check (jwks is null or jwks_uri is null);
alter table clients add constraint a_ca_names_the_subject
  check ((authentication = 'tls_client_auth') = (certificate_subject is not null));
