-- What comes twice counts once: which messages a lane has committed, batches known by an id of their own, and what could not be
-- stored kept once with the number of times it came.

-- A batch is asked for by its id: two hubs may draw one stamp in the same microsecond.
ALTER TABLE onemap.batch_log
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN committed_at timestamptz NOT NULL DEFAULT now();
CREATE UNIQUE INDEX batch_log_id ON onemap.batch_log (id);
COMMENT ON COLUMN onemap.batch_log.id IS 'Drawn by the hub before it commits';
COMMENT ON COLUMN onemap.batch_log.committed_at IS
    'now() of the transaction, by the database''s clock; a device that it changed has it as updated_at';
-- Rows of their own, not a column of batch_log: rollups update that in a snapshot of theirs.
CREATE TABLE onemap.batch_unstated (id uuid PRIMARY KEY);
COMMENT ON TABLE onemap.batch_unstated IS 'Committed batches (batch_log.id) that device_state does not have yet';
GRANT SELECT, INSERT, DELETE ON onemap.batch_unstated TO cityhub_hub;
GRANT SELECT ON onemap.batch_unstated TO cityhub_read;
-- Up to now a moment said how far device_state is complete; a clock that was ahead made it a lie.
INSERT INTO onemap.batch_unstated (id) SELECT b.id FROM onemap.batch_log b
WHERE b.received_at >= coalesce((SELECT h.value - interval '1 minute' FROM onemap.hub_state h WHERE h.key = 'device_state'),
    '-infinity');
DROP TABLE onemap.hub_state;
DROP FUNCTION IF EXISTS onemap.device_state_merge(timestamptz);
DROP FUNCTION IF EXISTS onemap.device_state_take_back(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.device_state_catch_up();
DROP FUNCTION IF EXISTS onemap.device_state_stage_hour(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.state_merge(float8[], timestamptz[], bigint, float8[], timestamptz[], bigint);

CREATE TABLE onemap.delivery (
    lane        text NOT NULL,
    received_at timestamptz NOT NULL,
    messages    bytea NOT NULL CHECK (octet_length(messages) % 10 = 0),
    PRIMARY KEY (lane, received_at)
);
COMMENT ON TABLE onemap.delivery IS
    'What a lane ("<instance>/<subsystem>-<number>") committed last, as far back as the broker may deliver it again: of each '
    'message the packet identifier (2 bytes) and the first 8 bytes of a hash of topic, name and content';
GRANT SELECT, INSERT, DELETE ON onemap.delivery TO cityhub_hub;
GRANT SELECT ON onemap.delivery TO cityhub_read;

-- The same message again is the same row: one more time.
ALTER TABLE onemap.quarantine
    ADD COLUMN sha256 bytea,
    ADD COLUMN bytes bigint,
    ADD COLUMN times int NOT NULL DEFAULT 1 CHECK (times >= 1),
    ADD COLUMN last_received_at timestamptz;
UPDATE onemap.quarantine q SET sha256 = sha256(q.payload), bytes = octet_length(q.payload), last_received_at = q.received_at;
-- Those that redelivery has doubled: the first stays.
WITH same AS (
    SELECT min(q.id) AS id, q.subsystem, q.vendor, q.kind, q.sha256, count(*)::int AS times, max(q.received_at) AS last_received_at
    FROM onemap.quarantine q WHERE q.replayed_at IS NULL GROUP BY q.subsystem, q.vendor, q.kind, q.sha256 HAVING count(*) > 1),
kept AS (
    UPDATE onemap.quarantine q SET times = s.times, last_received_at = s.last_received_at FROM same s WHERE q.id = s.id)
DELETE FROM onemap.quarantine q USING same s
WHERE q.replayed_at IS NULL AND q.id <> s.id
    AND (q.subsystem, q.vendor, q.kind, q.sha256) = (s.subsystem, s.vendor, s.kind, s.sha256);
ALTER TABLE onemap.quarantine
    ALTER COLUMN sha256 SET NOT NULL,
    ALTER COLUMN bytes SET NOT NULL,
    ALTER COLUMN last_received_at SET NOT NULL;
CREATE UNIQUE INDEX quarantine_once ON onemap.quarantine (subsystem, vendor, kind, sha256) WHERE replayed_at IS NULL;
COMMENT ON COLUMN onemap.quarantine.payload IS 'The message, or its first 64 KiB if it was refused unread';
COMMENT ON COLUMN onemap.quarantine.sha256 IS 'Of the whole message; with what is not replayed yet, a message is kept once';
COMMENT ON COLUMN onemap.quarantine.bytes IS 'Length of the whole message';
COMMENT ON COLUMN onemap.quarantine.times IS 'How often it came; received_at is the first time';

CREATE TYPE onemap.quarantine_item AS (
    received_at timestamptz, subsystem text, vendor text, kind text, topic text, payload bytea, sha256 bytea, bytes bigint,
    code text, reason text, problems jsonb, record_count int);
COMMENT ON TYPE onemap.quarantine_item IS 'A message for onemap.quarantine_put()';

CREATE TABLE onemap.quarantine_day (
    day       date NOT NULL,
    vendor    text NOT NULL,
    subsystem text NOT NULL,
    bytes     bigint NOT NULL DEFAULT 0,
    dropped   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, vendor, subsystem)
);
COMMENT ON TABLE onemap.quarantine_day IS
    'By UTC day: bytes that a vendor has brought into quarantine, and messages that were over its budget and only counted';
GRANT SELECT ON onemap.quarantine_day TO cityhub_hub, cityhub_read;
-- The hub brings rows in by onemap.quarantine_put() alone.
REVOKE INSERT ON onemap.quarantine FROM cityhub_hub;
