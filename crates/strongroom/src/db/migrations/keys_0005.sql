-- Counts what changed which keys there are: whoever knows the number of before reads them again.
ALTER TABLE installation ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
-- Whether this store is one that was begun to be filled, or was left, by a move to another place; empty where
-- it is neither.
CREATE TABLE moving (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  state {text} NOT NULL CHECK (state IN ('arriving', 'whole', 'away')),
  checkpoint {text} NOT NULL
);
