-- Access tokens of clients for themselves that were revoked (RFC 7009). They open no consent, and so are no bank's.

create table revoked_client_tokens (
  jti text primary key,
  expires_at timestamptz not null
);
create index revoked_client_tokens_by_expiry on revoked_client_tokens (expires_at);

grant select, insert, delete on revoked_client_tokens to countersign_service;
