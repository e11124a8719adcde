-- From the devices to their outcomes: asked the other way round, every outcome that any device has not acknowledged would be
-- looked at in each commit.
DELETE FROM outcome
WHERE (device, mutation) IN (
    SELECT acknowledged.device, acknowledged.mutation FROM json_each($1) AS progress
    CROSS JOIN outcome AS acknowledged
        ON acknowledged.device = progress.value ->> 0 AND acknowledged.mutation <= progress.value ->> 2
)
