-- Data keys that a rotation put new ones in place of: backups made before still need them. A list of what is
-- to be destroyed, and when it was; what an erasure has to name stands sealed in the core.
CREATE TABLE retired_key (
  dek {bytes} NOT NULL PRIMARY KEY,
  customer BIGINT NOT NULL,
  id {bytes} NOT NULL,
  compartment {bytes} NOT NULL,
  retired_ms BIGINT NOT NULL,
  destroyed_ms BIGINT,
  mac {bytes} NOT NULL
) {clustered};

CREATE INDEX retired_key_customer ON retired_key (customer);
