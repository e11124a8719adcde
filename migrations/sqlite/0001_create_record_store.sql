-- The record store: the latest state of every record, its scopes, and what people want to look back on.

-- One row: who this database belongs to.
CREATE TABLE tenant (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id         BLOB    NOT NULL,
    epoch      INTEGER NOT NULL,
    -- The last sequence given out.
    head       INTEGER NOT NULL,
    -- Deletions and exits up to here may be forgotten: a cursor before it compares digests.
    horizon    INTEGER NOT NULL DEFAULT 0,
    -- Everything up to here is in a backup; 0: nobody said so.
    safe       INTEGER NOT NULL DEFAULT 0,
    cursor_key BLOB    NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

-- Tenant overlays, laid over the core model in this order.
CREATE TABLE model_layer (
    position   INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    yaml       TEXT    NOT NULL,
    applied_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE entity (
    code INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE record (
    -- Local to this database: what the full-text index points to.
    num         INTEGER NOT NULL PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE,
    entity      INTEGER NOT NULL REFERENCES entity (code),
    seq         INTEGER NOT NULL,
    created_seq INTEGER NOT NULL,
    -- 0: made by no device.
    created_by_device INTEGER NOT NULL,
    owner       BLOB,
    team        BLOB,
    territory   BLOB,
    -- The users and teams that it is shared with: a JSON array of ids in hexadecimal; NULL where there are none.
    shared      TEXT,
    -- 1 where devices carry it: its entity has no sync rule, or the rule held for it when it was last settled.
    carried     INTEGER NOT NULL CHECK (carried IN (0, 1)),
    -- The fields as JSON: the wire form.
    body        TEXT    NOT NULL,
    -- {"field": [sequence, device]} for the fields that changed after the record was made.
    field_seq   TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX record_seq ON record (seq);
CREATE UNIQUE INDEX record_entity_seq ON record (entity, seq);

CREATE TABLE tombstone (
    id         BLOB    NOT NULL PRIMARY KEY,
    entity     INTEGER NOT NULL REFERENCES entity (code),
    seq        INTEGER NOT NULL UNIQUE,
    deleted_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX tombstone_entity ON tombstone (entity, seq);

-- A scope is the records of one entity that one holder (an owner, a team, a territory) brings with it, that are shared
-- with a user or a team, or that stand open; it is made when the first record stands in it. Scopes of kind `all` have
-- no entries: they are the entity. Those of kind `carried` are the records that a sync rule lets devices carry; one is
-- made when its entity gets a rule for the first time, and then stands in the place of `all`.
CREATE TABLE scope (
    id     INTEGER NOT NULL PRIMARY KEY,
    kind   TEXT    NOT NULL CHECK (kind IN ('all', 'carried', 'open', 'shared', 'own', 'team', 'territory')),
    entity INTEGER NOT NULL REFERENCES entity (code),
    -- The user, team or territory; 16 zero bytes for `all`, `carried` and `open`.
    holder BLOB    NOT NULL,
    UNIQUE (kind, entity, holder)
) STRICT;

-- Which records stand in which scope, at their latest sequence.
CREATE TABLE scope_entry (
    scope   INTEGER NOT NULL REFERENCES scope (id),
    seq     INTEGER NOT NULL,
    record  BLOB    NOT NULL,
    -- The sequence at which the record came to stand here: a cursor before it never saw the record.
    entered INTEGER NOT NULL,
    -- 0 stands here, 1 left, 2 was deleted.
    state   INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    PRIMARY KEY (scope, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX scope_entry_record ON scope_entry (record, scope);

-- Links other than owner, team and territory, for on_delete.
CREATE TABLE link (
    source BLOB NOT NULL,
    field  TEXT NOT NULL,
    target BLOB NOT NULL,
    PRIMARY KEY (source, field, target)
) STRICT, WITHOUT ROWID;

CREATE INDEX link_target ON link (target);

-- Values of fields that are unique in their entity, folded.
CREATE TABLE unique_value (
    entity INTEGER NOT NULL REFERENCES entity (code),
    field  TEXT    NOT NULL,
    value  TEXT    NOT NULL,
    record BLOB    NOT NULL,
    PRIMARY KEY (entity, field, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX unique_value_record ON unique_value (record);

-- The last number given out in each series.
CREATE TABLE number_series (
    entity INTEGER NOT NULL REFERENCES entity (code),
    year   INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (entity, year)
) STRICT, WITHOUT ROWID;

-- What people look back on. One row for each field that changed, one for a record that was made (field '' and no
-- values), one for a record that was deleted (field '' and its last body as the old value).
CREATE TABLE history (
    num    INTEGER NOT NULL PRIMARY KEY,
    record BLOB    NOT NULL,
    seq    INTEGER NOT NULL,
    -- made, changed, lost (a value that a merge overrode: old is what stands, new is what was lost), deleted
    kind   TEXT    NOT NULL CHECK (kind IN ('made', 'changed', 'lost', 'deleted')),
    field  TEXT    NOT NULL,
    old    TEXT,
    new    TEXT,
    who    BLOB,
    device INTEGER NOT NULL,
    at_ms  INTEGER NOT NULL
) STRICT;

CREATE INDEX history_record ON history (record, seq);

CREATE TABLE device (
    num         INTEGER NOT NULL PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE,
    user        BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    platform    TEXT    NOT NULL,
    enrolled_ms INTEGER NOT NULL,
    seen_ms     INTEGER NOT NULL,
    -- The last mutation decided, and the last whose outcome the device has.
    last_mutation INTEGER NOT NULL,
    acknowledged  INTEGER NOT NULL
) STRICT;

CREATE INDEX device_user ON device (user);

CREATE TABLE outcome (
    device   INTEGER NOT NULL REFERENCES device (num),
    mutation INTEGER NOT NULL,
    -- The outcome as it goes on the wire.
    body     TEXT    NOT NULL,
    PRIMARY KEY (device, mutation)
) STRICT, WITHOUT ROWID;

-- Accents and case folded by the tokenizer; rowid is record.num.
CREATE VIRTUAL TABLE record_text USING fts5 (
    text,
    content = '',
    contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);

-- Merging the index's segments is most of what a change of a searched field costs. As it comes, four segments of a size
-- are merged, and any of which a tenth was deleted; every edit deletes, so that large segments were rewritten all day.
INSERT INTO record_text (record_text, rank) VALUES ('automerge', 8), ('deletemerge', 50);
