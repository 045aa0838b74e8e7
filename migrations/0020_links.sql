-- A link on which nothing stands is removed by the outbox, once the bank has been told of its last tokens.
alter table outbox drop constraint outbox_task_check;
alter table outbox add constraint outbox_task_check check (task in ('bank_token.revoke', 'link.remove'));
