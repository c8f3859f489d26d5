-- What a rotation puts new keys in place of, and how many customers of a pass were not settled when looked at.
ALTER TABLE rotation ADD COLUMN kind {text} NOT NULL DEFAULT 'wrapping_key';
ALTER TABLE rotation ADD COLUMN unsettled BIGINT NOT NULL DEFAULT 0;
-- The wrapping key a data key was made under: it stays when another one wraps it. 0 for keys from before this.
ALTER TABLE dek ADD COLUMN made_under BIGINT NOT NULL DEFAULT 0;
