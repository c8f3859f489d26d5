-- Rows that confer or limit authority. Each carries a MAC over its columns; a keyed sum over all of
-- them stands in the ledger's head, so a row that is changed, deleted or put back gives nothing.
CREATE TABLE api_key (
  id {bytes} NOT NULL PRIMARY KEY,
  name {text} NOT NULL,
  role {text} NOT NULL,
  purposes {text} NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  revoked_ms BIGINT,
  verifier {bytes} NOT NULL,
  version BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
-- Applied policies; each carries the whole registry of numeric field ids and compartments.
CREATE TABLE policy_version (
  version BIGINT PRIMARY KEY,
  policy {text} NOT NULL,
  registry {text} NOT NULL,
  applied_ms BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
-- A policy that widens who sees, waiting for its time or for being cancelled.
CREATE TABLE policy_pending (
  id BIGINT PRIMARY KEY,
  policy {text} NOT NULL,
  due_ms BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
CREATE TABLE legal_hold (
  id {bytes} NOT NULL PRIMARY KEY,
  customer {bytes} NOT NULL,
  reason {text} NOT NULL,
  placed_ms BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
CREATE INDEX legal_hold_customer ON legal_hold (customer);
CREATE TABLE budget (
  holder {text} NOT NULL,
  kind {text} NOT NULL,
  day {text} NOT NULL,
  used BIGINT NOT NULL,
  mac {bytes} NOT NULL,
  PRIMARY KEY (holder, kind, day)
) {clustered};
-- Who has been looked at today: hashes only.
CREATE TABLE budget_seen (
  day {text} NOT NULL,
  hash {bytes} NOT NULL,
  PRIMARY KEY (day, hash)
) {clustered};
-- What is missing or wrong, raised by any check, closed only by evidence.
CREATE TABLE finding (
  id {text} PRIMARY KEY,
  kind {text} NOT NULL,
  detail {text} NOT NULL,
  customer {bytes},
  first_seen_ms BIGINT NOT NULL,
  last_seen_ms BIGINT NOT NULL,
  state {text} NOT NULL
);
CREATE INDEX finding_customer ON finding (customer);
