-- Copies of a pair that a command took to another machine: when one began to go there, when all of it had
-- arrived, and when each of the two was taken back. What broke off half-way lies there too.
ALTER TABLE backup ADD COLUMN copy_begun_ms BIGINT;
ALTER TABLE backup ADD COLUMN copied_ms BIGINT;
ALTER TABLE backup ADD COLUMN data_copy_removed_ms BIGINT;
ALTER TABLE backup ADD COLUMN keys_copy_removed_ms BIGINT;
