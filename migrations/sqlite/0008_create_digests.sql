-- What devices are compared with, and what is needed to forget what none of them asks for any more.

-- Of each scope in which a record ever stood, those of kind `all` too: how many records stand in it, and the exclusive
-- or of their leaves (see sync-protocol/README.md), as a signed number of the same bits.
CREATE TABLE scope_digest (
    scope   INTEGER NOT NULL PRIMARY KEY REFERENCES scope (id),
    records INTEGER NOT NULL,
    hash    INTEGER NOT NULL
) STRICT;

-- How often a device had to compare, and why it last did.
CREATE TABLE digest_mismatch (
    device  INTEGER NOT NULL PRIMARY KEY REFERENCES device (num),
    times   INTEGER NOT NULL,
    why     TEXT    NOT NULL,
    last_ms INTEGER NOT NULL
) STRICT;

-- The last sequence at some times: how old a sequence is.
CREATE TABLE sequence_time (
    at_ms INTEGER NOT NULL PRIMARY KEY,
    seq   INTEGER NOT NULL
) STRICT;

-- What left its scope: what the horizon passes.
CREATE INDEX scope_entry_left ON scope_entry (seq) WHERE state <> 0;
