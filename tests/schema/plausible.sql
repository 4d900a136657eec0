-- What can be true of a reading and of a place: the codes for "no value", the county's extent, places outside it, bad fields of
-- inventory, staff, work and cases, and what a receipt says of all that.
BEGIN;
SELECT plan(89);

-- ---- codes for "no value" ----
CREATE FUNCTION pg_temp.code(the_value float8, the_subsystem text DEFAULT NULL, the_metric text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', c.ordinal, CASE WHEN c.in_range THEN 'in range' END, CASE WHEN NOT c.enabled THEN 'off' END, CASE WHEN c.edited THEN 'edited' END, c.speciality)
    FROM onemap.no_value_code_overview c WHERE c.value = the_value AND c.subsystem IS NOT DISTINCT FROM the_subsystem AND c.metric IS NOT DISTINCT FROM the_metric $$;
SELECT is((SELECT array_agg(v.v ORDER BY v.v) FROM unnest('{-999,-9999,9999,65535,32767,-32768,-99.9,3276.7}'::float8[]) v WHERE pg_temp.code(v.v) = '0'),
    '{-32768,-9999,-999,-99.9,3276.7,9999,32767,65535}'::float8[], 'what is shipped counts everywhere');
SELECT is(pg_temp.code(999), NULL, '999 is not shipped: a sensor may say it of the worst there is');
SELECT lives_ok($$SELECT onemap.no_value_set(-1, '{"subsystem": "gas", "metric": "leak_percent_lel", "note": "甲"}')$$, 'a code of one metric');
SELECT is(pg_temp.code(-1, 'gas', 'leak_percent_lel'), onemap.metric_ordinal('gas', 'leak_percent_lel') || ' edited 5', 'with the metric''s ordinal');
SELECT throws_like($$SELECT onemap.no_value_set(55, '{"subsystem": "gas", "metric": "leak_percent_lel"}')$$, '55 is a possible reading of leak_percent_lel (0 to 100 %', 'within the range it would swallow readings');
SELECT lives_ok($$SELECT onemap.no_value_set(55, '{"subsystem": "gas", "metric": "leak_percent_lel", "in_range": true}')$$, 'unless the county says so');
SELECT is(pg_temp.code(55, 'gas', 'leak_percent_lel'), onemap.metric_ordinal('gas', 'leak_percent_lel') || ' in range edited 5', 'as it is stored');
SELECT throws_like($$SELECT onemap.no_value_set(55, '{"in_range": true}')$$, 'in_range needs "subsystem" and "metric"%', 'of one metric alone');
SELECT throws_like($$SELECT onemap.no_value_set(1, '{"metric": "leak_percent_lel"}')$$, 'there is no metric "leak_percent_lel"%', 'a metric without its subsystem');
SELECT throws_like($$SELECT onemap.no_value_set(1, '{"subsystem": "gas", "metric": "leek"}')$$, 'there is no metric "leek"%', 'a metric that there is not');
SELECT throws_like($$SELECT onemap.no_value_set(1, '{"subsystem": "construction_waste", "metric": "plate"}')$$, 'there is no metric "plate" with numbers%', 'a text');
SELECT throws_like($$SELECT onemap.no_value_set(1, '{"metrik": "x"}')$$, 'unknown setting "metrik"%', 'a setting that there is not');
SELECT throws_like($$SELECT onemap.no_value_set('NaN')$$, 'a code is a finite number', 'no number');
SELECT throws_ok($$SELECT onemap.no_value_set(1, '{"subsystem": "nonsense"}')$$, '23503', NULL, 'a subsystem that there is not');
SELECT onemap.no_value_set(9999, '{"subsystem": "water", "enabled": false}'), onemap.no_value_set(-777, '{"vendor": "acme"}');
SELECT is(pg_temp.code(9999, 'water') || ', ' || pg_temp.code(9999), 'off edited 1, 0', 'in one subsystem 9999 is a reading, elsewhere it stays a code');
SELECT is((SELECT vendor || ' ' || speciality FROM onemap.no_value_code_overview WHERE value = -777), 'acme 2', 'a vendor''s code');
SELECT onemap.no_value_set(-999, '{"enabled": false}');
SELECT is(pg_temp.code(-999), 'off edited 0', 'what is shipped can be put out of force');
SELECT onemap.no_value_set(-999, '{"note": "乙"}');
SELECT is(pg_temp.code(-999), 'off edited 0', 'a change leaves alone what it does not name');
SELECT is((SELECT count(*)::int FROM onemap.audit_log WHERE action = 'no_value_set'), 6, 'each change is in the audit log');
SELECT is((SELECT detail->'settings'->>'metric' FROM onemap.audit_log WHERE action = 'no_value_set' ORDER BY id LIMIT 1), 'leak_percent_lel', 'with what was set');
-- The rules are run again with each migration.
\set QUIET on
\ir ../../schema/rules/plausible.sql
SELECT is(pg_temp.code(-999), 'off edited 0', 'what the county set outlives a new version');

-- ---- the extent ----
CREATE FUNCTION pg_temp.extent() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', e.source, round(e.min_lon::numeric, 3), round(e.min_lat::numeric, 3), round(e.max_lon::numeric, 3), round(e.max_lat::numeric, 3)) FROM onemap.county_extent() e $$;
SELECT is((SELECT count(*)::int FROM onemap.grid_cell), 0, 'no grid cells yet');
SELECT is(pg_temp.extent(), 'China 73.000 3.000 136.000 54.000', 'without anything else: China');
INSERT INTO onemap.department (code, name_zh, kind) VALUES ('street', '街道', 'street');
INSERT INTO onemap.grid_cell (code, department_id, geom)
SELECT v.code, d.id, public.ST_Multi(public.ST_MakeEnvelope(v.x, v.y, v.x + 0.2, v.y + 0.2, 4326))
FROM (VALUES ('410221001001001', 114.6, 34.4), ('410221001001002', 114.8, 34.5)) v(code, x, y), onemap.department d WHERE d.code = 'street';
SELECT is(pg_temp.extent(), 'grid cells 114.490 34.310 115.110 34.790', 'with cells: theirs and 10 km around');
SELECT is(onemap.place_extent_set('{"margin_km": 0}')->>'max_lon', '115', 'the margin can be set');
SELECT is(pg_temp.extent(), 'grid cells 114.600 34.400 115.000 34.700', 'also to none');
SELECT is(onemap.place_extent_set('{"min_lon": 114, "min_lat": 34, "max_lon": 115, "max_lat": 35}')->>'source', 'setting', 'the county says it itself');
SELECT is(pg_temp.extent(), 'setting 114.000 34.000 115.000 35.000', 'before its cells');
SELECT throws_like($$SELECT onemap.place_extent_set('{"min_lon": 115, "min_lat": 34, "max_lon": 114, "max_lat": 35}')$$, 'an extent has min_lon below max_lon%', 'the wrong way round');
SELECT throws_like($$SELECT onemap.place_extent_set('{"min_lon": 34, "min_lat": 114, "max_lon": 35, "max_lat": 115}')$$, 'an extent has %', 'exchanged');
SELECT throws_like($$SELECT onemap.place_extent_set('{"min_lon": 114, "min_lat": 34, "max_lon": 115}')$$, 'an extent has %', 'a side is missing');
SELECT throws_like($$SELECT onemap.place_extent_set('{"lon": 114}')$$, 'an extent is min_lon%', 'a side that there is not');
SELECT throws_like($$SELECT onemap.place_extent_set('{"margin_km": -1}')$$, 'margin_km is 0 to 500, not -1', 'a margin of less than nothing');
SELECT is((SELECT count(*)::int FROM onemap.audit_log WHERE action = 'place_extent_set'), 2, 'what was set is in the audit log, what was refused is not');
SELECT is(onemap.place_flaw(114.5, 34.5), NULL, 'a place in the county');
SELECT is(ARRAY[onemap.place_flaw(114, 34), onemap.place_flaw(115, 35)], '{NULL,NULL}', 'on its border, too');
SELECT results_eq($$SELECT onemap.place_flaw(p.lon, p.lat) LIKE p.words FROM (VALUES (34.5, 114.5, '%exchanged?'), (-114.5, 34.5, '%sign wrong?'), (114.5, -34.5, '%sign wrong?'),
    (0, 34.5, '%one of the two is 0'), (114.5, 0, '%one of the two is 0'), (120.1, 34.5, 'lon 120.1, lat 34.5 is outside the county (lon 114.00 to 115.00, lat 34.00 to 35.00)')) p(lon, lat, words)$$,
    $$VALUES (true), (true), (true), (true), (true), (true)$$, 'what may have gone wrong is said');
SELECT is(onemap.place_extent_set('{"from_grid_cells": true, "margin_km": 10}')->>'source', 'grid cells', 'and back to the cells');
SET LOCAL ROLE cityhub_hub;
SELECT is((SELECT source FROM onemap.county_extent()), 'grid cells', 'the hub reads the extent');
SELECT cmp_ok((SELECT count(*)::int FROM onemap.no_value_code_overview), '>', 20, 'and the codes');
SELECT throws_ok($$UPDATE onemap.no_value_code SET enabled = false$$, '42501', NULL, 'and changes nothing beside the functions');
SET LOCAL ROLE cityhub_read;
SELECT throws_ok($$SELECT onemap.no_value_set(1)$$, '42501', NULL, 'who may only read sets no code');
SELECT throws_ok($$SELECT onemap.place_extent_set('{"margin_km": 1}')$$, '42501', NULL, 'and no extent');
RESET ROLE;
SELECT is((SELECT array_agg(DISTINCT c.relname::text ORDER BY c.relname::text) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
           WHERE p.proname = 'plausible_notify'), '{grid_cell,no_value_code,setting}', 'the hub hears of each change');

-- ---- telemetry outside the county ----
SELECT onemap.partition_ensure('2026-04-01');
SELECT onemap.stage_create();
CREATE FUNCTION pg_temp.point(x float8, y float8) RETURNS public.geometry LANGUAGE sql AS $$ SELECT public.ST_SetSRID(public.ST_MakePoint(x, y), 4326) $$;
CREATE FUNCTION pg_temp.track(device int, at text, inside public.geometry, outside public.geometry) RETURNS text LANGUAGE plpgsql AS $$
DECLARE stamp timestamptz := clock_timestamp();
BEGIN
    TRUNCATE pg_temp.track_point_stage RESTART IDENTITY;
    INSERT INTO pg_temp.track_point_stage (device_id, observed_at, received_at, geom, geom_outside) VALUES (device, at::timestamptz, stamp, inside, outside);
    PERFORM onemap.track_point_settle(stamp);
    RETURN (SELECT concat_ws(' ', public.ST_X(p.geom), public.ST_X(p.geom_outside), (SELECT count(*) FROM onemap.observation_revision r WHERE r.device_id = device))
            FROM onemap.track_point p WHERE p.device_id = device AND p.observed_at = at::timestamptz);
END $$;
SELECT is(pg_temp.track(50, '2026-04-01 08:00Z', NULL, pg_temp.point(-114.5, 34.5)), '-114.5 0', 'a place outside is stored apart');
SELECT is((SELECT geom FROM onemap.track_point WHERE device_id = 50), NULL, 'where no map sees it');
SELECT is(pg_temp.track(50, '2026-04-01 08:00Z', NULL, pg_temp.point(-114.5, 34.5)), '-114.5 0', 'the same again changes nothing');
SELECT is(pg_temp.track(50, '2026-04-01 08:00Z', pg_temp.point(114.75, 34.5), NULL), '114.75 1', 'put right: a revision');
SELECT throws_ok($$INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at) VALUES (51, '2026-04-01 08:00Z', now())$$, '23514', NULL, 'a point is somewhere');

-- ---- inventory, staff, work, cases ----
SELECT onemap.vendor_put('streetlight', 'v', '{}'), onemap.vendor_put('streetlight', 'quiet', '{"receipts": "problems"}');
CREATE FUNCTION pg_temp.store(kind text, records jsonb, more jsonb DEFAULT '{}', the_vendor text DEFAULT 'v') RETURNS jsonb LANGUAGE plpgsql AS $$
-- records: [{record, fields}]; returns the receipt
DECLARE numbered jsonb; before bigint := coalesce((SELECT max(id) FROM onemap.outbox), 0);
BEGIN
    SELECT coalesce(jsonb_agg(jsonb_build_object('index', n - 1, 'bad_fields', coalesce(jsonb_array_length(r->'fields'), 0)) || r ORDER BY n), '[]') INTO numbered FROM jsonb_array_elements(records) WITH ORDINALITY e(r, n);
    PERFORM onemap.message_store(jsonb_build_object('subsystem', 'streetlight', 'vendor', the_vendor, 'kind', kind, 'topic', 't', 'message', 'm', 'received_at_ms', 1774000000000,
        'records', numbered, 'total', jsonb_array_length(records)) || more, '\x00');
    RETURN (SELECT to_jsonb(r) FROM onemap.receipt r WHERE r.outbox_id > before);
END $$;
CREATE FUNCTION pg_temp.one(record jsonb, fields jsonb DEFAULT '[]') RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_array(jsonb_build_object('record', record, 'fields', fields)) $$;
CREATE FUNCTION pg_temp.told(receipt jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', receipt->>'records', (receipt->>'accepted')::int + (receipt->>'merged')::int + (receipt->>'revised')::int, receipt->>'duplicates', receipt->>'rejected', receipt->>'bad_fields', receipt->>'warned',
        (SELECT string_agg(concat_ws('/', p->>'index', p->>'field', p->>'code'), ' ' ORDER BY n) FROM jsonb_array_elements(receipt->'problems') WITH ORDINALITY e(p, n))) $$;
CREATE FUNCTION pg_temp.place(the_table regclass, the_code text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
    EXECUTE format('SELECT concat_ws('' '', public.ST_X(geom), ''outside '' || public.ST_X(geom_outside)) FROM %s WHERE code = $1', the_table) INTO found USING the_code;
    RETURN found;
END $$;

SELECT is(pg_temp.told(pg_temp.store('inventory', pg_temp.one('{"device_code": "a", "kind": "lamp", "lon": 114.75, "lat": 34.5}'))), '1 1 0 0 0 0', 'a device in its place');
SELECT is(pg_temp.told(pg_temp.store('inventory', pg_temp.one('{"device_code": "a", "kind": "lamp", "outside_lon": 34.5, "outside_lat": 114.75}'), '{"warned": 1}')), '1 1 0 0 0 1',
    'the same with a place outside: it is stored beside it');
SELECT is(pg_temp.place('onemap.device', 'a'), '114.75 outside 34.5', 'its place stays, what was said is beside it');
SELECT is(pg_temp.told(pg_temp.store('inventory', pg_temp.one('{"device_code": "a", "kind": "lamp", "name": "灯"}'))), '1 1 0 0 0 0', 'a message without a place');
SELECT is(pg_temp.place('onemap.device', 'a'), '114.75 outside 34.5', 'says nothing of it');
SELECT is(pg_temp.told(pg_temp.store('inventory', pg_temp.one('{"device_code": "a", "kind": "lamp", "lon": 114.76, "lat": 34.5}'))), '1 1 0 0 0 0', 'put right');
SELECT is(pg_temp.place('onemap.device', 'a'), '114.76', 'the flag is gone');
SELECT is(pg_temp.told(pg_temp.store('inventory', pg_temp.one('{"device_code": "b", "kind": "lamp", "outside_lon": 0, "outside_lat": 34.5}'))), '1 1 0 0 0 0', 'a new device outside');
SELECT is(pg_temp.place('onemap.device', 'b'), 'outside 0', 'has no place');
SELECT is((SELECT grid_cell FROM onemap.device WHERE code = 'b'), NULL, 'and no grid cell');
SELECT is(pg_temp.told(pg_temp.store('staff', '[{"record": {"kind": "PERSON", "code": "p", "observed_at_ms": 1000, "outside_lon": -114.75, "outside_lat": 34.5}},
    {"record": {"kind": "VEHICLE", "code": "c", "observed_at_ms": 1000, "outside_lon": -114.75, "outside_lat": 34.5}},
    {"record": {"kind": "PERSON", "code": "p", "observed_at_ms": 500, "lon": 114.75, "lat": 34.5}}]')), '3 2 1 0 0 0', 'staff; the last is older than what is known');
SELECT is(pg_temp.place('onemap.person', 'p') || ', ' || pg_temp.place('onemap.vehicle', 'c'), 'outside -114.75, outside -114.75', 'outside, and an older place changes nothing');
SELECT is(pg_temp.told(pg_temp.store('work', pg_temp.one('{"work_code": "w", "status": "STARTED", "observed_at_ms": 1000, "outside_lon": 114.75, "outside_lat": 0}'))), '1 1 0 0 0 0', 'a work order');
SELECT is(pg_temp.place('onemap.work_order', 'w'), 'outside 114.75', 'outside');

-- ---- bad fields ----
SELECT is(pg_temp.told(pg_temp.store('inventory', pg_temp.one('{"device_code": "d", "kind": "lamp"}', '[{"field": "name", "code": "bad_text", "reason": "r"}]'))),
    '1 1 0 0 1 0 0/name/bad_text', 'a field that could not be read: the record counts as accepted, the field is named');
SELECT is((SELECT code || ' ' || reason || ' ' || (problems->0->>'field') || ' ' || record_count FROM onemap.quarantine), 'bad_text r name 1', 'the message is kept');
DELETE FROM onemap.quarantine;
SELECT is(pg_temp.told(pg_temp.store('inventory', '[{"record": {"device_code": "e", "kind": "lamp", "parent_code": "nothing", "department_code": "nowhere"}},
    {"record": {"device_code": "f", "kind": "tree", "parent_code": "nothing"}, "fields": [{"field": "name", "code": "bad_text", "reason": "r"}]}]')),
    '2 1 0 1 2 0 0/parent_code/unknown_reference 0/department_code/unknown_reference 1/unknown_reference', 'what nobody knows costs that field; of a refused record only why it was refused is told');
SELECT is((SELECT ROW(parent_id, department_id)::text FROM onemap.device WHERE code = 'e'), '(,)', 'the device is there without them');
SELECT is(pg_temp.told(pg_temp.store('staff', pg_temp.one('{"kind": "PERSON", "code": "q", "on_duty": true, "observed_at_ms": 1, "device_code": "nothing", "department_code": "nowhere"}'))),
    '1 1 0 0 2 0 0/department_code/unknown_reference 0/device_code/unknown_reference', 'staff likewise');
SELECT is((SELECT on_duty FROM onemap.person WHERE code = 'q'), true, 'whose state is stored');
SELECT is(pg_temp.told(pg_temp.store('work', '[{"record": {"work_code": "x", "status": "STARTED", "observed_at_ms": 1, "department_code": "nowhere"}},
    {"record": {"work_code": "y", "status": "STARTED", "observed_at_ms": 1, "person_code": "nobody"}}]')),
    '2 1 0 1 1 0 0/department_code/unknown_reference 1/unknown_reference', 'an order without its person would say that there was none');
-- Times the wrong way round: within a record, and with what is known of the order.
SELECT is(pg_temp.told(pg_temp.store('work', pg_temp.one('{"work_code": "t", "status": "FINISHED", "observed_at_ms": 10, "started_ms": 2000, "finished_ms": 1000, "planned_start_ms": 9000, "planned_end_ms": 8000}'))),
    '1 1 0 0 2 0 0/planned_end_ms/bad_value 0/finished_ms/bad_value', 'an end before its beginning costs the end alone');
SELECT is((SELECT problems->1->>'reason' FROM onemap.receipt ORDER BY outbox_id DESC LIMIT 1),
    'finished_ms: 1970-01-01 08:00:01.000 is before started_ms, 1970-01-01 08:00:02.000 (the county''s time)', 'and is told without names of constraints');
SELECT is(pg_temp.told(pg_temp.store('work', pg_temp.one('{"work_code": "t", "status": "FINISHED", "observed_at_ms": 11, "finished_ms": 1500}'))), '1 1 0 0 1 0 0/finished_ms/bad_value',
    'before the beginning that is known');
SELECT is(pg_temp.told(pg_temp.store('work', pg_temp.one('{"work_code": "t", "status": "FINISHED", "observed_at_ms": 12, "finished_ms": 2000}'))), '1 1 0 0 0 0', 'at the same time it is none');
SELECT is(pg_temp.told(pg_temp.store('work', pg_temp.one('{"work_code": "t", "status": "FINISHED", "observed_at_ms": 13, "started_ms": 3000, "quantity": 7}'))), '1 1 0 0 1 0 0/started_ms/bad_value',
    'a beginning after the end that is known');
SELECT is((SELECT ROW(started_at, finished_at, quantity)::text FROM onemap.work_order WHERE code = 't'),
    ROW(to_timestamp(2), to_timestamp(2), 7::float8)::text, 'what is not wrong is stored');
SELECT is(pg_temp.store('work', pg_temp.one('{"work_code": "u", "status": "FINISHED", "observed_at_ms": 1, "quality_score": 101}'))->'problems'->0->>'reason',
    'values of the record contradict each other, or what is stored already; the log of the county''s database says more', 'the database''s own rules, should one be met, are not named either');
-- A case that nobody can work on.
SELECT onemap.case_catalogue_import('[{"line": 2, "code": "20101", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "有暴露垃圾", "limit": "1",
    "unit": "工作日", "closing_condition": "清除", "responsible": "@grid", "source": "assumed"}]', 'for the test');
SELECT is(pg_temp.told(pg_temp.store('case', jsonb_build_array(jsonb_build_object('record', '{"case_code": "n1", "occurred_at_ms": 1}'::jsonb),
        jsonb_build_object('record', '{"case_code": "n2", "occurred_at_ms": 1, "severity": "major", "title": "  ", "device_code": "nothing"}'::jsonb)))),
    '2 0 0 2 0 0 0/bad_value 1/bad_value', 'a case without any content is refused, and one of which nothing is left');
SELECT matches((SELECT problems->0->>'reason' FROM onemap.receipt ORDER BY outbox_id DESC LIMIT 1), '^a case without any content', 'and told why');
SELECT is((SELECT count(*)::int FROM onemap.case_inbox WHERE code LIKE 'n_'), 0, 'and waits for nobody');
DROP FUNCTION IF EXISTS onemap.case_report_from_subsystem(text, text, jsonb);
CREATE FUNCTION onemap.case_report_from_subsystem(subsystem text, vendor text, record jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
SELECT is(pg_temp.told(pg_temp.store('case', pg_temp.one('{"case_code": "k", "occurred_at_ms": 1, "title": "t", "lon": 114.75, "lat": 34.5, "device_code": "nothing", "category_code": "99999"}'))),
    '1 1 0 0 2 0 0/device_code/unknown_reference 0/category_code/unknown_reference', 'a case is reported without what nobody knows');
SELECT is((SELECT record - 'occurred_at_ms' FROM onemap.case_inbox WHERE code = 'k'), '{"case_code": "k", "title": "t", "lon": 114.75, "lat": 34.5}'::jsonb, 'so the acceptor sees it');

SELECT is(pg_temp.told(pg_temp.store('inventory', '[{"record": {"device_code": "h", "kind": "lamp"}, "fields": [], "bad_fields": 3}]')), '1 1 0 0 3 0', 'those that the hub lists no more are counted');

-- Lists have ends, counts have none.
SELECT is((SELECT ROW(r->>'accepted', r->>'bad_fields', jsonb_array_length(r->'problems'))::text FROM pg_temp.store('inventory', (SELECT jsonb_agg(jsonb_build_object(
    'record', jsonb_build_object('device_code', 'n' || n, 'kind', 'lamp'), 'fields', '[{"field": "name", "code": "bad_text", "reason": "r"}]'::jsonb)) FROM generate_series(1, 1005) n)) r),
    '(1005,1005,1000)', 'a thousand bad fields are listed, all are counted');
SELECT is((SELECT ROW(r->>'rejected', jsonb_array_length(r->'problems'))::text FROM pg_temp.store('inventory', (SELECT jsonb_agg(jsonb_build_object(
    'record', jsonb_build_object('device_code', 'n' || n, 'kind', 'tree'))) FROM generate_series(1, 1005) n)) r), '(1005,1000)', 'refused records likewise');

-- Who wants to hear of problems alone hears of warnings, too.
SELECT is(pg_temp.store('inventory', pg_temp.one('{"device_code": "g", "kind": "lamp"}'), '{}', 'quiet'), NULL, 'nothing to tell');
SELECT is(pg_temp.told(pg_temp.store('inventory', pg_temp.one('{"device_code": "g", "kind": "lamp", "outside_lon": 1, "outside_lat": 1}'),
    '{"warned": 1, "warnings": [{"index": 0, "code": "place_outside", "field": "position", "reason": "r"}]}', 'quiet')), '1 1 0 0 0 1', 'a warning');
SELECT is((SELECT warnings->0->>'field' FROM onemap.receipt ORDER BY outbox_id DESC LIMIT 1), 'position', 'with its field');
SELECT is((SELECT count(*)::int FROM onemap.quarantine WHERE vendor = 'quiet'), 0, 'which is no problem: nothing goes to quarantine');
SELECT * FROM finish();
ROLLBACK;
