-- Places where customers' data is, and what of whose is at each: a holding.
CREATE TABLE place (
  name {text} NOT NULL PRIMARY KEY,
  kind {text} NOT NULL,
  owner {text} NOT NULL,
  opened_ms BIGINT NOT NULL,
  closed_ms BIGINT
);
-- `whose` says what `number` is: the size of a sealed set, a ledger index, a count. The MAC covers
-- every column: a row that was altered by SQL is noticed and never passed over.
CREATE TABLE holding (
  id {bytes} NOT NULL PRIMARY KEY,
  place {text} NOT NULL,
  whose {text} NOT NULL,
  number BIGINT NOT NULL,
  sealed {bytes},
  fields {bytes} NOT NULL,
  act {text} NOT NULL,
  origin {text} NOT NULL,
  since_ms BIGINT NOT NULL,
  due_ms BIGINT,
  closed_ms BIGINT,
  evidence {text} NOT NULL,
  mac {bytes} NOT NULL
);
CREATE INDEX holding_place ON holding (place, id);
CREATE INDEX holding_due ON holding (due_ms);
-- Sends through outlets: who asked, with which words (sealed), how far it is.
CREATE TABLE send (
  id {bytes} NOT NULL PRIMARY KEY,
  outlet {text} NOT NULL,
  asked_by {bytes} NOT NULL,
  segment {text} NOT NULL,
  template {bytes} NOT NULL,
  asked_ms BIGINT NOT NULL,
  state {text} NOT NULL,
  why {text} NOT NULL,
  place BIGINT NOT NULL,
  recipients BIGINT NOT NULL,
  next_ms BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
CREATE INDEX send_state ON send (state, next_ms);
-- Whom a send goes to, by pseudonym, and what became of each.
CREATE TABLE send_recipient (
  send {bytes} NOT NULL,
  number BIGINT NOT NULL,
  subject {bytes} NOT NULL,
  state {text} NOT NULL,
  attempts BIGINT NOT NULL,
  doubts BIGINT NOT NULL,
  next_ms BIGINT NOT NULL,
  code {text} NOT NULL,
  mac {bytes} NOT NULL,
  PRIMARY KEY (send, number)
) {clustered};
CREATE INDEX send_recipient_state ON send_recipient (send, state, number);
-- Some fields of one customer for whoever holds a link, so often, so long. Of the link only a MAC is
-- kept, of the customer only the pseudonym.
CREATE TABLE share (
  id {bytes} NOT NULL PRIMARY KEY,
  token {bytes} NOT NULL UNIQUE,
  subject {bytes} NOT NULL,
  life BIGINT NOT NULL,
  fields {bytes} NOT NULL,
  purpose {text} NOT NULL,
  recipient {text} NOT NULL,
  made_by {bytes} NOT NULL,
  made_ms BIGINT NOT NULL,
  ends_ms BIGINT NOT NULL,
  views_max BIGINT NOT NULL,
  views BIGINT NOT NULL,
  revoked_ms BIGINT,
  mac {bytes} NOT NULL
);
