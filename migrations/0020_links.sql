-- Tokens that no consent came to stand on before this was looked for. A grant that is under way has its hour, as any other.
insert into outbox (bank_id, id, task, about, due_at)
select t.bank_id, 'bank_token.revoke ' || t.id, 'bank_token.revoke', t.id, clock_timestamp() + interval '1 hour'
from bank_tokens t
where t.ended_at is null and not exists (
  select from consents c where c.bank_id = t.bank_id and c.bank_token_id = t.id and c.state = 'active')
on conflict do nothing;

-- A link on which nothing stands is removed by the outbox, once the bank has been told of its last tokens.
alter table outbox drop constraint outbox_task_check;
alter table outbox add constraint outbox_task_check check (task in ('bank_token.revoke', 'link.remove'));

-- Links that have no such tokens any more.
insert into outbox (bank_id, id, task, about)
select l.bank_id, 'link.remove ' || l.id, 'link.remove', l.id
from links l
where not exists (select from consents c where c.bank_id = l.bank_id and c.link_id = l.id)
  and not exists (select from bank_tokens t where t.bank_id = l.bank_id and t.link_id = l.id and t.ended_at is null)
on conflict do nothing;
