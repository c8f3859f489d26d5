-- When a newer key of the same log signed what was cosigned: from then on the older one counts no more.
ALTER TABLE trusted_log ADD COLUMN retired_ms BIGINT;
