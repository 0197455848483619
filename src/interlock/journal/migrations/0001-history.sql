-- Runs and what happened in them. `fence` is raised by each process that takes the run.

CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id     TEXT    NOT NULL UNIQUE,
    fence  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE event (
    run     INTEGER NOT NULL REFERENCES run (number),
    seq     INTEGER NOT NULL CHECK (seq > 0),
    at      REAL    NOT NULL,
    kind    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN
    SELECT raise(ABORT, 'history is never changed');
END;
