-- When devices were heard of last is known of their newest records; what comes days late moves device_state.last_seen_at, too.
CREATE TABLE onemap.heard_past (
    device_id int NOT NULL,
    since_at  timestamptz NOT NULL,
    until_at  timestamptz NOT NULL CHECK (until_at >= since_at),
    PRIMARY KEY (device_id, since_at)
);
COMMENT ON TABLE onemap.heard_past IS
    'From when to when a device was heard of, at least once a minute, by records that were not newer than what was known of it';
CREATE INDEX heard_past_until ON onemap.heard_past (until_at);
GRANT SELECT ON onemap.heard_past TO cityhub_hub, cityhub_read;
