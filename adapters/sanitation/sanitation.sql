-- sanitation: default alarm rules, weighings a day, kilometres swept. Run by `cityhub migrate` every time.

SELECT onemap.alarm_rule_default('sanitation', 'bin_full', '{"name_zh": "垃圾箱满溢", "metric": "fill_percent", "above": 90,
    "clear": 60, "duration_s": 300, "severity": "minor", "category_code": "10305", "source": "assumed"}');
SELECT onemap.alarm_rule_default('sanitation', 'bin_fire', '{"name_zh": "垃圾箱火警", "metric": "fire_alarm", "equals": 1,
    "severity": "critical", "category_code": "20117", "source": "assumed"}');
SELECT onemap.alarm_rule_default('sanitation', 'bin_hot', '{"name_zh": "垃圾箱温度过高", "metric": "bin_temp_c", "above": 70,
    "clear": 55, "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('sanitation', 'bin_fallen', '{"name_zh": "垃圾箱倾倒", "metric": "bin_tilt_deg", "above": 45,
    "clear": 20, "duration_s": 300, "severity": "minor", "category_code": "10305", "source": "assumed"}');
SELECT onemap.alarm_rule_default('sanitation', 'battery_low', '{"name_zh": "电池电量低", "metric": "battery_percent", "below": 15,
    "clear": 25, "severity": "info", "source": "assumed"}');
SELECT onemap.alarm_rule_default('sanitation', 'toilet_nh3', '{"name_zh": "公厕氨超标", "metric": "nh3_mg_m3", "above": 1,
    "clear": 0.8, "duration_s": 600, "severity": "minor", "category_code": "10301",
    "source": "GB/T 17217-1998, 3.1: class I 0.3, II 1, III 3 mg/m3; here class II (assumed)",
    "source_zh": "GB/T 17217-1998 第 3.1 条：一类 0.3、二类 1、三类 3 mg/m³；这里取二类（假定）"}');
SELECT onemap.alarm_rule_default('sanitation', 'toilet_h2s', '{"name_zh": "公厕硫化氢超标", "metric": "h2s_mg_m3", "above": 0.01,
    "clear": 0.008, "duration_s": 600, "severity": "minor", "category_code": "10301",
    "source": "GB/T 17217-1998, 3.1: 0.01 mg/m3 in all classes",
    "source_zh": "GB/T 17217-1998 第 3.1 条：各类均为 0.01 mg/m³"}');
SELECT onemap.alarm_rule_default('sanitation', 'vehicle_speeding', '{"name_zh": "环卫车超速", "metric": "speed_km_h", "above": 60,
    "clear": 55, "duration_s": 30, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('sanitation', 'sweeping_too_fast', '{"kind": "derived", "name_zh": "清扫作业超速",
    "metric": "speed_km_h",
    "device_kind": "sweeper", "above": 15, "duration_s": 120, "severity": "minor",
    "source": "assumed: sweeping faster does not clean",
    "source_zh": "假定：再快就扫不干净"}');

CREATE OR REPLACE FUNCTION onemap.sanitation_weighings(day date)
RETURNS TABLE (device_id int, waste_kind int, weighings int, net_t float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.device_id, w.waste_kind, count(*)::int, sum(w.net) / 1000
    FROM (SELECT DISTINCT ON (s.device_id, coalesce(s.weighing_number, s.observed_at::text))
                 s.device_id, s.waste_kind::int AS waste_kind, coalesce(s.net_kg, s.gross_kg - s.tare_kg) AS net
          FROM onemap.sanitation_between(onemap.local_midnight(day), onemap.local_midnight(day + 1)) s
          WHERE coalesce(s.net_kg, s.gross_kg - s.tare_kg) IS NOT NULL
          ORDER BY s.device_id, coalesce(s.weighing_number, s.observed_at::text), s.observed_at DESC) w
    GROUP BY w.device_id, w.waste_kind
$$;
COMMENT ON FUNCTION onemap.sanitation_weighings(date) IS
    'Weighings and tonnes of a local day per transfer station and kind of waste; of records with the same weighing_number the '
    'last counts; net_kg, else gross less tare';
GRANT EXECUTE ON FUNCTION onemap.sanitation_weighings(date) TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.sanitation_routes(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, driven_km float8, swept_km float8, sprayed_km float8, sweeping_s float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH steps AS (
        SELECT p.device_id, extract(epoch FROM p.observed_at - lag(p.observed_at) OVER w) AS seconds,
               public.ST_Distance(p.geom::public.geography, (lag(p.geom) OVER w)::public.geography) AS metres,
               lag(p.readings[(SELECT onemap.metric_ordinal('sanitation', 'sweeping_on'))]) OVER w AS sweeping,
               lag(p.readings[(SELECT onemap.metric_ordinal('sanitation', 'spraying_on'))]) OVER w AS spraying
        FROM onemap.device d
        CROSS JOIN LATERAL (
            SELECT k.device_id, k.observed_at, k.geom, q.readings
            FROM onemap.track_point_of(d.id, from_at, to_at) k
            LEFT JOIN onemap.observation_of(d.id, from_at, to_at) q ON q.observed_at = k.observed_at
            WHERE k.geom IS NOT NULL) p
        WHERE d.subsystem = 'sanitation'
        WINDOW w AS (PARTITION BY p.device_id ORDER BY p.observed_at))
    SELECT s.device_id, sum(s.metres) / 1000, coalesce(sum(s.metres) FILTER (WHERE s.sweeping = 1), 0) / 1000,
           coalesce(sum(s.metres) FILTER (WHERE s.spraying = 1), 0) / 1000,
           coalesce(sum(s.seconds) FILTER (WHERE s.sweeping = 1), 0)
    FROM steps s
    -- A longer gap says nothing about the way taken; faster than 120 km/h is a jump of the receiver.
    WHERE s.seconds <= 120 AND s.metres <= s.seconds * (120 / 3.6)
    GROUP BY s.device_id
$$;
COMMENT ON FUNCTION onemap.sanitation_routes(timestamptz, timestamptz) IS
    'Kilometres that each vehicle drove, swept and sprayed, from its track points: a step between two points at most 120 s apart '
    'counts as swept if sweeping was on at its beginning; jumps faster than 120 km/h do not count';
GRANT EXECUTE ON FUNCTION onemap.sanitation_routes(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.sanitation_coverage(day date)
RETURNS TABLE (device_id int, driven_km float8, swept_km float8, sprayed_km float8, sweeping_s float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.* FROM onemap.sanitation_routes(onemap.local_midnight(day), onemap.local_midnight(day + 1)) r
$$;
COMMENT ON FUNCTION onemap.sanitation_coverage(date) IS
    'sanitation_routes() of a local day: kilometres driven, swept and sprayed per vehicle';
GRANT EXECUTE ON FUNCTION onemap.sanitation_coverage(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.sanitation_sweeping_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_sustained('sanitation', 'sweeping_too_fast', 'sweeping_on', 1)
$$;
COMMENT ON FUNCTION onemap.sanitation_sweeping_sweep() IS
    'Raises sweeping_too_fast on sweepers that swept above the limit through the rule''s whole duration, clears it otherwise; '
    'returns the sweepers found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('sanitation_sweeping_sweep', 'sanitation') ON CONFLICT DO NOTHING;
