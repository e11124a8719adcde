-- Who may come in: passwords, sessions, and attempts that failed.

CREATE TABLE credential (
    -- The user record.
    user       BLOB    NOT NULL PRIMARY KEY,
    -- Argon2id, as a PHC string.
    password   TEXT    NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    -- SHA-256 of the token; the token itself is nowhere but with its holder.
    token_hash BLOB    NOT NULL PRIMARY KEY,
    user       BLOB    NOT NULL,
    -- The device that the session belongs to, where it belongs to one.
    device     INTEGER REFERENCES device (num),
    created_ms INTEGER NOT NULL,
    -- Moves on with use; both are written now and then, not with every request.
    expires_ms INTEGER NOT NULL,
    used_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_user ON session (user);
CREATE INDEX session_device ON session (device);
CREATE INDEX session_expires ON session (expires_ms);

-- Failed attempts in a row, also for addresses that are nobody's: an attempt must not tell which ones are somebody's.
CREATE TABLE login_failure (
    -- SHA-256 of the address: people type passwords into the wrong field.
    account_hash BLOB    NOT NULL PRIMARY KEY,
    failures     INTEGER NOT NULL,
    last_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX login_failure_last ON login_failure (last_ms);
