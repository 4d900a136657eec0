-- The county's map from GeoJSON: what is refused and why, what is stored, what follows from it for cases.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(48);
CREATE FUNCTION test.square(west numeric, south numeric, size numeric DEFAULT 0.01) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', 'Polygon', 'coordinates', jsonb_build_array(jsonb_build_array(jsonb_build_array(west, south),
        jsonb_build_array(west + size, south), jsonb_build_array(west + size, south + size), jsonb_build_array(west, south + size), jsonb_build_array(west, south))))
$$;
CREATE FUNCTION test.point(lon numeric, lat numeric) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(lon, lat))
$$;
CREATE FUNCTION test.feature(geometry jsonb, properties jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', 'Feature', 'geometry', geometry, 'properties', properties)
$$;
CREATE FUNCTION test.file(VARIADIC features jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', 'FeatureCollection', 'features', to_jsonb(features))
$$;
CREATE FUNCTION test.told(layer text, document jsonb, what text DEFAULT 'problem') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(': ', nullif(p->>'place', ''), p->>what), ' / ')
    FROM jsonb_array_elements(onemap.map_check(jsonb_build_object('layer', layer, 'document', document))->(what || 's')) p
$$;
\set cell '{"code": "410221002001001", "name": "一格", "department": "jincheng"}'
\set part '{"code": "4102210118000009", "name": "灯", "department": "zhaoming"}'
\set yard '{"kind": "disposal_yard", "code": "Y1", "name": "一号消纳场"}'

-- ---- refused, with the place ----
SELECT matches(test.told(x.layer, x.document), x.problem, x.problem) FROM (VALUES
    ('grid_cells', '{}'::jsonb, '^must be a GeoJSON FeatureCollection'), ('grid_cells', '[]', '^must be a GeoJSON'), ('grid_cells', '{"type": "Feature"}', '^must be a GeoJSON'),
    ('grid_cells', '{"type": "FeatureCollection", "features": []}', '^enters nothing: it has no features$'),
    ('grid_cells', test.file(test.feature(test.square(114.5, 34.5), :'cell')) || '{"crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::4547"}}}', '^crs: is urn:ogc:def:crs:EPSG::4547: must be WGS 84'),
    ('grid_cells', test.file(test.feature(NULL, :'cell')), '^features\[0\]: has no geometry'),
    ('grid_cells', test.file(test.feature('{"type": "Polygon", "coordinates": "none"}', :'cell')), '^features\[0\]: has no geometry, or one that cannot be read'),
    ('grid_cells', test.file(test.feature(test.point(114.5, 34.5), :'cell')), '^features\[0\]: is a Point: grid cells are polygons$'),
    ('components', test.file(test.feature(test.square(114.5, 34.5), :'part')), '^features\[0\]: is a Polygon: components are points$'),
    ('grid_cells', test.file(test.feature(test.square(34.5, 114.5), :'cell')), 'which is not in China: are longitude and latitude exchanged'),
    ('grid_cells', test.file(test.feature(test.square(38551234, 3812345), :'cell')), 'which is not in China: is it in metres'),
    ('components', test.file(test.feature(test.point(0, 0), :'part')), 'which is not in China'),
    ('grid_cells', test.file(test.feature('{"type": "Polygon", "coordinates": [[[114, 34], [115, 35], [115, 34], [114, 35], [114, 34]]]}', :'cell')), 'is not a valid polygon: Self-intersection'),
    ('grid_cells', test.file(test.feature(test.square(114.5, 34.5), '{"code": "4102210020010"}')), '^features\[0\]: code: must be 15 digits \(GB/T 30428.1\), not "4102210020010"'),
    ('grid_cells', test.file(test.feature(test.square(114.5, 34.5), '{}')), 'code: must be 15 digits \(GB/T 30428.1\), not ""'),
    ('components', test.file(test.feature(test.point(114.5, 34.5), '{"code": "1"}')), 'code: must be 16 digits'),
    ('grid_cells', test.file(test.feature(test.square(114.5, 34.5), :'cell'), test.feature(test.square(114.6, 34.5), :'cell')), '^features\[1\]: code: 410221002001001 is there already, in features\[0\]$'),
    ('grid_cells', test.file(test.feature(test.square(114.5, 34.5), :'cell'::jsonb || '{"department": "nobody"}')), 'no active department "nobody"'),
    ('components', test.file(test.feature(test.point(114.5, 34.5), :'part'::jsonb || '{"department": "old"}')), 'no active department "old"'),
    ('zones', test.file(test.feature(test.square(114.5, 34.5), :'yard'::jsonb - 'kind')), 'kind: must be disposal_yard'),
    ('zones', test.file(test.feature(test.square(114.5, 34.5), :'yard'::jsonb - 'name')), 'name: is missing'),
    ('zones', test.file(test.feature(test.square(114.5, 34.5), :'yard'::jsonb || '{"valid_from": "soon"}')), 'valid_from: must be a day'),
    ('zones', test.file(test.feature(test.square(114.5, 34.5), :'yard'::jsonb || '{"valid_from": "2026-05-01", "valid_to": "2026-04-01"}')), 'valid_to: 2026-04-01 is not after')) AS x (layer, document, problem);
SELECT is(onemap.map_import(jsonb_build_object('layer', 'grid_cells', 'document', test.file(test.feature(test.square(114.5, 34.5), :'cell'), test.feature(test.square(114.6, 34.5), '{}'))))->'imported',
    'false', 'one bad feature: nothing is imported');
SELECT is((SELECT count(*)::int FROM onemap.grid_cell), 1, 'whole or not at all');
SELECT throws_ok($$SELECT onemap.map_check('{"layer": "rivers"}')$$, 'CH013', NULL, 'no such layer');

-- ---- stored ----
CREATE FUNCTION test.stored(layer text, document jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', r->>'imported', r->>'features', r->>'added', r->>'changed') FROM onemap.map_import(jsonb_build_object('layer', layer, 'document', document)) r
$$;
SELECT is(test.stored('grid_cells', test.file(test.feature(test.square(114.5, 34.5), :'cell'), test.feature(test.square(114.52, 34.5), '{"code": 410221002001002}'))), 'true 2 2 0', 'two cells, one with its code as a number');
SELECT is(test.stored('grid_cells', test.file(test.feature(test.square(114.5, 34.5), :'cell'), test.feature(test.square(114.52, 34.5), '{"code": "410221002001002", "name": "二格"}'))), 'true 2 0 1', 'again: one has a name now');
SELECT is((SELECT count(*)::int FROM onemap.grid_cell), 3, 'what the file does not name stays');
SELECT is((SELECT a.detail FROM onemap.audit_log a WHERE a.action = 'map_import' ORDER BY a.id DESC LIMIT 1), '{"layer": "grid_cells", "features": 2, "added": 0, "changed": 1}', 'and it is in the audit log');
SELECT is(test.stored('zones', test.file(test.feature(test.square(114.55, 34.55), :'yard'::jsonb || '{"valid_from": "2026-01-01"}'))), 'true 1 1 0', 'a yard');
SELECT is((SELECT (z.kind, z.valid_from, z.valid_to)::text FROM onemap.zone z), '(disposal_yard,"2025-12-31 16:00:00+00",infinity)', 'from the county''s midnight on');
SELECT is(test.stored('components', test.file(test.feature(test.point(114.505, 34.505), :'part'))), 'true 1 1 0', 'a component');
SELECT is((SELECT k.grid_cell FROM onemap.component k), '410221002001001', 'in its cell');
SELECT is(test.stored('grid_cells', test.file(test.feature(test.square(114.5, 34.4), :'cell'))), 'true 1 0 1', 'the cell is redrawn elsewhere');
SELECT is((SELECT k.grid_cell FROM onemap.component k), NULL, 'and is no longer the component''s');
SELECT is(test.stored('grid_cells', test.file(test.feature(test.square(114.5, 34.5), :'cell'))), 'true 1 0 1', 'back again');
SELECT is((SELECT string_agg(concat_ws(' ', l.layer, l.rows, l.department), '; ') FROM onemap.map_list_table('{}') l), 'grid_cells 3 2; zones 1; components 1 1', 'the list');

-- ---- strange, and told ----
SELECT matches(test.told('grid_cells', test.file(test.feature(test.square(114.505, 34.5), '{"code": "410221002001009", "department": "jincheng"}')), 'warning'),
    '^features\[0\]: 410221002001009 and 410221002001001 \(the county''s own\) overlap by [0-9]+ square metres', 'cells that overlap');
SELECT is(test.told('grid_cells', test.file(test.feature(test.square(114.51, 34.5), '{"code": "410221002001009", "department": "jincheng"}')), 'warning'), NULL, 'neighbours do not');
SELECT is(test.told('grid_cells', test.file(test.feature(test.square(115.6, 34.5), '{"code": "410222002001009"}')), 'warning'),
    'features[0]: code: does not begin with the county''s 410221 / features[0]: department: none; cases here have nobody for @grid', 'another county''s code, and nobody''s cell');
SELECT is(test.told('components', test.file(test.feature(test.point(115.9, 34.5), :'part')), 'warning'), 'features[0]: lies in no grid cell', 'a component off the map');
SELECT matches(test.told('zones', test.file(test.feature(test.square(120, 30), :'yard')), 'warning'), '^features\[0\]: lon 120.* is outside the county', 'a yard outside the county');
SELECT matches(test.told('grid_cells', test.file(test.feature(test.square(117.5, 34.5), :'cell')), 'warning'), 'lies 2[0-9]{2} km from the middle of the county', 'a cell with a wrong digit');
SELECT is(onemap.map_check(jsonb_build_object('layer', 'zones', 'document', test.file(test.feature(test.square(114.5, 34.5), :'yard'::jsonb || '{"colour": "red"}'))))->'ignored', '["colour"]', 'what is not read is named');

-- ---- what follows ----
CREATE TEMP TABLE lamp AS SELECT test.report('{"category": "10118", "component_code": "4102210118000009", "lon": null, "lat": null}'::jsonb) AS code;
SELECT is((SELECT r.grid_cell FROM onemap.case_record r, lamp WHERE r.code = lamp.code), '410221002001001', 'a case of a component is where the survey has it');
SELECT test.act(code, 'accept', 'acceptor') FROM lamp \g /dev/null
SELECT is(test.act(code, 'register', 'registrar')->'candidates', '["zhaoming"]', '@owner: as the survey says') FROM lamp;
SELECT ok(has_function_privilege('cityhub_hub', 'onemap.map_import(jsonb)', 'EXECUTE') AND NOT has_function_privilege('cityhub_read', 'onemap.map_import(jsonb)', 'EXECUTE'), 'readers import nothing');
SELECT * FROM finish();
ROLLBACK;
