-- The county's own map, from GeoJSON files (RFC 7946): grid cells (单元网格), zones such as permitted disposal yards (消纳场), and
-- components (部件). A file is judged whole before anything of it is stored, and stored whole or not at all. What a file does not
-- name stays: cases and devices refer to it.

CREATE OR REPLACE FUNCTION onemap.map_geometry(geometry jsonb) RETURNS public.geometry
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN public.ST_SetSRID(public.ST_Force2D(public.ST_GeomFromGeoJSON(geometry::text)), 4326);
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.map_geometry(jsonb) IS 'A GeoJSON geometry in WGS 84, NULL if it cannot be read';

CREATE OR REPLACE FUNCTION onemap.map_features(document jsonb)
RETURNS TABLE (n bigint, place text, properties jsonb, geom public.geometry)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.n, format('features[%s]', f.n),
           CASE WHEN jsonb_typeof(f.v->'properties') = 'object' THEN f.v->'properties' ELSE '{}' END,
           onemap.map_geometry(CASE WHEN jsonb_typeof(f.v->'geometry') = 'object' THEN f.v->'geometry' END)
    FROM onemap.calendar_members(document->'features') f
$$;
COMMENT ON FUNCTION onemap.map_features(jsonb) IS 'The features of a collection with their places in the file';

-- A property of a feature as text; numbers as they are written, so that codes that a tool made numbers of are still codes.
CREATE OR REPLACE FUNCTION onemap.map_text(properties jsonb, key text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(onemap.bare(properties->>key), '')
$$;
COMMENT ON FUNCTION onemap.map_text(jsonb, text) IS 'A property without blanks at its ends, NULL if it is absent or empty';

CREATE OR REPLACE FUNCTION onemap.map_time(typed text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN typed ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' THEN onemap.typed_time(typed) END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.map_time(text) IS 'A day or moment of the county, NULL if the text is none';

CREATE OR REPLACE FUNCTION onemap.map_layer_check(layer text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(layer, '') NOT IN ('grid_cells', 'zones', 'components') THEN
        RAISE EXCEPTION 'there is no layer "%"', layer USING ERRCODE = 'CH013', HINT = 'Layers: grid_cells, zones, components.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.map_layer_check(text) IS 'Refuses (CH013) a layer that there is not';

-- What is wrong with the file as such and with its geometries.
CREATE OR REPLACE FUNCTION onemap.map_form_problems(layer text, document jsonb) RETURNS TABLE (place text, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH f AS MATERIALIZED (
        SELECT x.place, x.geom, public.ST_GeometryType(x.geom) AS type, public.ST_XMin(x.geom) AS west,
            public.ST_XMax(x.geom) AS east, public.ST_YMin(x.geom) AS south, public.ST_YMax(x.geom) AS north
        FROM onemap.map_features(document) x
    )
    SELECT '', 'must be a GeoJSON FeatureCollection; `ogr2ogr -f GeoJSON -t_srs EPSG:4326 NEW.geojson FILE` makes one of a '
        'Shapefile or GeoPackage' WHERE document->>'type' IS DISTINCT FROM 'FeatureCollection'
            OR jsonb_typeof(document->'features') IS DISTINCT FROM 'array'
    UNION ALL
    SELECT '', 'enters nothing: it has no features' WHERE document->'features' = '[]'
    UNION ALL
    SELECT 'crs', format('is %s: must be WGS 84, EPSG:4326; `ogr2ogr -t_srs EPSG:4326` brings it there',
        document->'crs'->'properties'->>'name')
    WHERE document ? 'crs' AND coalesce(document->'crs'->'properties'->>'name', '') !~ '(CRS84|EPSG:+4326|EPSG:+4490)$'
    UNION ALL
    SELECT f.place, 'has no geometry, or one that cannot be read' FROM f WHERE f.geom IS NULL OR public.ST_IsEmpty(f.geom)
    UNION ALL
    SELECT f.place, format('is a %s: %s are %s', substr(f.type, 4), replace(layer, '_', ' '),
        CASE layer WHEN 'components' THEN 'points' ELSE 'polygons' END)
    FROM f WHERE f.type <> ALL (CASE layer WHEN 'components' THEN '{ST_Point}'::text[]
        ELSE '{ST_Polygon,ST_MultiPolygon}'::text[] END)
    UNION ALL
    SELECT f.place, format('lies at %s to %s, %s to %s, which is not in China: %s', round(f.west::numeric, 4),
        round(f.east::numeric, 4), round(f.south::numeric, 4), round(f.north::numeric, 4),
        CASE WHEN f.west BETWEEN 3 AND 54 AND f.south BETWEEN 73 AND 136 THEN 'are longitude and latitude exchanged?'
            ELSE 'is it in metres? `ogr2ogr -t_srs EPSG:4326` brings it to WGS 84' END)
    FROM f WHERE f.west < 73 OR f.east > 136 OR f.south < 3 OR f.north > 54
    UNION ALL
    SELECT f.place, 'is not a valid polygon: ' || public.ST_IsValidReason(f.geom) FROM f
    WHERE f.type IN ('ST_Polygon', 'ST_MultiPolygon') AND NOT public.ST_IsValid(f.geom)
$$;
COMMENT ON FUNCTION onemap.map_form_problems(text, jsonb) IS
    'What is wrong with a file of the map as such and with its geometries, by the place in it';

CREATE OR REPLACE FUNCTION onemap.map_property_problems(layer text, document jsonb) RETURNS TABLE (place text, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH f AS MATERIALIZED (
        SELECT x.n, x.place, x.properties AS p, onemap.map_text(x.properties, 'code') AS code,
            onemap.map_text(x.properties, 'department') AS department,
            concat_ws('/', CASE WHEN layer = 'zones' THEN onemap.map_text(x.properties, 'kind') END,
                onemap.map_text(x.properties, 'code')) AS key
        FROM onemap.map_features(document) x
    )
    SELECT f.place, format('code: must be %s, not "%s"', CASE layer WHEN 'grid_cells' THEN '15 digits (GB/T 30428.1)'
        WHEN 'components' THEN '16 digits (GB/T 30428.2)' ELSE '1 to 64 characters' END, coalesce(f.code, ''))
    FROM f WHERE coalesce(f.code, '') !~ CASE layer WHEN 'grid_cells' THEN '^[0-9]{15}$' WHEN 'components' THEN '^[0-9]{16}$'
        ELSE '^[^[:cntrl:]]{1,64}$' END
    UNION ALL
    SELECT g.place, format('code: %s is there already, in %s', g.key, g.first_place)
    FROM (SELECT f.place, f.n, f.key, first_value(f.place) OVER w AS first_place, first_value(f.n) OVER w AS first_n
          FROM f WHERE f.code IS NOT NULL WINDOW w AS (PARTITION BY f.key ORDER BY f.n)) g WHERE g.n > g.first_n
    UNION ALL
    SELECT f.place, format('department: the county has no active department "%s"', f.department) FROM f
    WHERE f.department IS NOT NULL AND layer <> 'zones'
        AND NOT EXISTS (SELECT FROM onemap.department d WHERE d.code = f.department AND d.active)
    UNION ALL
    SELECT f.place, format('kind: must be disposal_yard, construction_site, no_entry or other, not "%s"',
        coalesce(f.p->>'kind', ''))
    FROM f WHERE layer = 'zones'
        AND coalesce(onemap.map_text(f.p, 'kind'), '') NOT IN ('disposal_yard', 'construction_site', 'no_entry', 'other')
    UNION ALL
    SELECT f.place, 'name: is missing' FROM f WHERE layer = 'zones' AND onemap.map_text(f.p, 'name') IS NULL
    UNION ALL
    SELECT f.place, format('%s: must be a day such as 2027-01-01, or a time, not "%s"', k.key, f.p->>k.key)
    FROM f, (VALUES ('valid_from'), ('valid_to')) AS k (key) WHERE layer = 'zones'
        AND onemap.map_text(f.p, k.key) IS NOT NULL AND onemap.map_time(onemap.map_text(f.p, k.key)) IS NULL
    UNION ALL
    SELECT f.place, format('valid_to: %s is not after valid_from, %s', f.p->>'valid_to', f.p->>'valid_from') FROM f
    WHERE layer = 'zones'
        AND onemap.map_time(onemap.map_text(f.p, 'valid_to')) <= onemap.map_time(onemap.map_text(f.p, 'valid_from'))
$$;
COMMENT ON FUNCTION onemap.map_property_problems(text, jsonb) IS
    'What is wrong with the properties of the features of a file of the map, by the place in it';

-- What need not be wrong, but is seldom meant.
CREATE OR REPLACE FUNCTION onemap.map_warnings(layer text, document jsonb) RETURNS TABLE (place text, warning text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH f AS MATERIALIZED (
        SELECT x.n, x.place, x.properties AS p, onemap.map_text(x.properties, 'code') AS code, x.geom
        FROM onemap.map_features(document) x
    ), cell AS MATERIALIZED (
        SELECT f.n, f.place, f.code, f.geom FROM f WHERE layer = 'grid_cells'
        UNION ALL
        SELECT -1, 'the county''s own', g.code, g.geom FROM onemap.grid_cell g
        WHERE layer = 'grid_cells' AND g.code <> ALL (ARRAY(SELECT f.code FROM f WHERE f.code IS NOT NULL))
    )
    SELECT a.place, format('%s and %s (%s) overlap by %s square metres', a.code, b.code, b.place,
        round(public.ST_Area(public.ST_Intersection(a.geom, b.geom)::public.geography)::numeric))
    FROM cell a JOIN cell b ON b.n < a.n AND a.geom OPERATOR(public.&&) b.geom
    WHERE public.ST_Relate(a.geom, b.geom, '2********')
        AND public.ST_Area(public.ST_Intersection(a.geom, b.geom)::public.geography) > 100
    UNION ALL
    SELECT f.place, 'code: does not begin with the county''s ' || onemap.setting('county_code') FROM f
    WHERE layer <> 'zones' AND f.code NOT LIKE onemap.setting('county_code') || '%'
    UNION ALL
    SELECT f.place, CASE layer WHEN 'grid_cells' THEN 'department: none; cases here have nobody for @grid'
        ELSE 'department: none; cases of it have nobody for @owner' END
    FROM f WHERE layer <> 'zones' AND onemap.map_text(f.p, 'department') IS NULL
    UNION ALL
    SELECT f.place, 'lies in no grid cell' FROM f
    WHERE layer = 'components' AND public.ST_GeometryType(f.geom) = 'ST_Point' AND onemap.grid_cell_at(f.geom) IS NULL
    UNION ALL
    SELECT f.place, onemap.place_flaw(public.ST_X(c.middle), public.ST_Y(c.middle))
    FROM f, LATERAL (SELECT public.ST_Centroid(f.geom) AS middle) c
    WHERE layer = 'zones' AND onemap.place_flaw(public.ST_X(c.middle), public.ST_Y(c.middle)) IS NOT NULL
    UNION ALL
    -- One cell with a wrong digit, and places anywhere between are the county's (county_extent).
    SELECT a.place, format('lies %s km from the middle of the county''s cells: is a digit wrong? Places there and between are '
        'taken for the county''s', round(public.ST_Distance(a.geom::public.geography, m.middle::public.geography) / 1000))
    FROM cell a, (SELECT public.ST_SetSRID(public.ST_MakePoint(percentile_disc(0.5) WITHIN GROUP (ORDER BY public.ST_XMin(c.geom)),
            percentile_disc(0.5) WITHIN GROUP (ORDER BY public.ST_YMin(c.geom))), 4326) AS middle FROM cell c) m
    WHERE a.n >= 0 AND public.ST_Distance(a.geom::public.geography, m.middle::public.geography) > 150000
$$;
COMMENT ON FUNCTION onemap.map_warnings(text, jsonb) IS 'What is strange in a file of the map that can be imported all the same';

CREATE OR REPLACE FUNCTION onemap.map_check(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE layer text := request->>'layer'; document jsonb := request->'document'; problems jsonb; warnings jsonb := '[]'::jsonb;
    extent public.geometry; ignored jsonb;
BEGIN
    PERFORM onemap.map_layer_check(layer);
    SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.place, p.problem), '[]') INTO problems FROM (
        SELECT f.place, f.problem FROM onemap.map_form_problems(layer, document) f
        UNION ALL SELECT r.place, r.problem FROM onemap.map_property_problems(layer, document) r) p;
    IF problems = '[]' THEN
        SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY w.place, w.warning), '[]') INTO warnings
        FROM onemap.map_warnings(layer, document) w;
    END IF;
    SELECT public.ST_SetSRID(public.ST_Extent(f.geom)::public.geometry, 4326) INTO extent
    FROM onemap.map_features(document) f;
    SELECT coalesce(jsonb_agg(DISTINCT k ORDER BY k), '[]') INTO ignored
    FROM onemap.map_features(document) f, jsonb_object_keys(f.properties) k
    WHERE k <> ALL (CASE layer WHEN 'zones' THEN '{kind,code,name,valid_from,valid_to}'::text[]
        ELSE '{code,name,department}'::text[] END);
    RETURN jsonb_build_object('layer', layer, 'features', jsonb_array_length(CASE WHEN jsonb_typeof(document->'features') = 'array'
            THEN document->'features' ELSE '[]' END), 'problems', problems, 'warnings', warnings, 'ignored', ignored,
        'extent', CASE WHEN extent IS NOT NULL THEN jsonb_build_array(round(public.ST_XMin(extent)::numeric, 5),
            round(public.ST_YMin(extent)::numeric, 5), round(public.ST_XMax(extent)::numeric, 5),
            round(public.ST_YMax(extent)::numeric, 5)) END);
END $$;
COMMENT ON FUNCTION onemap.map_check(jsonb) IS
    'What an import would refuse or find strange: {layer: grid_cells | zones | components, document: GeoJSON}; returns {layer, '
    'features, problems: [{place, problem}], warnings: [{place, warning}], ignored: properties that it does not read, extent}';

CREATE OR REPLACE FUNCTION onemap.map_store(layer text, document jsonb) RETURNS TABLE (added boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF layer = 'grid_cells' THEN
        RETURN QUERY INSERT INTO onemap.grid_cell AS g (code, name_zh, department_id, geom)
        SELECT onemap.map_text(f.properties, 'code'), coalesce(onemap.map_text(f.properties, 'name'), ''), d.id,
            public.ST_Multi(f.geom)
        FROM onemap.map_features(document) f LEFT JOIN onemap.department d ON d.code = onemap.map_text(f.properties, 'department')
        ORDER BY 1
        ON CONFLICT (code) DO UPDATE SET name_zh = excluded.name_zh, department_id = excluded.department_id, geom = excluded.geom
        WHERE (g.name_zh, g.department_id, g.geom::text)
            IS DISTINCT FROM (excluded.name_zh, excluded.department_id, excluded.geom::text)
        RETURNING g.xmax = 0;
    ELSIF layer = 'zones' THEN
        RETURN QUERY INSERT INTO onemap.zone AS z (kind, code, name_zh, valid_from, valid_to, geom)
        SELECT onemap.map_text(f.properties, 'kind'), onemap.map_text(f.properties, 'code'), onemap.map_text(f.properties, 'name'),
            coalesce(onemap.map_time(onemap.map_text(f.properties, 'valid_from')), '-infinity'),
            coalesce(onemap.map_time(onemap.map_text(f.properties, 'valid_to')), 'infinity'), public.ST_Multi(f.geom)
        FROM onemap.map_features(document) f ORDER BY 1, 2
        ON CONFLICT (kind, code) DO UPDATE SET name_zh = excluded.name_zh, valid_from = excluded.valid_from,
            valid_to = excluded.valid_to, geom = excluded.geom
        WHERE (z.name_zh, z.valid_from, z.valid_to, z.geom::text)
            IS DISTINCT FROM (excluded.name_zh, excluded.valid_from, excluded.valid_to, excluded.geom::text)
        RETURNING z.xmax = 0;
    ELSE
        RETURN QUERY INSERT INTO onemap.component AS k (component_code, name_zh, department_id, geom, grid_cell)
        SELECT onemap.map_text(f.properties, 'code'), coalesce(onemap.map_text(f.properties, 'name'), ''), d.id, f.geom,
            onemap.grid_cell_at(f.geom)
        FROM onemap.map_features(document) f LEFT JOIN onemap.department d ON d.code = onemap.map_text(f.properties, 'department')
        ORDER BY 1
        ON CONFLICT (component_code) DO UPDATE SET name_zh = excluded.name_zh, department_id = excluded.department_id,
            geom = excluded.geom, grid_cell = excluded.grid_cell
        WHERE (k.name_zh, k.department_id, k.geom::text, k.grid_cell)
            IS DISTINCT FROM (excluded.name_zh, excluded.department_id, excluded.geom::text, excluded.grid_cell)
        RETURNING k.xmax = 0;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.map_store(text, jsonb) IS
    'Stores a file that is right; a row for each feature that is new or another; added: new';

CREATE OR REPLACE FUNCTION onemap.map_import(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE report jsonb := onemap.map_check(request); added int; changed int;
BEGIN
    IF report->'problems' <> '[]' THEN
        RETURN report || '{"imported": false}';
    END IF;
    SELECT count(*) FILTER (WHERE s.added)::int, count(*) FILTER (WHERE NOT s.added)::int INTO added, changed
    FROM onemap.map_store(request->>'layer', request->'document') s;
    PERFORM onemap.audit('map_import', jsonb_build_object('layer', request->'layer', 'features', report->'features', 'added', added,
        'changed', changed));
    RETURN report || jsonb_build_object('imported', true, 'added', added, 'changed', changed);
END $$;
COMMENT ON FUNCTION onemap.map_import(jsonb) IS
    'Imports a file of the map, whole or not at all: as map_check(); returns its report with imported, added, changed';

CREATE OR REPLACE FUNCTION onemap.map_list_table(request jsonb)
RETURNS TABLE (layer text, rows bigint, department bigint, extent text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.layer, l.n, l.department, CASE WHEN l.box IS NOT NULL THEN format('%s to %s, %s to %s',
        round(public.ST_XMin(l.box)::numeric, 4), round(public.ST_XMax(l.box)::numeric, 4),
        round(public.ST_YMin(l.box)::numeric, 4), round(public.ST_YMax(l.box)::numeric, 4)) END
    FROM (SELECT 1, 'grid_cells', count(*), count(g.department_id), public.ST_Extent(g.geom) FROM onemap.grid_cell g
        UNION ALL SELECT 2, 'zones', count(*), NULL, public.ST_Extent(z.geom) FROM onemap.zone z
        UNION ALL SELECT 3, 'components', count(*), count(k.department_id), public.ST_Extent(k.geom) FROM onemap.component k)
        AS l (position, layer, n, department, box) ORDER BY l.position
$$;
COMMENT ON FUNCTION onemap.map_list_table(jsonb) IS
    'What the county''s map has: rows of each layer, those with a department, and the extent in degrees';

CREATE OR REPLACE FUNCTION onemap.map_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(to_jsonb(l)) FROM onemap.map_list_table(request) l
$$;
COMMENT ON FUNCTION onemap.map_list_json(jsonb) IS 'The same as JSON';
GRANT EXECUTE ON FUNCTION onemap.map_check(jsonb), onemap.map_import(jsonb) TO cityhub_hub, cityhub_api;
GRANT EXECUTE ON FUNCTION onemap.map_list_table(jsonb), onemap.map_list_json(jsonb) TO cityhub_hub, cityhub_read;

-- Cells may come, or be redrawn, after the components.
CREATE OR REPLACE FUNCTION onemap.grid_cell_components() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE onemap.component k SET grid_cell = onemap.grid_cell_at(k.geom)
    WHERE (k.grid_cell = NEW.code OR public.ST_Covers(NEW.geom, k.geom))
        AND k.grid_cell IS DISTINCT FROM onemap.grid_cell_at(k.geom);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.grid_cell_components() IS 'Trigger: gives the components in a new or redrawn cell their cell';
CREATE OR REPLACE TRIGGER grid_cell_components AFTER INSERT OR UPDATE OF geom ON onemap.grid_cell
    FOR EACH ROW EXECUTE FUNCTION onemap.grid_cell_components();
