-- The keys that sign our tokens, sealed under the master key; and, in each bank's ledger, which keys have been entered with
-- which use: the ledger's own and those of tokens.

create table token_keys (
  kid text primary key check (kid ~ '^[A-Za-z0-9_-]{43}$'),
  sealed bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  -- Each step is taken after it was entered in every ledger.
  published_at timestamptz,
  active_at timestamptz check (published_at <= active_at),
  retired_at timestamptz check (active_at <= retired_at),
  constraint published_before_active check (active_at is null or published_at is not null),
  constraint active_before_retired check (retired_at is null or active_at is not null)
);

-- One rotation at a time, whoever begins it.
create unique index one_next_token_key on token_keys ((true)) where active_at is null;

grant select, insert, update on token_keys to countersign_service;

create table ledger_keys (
  bank_id text not null,
  owner text not null check (owner in ('ledger', 'tokens')),
  key text not null,
  use text not null check (use in ('next', 'active', 'retired')),
  primary key (bank_id, owner, key)
);

grant select, insert, update on ledger_keys to countersign_service;
alter table ledger_keys enable row level security;
create policy by_bank on ledger_keys using (bank_id = current_setting('app.bank', true)) with check (bank_id = current_setting('app.bank', true));

insert into ledger_keys (bank_id, owner, key, use) select bank_id, 'ledger', vkey, 'active' from ledger_heads;
