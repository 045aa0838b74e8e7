-- What migrations/ add up to: written by `npm run schema`, compared by CI.

CREATE OR REPLACE FUNCTION public.audit_first_at(bank text, since timestamp with time zone, size bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  low bigint := 0;
  high bigint := size;
  middle bigint;
  found_at timestamptz;
begin
  while low < high loop
    middle := (low + high) / 2;
    select e.at into found_at from audit_entries e where e.bank_id = bank and e.n = middle;
    if found_at is null then
      return null;
    elsif found_at < since then
      low := middle + 1;
    else
      high := middle;
    end if;
  end loop;
  return low;
end
$function$;
-- access: {=X/countersign_owner,countersign_owner=X/countersign_owner,countersign_service=X/countersign_owner}

CREATE OR REPLACE FUNCTION public.must_be_one(hits bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if hits <> 1 then
    raise exception 'the head has moved' using errcode = 'CS002';
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION public.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception '% is insert-only', tg_table_name using errcode = 'CS001';
end
$function$;

create table approvals (
  bank_id text not null,
  recipient text not null,
  class text not null,
  purposes text[] not null,
  clusters text[] not null,
  keys text[] not null,
  suspended_at timestamp with time zone,
  iat bigint not null,
  constraint approvals_pkey PRIMARY KEY (bank_id, recipient)
);
alter table approvals enable row level security;
create policy by_bank on approvals as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on approvals to countersign_service;

create table audit_entries (
  bank_id text not null,
  n bigint not null,
  at timestamp with time zone not null,
  facet integer not null,
  consent_id text,
  constraint audit_entries_pkey PRIMARY KEY (bank_id, n),
  constraint audit_entries_n_check CHECK ((n >= 0))
);
CREATE INDEX audit_entries_by_consent ON public.audit_entries USING btree (bank_id, consent_id, n) INCLUDE (facet) WHERE (consent_id IS NOT NULL);
CREATE INDEX audit_entries_by_facet ON public.audit_entries USING btree (bank_id, facet, n);
alter table audit_entries enable row level security;
create policy by_bank on audit_entries as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select on audit_entries to countersign_service;

create table audit_facets (
  bank_id text not null,
  id integer generated as identity (d) not null,
  facet text not null,
  kind text not null,
  code text not null,
  recipient text,
  class text,
  purpose text,
  clusters text[] not null,
  reason text,
  actor text,
  constraint audit_facets_pkey PRIMARY KEY (bank_id, id),
  constraint audit_facets_bank_id_facet_key UNIQUE (bank_id, facet)
);
alter table audit_facets enable row level security;
create policy by_bank on audit_facets as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select on audit_facets to countersign_service;

create table audit_grants (
  bank_id text not null,
  id text not null,
  kind text not null,
  auditor text not null,
  starts_at timestamp with time zone not null,
  ends_at timestamp with time zone not null,
  granted_by text not null,
  granted_at timestamp with time zone default clock_timestamp() not null,
  revoked_at timestamp with time zone,
  constraint audit_grants_pkey PRIMARY KEY (bank_id, id),
  constraint audit_grants_auditor_check CHECK (((length(auditor) >= 1) AND (length(auditor) <= 128))),
  constraint audit_grants_granted_by_check CHECK (((length(granted_by) >= 1) AND (length(granted_by) <= 200))),
  constraint audit_grants_id_check CHECK ((length(id) = 22)),
  constraint audit_grants_kind_check CHECK ((kind = ANY (ARRAY['client'::text, 'staff'::text]))),
  constraint time_boxed CHECK (((ends_at > starts_at) AND (ends_at <= (starts_at + '400 days'::interval))))
);
CREATE INDEX audit_grants_by_auditor ON public.audit_grants USING btree (bank_id, kind, auditor, ends_at);
alter table audit_grants enable row level security;
create policy by_bank on audit_grants as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on audit_grants to countersign_service;
grant update (revoked_at) on audit_grants to countersign_service;

create table audit_hours (
  bank_id text not null,
  hour timestamp with time zone not null,
  direction text not null,
  class text not null,
  purpose text not null,
  recipient text not null,
  reason text not null,
  count bigint not null,
  constraint audit_hours_pkey PRIMARY KEY (bank_id, hour, direction, class, purpose, recipient, reason),
  constraint audit_hours_count_check CHECK ((count > 0)),
  constraint audit_hours_direction_check CHECK ((direction = ANY (ARRAY['release'::text, 'refusal'::text])))
) with (fillfactor=70);
alter table audit_hours enable row level security;
create policy by_bank on audit_hours as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on audit_hours to countersign_service;

create table audit_interactions (
  bank_id text not null,
  interaction uuid not null,
  n bigint not null,
  constraint audit_interactions_pkey PRIMARY KEY (bank_id, interaction, n)
);
alter table audit_interactions enable row level security;
create policy by_bank on audit_interactions as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select on audit_interactions to countersign_service;

create table audit_progress (
  bank_id text not null,
  size bigint default 0 not null,
  at timestamp with time zone default '-infinity'::timestamp with time zone not null,
  moved_at timestamp with time zone default clock_timestamp() not null,
  clearing boolean default false not null,
  constraint audit_progress_pkey PRIMARY KEY (bank_id),
  constraint audit_progress_size_check CHECK ((size >= 0))
) with (fillfactor=50);
alter table audit_progress enable row level security;
create policy by_bank on audit_progress as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select, update on audit_progress to countersign_service;

create table audit_reads (
  bank_id text not null,
  id text not null,
  n bigint,
  actor text not null,
  what text not null,
  asked text not null,
  salt text not null,
  size bigint not null,
  tree bigint,
  at timestamp with time zone not null,
  entries bigint,
  bytes bigint,
  sha256 text,
  token text,
  constraint audit_reads_pkey PRIMARY KEY (bank_id, id),
  constraint audit_reads_id_check CHECK ((length(id) = 22))
);
CREATE UNIQUE INDEX audit_reads_by_token ON public.audit_reads USING btree (bank_id, token) WHERE (token IS NOT NULL);
alter table audit_reads enable row level security;
create policy by_bank on audit_reads as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on audit_reads to countersign_service;
grant update (bytes) on audit_reads to countersign_service;
grant update (entries) on audit_reads to countersign_service;
grant update (sha256) on audit_reads to countersign_service;

create table authorization_codes (
  bank_id text not null,
  code_hash bytea not null,
  client_id text not null,
  consent_id text not null,
  redirect_uri text not null,
  code_challenge text not null,
  dpop_jkt text,
  expires_at timestamp with time zone not null,
  redeemed_at timestamp with time zone,
  jti text,
  constraint authorization_codes_pkey PRIMARY KEY (bank_id, code_hash),
  constraint authorization_codes_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients(id)
);
CREATE INDEX authorization_codes_by_consent ON public.authorization_codes USING btree (bank_id, consent_id) WHERE (redeemed_at IS NULL);
alter table authorization_codes enable row level security;
create policy by_bank on authorization_codes as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on authorization_codes to countersign_service;

create table authorization_events (
  bank_id text not null,
  consent_id text not null,
  at timestamp with time zone default now() not null,
  event text not null,
  interaction_id uuid,
  by text,
  constraint authorization_events_pkey PRIMARY KEY (bank_id, consent_id, at, event),
  constraint authorization_events_bank_id_consent_id_fkey FOREIGN KEY (bank_id, consent_id) REFERENCES consents(bank_id, id) ON DELETE CASCADE,
  constraint authorization_events_by_check CHECK ((by = ANY (ARRAY['customer'::text, 'recipient'::text, 'bank'::text, 'operator'::text]))),
  constraint authorization_events_event_check CHECK ((event = ANY (ARRAY['requested'::text, 'arrived'::text, 'bank_login_begun'::text, 'bank_login_returned'::text, 'bank_login_failed'::text, 'accounts_picked'::text, 'approved'::text, 'declined'::text, 'cancelled'::text, 'refused'::text, 'withdrawn'::text, 'code_redeemed'::text]))),
  constraint withdrawn_by_someone CHECK (((event = 'withdrawn'::text) = (by IS NOT NULL)))
);
CREATE INDEX authorization_events_by_interaction ON public.authorization_events USING btree (bank_id, interaction_id) WHERE (interaction_id IS NOT NULL);
alter table authorization_events enable row level security;
create policy by_bank on authorization_events as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on authorization_events to countersign_service;

create table backups (
  place text not null,
  name text not null,
  at timestamp with time zone default clock_timestamp() not null,
  constraint backups_pkey PRIMARY KEY (place, name)
);
grant insert, select on backups to countersign_service;

create table bank_tokens (
  bank_id text not null,
  id text not null,
  link_id text not null,
  sealed bytea not null,
  expires_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  constraint bank_tokens_pkey PRIMARY KEY (bank_id, id)
);
CREATE INDEX bank_tokens_by_link ON public.bank_tokens USING btree (bank_id, link_id);
alter table bank_tokens enable row level security;
create policy by_bank on bank_tokens as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on bank_tokens to countersign_service;

create table checkpoints (
  bank_id text not null,
  size bigint not null,
  note text not null,
  kept_at timestamp with time zone default clock_timestamp() not null,
  constraint checkpoints_pkey PRIMARY KEY (bank_id, size)
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.checkpoints FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table checkpoints enable row level security;
create policy by_bank on checkpoints as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on checkpoints to countersign_service;

create table clients (
  id text not null,
  kind text not null,
  bank_id text,
  legal_name text not null,
  lei text not null,
  website text not null,
  contacts text[] not null,
  class text,
  jwks jsonb,
  redirect_uris text[] default '{}'::text[] not null,
  scopes text[] default '{}'::text[] not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  disabled_at timestamp with time zone,
  authentication text default 'private_key_jwt'::text not null,
  binding text default 'dpop'::text not null,
  signed_requests boolean default false not null,
  jwks_uri text,
  certificate_subject jsonb,
  constraint clients_pkey PRIMARY KEY (id),
  constraint a_banks_clients_have_a_bank CHECK (((kind = ANY (ARRAY['bank'::text, 'auditor'::text])) = (bank_id IS NOT NULL))),
  constraint a_ca_names_the_subject CHECK (((authentication = 'tls_client_auth'::text) = (certificate_subject IS NOT NULL))),
  constraint clients_authentication_check CHECK ((authentication = ANY (ARRAY['private_key_jwt'::text, 'tls_client_auth'::text, 'self_signed_tls_client_auth'::text]))),
  constraint clients_binding_check CHECK ((binding = ANY (ARRAY['dpop'::text, 'mtls'::text]))),
  constraint clients_class_check CHECK ((class = ANY (ARRAY['data_subject'::text, 'messaging_platform'::text, 'advertising'::text, 'third_party'::text]))),
  constraint clients_id_check CHECK ((id ~ '^[A-Za-z0-9._:~-]{1,128}$'::text)),
  constraint clients_jwks_uri_check CHECK ((jwks_uri ~ '^https?://'::text)),
  constraint clients_kind_check CHECK ((kind = ANY (ARRAY['recipient'::text, 'bank'::text, 'auditor'::text, 'operator'::text, 'resource_server'::text]))),
  constraint clients_lei_check CHECK ((lei ~ '^[A-Z0-9]{20}$'::text)),
  constraint keys_have_one_place CHECK (((jwks IS NULL) OR (jwks_uri IS NULL))),
  constraint recipients_have_a_class CHECK (((kind = 'recipient'::text) = (class IS NOT NULL)))
);
grant insert, select, update on clients to countersign_service;

create table consent_tails (
  bank_id text not null,
  consent_id text not null,
  n bigint not null,
  constraint consent_tails_pkey PRIMARY KEY (bank_id, consent_id)
) with (fillfactor=50);
alter table consent_tails enable row level security;
create policy by_bank on consent_tails as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on consent_tails to countersign_service;

create table consents (
  bank_id text not null,
  id text not null,
  recipient text not null,
  state text not null,
  requested jsonb not null,
  terms jsonb,
  link_id text,
  bank_token_id text,
  accounts_sealed bytea,
  evidence_sealed bytea,
  created_at timestamp with time zone default clock_timestamp() not null,
  granted_at timestamp with time zone,
  expires_at timestamp with time zone,
  redeemed_at timestamp with time zone,
  ended_at timestamp with time zone,
  ended_by text,
  ended_cause text,
  revocation_reason text,
  updated_by text,
  erased_at timestamp with time zone,
  constraint consents_pkey PRIMARY KEY (bank_id, id),
  constraint consents_ended_by_check CHECK ((ended_by = ANY (ARRAY['customer'::text, 'recipient'::text, 'bank'::text, 'operator'::text]))),
  constraint consents_ended_cause_check CHECK ((ended_cause = ANY (ARRAY['term'::text, 'unredeemed'::text]))),
  constraint consents_revocation_reason_check CHECK ((revocation_reason = ANY (ARRAY['USER_ACTION'::text, 'BUSINESS_RULE'::text]))),
  constraint consents_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'active'::text, 'declined'::text, 'revoked'::text, 'expired'::text]))),
  constraint consents_updated_by_check CHECK ((updated_by = ANY (ARRAY['client'::text, 'authorization_server'::text]))),
  constraint ended_matches_state CHECK ((((state = 'revoked'::text) = ((ended_by IS NOT NULL) AND (ended_at IS NOT NULL) AND (revocation_reason IS NOT NULL))) AND ((state = 'expired'::text) = ((ended_cause IS NOT NULL) AND (ended_at IS NOT NULL))))),
  constraint granted_has_terms CHECK (((state = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])) = ((terms IS NOT NULL) AND (granted_at IS NOT NULL) AND (expires_at IS NOT NULL) AND (link_id IS NOT NULL))))
);
CREATE INDEX consents_by_age ON public.consents USING btree (bank_id, state, created_at);
CREATE INDEX consents_by_link ON public.consents USING btree (bank_id, link_id) WHERE (link_id IS NOT NULL);
CREATE INDEX consents_by_recipient ON public.consents USING btree (bank_id, recipient, state, created_at);
CREATE INDEX consents_requested ON public.consents USING btree (bank_id, created_at) WHERE (state = 'requested'::text);
CREATE INDEX consents_to_expire ON public.consents USING btree (bank_id, expires_at) WHERE (state = 'active'::text);
CREATE INDEX consents_unredeemed ON public.consents USING btree (bank_id, granted_at) WHERE ((state = 'active'::text) AND (redeemed_at IS NULL));
CREATE UNIQUE INDEX one_active_consent ON public.consents USING btree (bank_id, link_id, recipient, ((terms ->> 'purpose'::text)), ((terms ->> 'delivery'::text))) WHERE (state = 'active'::text);
alter table consents enable row level security;
create policy by_bank on consents as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on consents to countersign_service;

create table cosignatures (
  bank_id text not null,
  id bigint generated as identity (d) not null,
  size bigint not null,
  vkey text not null,
  cosigned_at timestamp with time zone not null,
  line text not null,
  stored_at timestamp with time zone default clock_timestamp() not null,
  constraint cosignatures_pkey PRIMARY KEY (bank_id, id),
  constraint cosignatures_bank_id_size_fkey FOREIGN KEY (bank_id, size) REFERENCES checkpoints(bank_id, size),
  constraint cosignatures_line_check CHECK ((length(line) <= 1024))
);
CREATE INDEX cosignatures_by_size ON public.cosignatures USING btree (bank_id, size, vkey, id);
CREATE INDEX cosignatures_by_witness ON public.cosignatures USING btree (bank_id, vkey, id);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.cosignatures FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.cosignatures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table cosignatures enable row level security;
create policy by_bank on cosignatures as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on cosignatures to countersign_service;

create table deliveries (
  bank_id text not null,
  pointer_hash bytea not null,
  consent_id text not null,
  client_id text not null,
  clusters text[] not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  expires_at timestamp with time zone not null,
  constraint deliveries_pkey PRIMARY KEY (bank_id, pointer_hash)
);
CREATE INDEX deliveries_by_consent ON public.deliveries USING btree (bank_id, consent_id);
alter table deliveries enable row level security;
create policy by_bank on deliveries as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on deliveries to countersign_service;

create table devices (
  bank_id text not null,
  cookie_hash bytea not null,
  login_index bytea not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  expires_at timestamp with time zone not null,
  constraint devices_pkey PRIMARY KEY (bank_id, cookie_hash)
);
CREATE INDEX devices_by_login ON public.devices USING btree (bank_id, login_index);
alter table devices enable row level security;
create policy by_bank on devices as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on devices to countersign_service;

create table draft_ids (
  bank_id text not null,
  draft_id text not null,
  n bigint not null,
  constraint draft_ids_pkey PRIMARY KEY (bank_id, draft_id),
  constraint draft_ids_draft_id_check CHECK ((length(draft_id) = 22))
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.draft_ids FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.draft_ids FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table draft_ids enable row level security;
create policy by_bank on draft_ids as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on draft_ids to countersign_service;

create table entries (
  bank_id text not null,
  n bigint not null,
  kind text not null,
  at timestamp with time zone not null,
  consent_id text,
  leaf bytea not null,
  constraint entries_pkey PRIMARY KEY (bank_id, n),
  constraint entries_leaf_check CHECK (((length(leaf) >= 1) AND (length(leaf) <= 4096))),
  constraint entries_n_check CHECK ((n >= 0))
) partition by RANGE (n);
create table entries_00 partition of entries FOR VALUES FROM ('0') TO ('4194304');
create table entries_01 partition of entries FOR VALUES FROM ('4194304') TO ('8388608');
create table entries_02 partition of entries FOR VALUES FROM ('8388608') TO ('12582912');
create table entries_03 partition of entries FOR VALUES FROM ('12582912') TO ('16777216');
create table entries_rest partition of entries FOR VALUES FROM ('16777216') TO (MAXVALUE);
CREATE INDEX entries_approvals ON ONLY public.entries USING btree (bank_id, n) WHERE (kind = ANY (ARRAY['recipient.approve'::text, 'recipient.suspend'::text]));
CREATE INDEX entries_by_consent ON ONLY public.entries USING btree (bank_id, consent_id, kind, n) WHERE (consent_id IS NOT NULL);
CREATE INDEX entries_epochs ON ONLY public.entries USING btree (bank_id, n) WHERE (kind = 'epoch'::text);
CREATE INDEX entries_of_statements ON ONLY public.entries USING btree (bank_id, kind, n) WHERE (kind = ANY (ARRAY['statement'::text, 'reconcile'::text, 'erasure'::text]));
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table entries enable row level security;
create policy by_bank on entries as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on entries to countersign_service;

create table exports (
  bank_id text not null,
  place text not null,
  size bigint not null,
  edge bytea not null,
  at timestamp with time zone default clock_timestamp() not null,
  constraint exports_pkey PRIMARY KEY (bank_id, place, size),
  constraint exports_edge_check CHECK (((length(edge) % 32) = 0)),
  constraint exports_size_check CHECK ((size > 0))
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.exports FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.exports FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table exports enable row level security;
create policy by_bank on exports as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on exports to countersign_service;

create table fetches (
  bank_id text not null,
  id text not null,
  consent_id text not null,
  interaction text not null,
  at timestamp with time zone default clock_timestamp() not null,
  outcome text,
  constraint fetches_pkey PRIMARY KEY (bank_id, id)
);
CREATE INDEX fetches_by_interaction ON public.fetches USING btree (bank_id, interaction);
alter table fetches enable row level security;
create policy by_bank on fetches as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on fetches to countersign_service;

create table leaf_hashes (
  bank_id text not null,
  n bigint not null,
  hash bytea not null,
  total smallint,
  raised_by bigint,
  constraint leaf_hashes_pkey PRIMARY KEY (bank_id, n),
  constraint leaf_hashes_check CHECK (((total IS NULL) = (raised_by IS NULL))),
  constraint leaf_hashes_hash_check CHECK ((length(hash) = 32))
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.leaf_hashes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.leaf_hashes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table leaf_hashes enable row level security;
create policy by_bank on leaf_hashes as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on leaf_hashes to countersign_service;

create table ledger_heads (
  bank_id text not null,
  size bigint not null,
  edge bytea not null,
  totals jsonb not null,
  at timestamp with time zone not null,
  origin text not null,
  vkey text not null,
  sum_names text[] not null,
  sum_edge bytea not null,
  closed boolean default false not null,
  constraint ledger_heads_pkey PRIMARY KEY (bank_id),
  constraint ledger_heads_check CHECK (((length(sum_edge) % ((8 * cardinality(sum_names)) + 32)) = 0)),
  constraint ledger_heads_edge_check CHECK (((length(edge) % 32) = 0)),
  constraint ledger_heads_size_check CHECK ((size > 0)),
  constraint ledger_heads_sum_names_check CHECK (((cardinality(sum_names) >= 1) AND (cardinality(sum_names) <= 64)))
) with (fillfactor=50);
alter table ledger_heads enable row level security;
create policy by_bank on ledger_heads as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select, update on ledger_heads to countersign_service;

create table ledger_keys (
  bank_id text not null,
  owner text not null,
  key text not null,
  use text not null,
  constraint ledger_keys_pkey PRIMARY KEY (bank_id, owner, key),
  constraint ledger_keys_owner_check CHECK ((owner = ANY (ARRAY['ledger'::text, 'tokens'::text]))),
  constraint ledger_keys_use_check CHECK ((use = ANY (ARRAY['next'::text, 'active'::text, 'retired'::text])))
);
alter table ledger_keys enable row level security;
create policy by_bank on ledger_keys as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select, update on ledger_keys to countersign_service;

create table ledger_locks (
  bank_id text not null,
  constraint ledger_locks_pkey PRIMARY KEY (bank_id),
  constraint ledger_locks_bank_id_check CHECK ((bank_id ~ '^[a-z0-9-]{1,40}$'::text))
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.ledger_locks FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.ledger_locks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table ledger_locks enable row level security;
create policy by_bank on ledger_locks as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select, update on ledger_locks to countersign_service;

create table ledger_signed (
  bank_id text not null,
  size bigint not null,
  edge bytea not null,
  note text not null,
  signed_at timestamp with time zone not null,
  constraint ledger_signed_pkey PRIMARY KEY (bank_id),
  constraint ledger_signed_edge_check CHECK (((length(edge) % 32) = 0)),
  constraint ledger_signed_size_check CHECK ((size > 0))
) with (fillfactor=50);
alter table ledger_signed enable row level security;
create policy by_bank on ledger_signed as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select, update on ledger_signed to countersign_service;

create table link_keys (
  bank_id text not null,
  link_id text not null,
  sealed bytea not null,
  constraint link_keys_pkey PRIMARY KEY (bank_id, link_id)
);
alter table link_keys enable row level security;
create policy by_bank on link_keys as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on link_keys to countersign_service;

create table links (
  bank_id text not null,
  id text not null,
  profile_index bytea not null,
  login_index bytea not null,
  recipient_sub text not null,
  bank_sub text not null,
  sealed bytea not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  constraint links_pkey PRIMARY KEY (bank_id, id),
  constraint links_bank_id_profile_index_login_index_key UNIQUE (bank_id, profile_index, login_index)
);
CREATE INDEX links_by_login ON public.links USING btree (bank_id, login_index);
CREATE INDEX links_by_recipient_sub ON public.links USING btree (bank_id, recipient_sub);
alter table links enable row level security;
create policy by_bank on links as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on links to countersign_service;

create table migrations (
  id integer default nextval('migrations_id_seq'::regclass) not null,
  name character varying(255),
  batch integer,
  migration_time timestamp with time zone,
  constraint migrations_pkey PRIMARY KEY (id)
);
grant select (name) on migrations to countersign_service;

create table migrations_lock (
  index integer default nextval('migrations_lock_index_seq'::regclass) not null,
  is_locked integer,
  constraint migrations_lock_pkey PRIMARY KEY (index)
);

create table outbox (
  bank_id text not null,
  id text not null,
  task text not null,
  about text not null,
  due_at timestamp with time zone default clock_timestamp() not null,
  attempts integer default 0 not null,
  done_at timestamp with time zone,
  constraint outbox_pkey PRIMARY KEY (bank_id, id),
  constraint outbox_task_check CHECK ((task = ANY (ARRAY['bank_token.revoke'::text, 'link.remove'::text])))
);
CREATE INDEX outbox_due ON public.outbox USING btree (bank_id, due_at) WHERE (done_at IS NULL);
alter table outbox enable row level security;
create policy by_bank on outbox as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on outbox to countersign_service;

create table pushed_requests (
  bank_id text not null,
  handle_hash bytea not null,
  client_id text not null,
  consent_id text not null,
  redirect_uri text not null,
  state text,
  scope text not null,
  code_challenge text not null,
  dpop_jkt text,
  profile_sealed bytea not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  expires_at timestamp with time zone not null,
  response_mode text default 'query'::text not null,
  replaces text,
  constraint pushed_requests_pkey PRIMARY KEY (bank_id, handle_hash),
  constraint pushed_requests_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients(id),
  constraint pushed_requests_response_mode_check CHECK ((response_mode = ANY (ARRAY['query'::text, 'jwt'::text])))
);
alter table pushed_requests enable row level security;
create policy by_bank on pushed_requests as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on pushed_requests to countersign_service;

create table rate_limits (
  key text not null,
  points integer not null,
  expire bigint not null,
  constraint rate_limits_pkey PRIMARY KEY (key)
) with (fillfactor=50);
grant delete, insert, select, update on rate_limits to countersign_service;

create table recipient_pages (
  page_id text not null,
  client_id text not null,
  constraint recipient_pages_pkey PRIMARY KEY (page_id),
  constraint recipient_pages_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients(id),
  constraint recipient_pages_page_id_check CHECK ((page_id ~ '^[A-Za-z0-9._:-]{1,64}$'::text))
);
grant insert, select on recipient_pages to countersign_service;

create table refresh_tokens (
  bank_id text not null,
  token_hash bytea not null,
  client_id text not null,
  consent_id text not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  ended_at timestamp with time zone,
  constraint refresh_tokens_pkey PRIMARY KEY (bank_id, token_hash),
  constraint refresh_tokens_client_id_fkey FOREIGN KEY (client_id) REFERENCES clients(id)
);
CREATE INDEX refresh_tokens_by_consent ON public.refresh_tokens USING btree (bank_id, consent_id);
alter table refresh_tokens enable row level security;
create policy by_bank on refresh_tokens as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on refresh_tokens to countersign_service;

create table refusal_tallies (
  bank_id text not null,
  client_id text not null,
  consent_id text default ''::text not null,
  reason text not null,
  minute timestamp with time zone not null,
  class text not null,
  pending bigint not null,
  constraint refusal_tallies_pkey PRIMARY KEY (bank_id, client_id, consent_id, reason, minute),
  constraint refusal_tallies_pending_check CHECK ((pending >= 0))
) with (fillfactor=50);
alter table refusal_tallies enable row level security;
create policy by_bank on refusal_tallies as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on refusal_tallies to countersign_service;

create table replays (
  hash bytea not null,
  expires_at timestamp with time zone not null,
  constraint replays_pkey PRIMARY KEY (hash)
);
CREATE INDEX replays_by_expiry ON public.replays USING btree (expires_at);
grant delete, insert, select, update on replays to countersign_service;

create table restores (
  bank_id text not null,
  phase text not null,
  size bigint not null,
  note text not null,
  at timestamp with time zone default clock_timestamp() not null,
  constraint restores_pkey PRIMARY KEY (bank_id, phase, size),
  constraint restores_phase_check CHECK ((phase = ANY (ARRAY['begun'::text, 'rebuilt'::text, 'finished'::text]))),
  constraint restores_size_check CHECK ((size > 0))
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.restores FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.restores FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table restores enable row level security;
create policy by_bank on restores as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on restores to countersign_service;

create table revoked_client_tokens (
  jti text not null,
  expires_at timestamp with time zone not null,
  constraint revoked_client_tokens_pkey PRIMARY KEY (jti)
);
CREATE INDEX revoked_client_tokens_by_expiry ON public.revoked_client_tokens USING btree (expires_at);
grant delete, insert, select on revoked_client_tokens to countersign_service;

create table revoked_tokens (
  bank_id text not null,
  jti text not null,
  expires_at timestamp with time zone not null,
  constraint revoked_tokens_pkey PRIMARY KEY (bank_id, jti)
);
alter table revoked_tokens enable row level security;
create policy by_bank on revoked_tokens as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on revoked_tokens to countersign_service;

create table sessions (
  cookie_hash bytea not null,
  sealed bytea not null,
  expires_at timestamp with time zone not null,
  constraint sessions_pkey PRIMARY KEY (cookie_hash)
);
CREATE INDEX sessions_by_expiry ON public.sessions USING btree (expires_at);
grant delete, insert, select, update on sessions to countersign_service;

create table signing_stops (
  bank_id text not null,
  id bigint generated as identity (d) not null,
  at timestamp with time zone default clock_timestamp() not null,
  why text,
  constraint signing_stops_pkey PRIMARY KEY (bank_id, id)
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.signing_stops FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.signing_stops FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table signing_stops enable row level security;
create policy by_bank on signing_stops as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on signing_stops to countersign_service;

create table staff (
  bank_id text not null,
  id text not null,
  login_index bytea not null,
  sealed bytea not null,
  first_login_at timestamp with time zone not null,
  last_login_at timestamp with time zone not null,
  constraint staff_pkey PRIMARY KEY (bank_id, id),
  constraint staff_bank_id_login_index_key UNIQUE (bank_id, login_index),
  constraint staff_login_index_check CHECK ((length(login_index) = 32))
);
alter table staff enable row level security;
create policy by_bank on staff as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on staff to countersign_service;

create table statement_lists (
  bank_id text not null,
  root bytea not null,
  interactions bytea not null,
  received_at timestamp with time zone default clock_timestamp() not null,
  constraint statement_lists_pkey PRIMARY KEY (bank_id, root),
  constraint statement_lists_interactions_check CHECK (((length(interactions) % 16) = 0)),
  constraint statement_lists_root_check CHECK ((length(root) = 32))
);
alter table statement_lists enable row level security;
create policy by_bank on statement_lists as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on statement_lists to countersign_service;

create table statement_mismatches (
  bank_id text not null,
  statement bigint not null,
  fetch_id text not null,
  release bigint,
  constraint statement_mismatches_pkey PRIMARY KEY (bank_id, statement, fetch_id)
);
alter table statement_mismatches enable row level security;
create policy by_bank on statement_mismatches as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on statement_mismatches to countersign_service;

create table subtree_hashes (
  bank_id text not null,
  level smallint not null,
  i bigint not null,
  hash bytea not null,
  sum bytea not null,
  constraint subtree_hashes_pkey PRIMARY KEY (bank_id, level, i),
  constraint subtree_hashes_hash_check CHECK ((length(hash) = 32)),
  constraint subtree_hashes_level_check CHECK ((level > 0))
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.subtree_hashes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.subtree_hashes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table subtree_hashes enable row level security;
create policy by_bank on subtree_hashes as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on subtree_hashes to countersign_service;

create table token_keys (
  kid text not null,
  sealed bytea not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  published_at timestamp with time zone,
  active_at timestamp with time zone,
  retired_at timestamp with time zone,
  constraint token_keys_pkey PRIMARY KEY (kid),
  constraint active_before_retired CHECK (((retired_at IS NULL) OR (active_at IS NOT NULL))),
  constraint published_before_active CHECK (((active_at IS NULL) OR (published_at IS NOT NULL))),
  constraint token_keys_check CHECK ((published_at <= active_at)),
  constraint token_keys_check1 CHECK ((active_at <= retired_at)),
  constraint token_keys_kid_check CHECK ((kid ~ '^[A-Za-z0-9_-]{43}$'::text))
);
CREATE UNIQUE INDEX one_next_token_key ON public.token_keys USING btree ((true)) WHERE (active_at IS NULL);
grant insert, select, update on token_keys to countersign_service;

create table unattended_reads (
  bank_id text not null,
  consent_id text not null,
  day date not null,
  reads integer not null,
  constraint unattended_reads_pkey PRIMARY KEY (bank_id, consent_id),
  constraint unattended_reads_reads_check CHECK ((reads >= 0))
) with (fillfactor=50);
alter table unattended_reads enable row level security;
create policy by_bank on unattended_reads as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant delete, insert, select, update on unattended_reads to countersign_service;

create table witnessed (
  bank_id text not null,
  policy bytea not null,
  size bigint not null,
  witnessed_at timestamp with time zone default clock_timestamp() not null,
  constraint witnessed_pkey PRIMARY KEY (bank_id, policy, size),
  constraint witnessed_bank_id_size_fkey FOREIGN KEY (bank_id, size) REFERENCES checkpoints(bank_id, size),
  constraint witnessed_policy_check CHECK ((length(policy) = 32))
);
CREATE TRIGGER insert_only BEFORE DELETE OR UPDATE ON public.witnessed FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.witnessed FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
alter table witnessed enable row level security;
create policy by_bank on witnessed as permissive for all to public using ((bank_id = current_setting('app.bank'::text, true))) with check ((bank_id = current_setting('app.bank'::text, true)));
grant insert, select on witnessed to countersign_service;
