INSERT INTO number_series (entity, year, last)
SELECT value ->> 0, value ->> 1, value ->> 2
FROM json_each($1)
WHERE true
ON CONFLICT (entity, year) DO UPDATE SET last = excluded.last
