-- The other kinds of message: inventory, staff, work, case. Every record is judged alone; a bad one goes to quarantine with
-- its reason while the others stay.
BEGIN;
SELECT plan(157);
-- The case module, which takes over reported problems, needs a catalogue and has tests of its own; this stands in for it.
DROP FUNCTION IF EXISTS onemap.case_report_from_subsystem(text, text, jsonb);
CREATE FUNCTION onemap.case_report_from_subsystem(subsystem text, vendor text, record jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
INSERT INTO onemap.department (code, name_zh, kind) VALUES ('street', '街道', 'street'), ('owner', '权属单位', 'county'), ('north', '北街道', 'street');
INSERT INTO onemap.grid_cell (code, department_id, geom)
SELECT v.code, (SELECT id FROM onemap.department WHERE code = v.department), public.ST_Multi(public.ST_MakeEnvelope(113, v.y, 114, v.y + 1, 4326))
FROM (VALUES ('410382001001001', 'street', 34), ('410382001001002', 'north', 35)) v(code, department, y);
SELECT onemap.vendor_put('streetlight', 'v', '{}'), onemap.vendor_put('streetlight', 'quiet', '{"receipts": "problems"}'), onemap.vendor_put('streetlight', 'w', '{}');

-- One record as a message of its own: its fate; raises what is wrong with it or with one of its fields.
CREATE FUNCTION pg_temp.put(kind text, record jsonb, since timestamptz DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s record; problem jsonb;
BEGIN
    s := onemap.message_store(jsonb_strip_nulls(jsonb_build_object('subsystem', 'streetlight', 'vendor', 'v', 'kind', kind, 'topic', 'put', 'message', 'm', 'received_at_ms', 1774000000000, 'ahead_s', 300,
        'first_received_ms', (extract(epoch FROM since) * 1000)::bigint, 'total', 1)) || jsonb_build_object('records', jsonb_build_array(jsonb_build_object('index', 0, 'record', record))), '\x00');
    DELETE FROM onemap.quarantine q WHERE q.topic = 'put' RETURNING q.problems->0 INTO problem;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%', problem->>'reason' USING ERRCODE = CASE problem->>'code' WHEN 'unknown_reference' THEN 'CH002' WHEN 'bad_value' THEN 'CH013' ELSE '23514' END;
    END IF;
    RETURN CASE 1 WHEN s.accepted THEN 'accepted' WHEN s.duplicates THEN 'duplicate' WHEN s.merged THEN 'merged' WHEN s.revised THEN 'revised' END;
END $$;

-- Inventory.
CREATE FUNCTION pg_temp.device(the_code text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', d.kind, d.name_zh, d.status, d.component_code, d.grid_cell, p.code, (SELECT x.code FROM onemap.device x WHERE x.id = d.parent_id), d.attributes)
    FROM onemap.device d LEFT JOIN onemap.department p ON p.id = d.department_id WHERE d.subsystem = 'streetlight' AND d.code = the_code $$;
CREATE FUNCTION pg_temp.inventory(record jsonb) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.put('inventory', record) $$;
SELECT is(pg_temp.inventory('{"device_code": "cab-1", "kind": "cabinet", "name": "配电箱", "lon": 113.5, "lat": 34.5}'), 'accepted', 'a new device');
SELECT is(pg_temp.device('cab-1'), 'cabinet 配电箱 active 410382001001001 street {}', 'active, with cell and department by its place');
SELECT is(pg_temp.inventory('{"device_code": "cab-1", "kind": "cabinet", "name": "配电箱", "lon": 113.5, "lat": 34.5}'), 'duplicate', 'the same again');
SELECT is(pg_temp.inventory('{"device_code": "cab-1", "kind": "cabinet"}'), 'duplicate', 'a part of it');
SELECT is(pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp", "parent_code": "cab-1", "component_code": "4103820101000001", "department_code": "owner",
    "attributes": [{"key": "power_w", "value": "150"}, {"key": "pole", "value": "A7"}], "lon": 113.5, "lat": 34.5}'), 'accepted', 'a lamp with all that can be said');
SELECT is(pg_temp.device('lamp-1'), 'lamp  active 4103820101000001 410382001001001 owner cab-1 {"pole": "A7", "power_w": "150"}', 'is stored');
SELECT is(pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp", "name": "灯", "attributes": [{"key": "power_w", "value": "100"}]}'), 'revised', 'a change');
SELECT is(pg_temp.device('lamp-1'), 'lamp 灯 active 4103820101000001 410382001001001 owner cab-1 {"pole": "A7", "power_w": "100"}', 'leaves alone what it does not name');
SELECT is(pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp", "department_code": "street"}'), 'revised', 'another owner');
SELECT is(pg_temp.inventory('{"device_code": "cab-1", "kind": "cabinet", "lon": 113.5, "lat": 35.5}'), 'revised', 'moved');
SELECT is(pg_temp.device('cab-1'), 'cabinet 配电箱 active 410382001001002 north {}', 'to another cell and its department');
SELECT is(pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp", "retired": true}'), 'revised', 'retired');
SELECT is(pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp", "retired": true}'), 'duplicate', 'retired before');
SELECT is((SELECT status FROM onemap.device WHERE code = 'lamp-1'), 'retired', 'out of use');
SELECT is(pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp", "retired": null}'), 'duplicate', 'whether it is could not be read: it stays what it was');
SELECT is((SELECT status FROM onemap.device WHERE code = 'lamp-1'), 'retired', 'out of use still');
SELECT throws_ok($$SELECT pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp", "retired": true, "parent_code": "lamp-1"}')$$, 'CH013',
    'parent_code: no device is its own parent', 'a device is not its own parent');
SELECT is((SELECT p.code FROM onemap.device d JOIN onemap.device p ON p.id = d.parent_id WHERE d.code = 'lamp-1'), 'cab-1', 'and keeps the one that it has');
-- Parents in a circle, of two by one message and of three by two, are stored as they are told: whoever reads them looks one level up or down.
SAVEPOINT circle;
SELECT pg_temp.inventory(r) FROM jsonb_array_elements('[{"device_code": "c1", "kind": "cabinet"}, {"device_code": "c2", "kind": "cabinet", "parent_code": "c1"},
    {"device_code": "c1", "kind": "cabinet", "parent_code": "c2"}, {"device_code": "c3", "kind": "lamp", "parent_code": "c2"}, {"device_code": "c1", "kind": "cabinet", "parent_code": "c3"}]') r;
SELECT is((SELECT string_agg(d.code || ' ' || p.code, ', ' ORDER BY d.code) FROM onemap.device d JOIN onemap.device p ON p.id = d.parent_id WHERE d.code ~ '^c[123]$'),
    'c1 c3, c2 c1, c3 c2', 'three devices, each below the next');
SET LOCAL statement_timeout = '10s';
SELECT is((SELECT count(*)::int FROM onemap.streetlight_lighting_now n JOIN onemap.device d ON d.id = n.cabinet_id WHERE d.code ~ '^c[123]$'), 1, 'the rate of a cabinet counts what hangs on it');
SELECT is((SELECT count(*)::int FROM onemap.streetlight_lamps(now()) l JOIN onemap.device d ON d.id = l.lamp_id WHERE d.code ~ '^c[123]$'), 1, 'once');
SELECT is_empty($$SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'onemap'::regnamespace AND p.prosrc ~* '\mrecursive\M' AND p.prosrc ~ 'onemap\.device\M'
        AND p.prosrc ~ 'parent_id'
    UNION SELECT v.viewname::text FROM pg_catalog.pg_views v WHERE v.schemaname = 'onemap' AND v.definition ~* '\mrecursive\M' AND v.definition ~ '\mdevice\M' AND v.definition ~ 'parent_id'$$,
    'nobody goes up from device to device without end');
ROLLBACK TO circle;
SELECT is(pg_temp.inventory('{"device_code": "lamp-1", "kind": "lamp"}'), 'revised', 'and in use again');
SELECT onemap.device_register('[{"id": 700001, "subsystem": "streetlight", "vendor": "v", "code": "seen"}]');
SELECT is(pg_temp.inventory('{"device_code": "seen", "kind": "lamp", "lon": 113.1, "lat": 34.1}'), 'accepted', 'an inventory of a pending device');
SELECT is((SELECT id || ' ' || status FROM onemap.device WHERE code = 'seen'), '700001 active', 'makes it active under its id');
SELECT is(pg_temp.device('seen'), 'lamp  active 410382001001001 street {}', 'with its place');
SELECT is(pg_temp.inventory('{"device_code": "bare", "kind": "lamp"}'), 'accepted', 'a device of which little is known');
SELECT is(pg_temp.inventory('{"device_code": "bare", "kind": "lamp", "name": "新", "lon": 113.5, "lat": 34.5}'), 'merged', 'a name and a place are added');
SELECT is(pg_temp.inventory('{"device_code": "bare", "kind": "lamp", "lon": 113.6, "lat": 34.5}'), 'revised', 'the place is corrected');
UPDATE onemap.device SET updated_at = now() WHERE code = 'bare';
SELECT is(pg_temp.put('inventory', '{"device_code": "bare", "kind": "lamp", "name": "旧", "lon": 113.4, "lat": 34.5}', now() - interval '1 hour'), 'duplicate',
    'a replayed message from before undoes nothing');
SELECT is(pg_temp.put('inventory', '{"device_code": "bare", "kind": "lamp", "name": "旧", "component_code": "4103820101000009"}', now() - interval '1 hour'), 'merged',
    'and fills what is missing');
SELECT is((SELECT ROW(name_zh, component_code, public.ST_X(geom))::text FROM onemap.device WHERE code = 'bare'), '(新,4103820101000009,113.6)', 'no more');
SELECT is((onemap.message_store('{"subsystem": "streetlight", "vendor": "w", "kind": "inventory", "topic": "t", "message": "m", "received_at_ms": 1774000000000, "total": 1,
    "records": [{"index": 0, "record": {"device_code": "cab-1", "kind": "cabinet"}}]}', '')).accepted, 1, 'another vendor may use the same code');
SELECT throws_ok($$SELECT pg_temp.put('inventory', '{"device_code": "x", "kind": "tree"}')$$, 'CH002', NULL, 'a kind that the subsystem does not have');
SELECT throws_like($$SELECT pg_temp.put('inventory', '{"device_code": "x", "kind": "tree"}')$$, 'kind: streetlight has no device kind tree; it has %cabinet%', 'the reason names those it has');
SELECT throws_ok($$SELECT pg_temp.put('inventory', '{"device_code": "x"}')$$, 'CH002', NULL, 'no kind at all');
SELECT throws_ok($$SELECT pg_temp.put('inventory', '{"device_code": "x", "kind": "lamp", "component_code": "41038201"}')$$, 'CH002',
    'component_code: must be 16 digits (GB/T 30428.2), not 41038201', 'a component code of another length');
SELECT throws_ok($$SELECT pg_temp.inventory('{"device_code": "x", "kind": "lamp", "parent_code": "nothing"}')$$, 'CH002',
    'parent_code: there is no device nothing of this vendor; send its inventory, then this one again', 'a parent that is not known');
SELECT throws_ok($$SELECT pg_temp.inventory('{"device_code": "x", "kind": "lamp", "department_code": "nowhere"}')$$, 'CH002',
    'department_code: the county has no department nowhere', 'a department that the county does not have');
SELECT is((SELECT count(*)::int FROM onemap.device WHERE code = 'x'), 0, 'none of them is stored');

-- Staff.
CREATE FUNCTION pg_temp.staff(record jsonb) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.put('staff', record) $$;
SELECT is(pg_temp.staff('{"kind": "PERSON", "code": "p1", "name": "张三", "role": "电工", "on_duty": true, "observed_at_ms": 1000000, "lon": 113.5, "lat": 34.5, "device_code": "lamp-1"}'), 'accepted', 'a person');
SELECT is(pg_temp.staff('{"kind": "PERSON", "code": "p1", "on_duty": false, "observed_at_ms": 2000000}'), 'accepted', 'a later state');
SELECT is((SELECT ROW(name, role, on_duty, observed_at, public.ST_X(geom), device_id IS NOT NULL)::text FROM onemap.person WHERE code = 'p1'),
    ROW('张三', '电工', false, '1970-01-01 00:33:20Z'::timestamptz, 113.5, true)::text, 'leaves alone what it does not name');
SELECT is(pg_temp.staff('{"kind": "PERSON", "code": "p1", "on_duty": true, "observed_at_ms": 1500000}'), 'duplicate', 'an older state changes nothing');
SELECT is(pg_temp.staff('{"kind": "PERSON", "code": "p1", "on_duty": true, "observed_at_ms": 2000000}'), 'revised', 'one of the same time corrects it');
SELECT is((SELECT on_duty FROM onemap.person WHERE code = 'p1'), true, 'as one sees');
SELECT is(pg_temp.staff('{"kind": "PERSON", "code": "p1", "on_duty": true, "observed_at_ms": 2000000}'), 'duplicate', 'the same again');
SELECT is(pg_temp.staff('{"kind": "PERSON", "code": "p1", "lon": 113.6, "lat": 34.5, "observed_at_ms": 2000000}'), 'revised', 'another place');
SELECT is(pg_temp.put('staff', '{"kind": "PERSON", "code": "p1", "lon": 113.7, "lat": 34.5, "observed_at_ms": 2000000}', now()), 'duplicate',
    'a replayed message corrects nothing');
SELECT is((SELECT public.ST_X(geom) FROM onemap.person WHERE code = 'p1'), 113.6::float8, 'the correction stands');
SELECT is(pg_temp.staff('{"kind": "VEHICLE", "code": "p1", "plate": "豫C12345", "observed_at_ms": 1, "department_code": "street"}'), 'accepted', 'a vehicle may have the code of a person');
SELECT is((SELECT ROW(plate, on_duty)::text FROM onemap.vehicle WHERE code = 'p1'), '(豫C12345,)', 'what is not said is not known');
SELECT throws_ok($$SELECT pg_temp.staff('{"kind": "PERSON", "code": "p2", "observed_at_ms": 1, "device_code": "nothing"}')$$, 'CH002', NULL, 'a terminal that is not known');
SELECT throws_ok($$SELECT pg_temp.staff('{"kind": "PERSON", "code": "p2", "observed_at_ms": 1, "department_code": "nowhere"}')$$, 'CH002', NULL, 'a department that is not known');
SELECT throws_ok($$SELECT pg_temp.staff('{"kind": "PERSON", "code": "p2"}')$$, '23514', NULL, 'a state without its time');

-- Work.
CREATE FUNCTION pg_temp.work(record jsonb) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.put('work', record) $$;
SELECT is(pg_temp.work('{"work_code": "w1", "title": "换灯", "status": "PLANNED", "standard_code": "S1", "standard_name": "更换", "standard_requirement": "24 小时内",
    "planned_start_ms": 1000, "planned_end_ms": 2000, "person_code": "p1", "vehicle_code": "p1", "device_code": "lamp-1", "department_code": "owner", "observed_at_ms": 1000000}'), 'accepted', 'planned work');
SELECT is(pg_temp.work('{"work_code": "w1", "status": "FINISHED", "started_ms": 1500, "finished_ms": 1800, "quantity": 3, "quantity_unit": "盏", "quality_score": 95, "result": "完成", "observed_at_ms": 2000000}'), 'accepted', 'done');
SELECT is((SELECT ROW(w.title, w.status, s.requirement, s.source, p.name, v.plate, d.code, w.quantity, w.quantity_unit, w.quality_score, w.result, extract(epoch FROM w.planned_end))::text
    FROM onemap.work_order w JOIN onemap.work_standard s ON s.id = w.standard_id JOIN onemap.person p ON p.id = w.person_id JOIN onemap.vehicle v ON v.id = w.vehicle_id
    JOIN onemap.device d ON d.id = w.device_id WHERE w.code = 'w1'), '(换灯,FINISHED,"24 小时内",v,张三,豫C12345,lamp-1,3,盏,95,完成,2.000000)', 'what was to be done, by whom, by which standard, how it went');
SELECT is(pg_temp.work('{"work_code": "w1", "status": "STARTED", "observed_at_ms": 1500000}'), 'duplicate', 'an older state changes nothing');
SELECT is(pg_temp.work('{"work_code": "w2", "status": "STARTED", "standard_code": "S1", "standard_name": "另一个", "observed_at_ms": 1}'), 'accepted', 'a standard that is known');
SELECT is((SELECT name FROM onemap.work_standard WHERE code = 'S1'), '更换', 'keeps its text');
SELECT throws_ok($$SELECT pg_temp.work('{"work_code": "w3", "status": "STARTED", "standard_code": "S2", "observed_at_ms": 1}')$$, 'CH002',
    'standard_code: the standard S2 is unknown; give standard_name and standard_requirement with it', 'a standard that nobody described');
SELECT throws_ok($$SELECT pg_temp.work('{"work_code": "w3", "status": "STARTED", "person_code": "p9", "observed_at_ms": 1}')$$, 'CH002', NULL, 'a person that is not known');
SELECT throws_ok($$SELECT pg_temp.work('{"work_code": "w3", "status": "STARTED", "vehicle_code": "p9", "observed_at_ms": 1}')$$, 'CH002', NULL, 'a vehicle that is not known');
SELECT throws_ok($$SELECT pg_temp.work('{"work_code": "w3", "status": "LATER", "observed_at_ms": 1}')$$, '23514', NULL, 'a status that there is not');
SELECT throws_like($$SELECT pg_temp.work('{"work_code": "w4", "status": "PLANNED", "planned_start_ms": 2, "planned_end_ms": 1, "observed_at_ms": 1}')$$, 'planned_end_ms: % is before planned_start_ms%', 'a plan that ends before it begins');
SELECT throws_like($$SELECT pg_temp.work('{"work_code": "w4", "status": "FINISHED", "started_ms": 2, "finished_ms": 1, "observed_at_ms": 1}')$$, 'finished_ms: % is before started_ms%', 'work that ended before it began');
SELECT throws_ok($$SELECT pg_temp.work('{"work_code": "w3", "status": "FINISHED", "quality_score": 101, "observed_at_ms": 1}')$$, '23514', NULL, 'more than full marks');
SELECT is((SELECT count(*)::int FROM onemap.work_order WHERE code = 'w3'), 0, 'none of them is stored');
SELECT is((SELECT count(*)::int FROM onemap.work_standard), 1, 'nor a standard of them');

-- A clock that was ahead: what it left gives way to whatever comes, and the order is by time again. What is ahead as far as it may be stays.
CREATE FUNCTION pg_temp.ms(shift interval) RETURNS bigint LANGUAGE sql AS $$ SELECT (extract(epoch FROM now() + shift) * 1000)::bigint $$;
SELECT pg_temp.staff(jsonb_build_object('kind', 'PERSON', 'code', 'p5', 'on_duty', true, 'observed_at_ms', pg_temp.ms('2 days')));
SELECT is(pg_temp.staff(jsonb_build_object('kind', 'PERSON', 'code', 'p5', 'on_duty', false, 'observed_at_ms', pg_temp.ms('-1 minute'))), 'accepted', 'of a person');
SELECT is(pg_temp.staff(jsonb_build_object('kind', 'PERSON', 'code', 'p5', 'on_duty', true, 'observed_at_ms', pg_temp.ms('-2 minutes'))), 'duplicate', 'who is right again');
SELECT is((SELECT on_duty FROM onemap.person WHERE code = 'p5'), false, 'as last told');
SELECT pg_temp.staff(jsonb_build_object('kind', 'VEHICLE', 'code', 'v5', 'on_duty', true, 'observed_at_ms', pg_temp.ms('1 hour')));
SELECT is(pg_temp.staff(jsonb_build_object('kind', 'VEHICLE', 'code', 'v5', 'on_duty', false, 'observed_at_ms', pg_temp.ms('0'))), 'accepted', 'of a vehicle');
SELECT pg_temp.work(jsonb_build_object('work_code', 'w5', 'status', 'FINISHED', 'observed_at_ms', pg_temp.ms('2 days')));
SELECT is(pg_temp.put('work', jsonb_build_object('work_code', 'w5', 'status', 'STARTED', 'observed_at_ms', pg_temp.ms('-1 minute')), now() - interval '1 minute'), 'accepted',
    'of work, by a replay, too');
SELECT pg_temp.staff(jsonb_build_object('kind', 'PERSON', 'code', 'p6', 'on_duty', true, 'observed_at_ms', pg_temp.ms('4 minutes')));
SELECT is(pg_temp.staff(jsonb_build_object('kind', 'PERSON', 'code', 'p6', 'on_duty', false, 'observed_at_ms', pg_temp.ms('0'))), 'duplicate', 'within what is allowed the later one stands');
SELECT is((SELECT count(*)::int FROM onemap.work_order WHERE code = 'w5' AND status = 'STARTED'), 1, 'work is as last told');

-- Case.
CREATE TEMP TABLE problem AS SELECT jsonb_strip_nulls(jsonb_build_object('case_code', 'k1', 'occurred_at_ms', (extract(epoch FROM now()) * 1000)::bigint, 'title', '灯杆倾斜',
    'category_code', (SELECT min(c.code) FROM onemap.case_category c), 'lon', 113.5, 'lat', 34.5, 'device_code', 'lamp-1')) AS record;
SELECT is((SELECT onemap.case_put('streetlight', 'v', record) FROM problem), 'accepted', 'a problem');
SELECT is((SELECT onemap.case_put('streetlight', 'v', record) FROM problem), 'duplicate', 'reported twice');
SELECT is((SELECT onemap.case_put('streetlight', 'w', record - 'device_code') FROM problem), 'accepted', 'another vendor''s problem of the same code');
SELECT is((SELECT array_agg(vendor || ' ' || (record->>'title') ORDER BY vendor) FROM onemap.case_inbox), '{"v 灯杆倾斜","w 灯杆倾斜"}', 'kept as they were reported');
SELECT throws_ok($$SELECT onemap.case_put('streetlight', 'v', record || jsonb_build_object('case_code', repeat('k', 129))) FROM problem$$, '23514', NULL, 'a code that is too long');

-- What is the server's fault is no record's: the whole batch is taken again.
CREATE FUNCTION pg_temp.fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'made to fail' USING ERRCODE = NEW.record->>'title'; END $$;
CREATE TRIGGER fault BEFORE INSERT ON onemap.case_inbox FOR EACH ROW WHEN (NEW.code = 'fault') EXECUTE FUNCTION pg_temp.fault();
SELECT throws_ok(format('SELECT pg_temp.put(''case'', %L)', p.record || jsonb_build_object('case_code', 'fault', 'title', f.state)), f.told, NULL, f.state || ' is ' || f.whose)
FROM problem p, (VALUES ('58030', '58030', 'the disk''s fault'), ('25006', '25006', 'a standby''s'), ('53100', '53100', 'a full disk''s'), ('57P01', '57P01', 'a shutdown''s'),
    ('22003', '23514', 'the record''s'), ('XX000', '23514', 'the record''s')) AS f (state, told, whose);
DROP TRIGGER fault ON onemap.case_inbox;

-- A whole message.
CREATE FUNCTION pg_temp.store(the_vendor text, kind text, records jsonb, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE plpgsql AS $$
-- returns the receipt
DECLARE numbered jsonb; before bigint := coalesce((SELECT max(id) FROM onemap.outbox), 0);
BEGIN
    SELECT coalesce(jsonb_agg(jsonb_build_object('index', n - 1, 'record', r) ORDER BY n), '[]') INTO numbered FROM jsonb_array_elements(records) WITH ORDINALITY e(r, n);
    PERFORM onemap.message_store(jsonb_build_object('subsystem', 'streetlight', 'vendor', the_vendor, 'kind', kind, 'topic', 'cityhub/v1/streetlight/' || the_vendor || '/' || kind,
        'message', 'm-1', 'received_at_ms', 1774000000000, 'records', numbered, 'total', jsonb_array_length(records)) || more, '\x00ff01');
    RETURN (SELECT to_jsonb(r) FROM onemap.receipt r WHERE r.outbox_id > before);
END $$;
CREATE FUNCTION pg_temp.counts(receipt jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', receipt->>'records', receipt->>'accepted', receipt->>'duplicates', receipt->>'rejected') $$;
CREATE TEMP TABLE receipt (r jsonb);
INSERT INTO receipt SELECT pg_temp.store('v', 'inventory', '[{"device_code": "m1", "kind": "lamp"}, {"device_code": "m2", "kind": "tree"}, {"device_code": "lamp-1", "kind": "lamp"},
    {"device_code": "m3", "kind": "lamp", "lon": 113.5, "lat": 34.5}, {"kind": "lamp"}, {"device_code": "m4", "kind": "lamp", "parent_code": "m1"}]');
SELECT is((SELECT pg_temp.counts(r) FROM receipt), '6 3 1 2', 'good and bad records: three accepted, one known, two refused');
SELECT is((SELECT ROW(r->>'subsystem', r->>'vendor', r->>'kind', r->>'message', r->>'merged', r->>'revised', r->'warnings')::text FROM receipt),
    ROW('streetlight', 'v', 'inventory', 'm-1', '0', '0', '[]'::jsonb)::text, 'the receipt says which message');
SELECT is((SELECT array_agg(p->>'index' || ' ' || (p->>'code') ORDER BY n) FROM receipt, jsonb_array_elements(r->'problems') WITH ORDINALITY e(p, n)),
    '{"1 unknown_reference","4 refused_by_database"}', 'and which records, and why');
SELECT is((SELECT array_agg(code ORDER BY code) FROM onemap.device WHERE code LIKE 'm_'), '{m1,m3,m4}', 'the good ones are stored, also those after a bad one');
SELECT is((SELECT ROW(received_at, subsystem, vendor, kind, topic, payload, code, record_count, jsonb_array_length(problems))::text FROM onemap.quarantine),
    ROW('2026-03-20 09:46:40Z'::timestamptz, 'streetlight', 'v', 'inventory', 'cityhub/v1/streetlight/v/inventory', '\x00ff01'::bytea, 'unknown_reference', 6, 2)::text, 'the message is in quarantine, whole');
SELECT alike((SELECT reason FROM onemap.quarantine), 'kind: streetlight has no device kind tree; it has %', 'with the reason of the first bad record');
DELETE FROM onemap.quarantine;
SELECT is(pg_temp.counts(pg_temp.store('v', 'staff', '[{"kind": "PERSON", "code": "q", "observed_at_ms": 5}, {"kind": "PERSON", "code": "q", "observed_at_ms": 5}]')), '2 1 1 0', 'staff');
SELECT is(pg_temp.counts(pg_temp.store('v', 'work', '[{"work_code": "q", "status": "STARTED", "person_code": "q", "observed_at_ms": 5}]')), '1 1 0 0', 'work');
SELECT is(pg_temp.counts(pg_temp.store('v', 'case', (SELECT jsonb_build_array(record || '{"case_code": "k2"}', record || '{"case_code": "k1"}') FROM problem))), '2 1 1 0', 'case');
SELECT is((SELECT count(*)::int FROM onemap.quarantine), 0, 'without a problem nothing goes to quarantine');
SELECT is(pg_temp.counts(pg_temp.store('v', 'case', (SELECT jsonb_build_array(record || '{"case_code": "k2", "title": "另一个", "severity": "major"}', record, record || '{"case_code": "k3"}', record || '{"case_code": "k3", "lon": 113.6}',
    record - 'device_code' || '{"device_code": "nothing"}') FROM problem))), '5 1 1 3', 'of reports with a code that came before only those with the same content are duplicates');
SELECT is((SELECT jsonb_agg(p - 'reason' ORDER BY n) FROM (SELECT r.problems FROM onemap.receipt r ORDER BY r.outbox_id DESC LIMIT 1) r, jsonb_array_elements(r.problems) WITH ORDINALITY e(p, n)),
    '[{"index": 0, "code": "reported_before"}, {"index": 3, "code": "reported_before"}, {"index": 4, "code": "reported_before"}]', 'of the others the vendor is told');
SELECT is((SELECT r.problems->0->>'reason' FROM onemap.receipt r ORDER BY r.outbox_id DESC LIMIT 1),
    'case_code: k2 was reported before with other content (severity, title), which stands; report what is new under another code', 'with what differs');
SELECT is((SELECT ROW(code, record_count)::text FROM onemap.quarantine), '(reported_before,5)', 'and the message is kept');
SELECT is((SELECT array_agg(DISTINCT record->>'title') FROM onemap.case_inbox WHERE vendor = 'v'), '{灯杆倾斜}', 'what was reported stands');
DELETE FROM onemap.quarantine;
SELECT is(pg_temp.counts(pg_temp.store('v', 'poetry', '[{"a": 1}]')), '1 0 0 1', 'a kind that nothing stores is refused, not lost');
SELECT is((SELECT reason FROM onemap.quarantine), 'kind: nothing stores messages of kind poetry', 'and kept');
DELETE FROM onemap.quarantine;
SELECT is(pg_temp.store('quiet', 'inventory', '[{"device_code": "a", "kind": "lamp"}]'), NULL, 'a vendor who wants receipts of problems alone has none');
SELECT is((SELECT count(*)::int FROM onemap.device WHERE vendor = 'quiet'), 1, 'its record is stored');
SELECT is(pg_temp.counts(pg_temp.store('quiet', 'inventory', '[{"device_code": "b", "kind": "tree"}]')), '1 0 0 1', 'of problems it has one');
DELETE FROM onemap.quarantine;
SELECT is(pg_temp.counts(pg_temp.store('v', 'inventory', '[{"device_code": "z1", "kind": "lamp"}]',
    '{"problems": [{"index": 1, "code": "no_code", "reason": "r"}], "warnings": [{"index": 0, "code": "w", "reason": "q"}], "total": 2}')), '2 1 0 1', 'problems found while decoding are told with the others');
SELECT is((SELECT r.warnings->0->>'code' FROM onemap.receipt r ORDER BY r.outbox_id DESC LIMIT 1), 'w', 'so are warnings');
SELECT is((SELECT code || ' ' || record_count FROM onemap.quarantine), 'no_code 2', 'and the message is in quarantine');
DELETE FROM onemap.quarantine;
SELECT is(pg_temp.counts(pg_temp.store('v', 'inventory', '[]', '{"problems": [{"index": -1, "code": "malformed", "reason": "cut off"}]}')), '0 0 0 1', 'a message of which nothing could be read');
SELECT is((SELECT code FROM onemap.quarantine), 'malformed', 'is kept, too');
SELECT is(pg_temp.counts(pg_temp.store('v', 'inventory', '[]')), '0 0 0 0', 'an empty one has its receipt');

-- Many records of one object are worked out first, and what comes of all is stored. Each is judged as if it were
-- stored after the one before.
SELECT is(pg_temp.counts(pg_temp.store('v', 'staff', (SELECT jsonb_agg(jsonb_build_object('kind', 'PERSON', 'code', 'many', 'observed_at_ms', CASE n WHEN 30 THEN 5 ELSE 1000 + n END)
    || CASE WHEN n = 12 THEN '{"name": "十二"}'::jsonb WHEN n = 20 THEN '{"observed_at_ms": "x"}' ELSE '{}' END
    || CASE WHEN n % 2 = 0 THEN '{"on_duty": true}'::jsonb ELSE '{"on_duty": false}' END) FROM generate_series(1, 40) n))), '40 38 1 1', 'forty states of one person, one older, one bad');
SELECT is((SELECT ROW(name, on_duty, extract(epoch FROM observed_at))::text FROM onemap.person WHERE code = 'many'), '(十二,t,1.040000)', 'the last state stands, with what those before it said');
DELETE FROM onemap.quarantine;
SELECT is(pg_temp.counts(pg_temp.store('v', 'inventory', (SELECT jsonb_agg(jsonb_build_object('device_code', 'many', 'kind', 'lamp', 'name', 'n' || least(n, 30), 'attributes',
    jsonb_build_array(jsonb_build_object('key', 'a' || n % 3, 'value', n::text))) || CASE WHEN n = 35 THEN '{"retired": true}'::jsonb ELSE '{}' END) FROM generate_series(1, 40) n)
    || '[{"device_code": "after", "kind": "lamp", "parent_code": "many"}]')), '41 2 0 0', 'forty records of one device and one that builds on it: two new ones');
SELECT is((SELECT r.revised FROM onemap.receipt r ORDER BY r.outbox_id DESC LIMIT 1) + (SELECT r.merged FROM onemap.receipt r ORDER BY r.outbox_id DESC LIMIT 1), 39, 'the others added or corrected');
SELECT is((SELECT ROW(name_zh, status, attributes)::text FROM onemap.device WHERE code = 'many'), ROW('n30', 'active', '{"a0": "39", "a1": "40", "a2": "38"}'::jsonb)::text, 'as if one by one');
SELECT is((SELECT count(*)::int FROM onemap.device WHERE code = 'after' AND parent_id IS NOT NULL), 1, 'and what builds on it is there');
-- A standard that one of the many describes is known, though the next one names another; times are compared with what the records
-- before have brought.
SELECT is(pg_temp.counts(pg_temp.store('v', 'work', (SELECT jsonb_agg(jsonb_build_object('work_code', 'many', 'status', 'STARTED', 'observed_at_ms', n, 'standard_code', CASE n WHEN 15 THEN 'S15' ELSE 'S1' END)
    || CASE n WHEN 15 THEN '{"standard_name": "十五"}' WHEN 16 THEN '{"started_ms": 5000}' WHEN 60 THEN '{"finished_ms": 4000}' WHEN 61 THEN '{"status": "NEVER"}' ELSE '{}' END::jsonb
    ORDER BY n) FROM generate_series(1, 90) n))), '90 89 0 1', 'ninety states of one order, one bad');
SELECT is((SELECT name FROM onemap.work_standard WHERE code = 'S15'), '十五', 'a standard in the midst of them is stored');
SELECT is((SELECT jsonb_agg(p->'field' ORDER BY n) FROM (SELECT r.problems FROM onemap.receipt r ORDER BY r.outbox_id DESC LIMIT 1) r, jsonb_array_elements(r.problems) WITH ORDINALITY e(p, n)),
    '["finished_ms", null]', 'an end before the beginning that was told 44 records earlier is left out');
SELECT is((SELECT finished_at FROM onemap.work_order WHERE code = 'many'), NULL, 'and not stored');
-- Whatever a message holds: the same comes of it as of its records one after the other, and the same is told of each.
CREATE FUNCTION pg_temp.state(the_vendor text) RETURNS TABLE (state text) LANGUAGE sql AS $$
    SELECT (to_jsonb(d) - '{id,vendor,parent_id,created_at,updated_at,geom,geom_outside}'::text[])::text || concat_ws(' ', '', p.code, public.ST_AsText(d.geom), public.ST_AsText(d.geom_outside)) FROM onemap.device d LEFT JOIN onemap.device p ON p.id = d.parent_id WHERE d.vendor = $1
    UNION ALL SELECT (to_jsonb(p) - '{id,vendor,device_id,geom,geom_outside}'::text[])::text || concat_ws(' ', '', public.ST_AsText(p.geom), public.ST_AsText(p.geom_outside), p.device_id IS NULL) FROM onemap.person p WHERE p.vendor = $1
    UNION ALL SELECT (to_jsonb(v) - '{id,vendor,device_id,geom,geom_outside}'::text[])::text || concat_ws(' ', '', public.ST_AsText(v.geom), public.ST_AsText(v.geom_outside), v.device_id IS NULL) FROM onemap.vehicle v WHERE v.vendor = $1
    UNION ALL SELECT (to_jsonb(w) - '{id,vendor,device_id,geom,geom_outside}'::text[])::text || concat_ws(' ', '', public.ST_AsText(w.geom), public.ST_AsText(w.geom_outside), w.device_id IS NULL) FROM onemap.work_order w WHERE w.vendor = $1 $$;
CREATE FUNCTION pg_temp.told(receipt jsonb) RETURNS int[] LANGUAGE sql AS $$
    SELECT ARRAY[(r->>'accepted')::int, (r->>'duplicates')::int, (r->>'merged')::int, (r->>'revised')::int, (r->>'rejected')::int, (r->>'bad_fields')::int] FROM (SELECT receipt) x(r) $$;
CREATE FUNCTION pg_temp.random_record(kind text) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_strip_nulls(CASE kind
        WHEN 'inventory' THEN jsonb_build_object('device_code', (ARRAY['a', 'b', 'c'])[ceil(random() * 3)], 'kind', (ARRAY['lamp', 'lamp', 'cabinet', 'tree'])[ceil(random() * 4)],
            'name', (ARRAY['n', 'm', NULL])[ceil(random() * 3)], 'retired', (ARRAY[true, NULL, NULL])[ceil(random() * 3)], 'parent_code', (ARRAY['b', 'c', NULL, NULL])[ceil(random() * 4)],
            'attributes', CASE WHEN random() < 0.3 THEN jsonb_build_array(jsonb_build_object('key', 'k' || ceil(random() * 2), 'value', ceil(random() * 2)::text)) END)
        ELSE jsonb_build_object('code', (ARRAY['a', 'b'])[ceil(random() * 2)], 'work_code', (ARRAY['a', 'b'])[ceil(random() * 2)], 'kind', CASE kind WHEN 'staff' THEN (ARRAY['PERSON', 'VEHICLE'])[ceil(random() * 2)] END,
            'observed_at_ms', (ARRAY[1, 2, 3, 4, NULL])[ceil(random() * 5)], 'name', (ARRAY['n', 'm', NULL])[ceil(random() * 3)], 'device_code', (ARRAY['a', 'zz', NULL, NULL])[ceil(random() * 4)],
            'title', (ARRAY['t', 'u', NULL])[ceil(random() * 3)], 'status', CASE kind WHEN 'work' THEN (ARRAY['STARTED', 'FINISHED', 'NEVER'])[ceil(random() * 3)] END,
            'on_duty', (ARRAY[true, false, NULL])[ceil(random() * 3)], 'started_ms', (ARRAY[1, 5, NULL])[ceil(random() * 3)], 'finished_ms', (ARRAY[2, 7, NULL])[ceil(random() * 3)]) END)
        || CASE WHEN random() < 0.3 THEN jsonb_build_object('lon', 113 + ceil(random() * 2) / 10, 'lat', 34.5) WHEN random() < 0.2 THEN '{"outside_lon": 1, "outside_lat": 2}' ELSE '{}' END
        || CASE WHEN random() < 0.2 THEN jsonb_build_object('department_code', (ARRAY['street', 'owner', 'nowhere'])[ceil(random() * 3)]) ELSE '{}' END $$;
CREATE FUNCTION pg_temp.compare(kind text, replay jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE records jsonb; whole int[]; each_one int[] := '{0,0,0,0,0,0}'; r jsonb; one int[];
BEGIN
    DELETE FROM onemap.work_order WHERE vendor IN ('whole', 'single'); DELETE FROM onemap.person WHERE vendor IN ('whole', 'single'); DELETE FROM onemap.vehicle WHERE vendor IN ('whole', 'single');
    records := (SELECT jsonb_agg(pg_temp.random_record(kind)) FROM generate_series(1, 90));
    whole := pg_temp.told(pg_temp.store('whole', kind, records, replay));
    FOR r IN SELECT * FROM jsonb_array_elements(records) LOOP
        one := pg_temp.told(pg_temp.store('single', kind, jsonb_build_array(r), replay));
        each_one := ARRAY(SELECT a + b FROM unnest(each_one, one) x(a, b));
    END LOOP;
    RETURN CASE WHEN whole <> each_one THEN format('%s %s: %s instead of %s: %s', kind, replay, whole, each_one, records)
        ELSE (SELECT format('%s %s: %s: %s', kind, replay, string_agg(d.state, E'\n'), records) FROM ((SELECT 'whole ' || w.state FROM pg_temp.state('whole') w WHERE w.state NOT IN (SELECT s.state FROM pg_temp.state('single') s)) UNION ALL
            (SELECT 'single ' || s.state FROM pg_temp.state('single') s WHERE s.state NOT IN (SELECT w.state FROM pg_temp.state('whole') w))) d(state) HAVING count(*) > 0) END;
END $$;
SELECT onemap.vendor_put('streetlight', 'whole', '{}'), onemap.vendor_put('streetlight', 'single', '{}');
SELECT setseed(0.5);
SELECT is((SELECT string_agg(pg_temp.compare(kind, replay), E'\n') FROM generate_series(1, 3), unnest(ARRAY['inventory', 'staff', 'work']) kind, unnest(ARRAY['{}', '{"first_received_ms": 1774000000000}']::jsonb[]) replay), NULL,
    'messages of 90 records and each record alone');
DELETE FROM onemap.quarantine;
-- Bad ones are counted, a thousand are told.
SELECT is(pg_temp.counts(pg_temp.store('v', 'inventory', (SELECT jsonb_agg(jsonb_build_object('device_code', 'x' || n, 'kind', 'tree')) FROM generate_series(1, 1500) n))), '1500 0 0 1500', 'all are counted');
SELECT is((SELECT ROW(jsonb_array_length(problems), record_count)::text FROM onemap.quarantine), '(1000,1500)', 'a thousand are kept');
SELECT is((SELECT jsonb_array_length(r.problems) FROM onemap.receipt r ORDER BY r.outbox_id DESC LIMIT 1), 1000, 'and told');
DELETE FROM onemap.quarantine;

-- A state that comes again and again draws no new id; one that its table does not take costs its own records alone.
SELECT is(pg_temp.put('staff', '{"kind": "PERSON", "code": "ids-1", "observed_at_ms": 1}'), 'accepted', 'a person');
SELECT is(array_agg(pg_temp.put('staff', jsonb_build_object('kind', 'PERSON', 'code', 'ids-1', 'observed_at_ms', n))), array_fill('accepted'::text, '{5}'), 'five later states') FROM generate_series(2, 6) n;
SELECT is(pg_temp.put('staff', '{"kind": "PERSON", "code": "ids-2", "observed_at_ms": 1}'), 'accepted', 'another person');
SELECT is((SELECT max(id) - min(id) FROM onemap.person WHERE code LIKE 'ids-%'), 1, 'has the next id');
ALTER TABLE onemap.person ADD CONSTRAINT tested CHECK (name <> 'bad');
SELECT is(pg_temp.counts(pg_temp.store('v', 'staff', '[{"kind": "PERSON", "code": "t1", "name": "good", "observed_at_ms": 1}, {"kind": "PERSON", "code": "t2", "name": "good", "observed_at_ms": 1},
    {"kind": "PERSON", "code": "t2", "name": "bad", "observed_at_ms": 2}, {"kind": "PERSON", "code": "t2", "observed_at_ms": 1}, {"kind": "PERSON", "code": "t3", "observed_at_ms": 1}]')), '5 2 0 3', 'an object that is not stored');
SELECT is((SELECT jsonb_agg(p - 'reason' ORDER BY p->'index') FROM onemap.quarantine, jsonb_array_elements(problems) p), '[{"code": "refused_by_database", "index": 1}, {"code": "refused_by_database", "index": 2}, {"code": "refused_by_database", "index": 3}]', 'is refused with all its records');
SELECT is((SELECT array_agg(code ORDER BY code) FROM onemap.person WHERE code LIKE 't_'), '{t1,t3}', 'the others are stored');
DELETE FROM onemap.quarantine;
ALTER TABLE onemap.person DROP CONSTRAINT tested;

-- A deadlock, a lost server, a function that is not there yet are not the record's fault: the whole batch is taken again. Whatever else a
-- table says of one object, its neighbours are stored.
CREATE FUNCTION pg_temp.fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = NEW.name; END $$;
CREATE TRIGGER t BEFORE INSERT ON onemap.person FOR EACH ROW WHEN (NEW.name <> '') EXECUTE FUNCTION pg_temp.fails();
SELECT throws_ok(format($$SELECT pg_temp.store('v', 'staff', '[{"kind": "PERSON", "code": "u1", "observed_at_ms": 5}, {"kind": "PERSON", "code": "u2", "name": "%s", "observed_at_ms": 5}]')$$, s), s,
    NULL, s || ' ends the batch') FROM unnest('{40P01,42883,42501,3F000}'::text[]) s;
SELECT is(pg_temp.counts(pg_temp.store('v', 'staff', format('[{"kind": "PERSON", "code": "u-%1$s", "name": "%1$s", "observed_at_ms": 5}, {"kind": "PERSON", "code": "u+%1$s", "observed_at_ms": 5}]', s)::jsonb)),
    '2 1 0 1', s || ' is one object''s') FROM unnest('{P0001,XX000,CH013,22023}'::text[]) s;
DROP TRIGGER t ON onemap.person;
DELETE FROM onemap.quarantine;
ALTER FUNCTION onemap.record_point(jsonb) RENAME TO record_point_gone;
SELECT throws_ok($$SELECT pg_temp.store('v', 'inventory', '[{"device_code": "m9", "kind": "lamp"}]')$$, '42883', NULL, 'not migrated');
ALTER FUNCTION onemap.record_point_gone(jsonb) RENAME TO record_point;
-- A place outside the county is stored beside the one that is known: the first of it adds to the record, another one corrects it, also
-- where all else is the same. An older state's is left aside.
CREATE FUNCTION pg_temp.fates(kind text, record jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE fates text := ''; place text;
BEGIN
    FOREACH place IN ARRAY ARRAY['{}', '{"outside_lon": 120, "outside_lat": 30}', '{"outside_lon": 120, "outside_lat": 30}',
        '{"outside_lon": 121, "outside_lat": 30}', '{"lon": 113.5, "lat": 34.5}', '{"outside_lon": 121, "outside_lat": 30}', '{"lon": 113.5, "lat": 34.5}'] LOOP
        fates := concat_ws(' ', nullif(fates, ''), pg_temp.put(kind, record || place::jsonb));
    END LOOP;
    RETURN fates;
END $$;
SELECT is(pg_temp.fates(k.kind, k.record::jsonb), 'accepted merged duplicate revised merged merged revised', k.kind || ': ' || k.record)
FROM (VALUES ('inventory', '{"device_code": "far-1", "kind": "lamp"}'), ('staff', '{"kind": "PERSON", "code": "far-2", "observed_at_ms": 1790000000000}'),
    ('staff', '{"kind": "VEHICLE", "code": "far-3", "observed_at_ms": 1790000000000}'),
    ('work', '{"work_code": "far-4", "status": "STARTED", "observed_at_ms": 1790000000000}')) AS k (kind, record);
SELECT is(pg_temp.put(k.kind, k.record::jsonb || '{"outside_lon": 99, "outside_lat": 9}', k.since), 'duplicate', k.why || ': ' || k.kind)
FROM (VALUES ('staff', '{"kind": "PERSON", "code": "far-2", "observed_at_ms": 1789999999999}', NULL::timestamptz, 'an older state'),
    ('work', '{"work_code": "far-4", "status": "STARTED", "observed_at_ms": 1789999999999}', NULL, 'an older state'),
    ('staff', '{"kind": "VEHICLE", "code": "far-3", "observed_at_ms": 1790000000000}', '2020-01-01', 'again from quarantine'),
    ('work', '{"work_code": "far-4", "status": "STARTED", "observed_at_ms": 1790000000000}', '2020-01-01', 'again from quarantine')) AS k (kind, record, since, why);
SELECT is((SELECT count(*)::int FROM onemap.person p WHERE p.geom_outside IS NOT NULL AND p.code LIKE 'far-%')
    + (SELECT count(*)::int FROM onemap.vehicle v WHERE v.geom_outside IS NOT NULL AND v.code LIKE 'far-%')
    + (SELECT count(*)::int FROM onemap.work_order w WHERE w.geom_outside IS NOT NULL AND w.code LIKE 'far-%'), 0, 'and leaves nothing behind');
SELECT is((SELECT public.ST_AsText(d.geom) FROM onemap.device d WHERE d.code = 'far-1'), 'POINT(113.5 34.5)', 'the place in the county stands');
SET LOCAL ROLE cityhub_hub;
SELECT lives_ok($$SELECT onemap.message_store('{"subsystem": "streetlight", "vendor": "v", "kind": "staff", "topic": "t", "message": "m", "received_at_ms": 1, "total": 1,
    "records": [{"index": 0, "record": {"kind": "PERSON", "code": "by_hub", "observed_at_ms": 5}}]}', '\x')$$, 'the hub may store messages');
SELECT throws_ok($$INSERT INTO onemap.person (subsystem, vendor, code, observed_at) VALUES ('streetlight', 'v', 'direct', now())$$, '42501', NULL, 'and nothing beside the function');
SELECT throws_ok($$SELECT onemap.members_put('{"subsystem": "streetlight", "vendor": "v"}', 'PERSON', ARRAY['{"record": {"kind": "PERSON", "code": "x", "observed_at_ms": 5}}'::jsonb], NULL)$$, '42501', NULL, 'nor records alone');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
