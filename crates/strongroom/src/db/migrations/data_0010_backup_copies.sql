-- When a pair began to be handed to the command that takes copies away, and when it had all of it: what
-- broke off in between lies there too, and has to be taken back like the rest.
ALTER TABLE backup ADD COLUMN copy_begun_ms BIGINT;
ALTER TABLE backup ADD COLUMN copied_ms BIGINT;
