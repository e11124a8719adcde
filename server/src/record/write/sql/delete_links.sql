DELETE FROM link
WHERE (source, field, target) IN (
    SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2) FROM json_each($1)
)
