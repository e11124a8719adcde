-- $1 [[entity, field], …] of the links to parents.
SELECT (SELECT count(*) FROM move_follow), count(*)
FROM move_follow AS f
JOIN link AS l ON l.target = f.parent AND l.source > coalesce(f.position, x'')
JOIN record AS r ON r.id = l.source
WHERE EXISTS (SELECT 1 FROM json_each($1) AS p WHERE p.value ->> 0 = r.entity AND p.value ->> 1 = l.field)
