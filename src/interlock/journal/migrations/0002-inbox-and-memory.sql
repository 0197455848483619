-- What humans said, until the owner of the run has journalled it; and values remembered by digest.

CREATE TABLE answer (
    number     INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    run        INTEGER NOT NULL REFERENCES run (number),
    version    INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    settled_by INTEGER  -- seq of the event that names it
) STRICT;

CREATE INDEX answer_unsettled ON answer (run, number) WHERE settled_by IS NULL;

CREATE TABLE remembered (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
