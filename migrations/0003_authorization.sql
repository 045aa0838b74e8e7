-- The authorization server's rows. Clients, replays and sessions are global; what belongs to a consent is the bank's.

create table clients (
  id text primary key check (id ~ '^[A-Za-z0-9._:~-]{1,128}$'),
  kind text not null check (kind in ('recipient', 'bank', 'auditor')),
  bank_id text,
  legal_name text not null,
  lei text not null check (lei ~ '^[A-Z0-9]{20}$'),
  website text not null,
  contacts text[] not null,
  class text check (class in ('data_subject', 'messaging_platform', 'advertising', 'third_party')),
  jwks jsonb not null,
  redirect_uris text[] not null default '{}',
  scopes text[] not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  disabled_at timestamptz,
  constraint recipients_have_a_class check ((kind = 'recipient') = (class is not null)),
  constraint others_have_a_bank check ((kind = 'recipient') = (bank_id is null))
);

-- A page belongs to one recipient, which alone may ask on behalf of its profiles.
create table recipient_pages (
  page_id text primary key check (page_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
  client_id text not null references clients
);

-- Values accepted once: client assertions' and DPoP proofs' jti, by hash, until they would be refused for age.
create table replays (
  hash bytea primary key,
  expires_at timestamptz not null
);
create index replays_by_expiry on replays (expires_at);

create table sessions (
  cookie_hash bytea primary key,
  sealed bytea not null,
  expires_at timestamptz not null
);
create index sessions_by_expiry on sessions (expires_at);

create table pushed_requests (
  bank_id text not null,
  handle_hash bytea not null,
  client_id text not null references clients,
  consent_id text not null,
  redirect_uri text not null,
  state text,
  scope text not null,
  code_challenge text not null,
  dpop_jkt text,
  profile_sealed bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (bank_id, handle_hash)
);

create table authorization_codes (
  bank_id text not null,
  code_hash bytea not null,
  client_id text not null references clients,
  consent_id text not null,
  redirect_uri text not null,
  code_challenge text not null,
  dpop_jkt text,
  expires_at timestamptz not null,
  redeemed_at timestamptz,
  jti text,
  primary key (bank_id, code_hash)
);

create table refresh_tokens (
  bank_id text not null,
  token_hash bytea not null,
  client_id text not null references clients,
  consent_id text not null,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  primary key (bank_id, token_hash)
);
create index refresh_tokens_by_consent on refresh_tokens (bank_id, consent_id);

do $$
declare
  t text;
begin
  foreach t in array array[
    'consents', 'consent_tails', 'approvals', 'revoked_tokens', 'refusal_tallies', 'links', 'link_keys',
    'bank_tokens', 'fetches', 'outbox', 'deliveries', 'devices', 'pushed_requests', 'authorization_codes', 'refresh_tokens'
  ] loop
    execute format('grant select, insert, update, delete on %I to countersign_service', t);
    execute format('alter table %I enable row level security', t);
    execute format('create policy by_bank on %I using (bank_id = current_setting(''app.bank'', true)) with check (bank_id = current_setting(''app.bank'', true))', t);
  end loop;
end
$$;

grant select, insert, update on clients to countersign_service;
grant select, insert on recipient_pages to countersign_service;
grant select, insert, update, delete on replays, sessions to countersign_service;
