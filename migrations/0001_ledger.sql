-- One ledger a bank. Everything here but the head and the signed mark is insert-only for the service role: by grant, and by
-- trigger as a second lock. Row-level security keeps a transaction inside the bank that it named with app.bank.

do $$
begin
  if not exists (select from pg_roles where rolname = 'countersign_service') then
    create role countersign_service nologin;
  end if;
exception when duplicate_object or unique_violation then
  null; -- roles belong to the cluster; another database's migration made it just now
end
$$;

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is insert-only', tg_table_name using errcode = 'CS001';
end
$$;

-- Never updated: on an updated row newcomers overtake those who wait for its lock.
create table ledger_locks (
  bank_id text primary key check (bank_id ~ '^[a-z0-9-]{1,40}$')
);

create table ledger_heads (
  bank_id text primary key,
  size bigint not null check (size > 0),
  edge bytea not null check (length(edge) % 32 = 0),
  totals jsonb not null,
  at timestamptz not null,
  origin text not null,
  vkey text not null
) with (fillfactor = 50);

-- The newest signed checkpoint of each ledger.
create table ledger_signed (
  bank_id text primary key,
  size bigint not null check (size > 0),
  edge bytea not null check (length(edge) % 32 = 0),
  note text not null,
  signed_at timestamptz not null
) with (fillfactor = 50);

-- Notes that left the house: served, or kept hourly. One a size, for ever.
create table checkpoints (
  bank_id text not null,
  size bigint not null,
  note text not null,
  kept_at timestamptz not null default clock_timestamp(),
  primary key (bank_id, size)
);

create table entries (
  bank_id text not null,
  n bigint not null check (n >= 0),
  kind text not null,
  at timestamptz not null,
  consent_id text,
  leaf bytea not null check (length(leaf) between 1 and 4096),
  primary key (bank_id, n)
) partition by range (n);

create index entries_by_consent on entries (bank_id, consent_id, n) where consent_id is not null;

create table entries_00 partition of entries for values from (0) to (4194304);
create table entries_01 partition of entries for values from (4194304) to (8388608);
create table entries_02 partition of entries for values from (8388608) to (12582912);
create table entries_03 partition of entries for values from (12582912) to (16777216);
create table entries_rest partition of entries for values from (16777216) to (maxvalue);

create table leaf_hashes (
  bank_id text not null,
  n bigint not null,
  hash bytea not null check (length(hash) = 32),
  primary key (bank_id, n)
);

-- The root of each full subtree of 256^level leaves, level >= 1: what tiles above the lowest are cut from.
create table subtree_hashes (
  bank_id text not null,
  level smallint not null check (level > 0),
  i bigint not null,
  hash bytea not null check (length(hash) = 32),
  primary key (bank_id, level, i)
);

-- Which entry a draft became, so that a lost commit can be looked up.
create table draft_ids (
  bank_id text not null,
  draft_id text not null check (length(draft_id) = 22),
  n bigint not null,
  primary key (bank_id, draft_id)
);

do $$
declare
  t text;
begin
  foreach t in array array['checkpoints', 'entries', 'leaf_hashes', 'subtree_hashes', 'draft_ids', 'ledger_locks'] loop
    execute format('create trigger insert_only before update or delete on %I for each row execute function refuse_change()', t);
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', t);
    execute format('grant select, insert on %I to countersign_service', t);
  end loop;
  foreach t in array array['ledger_heads', 'ledger_signed'] loop
    execute format('grant select, insert, update on %I to countersign_service', t);
  end loop;
  foreach t in array array['checkpoints', 'entries', 'leaf_hashes', 'subtree_hashes', 'draft_ids', 'ledger_locks', 'ledger_heads', 'ledger_signed'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy by_bank on %I using (bank_id = current_setting(''app.bank'', true)) with check (bank_id = current_setting(''app.bank'', true))', t);
  end loop;
end
$$;

-- `select … for update` on the lock row needs the update privilege; the trigger above refuses any update.
grant update on ledger_locks to countersign_service;

-- Ends a statement, and so its transaction, unless exactly one row was hit.
create function must_be_one(hits bigint) returns void language plpgsql as $$
begin
  if hits <> 1 then
    raise exception 'the head has moved' using errcode = 'CS002';
  end if;
end
$$;

create index entries_epochs on entries (bank_id, n) where kind = 'epoch';
