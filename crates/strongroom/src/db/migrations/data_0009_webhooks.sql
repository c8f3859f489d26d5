-- Addresses that are told of events: the secret sealed, how far each is. One MAC covers every column,
-- so a row that was put there or altered by SQL is told nothing.
CREATE TABLE webhook (
  id {bytes} NOT NULL PRIMARY KEY,
  url {text} NOT NULL,
  kinds {text} NOT NULL,
  secret {bytes} NOT NULL,
  old_secret {bytes},
  old_ends_ms BIGINT,
  made_by {text} NOT NULL,
  made_ms BIGINT NOT NULL,
  state {text} NOT NULL,
  position BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  next_ms BIGINT NOT NULL,
  failing_ms BIGINT,
  refused_ms BIGINT,
  code {text} NOT NULL,
  passed BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
-- What happened to whom, in the order of the ledger, written by the act itself: ids and nothing else.
-- Kept for 30 days, so that a receiver can be told again, also that somebody was erased.
CREATE TABLE webhook_event (
  number BIGINT NOT NULL PRIMARY KEY,
  id {bytes} NOT NULL,
  kind {text} NOT NULL,
  customer {bytes} NOT NULL,
  merged_into {bytes},
  at_ms BIGINT NOT NULL,
  mac {bytes} NOT NULL
) {clustered};
CREATE INDEX webhook_event_customer ON webhook_event (customer);
CREATE INDEX webhook_event_at ON webhook_event (at_ms);
