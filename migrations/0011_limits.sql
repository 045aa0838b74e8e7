-- Requests counted in a window, by a name and a keyed hash of who sent them: shared by all processes. It is no bank's, and not
-- logged: each request updates it, and what a crash forgets is a minute's count. The columns are rate-limiter-flexible's.

create unlogged table rate_limits (
  key text primary key,
  points integer not null,
  expire bigint not null
) with (fillfactor = 50);

grant select, insert, update, delete on rate_limits to countersign_service;

-- How often a recipient has read under a consent on a day (UTC) while the customer was not there.
create table unattended_reads (
  bank_id text not null,
  consent_id text not null,
  day date not null,
  reads integer not null check (reads >= 0),
  primary key (bank_id, consent_id)
) with (fillfactor = 50);

grant select, insert, update, delete on unattended_reads to countersign_service;
alter table unattended_reads enable row level security;
create policy by_bank on unattended_reads using (bank_id = current_setting('app.bank', true)) with check (bank_id = current_setting('app.bank', true));
