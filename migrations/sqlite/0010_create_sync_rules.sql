-- The sync rule under which an entity's records were last settled, and how far that is.
CREATE TABLE sync_rule (
    entity   INTEGER NOT NULL PRIMARY KEY REFERENCES entity (code),
    -- The expression; empty: the entity has no rule any more.
    source   TEXT    NOT NULL,
    -- The day number of the tenant on which this pass began.
    day      INTEGER NOT NULL,
    -- Records with a `num` up to this one are settled; NULL: all of them.
    position INTEGER
) STRICT;
