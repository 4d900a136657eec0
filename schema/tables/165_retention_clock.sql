-- How far time has come for what is dropped by its age: a clock that jumps years ahead must not drop all that is kept.
CREATE TABLE onemap.retention_clock (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    moment   timestamptz NOT NULL,
    moved_at timestamptz NOT NULL
);
COMMENT ON TABLE onemap.retention_clock IS
    'One row, moved by partition_maintain(). moment: how far time has come, moved by a day an hour at most; moved_at: when it was '
    'moved, by the clock';
INSERT INTO onemap.retention_clock (moment, moved_at) VALUES (now(), '-infinity');
GRANT SELECT ON onemap.retention_clock TO cityhub_hub, cityhub_read;
