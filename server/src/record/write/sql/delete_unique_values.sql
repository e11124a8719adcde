DELETE FROM unique_value
WHERE (entity, field, value) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)
)
