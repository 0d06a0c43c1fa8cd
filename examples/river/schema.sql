-- What a plan needs beside River's own tables. They keep each step's place in
-- the plan and that it is done; how a step that is not done fares, River knows.

CREATE TABLE IF NOT EXISTS rerun_plan (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan json NOT NULL -- with its conflicts, and what no job writes
);

CREATE TABLE IF NOT EXISTS rerun_step (
    plan      bigint   NOT NULL REFERENCES rerun_plan,
    number    int      NOT NULL, -- its place in the plan
    job       json     NOT NULL,
    priority  smallint NOT NULL, -- River's: 1 comes first
    waits     int      NOT NULL CHECK (waits >= 0), -- for so many steps that are not done
    river_job bigint   UNIQUE,   -- set when it is inserted, which is when it waits for none
    done_at   timestamptz,
    PRIMARY KEY (plan, number),
    CHECK (river_job IS NULL OR waits = 0),
    CHECK (done_at IS NULL OR river_job IS NOT NULL)
);

-- Always empty between transactions: what could be inserted, is.
CREATE INDEX IF NOT EXISTS rerun_ready ON rerun_step (plan, number) WHERE waits = 0 AND river_job IS NULL;

CREATE TABLE IF NOT EXISTS rerun_next (
    plan   bigint NOT NULL,
    number int    NOT NULL,
    next   int    NOT NULL, -- the step that waits for it
    PRIMARY KEY (plan, number, next),
    FOREIGN KEY (plan, number) REFERENCES rerun_step,
    FOREIGN KEY (plan, next) REFERENCES rerun_step
);

-- The state of every step. River deletes jobs that ended long ago; one that is
-- gone without its step being done has failed, so nothing is done by omission.
CREATE OR REPLACE VIEW rerun_state AS
WITH RECURSIVE own AS (
    SELECT s.plan, s.number, s.job ->> 'id' AS job, s.done_at,
           j.attempt, j.attempted_at, j.finalized_at, j.attempted_by[array_upper(j.attempted_by, 1)] AS worker,
           CASE WHEN s.done_at IS NOT NULL THEN 'done'
                WHEN s.river_job IS NULL THEN 'waiting'
                WHEN j.state = 'running' THEN 'running'
                WHEN j.state IN ('available', 'pending', 'retryable', 'scheduled') THEN 'waiting'
                ELSE 'failed'
           END AS state,
           CASE WHEN j.id IS NULL THEN 'its River job is gone'
                ELSE coalesce(j.errors[array_upper(j.errors, 1)] ->> 'error', 'its River job is ' || j.state)
           END AS error,
           j.metadata -> 'report' AS report
    FROM rerun_step s LEFT JOIN river_job j ON j.id = s.river_job
), blocked AS (
    SELECT n.plan, n.next, o.number AS by
    FROM rerun_next n JOIN own o USING (plan, number) WHERE o.state = 'failed'
    UNION
    SELECT n.plan, n.next, b.by
    FROM rerun_next n JOIN blocked b ON (b.plan, b.next) = (n.plan, n.number)
)
SELECT o.plan, o.number, o.job,
       CASE WHEN b.by IS NULL THEN o.state ELSE 'blocked' END AS state,
       o.attempt, o.worker, o.attempted_at AS started, coalesce(o.done_at, o.finalized_at) AS ended,
       f.job AS blocked_by,
       CASE WHEN o.state = 'failed' THEN o.error END AS error,
       CASE WHEN o.state = 'failed' THEN o.report END AS report
FROM own o
LEFT JOIN (SELECT plan, next, min(by) AS by FROM blocked GROUP BY plan, next) b ON (b.plan, b.next) = (o.plan, o.number)
LEFT JOIN own f ON (f.plan, f.number) = (b.plan, b.by);
