-- Devices that can be woken while they are not connected, by Web Push.

-- One row: the key that push services know this server by (VAPID); a subscription made for another one does not take it.
CREATE TABLE wake_key (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- A key pair of the curve P-256, as PKCS #8.
    pair       BLOB    NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE wake_subscription (
    device        INTEGER NOT NULL PRIMARY KEY REFERENCES device (num),
    -- Where to ask for the device to be woken; whoever knows the address may.
    endpoint      TEXT    NOT NULL UNIQUE,
    subscribed_ms INTEGER NOT NULL,
    -- When its push service last took a wake-up.
    woken_ms      INTEGER,
    -- Why it is still to be woken: there is news for it, or an order; NULL: it is not.
    owed          TEXT    CHECK (owed IN ('news', 'order'))
) STRICT;
