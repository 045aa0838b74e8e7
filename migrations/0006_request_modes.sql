-- How a pushed request is answered (JARM §2.3), and the grant that it replaces (Grant Management §5.1).

alter table pushed_requests
  add column response_mode text not null default 'query' check (response_mode in ('query', 'jwt')),
  add column replaces text;
