-- Consents, who they are between, and what must be kept about them. Tenant tables lead with bank_id.

create table consents (
  bank_id text not null,
  id text not null,
  recipient text not null,
  state text not null check (state in ('requested', 'active', 'declined', 'revoked', 'expired')),
  requested jsonb not null,
  terms jsonb,
  link_id text,
  bank_token_id text,
  -- Sealed under the link's key: the bank's account behind each handle, and what the grant's commitments commit to.
  accounts_sealed bytea,
  evidence_sealed bytea,
  created_at timestamptz not null default clock_timestamp(),
  granted_at timestamptz,
  expires_at timestamptz,
  redeemed_at timestamptz,
  ended_at timestamptz,
  ended_by text check (ended_by in ('customer', 'recipient', 'bank', 'operator')),
  ended_cause text check (ended_cause in ('term', 'unredeemed')),
  revocation_reason text check (revocation_reason in ('USER_ACTION', 'BUSINESS_RULE')),
  primary key (bank_id, id),
  constraint granted_has_terms check (
    (state in ('active', 'revoked', 'expired')) = (terms is not null and granted_at is not null and expires_at is not null and link_id is not null)
  ),
  constraint ended_matches_state check (
    (state = 'revoked') = (ended_by is not null and ended_at is not null and revocation_reason is not null)
    and (state = 'expired') = (ended_cause is not null and ended_at is not null)
  )
);

create unique index one_active_consent on consents
  (bank_id, link_id, recipient, (terms ->> 'purpose'), (terms ->> 'delivery')) where state = 'active';
create index consents_to_expire on consents (bank_id, expires_at) where state = 'active';
create index consents_unredeemed on consents (bank_id, granted_at) where state = 'active' and redeemed_at is null;
create index consents_requested on consents (bank_id, created_at) where state = 'requested';
create index consents_by_link on consents (bank_id, link_id) where link_id is not null;

-- The newest entry that names a consent: narrow, so that the update every release makes stays small and in its page.
create table consent_tails (
  bank_id text not null,
  consent_id text not null,
  n bigint not null,
  primary key (bank_id, consent_id)
) with (fillfactor = 50);

create table approvals (
  bank_id text not null,
  recipient text not null,
  class text not null,
  purposes text[] not null,
  clusters text[] not null,
  keys text[] not null,
  suspended_at timestamptz,
  -- When the bank signed it, seconds since the epoch.
  iat bigint not null,
  primary key (bank_id, recipient)
);

create table revoked_tokens (
  bank_id text not null,
  jti text not null,
  expires_at timestamptz not null,
  primary key (bank_id, jti)
);

-- Refusals seen but not yet written: `pending` of one (client, consent, reason, minute).
create table refusal_tallies (
  bank_id text not null,
  client_id text not null,
  consent_id text not null default '',
  reason text not null,
  minute timestamptz not null,
  class text not null,
  pending bigint not null check (pending >= 0),
  primary key (bank_id, client_id, consent_id, reason, minute)
) with (fillfactor = 50);

-- A link: one profile of a recipient's page and one bank login. Both are kept only as HMACs for look-up and, sealed under
-- the link's own key, in the clear for those who hold that key. Deleting the key erases the person.
create table links (
  bank_id text not null,
  id text not null,
  profile_index bytea not null,
  login_index bytea not null,
  recipient_sub text not null,
  bank_sub text not null,
  sealed bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (bank_id, id),
  unique (bank_id, profile_index, login_index)
);
create index links_by_login on links (bank_id, login_index);

-- Backed up apart from everything else, so that a restored database cannot bring an erased person back.
create table link_keys (
  bank_id text not null,
  link_id text not null,
  sealed bytea not null,
  primary key (bank_id, link_id)
);

create table bank_tokens (
  bank_id text not null,
  id text not null,
  link_id text not null,
  sealed bytea not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  primary key (bank_id, id)
);

-- A fetch from a bank, noted before it is made, so that a bank's statement of what it served can be matched.
create table fetches (
  bank_id text not null,
  id text not null,
  consent_id text not null,
  interaction text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (bank_id, id)
);

-- What must happen elsewhere because of something that happened here; done at least once.
create table outbox (
  bank_id text not null,
  id text not null,
  task text not null check (task in ('bank_token.revoke')),
  about text not null,
  due_at timestamptz not null default clock_timestamp(),
  attempts integer not null default 0,
  done_at timestamptz,
  primary key (bank_id, id)
);
create index outbox_due on outbox (bank_id, due_at) where done_at is null;

-- A pointer for the thread: never a credential. Kept by hash.
create table deliveries (
  bank_id text not null,
  pointer_hash bytea not null,
  consent_id text not null,
  client_id text not null,
  clusters text[] not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (bank_id, pointer_hash)
);

-- A browser that saw a bank login under this link; its cookie is kept by hash.
create table devices (
  bank_id text not null,
  cookie_hash bytea not null,
  login_index bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (bank_id, cookie_hash)
);
create index devices_by_login on devices (bank_id, login_index);
