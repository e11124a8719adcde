INSERT INTO record (num, id, entity, seq, created_seq, created_by_device, owner, team, territory, shared, carried,
                    body, field_seq)
SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5,
       unhex(value ->> 6), unhex(value ->> 7), unhex(value ->> 8), value ->> 9, value ->> 10, value ->> 11,
       value ->> 12
FROM json_each($1)
WHERE true
ON CONFLICT (num) DO UPDATE SET
    seq = excluded.seq, owner = excluded.owner, team = excluded.team, territory = excluded.territory,
    shared = excluded.shared, carried = excluded.carried, body = excluded.body, field_seq = excluded.field_seq
