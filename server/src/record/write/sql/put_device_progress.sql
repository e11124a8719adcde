UPDATE device SET last_mutation = progress.value ->> 1, acknowledged = progress.value ->> 2
FROM json_each($1) AS progress
WHERE device.num = progress.value ->> 0
