-- What a witness keeps: whose logs it cosigns, and how far each one was.

-- Ties the file to the witness's key: one without the other must not be served.
CREATE TABLE witness (
  id BIGINT PRIMARY KEY,
  vkey {text} NOT NULL
);

-- A log may have several keys while one takes the place of another.
CREATE TABLE trusted_log (
  vkey {text} PRIMARY KEY,
  origin {text} NOT NULL,
  trusted_ms BIGINT NOT NULL
) {clustered};

CREATE INDEX trusted_log_origin ON trusted_log (origin);

-- The newest checkpoint that was cosigned of each log. It only ever grows.
CREATE TABLE cosigned (
  origin {text} PRIMARY KEY,
  size BIGINT NOT NULL,
  root {bytes} NOT NULL,
  time_s BIGINT NOT NULL,
  checkpoint {text} NOT NULL
) {clustered};
