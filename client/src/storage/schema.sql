-- One device: what it is, what the server last said, and what was done here since.

-- One row: whose device this is. The token is a secret; the file is readable by its owner only.
CREATE TABLE identity (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    server   TEXT    NOT NULL,
    -- PEM file of the certificate authorities to trust; NULL for those that browsers trust.
    ca_file  TEXT,
    device   BLOB    NOT NULL,
    token    TEXT    NOT NULL,
    user     BLOB    NOT NULL,
    email    TEXT    NOT NULL,
    tenant   BLOB    NOT NULL,
    name     TEXT    NOT NULL
) STRICT;

-- One row: the model as the user may see it, and the index plan that the search index was built by.
CREATE TABLE model (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    hash     TEXT    NOT NULL,
    json     TEXT    NOT NULL,
    plan     TEXT    NOT NULL
) STRICT;

CREATE TABLE entity (
    code INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

-- The server's state of each record: never what was done here (that is the outbox, laid over it when read).
CREATE TABLE record (
    -- Local to this file: what the search index points to.
    num        INTEGER NOT NULL PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    entity     INTEGER NOT NULL REFERENCES entity (code),
    seq        INTEGER NOT NULL,
    -- JSON array of the scopes that the user holds and the record stands in.
    scopes     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    -- 1: left the user's scopes while the outbox needs it.
    hidden     INTEGER NOT NULL CHECK (hidden IN (0, 1)),
    -- Its title, folded: lists sort by it, links are found by it.
    title      TEXT    NOT NULL,
    -- The fields as JSON.
    body       TEXT    NOT NULL
) STRICT;

CREATE INDEX record_entity_title ON record (entity, title);

-- The words of each record, folded; rowid is record.num. The text itself is in the body and is not kept twice.
CREATE VIRTUAL TABLE record_text USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = 'unicode61 remove_diacritics 2'
);
-- A chunk's words are sorted in memory and written at once, however many they are; merging segments is what takes long.
INSERT INTO record_text (record_text, rank) VALUES ('hashsize', 33554432);
INSERT INTO record_text (record_text, rank) VALUES ('automerge', 8);

-- Mutations without an outcome.
CREATE TABLE outbox (
    mutation INTEGER NOT NULL PRIMARY KEY,
    record   BLOB    NOT NULL,
    -- The mutation as it goes on the wire.
    body     TEXT    NOT NULL
) STRICT;

CREATE INDEX outbox_record ON outbox (record);

-- Mutations that have their outcome, as long as a restored server might ask for them again.
CREATE TABLE journal (
    mutation INTEGER NOT NULL PRIMARY KEY,
    -- The tenant's last sequence, and the server's time, when the outcome came.
    head     INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    -- The entry as JSON.
    body     TEXT    NOT NULL
) STRICT;

CREATE INDEX journal_at ON journal (at_ms);

-- Of each scope: how many records stand in it, and the exclusive or of their leaves as a signed number of the same bits.
CREATE TABLE scope_digest (
    scope   INTEGER NOT NULL PRIMARY KEY,
    records INTEGER NOT NULL,
    hash    INTEGER NOT NULL
) STRICT;

-- Outcomes that a person has to look at, with the mutation they answer.
CREATE TABLE attention (
    mutation INTEGER NOT NULL PRIMARY KEY,
    body     TEXT    NOT NULL
) STRICT;

-- Pages that wait for the one that completes a consistent point, in the order received.
CREATE TABLE staged_page (
    num        INTEGER NOT NULL PRIMARY KEY,
    operations TEXT    NOT NULL
) STRICT;

-- Fields that an outcome changed since the last checkpoint: an older page on its way must not undo them.
CREATE TABLE laid_field (
    record BLOB    NOT NULL,
    field  TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (record, field)
) STRICT, WITHOUT ROWID;

-- One row: how far the device has come, as JSON. In the same transaction as what it covers.
CREATE TABLE position (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    body     TEXT    NOT NULL
) STRICT;
