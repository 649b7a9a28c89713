-- Moments are Unix seconds. Every change to clients, resources and keys has the next revision and is told in
-- signet_changes, which is both the audit trail and how issuers learn what to read again.

-- +goose Up
CREATE TABLE signet_revision (
    n BIGINT NOT NULL
);
INSERT INTO signet_revision (n) VALUES (0);

CREATE TABLE signet_changes (
    revision BIGINT NOT NULL,
    item BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL, -- client, resource, key, master_key
    object TEXT NOT NULL, -- the client's id, the resource's audience, the key's kid
    event TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (revision, item)
);
CREATE INDEX signet_changes_kind ON signet_changes (kind, revision);

CREATE TABLE signet_resources (
    audience TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL
);

CREATE TABLE signet_clients (
    id TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL
);

-- What the records of clients say of resources, so that none can be taken away while a client may ask for it.
CREATE TABLE signet_grants (
    client TEXT NOT NULL REFERENCES signet_clients (id) ON DELETE CASCADE,
    audience TEXT NOT NULL REFERENCES signet_resources (audience),
    PRIMARY KEY (client, audience)
);
CREATE INDEX signet_grants_audience ON signet_grants (audience);

CREATE TABLE signet_secret_uses (
    client TEXT NOT NULL,
    secret BYTEA NOT NULL, -- its SHA-256
    used_at BIGINT NOT NULL,
    PRIMARY KEY (client, secret)
);
CREATE INDEX signet_secret_uses_used_at ON signet_secret_uses (used_at);

CREATE TABLE signet_spent (
    id BYTEA NOT NULL PRIMARY KEY, -- SHA-256 of client and jti
    expires_at BIGINT NOT NULL
);
CREATE INDEX signet_spent_expires_at ON signet_spent (expires_at);

CREATE TABLE signet_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    alg TEXT NOT NULL,
    signs_from BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    master_key TEXT NOT NULL, -- the id of the master key that seals it
    sealed BYTEA NOT NULL,
    UNIQUE (alg, signs_from)
);

-- The id of the master key that seals all keys; no row before the first key.
CREATE TABLE signet_master_key (
    id TEXT NOT NULL PRIMARY KEY
);

-- Who may do what only one issuer does at a time.
CREATE TABLE signet_leases (
    name TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
INSERT INTO signet_leases (name, until) VALUES ('sweep', 0);
