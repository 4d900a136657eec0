-- The registry: place to grid cell and department, vendors, the catalogue, devices first seen in telemetry.
BEGIN;
SELECT plan(54);

INSERT INTO onemap.department (code, name_zh, kind) VALUES ('street', '街道', 'street'), ('utility', '公司', 'enterprise'), ('owner', '权属单位', 'county');
INSERT INTO onemap.grid_cell (code, department_id, geom)
SELECT v.code, (SELECT id FROM onemap.department WHERE code = v.department), public.ST_Multi(public.ST_MakeEnvelope(v.x, 34, v.x + 1, 35, 4326))
FROM (VALUES ('410382001001002', 'street', 113), ('410382001001001', NULL, 114)) v(code, department, x);

-- Place to cell.
SELECT is(onemap.grid_cell_at('SRID=4326;POINT(113.5 34.5)'), '410382001001002'::char(15), 'a place inside a cell');
SELECT is(onemap.grid_cell_at('SRID=4326;POINT(114 34.5)'), '410382001001001'::char(15), 'on the shared border: the lowest code');
SELECT is(onemap.grid_cell_at('SRID=4326;POINT(113 34)'), '410382001001002'::char(15), 'a corner belongs to the cell');
SELECT is(onemap.grid_cell_at('SRID=4326;POINT(120 34.5)'), NULL, 'outside all cells');
SELECT is(onemap.grid_cell_at(NULL), NULL, 'no place, no cell');

-- Department: inventory's word, then the vendor's, then the cell's.
SELECT onemap.vendor_put('dust', 'plain', '{}');
SELECT onemap.vendor_put('dust', 'util', '{"department": "utility"}');
CREATE FUNCTION pg_temp.department(the_code text) RETURNS text LANGUAGE sql AS $$
    SELECT p.code FROM onemap.device d JOIN onemap.department p ON p.id = d.department_id WHERE d.code = the_code $$;
CREATE FUNCTION pg_temp.cell(the_code text) RETURNS text LANGUAGE sql AS $$ SELECT d.grid_cell::text FROM onemap.device d WHERE d.code = the_code $$;
INSERT INTO onemap.device (subsystem, vendor, code, geom) VALUES ('dust', 'plain', 'a', 'SRID=4326;POINT(113.5 34.5)'),
    ('dust', 'util', 'b', 'SRID=4326;POINT(113.5 34.5)'), ('dust', 'plain', 'c', NULL), ('dust', 'plain', 'd', 'SRID=4326;POINT(114.5 34.5)');
INSERT INTO onemap.device (subsystem, vendor, code, geom, department_id)
VALUES ('dust', 'util', 'e', 'SRID=4326;POINT(113.5 34.5)', (SELECT id FROM onemap.department WHERE code = 'owner'));
SELECT is(pg_temp.department('a'), 'street', 'without anything else: the cell''s department');
SELECT is(pg_temp.department('b'), 'utility', 'the vendor''s department before the cell''s');
SELECT is(pg_temp.department('e'), 'owner', 'the inventory''s word before both');
SELECT is(pg_temp.department('c'), NULL, 'no place, no department');
SELECT is(pg_temp.cell('c'), NULL, 'no place, no cell');
SELECT is(pg_temp.department('d'), NULL, 'a cell without a department gives none');
UPDATE onemap.device SET geom = 'SRID=4326;POINT(113.2 34.2)' WHERE code = 'c';
SELECT is(ARRAY[pg_temp.cell('c'), pg_temp.department('c')], '{410382001001002,street}', 'a place that comes later gives both');
UPDATE onemap.device SET geom = 'SRID=4326;POINT(120 20)' WHERE code = 'c';
SELECT is(pg_temp.cell('c'), NULL, 'moved out of all cells');
UPDATE onemap.device SET grid_cell = NULL, name_zh = 'x' WHERE code = 'a';
SELECT is(pg_temp.cell('a'), NULL, 'an update that does not move the device leaves the cell to whoever sets it');
INSERT INTO onemap.device (subsystem, vendor, code, updated_at) VALUES ('dust', 'plain', 'f', '2020-01-01');
UPDATE onemap.device SET name_zh = 'x' WHERE code = 'f';
SELECT is((SELECT updated_at FROM onemap.device WHERE code = 'f'), now(), 'a change is stamped');

-- Cells that come after the devices.
INSERT INTO onemap.grid_cell (code, department_id, geom)
SELECT '410382001001003', id, public.ST_Multi(public.ST_MakeEnvelope(119, 19, 121, 21, 4326)) FROM onemap.department WHERE code = 'owner';
SELECT is(pg_temp.cell('c'), '410382001001003', 'a new cell takes the devices that lie in it');
SELECT is(pg_temp.department('c'), 'street', 'a department that the device has already stays');
UPDATE onemap.grid_cell SET department_id = (SELECT id FROM onemap.department WHERE code = 'owner') WHERE code = '410382001001001';
SELECT is(pg_temp.department('d'), 'owner', 'a cell that gets a department gives it to its devices that have none');
UPDATE onemap.grid_cell SET geom = public.ST_Multi(public.ST_MakeEnvelope(119, 19, 119.5, 21, 4326)) WHERE code = '410382001001003';
SELECT is(pg_temp.cell('c'), NULL, 'a cell that is redrawn loses the devices outside it');

-- Vendors.
SELECT is((SELECT ROW(unknown_devices, receipts, silent_after, revoked_at)::text FROM onemap.vendor WHERE vendor = 'plain'),
    '(register,all,00:10:00,)', 'defaults of a vendor');
SELECT onemap.vendor_put('dust', 'plain', '{"unknown_devices": "quarantine", "receipts": "problems", "silent_after": "30 min", "name_zh": "甲"}');
SELECT onemap.vendor_put('dust', 'plain', '{"receipts": "all"}');
SELECT is((SELECT ROW(name_zh, unknown_devices, receipts, silent_after)::text FROM onemap.vendor WHERE vendor = 'plain'),
    '(甲,quarantine,all,00:30:00)', 'a change leaves alone what it does not name');
SELECT is((SELECT d.code FROM onemap.vendor v JOIN onemap.department d ON d.id = v.department_id WHERE v.vendor = 'util'), 'utility', 'the department by its code');
SELECT throws_ok($$SELECT onemap.vendor_put('dust', 'x', '{"department": "nowhere"}')$$, 'P0001', '"nowhere" is no department', 'an unknown department is refused');
SELECT throws_ok($$SELECT onemap.vendor_put('nonsense', 'x', '{}')$$, '23503', NULL, 'an unknown subsystem is refused');
SELECT throws_ok($$SELECT onemap.vendor_put('dust', 'x/y', '{}')$$, '23514', NULL, 'a name that would break topics is refused');
SELECT throws_ok($$SELECT onemap.vendor_put('dust', 'x', '{"unknown_devices": "maybe"}')$$, '23514', NULL, 'an unknown policy is refused');
SELECT throws_ok($$SELECT onemap.vendor_put('dust', 'x', '{"silent_after": "-1 s"}')$$, '23514', NULL, 'a silence of less than nothing is refused');
SELECT is(onemap.vendor_revoke('dust', 'plain'), true, 'revoked');
SELECT is(onemap.vendor_revoke('dust', 'plain'), false, 'revoked before');
SELECT is(onemap.vendor_revoke('dust', 'nobody'), false, 'there is no such vendor');
SELECT isnt((SELECT revoked_at FROM onemap.vendor WHERE vendor = 'plain'), NULL, 'the end is noted, the vendor stays');
SELECT onemap.vendor_put('dust', 'plain', '{}');
SELECT is((SELECT revoked_at FROM onemap.vendor WHERE vendor = 'plain'), NULL, 'whoever is added again may push again');
SELECT is((SELECT count(*)::int FROM onemap.audit_log WHERE action = 'vendor_revoke'), 1, 'one revocation in the audit log, not three');

-- The catalogue.
CREATE TEMP TABLE c AS SELECT jsonb_build_object('metrics', (SELECT jsonb_agg(to_jsonb(m)) FROM onemap.metric m), 'kinds', '[]'::jsonb) AS catalogue;
SELECT is_empty($$SELECT onemap.catalogue_drift(catalogue) FROM c$$, 'the stored catalogue fits itself');
SELECT is_empty($$SELECT onemap.catalogue_missing(catalogue) FROM c$$, 'and nothing of it is missing');
CREATE FUNCTION pg_temp.changed(metric text, field text, value text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('metrics', (SELECT jsonb_agg(CASE WHEN m.subsystem = 'dust' AND m.key = metric
        THEN to_jsonb(m) || jsonb_build_object(field, value) ELSE to_jsonb(m) END) FROM onemap.metric m), 'kinds', '[]'::jsonb) $$;
SELECT results_eq($$SELECT onemap.catalogue_drift(pg_temp.changed('pm10_ug_m3', 'key', 'pm1_ug_m3'))$$,
    ARRAY['dust: ordinal 2 means pm10_ug_m3 in the database, pm1_ug_m3 in this build'], 'an ordinal with another key');
SELECT isnt_empty($$SELECT onemap.catalogue_drift(pg_temp.changed('pm10_ug_m3', 'unit', 'mg/m3'))$$, 'an ordinal with another unit');
SELECT isnt_empty($$SELECT onemap.catalogue_drift(pg_temp.changed('pm10_ug_m3', 'kind', 'counter'))$$, 'an ordinal of another kind');
SELECT is_empty($$SELECT onemap.catalogue_drift(pg_temp.changed('pm10_ug_m3', 'name_zh', '颗粒物'))$$, 'another Chinese name is no drift');
SELECT results_eq($$SELECT onemap.catalogue_drift(jsonb_set(catalogue, '{metrics}',
        (SELECT jsonb_agg(m) FROM jsonb_array_elements(catalogue->'metrics') m WHERE m->>'key' <> 'tsp_ug_m3'))) FROM c$$,
    ARRAY['dust: metric tsp_ug_m3 (ordinal 3) is in the database and not in this build'], 'a metric that was taken out');
SELECT results_eq($$SELECT onemap.catalogue_missing(catalogue || '{"kinds": [{"subsystem": "dust", "key": "balloon"}]}') FROM c$$,
    ARRAY['dust: device kind balloon is in this build and not in the database'], 'a kind that the build brings');
SELECT results_eq($$SELECT onemap.catalogue_missing(jsonb_build_object('metrics', jsonb_build_array(
        jsonb_build_object('subsystem', 'dust', 'ordinal', 60, 'key', 'ozone_ug_m3'))))$$,
    ARRAY['dust: metric ozone_ug_m3 (ordinal 60) is in this build and not in the database'], 'a metric that the build brings');
SELECT throws_like($$SELECT onemap.catalogue_sync(pg_temp.changed('pm10_ug_m3', 'key', 'pm1_ug_m3'))$$,
    'the catalogue of metrics does not fit: dust: ordinal 2 means pm10_ug_m3%', 'a sync refuses drift, with the reason');
SELECT is(onemap.metric_ordinal('dust', 'pm10_ug_m3'), 2, 'a refused sync changes nothing');
SELECT onemap.catalogue_sync(pg_temp.changed('pm10_ug_m3', 'max_value', '1500') || jsonb_build_object('kinds', jsonb_build_array(
    jsonb_build_object('subsystem', 'dust', 'key', 'balloon', 'name_zh', '气球', 'mobile', true, 'offline_after_s', 90))));
SELECT is((SELECT max_value FROM onemap.metric WHERE subsystem = 'dust' AND ordinal = 2), 1500::float8, 'a sync takes in another range');
SELECT is((SELECT ROW(name_zh, mobile, offline_after)::text FROM onemap.device_kind WHERE subsystem = 'dust' AND key = 'balloon'),
    '(气球,t,00:01:30)', 'and a new kind');
SELECT has_column('onemap'::name, 'dust'::name, 'pm10_ug_m3'::name, 'the named view of the subsystem is there');
SELECT is(onemap.metric_ordinal('dust', 'nonsense'), NULL, 'no ordinal for a metric that is not there');
SELECT is(ARRAY[onemap.reading_good('{1,2,3}', NULL, 2), onemap.reading_good('{1,2,3}', 2, 2), onemap.reading_good('{1,2,3}', 4, 2),
                onemap.reading_good('{1,2,3}', NULL, 9)], '{2,NULL,2,NULL}'::float8[], 'reading_good leaves out what has its quality bit');

-- Devices first seen in telemetry.
SELECT lives_ok($$SELECT onemap.device_register('[{"id": 900001, "subsystem": "dust", "vendor": "plain", "code": "new-1"},
    {"id": 900002, "subsystem": "dust", "vendor": "plain", "code": "新-2"}]')$$, 'two new devices');
SELECT is((SELECT ROW(id, status, kind)::text FROM onemap.device WHERE code = '新-2'), '(900002,pending,)', 'pending, of no kind, under the hub''s id');
SELECT lives_ok($$SELECT onemap.device_register('[{"id": 900001, "subsystem": "dust", "vendor": "plain", "code": "new-1"}]')$$, 'the same again is no fault');
SELECT throws_ok($$SELECT onemap.device_register('[{"id": 900009, "subsystem": "dust", "vendor": "plain", "code": "new-1"}]')$$,
    'CH001', 'device new-1 is already registered under another id', 'another id for a known code is refused with CH001');
SELECT throws_ok($$SELECT onemap.device_register('[{"id": 900010, "subsystem": "dust", "vendor": "nobody", "code": "x"}]')$$,
    '23503', NULL, 'no device of a vendor that is not there');
SELECT * FROM finish();
ROLLBACK;
