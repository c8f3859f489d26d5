-- Keys of programs that people sit at: each call must say who asks (`Strongroom-On-Behalf-Of`). The
-- column is covered by the row's MAC where it is set, so rows from before it are as they were.
ALTER TABLE api_key ADD COLUMN people BIGINT NOT NULL DEFAULT 0;

-- How far the daily walk over all customers is: one row. A wrong place only makes it walk a part
-- twice or a day later, and the entry of each day says how many it saw, so the row has no MAC.
CREATE TABLE walk (
  id BIGINT PRIMARY KEY,
  position BIGINT NOT NULL,
  day BIGINT NOT NULL,
  parts BIGINT NOT NULL
);
