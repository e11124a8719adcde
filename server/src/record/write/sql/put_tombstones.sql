INSERT INTO tombstone (id, entity, seq, deleted_ms)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, $2
FROM json_each($1)
