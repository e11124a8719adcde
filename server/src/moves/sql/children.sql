-- $1 the parent, $2 the last child before, $3 [[entity, field], …] of the links to parents, $4 how many.
SELECT l.source
FROM link AS l JOIN record AS r ON r.id = l.source
WHERE l.target = $1 AND l.source > $2
  AND EXISTS (SELECT 1 FROM json_each($3) AS p WHERE p.value ->> 0 = r.entity AND p.value ->> 1 = l.field)
ORDER BY l.source
LIMIT $4
