-- construction_waste: default alarm rules, dumping outside permitted places, what was tipped where. Run by `cityhub migrate`
-- every time.

-- Derived: raised by construction_waste_dumping_check inside the batch, cleared by construction_waste_dumping_sweep.
SELECT onemap.alarm_rule_default('construction_waste', 'illegal_dumping', '{"name_zh": "疑似偷倒渣土", "metric": "bed_lifted",
    "severity": "critical", "category_code": "20103",
    "source": "城市建筑垃圾管理规定 (建设部令第139号): only at approved places; the places are onemap.zone",
    "source_zh": "城市建筑垃圾管理规定（建设部令第 139 号）：只在核准的地点；地点见本县区域（zone）"}');
-- Derived: judged by construction_waste_cover_sweep; limit = load_percent from which a truck counts as loaded.
SELECT onemap.alarm_rule_default('construction_waste', 'cover_open', '{"kind": "derived", "name_zh": "重车未密闭行驶",
    "metric": "load_percent", "above": 20, "severity": "major",
    "source": "城市建筑垃圾管理规定 (建设部令第139号): closed transport; 20 % as the sign of a load is assumed",
    "source_zh": "城市建筑垃圾管理规定（建设部令第 139 号）：密闭运输；载重 20 % 以上算有货，为假定"}');
SELECT onemap.alarm_rule_default('construction_waste', 'overload', '{"name_zh": "渣土车超载", "metric": "load_percent",
    "above": 105, "clear": 100, "duration_s": 120, "severity": "major",
    "source": "assumed: 5 % for the error of on-board scales",
    "source_zh": "假定：车载称重误差 5 %"}');
SELECT onemap.alarm_rule_default('construction_waste', 'speeding', '{"name_zh": "渣土车超速", "metric": "speed_km_h",
    "above": 60, "clear": 55, "duration_s": 20, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('construction_waste', 'unwashed_exit', '{"name_zh": "车辆未冲洗出场", "metric": "washed",
    "device_kind": "site_gate", "equals": 0, "severity": "minor", "category_code": "20104",
    "source": "assumed; gates send `washed` for trucks that leave",
    "source_zh": "假定；出场车辆由道闸报 washed（已冲洗）"}');
SELECT onemap.alarm_rule_default('construction_waste', 'uncovered_exit', '{"name_zh": "车辆未密闭出场", "metric": "passage_covered",
    "device_kind": "site_gate", "equals": 0, "severity": "minor",
    "source": "assumed; gates send `passage_covered` for loaded trucks that leave",
    "source_zh": "假定；重车出场由道闸报 passage_covered（已密闭）"}');
SELECT onemap.alarm_rule_default('construction_waste', 'yard_nearly_full', '{"name_zh": "消纳场剩余库容不足",
    "metric": "yard_free_m3",
    "device_kind": "disposal_yard", "below": 5000, "clear": 8000, "severity": "minor", "source": "assumed"}');
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('the bed is down', '车厢已放下')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.construction_waste_zone(place public.geometry, at timestamptz) RETURNS int
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT z.id FROM onemap.zone z
    WHERE z.kind IN ('disposal_yard', 'construction_site') AND z.valid_from <= at AND at < z.valid_to
        AND public.ST_Covers(z.geom, place)
    ORDER BY z.kind DESC, z.code LIMIT 1
$$;
COMMENT ON FUNCTION onemap.construction_waste_zone(public.geometry, timestamptz) IS
    'Id of the disposal yard or construction site that is valid at the time and covers the place, a yard before a site; NULL = '
    'none';
GRANT EXECUTE ON FUNCTION onemap.construction_waste_zone(public.geometry, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.construction_waste_lifts(rows jsonb)
RETURNS TABLE (device_id int, at timestamptz, place public.geometry)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.device_id, t.at, CASE WHEN n.lon BETWEEN -180 AND 180 AND n.lat BETWEEN -90 AND 90
        THEN public.ST_SetSRID(public.ST_MakePoint(n.lon::float8, n.lat::float8), 4326) END
    FROM jsonb_array_elements(CASE jsonb_typeof(rows) WHEN 'array' THEN rows ELSE '[]' END) e
    CROSS JOIN LATERAL (SELECT
        CASE jsonb_typeof(e->'device_id') WHEN 'number' THEN (e->>'device_id')::numeric END AS device,
        CASE jsonb_typeof(e->'observed_at_ms') WHEN 'number' THEN (e->>'observed_at_ms')::numeric END AS ms,
        CASE jsonb_typeof(e->'lon') WHEN 'number' THEN (e->>'lon')::numeric END AS lon,
        CASE jsonb_typeof(e->'lat') WHEN 'number' THEN (e->>'lat')::numeric END AS lat) n
    CROSS JOIN LATERAL (SELECT
        CASE WHEN n.device BETWEEN 1 AND 2147483647 THEN n.device::int END AS device_id,
        CASE WHEN n.ms BETWEEN 0 AND 253402300799999 THEN to_timestamp(n.ms::float8 / 1000) END AS at) t
    WHERE t.device_id IS NOT NULL AND t.at IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.construction_waste_lifts(jsonb) IS
    'Rows of construction_waste_dumping_check as columns; rows that make no sense are left out, a place that makes none is NULL';

CREATE OR REPLACE FUNCTION onemap.construction_waste_dumping_check(rows jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE l record; spot public.geometry;
BEGIN
    FOR l IN SELECT f.device_id, f.at, f.place FROM onemap.construction_waste_lifts(rows) f LOOP
        -- A record without a place: the last one known, if it is of the same two minutes.
        spot := coalesce(l.place, (SELECT s.geom FROM onemap.device_state s WHERE s.device_id = l.device_id
                                   AND s.geom_at BETWEEN l.at - interval '2 minutes' AND l.at + interval '2 minutes'));
        IF spot IS NOT NULL AND onemap.construction_waste_zone(spot, l.at) IS NULL THEN
            PERFORM onemap.alarm_raise(l.device_id, 'illegal_dumping', l.at, 1,
                jsonb_build_object('lon', public.ST_X(spot), 'lat', public.ST_Y(spot)));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.construction_waste_dumping_check(jsonb) IS
    'Check of metric bed_lifted, inside the batch: raises illegal_dumping where a bed is up outside every disposal yard and '
    'construction site valid at that time. Never raises an error for what the rows hold';
GRANT EXECUTE ON FUNCTION onemap.construction_waste_dumping_check(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.construction_waste_dumping_sweep() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE a record; cleared int := 0;
    lifted int := (SELECT onemap.metric_ordinal('construction_waste', 'bed_lifted'));
BEGIN
    FOR a IN SELECT x.device_id, s.reading_times[lifted] AS down_at
             FROM onemap.alarm x
             JOIN onemap.alarm_rule r ON r.id = x.rule_id AND r.subsystem = 'construction_waste' AND r.key = 'illegal_dumping'
             JOIN onemap.device_state s ON s.device_id = x.device_id
             WHERE x.closed_at IS NULL AND s.readings[lifted] = 0 AND s.reading_times[lifted] > x.opened_at LOOP
        PERFORM onemap.alarm_clear(a.device_id, 'illegal_dumping', a.down_at, 'the bed is down');
        cleared := cleared + 1;
    END LOOP;
    RETURN cleared;
END $$;
COMMENT ON FUNCTION onemap.construction_waste_dumping_sweep() IS
    'Clears illegal_dumping of trucks whose bed is down again; returns how many';
INSERT INTO onemap.sweep (function_name, subsystem)
    VALUES ('construction_waste_dumping_sweep', 'construction_waste') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.construction_waste_cover_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(t.device_id, 'cover_open',
        CASE WHEN t.open_on_the_road THEN true WHEN t.in_order THEN false END, t.at, t.load_percent,
        jsonb_build_object('beyond', t.beyond))), 0)::int
    FROM (
        SELECT s.device_id, s.readings[o.load] AS load_percent, s.reading_times[o.cover] AS at,
               s.readings[o.cover] = 0 AND s.readings[o.load] > r.threshold AND s.readings[o.speed] > 5
                   AND s.reading_times[o.cover] BETWEEN s.observed_at - interval '2 minutes' AND s.observed_at
                   AND s.reading_times[o.load] >= s.observed_at - interval '2 minutes'
                   AND s.reading_times[o.speed] >= s.observed_at - interval '2 minutes' AS open_on_the_road,
               -- A load beyond the scales' range, on either side, proves no empty truck.
               s.readings[o.cover] = 1 OR onemap.reading_good(s.readings, s.quality, o.load) <= r.threshold AS in_order,
               onemap.is_flagged(s.quality, o.load) AS beyond
        FROM onemap.device d
        JOIN onemap.device_state s ON s.device_id = d.id AND s.online
        JOIN onemap.alarm_rule r ON r.subsystem = 'construction_waste' AND r.key = 'cover_open' AND r.enabled
        JOIN onemap.metric m ON m.subsystem = r.subsystem AND m.key = r.metric
        CROSS JOIN (SELECT (SELECT onemap.metric_ordinal('construction_waste', 'cover_closed')) AS cover,
                           (SELECT onemap.metric_ordinal('construction_waste', 'load_percent')) AS load,
                           (SELECT onemap.metric_ordinal('construction_waste', 'speed_km_h')) AS speed) o
        WHERE d.subsystem = 'construction_waste' AND d.kind = 'truck' AND d.status <> 'retired') t
$$;
COMMENT ON FUNCTION onemap.construction_waste_cover_sweep() IS
    'Raises cover_open on trucks that drive loaded (faster than 5 km/h, load above the rule''s limit) with the cover open, '
    'clears it once closed or empty; returns the trucks found';
INSERT INTO onemap.sweep (function_name, subsystem)
    VALUES ('construction_waste_cover_sweep', 'construction_waste') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.construction_waste_dumpings(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, started_at timestamptz, ended_at timestamptz, records int, place public.geometry, zone_id int,
    permitted boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH states AS (
        SELECT o.device_id, o.observed_at, o.readings[(SELECT onemap.metric_ordinal('construction_waste', 'bed_lifted'))] AS lifted,
               lag(o.readings[(SELECT onemap.metric_ordinal('construction_waste', 'bed_lifted'))]) OVER w AS lifted_before,
               lag(o.observed_at) OVER w AS before
        -- A tipping that was under way at from_at began before it.
        FROM onemap.device d CROSS JOIN LATERAL onemap.observation_of(d.id, from_at - interval '10 minutes', to_at) o
        WHERE d.subsystem = 'construction_waste'
            AND o.readings[(SELECT onemap.metric_ordinal('construction_waste', 'bed_lifted'))] IS NOT NULL
        WINDOW w AS (PARTITION BY o.device_id ORDER BY o.observed_at)),
    numbered AS (
        SELECT s.*, count(*) FILTER (WHERE s.lifted_before IS DISTINCT FROM 1 OR s.observed_at - s.before > interval '10 minutes')
               OVER (PARTITION BY s.device_id ORDER BY s.observed_at) AS episode
        FROM states s WHERE s.lifted = 1),
    episodes AS (
        SELECT n.device_id, min(n.observed_at) AS started_at, max(n.observed_at) AS ended_at, count(*)::int AS records
        FROM numbered n GROUP BY n.device_id, n.episode)
    SELECT e.device_id, e.started_at, e.ended_at, e.records, p.geom, z.id, CASE WHEN p.geom IS NOT NULL THEN z.id IS NOT NULL END
    FROM episodes e
    LEFT JOIN LATERAL (SELECT t.geom FROM onemap.track_point_of(e.device_id, e.started_at - interval '2 minutes',
                           e.started_at + interval '1 microsecond') t
                       WHERE t.geom IS NOT NULL ORDER BY t.observed_at DESC LIMIT 1) p ON true
    LEFT JOIN LATERAL (SELECT onemap.construction_waste_zone(p.geom, e.started_at) AS id) z ON true
    WHERE e.started_at >= from_at
$$;
COMMENT ON FUNCTION onemap.construction_waste_dumpings(timestamptz, timestamptz) IS
    'Each tipping of a truck (bed up without a break of more than 10 minutes) that began in the time: where, in which zone, '
    'permitted or not (NULL: no place known within 2 minutes)';
GRANT EXECUTE ON FUNCTION onemap.construction_waste_dumpings(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;
