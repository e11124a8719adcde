UPDATE blob SET unnamed_ms = NULL, was_named = 1
WHERE hash IN (SELECT unhex(value ->> 0) FROM json_each($1))
