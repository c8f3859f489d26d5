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
