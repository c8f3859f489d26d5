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
-- Tokens: what stands for one value of a customer in another system. Only a keyed hash of the token stands
-- here; what it stands for is sealed under the key of the field's compartment, and dies with it. The slot
-- says, keyed by the customer's core, which field and consumer it is for: one token each.
CREATE TABLE token (
  hash {bytes} NOT NULL PRIMARY KEY,
  customer BIGINT NOT NULL,
  compartment {bytes} NOT NULL,
  slot {bytes} NOT NULL,
  data {bytes} NOT NULL
) {clustered};
CREATE UNIQUE INDEX token_slot ON token (customer, slot);
