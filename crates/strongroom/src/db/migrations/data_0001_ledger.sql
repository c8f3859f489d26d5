-- The log: entries, the roots of full tiles, the signed head; beside it two indexes outside the
-- tree, which `ledger verify` rebuilds. Index rows are grouped in runs of 1,024 entries: keyed by
-- subject alone, every entry would dirty a random page and the log would slow as it grows.
-- SQLite keeps a table in the order of its primary key only where that is called INTEGER: under any other name the
-- key is an index of its own, and each row one page more to write.
CREATE TABLE installation (
  id BIGINT PRIMARY KEY,
  installation {bytes} NOT NULL
);
CREATE TABLE ledger_entry (
  idx {integer} PRIMARY KEY,
  leaf {bytes} NOT NULL,
  leaf_check {bytes} NOT NULL
);
CREATE TABLE ledger_tile (
  level BIGINT NOT NULL,
  idx BIGINT NOT NULL,
  hash {bytes} NOT NULL,
  PRIMARY KEY (level, idx)
) {clustered};
CREATE TABLE ledger_head (
  id BIGINT PRIMARY KEY,
  size BIGINT NOT NULL,
  time_ms BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  state_changes BIGINT NOT NULL,
  state_tag {bytes} NOT NULL,
  frontier {bytes} NOT NULL,
  checkpoint {text} NOT NULL
);
CREATE TABLE ledger_subject (
  run BIGINT NOT NULL,
  subject {bytes} NOT NULL,
  idx BIGINT NOT NULL,
  PRIMARY KEY (run, subject, idx)
) {clustered};
CREATE TABLE ledger_actor (
  run BIGINT NOT NULL,
  actor {text} NOT NULL,
  idx BIGINT NOT NULL,
  PRIMARY KEY (run, actor, idx)
) {clustered};
-- Sets of subjects, sealed; the entry carries the root of each.
CREATE TABLE ledger_set (
  idx BIGINT PRIMARY KEY,
  sealed {bytes} NOT NULL
);
