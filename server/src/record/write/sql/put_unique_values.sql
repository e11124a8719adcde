INSERT INTO unique_value (entity, field, value, record)
SELECT value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3)
FROM json_each($1)
WHERE true
ON CONFLICT (entity, field, value) DO UPDATE SET record = excluded.record
