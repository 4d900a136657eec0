-- What the live stream is to tell of that others than the hub's own batches have changed: one row a change, written by triggers
-- and by presence_sweep in the transaction that changes it. A reader asks for what its last snapshot did not see yet: so nothing is
-- passed over, in whatever order transactions commit, and no commit takes the lock that NOTIFY would.

CREATE TABLE onemap.feed_change (
    changed_xid    pg_catalog.xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    layer          text NOT NULL CHECK (layer IN ('state', 'alarm', 'case')),
    id             bigint NOT NULL,
    was_department int,
    changed_at     timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE onemap.feed_change IS
    'Changes that the live stream tells: layer and id of what changed, was_department: a department whose it is no longer; rows '
    'stay for some minutes';
CREATE INDEX feed_change_xid ON onemap.feed_change (changed_xid);
GRANT SELECT ON onemap.feed_change TO cityhub_hub, cityhub_read;
