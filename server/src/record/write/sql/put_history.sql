INSERT INTO history (record, seq, kind, field, old, new, who, device, at_ms)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
       unhex(value ->> 6), value ->> 7, value ->> 8
FROM json_each($1)
