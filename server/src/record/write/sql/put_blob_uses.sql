INSERT INTO blob_use (hash, record, field)
SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2
FROM json_each($1)
WHERE true
ON CONFLICT (hash, record, field) DO NOTHING
