-- Those of a bank's staff who have logged in to the console. `id` is random, and all that the ledger ever says of them; the
-- rest is found by HMAC and sealed, and gone with the row.

create table staff (
  bank_id text not null,
  id text not null,
  login_index bytea not null check (length(login_index) = 32),
  sealed bytea not null,
  first_login_at timestamptz not null,
  last_login_at timestamptz not null,
  primary key (bank_id, id),
  unique (bank_id, login_index)
);

grant select, insert, update, delete on staff to countersign_service;
alter table staff enable row level security;
create policy by_bank on staff using (bank_id = current_setting('app.bank', true)) with check (bank_id = current_setting('app.bank', true));
