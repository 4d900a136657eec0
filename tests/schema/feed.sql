-- The live stream: what changed since a snapshot, told once and as it is, to whom it may be shown, and for how long.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(30);
CREATE FUNCTION pg_temp.request(departments text, rest jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('identity', jsonb_build_object('kind', 'person', 'departments', (SELECT jsonb_agg(d.id)
        FROM onemap.department d WHERE d.code = ANY (string_to_array(departments, ' '))))) || rest $$;
CREATE FUNCTION pg_temp.shown(request jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN s.departments IS NULL THEN 'all' ELSE (SELECT coalesce(string_agg(d.code, ' ' ORDER BY d.code), 'none')
        FROM onemap.department d WHERE d.id::text = ANY (string_to_array(s.departments, ','))) END FROM onemap.http_stream(request) s $$;
CREATE FUNCTION pg_temp.changes() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT f.layer || ' ' || f.id FROM onemap.feed_changes('1:1:', 1000) f ORDER BY 1 $$;
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS $$ DELETE FROM onemap.feed_change $$;

-- ---- alarms ----
SELECT is_empty($$SELECT * FROM onemap.feed_changes('1:1:', 1000)$$, 'nothing has changed');
INSERT INTO onemap.alarm_rule (subsystem, key, name_zh, kind, severity, source) VALUES ('dust', 't_rule', '测试', 'derived', 'major', 'assumed');
SELECT r.id AS rule FROM onemap.alarm_rule r WHERE r.key = 't_rule' \gset
SELECT d.id AS site FROM onemap.device d WHERE d.code = 'D1' \gset
SELECT d.id AS lamp FROM onemap.device d WHERE d.code = 'L1' \gset
UPDATE onemap.device SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'chengguan') WHERE id = :site;
SELECT pg_temp.forget(), onemap.alarm_open(:rule, :site, '', now(), 5, '{}');
SELECT a.id AS alarm FROM onemap.alarm a WHERE a.rule_id = :rule \gset
SELECT is((SELECT array_agg(c) FROM pg_temp.changes() c), ARRAY['alarm ' || :alarm], 'an alarm that opens');
SET LOCAL ROLE cityhub_hub;
SELECT lives_ok($$SELECT * FROM onemap.feed_changes('1:1:', 1000)$$, 'the hub may read all of it');
RESET ROLE;
SELECT is((SELECT ROW(f.subsystem, d.code, f.lon, f.lat)::text FROM onemap.feed_changes('1:1:', 10) f JOIN onemap.department d ON d.id = f.department),
    '(dust,chengguan,114.76,34.56)', 'has its device''s department and place');
SELECT is((SELECT f.body::jsonb - '{opened_at,name_zh}'::text[] FROM onemap.feed_changes('1:1:', 10) f), jsonb_build_object('id', :alarm,
    'subsystem', 'dust', 'rule', 't_rule', 'severity', 'major', 'device', :site, 'vendor', 'sites', 'lon', 114.76, 'lat', 34.56,
    'closed_at', NULL, 'value', 5, 'closing_value', NULL, 'close_reason', NULL, 'close_reason_zh', NULL, 'acknowledged_at', NULL, 'acknowledged_by', NULL), 'and says what it is');
SELECT onemap.alarm_close(:rule, :site, '', now(), 4, 'condition ended');
SELECT is((SELECT array_agg(f.body::jsonb->>'close_reason') FROM onemap.feed_changes('1:1:', 10) f), '{condition ended}'::text[], 'changed twice, it is told once, as it is');
SELECT pg_temp.forget(), onemap.alarm_close(:rule, :site, '', now(), 4, 'again');
SELECT is_empty('SELECT pg_temp.changes()', 'what changes nothing is not told');
UPDATE onemap.vendor SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'zhaoming') WHERE subsystem = 'dust';
SELECT onemap.alarm_open(:rule, 0, 'sites', now(), NULL, '{}');
SELECT is((SELECT d.code FROM onemap.feed_changes('1:1:', 10) f JOIN onemap.department d ON d.id = f.department), 'zhaoming',
    'an alarm of a whole vendor is of its department');

-- ---- cases ----
SELECT pg_temp.forget();
SELECT test.report() AS code \gset
SELECT test.act(:'code', 'accept', 'acceptor');
SELECT is((SELECT ROW(f.layer, f.body::jsonb->>'code' = :'code', f.body::jsonb->>'state', f.body::jsonb->>'action', f.was)::text
    FROM onemap.feed_changes('1:1:', 10) f), ROW('case', true, (SELECT r.state FROM onemap.case_record r WHERE r.code = :'code'), 'accept', NULL)::text,
    'a case, with what was done last');
SELECT ok(NOT (f.body::jsonb ?| '{reporter,contact,phone,description,address}'), 'and no word of who reported it') FROM onemap.feed_changes('1:1:', 10) f;
SELECT pg_temp.forget();
UPDATE onemap.case_record SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'chengguan') WHERE code = :'code';
UPDATE onemap.case_record SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'zhaoming') WHERE code = :'code';
UPDATE onemap.case_record SET title = 'x' WHERE code = :'code';
SELECT is((SELECT f.was FROM onemap.feed_changes('1:1:', 10) f), (SELECT d.id::text FROM onemap.department d WHERE d.code = 'chengguan'),
    'whose department it was is said, too');

-- ---- silence ----
SELECT pg_temp.forget();
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at) VALUES (:site, now() - interval '1 day', now() - interval '1 day'), (:lamp, now(), now());
SELECT is(onemap.presence_sweep(now() - interval '2 days'), 1, 'one device is silent');
SELECT is((SELECT array_agg(ROW(f.id, f.subsystem, f.vendor, f.code, f.online, f.last_seen_ms)::text) FROM onemap.feed_changes('1:1:', 10) f WHERE f.layer = 'state'),
    ARRAY[ROW(:site, 'dust', 'sites', 'D1', false, (extract(epoch FROM now() - interval '1 day') * 1000)::bigint)::text], 'and told to be');
SELECT pg_temp.forget(), onemap.presence_sweep(now() - interval '2 days');
SELECT is_empty($$SELECT * FROM onemap.feed_changes('1:1:', 10) f WHERE f.layer = 'state'$$, 'once');

-- ---- handed over ----
SELECT onemap.alarm_open(:rule, :site, '', now() + interval '1 minute', 5, '{}');
SELECT pg_temp.forget();
UPDATE onemap.device SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'zhaoming'), name_zh = name_zh || 'x' WHERE id IN (:site, :lamp);
UPDATE onemap.device_state SET geom = public.ST_SetSRID(public.ST_MakePoint(114.7, 34.5), 4326), geom_at = '2026-03-02T00:00:00Z' WHERE device_id = :site;
SELECT is((SELECT array_agg(ROW(f.layer, f.id, d.code, w.code, f.online, f.last_seen_ms IS NULL, f.lon IS NOT NULL)::text ORDER BY f.layer, f.id) FROM onemap.feed_changes('1:1:', 10) f
        JOIN onemap.department d ON d.id = f.department LEFT JOIN onemap.department w ON w.id = f.was::int WHERE f.id <> :lamp),
    ARRAY[ROW('alarm', (SELECT a.id FROM onemap.alarm a WHERE a.device_id = :site AND a.closed_at IS NULL), 'zhaoming', 'chengguan', NULL, true, true)::text,
        ROW('position', :site, 'zhaoming', 'chengguan', NULL, false, true)::text, ROW('state', :site, 'zhaoming', 'chengguan', false, false, false)::text],
    'a device that goes to another department, with its open alarm, and where it was');
SELECT pg_temp.forget();
UPDATE onemap.device SET name_zh = name_zh || 'y';
SELECT is_empty('SELECT pg_temp.changes()', 'what else changes of a device is not told');
UPDATE onemap.vendor SET department_id = NULL WHERE subsystem = 'dust';
SELECT is((SELECT array_agg(DISTINCT ROW(f.layer, f.department, d.code)::text) FROM onemap.feed_changes('1:1:', 10) f JOIN onemap.department d ON d.id = f.was::int),
    ARRAY[ROW('alarm', NULL, 'zhaoming')::text], 'nor is there a vendor''s department of which its alarm does not tell');

-- ---- since when ----
SELECT pg_temp.forget();
INSERT INTO onemap.feed_change (layer, id, changed_xid) SELECT 'alarm', :alarm, '100'::xid8;
SELECT is((SELECT count(*)::int FROM onemap.feed_changes('100:100:', 10)), 1, 'what began after the snapshot is not in it');
SELECT is((SELECT count(*)::int FROM onemap.feed_changes('101:101:', 10)), 0, 'what had ended is');
SELECT is((SELECT count(*)::int FROM onemap.feed_changes('100:105:100', 10)), 1, 'what was under way is not, though others began after it');
SELECT is((SELECT count(*)::int FROM onemap.feed_changes('99:105:99', 10)), 0, 'nor is it what had ended while others were under way');
INSERT INTO onemap.feed_change (layer, id) SELECT 'case', r.id FROM onemap.case_record r;
SELECT is((SELECT count(*)::int FROM onemap.feed_changes('1:1:', 1)), 1, 'no more than is asked for');
UPDATE onemap.feed_change SET changed_at = now() - interval '11 minutes' WHERE layer = 'alarm';
SELECT is(onemap.feed_change_sweep(), 1, 'it is forgotten after ten minutes');
SELECT is((SELECT count(*)::int FROM onemap.feed_change), 1, 'and not before');

-- ---- who sees what ----
SELECT is(pg_temp.shown(pg_temp.request('')), 'all', 'who sees all');
SELECT is(pg_temp.shown(pg_temp.request('', '{"department": "chengguan"}')), 'chengguan zhaoming', 'may ask for a department and those below');
SELECT is(pg_temp.shown(pg_temp.request('zhaoming jincheng')), 'jincheng zhaoming', 'who sees some');
SELECT is(pg_temp.shown(pg_temp.request('zhaoming jincheng', '{"department": "chengguan"}')), 'zhaoming', 'sees no more of another');
SELECT is(pg_temp.shown(pg_temp.request('zhaoming', '{"department": "jincheng"}')), 'none', 'and nothing of what is not his');
SELECT is_empty($$SELECT * FROM onemap.http_stream(pg_temp.request('', '{"department": "moon"}'))$$, 'there is no such department');
SELECT * FROM finish();
ROLLBACK;
