-- What the routes that look for things answer: by a part of a code, name, address or plate (搜索), and by distance (附近).

-- One query a kind of thing, so that each takes its own index. Rows: what was found, in the order of the list below.
CREATE OR REPLACE FUNCTION onemap.search_things(kind text, pairs text[], patterns text[], seen int[], names boolean, most int)
RETURNS TABLE (id text, code text, name text, detail text, place public.geometry)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    IF kind = 'device' THEN
        RETURN QUERY SELECT d.id::text, d.code, d.name_zh, d.subsystem, coalesce(s.geom, d.geom)
        FROM onemap.device d LEFT JOIN onemap.device_state s ON s.device_id = d.id
        WHERE onemap.search_pairs(d.code || ' ' || d.name_zh || ' ' || coalesce(d.component_code, '')::text) @> pairs
            AND lower(d.code || ' ' || d.name_zh || ' ' || coalesce(d.component_code, '')::text) LIKE ALL (patterns)
            AND onemap.http_sees(seen, d.department_id) ORDER BY d.id LIMIT most;
    ELSIF kind = 'case' THEN
        RETURN QUERY SELECT c.id::text, c.code, c.title, c.address, c.geom FROM onemap.case_record c
        WHERE onemap.search_pairs(c.code || ' ' || c.title || ' ' || c.address) @> pairs
            AND lower(c.code || ' ' || c.title || ' ' || c.address) LIKE ALL (patterns)
            AND onemap.http_sees(seen, c.department_id) ORDER BY c.id DESC LIMIT most;
    ELSIF kind = 'vehicle' THEN
        RETURN QUERY SELECT v.id::text, v.code, v.plate, v.name, onemap.http_mover_place(v.geom, v.observed_at, s.geom, s.geom_at)
        FROM onemap.vehicle v LEFT JOIN onemap.device_state s ON s.device_id = v.device_id
        WHERE onemap.search_pairs(v.code || ' ' || v.name || ' ' || v.plate) @> pairs
            AND lower(v.code || ' ' || v.name || ' ' || v.plate) LIKE ALL (patterns)
            AND onemap.http_sees(seen, v.department_id) ORDER BY v.id LIMIT most;
    ELSIF kind = 'person' THEN
        RETURN QUERY SELECT p.id::text, p.code, CASE WHEN names THEN p.name END, p.role,
            onemap.http_mover_place(p.geom, p.observed_at, s.geom, s.geom_at)
        FROM onemap.person p LEFT JOIN onemap.device_state s ON s.device_id = p.device_id
        WHERE onemap.search_pairs(p.code || ' ' || p.name) @> pairs
            AND CASE WHEN names THEN lower(p.code || ' ' || p.name) ELSE lower(p.code) END LIKE ALL (patterns)
            AND onemap.http_sees(seen, p.department_id) ORDER BY p.id LIMIT most;
    ELSIF kind = 'component' THEN
        RETURN QUERY SELECT k.component_code::text, k.component_code::text, k.name_zh, k.grid_cell::text, k.geom
        FROM onemap.component k WHERE onemap.search_pairs(k.component_code::text || ' ' || k.name_zh) @> pairs
            AND lower(k.component_code::text || ' ' || k.name_zh) LIKE ALL (patterns)
            AND onemap.http_sees(seen, k.department_id) ORDER BY k.component_code LIMIT most;
    ELSIF kind = 'grid_cell' THEN
        RETURN QUERY SELECT g.code::text, g.code::text, g.name_zh, '', public.ST_PointOnSurface(g.geom) FROM onemap.grid_cell g
        WHERE onemap.search_pairs(g.code::text || ' ' || g.name_zh) @> pairs
            AND lower(g.code::text || ' ' || g.name_zh) LIKE ALL (patterns) ORDER BY g.code LIMIT most;
    ELSIF kind = 'zone' THEN -- few
        RETURN QUERY SELECT z.id::text, z.code, z.name_zh, z.kind, public.ST_PointOnSurface(z.geom) FROM onemap.zone z
        WHERE lower(z.code || ' ' || z.name_zh) LIKE ALL (patterns) ORDER BY z.id LIMIT most;
    ELSE
        RETURN QUERY SELECT u.code, u.code, u.name_zh, u.kind, NULL::public.geometry FROM onemap.department u
        WHERE lower(u.code || ' ' || u.name_zh) LIKE ALL (patterns) ORDER BY u.position, u.code LIMIT most;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.search_things(text, text[], text[], int[], boolean, int) IS
    'Things of a kind whose texts have what search_wanted() says, of these departments; names: people by their names, too';

CREATE OR REPLACE FUNCTION onemap.http_search(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); names boolean := onemap.http_names_people(request);
    most int := (request->>'limit')::int;
BEGIN
    RETURN QUERY
    SELECT json_build_object('results', coalesce(json_agg(json_build_object('kind', k.kind, 'id', t.id, 'code', t.code,
        'name', t.name, 'detail', t.detail, 'lon', public.ST_X(t.place), 'lat', public.ST_Y(t.place)) ORDER BY k.place,
            t.place_in_kind),
        '[]'))
    FROM onemap.search_wanted(request->>'q') w
        CROSS JOIN jsonb_array_elements_text(request->'kinds') WITH ORDINALITY k (kind, place)
        CROSS JOIN LATERAL (SELECT x.*, row_number() OVER () AS place_in_kind
            FROM onemap.search_things(k.kind, w.pairs, w.patterns, seen, names, most) x) t;
END $$;
COMMENT ON FUNCTION onemap.http_search(jsonb) IS
    'GET /api/v1/search: {results: [{kind, id, code, name, detail, lon, lat}]}, of each kind the first ones; detail: subsystem of '
    'a device, address of a case, name of a vehicle, role of a person, kind of a zone or department, grid cell of a component';
GRANT EXECUTE ON FUNCTION onemap.http_search(jsonb) TO cityhub_api;

-- ---- nearby ----

CREATE OR REPLACE FUNCTION onemap.nearby_devices(place public.geometry, metres float8, seen int[], most int) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE ids int[] := ARRAY(SELECT onemap.http_device_within(onemap.http_around(place, metres)));
BEGIN
    RETURN (SELECT coalesce(json_agg(json_build_object('id', n.id, 'subsystem', n.subsystem, 'code', n.code, 'kind', n.kind,
            'name_zh', n.name_zh, 'state', onemap.http_device_state(n.online), 'lon', public.ST_X(n.at), 'lat', public.ST_Y(n.at),
            'distance_m', round(n.distance_m::numeric)) ORDER BY n.distance_m, n.id), '[]')
        FROM (SELECT d.id, d.subsystem, d.code, d.kind, d.name_zh, s.online, p.at, public.ST_DistanceSphere(p.at,
            place) AS distance_m
              FROM onemap.device d
                  LEFT JOIN onemap.device_state s ON s.device_id = d.id
                  CROSS JOIN LATERAL (SELECT coalesce(s.geom, d.geom) AS at) p
              WHERE d.id = ANY (ids) AND onemap.http_sees(seen, d.department_id) AND public.ST_DistanceSphere(p.at, place) <= metres
              ORDER BY distance_m, d.id LIMIT most) n);
END $$;
COMMENT ON FUNCTION onemap.nearby_devices(public.geometry, float8, int[], int) IS 'Devices around a place, the nearest first';

CREATE OR REPLACE FUNCTION onemap.nearby_people(place public.geometry, metres float8, seen int[], names boolean,
    most int) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE around public.geometry := onemap.http_around(place, metres);
BEGIN
    RETURN (SELECT coalesce(json_agg(json_build_object('id', n.id, 'code', n.code, 'name', CASE WHEN names THEN n.name END,
            'role', n.role, 'on_duty', n.on_duty, 'device', n.device_id, 'lon', public.ST_X(n.at), 'lat', public.ST_Y(n.at),
            'distance_m', round(n.distance_m::numeric)) ORDER BY n.distance_m, n.id), '[]')
        FROM (SELECT p.id, p.code, p.name, p.role, p.on_duty, p.device_id, m.at, public.ST_DistanceSphere(m.at, place) AS distance_m
              FROM (SELECT x.id FROM onemap.person x WHERE x.geom OPERATOR(public.&&) around
                    UNION SELECT x.id FROM onemap.device_state t JOIN onemap.person x ON x.device_id = t.device_id
                    WHERE t.geom OPERATOR(public.&&) around) f JOIN onemap.person p ON p.id = f.id
                  LEFT JOIN onemap.device_state s ON s.device_id = p.device_id
                  CROSS JOIN LATERAL (SELECT onemap.http_mover_place(p.geom, p.observed_at, s.geom, s.geom_at) AS at) m
              WHERE onemap.http_sees(seen, p.department_id) AND public.ST_DistanceSphere(m.at, place) <= metres
              ORDER BY distance_m, p.id LIMIT most) n);
END $$;
COMMENT ON FUNCTION onemap.nearby_people(public.geometry, float8, int[], boolean, int) IS 'People around a place,
    the nearest first';

CREATE OR REPLACE FUNCTION onemap.nearby_vehicles(place public.geometry, metres float8, seen int[], most int) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE around public.geometry := onemap.http_around(place, metres);
BEGIN
    RETURN (SELECT coalesce(json_agg(json_build_object('id', n.id, 'code', n.code, 'plate', n.plate, 'role', n.role,
            'on_duty', n.on_duty, 'device', n.device_id, 'lon', public.ST_X(n.at), 'lat', public.ST_Y(n.at),
            'distance_m', round(n.distance_m::numeric)) ORDER BY n.distance_m, n.id), '[]')
        FROM (SELECT v.id, v.code, v.plate, v.role, v.on_duty, v.device_id, m.at, public.ST_DistanceSphere(m.at,
            place) AS distance_m
              FROM (SELECT x.id FROM onemap.vehicle x WHERE x.geom OPERATOR(public.&&) around
                    UNION SELECT x.id FROM onemap.device_state t JOIN onemap.vehicle x ON x.device_id = t.device_id
                    WHERE t.geom OPERATOR(public.&&) around) f JOIN onemap.vehicle v ON v.id = f.id
                  LEFT JOIN onemap.device_state s ON s.device_id = v.device_id
                  CROSS JOIN LATERAL (SELECT onemap.http_mover_place(v.geom, v.observed_at, s.geom, s.geom_at) AS at) m
              WHERE onemap.http_sees(seen, v.department_id) AND public.ST_DistanceSphere(m.at, place) <= metres
              ORDER BY distance_m, v.id LIMIT most) n);
END $$;
COMMENT ON FUNCTION onemap.nearby_vehicles(public.geometry, float8, int[], int) IS 'Vehicles around a place, the nearest first';

CREATE OR REPLACE FUNCTION onemap.http_nearby(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); most int := (request->>'limit')::int;
    metres float8 := (request->>'metres')::float8; kinds jsonb := request->'kinds';
    place public.geometry := public.ST_SetSRID(public.ST_MakePoint((request->>'lon')::float8, (request->>'lat')::float8), 4326);
BEGIN
    RETURN QUERY SELECT json_build_object(
        'devices', CASE WHEN kinds ? 'device' THEN onemap.nearby_devices(place, metres, seen, most) END,
        'people', CASE WHEN kinds ? 'person'
            THEN onemap.nearby_people(place, metres, seen, onemap.http_names_people(request), most) END,
        'vehicles', CASE WHEN kinds ? 'vehicle' THEN onemap.nearby_vehicles(place, metres, seen, most) END,
        'cases', CASE WHEN kinds ? 'case' THEN onemap.http_cases_near(place, metres, NULL, seen, most,
            NULL) END);
END $$;
COMMENT ON FUNCTION onemap.http_nearby(jsonb) IS
    'GET /api/v1/nearby: {devices, people, vehicles, cases (open ones)} within so many metres of a place, the nearest first; NULL '
    'for a kind that was not asked for';
GRANT EXECUTE ON FUNCTION onemap.http_nearby(jsonb) TO cityhub_api;
