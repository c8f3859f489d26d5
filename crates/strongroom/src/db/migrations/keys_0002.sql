-- The incarnation of the log: absent until a restore opens a new one, with a name nobody else has.
CREATE TABLE incarnation (
  id BIGINT PRIMARY KEY,
  number BIGINT NOT NULL,
  origin {text} NOT NULL
);
