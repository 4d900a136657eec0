-- Quarantined messages that an administrator sends again on the page: the hub publishes them as it does receipts.
ALTER TABLE onemap.outbox ADD COLUMN replay bigint REFERENCES onemap.quarantine (id) ON DELETE CASCADE, ADD COLUMN replay_times int;
COMMENT ON COLUMN onemap.outbox.replay IS 'The quarantined message whose bytes are to be sent instead of the payload';
COMMENT ON COLUMN onemap.outbox.replay_times IS 'How many times that message had come when it was asked for';
CREATE INDEX outbox_replay ON onemap.outbox (replay) WHERE replay IS NOT NULL;
