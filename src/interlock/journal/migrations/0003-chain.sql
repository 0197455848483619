-- Each event carries a digest chained to the one before. Those that are there are chained as they are found; `adopted`
-- is how many these were. `first_link` and `link` are functions of this program.

DROP TRIGGER event_is_never_changed;

ALTER TABLE event ADD COLUMN digest BLOB;
ALTER TABLE run ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;

WITH RECURSIVE chained (run, seq, digest) AS (
    SELECT number, 0, first_link(id) FROM run
    UNION ALL
    SELECT event.run, event.seq, link(chained.digest, event.seq, event.at, event.kind, event.version, event.body)
    FROM chained JOIN event ON event.run = chained.run AND event.seq = chained.seq + 1
)
UPDATE event SET digest = chained.digest FROM chained WHERE event.run = chained.run AND event.seq = chained.seq;

UPDATE run SET adopted = (SELECT count(*) FROM event WHERE event.run = run.number);

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN
    SELECT raise(ABORT, 'history is never changed');
END;

CREATE TRIGGER event_is_never_removed BEFORE DELETE ON event
BEGIN
    SELECT raise(ABORT, 'history is never removed');
END;

-- A process of an earlier version that still has the file open would break the chain.
CREATE TRIGGER event_is_chained BEFORE INSERT ON event WHEN NEW.digest IS NULL
BEGIN
    SELECT raise(ABORT, 'a newer Interlock has brought it up to date: resume the run with that one');
END;
