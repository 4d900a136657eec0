-- What leaves the hub (outbox, receipts) and what could not be stored (quarantine).
BEGIN;
SELECT plan(36);

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
SELECT onemap.stage_create();
-- What messages of these codes take besides their payload: the problem as put makes it, and the row.
CREATE FUNCTION pg_temp.besides(codes text[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(500 + octet_length(jsonb_build_array(jsonb_build_object('index', 3, 'code', c, 'reason', 'x'))::text)) FROM unnest(codes) c $$;
CREATE FUNCTION pg_temp.put(VARIADIC messages text[]) RETURNS void LANGUAGE plpgsql AS $$
-- each message: 'vendor content code age'
DECLARE m text; f text[];
BEGIN
    FOREACH m IN ARRAY messages LOOP
        f := string_to_array(m, ' ');
        INSERT INTO pg_temp.quarantine_stage VALUES (now() - f[4]::interval, 'dust', f[1], 'telemetry', 'cityhub/v1/dust/v/telemetry',
            f[2]::bytea, sha256(f[2]::bytea), length(f[2]), f[3], 'x', jsonb_build_array(jsonb_build_object('index', 3, 'code', f[3], 'reason', 'x')), 9);
    END LOOP;
    PERFORM onemap.quarantine_settle(20 + pg_temp.besides('{malformed,no_time,big}'));
    DELETE FROM pg_temp.quarantine_stage;
END $$;
CREATE FUNCTION pg_temp.kept() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s %s %s', vendor, convert_from(payload, 'UTF8'), code, times), ', ' ORDER BY id) FROM onemap.quarantine $$;
GRANT USAGE ON SCHEMA public TO cityhub_hub;
SET LOCAL ROLE cityhub_hub;
SELECT throws_ok($$INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason)
    VALUES (now(), 'dust', 'v', 'telemetry', 't', '', 'c', 'r')$$, '42501', NULL, 'the hub puts messages into quarantine by the function alone');
RESET ROLE;
SELECT ok(has_function_privilege('cityhub_hub', 'onemap.quarantine_settle(bigint)', 'EXECUTE'), 'which it may call');
SELECT pg_temp.put('v one malformed 10d', 'w one no_time 1d', 'v two no_time 1d', 'v one malformed 9d');
SELECT is(pg_temp.kept(), 'v one malformed 2, w one no_time 1, v two no_time 1', 'a content is kept once for each vendor, and counted');
SELECT is((SELECT ROW(received_at, last_received_at)::text FROM onemap.quarantine WHERE times = 2),
    ROW(now() - interval '10 days', now() - interval '9 days')::text, 'with the first time and the last');
SELECT pg_temp.put('v one bad_text 1h');
SELECT is(pg_temp.kept(), 'v one bad_text 3, w one no_time 1, v two no_time 1', 'what is wrong with it is what was found last');
SELECT pg_temp.put('v 12345678901234 big 1h', 'v 123456789012345 big 1h', 'w 1234567890123456 big 1h', 'v one malformed 30m');
SELECT is(pg_temp.kept(), 'v one malformed 4, w one no_time 1, v two no_time 1, v 12345678901234 big 1, w 1234567890123456 big 1',
    'a vendor has so many bytes a day: what is known costs none');
SELECT is((SELECT string_agg(format('%s %s %s', vendor, bytes, dropped), ', ' ORDER BY vendor) FROM onemap.quarantine_day),
    format('v %s 1, w %s 0', 20 + pg_temp.besides('{malformed,no_time,big}'), 19 + pg_temp.besides('{no_time,big}')),
    'what is beyond is counted, and a small message takes what its row takes');
UPDATE onemap.quarantine_day SET day = day - 1;
SELECT pg_temp.put('v 123456789012345 big 1h');
SELECT is((SELECT count(*)::int FROM onemap.quarantine WHERE octet_length(payload) = 15), 1, 'the next day there is room again');
DELETE FROM onemap.quarantine WHERE code = 'big';
UPDATE onemap.quarantine SET received_at = now() - interval '10 days', last_received_at = now() - interval '10 days' WHERE code = 'malformed';
UPDATE onemap.quarantine SET received_at = now() - interval '1 day', last_received_at = now() - interval '1 day' WHERE code <> 'malformed';
DELETE FROM onemap.quarantine WHERE vendor = 'w';
SET LOCAL ROLE cityhub_hub;
SELECT throws_ok($$DELETE FROM onemap.quarantine$$, '42501', NULL, 'and takes none out');
SELECT is(onemap.quarantine_replayed((SELECT max(id) FROM onemap.quarantine), 1), true, 'replayed');
SELECT is(onemap.quarantine_replayed((SELECT max(id) FROM onemap.quarantine), 1), true, 'once more');
SELECT is(onemap.quarantine_replayed(0, 1), false, 'there is no such message');
RESET ROLE;
UPDATE onemap.quarantine SET replayed_at = NULL WHERE code = 'no_time';
SELECT pg_temp.put('v two no_time 1d');
SELECT onemap.quarantine_replayed((SELECT max(id) FROM onemap.quarantine), 1);
SELECT is((SELECT ROW(times, replay_count, replayed_at)::text FROM onemap.quarantine WHERE code = 'no_time'), '(2,3,)',
    'one that has come back before its replay is noted waits on');
UPDATE onemap.quarantine SET replayed_at = now(), replay_count = 2, times = 1 WHERE code = 'no_time';
SELECT is((SELECT ROW(replay_count, replayed_at IS NOT NULL)::text FROM onemap.quarantine WHERE code = 'no_time'), '(2,t)', 'both are counted');
SELECT pg_temp.put('v two no_time 1d');
SELECT is((SELECT array_agg(times ORDER BY id) FROM onemap.quarantine WHERE code = 'no_time'), '{1,1}', 'what comes back after a replay is a new row');
DELETE FROM onemap.quarantine WHERE code = 'no_time' AND replayed_at IS NULL;
SELECT is((SELECT count(*)::int FROM onemap.audit_log WHERE action = 'quarantine_replay'), 3, 'and audited');
SELECT is((SELECT ROW(bytes, records, problems)::text FROM onemap.quarantine_overview WHERE code = 'malformed'), '(3,9,1)', 'the overview has sizes, not payloads');
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
SELECT ok(NOT has_function_privilege('cityhub_read', 'onemap.quarantine_replayed(bigint, int)', 'EXECUTE'), 'readers replay nothing');
SELECT ok(has_table_privilege('cityhub_read', 'onemap.receipt', 'SELECT'), 'readers see receipts');
SELECT ok(NOT has_function_privilege('cityhub_api', 'onemap.delivery_maintain(int,int)', 'EXECUTE'), 'the API drops nothing');
SELECT * FROM finish();
ROLLBACK;
