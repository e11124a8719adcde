-- What the model was, for what follows from a change of it.

-- One row: the model that the records are stored under. A release or an overlay that makes another one renames what the
-- records hold, in the transaction that takes its place.
CREATE TABLE model_in_force (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    hash     TEXT    NOT NULL,
    json     TEXT    NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;

-- What some role did not see, by the number that cursors have for it: tells a device that comes back what it lacks.
CREATE TABLE hidden_view (
    view   INTEGER NOT NULL PRIMARY KEY,
    -- {"entity": ["field", …]}
    hidden TEXT    NOT NULL
) STRICT;
