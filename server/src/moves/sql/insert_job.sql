INSERT INTO move_job (id, who, entity, condition, change, asked_ms, asked_seq, state, position, records, moved, refused)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', 0, $8, 0, 0)
