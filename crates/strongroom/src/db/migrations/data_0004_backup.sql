-- A restore switches every key off; whoever may make keys switches each on again.
ALTER TABLE api_key ADD COLUMN disabled_ms BIGINT;
-- Backups that were made, and what became of them. They confer nothing: a row that is gone hides a
-- backup from the list, the entry in the ledger stays.
CREATE TABLE backup (
  id {text} PRIMARY KEY,
  made_ms BIGINT NOT NULL,
  folder {text} NOT NULL,
  entries BIGINT NOT NULL,
  data_rows BIGINT NOT NULL,
  data_size_bytes BIGINT NOT NULL,
  keys_rows BIGINT NOT NULL,
  keys_size_bytes BIGINT NOT NULL,
  data_removed_ms BIGINT,
  keys_removed_ms BIGINT
);
CREATE INDEX backup_made ON backup (made_ms);
-- What each rehearsed restore saw.
CREATE TABLE backup_check (
  id {text} PRIMARY KEY,
  at_ms BIGINT NOT NULL,
  backup {text} NOT NULL,
  result {text} NOT NULL,
  customers BIGINT NOT NULL,
  sampled BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  detail {text} NOT NULL
);
CREATE INDEX backup_check_at ON backup_check (at_ms);
