DELETE FROM outcome
WHERE EXISTS (
    SELECT 1 FROM json_each($1) AS progress
    WHERE outcome.device = progress.value ->> 0 AND outcome.mutation <= progress.value ->> 2
)
