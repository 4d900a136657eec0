-- What leaves the hub (outbox, receipts) and what could not be stored (quarantine).
BEGIN;
SELECT plan(27);

-- Outbox and receipts.
SET LOCAL ROLE cityhub_hub;
SELECT lives_ok($$INSERT INTO onemap.outbox (topic, payload) VALUES
    ('cityhub/v1/dust/v/receipt', '{"receipts": [
        {"kind": "telemetry", "message": "m-1", "received_at_ms": 1774000000000, "records": 3, "accepted": 1, "duplicates": 1, "merged": 0, "revised": 0, "rejected": 1,
         "problems": [{"index": 2, "code": "no_time", "reason": "x"}], "warnings": []},
        {"kind": "staff", "message": "m-2", "received_at_ms": 1774000000500, "records": 1, "accepted": 1, "duplicates": 0, "merged": 0, "revised": 0, "rejected": 0}]}'),
    ('cityhub/v1/gas/w/receipt', '{"receipts": []}')$$, 'the hub writes receipts');
SELECT lives_ok($$INSERT INTO onemap.outbox (destination, topic, payload) VALUES ('province', 'cityhub/v1/dust/v/receipt', 'no JSON at all')$$, 'and messages to others');
SELECT throws_ok($$UPDATE onemap.outbox SET sent_at = now()$$, '42501', NULL, 'it marks them by the function alone');
SELECT lives_ok($$SELECT onemap.outbox_sent(ARRAY(SELECT id FROM onemap.outbox WHERE topic = 'cityhub/v1/dust/v/receipt' AND destination = 'mqtt'))$$, 'sent');
RESET ROLE;
SELECT is((SELECT array_agg(ROW(subsystem, vendor, kind, message, records, accepted, duplicates, rejected)::text ORDER BY message) FROM onemap.receipt),
    '{"(dust,v,telemetry,m-1,3,1,1,1)","(dust,v,staff,m-2,1,1,0,0)"}', 'a row of the view for each message');
SELECT is((SELECT ROW(received_at, problems->0->>'code', warnings, sent_at IS NOT NULL)::text FROM onemap.receipt WHERE message = 'm-1'),
    ROW('2026-03-20 09:46:40Z'::timestamptz, 'no_time', '[]'::jsonb, true)::text, 'with its time, its problems and whether it was sent');
SELECT is((SELECT problems FROM onemap.receipt WHERE message = 'm-2'), NULL, 'what is not in it is NULL');
SELECT is((SELECT array_agg(attempts ORDER BY id) FROM onemap.outbox), '{1,0,0}', 'an attempt is counted');
SELECT throws_ok($$INSERT INTO onemap.outbox (destination, topic, payload) VALUES ('A B', 'x', '')$$, '23514', NULL, 'a destination is a word');

-- Quarantine.
SET LOCAL ROLE cityhub_hub;
SELECT lives_ok($$INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason, problems, record_count)
    VALUES (now() - interval '10 days', 'dust', 'v', 'telemetry', 'cityhub/v1/dust/v/telemetry', '\x00ff', 'malformed', 'cut off', '[{"index": -1, "code": "malformed", "reason": "cut off"}]', 0),
           (now() - interval '1 day', 'dust', 'v', 'telemetry', 'cityhub/v1/dust/v/telemetry', '\x01', 'no_time', 'x', '[{"index": 3, "code": "no_time", "reason": "x"}]', 9)$$,
    'the hub puts whole messages into quarantine');
SELECT throws_ok($$DELETE FROM onemap.quarantine$$, '42501', NULL, 'and takes none out');
SELECT is(onemap.quarantine_replayed((SELECT max(id) FROM onemap.quarantine)), true, 'replayed');
SELECT is(onemap.quarantine_replayed((SELECT max(id) FROM onemap.quarantine)), true, 'once more');
SELECT is(onemap.quarantine_replayed(0), false, 'there is no such message');
RESET ROLE;
SELECT is((SELECT ROW(replay_count, replayed_at IS NOT NULL)::text FROM onemap.quarantine WHERE code = 'no_time'), '(2,t)', 'both are counted');
SELECT is((SELECT count(*)::int FROM onemap.audit_log WHERE action = 'quarantine_replay'), 2, 'and audited');
SELECT is((SELECT ROW(bytes, records, problems)::text FROM onemap.quarantine_overview WHERE code = 'malformed'), '(2,0,1)', 'the overview has sizes, not payloads');
SELECT hasnt_column('onemap'::name, 'quarantine_overview'::name, 'payload'::name, 'as said');

-- Retention.
UPDATE onemap.outbox SET sent_at = now() - interval '31 days', created_at = now() - interval '31 days' WHERE topic = 'cityhub/v1/dust/v/receipt' AND destination = 'mqtt';
UPDATE onemap.outbox SET created_at = now() - interval '31 days' WHERE topic = 'cityhub/v1/gas/w/receipt';
SET LOCAL ROLE cityhub_hub;
SELECT onemap.delivery_maintain(30, 9);
RESET ROLE;
SELECT is((SELECT array_agg(topic || ' ' || destination ORDER BY id) FROM onemap.outbox), '{"cityhub/v1/gas/w/receipt mqtt","cityhub/v1/dust/v/receipt province"}',
    'sent messages go after their time; what was never sent stays, however old');
SELECT is((SELECT array_agg(code) FROM onemap.quarantine), '{no_time}', 'quarantined messages go after theirs');
SELECT onemap.delivery_maintain(30, 1);
SELECT is((SELECT count(*)::int FROM onemap.quarantine), 1, 'one exactly as old as the retention stays');

-- Lanes.
SET LOCAL ROLE cityhub_hub;
SELECT lives_ok($$INSERT INTO onemap.lane (client_id, subsystem) VALUES ('hub1-dust-1', 'dust')$$, 'the hub remembers its broker sessions');
SELECT lives_ok($$DELETE FROM onemap.lane$$, 'and forgets those that are drained');
RESET ROLE;
SELECT throws_ok($$INSERT INTO onemap.lane (client_id, subsystem) VALUES ('x', 'nonsense')$$, '23503', NULL, 'a lane is of a subsystem');
SELECT ok(NOT has_function_privilege('cityhub_read', 'onemap.quarantine_replayed(bigint)', 'EXECUTE'), 'readers replay nothing');
SELECT ok(has_table_privilege('cityhub_read', 'onemap.receipt', 'SELECT'), 'readers see receipts');
SELECT ok(NOT has_function_privilege('cityhub_api', 'onemap.delivery_maintain(int,int)', 'EXECUTE'), 'the API drops nothing');
SELECT * FROM finish();
ROLLBACK;
