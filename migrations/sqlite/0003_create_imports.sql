-- Imports that ended. What an import did to which record is in `history`, between the two numbers: an import has its
-- transaction to itself, so that all rows between them are its own.
CREATE TABLE import_job (
    id           BLOB    NOT NULL PRIMARY KEY,
    entity       TEXT    NOT NULL,
    file_name    TEXT    NOT NULL,
    -- checked (a dry run), refused, failed, done, undone
    state        TEXT    NOT NULL CHECK (state IN ('checked', 'refused', 'failed', 'done', 'undone')),
    -- The user; NULL: the operator of the machine.
    who          BLOB,
    created_ms   INTEGER NOT NULL,
    history_from INTEGER NOT NULL,
    history_to   INTEGER NOT NULL,
    -- The whole document that the API answers with.
    document     TEXT    NOT NULL
) STRICT;

CREATE INDEX import_job_created ON import_job (created_ms);
