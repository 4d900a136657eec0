-- Tiles: what the hub reads into its memory, what it is told, and tiles of polygons: whose they are, and at the edges.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(33);
CREATE FUNCTION test.tile(layer text, z int, x int, y int, departments text DEFAULT 'null') RETURNS bytea LANGUAGE sql AS $$
    SELECT t.body FROM onemap.http_tile(jsonb_build_object('layer', layer, 'z', z, 'x', x, 'y', y, 'identity', jsonb_build_object('departments', departments::jsonb))) t
$$;
-- Column and row of the tile with a place.
CREATE FUNCTION test.tile_at(z int, lon float8, lat float8, OUT x int, OUT y int) LANGUAGE sql AS $$
    SELECT floor((lon + 180) / 360 * 2 ^ z)::int, floor((1 - asinh(tand(lat)) / pi()) / 2 * 2 ^ z)::int
$$;
CREATE FUNCTION test.shows(layer text, z int, lon float8, lat float8, words text, departments text DEFAULT 'null') RETURNS boolean LANGUAGE sql AS $$
    SELECT coalesce(position(convert_to(words, 'UTF8') IN test.tile(layer, z, a.x, a.y, departments)) > 0, false) FROM test.tile_at(z, lon, lat) a
$$;

-- ---- points ----
UPDATE onemap.device SET kind = 'lamp' WHERE code = 'L1' AND EXISTS (SELECT FROM onemap.device_kind k WHERE k.subsystem = 'streetlight' AND k.key = 'lamp');
SELECT results_eq($$SELECT p.kind, p.state, d.code, p.shown, round(p.lon::numeric, 5), round(p.lat::numeric, 5), p.placed_ms, p.seen_ms, p.device
    FROM onemap.point_device p JOIN onemap.device x ON x.id = p.id LEFT JOIN onemap.department d ON d.id = p.department WHERE x.code = 'D1'$$,
    $$VALUES ('dust', 'offline', 'jincheng', true, 114.76::numeric(8, 5), 34.56::numeric(8, 5), 0::bigint, 0::bigint, 0)$$, 'a device that was never heard of');
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, geom, geom_at)
SELECT d.id, '2026-03-01 08:00:00.250+08', '2026-03-01 08:00:01+08', public.ST_SetSRID(public.ST_MakePoint(114.7, 34.5), 4326), '2026-03-01 08:00:00.125+08'
FROM onemap.device d WHERE d.code = 'D1';
SELECT results_eq($$SELECT p.state, p.lon, p.lat, p.placed_ms, p.seen_ms FROM onemap.point_device p JOIN onemap.device x ON x.id = p.id WHERE x.code = 'D1'$$,
    $$VALUES ('online', 114.7::float8, 34.5::float8, 1772323200125, 1772323201000)$$, 'where it was last');
UPDATE onemap.device SET status = 'retired' WHERE code = 'D1';
SELECT is((SELECT p.shown FROM onemap.point_device p JOIN onemap.device x ON x.id = p.id WHERE x.code = 'D1'), false, 'a retired one is not shown');
INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity)
SELECT r.id, d.id, now(), 'major' FROM onemap.alarm_rule r JOIN onemap.device d ON d.subsystem = r.subsystem WHERE r.key = 'device_offline' AND d.code = 'L1';
INSERT INTO onemap.alarm (rule_id, device_id, vendor, opened_at, severity)
SELECT r.id, 0, 'lamps', now(), 'major' FROM onemap.alarm_rule r WHERE r.subsystem = 'streetlight' AND r.key = 'vendor_silent';
SELECT results_eq($$SELECT p.kind, p.state, x.code FROM onemap.point_alarm p JOIN onemap.device x ON x.id = p.device$$,
    $$VALUES ('streetlight/device_offline', 'major', 'L1')$$, 'an alarm stands at its device; a vendor''s nowhere');
UPDATE onemap.alarm SET closed_at = opened_at;
SELECT is((SELECT count(*)::int FROM onemap.point_alarm), 0, 'one that has ended is gone');
CREATE TEMP TABLE reported AS SELECT test.report() AS code;
SELECT results_eq($$SELECT p.kind, p.state, p.department, p.shown, round(p.lon::numeric, 2) FROM onemap.point_case p$$, $$VALUES ('20102', 'reported', 0, true, 114.75)$$, 'a case');
SELECT test.act(r.code, 'reject', 'acceptor') FROM reported r;
SELECT is((SELECT p.shown FROM onemap.point_case p), false, 'one that has ended is not shown');
SELECT is((SELECT count(*)::int FROM unnest('{point_device,point_alarm,point_case}'::text[]) v (v) WHERE has_table_privilege('cityhub_hub', 'onemap.' || v.v, 'SELECT')
    AND has_table_privilege('cityhub_read', 'onemap.' || v.v, 'SELECT') AND NOT has_table_privilege('cityhub_api', 'onemap.' || v.v, 'SELECT')), 3, 'the hub reads them, the API does not');

-- Pages of open alarms and cases go by their indexes, however long the history is.
SET LOCAL enable_seqscan = off;
CREATE FUNCTION test.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; lines text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP lines := lines || line || E'\n'; END LOOP;
    RETURN lines;
END $$;
SELECT matches(test.plan_of('SELECT p.id FROM onemap.point_alarm p WHERE p.id > 7 ORDER BY p.id LIMIT 5'), 'alarm_open_id', 'a page of alarms');
SELECT matches(test.plan_of('SELECT p.id FROM onemap.point_case p WHERE p.shown AND p.id > 7 ORDER BY p.id LIMIT 5'), 'case_record_open', 'a page of cases');
SELECT doesnt_match(test.plan_of('SELECT p.id, p.lon FROM onemap.point_device p WHERE p.id > 7 ORDER BY p.id LIMIT 5'), 'Sort', 'a page of devices');
RESET enable_seqscan;

-- ---- what the hub is told; notifications of a transaction cannot be heard in it, so their maker is looked at ----
SELECT matches(p.prosrc, 'pg_notify\(''cityhub_points''', p.proname || ' tells the hub') FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'onemap'::regnamespace AND p.proname IN ('point_notify', 'point_alarm_changed', 'polygon_changed') ORDER BY p.proname;
SELECT lives_ok($$SELECT onemap.point_notify(NULL), onemap.point_notify('{}'), onemap.point_notify(ARRAY(SELECT generate_series(2000000001, 2000005000))),
    onemap.point_notify(ARRAY(SELECT generate_series(1, 100000)))$$, 'no payload is too long');
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_trigger t WHERE t.tgname = 'polygon_changed'
    AND t.tgrelid IN ('onemap.grid_cell'::regclass, 'onemap.zone'::regclass, 'onemap.department'::regclass)), 3, 'of each table of polygons');
SELECT is((SELECT onemap.presence_sweep('-infinity')), 1, 'one went offline');
SELECT is((SELECT onemap.presence_sweep('-infinity')), 0, 'and does so once');

-- ---- polygons ----
INSERT INTO onemap.grid_cell (code, department_id, name_zh, geom) SELECT '410221001001002', d.id, '二格', public.ST_Multi(public.ST_MakeEnvelope(114.8, 34.5, 114.9, 34.6, 4326))
FROM onemap.department d WHERE d.code = 'zhaoming';
INSERT INTO onemap.grid_cell (code, geom) VALUES ('410221001001003', public.ST_Multi(public.ST_MakeEnvelope(114.9, 34.5, 115, 34.6, 4326)));
INSERT INTO onemap.zone (kind, code, name_zh, valid_to, geom) VALUES ('disposal_yard', 'Y1', '一号消纳场', '2027-01-01 00:00+08', public.ST_Multi(public.ST_MakeEnvelope(114.71, 34.51, 114.72, 34.52, 4326)));
SELECT is(public.ST_SRID(g.geom_3857), 3857, 'stored in the tiles'' projection') FROM onemap.grid_cell g WHERE g.code = '410221001001001';
SELECT ok(test.shows('grid', 14, 114.75, 34.55, '410221001001001') AND NOT test.shows('grid', 14, 114.75, 34.55, '410221001001002'), 'the cell that is there');
SELECT ok(test.shows('grid', 8, 114.75, 34.55, '410221001001001') AND test.shows('grid', 8, 114.75, 34.55, '二格'), 'far out both');
SELECT is(test.tile('grid', 14, 0, 0), NULL, 'nothing there');
-- 114.8 degrees lie 0.6 of a tile of zoom 14 from its west edge, so both cells are in it; the buffer is 1/64 of a tile.
SELECT ok(test.shows('grid', 14, 114.8, 34.55, '410221001001001') AND test.shows('grid', 14, 114.8, 34.55, '410221001001002'), 'a border shows both sides');
SELECT ok(test.shows('grid', 12, 114.697, 34.55, '410221001001001') = (SELECT a.x FROM test.tile_at(12, 114.697, 34.55) a) IN (SELECT b.x FROM test.tile_at(12, 114.7, 34.55) b), 'not beyond the buffer');
SELECT ok(test.shows('department', 10, 114.75, 34.55, 'jincheng') AND test.shows('department', 10, 114.75, 34.55, '路灯管理所'), 'departments'' areas');
SELECT ok(test.shows('zone', 14, 114.715, 34.515, 'disposal_yard') AND test.shows('zone', 14, 114.715, 34.515, '一号消纳场'), 'zones');
SELECT ok(test.shows('grid', 10, 114.75, 34.55, '410221001001001', d.ids) AND NOT test.shows('grid', 10, 114.75, 34.55, '二格', d.ids) AND NOT test.shows('grid', 10, 114.75, 34.55, '410221001001003', d.ids),
    'who sees one department sees its cells alone') FROM (SELECT jsonb_build_array(x.id)::text AS ids FROM onemap.department x WHERE x.code = 'jincheng') d;
SELECT ok(test.shows('department', 10, 114.75, 34.55, 'jincheng', d.ids) AND NOT test.shows('department', 10, 114.75, 34.55, 'zhaoming', d.ids), 'and its area')
FROM (SELECT jsonb_build_array(x.id)::text AS ids FROM onemap.department x WHERE x.code = 'jincheng') d;
SELECT ok(NOT test.shows('zone', 14, 114.715, 34.515, 'disposal_yard', '[1, 2, 3]'), 'zones are of no department');
SELECT is(test.tile('grid', 10, a.x, a.y, '[]'), NULL, 'who sees none sees none') FROM test.tile_at(10, 114.75, 34.55) a;
SELECT throws_ok($$SELECT * FROM onemap.http_tile('{"layer": "grid", "z": 1, "x": 0, "y": 0}')$$, 'CH060', NULL, 'nobody sees nothing');
SELECT throws_ok($$SELECT test.tile('rivers', 1, 0, 0)$$, '20000', NULL, 'no such layer');
SELECT ok(length(test.tile('grid', 0, 0, 0)) > 0, 'the whole world');
SELECT * FROM finish();
ROLLBACK;
