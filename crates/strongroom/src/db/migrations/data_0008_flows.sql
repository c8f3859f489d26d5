-- Calls with an `Idempotency-Key` that were done, for a day: keyed hashes, the status, an id. Named by
-- a random id at most, and kept to the end of its day also when that customer is erased meanwhile: a
-- late repetition must not make them anew.
CREATE TABLE repeat (
  key_hash {bytes} NOT NULL PRIMARY KEY,
  request_hash {bytes} NOT NULL,
  status BIGINT NOT NULL,
  resource {text} NOT NULL,
  ends_ms BIGINT NOT NULL,
  mac {bytes} NOT NULL
) {clustered};
CREATE INDEX repeat_ends ON repeat (ends_ms);
