INSERT INTO link (source, field, target)
SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2)
FROM json_each($1)
WHERE true
ON CONFLICT (source, field, target) DO NOTHING
