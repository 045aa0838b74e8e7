-- What happened on the way to a consent, for whoever is asked about it; and the indexes that consents are searched by.

-- Insert-only for the service role: steps go with the consent that they belong to, and no other way.
create table authorization_events (
  bank_id text not null,
  consent_id text not null,
  at timestamptz not null default now(),
  event text not null check (event in (
    'requested', 'arrived', 'bank_login_begun', 'bank_login_returned', 'bank_login_failed', 'accounts_picked',
    'approved', 'declined', 'cancelled', 'refused', 'withdrawn', 'code_redeemed'
  )),
  -- x-fapi-interaction-id of the request; of a browser, which sends none, the one that its session was given.
  interaction_id uuid,
  by text check (by in ('customer', 'recipient', 'bank', 'operator')),
  primary key (bank_id, consent_id, at, event),
  foreign key (bank_id, consent_id) references consents on delete cascade,
  constraint withdrawn_by_someone check ((event = 'withdrawn') = (by is not null))
);
create index authorization_events_by_interaction on authorization_events (bank_id, interaction_id)
  where interaction_id is not null;

grant select, insert on authorization_events to countersign_service;
alter table authorization_events enable row level security;
create policy by_bank on authorization_events
  using (bank_id = current_setting('app.bank', true)) with check (bank_id = current_setting('app.bank', true));

-- Newest first, of each state: a search for several states merges as many short scans. Without the id, so that nothing else is
-- ever tempted to look consents up here by theirs.
create index consents_by_age on consents (bank_id, state, created_at);
create index consents_by_recipient on consents (bank_id, recipient, state, created_at);
create index links_by_recipient_sub on links (bank_id, recipient_sub);
create index fetches_by_interaction on fetches (bank_id, interaction);

-- The first and the last entry of a kind are found without reading those between.
drop index entries_by_consent;
create index entries_by_consent on entries (bank_id, consent_id, kind, n) where consent_id is not null;
