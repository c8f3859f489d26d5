-- Customers: plain columns that say nothing about a person, MACed; everything else sealed.
CREATE TABLE customer (
  key {integer} PRIMARY KEY,
  id {bytes} NOT NULL UNIQUE,
  state {text} NOT NULL,
  version BIGINT NOT NULL,
  life BIGINT NOT NULL,
  due_day BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
CREATE TABLE sealed_record (
  customer BIGINT NOT NULL,
  compartment {bytes} NOT NULL,
  data {bytes} NOT NULL,
  PRIMARY KEY (customer, compartment)
) {clustered};
-- Keyed hashes of values and references; which of them a customer has stands sealed in the core, so
-- none of these tables needs an index by customer.
CREATE TABLE lookup_unique (
  field BIGINT NOT NULL,
  hash {bytes} NOT NULL,
  customer BIGINT NOT NULL,
  PRIMARY KEY (field, hash)
) {clustered};
CREATE TABLE lookup_exact (
  field BIGINT NOT NULL,
  hash {bytes} NOT NULL,
  customer BIGINT NOT NULL,
  PRIMARY KEY (field, hash, customer)
) {clustered};
-- The way back from a ledger pseudonym.
CREATE TABLE subject (
  hash {bytes} NOT NULL PRIMARY KEY,
  customer BIGINT NOT NULL
) {clustered};
-- One job per customer being erased; keeps random ids and times only once it is done.
CREATE TABLE erasure_job (
  id {bytes} NOT NULL PRIMARY KEY,
  state {text} NOT NULL,
  customer BIGINT NOT NULL,
  asked_ms BIGINT NOT NULL,
  due_ms BIGINT NOT NULL,
  plan {bytes} NOT NULL,
  version BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
CREATE INDEX erasure_job_due ON erasure_job (state, due_ms);
CREATE INDEX erasure_job_asked ON erasure_job (asked_ms);
-- The register of erasures: only a key named here, or by a begun job, is erased.
CREATE TABLE erasure_register (
  dek {bytes} NOT NULL PRIMARY KEY,
  destroyed_ms BIGINT NOT NULL,
  mac {bytes} NOT NULL
);
-- Imports, by the hash of their file: where to go on.
CREATE TABLE import (
  id {bytes} NOT NULL PRIMARY KEY,
  file_hash {bytes} NOT NULL,
  map_hash {bytes} NOT NULL,
  next_row BIGINT NOT NULL,
  created BIGINT NOT NULL,
  skipped BIGINT NOT NULL,
  refused BIGINT NOT NULL,
  state {text} NOT NULL,
  started_ms BIGINT NOT NULL,
  UNIQUE (file_hash, map_hash)
);
