-- Records that are to come to stand elsewhere, little by little.

-- A record that others are children of came to stand elsewhere; written in the transaction that moved it, gone when all
-- its children have followed. In the order of `num`.
CREATE TABLE move_follow (
    num      INTEGER NOT NULL PRIMARY KEY,
    parent   BLOB    NOT NULL,
    -- Its owner, team, territory and shares before and after: JSON objects of its fields.
    was      TEXT    NOT NULL,
    became   TEXT    NOT NULL,
    -- Who moved it; NULL: the operator of the machine.
    who      BLOB,
    -- Children with an id up to this one have followed; NULL: none yet.
    position BLOB
) STRICT;

-- A move that somebody asked for.
CREATE TABLE move_job (
    id        BLOB    NOT NULL PRIMARY KEY,
    -- The user; NULL: the operator of the machine.
    who       BLOB,
    entity    TEXT    NOT NULL,
    -- An expression: which records.
    condition TEXT    NOT NULL,
    -- A JSON object: where to.
    change    TEXT    NOT NULL,
    asked_ms  INTEGER NOT NULL,
    -- The last sequence when it was asked for: what was made later is not moved.
    asked_seq INTEGER NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('open', 'done', 'stopped')),
    -- Records with a `num` up to this one are done.
    position  INTEGER NOT NULL,
    -- How many there were when it was asked for, how many were moved, and how many might not be.
    records   INTEGER NOT NULL,
    moved     INTEGER NOT NULL,
    refused   INTEGER NOT NULL,
    -- Why it stopped, or why a record was not moved.
    problem   TEXT
) STRICT;

CREATE INDEX move_job_asked ON move_job (asked_ms);
CREATE INDEX move_job_state ON move_job (state, asked_ms);
