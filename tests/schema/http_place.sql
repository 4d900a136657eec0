-- Routes of people, vehicles, work, places, search and what is near: what they tell, and to whom.
BEGIN;
\ir include/case_fixture.sql
\ir include/http.sql
SELECT plan(93);
INSERT INTO onemap.component (component_code, name_zh, department_id, geom, grid_cell)
SELECT '41022101180000' || n, '灯杆' || n, d.id, public.ST_SetSRID(public.ST_MakePoint(114.75 + n * 0.0001, 34.55), 4326), '410221001001001'
FROM generate_series(11, 19) n LEFT JOIN onemap.department d ON d.code = CASE WHEN n < 15 THEN 'zhaoming' WHEN n < 18 THEN 'jincheng' END;
INSERT INTO onemap.zone (kind, code, name_zh, valid_to, geom) VALUES
    ('disposal_yard', 'Y1', '一号消纳场', 'infinity', public.ST_Multi(public.ST_MakeEnvelope(114.7, 34.5, 114.71, 34.51, 4326))),
    ('disposal_yard', 'Y2', '二号消纳场', now() - interval '1 day', public.ST_Multi(public.ST_MakeEnvelope(114.8, 34.5, 114.81, 34.51, 4326))),
    ('no_entry', 'N1', '人民路禁行', 'infinity', public.ST_Multi(public.ST_MakeEnvelope(114.9, 34.5, 114.91, 34.51, 4326)));
SELECT d.id AS lamp FROM onemap.device d WHERE d.code = 'L1' \gset
INSERT INTO onemap.person (subsystem, vendor, code, name, role, department_id, device_id, on_duty, observed_at, geom)
SELECT 'streetlight', 'lamps', 'P' || n, '王' || CASE n WHEN 1 THEN '小明' ELSE '大力' END || n, '电工', d.id, CASE WHEN n = 1 THEN :lamp END, n < 4, now() - interval '1 hour',
    public.ST_SetSRID(public.ST_MakePoint(114.76, 34.55), 4326)
FROM generate_series(1, 5) n LEFT JOIN onemap.department d ON d.code = CASE WHEN n < 3 THEN 'zhaoming' WHEN n < 5 THEN 'jincheng' END ORDER BY n;
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, geom, geom_at) VALUES (:lamp, now(), now(), public.ST_SetSRID(public.ST_MakePoint(114.7501, 34.55), 4326), now());
INSERT INTO onemap.vehicle (subsystem, vendor, code, name, plate, department_id, on_duty, observed_at, geom)
SELECT 'streetlight', 'lamps', 'V' || n, '高空车', '豫B1234' || n, d.id, true, now(), public.ST_SetSRID(public.ST_MakePoint(114.7502, 34.55 + n * 0.001), 4326)
FROM generate_series(1, 3) n JOIN onemap.department d ON d.code = CASE WHEN n < 3 THEN 'zhaoming' ELSE 'jincheng' END ORDER BY n;
INSERT INTO onemap.work_standard (subsystem, code, name, requirement, source) VALUES ('streetlight', 'S1', '灯具检修', '4 小时内修复', 'CJJ 89');
INSERT INTO onemap.work_order (subsystem, vendor, code, title, status, standard_id, department_id, person_id, vehicle_id, planned_start, planned_end, started_at, finished_at, quantity, quantity_unit, quality_score, observed_at)
SELECT 'streetlight', 'lamps', 'W' || n, '修灯', w.status, (SELECT s.id FROM onemap.work_standard s), d.id, (SELECT p.id FROM onemap.person p WHERE p.code = w.person), (SELECT v.id FROM onemap.vehicle v WHERE v.code = 'V1'),
    timestamptz '2026-03-02T00:00:00Z', timestamptz '2026-03-02T04:00:00Z', w.started, w.finished, 3, '盏', w.score, now()
FROM (VALUES (1, 'zhaoming', 'FINISHED', 'P1', timestamptz '2026-03-02T00:10:00Z', timestamptz '2026-03-02T03:00:00Z', 90), (2, 'zhaoming', 'FINISHED', 'P4', '2026-03-02T00:00:00Z', '2026-03-02T05:00:00Z', 80),
    (3, 'jincheng', 'CANCELLED', NULL, NULL, NULL, NULL), (4, 'jincheng', 'PLANNED', NULL, NULL, NULL, NULL)) AS w (n, unit, status, person, started, finished, score) JOIN onemap.department d ON d.code = w.unit ORDER BY w.n;
SELECT test.report('{"title": "人民路路灯不亮", "address": "人民路 12 号", "lon": 114.7504, "lat": 34.55}') AS reported \gset
SELECT test.report('{"title": "公园垃圾"}') AS dispatched \gset
SELECT test.act(:'dispatched', 'accept', 'acceptor'), test.act(:'dispatched', 'register', 'registrar'), test.act(:'dispatched', 'dispatch', 'dispatcher', '{"department": "zhaoming"}');

-- ---- people: names are for who may act ----
SELECT test.answer('people') AS people, test.answer('people', '{}', NULL, 'read alarm') AS named \gset
SELECT is((test.list(:'people'::jsonb->'people'), test.list(:'people'::jsonb->'people', 'name'))::text, '("P1 P2 P3 P4 P5","- - - - -")', 'all, without names');
SELECT is(test.list(:'named'::jsonb->'people', 'name'), '王小明1 王大力2 王大力3 王大力4 王大力5', 'with names');
SELECT is((:'named'::jsonb->'people'->0->'lon', :'named'::jsonb->'people'->1->'lon')::text, '(114.7501,114.76)', 'where the terminal is, if it is later');
SELECT is(test.list(test.answer('people', '{}', 'chengguan')->'people'), 'P1 P2', 'a department sees its own and those below');
SELECT is(test.list(test.answer('people', x.f)->'people'), x.wanted, x.f::text) FROM (VALUES ('{"on_duty": false}'::jsonb, 'P4 P5'), ('{"department": "jincheng"}', 'P3 P4'), ('{"subsystem": "dust"}', NULL), ('{"text": "小明"}', NULL), ('{"text": "p2"}', 'P2'),
    ('{"limit": 2}', 'P1 P2'), (jsonb_build_object('limit', 2, 'after', (SELECT p.id FROM onemap.person p WHERE p.code = 'P2')), 'P3 P4')) AS x (f, wanted);
SELECT is(test.list(test.answer('people', '{"text": "小明"}', NULL, 'read alarm')->'people'), 'P1', 'by name, for who may');
SELECT is((:'people'::jsonb->'next', test.answer('people', '{"limit": 2}')->'next' = to_jsonb((SELECT p.id FROM onemap.person p WHERE p.code = 'P2')))::text, '(null,t)', 'next');
SELECT is(test.list(test.answer('vehicles', x.f, x.unit)->'vehicles', 'plate'), x.wanted, 'vehicles ' || x.f::text || coalesce(x.unit, '')) FROM (VALUES ('{}'::jsonb, NULL, '豫B12341 豫B12342 豫B12343'), ('{"text": "B12343"}', NULL, '豫B12343'), ('{}', 'jincheng', '豫B12343'), ('{"on_duty": false}', NULL, NULL)) AS x (f, unit, wanted);

-- ---- cells: alarms, and where people's terminals were ----
SELECT onemap.partition_ensure(((now() - n * interval '1 day') AT TIME ZONE 'UTC')::date) FROM generate_series(0, 1) n;
INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom)
SELECT :lamp, date_trunc('hour', now()) - interval '3 hours' + n * interval '1 minute', now(), public.ST_SetSRID(public.ST_MakePoint(CASE WHEN n < 25 THEN 114.75 ELSE 114.9 END, 34.55), 4326)
FROM generate_series(0, 40) n;
INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom)
SELECT :lamp, now() - interval '9 hours', now(), public.ST_SetSRID(public.ST_MakePoint(114.75, 34.55), 4326);
UPDATE onemap.device SET grid_cell = '410221001001001' WHERE id = :lamp;
INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity) SELECT r.id, :lamp, now(), 'minor' FROM onemap.alarm_rule r WHERE r.subsystem = 'streetlight' AND r.kind = 'offline';
UPDATE onemap.device SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'zhaoming') WHERE id = :lamp;
SELECT is(test.answer('map_cells', x.f, x.unit), jsonb_build_object('cells', x.cells::jsonb, 'of', x.of), x.f::text || coalesce(x.unit, '') || ' by cell') FROM (VALUES
    ('{"by": "rounds"}'::jsonb, NULL, '[{"grid_cell": "410221001001001", "count": 3}]', 1), ('{"by": "rounds"}', 'zhaoming', '[{"grid_cell": "410221001001001", "count": 3}]', 0),
    ('{"by": "rounds"}', 'jincheng', '[]', 1), ('{"by": "rounds", "subsystem": "dust"}', NULL, '[]', 1), ('{"by": "rounds", "department": "jincheng"}', NULL, '[]', 1),
    ('{"by": "alarms"}', NULL, '[{"grid_cell": "410221001001001", "count": 1}]', 1), ('{"by": "alarms"}', 'jincheng', '[]', 1)) AS x (f, unit, cells, of);
SELECT is(test.answer('map_cells', jsonb_build_object('by', 'alarms', 'at', now() - interval '1 minute'))->'cells', '[]', 'before it there was none');
DELETE FROM onemap.alarm a WHERE a.device_id = :lamp;
DELETE FROM onemap.track_point_raw t WHERE t.device_id = :lamp;
UPDATE onemap.device SET grid_cell = NULL, department_id = NULL WHERE id = :lamp;

-- ---- attendance ----
INSERT INTO onemap.observation_hourly (device_id, hour, records, last_at, counts, minima, maxima, sums, firsts, lasts)
SELECT :lamp, timestamptz '2026-03-01T15:00:00Z' + n * interval '1 hour', 5, timestamptz '2026-03-01T15:30:00Z' + n * interval '1 hour', '{}', '{}', '{}', '{}', '{}', '{}' FROM generate_series(0, 3) n;
SELECT is((SELECT array_agg((e->>'code', e->'present', e->'hours', e->>'first_hour' IS NOT NULL)::text) FROM jsonb_array_elements(test.answer('attendance', '{"day": "2026-03-02"}', 'zhaoming')->'attendance') e), '{"(P1,true,3,t)","(P2,null,0,f)"}'::text[], 'hours of a county''s day; who has no terminal is not absent');
SELECT is((SELECT (e->'present', e->'hours')::text FROM jsonb_array_elements(test.answer('attendance', '{"day": "2026-03-05"}', 'zhaoming')->'attendance') e LIMIT 1), '(false,0)', 'a day without a message');
SELECT throws_ok(format('SELECT test.answer(%L, %L)', 'attendance', jsonb_build_object('day', now() + interval '2 days')), 'CH013', NULL, 'nobody was absent on a day to come');
SELECT throws_ok($$SELECT test.answer('attendance', '{"day": "2025-03-02"}')$$, 'CH013', NULL, 'nor on one of which nothing is kept');

-- ---- work ----
CREATE FUNCTION test.work(fields jsonb, department text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT test.list(body::jsonb->'work') FROM onemap.http_work(test.ask(fields, department) - CASE WHEN fields ? 'after' THEN '' ELSE 'after' END) $$;
SELECT is(test.work(x.f, x.unit), x.wanted, 'work ' || x.f::text || coalesce(x.unit, '')) FROM (VALUES ('{}'::jsonb, NULL, 'W4 W3 W2 W1'), ('{"status": "finished"}', NULL, 'W2 W1'), ('{}', 'jincheng', 'W4 W3'), ('{"department": "chengguan"}', NULL, 'W2 W1'),
    ('{"from": "2026-03-03"}', NULL, NULL), ('{"from": "2026-03-02", "to": "2026-03-03"}', NULL, 'W4 W3 W2 W1'), ('{"limit": 3}', NULL, 'W4 W3 W2')) AS x (f, unit, wanted);
SELECT is((SELECT sum((e->>f.f)::int)::int FROM jsonb_array_elements(test.answer('work_summary', '{"from": "2026-03-01", "to": "2026-04-01"}')->'summary') e),
    (SELECT sum(cardinality(string_to_array(test.work(jsonb_build_object('from', '2026-03-01', 'to', '2026-04-01', 'is', f.f, 'unit', u.u)), ' ')))::int
     FROM unnest('{jincheng,zhaoming,chengguan,-}'::text[]) u (u)), 'the sum''s ' || f.f || ' are the list''s') FROM unnest('{due,started_late,ended_late}'::text[]) f (f);
SELECT throws_ok(format('SELECT test.work(%L)', f.f), 'CH013', NULL, 'no work of ' || f.f) FROM unnest('{"{\"device\": 2000000000}","{\"person\": 2000000000}","{\"vehicle\": 2000000000}","{\"unit\": \"moon\"}","{\"standard\": \"moon\"}"}'::text[]) f (f);
SELECT is(test.work('{"is": "met"}'), 'W1', 'what was met');
UPDATE onemap.work_standard s SET source = 'lamps';
UPDATE onemap.vendor v SET name_zh = '星衢照明' WHERE v.vendor = 'lamps';
SELECT is(body::jsonb #>> '{work,0,standard,source}', '星衢照明', 'a standard that a vendor brought is its vendor''s, by name') FROM onemap.http_work(test.ask('{"standard": "S1"}') - 'after');
UPDATE onemap.work_standard s SET source = 'CJJ 89';
SELECT is(test.work(jsonb_build_object('standard', '-')), (SELECT string_agg(w.code, ' ' ORDER BY w.id DESC) FROM onemap.work_order w WHERE w.standard_id IS NULL), 'held to no standard');
SELECT body::jsonb->'work' AS w FROM onemap.http_work(test.ask('{"status": "finished"}', 'zhaoming') - 'after') \gset
SELECT is((:'w'::jsonb->1->'performance')::text, '{"quantity": 3, "duration_s": 10200, "end_late_s": 0, "start_late_s": 600, "quality_score": 90, "quantity_unit": "盏"}', 'how it went');
SELECT is((:'w'::jsonb->0->'performance'->'end_late_s', :'w'::jsonb->1->'standard'->>'source', :'w'::jsonb->1->'person'->>'code', :'w'::jsonb->0->'person')::text, '(3600,"CJJ 89",P1,null)', 'its standard; another department''s person is not told');
SELECT is((SELECT array_agg((e->>'department', e->'due', e->'finished', e->'cancelled', e->'started_late', e->'ended_late', e->'quality_score')::text) FROM jsonb_array_elements(test.answer('work_summary', '{"from": "2026-03-01", "to": "2026-04-01"}')->'summary') e),
    '{"(jincheng,1,0,1,1,1,null)","(zhaoming,2,2,0,1,1,85.00)"}'::text[], 'by department');
SELECT is(jsonb_array_length(test.answer('work_summary', '{"from": "2026-03-01", "to": "2026-04-01"}', 'zhaoming')->'summary'), 1, 'of the own one');
CREATE FUNCTION test.sums(by text, department text DEFAULT NULL, rights text DEFAULT 'read') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', coalesce(e->>'person_code', e->>'role', e->>'month', '-'), e->>'person_name', e->>'due'), ', ' ORDER BY e->>'person_code', e->>'role', e->>'month')
    FROM jsonb_array_elements(test.answer('work_summary', jsonb_build_object('from', '2026-03-01', 'to', '2026-04-01', 'by', by), department, rights)->'summary') e $$;
SELECT is(test.sums('person', NULL, 'read alarm'), 'P1 王小明1 1, P4 王大力4 1, - 1', 'by person');
SELECT is(test.sums('person', 'zhaoming'), 'P1 1, - 1', 'without names, and another department''s person is nobody, as in the list');
SELECT is(test.sums('role') || '; ' || test.sums('month'), '- 1, 电工 2; 2026-03 3', 'by role and by month');
SELECT is(test.work(x.f, x.unit), x.wanted, 'the list behind it: ' || x.f::text || coalesce(x.unit, '')) FROM (VALUES ('{"person": 0}'::jsonb, 'zhaoming', 'W2'), ('{"role": "电工"}', NULL, 'W2 W1')) AS x (f, unit, wanted);

-- ---- places ----
CREATE FUNCTION test.features(route text, fields jsonb DEFAULT '{}', department text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE body jsonb;
BEGIN
    EXECUTE format('SELECT body::jsonb FROM onemap.http_%s($1)', route) INTO body
        USING test.ask(fields, department) - CASE WHEN fields ? 'after' OR route = 'zones' THEN '' ELSE 'after' END;
    RETURN body->>'type' || ': ' || coalesce((SELECT string_agg(f->'properties'->>'code', ' ' ORDER BY n) FROM jsonb_array_elements(body->'features') WITH ORDINALITY x (f, n)), '');
END $$;
SELECT is(test.features(x.route, x.f, x.unit), 'FeatureCollection: ' || x.wanted, concat_ws(' ', x.route, x.f, x.unit)) FROM (VALUES
    ('grid_cells', '{}'::jsonb, NULL, '410221001001001'), ('grid_cells', '{}', 'zhaoming', '410221001001001'), ('grid_cells', '{"box": [110, 30, 111, 31]}', NULL, ''), ('grid_cells', '{"department": "zhaoming"}', NULL, ''),
    ('grid_cells', '{"after": "410221001001001"}', NULL, ''), ('zones', '{}', 'zhaoming', 'Y1 Y2 N1'), ('zones', '{"kind": "disposal_yard", "valid": true}', NULL, 'Y1'), ('zones', '{"valid": false}', NULL, 'Y2'),
    ('zones', '{"box": [114.895, 34.5, 114.9, 34.505]}', NULL, 'N1'), ('departments', '{"area": true}', 'zhaoming', 'jincheng chengguan zhaoming old'),
    ('components', '{"limit": 3}', NULL, '4102210118000011 4102210118000012 4102210118000013'), ('components', '{"after": "4102210118000017"}', NULL, '4102210118000018 4102210118000019'),
    ('components', '{}', 'jincheng', '4102210118000015 4102210118000016 4102210118000017'), ('components', '{"box": [114.75135, 34.5, 114.75165, 34.6], "grid_cell": "410221001001001"}', NULL, '4102210118000014 4102210118000015 4102210118000016')) AS x (route, f, unit, wanted);
SELECT is((SELECT public.ST_AsText(public.ST_Multi(public.ST_GeomFromGeoJSON(f->>'geometry'))) FROM jsonb_array_elements(test.answer('departments', '{"area": true}')->'features') f WHERE f->>'id' = 'jincheng'),
    (SELECT public.ST_AsText(g.geom) FROM onemap.grid_cell g), 'a department''s area is that of its cells');
SELECT is((SELECT array_agg(f->>'geometry') FROM jsonb_array_elements(test.answer('departments', '{"area": false}')->'features') f WHERE f->>'geometry' IS NOT NULL), NULL, 'if it was asked for');
SELECT is_empty($$SELECT f->>'id', f->'properties'->'grid_cells' FROM jsonb_array_elements(test.answer('departments', '{"area": false}')->'features') f
    WHERE (f->'properties'->>'grid_cells')::int IS DISTINCT FROM jsonb_array_length(test.answer('grid_cells', jsonb_build_object('department', f->>'id'))->'features')$$, 'its number of grid cells is that of their list, with the departments below');
SELECT is((SELECT f->'properties'->>'valid_to' FROM jsonb_array_elements(test.answer('zones')->'features') f LIMIT 1), NULL, 'in force without end');

-- ---- search ----
CREATE FUNCTION test.search(q text, department text DEFAULT NULL, rights text DEFAULT 'read', kinds jsonb DEFAULT '["device", "case", "vehicle", "person", "component", "grid_cell", "zone", "department"]') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(':', r->>'kind', r->>'code'), ' ' ORDER BY n) FROM jsonb_array_elements(test.answer('search', jsonb_build_object('q', q, 'limit', 10, 'kinds', kinds), department, rights)->'results') WITH ORDINALITY x (r, n) $$;
SELECT is(test.search('人民路'), 'case:' || :'reported' || ' zone:N1', 'a street: a case there, a zone');
SELECT is(test.search('人民路', 'zhaoming'), 'zone:N1', 'a case of no department is for who sees all');
SELECT is(test.search('公园', 'zhaoming'), 'case:' || :'dispatched', 'its own it finds');
SELECT is(test.search('公园', 'jincheng'), NULL, 'another one does not');
SELECT is(test.search('b12342'), 'vehicle:V2', 'a plate, in small letters');
SELECT is(test.search(:'reported'), 'case:' || :'reported', 'a case''s number');
SELECT is(test.search('4102210118000001'), 'device:L1', 'a component code of a device');
SELECT is(test.search('410221011800001'), (SELECT string_agg('component:' || c.component_code, ' ' ORDER BY c.component_code) FROM onemap.component c), 'components');
SELECT is(test.search('410221001001'), 'grid_cell:410221001001001', 'a cell');
SELECT is(test.search('路灯管理'), 'department:zhaoming', 'a department');
SELECT is((test.search('小明'), test.search('小明', NULL, 'read alarm'), test.search('小明', 'jincheng', 'read alarm'))::text, '(,person:P1,)', 'a name, for who may be told');
SELECT is(test.search('王大力2 P2', NULL, 'read alarm', '["person"]'), 'person:P2', 'all words');
SELECT is(test.search($$'; DROP TABLE onemap.device; --$$), NULL, 'a text is a text');
SELECT throws_ok($$SELECT test.search('a')$$, 'CH013', NULL, 'two characters at least');

-- ---- nearby ----
CREATE FUNCTION test.near(metres int, department text DEFAULT NULL, kinds jsonb DEFAULT '["device", "person", "vehicle", "case"]') RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.answer('nearby', jsonb_build_object('lon', 114.75, 'lat', 34.55, 'metres', metres, 'limit', 20, 'kinds', kinds), department, 'read alarm') $$;
SELECT is((test.list(n->'devices'), test.list(n->'people'), test.list(n->'vehicles'), test.list(n->'cases', 'case'))::text, format('(L1,P1,"V1 V2","%s %s")', :'dispatched', :'reported'), 'within 300 m, the nearest first') FROM test.near(300) n;
SELECT is((test.list(n->'devices'), test.list(n->'people'), test.list(n->'vehicles'), test.list(n->'cases', 'case'))::text, '(,,V3,)', 'for a department its own') FROM test.near(400, 'jincheng') n;
SELECT is((SELECT (d->'distance_m', d->>'state')::text FROM jsonb_array_elements(test.near(300)->'devices') d), '(9,online)', 'how far, and how it is');
SELECT is(test.near(300, NULL, '["vehicle"]')->'devices', 'null', 'what was not asked for is not told');
SELECT is(test.answer('departments', '{"area": false}')->'frame', (SELECT jsonb_build_array(public.ST_XMin(e), public.ST_YMin(e), public.ST_XMax(e), public.ST_YMax(e))
    FROM (SELECT public.ST_Extent(g.geom) AS e FROM onemap.grid_cell g WHERE g.department_id IS NOT NULL) x), 'the frame of the departments is that of their cells');
SELECT * FROM finish();
ROLLBACK;
