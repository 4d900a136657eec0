-- What the routes of devices answer: pages of devices by many filters, one device with all that is known of it, the metrics with
-- their ranges and limits. A device is shown to who sees its department's rows; cases, alarms and work at it likewise.

CREATE OR REPLACE FUNCTION onemap.http_device_state(online boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN online THEN 'online' WHEN NOT online THEN 'offline' ELSE 'never' END $$;
COMMENT ON FUNCTION onemap.http_device_state(boolean) IS 'A device''s state in a word; never: no message of it has come yet';

CREATE OR REPLACE FUNCTION onemap.http_device_within(area public.geometry) RETURNS SETOF int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    SELECT s.device_id FROM onemap.device_state s WHERE public.ST_Intersects(s.geom, area)
    UNION ALL
    SELECT d.id FROM onemap.device d WHERE public.ST_Intersects(d.geom, area)
        AND (SELECT s.geom FROM onemap.device_state s WHERE s.device_id = d.id) IS NULL;
END $$;
COMMENT ON FUNCTION onemap.http_device_within(public.geometry) IS
    'Devices within an area: those that move by their last place, the others by their own';

CREATE OR REPLACE FUNCTION onemap.http_device_state_condition(state text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE state
        WHEN 'online' THEN 'EXISTS (SELECT FROM onemap.device_state_past(d.id, $8, false) s WHERE s.online)'
        WHEN 'offline' THEN 'EXISTS (SELECT FROM onemap.device_state_past(d.id, $8, false) s WHERE NOT s.online)'
        WHEN 'never' THEN 'NOT EXISTS (SELECT FROM onemap.device_state_past(d.id, $8, false) s)'
        WHEN 'away' THEN 'NOT EXISTS (SELECT FROM onemap.device_state_past(d.id, $8, false) s WHERE s.online)'
        WHEN 'in_use' THEN 'true'
        ELSE 'EXISTS (SELECT FROM onemap.alarm_open_as_of(d.id, $8) a)' END
$$;
COMMENT ON FUNCTION onemap.http_device_state_condition(text) IS 'The condition on a device d for its state at a moment ($8)';

-- Dynamic, so that each list is planned for its own filters; their values are parameters.
CREATE OR REPLACE FUNCTION onemap.http_device_ids(request jsonb, most int) RETURNS int[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET max_parallel_workers_per_gather = 0 SET jit = off AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); conditions text; arms text; ids int[];
    moment timestamptz := onemap.http_at(request); wanted record;
    words text := '(d.code || '' '' || d.name_zh || '' '' || coalesce(d.component_code, '''')::text)';
BEGIN
    PERFORM onemap.http_check(request);
    IF request ? 'kind' AND NOT EXISTS (SELECT FROM onemap.device_kind k WHERE k.key = request->>'kind') THEN
        RAISE EXCEPTION 'there is no kind of device "%"', request->>'kind' USING ERRCODE = 'CH013',
            DETAIL = format('没有设备种类 %s', request->>'kind'),
            HINT = '设备种类见 /api/v1/subsystems。';
    END IF;
    IF request ? 'text' THEN
        SELECT w.pairs, w.patterns INTO wanted FROM onemap.search_wanted(request->>'text') w;
    ELSE
        SELECT NULL::text[] AS pairs, NULL::text[] AS patterns INTO wanted;
    END IF;
    SELECT string_agg(' AND ' || x.condition, '') INTO conditions FROM (VALUES
        ('subsystem', 'd.subsystem = $1->>''subsystem'''), ('kind', 'd.kind = $1->>''kind'''),
        ('vendor', 'd.vendor = $1->>''vendor'''), ('department', 'd.department_id = ANY ($3)'),
        ('grid_cell', 'd.grid_cell = ($1->>''grid_cell'')::char(15)'),
        ('state', CASE WHEN moment IS NOT NULL THEN onemap.http_device_state_condition(request->>'state')
            WHEN request->>'state' = 'online' THEN
                'EXISTS (SELECT FROM onemap.device_state s WHERE s.device_id = d.id AND s.online)'
            WHEN request->>'state' = 'offline' THEN 'd.id IN (SELECT s.device_id FROM onemap.device_state s WHERE NOT s.online)'
            WHEN request->>'state' = 'never' THEN 'NOT EXISTS (SELECT FROM onemap.device_state s WHERE s.device_id = d.id)'
            WHEN request->>'state' = 'away' THEN
                'NOT EXISTS (SELECT FROM onemap.device_state s WHERE s.device_id = d.id AND s.online)'
            WHEN request->>'state' = 'in_use' THEN 'true'
            ELSE 'd.id IN (SELECT a.device_id FROM onemap.alarm a WHERE a.closed_at IS NULL)' END
            -- Of what is out of use nobody expects anything: it is not among those that the map counts either.
            || CASE WHEN request->>'state' <> 'alarm' THEN ' AND d.status <> ''retired''' ELSE '' END),
        ('text', 'onemap.search_pairs(' || words || ') @> $4 AND lower(' || words || ') LIKE ALL ($5)'))
        AS x (field, condition) WHERE request ? x.field;
    -- What moves is where its state says, what stands is where it was put: each way by its own index, in the order of pages.
    -- coalesce(): the planner takes that for half of the rows, and "IS NULL" for one in 200, for which it would read and sort a
    -- large box whole instead of reading on in the order of ids until the page is full.
    SELECT string_agg('(SELECT d.id FROM ' || CASE WHEN moment IS NULL THEN 'onemap.device' ELSE 'onemap.device_as_of($8)' END
        || ' d WHERE d.id > ($1->>''after'')::int AND onemap.http_sees($2, d.department_id)'
        || coalesce(conditions, '') || a.condition || ' ORDER BY d.id LIMIT $6)', ' UNION ALL ') INTO arms
    FROM unnest(CASE WHEN request ?| '{box,area}' AND moment IS NOT NULL THEN ARRAY[
        ' AND public.ST_Intersects(coalesce((SELECT t.geom FROM onemap.place_last_at(d.id, $8) t), d.geom), $7)']
        WHEN request ?| '{box,area}' THEN ARRAY[
        ' AND public.ST_Intersects(d.geom, $7) AND coalesce((SELECT m.geom IS NULL FROM onemap.device_state m
            WHERE m.device_id = d.id), true)',
        ' AND d.id IN (SELECT m.device_id FROM onemap.device_state m WHERE public.ST_Intersects(m.geom, $7))'] ELSE '{""}' END)
        a (condition);
    EXECUTE 'SELECT ARRAY(SELECT x.id FROM (' || coalesce(arms, '') || ') x ORDER BY x.id LIMIT $6)' INTO ids
        USING request, seen, onemap.http_department_ids(request), wanted.pairs, wanted.patterns, most,
            onemap.http_where(request), moment;
    RETURN ids;
END $$;
COMMENT ON FUNCTION onemap.http_device_ids(jsonb, int) IS
    'Ids of the devices that fit a request and that who asks may see, in their order, behind "after", at most so many';

-- ---- readings, ranges, limits ----

-- Called for each device of a page: the few metrics of its subsystem by their index, not the whole catalogue.
CREATE OR REPLACE FUNCTION onemap.http_readings(subsystem text, readings float8[], reading_times timestamptz[], quality bigint)
RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    RETURN (
    SELECT json_object_agg(m.key, x ORDER BY m.ordinal)
    FROM onemap.metric m CROSS JOIN LATERAL (SELECT readings[m.ordinal] AS value, reading_times[m.ordinal] AS at,
        onemap.reading_good(readings, quality, m.ordinal) IS NOT NULL AS good) x
    WHERE m.subsystem = $1 AND readings[m.ordinal] IS NOT NULL);
END $$;
COMMENT ON FUNCTION onemap.http_readings(text, float8[], timestamptz[], bigint) IS
    'Last readings as {metric: {value, at, good}}; good: within the physical range and the instrument''s; NULL if there is none';

-- The normal range is what no rule objects to: below the lowest upper limit, above the highest lower one.
CREATE OR REPLACE FUNCTION onemap.http_metrics_of(of_subsystem text, of_kind text)
RETURNS TABLE (subsystem text, ordinal int, key text, name_zh text, unit text, kind text, minimum float8, maximum float8,
    normal_low float8, normal_high float8, limits json)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT m.subsystem, m.ordinal, m.key, m.name_zh, m.unit, m.kind, m.min_value, m.max_value, l.low, l.high,
        coalesce(l.limits, '[]')
    FROM onemap.metric m LEFT JOIN (
        SELECT r.metric, max(r.threshold) FILTER (WHERE r.comparison = 'below') AS low,
            min(r.threshold) FILTER (WHERE r.comparison = 'above') AS high, json_agg(x ORDER BY x.rule) AS limits
        FROM onemap.alarm_rule r LEFT JOIN onemap.alarm_source w ON w.source = r.source CROSS JOIN LATERAL (
            SELECT r.key AS rule, r.name_zh, r.device_kind, r.comparison, r.threshold, r.duration_s, r.severity, r.source,
                coalesce(w.zh, r.source) AS source_zh) x
        WHERE r.subsystem = of_subsystem AND r.kind = 'threshold' AND r.enabled
            AND (of_kind IS NULL OR r.device_kind IS NULL OR r.device_kind = of_kind)
        GROUP BY r.metric) l ON l.metric = m.key
    WHERE m.subsystem = of_subsystem;
END $$;
COMMENT ON FUNCTION onemap.http_metrics_of(text, text) IS
    'Metrics of a subsystem for devices of a kind (NULL: of any); minimum, maximum: what can be; normal_low, normal_high: what no '
    'rule objects to; limits: the rules';

CREATE OR REPLACE FUNCTION onemap.http_metrics(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.identity(request), onemap.http_check(request);
    RETURN QUERY
    SELECT json_build_object('metrics', coalesce(json_agg(x ORDER BY x.subsystem, m.ordinal), '[]'))
    FROM onemap.subsystem z CROSS JOIN LATERAL onemap.http_metrics_of(z.key, NULL) m CROSS JOIN LATERAL (
        SELECT m.subsystem, m.key, m.name_zh, m.unit, m.kind, m.minimum, m.maximum, m.normal_low, m.normal_high, m.limits) x
    WHERE NOT request ? 'subsystem' OR z.key = request->>'subsystem';
END $$;
COMMENT ON FUNCTION onemap.http_metrics(jsonb) IS
    'GET /api/v1/metrics: {metrics: [{subsystem, key, name_zh, unit, kind, minimum, maximum, normal_low, normal_high, limits}]}';
GRANT EXECUTE ON FUNCTION onemap.http_metrics(jsonb) TO cityhub_api;

-- ---- pages ----
-- Planned once a session, as one device is (see there). Rows of named columns become JSON in half the time that json_build_object()
-- takes.

-- A row function: the planner looks into it, so that a page is one plan.
CREATE OR REPLACE FUNCTION onemap.http_device_shown(d onemap.device, s onemap.device_state, department_code text,
    open_alarms bigint, with_readings boolean)
RETURNS TABLE (id int, subsystem text, vendor text, code text, kind text, name_zh text, status text, lon float8, lat float8,
    grid_cell char(15), department text, state text, last_seen_at timestamptz, alarms bigint, readings json)
LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT d.id, d.subsystem, d.vendor, d.code, d.kind, d.name_zh, d.status, public.ST_X(coalesce(s.geom, d.geom)),
        public.ST_Y(coalesce(s.geom, d.geom)), d.grid_cell, department_code,
        onemap.http_device_state(s.online), s.last_seen_at, open_alarms,
        CASE WHEN with_readings THEN onemap.http_readings(d.subsystem, s.readings, s.reading_times, s.quality) END
$$;
COMMENT ON FUNCTION onemap.http_device_shown(onemap.device, onemap.device_state, text, bigint, boolean) IS
    'A device as lists show it; readings: NULL if they were not asked for';

-- How they are is in other tables than how they were: one statement for both would ask all of them for each device.
CREATE OR REPLACE FUNCTION onemap.http_devices(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    most int := (request->>'limit')::int; ids int[] := onemap.http_device_ids(request, most); devices json;
    with_readings boolean := (request->>'readings')::boolean; moment timestamptz := onemap.http_at(request);
BEGIN
    IF moment IS NULL THEN
        SELECT json_agg(x ORDER BY x.id) INTO devices FROM onemap.device d
            LEFT JOIN onemap.device_state s ON s.device_id = d.id
            CROSS JOIN LATERAL (SELECT count(*) AS n FROM onemap.alarm a WHERE a.device_id = d.id AND a.closed_at IS NULL) a
            LEFT JOIN onemap.department u ON u.id = d.department_id
            CROSS JOIN LATERAL onemap.http_device_shown(d, s, u.code, a.n, with_readings) x
        WHERE d.id = ANY (ids);
    ELSE
        SELECT json_agg(x ORDER BY x.id) INTO devices FROM onemap.device_as_of(moment) d
            LEFT JOIN LATERAL onemap.device_state_as_of(d.id, moment) s ON true
            CROSS JOIN LATERAL (SELECT count(*) AS n FROM onemap.alarm_open_as_of(d.id, moment)) a
            LEFT JOIN onemap.department u ON u.id = d.department_id
            CROSS JOIN LATERAL onemap.http_device_shown(d, s, u.code, a.n, with_readings) x
        WHERE d.id = ANY (ids);
    END IF;
    body := json_build_object('devices', coalesce(devices, '[]'), 'next', CASE WHEN cardinality(ids) = most THEN ids[most] END);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION onemap.http_devices(jsonb) IS
    'GET /api/v1/devices: {devices, next}; at: as they were at a moment; next: to go on behind, NULL on the '
    'last page; readings: of each, if they were asked for';
GRANT EXECUTE ON FUNCTION onemap.http_devices(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_devices_csv(request jsonb) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE ids int[] := onemap.http_device_ids(request || '{"after": 0}', 2147483647);
BEGIN
    RETURN NEXT CASE WHEN (request->>'bom')::boolean THEN E'\ufeff' ELSE '' END
        || E'id,subsystem,vendor,code,kind,name_zh,status,lon,lat,grid_cell,department,department_zh,state,last_seen_at,alarms\r\n';
    RETURN QUERY
    SELECT (SELECT string_agg(CASE WHEN c.number THEN coalesce(c.value, '') ELSE onemap.http_csv_cell(c.value) END,
        ',' ORDER BY c.n)
            FROM (VALUES (1, true, d.id::text), (2, false, d.subsystem), (3, false, d.vendor), (4, false, d.code),
                (5, false, d.kind), (6, false, d.name_zh), (7, false, d.status),
                (8, true, public.ST_X(coalesce(s.geom, d.geom))::text), (9, true, public.ST_Y(coalesce(s.geom, d.geom))::text),
                (10, false, d.grid_cell::text), (11, false, u.code), (12, false, u.name_zh),
                (13, false, onemap.http_device_state(s.online)),
                (14, false, onemap.county_time(s.last_seen_at, 'YYYY-MM-DD HH24:MI:SS')),
                (15, true, (SELECT count(*)::text FROM onemap.alarm a WHERE a.device_id = d.id AND a.closed_at IS NULL)))
                AS c (n, number, value)) || E'\r\n'
    FROM unnest(ids) WITH ORDINALITY i (id, place) JOIN onemap.device d ON d.id = i.id
        LEFT JOIN onemap.device_state s ON s.device_id = d.id LEFT JOIN onemap.department u ON u.id = d.department_id
    ORDER BY i.place;
END $$;
COMMENT ON FUNCTION onemap.http_devices_csv(jsonb) IS
    'GET /api/v1/devices.csv: all devices that fit, a line each; times are the county''s; bom: the mark that Excel knows UTF-8 by';
GRANT EXECUTE ON FUNCTION onemap.http_devices_csv(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_states(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    most int := (request->>'limit')::int; ids int[] := onemap.http_device_ids(request, most);
    moment timestamptz := onemap.http_at(request);
BEGIN
    RETURN QUERY
    SELECT json_build_object('at', coalesce(moment, now()), 'states', coalesce(json_agg(x ORDER BY x.device), '[]'),
        'next', CASE WHEN cardinality(ids) = most THEN ids[most] END)
    FROM (SELECT d.id AS device, d.subsystem, d.code, onemap.http_device_state(s.online) AS state, s.changed_at AS state_since,
              s.last_seen_at, s.observed_at, public.ST_X(coalesce(s.geom, d.geom)) AS lon,
              public.ST_Y(coalesce(s.geom, d.geom)) AS lat, s.geom_at AS place_at,
              onemap.http_readings(d.subsystem, s.readings, s.reading_times, s.quality) AS readings
          FROM onemap.device_as_of(moment) d LEFT JOIN LATERAL onemap.device_state_as_of(d.id, moment) s ON true
          WHERE d.id = ANY (ids)) x;
END $$;
COMMENT ON FUNCTION onemap.http_states(jsonb) IS
    'GET /api/v1/states: {at, states: [{device, subsystem, code, state, state_since, last_seen_at, observed_at, lon, lat, '
    'place_at, readings}], next}; at: as they were at a moment';
GRANT EXECUTE ON FUNCTION onemap.http_states(jsonb) TO cityhub_api;

-- ---- what moves ----

CREATE OR REPLACE FUNCTION onemap.http_map_movers(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE seen int[] := onemap.identity_departments(request);
BEGIN
    RETURN QUERY
    SELECT json_build_object('movers', coalesce(json_agg(json_build_array(m.id, round(m.lon::numeric, 6), round(m.lat::numeric, 6),
        m.at_ms) ORDER BY m.id), '[]'))
    FROM (SELECT d.id, public.ST_X(coalesce(s.geom, d.geom)) AS lon, public.ST_Y(coalesce(s.geom, d.geom)) AS lat,
              floor(extract(epoch FROM s.geom_at) * 1000)::bigint AS at_ms
          FROM onemap.device d JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind AND k.mobile
              LEFT JOIN onemap.device_state s ON s.device_id = d.id
          WHERE d.status <> 'retired' AND coalesce(s.geom, d.geom) IS NOT NULL AND onemap.http_sees(seen, d.department_id)
          ORDER BY d.id LIMIT 50000) m;
END $$;
COMMENT ON FUNCTION onemap.http_map_movers(jsonb) IS
    'GET /api/v1/map/movers: {movers: [[id, lon, lat, at_ms]]}: devices of mobile kinds with their last places; at_ms: of when, '
    'NULL: where it was registered; the first 50000';
GRANT EXECUTE ON FUNCTION onemap.http_map_movers(jsonb) TO cityhub_api;

-- ---- one device ----
-- In plpgsql, and planned once a session: with a moment the planner would make a plan of its own for each call, now or then, which
-- takes four times as long as all the rest.

CREATE OR REPLACE FUNCTION onemap.http_device_seen(request jsonb, device int) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE seen int[] := onemap.identity_departments(request);
BEGIN
    RETURN EXISTS (SELECT FROM onemap.device d WHERE d.id = device AND onemap.http_sees(seen, d.department_id));
END $$;
COMMENT ON FUNCTION onemap.http_device_seen(jsonb, int) IS 'Whether the device is there and shown to who asks';

CREATE OR REPLACE FUNCTION onemap.http_device_readings(d onemap.device, s onemap.device_state) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
    SELECT coalesce(json_agg(x ORDER BY m.ordinal), '[]')
    FROM onemap.http_metrics_of(d.subsystem, d.kind) m CROSS JOIN LATERAL (
        SELECT m.key, m.name_zh, m.unit, m.kind, m.minimum, m.maximum, m.normal_low, m.normal_high, m.limits,
            s.readings[m.ordinal] AS value, s.reading_times[m.ordinal] AS at,
            CASE WHEN NOT onemap.is_flagged(s.quality, m.ordinal) THEN 'good'
                WHEN s.readings[m.ordinal] BETWEEN m.minimum AND m.maximum THEN 'over_range' ELSE 'out_of_range' END AS quality) x
    WHERE s.readings[m.ordinal] IS NOT NULL);
END $$;
COMMENT ON FUNCTION onemap.http_device_readings(onemap.device, onemap.device_state) IS
    'Last readings with unit, ranges and limits: [{key, name_zh, unit, ..., value, at, quality: good | out_of_range | '
    'over_range}]';

-- OFFSET 0: the rule of each alarm is looked for; else all rules would be read first, for most devices in vain.
CREATE OR REPLACE FUNCTION onemap.http_device_alarms(device int, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'rule', a.key, 'name_zh', a.name_zh, 'severity', a.severity,
        'opened_at', a.opened_at, 'value', a.value, 'acknowledged_at', a.acknowledged_at) ORDER BY a.opened_at DESC), '[]')
    FROM (SELECT x.id, r.key, r.name_zh, x.severity, x.opened_at, x.value, x.acknowledged_at
          FROM onemap.alarm_open_as_of(device, moment) x CROSS JOIN LATERAL (
              SELECT y.key, y.name_zh FROM onemap.alarm_rule_as_of(moment) y WHERE y.id = x.rule_id OFFSET 0) r
          ORDER BY x.opened_at DESC LIMIT 50) a);
END $$;
COMMENT ON FUNCTION onemap.http_device_alarms(int, timestamptz) IS 'Open alarms of a device, the newest first, 50 at most';

CREATE OR REPLACE FUNCTION onemap.http_around(place public.geometry, metres float8) RETURNS public.geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT public.ST_Expand(place, metres / 111000 / greatest(cos(radians(public.ST_Y(place))), 0.01), metres / 111000)
$$;
COMMENT ON FUNCTION onemap.http_around(public.geometry, float8) IS 'A box that holds all within so many metres of a place';

-- What is now is asked of the table alone: a plan for both now and then reads all cases there have been.
CREATE OR REPLACE FUNCTION onemap.http_cases_near(place public.geometry, metres float8, device int, seen int[],
    most int, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE found onemap.case_record[];
BEGIN
    IF moment IS NULL THEN
        found := ARRAY(
            SELECT c FROM onemap.case_record c WHERE c.ended_at IS NULL AND c.device_id = device
            UNION ALL
            SELECT c FROM onemap.case_record c WHERE c.ended_at IS NULL
                AND c.geom OPERATOR(public.&&) onemap.http_around(place, metres));
    ELSE
        found := ARRAY(
            SELECT c FROM onemap.case_record_as_of(moment) c WHERE c.ended_at IS NULL AND c.device_id = device
            UNION ALL
            SELECT c FROM onemap.case_record_as_of(moment) c WHERE c.ended_at IS NULL
                AND c.geom OPERATOR(public.&&) onemap.http_around(place, metres));
    END IF;
    RETURN (
    WITH nearest AS (
        SELECT DISTINCT ON (coalesce(c.device_id = device, false), x.distance_m, c.id) c.*, x.distance_m,
            coalesce(c.device_id = device, false) AS of_device
        FROM unnest(found) c CROSS JOIN LATERAL (SELECT public.ST_DistanceSphere(c.geom, place) AS distance_m) x
        WHERE (x.distance_m <= metres OR c.device_id = device) AND onemap.http_sees(seen, c.department_id)
        ORDER BY coalesce(c.device_id = device, false) DESC, x.distance_m, c.id LIMIT most)
    SELECT coalesce(jsonb_agg(jsonb_build_object('case', n.code, 'title', n.title, 'state', n.state, 'state_zh', z.name_zh,
        'category', n.category_code, 'category_zh', k.name_zh, 'department', u.code, 'reported_at', n.reported_at,
        'deadline_at', n.deadline_at, 'lon', public.ST_X(n.geom), 'lat', public.ST_Y(n.geom),
        'distance_m', round(n.distance_m::numeric), 'of_device', n.of_device)
        ORDER BY n.of_device DESC, n.distance_m, n.id), '[]')
    FROM nearest n JOIN onemap.case_state z ON z.state = n.state LEFT JOIN onemap.department u ON u.id = n.department_id
        LEFT JOIN onemap.case_category k ON k.version = n.catalogue_version AND k.code = n.category_code);
END $$;
COMMENT ON FUNCTION onemap.http_cases_near(public.geometry, float8, int, int[], int, timestamptz) IS
    'Open cases of a device or within so many metres of a place, of these departments (NULL: all), those of the device first, then '
    'the nearest; moment: as they were then, NULL: as they are';

CREATE OR REPLACE FUNCTION onemap.http_device_work(device int, seen int[], moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'code', w.code, 'title', w.title, 'status', w.status,
        'planned_start', w.planned_start, 'started_at', w.started_at, 'finished_at', w.finished_at, 'result', w.result)
        ORDER BY w.observed_at DESC, w.id DESC), '[]')
    FROM (SELECT o.* FROM onemap.work_order_as_of(moment) o WHERE o.device_id = device AND onemap.http_sees(seen, o.department_id)
          ORDER BY o.observed_at DESC, o.id DESC LIMIT 5) w);
END $$;
COMMENT ON FUNCTION onemap.http_device_work(int, int[], timestamptz) IS
    'The last five work orders at a device, of these departments (NULL: all); moment: as they were then';

CREATE OR REPLACE FUNCTION onemap.http_device_vehicles(device int, seen int[], moment timestamptz) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
    SELECT coalesce(json_agg(json_build_object('id', v.id, 'code', v.code, 'plate', v.plate, 'on_duty', v.on_duty)
        ORDER BY v.id), '[]')
    FROM onemap.vehicle_as_of(moment) v WHERE v.device_id = device AND onemap.http_sees(seen, v.department_id));
END $$;
COMMENT ON FUNCTION onemap.http_device_vehicles(int, int[], timestamptz) IS
    'The vehicles that carry a device, of these departments (NULL: all): [{id, code, plate, on_duty}]; moment: as they were then';

CREATE OR REPLACE FUNCTION onemap.http_device_terminals(request jsonb, device onemap.device) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT onemap.identity(request)->'rights' ? 'command' THEN
        RETURN '[]'::json;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object('id', t.id, 'protocol', t.protocol, 'identity', t.identity) ORDER BY t.id), '[]')
        FROM onemap.terminal t
        WHERE t.subsystem = device.subsystem AND t.vendor = device.vendor AND t.device_code = device.code
            AND t.revoked_at IS NULL);
END $$;
COMMENT ON FUNCTION onemap.http_device_terminals(jsonb, onemap.device) IS
    'The terminals that speak for a device, as they are now, for the right command: [{id, protocol, identity}]';

-- Few devices have any of these, and to see that takes less than to look for them both in what is and in what was. By indexes: a
-- plan that hopes to meet one soon would read all for a device that has none.
CREATE OR REPLACE FUNCTION onemap.http_device_has(device int, place public.geometry, moment timestamptz, OUT alarms boolean,
    OUT cases boolean, OUT work boolean, OUT vehicles boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
BEGIN
    IF moment IS NOT NULL THEN
        alarms := true; cases := true; work := true; vehicles := true;
        RETURN;
    END IF;
    SELECT EXISTS (SELECT FROM onemap.alarm a WHERE a.device_id = device AND a.closed_at IS NULL),
        EXISTS (SELECT FROM onemap.case_record c WHERE c.device_id = device AND c.ended_at IS NULL)
            OR EXISTS (SELECT FROM onemap.case_record c WHERE c.ended_at IS NULL
                AND c.geom OPERATOR(public.&&) onemap.http_around(place, 100)),
        EXISTS (SELECT FROM onemap.work_order w WHERE w.device_id = device),
        EXISTS (SELECT FROM onemap.vehicle v WHERE v.device_id = device) INTO alarms, cases, work, vehicles;
END $$;
COMMENT ON FUNCTION onemap.http_device_has(int, public.geometry, timestamptz) IS
    'Whether there may be alarms, cases at it or within 100 m of its place, work, vehicles of a device to be told of; false: there '
    'is none. At a moment there may be each';

CREATE OR REPLACE FUNCTION onemap.http_device(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); d onemap.device; s onemap.device_state; place public.geometry;
    moment timestamptz := onemap.http_at(request); has record;
BEGIN
    SELECT x.* INTO d FROM onemap.device_as_of(moment) x WHERE x.id = (request->>'id')::int
        AND onemap.http_sees(seen, x.department_id);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT x.* INTO s FROM onemap.device_state_as_of(d.id, moment) x;
    place := coalesce(s.geom, d.geom);
    has := onemap.http_device_has(d.id, place, moment);
    RETURN QUERY
    SELECT row_to_json(x)
    FROM (SELECT d.id, d.subsystem, z.name_zh AS subsystem_zh, d.vendor,
              onemap.vendor_name(d.subsystem, d.vendor, moment) AS vendor_zh, d.code, d.kind, k.name_zh AS kind_zh,
              coalesce(k.mobile, false) AS mobile, date_part('epoch', k.offline_after)::int AS offline_after_s, d.name_zh,
              d.component_code, d.status,
              CASE WHEN d.parent_id IS NOT NULL AND onemap.http_device_seen(request, d.parent_id) THEN d.parent_id END AS parent,
              public.ST_X(place) AS lon, public.ST_Y(place) AS lat, s.geom_at AS place_at, d.grid_cell, u.code AS department,
              u.name_zh AS department_zh, onemap.http_device_state(s.online) AS state, s.changed_at AS state_since, s.last_seen_at,
              CASE WHEN onemap.http_names_people(request) THEN d.attributes END AS attributes,
              onemap.http_device_readings(d, s) AS readings,
              CASE WHEN has.alarms THEN onemap.http_device_alarms(d.id, moment) ELSE '[]' END AS alarms,
              CASE WHEN has.cases THEN onemap.http_cases_near(place, 100, d.id, seen, 20, moment) ELSE '[]' END AS cases,
              CASE WHEN has.work THEN onemap.http_device_work(d.id, seen, moment) ELSE '[]' END AS work,
              CASE WHEN has.vehicles THEN onemap.http_device_vehicles(d.id, seen, moment) ELSE '[]' END AS vehicles,
              onemap.http_device_terminals(request, d) AS terminals
          FROM onemap.subsystem z LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
              LEFT JOIN onemap.department_as_of(moment) u ON u.id = d.department_id
          WHERE z.key = d.subsystem) x;
END $$;
COMMENT ON FUNCTION onemap.http_device(jsonb) IS
    'GET /api/v1/devices/{id}: the device, its last readings with ranges and limits, open alarms, open cases at it or within 100 '
    'm, last work, vehicles that carry it; no row: no such device, or not for who asks';
GRANT EXECUTE ON FUNCTION onemap.http_device(jsonb) TO cityhub_api;
