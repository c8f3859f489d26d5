-- Rotations of the wrapping key: how far one is, so that it goes on where it was stopped, and when it ended.
CREATE TABLE rotation (
  id {bytes} NOT NULL PRIMARY KEY,
  kek_version BIGINT NOT NULL,
  position BIGINT,
  passes BIGINT NOT NULL,
  rewrapped BIGINT NOT NULL,
  left_over BIGINT NOT NULL,
  begun_ms BIGINT NOT NULL,
  ended_ms BIGINT
) {clustered};
