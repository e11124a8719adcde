-- Adds what a commit changed. SQLite has no exclusive or: a bit is set in one of two and not in both.
INSERT INTO scope_digest (scope, records, hash)
SELECT value ->> 0, value ->> 1, value ->> 2
FROM json_each($1)
WHERE true
ON CONFLICT (scope) DO UPDATE SET
    records = scope_digest.records + excluded.records,
    hash = (scope_digest.hash | excluded.hash) & ~(scope_digest.hash & excluded.hash)
