//! The reviewed list of routes without an entry.

/// Routes that leave no entry when they succeed: none returns anything about a customer.
pub(super) const QUIET: &[(&str, &str)] = &[
    ("GET /healthz", "says that the process is up, to monitors without a key"),
    ("GET /readyz", "says that the process can serve, to monitors without a key"),
    ("GET /v1/openapi.json", "the same text for everyone, public with the source"),
    ("GET /v1/ledger/checkpoint", "a size and a root hash; an entry would change what it answers"),
    ("GET /v1/ledger/tile/{level}/{place}", "hashes, under which nobody finds an entry or a name"),
    ("GET /share/{secret}", "the same page for everyone, with a button; its pressing is an entry"),
    ("GET /v1/policy", "the rules, which hold no customer's data, for those they bind"),
    ("GET /v1/access/who", "explains the policy: roles and keys, no customer"),
    ("POST /v1/access/why", "explains the policy: one decision, no customer"),
    ("GET /v1/keys", "the keys without secrets, for whoever looks after them"),
    ("GET /v1/ledger/verify/{id}", "how far a verification is, and entries that do not fit"),
    ("GET /v1/findings", "what is missing or wrong with the installation, without customers' ids"),
];
