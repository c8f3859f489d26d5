-- SQLite keeps a table in the order of its primary key only where that is called INTEGER: under any other name
-- the key is an index of its own, and each row is one page more to write and to read.
ALTER TABLE ledger_entry RENAME TO ledger_entry_before;
CREATE TABLE ledger_entry (
  idx {integer} PRIMARY KEY,
  leaf {bytes} NOT NULL,
  leaf_check {bytes} NOT NULL
);
INSERT INTO ledger_entry (idx, leaf, leaf_check)
SELECT idx, leaf, leaf_check FROM ledger_entry_before ORDER BY idx;
DROP TABLE ledger_entry_before;
ALTER TABLE customer RENAME TO customer_before;
CREATE TABLE customer (
  key {integer} PRIMARY KEY,
  id {bytes} NOT NULL UNIQUE,
  state {text} NOT NULL,
  version BIGINT NOT NULL,
  life BIGINT NOT NULL,
  due_day BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
INSERT INTO customer (key, id, state, version, life, due_day, mac)
SELECT key, id, state, version, life, due_day, mac FROM customer_before ORDER BY key;
DROP TABLE customer_before;
