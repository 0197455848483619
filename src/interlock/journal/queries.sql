-- Every statement that the journal uses, by name. Each is read once by `statements`.

-- name: begin
BEGIN IMMEDIATE;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: run_ids
SELECT id FROM run ORDER BY number;

-- name: run_number
SELECT number FROM run WHERE id = :run;

-- name: run_fence
SELECT fence FROM run WHERE id = :run;

-- name: run_head
SELECT number, fence, coalesce(seq, 0), digest
FROM run LEFT JOIN event ON event.run = number AND seq = (SELECT max(seq) FROM event WHERE event.run = number)
WHERE id = :run;

-- name: heads
SELECT id, seq, digest
FROM run JOIN event ON event.run = number AND seq = (SELECT max(seq) FROM event WHERE event.run = number)
WHERE digest IS NOT NULL;

-- name: newest_heads
SELECT id, (SELECT max(seq) FROM event WHERE event.run = number) FROM run ORDER BY number DESC LIMIT :most;

-- name: adopted_runs
SELECT count(*) FROM run WHERE adopted > 0;

-- name: create_run
INSERT INTO run (id) VALUES (:run) RETURNING number;

-- name: take_run
UPDATE run SET fence = fence + 1 WHERE id = :run RETURNING fence;

-- name: append_event
INSERT INTO event (run, seq, at, kind, version, body, digest)
VALUES (:run, :seq, :at, :kind, :version, :body, :digest);

-- name: events_from
SELECT seq, at, kind, version, body, digest FROM event
WHERE run = (SELECT number FROM run WHERE id = :run) AND seq >= :after
ORDER BY seq LIMIT :most;

-- name: put_answer
INSERT INTO answer (id, run, version, body) VALUES (:id, :run, :version, :body) ON CONFLICT (id) DO NOTHING;

-- name: settle_answer
UPDATE answer SET settled_by = :seq WHERE id = :id AND run = :run AND settled_by IS NULL;

-- name: unsettled_answers
SELECT version, body FROM answer
WHERE run = (SELECT number FROM run WHERE id = :run) AND settled_by IS NULL
ORDER BY number;

-- name: remember
INSERT INTO remembered (kind, key, value) VALUES (:kind, :key, :value) ON CONFLICT (kind, key) DO NOTHING;

-- name: recall
SELECT value FROM remembered WHERE kind = :kind AND key = :key;
