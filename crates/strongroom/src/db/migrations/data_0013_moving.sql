-- Whether this database is one that was begun to be filled, or was left, by a move to another place; empty
-- where it is neither. The checkpoint is that of the log when the move began.
CREATE TABLE moving (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  state {text} NOT NULL CHECK (state IN ('arriving', 'whole', 'away')),
  checkpoint {text} NOT NULL
);
