-- The log, handed over to another signing key: the entry that says so, the coming key, and the checkpoint that
-- names it, signed by both and cosigned where somebody cosigns; empty while that is waited for.
CREATE TABLE ledger_handover (
  idx BIGINT PRIMARY KEY,
  vkey {text} NOT NULL,
  note {text} NOT NULL
);
