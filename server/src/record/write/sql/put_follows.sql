-- Only where something links to the record: most records that move have no children.
INSERT INTO move_follow (parent, was, became, who)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, unhex(value ->> 3)
FROM json_each($1)
WHERE EXISTS (SELECT 1 FROM link WHERE target = unhex(value ->> 0))
ORDER BY key
