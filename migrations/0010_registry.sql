-- What banks said of recipients, found in a ledger without reading all of it.
create index entries_approvals on entries (bank_id, n) where kind in ('recipient.approve', 'recipient.suspend');
