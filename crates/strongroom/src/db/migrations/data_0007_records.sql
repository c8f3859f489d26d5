-- What belongs to a customer and has a life of its own. A shelf holds the records of one kind whose life
-- ends in one year, under one key; the core lists the shelves with a digest over the records on each, so
-- that one deleted, added, swapped or put back is noticed. The digest stands before the record, so that
-- walking a shelf does not read the records.
CREATE TABLE shelf_record (
  customer BIGINT NOT NULL,
  shelf {bytes} NOT NULL,
  id {bytes} NOT NULL,
  digest {bytes} NOT NULL,
  data {bytes} NOT NULL,
  PRIMARY KEY (customer, shelf, id)
) {clustered};
