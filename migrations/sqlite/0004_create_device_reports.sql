-- What each device last said of itself; only the last report is kept.
CREATE TABLE device_report (
    device      INTEGER NOT NULL PRIMARY KEY REFERENCES device (num),
    received_ms INTEGER NOT NULL,
    -- The report as it came on the wire.
    body        TEXT    NOT NULL
) STRICT;
