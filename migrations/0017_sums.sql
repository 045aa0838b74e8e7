-- The sum tree of a ledger (docs/ledger-format.md, "The sum tree"): its right edge beside that of the tree, what each entry counts
-- beside its hash, and the node of each full subtree. It covers the totals of genesis, in their order, for the life of the ledger.

alter table ledger_heads
  add column sum_names text[] not null check (cardinality(sum_names) between 1 and 64),
  add column sum_edge bytea not null check (length(sum_edge) % (8 * cardinality(sum_names) + 32) = 0);

-- Which of the totals the entry raises, by its place from 0, and by how much.
alter table leaf_hashes
  add column total smallint,
  add column raised_by bigint,
  add check ((total is null) = (raised_by is null));

alter table subtree_hashes add column sum bytea not null;
