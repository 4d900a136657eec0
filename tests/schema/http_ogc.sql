-- OGC API - Features: datetime, boxes, reference systems, pages while rows change, who sees what, and that what the API document says
-- of parameters is so.
BEGIN;
\ir include/case_fixture.sql
\ir include/http.sql
SELECT plan(203);
CREATE FUNCTION test.ogc(route text, fields jsonb DEFAULT '{}', department text DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE body jsonb;
BEGIN
    EXECUTE format('SELECT body::jsonb FROM onemap.http_ogc%s($1)', route) INTO body
        USING '{"base": "http://map.example.cn"}' || test.ask('{"limit": 1000}' || fields, department) - 'after';
    RETURN body;
END $$;
CREATE FUNCTION test.items(collection text, fields jsonb DEFAULT '{}', department text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(f->'properties'->>CASE collection WHEN 'alarm' THEN 'device_code' ELSE 'code' END, ' ' ORDER BY n)
    FROM jsonb_array_elements(test.ogc('_items', fields || jsonb_build_object('collection', collection), department)->'features')
        WITH ORDINALITY x (f, n)
$$;
-- The refusal's SQLSTATE, or what comes of it.
CREATE FUNCTION test.refused(collection text, fields jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN test.items(collection, fields);
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;

-- ---- datetime: what it says ----
CREATE TABLE test.period (typed text, wanted tstzrange);
INSERT INTO test.period (typed, wanted) VALUES
    ('2026-11-24T00:00:00Z', '[2026-11-24T00:00:00Z,2026-11-24T00:00:00Z]'), ('2026-11-24T08:00:00+08:00', '[2026-11-24T00:00:00Z,2026-11-24T00:00:00Z]'),
    ('2026-11-24T08:00:00 08:00', '[2026-11-24T00:00:00Z,2026-11-24T00:00:00Z]'), ('2026-11-24t00:00:00z', '[2026-11-24T00:00:00Z,2026-11-24T00:00:00Z]'),
    ('2026-11-24T00:00:00.5Z', '[2026-11-24T00:00:00.5Z,2026-11-24T00:00:00.5Z]'), ('2026-11-24T00:00:00.123456Z', '[2026-11-24T00:00:00.123456Z,2026-11-24T00:00:00.123456Z]'),
    ('2026-11-24T00:00:00-05:30', '[2026-11-24T05:30:00Z,2026-11-24T05:30:00Z]'), ('2026-11-24', '[2026-11-23T16:00:00Z,2026-11-24T16:00:00Z)'),
    ('2024-02-29', '[2024-02-28T16:00:00Z,2024-02-29T16:00:00Z)'), ('2026-12-31', '[2026-12-30T16:00:00Z,2026-12-31T16:00:00Z)'),
    ('2026-11-24T00:00:00Z/2026-11-25T00:00:00Z', '[2026-11-24T00:00:00Z,2026-11-25T00:00:00Z]'), ('2026-11-24T00:00:00Z/2026-11-24T00:00:00Z', '[2026-11-24T00:00:00Z,2026-11-24T00:00:00Z]'),
    ('2026-11-24T00:00:00Z/..', '[2026-11-24T00:00:00Z,)'), ('2026-11-24T00:00:00Z/', '[2026-11-24T00:00:00Z,)'), ('../2026-11-24T00:00:00Z', '(,2026-11-24T00:00:00Z]'),
    ('/2026-11-24T00:00:00Z', '(,2026-11-24T00:00:00Z]'), ('2026-11-01/2026-11-24', '[2026-10-31T16:00:00Z,2026-11-24T16:00:00Z)'), ('2026-11-24/2026-11-24', '[2026-11-23T16:00:00Z,2026-11-24T16:00:00Z)'),
    ('2026-11-24/..', '[2026-11-23T16:00:00Z,)'), ('../2026-11-24', '(,2026-11-24T16:00:00Z)'), ('2026-11-24/2026-11-24T00:00:00Z', '[2026-11-23T16:00:00Z,2026-11-24T00:00:00Z]'),
    ('2026-11-24T12:00:00Z/2026-11-24', '[2026-11-24T12:00:00Z,2026-11-24T16:00:00Z)'), ('2026-11-24T08:00:00+08:00/2026-11-24T09:00:00+08:00', '[2026-11-24T00:00:00Z,2026-11-24T01:00:00Z]'),
    ('2026-11-24T08:00:00 08:00/2026-11-24T09:00:00 08:00', '[2026-11-24T00:00:00Z,2026-11-24T01:00:00Z]'), ('2016-12-31T23:59:60Z', '[2017-01-01T00:00:00Z,2017-01-01T00:00:00Z]'),
    ('0001-01-01T00:00:00Z', '[0001-01-01T00:00:00Z,0001-01-01T00:00:00Z]'), ('9999-12-31T23:59:59Z', '[9999-12-31T23:59:59Z,9999-12-31T23:59:59Z]'),
    ('2026-11-24t00:00:00z/..', '[2026-11-24T00:00:00Z,)'), ('2026-11-24T23:59:59.999999Z', '[2026-11-24T23:59:59.999999Z,2026-11-24T23:59:59.999999Z]'),
    ('2026-11-24T00:00:00-00:00', '[2026-11-24T00:00:00Z,2026-11-24T00:00:00Z]'), ('2026-11-24/2026-11-23T16:00:00Z', '[2026-11-23T16:00:00Z,2026-11-23T16:00:00Z]'),
    ('', NULL), ('..', NULL), ('/', NULL), ('../..', NULL), ('../', NULL), ('/..', NULL), ('...', NULL), ('now', NULL), ('infinity', NULL), ('2026', NULL), ('2026-11', NULL),
    ('2026-11-31', NULL), ('2026-02-29', NULL), ('2026-13-01', NULL), ('2026-00-10', NULL), ('0000-01-01', NULL), ('2026-11-24T24:00:00Z', NULL), ('2026-11-24T08:60:00Z', NULL),
    ('2026-11-24T08:00:61Z', NULL), ('2026-11-24T08:00Z', NULL), ('2026-11-24T08:00:00', NULL), ('2026-11-24T08:00:00+0800', NULL), ('2026-11-24T08:00:00+8:00', NULL),
    ('2026-11-24 08:00:00Z', NULL), ('2026-11-24T08:00:00.Z', NULL), ('2026-11-24T08:00:00+24:00', NULL), ('2026-11-24T08:00:00+16:00', NULL), (' 2026-11-24', NULL),
    ('2026-11-25T00:00:00Z/2026-11-24T00:00:00Z', NULL), ('2026-11-25/2026-11-24', NULL), ('2026-11-24/2026-11-23T15:59:59Z', NULL), ('2026-11-24T00:00:00Z/2026-11-25T00:00:00Z/', NULL),
    ('2026-11-24/2026-11-25/2026-11-26', NULL), ('2026-11-24/now', NULL), ('yesterday/..', NULL), ('2026-11-24;2026-11-25', NULL);
CREATE FUNCTION test.period(typed text) RETURNS tstzrange LANGUAGE plpgsql AS $$
BEGIN
    RETURN onemap.ogc_period(typed);
EXCEPTION WHEN SQLSTATE 'CH042' THEN RETURN NULL;
END $$;
SELECT is(test.period(p.typed), p.wanted, 'datetime=' || p.typed) FROM test.period p;
SELECT cmp_ok((SELECT count(*)::int FROM test.period), '>=', 60, 'sixty of them');

-- ---- datetime: what it finds ----
INSERT INTO onemap.zone (kind, code, name_zh, valid_from, valid_to, geom)
SELECT 'no_entry', z.code, z.code, z.valid_from, z.valid_to, public.ST_Multi(public.ST_MakeEnvelope(114.9, 34.5, 114.91, 34.51, 4326))
FROM (VALUES ('always', '-infinity'::timestamptz, 'infinity'::timestamptz), ('march', '2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z'),
    ('from', '2026-03-10T00:00:00Z', 'infinity'), ('until', '-infinity', '2026-03-10T00:00:00Z')) AS z (code, valid_from, valid_to);
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at) SELECT d.id, '2026-03-02T00:00:00Z', '2026-03-02T00:00:00Z' FROM onemap.device d WHERE d.code = 'L1';
SELECT test.report('{"title": "A"}' || test.at('2026-03-02 08:00:00')) AS old, test.report('{"title": "B"}' || test.at('2026-03-05 08:00:00')) AS new \gset
INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity)
SELECT (SELECT min(r.id) FROM onemap.alarm_rule r WHERE r.subsystem = d.subsystem), d.id, CASE d.code WHEN 'L1' THEN timestamptz '2026-03-02T00:00:00Z' ELSE '2026-03-05T00:00:00Z' END, 'major'
FROM onemap.device d WHERE d.code IN ('L1', 'D1') ORDER BY d.code DESC;
SELECT is(test.items(x.collection, jsonb_build_object('datetime', x.datetime)), x.wanted, x.collection || ' ' || x.datetime) FROM (VALUES
    ('zone', '2026-03-09T23:59:59Z', 'always march until'), ('zone', '2026-03-10T00:00:00Z', 'always march from'), ('zone', '2026-04-01T00:00:00Z', 'always from'), ('zone', '../2026-02-28T23:59:59Z', 'always until'),
    ('zone', '2026-03-31T23:59:59Z/..', 'always march from'), ('zone', '2025-01-01/2027-01-01', 'always march from until'), ('device', '2026-03-02T00:00:00Z', 'L1 D1'), ('device', '2026-03-02T00:00:01Z/..', 'D1'),
    ('device', '../2026-03-02', 'L1 D1'), ('case', '2026-03-02T00:00:00Z', :'old'), ('case', '2026-03-01T23:59:59Z', NULL), ('case', '2026-03-04/..', :'old' || ' ' || :'new'), ('case', '../2026-03-03', :'old'),
    ('alarm', '2026-03-03', 'L1'), ('alarm', '2026-03-05T00:00:00Z', 'L1 D1'), ('alarm', '../2026-03-01', NULL), ('department', '1999-01-01', 'chengguan jincheng old zhaoming'), ('grid_cell', '1999-01-01/..', '410221001001001'))
    AS x (collection, datetime, wanted);

-- ---- boxes ----
SELECT string_agg(c.uri, ' ' ORDER BY c.place) AS all_crs, max(c.uri) FILTER (WHERE c.place = 2) AS epsg_4326, max(c.uri) FILTER (WHERE c.place = 3) AS epsg_4490,
    max(c.uri) FILTER (WHERE c.place = 4) AS mercator, max(c.uri) FILTER (WHERE c.place = 1) AS crs84 FROM onemap.ogc_crs() c \gset
INSERT INTO onemap.device (subsystem, vendor, code, status, geom) SELECT 'dust', 'sites', x.code, 'active', public.ST_SetSRID(public.ST_MakePoint(x.lon, x.lat), 4326)
FROM (VALUES ('far_east', 179, 68), ('far_west', -179, 68), ('pole', 20, 89)) AS x (code, lon, lat);
INSERT INTO onemap.device (subsystem, vendor, code, status) VALUES ('dust', 'sites', 'nowhere', 'active');
CREATE TABLE test.box (box jsonb, crs text, wanted text);
INSERT INTO test.box (box, crs, wanted) VALUES
    ('[114.7, 34.5, 114.755, 34.6]', NULL, 'L1 nowhere'), ('[114.7, 34.5, 114.8, 34.6]', NULL, 'L1 D1 nowhere'), ('[114.7, 34.5, 0, 114.8, 34.6, 100]', NULL, 'L1 D1 nowhere'), ('[0, 0, 1, 1]', NULL, 'nowhere'),
    ('[114.75, 34.55, 114.75, 34.55]', NULL, 'L1 nowhere'), ('[177, 65, -177, 70]', NULL, 'far_east far_west nowhere'), ('[177, 65, 0, -177, 70, 9]', NULL, 'far_east far_west nowhere'), ('[-180, 85, 180, 90]', NULL, 'pole nowhere'),
    ('[-180, -90, 180, 90]', NULL, 'L1 D1 far_east far_west pole nowhere'), ('[-180, -90, 180, -85]', NULL, 'nowhere'), ('[178, 60, 180, 70]', NULL, 'far_east nowhere'), ('[-180, 60, -178, 70]', NULL, 'far_west nowhere'),
    ('[34.5, 114.7, 34.6, 114.755]', :'epsg_4326', 'L1 nowhere'), ('[34.5, 114.7, 34.6, 114.755]', :'epsg_4490', 'L1 nowhere'), ('[65, 177, 70, -177]', :'epsg_4326', 'far_east far_west nowhere'),
    ('[34.5, 114.7, 1, 34.6, 114.755, 2]', :'epsg_4490', 'L1 nowhere'), ('[12768345, 4096000, 12774470, 4111000]', :'mercator', 'L1 nowhere'), ('[-20037508.343, -20037508.343, 20037508.343, 20037508.343]', :'mercator', 'L1 D1 far_east far_west nowhere'),
    ('[114.7, 34.5, 114.755, 34.6]', :'crs84', 'L1 nowhere'), ('[1, 2, 3]', NULL, 'CH042'), ('[1, 2, 3, 4, 5]', NULL, 'CH042'), ('[114, 35, 115, 34]', NULL, 'CH042'), ('[-181, 0, 1, 1]', NULL, 'CH042'), ('[0, -91, 1, 1]', NULL, 'CH042'),
    ('[0, 0, 5, 1, 1, 4]', NULL, 'CH042'), ('[114.7, 34.5, 114.8, 34.6]', :'epsg_4326', 'CH042'), ('[0, 0, 1, 1]', 'http://www.opengis.net/def/crs/EPSG/0/27700', 'CH042'), ('[30000000, 0, 1, 1]', :'mercator', 'CH042');
SELECT is(test.refused('device', jsonb_strip_nulls(jsonb_build_object('bbox', b.box, 'bbox-crs', b.crs))), b.wanted, 'bbox=' || b.box::text || coalesce(' ' || b.crs, '')) FROM test.box b;
SELECT is(test.items(x.collection, jsonb_build_object('bbox', x.box)), x.wanted, x.collection || ' in ' || x.box::text) FROM (VALUES ('department', '[114.75, 34.55, 114.76, 34.56]'::jsonb, 'chengguan jincheng old zhaoming'),
    ('department', '[0, 0, 1, 1]', 'chengguan old zhaoming'), ('grid_cell', '[114.79, 34.59, 115, 35]', '410221001001001'), ('grid_cell', '[0, 0, 1, 1]', NULL), ('zone', '[114.905, 34.505, 115, 35]', 'always march from until'),
    ('case', '[114.74, 34.54, 114.76, 34.56]', :'old' || ' ' || :'new'), ('case', '[0, 0, 1, 1]', NULL), ('alarm', '[114.7, 34.5, 114.755, 34.6]', 'L1')) AS x (collection, box, wanted);

-- ---- reference systems ----
CREATE FUNCTION test.place(crs text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(round(e::numeric, 4)::text, ' ' ORDER BY n) FROM jsonb_array_elements_text(test.ogc('_items', jsonb_strip_nulls(jsonb_build_object('collection', 'device', 'code', 'L1', 'crs', crs)))
        ->'features'->0->'geometry'->'coordinates') WITH ORDINALITY x (e, n)
$$;
SELECT is(test.place(x.crs), x.wanted, coalesce(x.crs, 'no crs')) FROM (VALUES (NULL, '114.7500 34.5500'), (:'crs84', '114.7500 34.5500'), (:'epsg_4326', '34.5500 114.7500'), (:'epsg_4490', '34.5500 114.7500'),
    (:'mercator', concat_ws(' ', round((6378137 * radians(114.75))::numeric, 3) || '0', round((6378137 * ln(tan(pi() / 4 + radians(34.55) / 2)))::numeric, 3) || '0'))) AS x (crs, wanted);
SELECT is(test.refused('device', '{"crs": "http://www.opengis.net/def/crs/EPSG/0/27700"}'), 'CH042', 'another one');
SELECT is((SELECT content_crs FROM onemap.http_ogc_items('{"base": "x", "collection": "device", "limit": 1}' || test.ask(jsonb_build_object('crs', :'mercator')) - 'after')), :'mercator', 'it is said');
SELECT is(test.ogc('_item', jsonb_build_object('collection', 'grid_cell', 'fid', '410221001001001', 'crs', :'epsg_4326'))->'geometry'->'coordinates'->0->0->0, '[34.5, 114.7]', 'of a polygon');

-- ---- queryables, single features, links ----
SELECT is(test.items(x.collection, x.fields), x.wanted, x.collection || ' ' || x.fields) FROM (VALUES ('device', '{"subsystem": "streetlight"}'::jsonb, 'L1'), ('device', '{"state": "never", "vendor": "sites"}', 'D1 far_east far_west pole nowhere'),
    ('device', '{"department": "chengguan"}', NULL), ('device', '{"department": "zhaoming"}', 'L1'), ('device', '{"grid_cell": "410221001001001"}', 'L1 D1'), ('device', '{"grid_cell": "4102210010010019"}', NULL), ('department', '{"kind": "street"}', 'jincheng'),
    ('zone', '{"kind": "other"}', NULL), ('case', '{"state": "reported"}', :'old' || ' ' || :'new'), ('alarm', '{"severity": "major", "subsystem": "dust"}', 'D1')) AS x (collection, fields, wanted);
SELECT is(test.refused('zone', '{"subsystem": "dust"}'), 'CH042', 'a parameter of another collection');
SELECT is(test.ogc('_items', '{"collection": "dUmmYColLection"}'), NULL, 'no such collection');
SELECT is(test.ogc('_item', '{"collection": "dUmmYColLection", "fid": "1"}'), NULL, 'nor one of its features');
SELECT is((SELECT count(*)::int FROM onemap.ogc_collections() c WHERE test.ogc('_item', jsonb_build_object('collection', c.collection, 'fid', f.f)) IS NOT NULL), 0, 'no such feature: ' || f.f)
FROM unnest('{x,0,2147483647,9223372036854775807,99999999999999999999,-1,01,"a''b","410221001001001 x"}'::text[]) f (f);
SELECT is((SELECT count(*)::int FROM onemap.ogc_collections() c, LATERAL (SELECT test.ogc('_items', jsonb_build_object('collection', c.collection))->'features') l (l), jsonb_array_elements(l.l) f
    WHERE test.ogc('_item', jsonb_build_object('collection', c.collection, 'fid', f->>'id')) - 'links' IS DISTINCT FROM f), 0, 'each feature alone is what the page has');
SELECT cmp_ok((SELECT count(*)::int FROM onemap.ogc_collections() c, jsonb_array_elements(test.ogc('_items', jsonb_build_object('collection', c.collection))->'features')), '>', 15, 'of many');
SELECT is((SELECT l->>'href' FROM jsonb_array_elements(test.ogc('_items', '{"collection": "device", "limit": 2, "bbox": [-180, -90.0, 180, 90], "datetime": "2026-01-01T00:00:00+08:00/..", "vendor": "甲 &乙"}')->'links') l WHERE l->>'rel' = 'self'),
    'http://map.example.cn/ogc/collections/device/items?bbox=-180,-90.0,180,90&datetime=2026-01-01T00:00:00%2B08:00/..&limit=2&vendor=%E7%94%B2%20%26%E4%B9%99', 'self');
SELECT is((SELECT l->>'href' FROM jsonb_array_elements(test.ogc('_items', '{"collection": "device", "limit": 2, "vendor": "sites"}')->'links') l WHERE l->>'rel' = 'next'),
    format('http://map.example.cn/ogc/collections/device/items?cursor=%s&limit=2&vendor=sites', (SELECT d.id FROM onemap.device d WHERE d.code = 'far_east')), 'next');
SELECT is((SELECT count(*)::int FROM onemap.ogc_collections() c WHERE c.collection !~ '^[a-z0-9_]+$'), 0, 'ids of collections');
SELECT is((SELECT count(*)::int FROM onemap.ogc_properties() p WHERE p.property IN ('limit', 'bbox', 'datetime', 'crs', 'cursor', 'collection', 'fid', 'base', 'identity')), 0,
    'no property is called as a parameter');

-- ---- who sees what ----
UPDATE onemap.device d SET department_id = (SELECT u.id FROM onemap.department u WHERE u.code = 'jincheng') WHERE d.code IN ('D1', 'pole');
INSERT INTO onemap.component (component_code, department_id, geom) SELECT '41022101180000' || n, u.id, public.ST_SetSRID(public.ST_MakePoint(114.75, 34.55), 4326)
FROM (VALUES (11, 'jincheng'), (12, 'zhaoming'), (13, NULL)) AS c (n, unit) LEFT JOIN onemap.department u ON u.code = c.unit;
SELECT test.act(:'old', 'accept', 'acceptor'), test.act(:'old', 'register', 'registrar'), test.act(:'old', 'dispatch', 'dispatcher', '{"department": "zhaoming"}');
SELECT is(test.items(x.collection, '{}', x.unit), x.wanted, x.collection || ' for ' || x.unit) FROM (VALUES ('device', 'jincheng', 'D1 pole'), ('device', 'chengguan', 'L1'), ('device', 'old', NULL), ('alarm', 'jincheng', 'D1'), ('alarm', 'zhaoming', 'L1'),
    ('case', 'chengguan', :'old'), ('case', 'jincheng', NULL), ('component', 'jincheng', '4102210118000011'), ('component', 'chengguan', '4102210118000012'), ('component', 'old', NULL), ('grid_cell', 'old', '410221001001001'),
    ('zone', 'old', 'always march from until'), ('department', 'old', 'chengguan jincheng old zhaoming')) AS x (collection, unit, wanted);
SELECT is(test.ogc('_item', jsonb_build_object('collection', x.collection, 'fid', x.fid), x.unit) IS NOT NULL, x.seen, concat_ws(' ', x.collection, x.unit)) FROM (
    SELECT 'device', d.id::text, u.unit, u.unit = 'zhaoming' FROM onemap.device d, (VALUES ('zhaoming'), ('jincheng')) AS u (unit) WHERE d.code = 'L1'
    UNION ALL VALUES ('case', :'old', 'chengguan', true), ('case', :'old', 'jincheng', false), ('case', :'new', 'jincheng', false), ('component', '4102210118000011', 'zhaoming', false)) AS x (collection, fid, unit, seen);
SELECT is((test.ogc('_items', '{"collection": "device"}', 'jincheng')->'numberMatched')::text, '2', 'nor does the number tell');
SELECT throws_ok(format('SELECT * FROM onemap.http_ogc%s(%L)', f.f, '{"base": "x", "collection": "zone", "fid": "1", "limit": 1}'), 'CH060', NULL, 'nobody: ' || f.f)
FROM unnest('{"",_api,_conformance,_collections,_collection,_items,_item,_queryables}'::text[]) f (f);

-- ---- numbers ----
SELECT is((a->'numberMatched', a->'numberReturned', jsonb_array_length(a->'features'), a->>'timeStamp' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$')::text, '(4,3,3,t)', 'a page') FROM test.ogc('_items', '{"collection": "zone", "limit": 3}') a;
SELECT is((a->'numberMatched', a->'numberReturned', a->'features')::text, '(0,0,[])', 'nothing') FROM test.ogc('_items', '{"collection": "zone", "kind": "other"}') a;
INSERT INTO onemap.zone (kind, code, name_zh, geom) SELECT 'other', 'many' || n, 'x', public.ST_Multi(public.ST_MakeEnvelope(114, 34, 114.1, 34.1, 4326)) FROM generate_series(1, 10000) n;
SELECT is(test.ogc('_items', '{"collection": "zone", "limit": 3, "kind": "other"}')->'numberMatched', '10000', 'many');
SELECT is((a ? 'numberMatched', a->'numberReturned')::text, '(f,3)', 'too many to count') FROM test.ogc('_items', '{"collection": "zone", "limit": 3}') a;

-- ---- pages: what is there all the time comes once, whatever else comes and goes ----
CREATE FUNCTION test.walk(collection text, page int, fields jsonb DEFAULT '{}') RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE body jsonb; found text[] := '{}'; cursor jsonb := '{}'; n int := 0; href text;
BEGIN
    LOOP
        body := test.ogc('_items', jsonb_build_object('collection', collection, 'limit', page) || fields || cursor);
        found := found || ARRAY(SELECT f->>'id' FROM jsonb_array_elements(body->'features') f);
        SELECT l->>'href' INTO href FROM jsonb_array_elements(body->'links') l WHERE l->>'rel' = 'next';
        EXIT WHEN href IS NULL;
        cursor := jsonb_build_object('cursor', substring(href FROM 'cursor=([^&]+)'));
        n := n + 1;
        INSERT INTO onemap.device (subsystem, vendor, code) VALUES ('gas', 'pipes', collection || '-new-' || n);
        DELETE FROM onemap.device d WHERE d.code = collection || '-new-' || n - 2;
        UPDATE onemap.device d SET name_zh = d.name_zh || '.' WHERE d.code = 'D1';
        INSERT INTO onemap.component (component_code, geom) VALUES ('41022101190' || lpad((n * 7919 % 99999)::text, 5, '0'), public.ST_SetSRID(public.ST_MakePoint(114.75, 34.55), 4326)) ON CONFLICT DO NOTHING;
        PERFORM test.report(jsonb_build_object('title', 'new' || n)), test.act(found[cardinality(found)], 'void', 'registrar') FROM (SELECT) x WHERE collection = 'case' AND n % 3 = 0;
    END LOOP;
    RETURN found;
END $$;
SELECT onemap.vendor_put('gas', 'pipes', '{}');
INSERT INTO onemap.component (component_code, geom) SELECT '41022101190' || lpad((n * 104729 % 99991)::text, 5, '0'), public.ST_SetSRID(public.ST_MakePoint(114.75, 34.55), 4326) FROM generate_series(1, 100) n;
SELECT count(test.report(jsonb_build_object('title', 'many' || n))) AS reported FROM generate_series(1, 40) n \gset
CREATE TABLE test.before AS SELECT c.collection, f->>'id' AS id FROM onemap.ogc_collections() c, jsonb_array_elements(test.ogc('_items', jsonb_build_object('collection', c.collection, 'limit', 20000))->'features') f;
CREATE TABLE test.walked AS SELECT c.collection, w.w AS id FROM onemap.ogc_collections() c, unnest(test.walk(c.collection, CASE c.collection WHEN 'zone' THEN 700 ELSE 3 END)) w (w);
SELECT is((SELECT count(*)::int FROM (SELECT FROM test.walked w GROUP BY w.collection, w.id HAVING count(*) > 1) x), 0, 'nothing comes twice');
SELECT is_empty($$SELECT b.collection, b.id FROM test.before b WHERE NOT EXISTS (SELECT FROM test.walked w WHERE w.collection = b.collection AND w.id = b.id)
    AND NOT (b.collection = 'case' AND EXISTS (SELECT FROM onemap.case_record r WHERE r.code = b.id AND r.ended_at IS NOT NULL))$$, 'and nothing is missing');
SELECT cmp_ok((SELECT count(*)::int FROM test.walked w WHERE w.collection <> 'zone'), '>', 150, 'on many pages');
SELECT cmp_ok((SELECT count(*)::int FROM onemap.case_record r WHERE r.ended_at IS NOT NULL), '>', 3, 'while cases ended');
SELECT is(test.refused('zone', jsonb_build_object('cursor', c.c)), 'CH042', 'a cursor that is none: ' || c.c) FROM unnest('{x,-1,1.5,99999999999999999999,1;}'::text[]) c (c);

-- ---- the document ----
SELECT test.ogc('_api') AS api \gset
SELECT is((SELECT count(*)::int FROM onemap.ogc_properties() p WHERE p.queried IS NOT NULL AND NOT EXISTS (
    SELECT FROM jsonb_array_elements(:'api'::jsonb->'paths'->('/collections/' || p.collection || '/items')->'get'->'parameters') x WHERE x->>'name' = p.property)), 0, 'each queryable is a parameter');
SELECT is((SELECT count(DISTINCT o->>'operationId') = count(*) FROM jsonb_each(:'api'::jsonb->'paths') p, LATERAL (SELECT p.value->'get') g (o)), true, 'operations have names of their own');
SELECT is((SELECT jsonb_object_agg(q.collection, test.ogc('_queryables', jsonb_build_object('collection', q.collection))->'properties'->'code'->>'type') FROM onemap.ogc_collections() q WHERE q.collection <> 'alarm'),
    '{"case": "string", "zone": "string", "device": "string", "component": "string", "grid_cell": "string", "department": "string"}', 'queryables');
SELECT is((SELECT count(*)::int FROM onemap.ogc_collections() c, jsonb_array_elements(test.ogc('_items', jsonb_build_object('collection', c.collection, 'limit', 5))->'features') f
    WHERE ARRAY(SELECT jsonb_object_keys(f->'properties') ORDER BY 1) <> ARRAY(SELECT p.property FROM onemap.ogc_properties() p WHERE p.collection = c.collection ORDER BY 1)), 0, 'features have their properties');
SELECT * FROM finish();
ROLLBACK;
