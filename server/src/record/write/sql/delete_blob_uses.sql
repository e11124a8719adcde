DELETE FROM blob_use
WHERE (hash, record, field) IN (
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2 FROM json_each($1)
)
