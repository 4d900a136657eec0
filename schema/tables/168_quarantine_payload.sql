-- What a message in quarantine says is for who may operate (quarantine_message(), http_quarantine_payload()): a vendor may have
-- written whom to call.
REVOKE SELECT ON onemap.quarantine FROM cityhub_read;
GRANT SELECT (id, received_at, subsystem, vendor, kind, topic, code, reason, problems, record_count, replayed_at, replay_count,
    sha256, bytes, times, last_received_at) ON onemap.quarantine TO cityhub_read;
