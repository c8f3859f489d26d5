-- keys.db: every key wrapped; data keys know neither their customer nor their compartment, which
-- are bound into the wrapping instead.
CREATE TABLE installation (
  id BIGINT PRIMARY KEY,
  installation {bytes} NOT NULL
);
CREATE TABLE named_key (
  name {text} PRIMARY KEY,
  wrapped {bytes} NOT NULL
);
CREATE TABLE dek (
  id {bytes} NOT NULL PRIMARY KEY,
  kek_version BIGINT NOT NULL,
  state {text} NOT NULL,
  created_ms BIGINT NOT NULL,
  wrapped {bytes} NOT NULL
) {clustered};
-- The sweeper asks for old pending keys; live ones are not in this index.
CREATE INDEX dek_pending ON dek (created_ms) WHERE state = 'pending';
-- The newest checkpoint of the log: a rolled back strongroom.db is refused by it.
CREATE TABLE anchor (
  id BIGINT PRIMARY KEY,
  size BIGINT NOT NULL,
  root {bytes} NOT NULL,
  at_ms BIGINT NOT NULL
);
