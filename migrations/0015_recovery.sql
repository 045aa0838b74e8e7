-- How far a ledger was exported to an archive: everything up to `size` is there, its checkpoint last. `edge` is the tree's at that
-- size, so that the next export goes on from it.
create table exports (
  bank_id text not null,
  place text not null,
  size bigint not null check (size > 0),
  edge bytea not null check (length(edge) % 32 = 0),
  at timestamptz not null default clock_timestamp(),
  primary key (bank_id, place, size)
);

create trigger insert_only before update or delete on exports for each row execute function refuse_change();
create trigger never_emptied before truncate on exports for each statement execute function refuse_change();
grant select, insert on exports to countersign_service;
alter table exports enable row level security;
create policy by_bank on exports using (bank_id = current_setting('app.bank', true)) with check (bank_id = current_setting('app.bank', true));

-- How far the rebuilding of a ledger from an archive has come: `begun`, nothing of it lives yet; `rebuilt`, the ledger has its head
-- and no entry says so; `finished`, it goes on. A broker does not start between the first and the last.
create table restores (
  bank_id text not null,
  phase text not null check (phase in ('begun', 'rebuilt', 'finished')),
  size bigint not null check (size > 0),
  note text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (bank_id, phase, size)
);

create trigger insert_only before update or delete on restores for each row execute function refuse_change();
create trigger never_emptied before truncate on restores for each statement execute function refuse_change();
grant select, insert on restores to countersign_service;
alter table restores enable row level security;
create policy by_bank on restores using (bank_id = current_setting('app.bank', true)) with check (bank_id = current_setting('app.bank', true));

-- Backups of what no ledger holds, each written whole to its place.
create table backups (
  place text not null,
  name text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (place, name)
);
grant select, insert on backups to countersign_service;
