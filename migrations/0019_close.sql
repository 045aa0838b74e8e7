-- A closed ledger: its last entry says so, and nothing follows.
alter table ledger_heads add column closed boolean not null default false;
