-- The map's tiles. Points are tiled by the hub from its memory (hub/live): the views onemap.point_* are what it reads into it, and
-- the triggers tell it, on channel cityhub_points, what others than its lanes have changed: "device" and ids, "alarm", or the name
-- of a table of polygons. Tiles of polygons are made here.

CREATE OR REPLACE VIEW onemap.point_device AS
SELECT d.id, d.subsystem || coalesce('/' || d.kind, '') AS kind, CASE WHEN s.online THEN 'online' ELSE 'offline' END AS state,
    coalesce(d.department_id, 0) AS department, d.status <> 'retired' AS shown,
    public.ST_X(coalesce(s.geom, d.geom)) AS lon, public.ST_Y(coalesce(s.geom, d.geom)) AS lat,
    CASE WHEN s.geom IS NOT NULL THEN (date_part('epoch', s.geom_at) * 1000)::bigint ELSE 0 END AS placed_ms,
    coalesce((date_part('epoch', s.last_seen_at) * 1000)::bigint, 0) AS seen_ms, 0 AS device, d.updated_at
FROM onemap.device d LEFT JOIN onemap.device_state s ON s.device_id = d.id;
COMMENT ON VIEW onemap.point_device IS
    'Devices as the map shows them: kind: subsystem/kind; state: online or offline; place: where it was last, else the '
    'inventory''s; placed_ms: when it was there, 0: the inventory''s; department 0: none';

CREATE OR REPLACE VIEW onemap.point_alarm AS
SELECT a.id, r.subsystem || '/' || r.key AS kind, a.severity AS state, 0 AS department, true AS shown, NULL::float8 AS lon,
    NULL::float8 AS lat, 0::bigint AS placed_ms, 0::bigint AS seen_ms, a.device_id AS device
FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
WHERE a.closed_at IS NULL AND a.device_id <> 0;
COMMENT ON VIEW onemap.point_alarm IS
    'Open alarms of devices as the map shows them: kind: subsystem/rule; state: severity; place and department are the device''s';

CREATE OR REPLACE VIEW onemap.point_case AS
SELECT c.id, coalesce(c.category_code, '') AS kind, c.state, coalesce(c.department_id, 0) AS department,
    c.ended_at IS NULL AS shown, public.ST_X(c.geom) AS lon, public.ST_Y(c.geom) AS lat, 0::bigint AS placed_ms,
    0::bigint AS seen_ms, 0 AS device
FROM onemap.case_record c;
COMMENT ON VIEW onemap.point_case IS 'Cases as the map shows them, while they are open (shown): kind: category; state: of the case';
GRANT SELECT ON onemap.point_device, onemap.point_alarm, onemap.point_case TO cityhub_hub, cityhub_read;

-- ---- what is told to the hub ----

CREATE OR REPLACE FUNCTION onemap.point_notify(devices int[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE total int := coalesce(cardinality(devices), 0); first int;
BEGIN
    IF total > 5000 THEN
        PERFORM pg_notify('cityhub_points', 'device');
        RETURN;
    END IF;
    FOR first IN SELECT generate_series(1, total, 500) LOOP
        PERFORM pg_notify('cityhub_points', 'device ' || array_to_string(devices[first:first + 499], ' '));
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.point_notify(int[]) IS
    'Tells the hub which devices'' states were changed by others than its lanes, 500 a notification; of more than 5000: that '
    'all may';

CREATE OR REPLACE FUNCTION onemap.point_alarm_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- As for cases (case_event_add): of commits under way at the same time one speaks for all.
    IF pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtext('onemap.point_alarm')) THEN
        PERFORM pg_catalog.pg_notify('cityhub_points', 'alarm');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.point_alarm_changed() IS
    'Trigger: tells the hub that alarms were opened or closed; who hears it reads the open ones, and once more a second later';
CREATE OR REPLACE TRIGGER point_alarm_opened AFTER INSERT OR DELETE ON onemap.alarm
    FOR EACH ROW EXECUTE FUNCTION onemap.point_alarm_changed();
CREATE OR REPLACE TRIGGER point_alarm_closed AFTER UPDATE ON onemap.alarm
    FOR EACH ROW WHEN ((OLD.closed_at, OLD.severity) IS DISTINCT FROM (NEW.closed_at, NEW.severity))
    EXECUTE FUNCTION onemap.point_alarm_changed();

CREATE OR REPLACE FUNCTION onemap.polygon_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('cityhub_points', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.polygon_changed() IS 'Trigger: tells the hub that polygons, or the departments whose they are, changed';
CREATE OR REPLACE TRIGGER polygon_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.grid_cell
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.polygon_changed();
CREATE OR REPLACE TRIGGER polygon_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.zone
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.polygon_changed();
CREATE OR REPLACE TRIGGER polygon_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.department
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.polygon_changed();

-- ---- tiles of polygons ----

-- No test for an empty geometry outside: it would make each geometry twice, and ST_AsMVT passes over them.
CREATE OR REPLACE FUNCTION onemap.tile_grid(z int, x int, y int, departments int[], moment timestamptz) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH bounds AS MATERIALIZED (
        SELECT public.ST_TileEnvelope(z, x, y) AS tile, public.ST_TileEnvelope(z, x, y, margin => 64.0 / 4096) AS around)
    SELECT CASE WHEN count(r.geom) > 0 THEN public.ST_AsMVT(r, 'grid', 4096, 'geom', 'id' ORDER BY r.id) END
    FROM (SELECT g.code::bigint AS id, g.code::text AS code, g.name_zh AS name, d.code AS department,
              public.ST_AsMVTGeom(g.geom_3857, b.tile, 4096, 64, true) AS geom
          FROM bounds b JOIN onemap.grid_cell_as_of(moment) g ON g.geom_3857 OPERATOR(public.&&) b.around
              LEFT JOIN onemap.department d ON d.id = g.department_id
          WHERE departments IS NULL OR g.department_id = ANY (departments)) r
$$;
COMMENT ON FUNCTION onemap.tile_grid(int, int, int, int[], timestamptz) IS
    'A tile of the grid cells of these departments, NULL: of all; id: the code as a number; attributes code, name, department';

CREATE OR REPLACE FUNCTION onemap.tile_department(z int, x int, y int, departments int[], moment timestamptz) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH bounds AS MATERIALIZED (
        SELECT public.ST_TileEnvelope(z, x, y) AS tile, public.ST_TileEnvelope(z, x, y, margin => 64.0 / 4096) AS around),
    areas AS MATERIALIZED (
        SELECT g.department_id AS id, public.ST_Union(g.geom_3857) AS geom
        FROM bounds b JOIN onemap.grid_cell_as_of(moment) g ON g.geom_3857 OPERATOR(public.&&) b.around
        WHERE g.department_id IS NOT NULL AND (departments IS NULL OR g.department_id = ANY (departments))
        GROUP BY g.department_id)
    SELECT CASE WHEN count(r.geom) > 0 THEN public.ST_AsMVT(r, 'department', 4096, 'geom', 'id' ORDER BY r.id) END
    FROM (SELECT a.id, d.code, d.name_zh AS name, d.kind, public.ST_AsMVTGeom(a.geom, b.tile, 4096, 64, true) AS geom
          FROM bounds b CROSS JOIN areas a JOIN onemap.department_as_of(moment) d ON d.id = a.id) r
$$;
COMMENT ON FUNCTION onemap.tile_department(int, int, int, int[], timestamptz) IS
    'A tile of the areas of these departments, NULL: of all: their grid cells as one; attributes code, name, kind';

CREATE OR REPLACE FUNCTION onemap.tile_zone(z int, x int, y int, departments int[], moment timestamptz) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH bounds AS MATERIALIZED (
        SELECT public.ST_TileEnvelope(z, x, y) AS tile, public.ST_TileEnvelope(z, x, y, margin => 64.0 / 4096) AS around)
    SELECT CASE WHEN count(r.geom) > 0 THEN public.ST_AsMVT(r, 'zone', 4096, 'geom', 'id' ORDER BY r.id) END
    FROM (SELECT o.id, o.kind, o.code, o.name_zh AS name,
              CASE WHEN isfinite(o.valid_from) THEN date_part('epoch', o.valid_from)::bigint END AS valid_from_s,
              CASE WHEN isfinite(o.valid_to) THEN date_part('epoch', o.valid_to)::bigint END AS valid_to_s,
              public.ST_AsMVTGeom(o.geom_3857, b.tile, 4096, 64, true) AS geom
          FROM bounds b JOIN onemap.zone_as_of(moment) o ON o.geom_3857 OPERATOR(public.&&) b.around WHERE departments IS NULL) r
$$;
COMMENT ON FUNCTION onemap.tile_zone(int, int, int, int[], timestamptz) IS
    'A tile of the zones, whatever their term; they are of no department: who sees only some departments sees none; attributes '
    'kind, code, name, valid_from_s and valid_to_s (UTC epoch seconds, left out: without an end)';

-- ---- tiles of points as they were; the hub's memory has only those that are ----

CREATE OR REPLACE FUNCTION onemap.point_past(layer text, moment timestamptz, area public.geometry)
RETURNS TABLE (id bigint, kind text, state text, department int, geom public.geometry)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    CASE layer
        WHEN 'case' THEN RETURN QUERY
            SELECT c.id, coalesce(c.category_code, ''), c.state, c.department_id, c.geom FROM onemap.case_record_as_of(moment) c
            WHERE c.ended_at IS NULL AND public.ST_Intersects(c.geom, area);
        WHEN 'alarm' THEN RETURN QUERY
            SELECT a.id, r.subsystem || '/' || r.key, a.severity, d.department_id, p.geom
            FROM onemap.alarm_as_of(moment) a JOIN onemap.alarm_rule r ON r.id = a.rule_id
                JOIN onemap.device_as_of(moment) d ON d.id = a.device_id
                CROSS JOIN LATERAL (SELECT coalesce((SELECT t.geom FROM onemap.place_last_at(d.id, moment) t), d.geom) AS geom
                    OFFSET 0) p
            WHERE a.closed_at IS NULL AND a.device_id <> 0 AND d.status <> 'retired' AND public.ST_Intersects(p.geom, area);
        WHEN 'device' THEN RETURN QUERY
            SELECT d.id::bigint, d.subsystem || coalesce('/' || d.kind, ''),
                CASE WHEN EXISTS (SELECT FROM onemap.device_state_past(d.id, moment, false) s WHERE s.online) THEN 'online'
                    ELSE 'offline' END, d.department_id, p.geom
            FROM onemap.device_as_of(moment) d
                CROSS JOIN LATERAL (SELECT coalesce((SELECT t.geom FROM onemap.place_last_at(d.id, moment) t), d.geom) AS geom
                    OFFSET 0) p
            WHERE d.status <> 'retired' AND public.ST_Intersects(p.geom, area);
    END CASE;
END $$;
COMMENT ON FUNCTION onemap.point_past(text, timestamptz, public.geometry) IS
    'Points of a layer (device, alarm, case) that the map showed at a moment, within an area, as the views point_* have them now';

CREATE OR REPLACE FUNCTION onemap.tile_points_past(layer text, z int, x int, y int, departments int[], moment timestamptz)
RETURNS bytea
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tile public.geometry := public.ST_TileEnvelope(z, x, y); around public.geometry; body bytea; total bigint;
    whole CONSTANT public.geometry := public.ST_MakeEnvelope(-180, -90, 180, 90, 4326);
BEGIN
    around := CASE WHEN z < 3 THEN whole
        ELSE public.ST_Transform(public.ST_TileEnvelope(z, x, y, margin => 64.0 / 4096), 4326) END;
    WITH found AS MATERIALIZED (
        SELECT p.id, p.kind, p.state, public.ST_AsMVTGeom(public.ST_Transform(p.geom, 3857), tile, 4096, 64, true) AS geom
        FROM onemap.point_past(layer, moment, around) p WHERE departments IS NULL OR p.department = ANY (departments)),
    points AS (
        SELECT count(f.geom) AS total, public.ST_AsMVT(f, layer, 4096, 'geom', 'id' ORDER BY f.id) AS body
        FROM found f WHERE f.geom IS NOT NULL),
    counts AS (
        SELECT c.state, c.count, public.ST_MakePoint(c.i * 64 + 32, c.j * 64 + 32) AS geom
        FROM (SELECT f.state, count(*) AS count, floor(public.ST_X(f.geom) / 64) AS i, floor(public.ST_Y(f.geom) / 64) AS j
              FROM found f WHERE f.geom IS NOT NULL GROUP BY 1, 3, 4) c)
    SELECT p.total, CASE WHEN z >= 12 AND p.total <= 10000 THEN p.body
        ELSE (SELECT public.ST_AsMVT(c, layer, 4096, 'geom' ORDER BY c.geom, c.state) FROM counts c) END
    INTO total, body FROM points p;
    RETURN CASE WHEN total > 0 THEN body END;
END $$;
COMMENT ON FUNCTION onemap.tile_points_past(text, int, int, int, int[], timestamptz) IS
    'A tile of points as they were at a moment, as hub/live/tile.c makes them now: attributes kind and state, below zoom 12 or '
    'beyond 10,000 points counts by cells of 64 units; of these departments, NULL: of all';

CREATE OR REPLACE FUNCTION onemap.http_tile(request jsonb) RETURNS TABLE (body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    z int := (request->>'z')::int; x int := (request->>'x')::int; y int := (request->>'y')::int;
    departments int[] := onemap.identity_departments(request); moment timestamptz := onemap.http_at(request);
BEGIN
    CASE request->>'layer'
        WHEN 'grid' THEN body := onemap.tile_grid(z, x, y, departments, moment);
        WHEN 'department' THEN body := onemap.tile_department(z, x, y, departments, moment);
        WHEN 'zone' THEN body := onemap.tile_zone(z, x, y, departments, moment);
        ELSE body := onemap.tile_points_past(request->>'layer', z, x, y, departments, moment);
    END CASE;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION onemap.http_tile(jsonb) IS
    'GET /api/v1/tiles/{layer}/{z}/{x}/{y}.mvt for layers of polygons, and for all as they were at a moment '
    '(hub/http/tile_query.c): a Mapbox Vector Tile; NULL: empty';
GRANT EXECUTE ON FUNCTION onemap.http_tile(jsonb) TO cityhub_api;

-- ---- how much there was ----

CREATE OR REPLACE FUNCTION onemap.http_map_counts(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    departments int[] := onemap.identity_departments(request); moment timestamptz := coalesce(onemap.http_at(request), now());
    area public.geometry := coalesce(onemap.http_box(request->'box'), public.ST_MakeEnvelope(-180, -90, 180, 90, 4326));
BEGIN
    RETURN QUERY
    WITH point AS (
        SELECT l.layer, split_part(p.kind, '/', 1) AS subsystem, p.state
        FROM unnest('{device,alarm,case}'::text[]) l (layer) CROSS JOIN LATERAL onemap.point_past(l.layer, moment, area) p
        WHERE departments IS NULL OR p.department = ANY (departments)),
    tally AS (
        SELECT p.subsystem, count(*) FILTER (WHERE p.layer = 'device' AND p.state = 'online') AS online,
            count(*) FILTER (WHERE p.layer = 'device' AND p.state <> 'online') AS offline,
            count(*) FILTER (WHERE p.layer = 'alarm') AS alarms
        FROM point p WHERE p.layer <> 'case' GROUP BY p.subsystem)
    SELECT json_build_object('subsystems', (SELECT coalesce(json_agg(json_build_object('subsystem', t.subsystem,
            'online', t.online, 'offline', t.offline, 'alarms', t.alarms) ORDER BY t.subsystem), '[]') FROM tally t),
        'cases', (SELECT count(*) FROM point p WHERE p.layer = 'case'));
END $$;
COMMENT ON FUNCTION onemap.http_map_counts(jsonb) IS
    'GET /api/v1/map/counts with at: {subsystems: [{subsystem, online, offline, alarms}], cases} as the map showed them at that '
    'moment; without it the hub counts its own points (hub/http/routes_map.c)';
GRANT EXECUTE ON FUNCTION onemap.http_map_counts(jsonb) TO cityhub_api;

-- ---- cells ----

-- Alarms are where their device is. Rounds are where people's terminals were, each told once in ten minutes.
CREATE OR REPLACE FUNCTION onemap.http_map_cells(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); units int[] := onemap.http_department_ids(request);
    moment timestamptz := onemap.http_at(request); ended timestamptz := coalesce(moment, now());
    span CONSTANT interval := interval '8 hours';
BEGIN
    PERFORM onemap.http_check(request);
    RETURN QUERY
    WITH found AS (
        SELECT d.grid_cell::text AS grid_cell
        FROM onemap.alarm_as_of(moment) a JOIN onemap.device_as_of(moment) d ON d.id = a.device_id
        WHERE request->>'by' = 'alarms' AND a.closed_at IS NULL AND d.grid_cell IS NOT NULL
            AND onemap.http_sees(seen, d.department_id)
            AND (NOT request ? 'subsystem' OR d.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR d.department_id = ANY (units))
        UNION ALL
        SELECT g.code::text FROM onemap.person_as_of(moment) p
        CROSS JOIN LATERAL (
            SELECT DISTINCT ON (floor(extract(epoch FROM t.observed_at) / 600)) t.geom
            FROM onemap.track_point_of(p.device_id, ended - span, ended) t
            WHERE t.geom IS NOT NULL AND (moment IS NULL OR t.received_at <= moment)
            ORDER BY floor(extract(epoch FROM t.observed_at) / 600), t.observed_at) t
        JOIN onemap.grid_cell_as_of(moment) g ON public.ST_Covers(g.geom, t.geom)
        WHERE request->>'by' = 'rounds' AND p.device_id IS NOT NULL AND onemap.http_sees(seen, p.department_id)
            AND (NOT request ? 'subsystem' OR p.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR p.department_id = ANY (units)))
    SELECT json_build_object('cells', (SELECT coalesce(json_agg(json_build_object('grid_cell', c.grid_cell, 'count', c.count)
            ORDER BY c.grid_cell), '[]') FROM (SELECT f.grid_cell, count(*) AS count FROM found f GROUP BY f.grid_cell) c),
        'of', (SELECT count(*) FROM onemap.grid_cell_as_of(moment) g
            WHERE onemap.http_sees(seen, g.department_id) AND (NOT request ? 'department' OR g.department_id = ANY (units))));
END $$;
COMMENT ON FUNCTION onemap.http_map_cells(jsonb) IS
    'GET /api/v1/map/cells: {cells: [{grid_cell, count}], of: how many cells there are}; by alarms: open ones; by rounds: how '
    'often, at most once in ten minutes each, terminals of people were there in the eight hours up to now, or to a moment';
GRANT EXECUTE ON FUNCTION onemap.http_map_cells(jsonb) TO cityhub_api;

-- ---- what there is, for who draws it ----

CREATE OR REPLACE FUNCTION onemap.tile_layers() RETURNS TABLE (layer text, name_zh text, fields jsonb)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.layer, v.name_zh, v.fields::jsonb FROM (VALUES
        ('device', '设备与车辆 devices and vehicles', '{"kind": "子系统/类型 subsystem/kind", "state": "online, offline",
            "count": "第 12 级以下：此处有多少 below zoom 12: how many are here"}'),
        ('alarm', '未关闭的报警 open alarms', '{"kind": "子系统/规则 subsystem/rule", "state": "info, minor, major, critical",
            "count": "第 12 级以下：此处有多少 below zoom 12: how many are here"}'),
        ('case', '未结的案卷 open cases', '{"kind": "类别代码 category", "state": "案卷状态 state of the case",
            "count": "第 12 级以下：此处有多少 below zoom 12: how many are here"}'),
        ('grid', '单元网格 grid cells', '{"code": "代码 code", "name": "名称 name", "department": "责任单位代码 department"}'),
        ('department', '部门责任区 areas of departments', '{"code": "代码 code", "name": "名称 name", "kind": "street, county, '
            'enterprise"}'),
        ('zone', '消纳场、工地等区域 zones', '{"kind": "disposal_yard, construction_site, no_entry, other", "code": "代码 code",
            "name": "名称 name", "valid_from_s": "生效，UTC 秒 from, UTC seconds", "valid_to_s": "失效，UTC 秒 to, UTC seconds"}'))
        AS v (layer, name_zh, fields)
$$;
COMMENT ON FUNCTION onemap.tile_layers() IS 'The layers of the tiles with their attributes: what tile.c and tile_*() write';

CREATE OR REPLACE FUNCTION onemap.http_tile_json(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('tilejson', '3.0.0', 'name', l.layer, 'description', l.name_zh, 'version', '1.0.0', 'scheme', 'xyz',
        'tiles', json_build_array((request->>'base') || '/api/v1/tiles/' || l.layer || '/{z}/{x}/{y}.mvt'
            || coalesce('?at=' || replace(request->>'at', '+', '%2B'), '')),
        'minzoom', 0, 'maxzoom', 18, 'bounds', json_build_array(e.min_lon, e.min_lat, e.max_lon, e.max_lat),
        'center', json_build_array((e.min_lon + e.max_lon) / 2, (e.min_lat + e.max_lat) / 2, 11),
        'vector_layers', json_build_array(json_build_object('id', l.layer, 'description', l.name_zh, 'minzoom', 0, 'maxzoom', 18,
            'fields', l.fields)))
    FROM onemap.tile_layers() l, onemap.county_extent() e
    WHERE l.layer = request->>'layer' AND onemap.identity(request) IS NOT NULL
        AND (onemap.http_at(request) IS NULL OR request ? 'at')
$$;
COMMENT ON FUNCTION onemap.http_tile_json(jsonb) IS
    'GET /api/v1/tiles/{layer}.json: TileJSON 3.0 of a layer, with the address by which who asks finds the hub; at: of the map as '
    'it was then';
GRANT EXECUTE ON FUNCTION onemap.http_tile_json(jsonb) TO cityhub_api;
