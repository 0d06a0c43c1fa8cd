-- The platform whose segments are made again.

CREATE TABLE IF NOT EXISTS segment (
    id   text PRIMARY KEY,
    made int  NOT NULL DEFAULT 0 -- how often it was made again
);

CREATE TABLE IF NOT EXISTS segment_user (
    segment text   NOT NULL REFERENCES segment,
    id      bigint NOT NULL,
    PRIMARY KEY (segment, id)
);
