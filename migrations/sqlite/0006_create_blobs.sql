-- Files beside the records: what is stored, who names it, and what is on its way.

-- Blobs whose bytes are all here and were checked.
CREATE TABLE blob (
    -- SHA-256 of the bytes.
    hash       BLOB    NOT NULL PRIMARY KEY,
    bytes      INTEGER NOT NULL,
    stored_ms  INTEGER NOT NULL,
    -- Since when no record names it; NULL: one does.
    unnamed_ms INTEGER,
    -- Whether a record ever named it: then it stays as long as a deleted record would be remembered.
    was_named  INTEGER NOT NULL CHECK (was_named IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_unnamed ON blob (unnamed_ms) WHERE unnamed_ms IS NOT NULL;

-- Which field of which record names which blob, whether its bytes are here or still on their way.
CREATE TABLE blob_use (
    hash   BLOB NOT NULL,
    record BLOB NOT NULL,
    field  TEXT NOT NULL,
    PRIMARY KEY (hash, record, field)
) STRICT, WITHOUT ROWID;

-- Uploads by device. The bytes that came lie in a file; how many they are is the file's length.
CREATE TABLE blob_upload (
    device      INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    -- How many bytes it will have.
    bytes       INTEGER NOT NULL,
    -- When the device last sent some.
    touched_ms  INTEGER NOT NULL,
    -- NULL: bytes are missing.
    finished_ms INTEGER,
    PRIMARY KEY (device, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_upload_touched ON blob_upload (touched_ms);
CREATE INDEX blob_upload_hash ON blob_upload (hash);
