-- How a pushed request is answered (JARM §2.3), and the grant that it replaces (Grant Management §5.1).

alter table pushed_requests
  add column response_mode text not null default 'query' check (response_mode in ('query', 'jwt')),
  add column replaces text;

-- Whose doing a consent's present terms are (Grant Management §6.3).
alter table consents add column updated_by text check (updated_by in ('client', 'authorization_server'));
update consents set updated_by = 'client' where granted_at is not null;
