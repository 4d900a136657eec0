-- What the routes of places answer, as GeoJSON (RFC 7946): unit grid cells (单元网格), zones, departments with their area,
-- components (部件). Cells, zones and departments are the county's map and shown to who may read it; components belong to
-- departments.

CREATE OR REPLACE FUNCTION onemap.http_features(features json, next_code text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT json_build_object('type', 'FeatureCollection', 'features', coalesce(features, '[]'), 'next', next_code)
$$;
COMMENT ON FUNCTION onemap.http_features(json, text) IS 'A page of features; next: to go on behind';

CREATE OR REPLACE FUNCTION onemap.http_feature(id text, geom public.geometry, properties json) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('type', 'Feature', 'id', id, 'geometry', public.ST_AsGeoJSON(geom, 7)::json, 'properties', properties)
$$;
COMMENT ON FUNCTION onemap.http_feature(text, public.geometry, json) IS 'A feature of GeoJSON in WGS 84';

CREATE OR REPLACE FUNCTION onemap.http_grid_cells(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    area public.geometry := onemap.http_box(request->'box'); most int := (request->>'limit')::int;
    units int[] := onemap.http_department_ids(request); moment timestamptz := onemap.http_at(request);
BEGIN
    PERFORM onemap.identity(request), onemap.http_check(request);
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT g.* FROM onemap.grid_cell_as_of(moment) g
        WHERE g.code > coalesce(request->>'after', '')::char(15) AND (NOT request ? 'department' OR g.department_id = ANY (units))
            AND (area IS NULL OR public.ST_Intersects(g.geom, area))
        ORDER BY g.code LIMIT most)
    SELECT onemap.http_features(json_agg(onemap.http_feature(p.code, p.geom, json_build_object('code', p.code, 'name_zh', p.name_zh,
        'department', u.code)) ORDER BY p.code), CASE WHEN count(*) = most THEN max(p.code) END)
    FROM page p LEFT JOIN onemap.department u ON u.id = p.department_id;
END $$;
COMMENT ON FUNCTION onemap.http_grid_cells(jsonb) IS
    'GET /api/v1/grid_cells: features {code, name_zh, department}; at: as they were at a moment';
GRANT EXECUTE ON FUNCTION onemap.http_grid_cells(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_zones(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    area public.geometry := onemap.http_box(request->'box'); most int := (request->>'limit')::int;
    moment timestamptz := onemap.http_at(request); then_at timestamptz := coalesce(moment, now());
BEGIN
    PERFORM onemap.identity(request);
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT z.* FROM onemap.zone_as_of(moment) z
        WHERE z.id > (request->>'after')::int AND (NOT request ? 'kind' OR z.kind = request->>'kind')
            AND (NOT request ? 'valid' OR (then_at >= z.valid_from AND then_at < z.valid_to) = (request->>'valid')::boolean)
            AND (area IS NULL OR public.ST_Intersects(z.geom, area))
        ORDER BY z.id LIMIT most)
    SELECT onemap.http_features(json_agg(onemap.http_feature(p.id::text, p.geom, json_build_object('kind', p.kind, 'code', p.code,
        'name_zh', p.name_zh, 'valid_from', CASE WHEN isfinite(p.valid_from) THEN p.valid_from END,
        'valid_to', CASE WHEN isfinite(p.valid_to) THEN p.valid_to END)) ORDER BY p.id),
        CASE WHEN count(*) = most THEN max(p.id)::text END)
    FROM page p;
END $$;
COMMENT ON FUNCTION onemap.http_zones(jsonb) IS 'GET /api/v1/zones: features {kind, code, name_zh, valid_from, valid_to}; at: as '
    'they were at a moment';
GRANT EXECUTE ON FUNCTION onemap.http_zones(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_departments(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE moment timestamptz := onemap.http_at(request);
BEGIN
    PERFORM onemap.identity(request);
    RETURN QUERY
    WITH RECURSIVE unit AS MATERIALIZED (SELECT * FROM onemap.department_as_of(moment)),
    below AS (SELECT t.id AS top, t.id FROM unit t UNION SELECT b.top, t.id FROM unit t JOIN below b ON t.parent_id = b.id),
    held AS (
        SELECT b.top, count(*) AS cells, public.ST_Extent(g.geom) AS frame,
               CASE WHEN (request->>'area')::boolean THEN public.ST_Union(g.geom) END AS area
        FROM below b JOIN onemap.grid_cell_as_of(moment) g ON g.department_id = b.id GROUP BY b.top)
    SELECT json_build_object('type', 'FeatureCollection', 'frame', CASE WHEN count(h.frame) > 0 THEN json_build_array(
            min(public.ST_XMin(h.frame)), min(public.ST_YMin(h.frame)), max(public.ST_XMax(h.frame)),
            max(public.ST_YMax(h.frame))) END,
        'features', coalesce(json_agg(onemap.http_feature(d.code, h.area, json_build_object('code', d.code, 'name_zh', d.name_zh,
            'kind', d.kind, 'parent', u.code, 'active', d.active, 'grid_cells', coalesce(h.cells, 0)))
            ORDER BY d.position, d.code), '[]'),
        'next', NULL)
    FROM unit d LEFT JOIN unit u ON u.id = d.parent_id LEFT JOIN held h ON h.top = d.id;
END $$;
COMMENT ON FUNCTION onemap.http_departments(jsonb) IS
    'GET /api/v1/departments: features {code, name_zh, kind, parent, active, grid_cells}; frame: west, south, east, north of all '
    'their grid cells; geometry: its grid cells as one, if area was asked for, as grid_cells counts them: with those of the '
    'departments below, as /grid_cells lists them; at: as they were at a moment';
GRANT EXECUTE ON FUNCTION onemap.http_departments(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_components(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); most int := (request->>'limit')::int;
    units int[] := onemap.http_department_ids(request); area public.geometry := onemap.http_box(request->'box');
BEGIN
    PERFORM onemap.http_check(request);
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT c.* FROM onemap.component c
        WHERE c.component_code > coalesce(request->>'after', '')::char(16) AND onemap.http_sees(seen, c.department_id)
            AND (NOT request ? 'department' OR c.department_id = ANY (units))
            AND (NOT request ? 'grid_cell' OR c.grid_cell = (request->>'grid_cell')::char(15))
            AND (area IS NULL OR public.ST_Intersects(c.geom, area))
        ORDER BY c.component_code LIMIT most)
    SELECT onemap.http_features(json_agg(onemap.http_feature(p.component_code, p.geom, json_build_object('code', p.component_code,
        'name_zh', p.name_zh, 'department', u.code, 'grid_cell', p.grid_cell)) ORDER BY p.component_code),
        CASE WHEN count(*) = most THEN max(p.component_code) END)
    FROM page p LEFT JOIN onemap.department u ON u.id = p.department_id;
END $$;
COMMENT ON FUNCTION onemap.http_components(jsonb) IS 'GET /api/v1/components: features {code, name_zh, department, grid_cell}';
GRANT EXECUTE ON FUNCTION onemap.http_components(jsonb) TO cityhub_api;
