UPDATE blob SET unnamed_ms = $2
WHERE hash IN (SELECT unhex(value ->> 0) FROM json_each($1))
  AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob_use.hash = blob.hash)
