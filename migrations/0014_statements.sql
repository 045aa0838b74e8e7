-- What banks state that they served. The statements themselves, and what became of the requests, are entries of the ledger.

-- The ids behind a statement's root, by that root, which says which they are: each 16 bytes, ascending.
create table statement_lists (
  bank_id text not null,
  root bytea not null check (length(root) = 32),
  interactions bytea not null check (length(interactions) % 16 = 0),
  received_at timestamptz not null default clock_timestamp(),
  primary key (bank_id, root)
);
-- Random bits do not compress.
alter table statement_lists alter column interactions set storage external;

-- Where a statement and the ledger differ, for those who look for the reason: some of each kind. How many there are is in the
-- `reconcile` entry. `release` is the index of the release that names a request which no statement does.
create table statement_mismatches (
  bank_id text not null,
  statement bigint not null,
  fetch_id text not null,
  release bigint,
  primary key (bank_id, statement, fetch_id)
);

do $$
declare
  t text;
begin
  foreach t in array array['statement_lists', 'statement_mismatches'] loop
    execute format('grant select, insert, update, delete on %I to countersign_service', t);
    execute format('alter table %I enable row level security', t);
    execute format('create policy by_bank on %I using (bank_id = current_setting(''app.bank'', true)) with check (bank_id = current_setting(''app.bank'', true))', t);
  end loop;
end
$$;

-- What came of a fetch that was not released: the reason of the refusal, or `offered`, for the accounts that a customer chooses from
-- before a grant; null also where nobody came to say so.
alter table fetches add column outcome text;

create index entries_of_statements on entries (bank_id, kind, n) where kind in ('statement', 'reconcile', 'erasure');

-- When an `erasure` entry named the consent: the link behind it is gone.
alter table consents add column erased_at timestamptz;
create index bank_tokens_by_link on bank_tokens (bank_id, link_id);
create index deliveries_by_consent on deliveries (bank_id, consent_id);
