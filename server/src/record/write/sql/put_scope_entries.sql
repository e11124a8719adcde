-- A record that goes on standing in a scope keeps the sequence at which it entered; one that comes back enters again;
-- one that leaves keeps it too: whoever had it until then had it since.
INSERT INTO scope_entry (scope, seq, record, entered, state)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 1, value ->> 3
FROM json_each($1)
WHERE true
ON CONFLICT (record, scope) DO UPDATE SET
    seq = excluded.seq,
    entered = CASE WHEN excluded.state = 0 AND scope_entry.state <> 0 THEN excluded.entered ELSE scope_entry.entered END,
    state = excluded.state
