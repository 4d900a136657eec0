-- municipal: default alarm rules, ponding events, running of pumps. Run by `cityhub migrate` every time.

SELECT onemap.alarm_rule_default('municipal', 'cover_open', '{"name_zh": "井盖打开", "metric": "cover_open", "equals": 1,
    "severity": "critical", "category_code": "10102", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'cover_tilted', '{"name_zh": "井盖倾斜", "metric": "cover_tilt_deg", "above": 15,
    "clear": 8, "duration_s": 60, "severity": "major", "category_code": "10102", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'manhole_level_high', '{"name_zh": "井内水位高", "metric": "water_level_m",
    "above": 2.5,
    "clear": 2.2, "duration_s": 300, "severity": "minor", "category_code": "20404",
    "source": "assumed; set it to the network''s depth",
    "source_zh": "假定；请按管网埋深设定"}');
SELECT onemap.alarm_rule_default('municipal', 'ch4_first', '{"name_zh": "井内甲烷一级报警", "metric": "ch4_percent_lel",
    "above": 25,
    "clear": 20, "severity": "major", "source": "GB/T 50493-2019: first alarm of combustible gas at 25 %LEL or below",
    "source_zh": "GB/T 50493-2019：可燃气体一级报警不高于 25 %LEL"}');
SELECT onemap.alarm_rule_default('municipal', 'ch4_second', '{"name_zh": "井内甲烷二级报警", "metric": "ch4_percent_lel",
    "above": 50,
    "clear": 40, "severity": "critical", "category_code": "20404",
    "source": "GB/T 50493-2019: second alarm of combustible gas at 50 %LEL or below",
    "source_zh": "GB/T 50493-2019：可燃气体二级报警不高于 50 %LEL"}');
SELECT onemap.alarm_rule_default('municipal', 'h2s_high', '{"name_zh": "井内硫化氢超标", "metric": "h2s_mg_m3", "above": 10,
    "clear": 8, "duration_s": 300, "severity": "major", "source": "GBZ 2.1-2019: highest permitted concentration 10 mg/m3",
    "source_zh": "GBZ 2.1-2019：最高容许浓度 10 mg/m³"}');
SELECT onemap.alarm_rule_default('municipal', 'co_high', '{"name_zh": "井内一氧化碳超标", "metric": "co_mg_m3", "above": 20,
    "clear": 16, "duration_s": 300, "severity": "major", "source": "GBZ 2.1-2019: time-weighted mean 20 mg/m3",
    "source_zh": "GBZ 2.1-2019：时间加权平均容许浓度 20 mg/m³"}');
SELECT onemap.alarm_rule_default('municipal', 'o2_low', '{"name_zh": "井内缺氧", "metric": "o2_percent", "below": 19.5, "clear": 20,
    "duration_s": 300, "severity": "minor", "source": "assumed: below 19.5 % nobody enters without breathing apparatus",
    "source_zh": "假定：低于 19.5 % 时不戴呼吸器不得进入"}');
SELECT onemap.alarm_rule_default('municipal', 'battery_low', '{"name_zh": "电池电量低", "metric": "battery_percent", "below": 15,
    "clear": 25, "severity": "info", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'ponding', '{"name_zh": "道路积水", "metric": "ponding_depth_cm", "above": 15,
    "clear": 10,
    "duration_s": 120, "severity": "major", "category_code": "20406",
    "source": "assumed: 15 cm, the depth to which one lane stays passable",
    "source_zh": "假定：15 厘米，一条车道仍可通行的水深"}');
SELECT onemap.alarm_rule_default('municipal', 'ponding_deep', '{"name_zh": "道路严重积水（禁行）", "metric": "ponding_depth_cm",
    "above": 27,
    "clear": 20, "duration_s": 60, "severity": "critical", "category_code": "20406",
    "source": "assumed: 27 cm, a car''s door sill and exhaust",
    "source_zh": "假定：27 厘米，小客车的门槛和排气管高度"}');
SELECT onemap.alarm_rule_default('municipal', 'pump_fault', '{"name_zh": "水泵故障", "metric": "pump_fault", "equals": 1,
    "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'power_lost', '{"name_zh": "泵站停电", "metric": "power_lost", "equals": 1,
    "duration_s": 30, "severity": "critical", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'sump_high', '{"name_zh": "前池水位高", "metric": "sump_level_m", "above": 3.5,
    "clear": 3, "duration_s": 120, "severity": "major", "source": "assumed; set it to the station''s design level",
    "source_zh": "假定；请按泵站的设计水位设定"}');
-- Derived: judged by municipal_pump_sweep.
SELECT onemap.alarm_rule_default('municipal', 'pump_not_running', '{"kind": "derived", "name_zh": "高水位未开泵",
    "metric": "sump_level_m",
    "device_kind": "pump_station", "above": 2.8, "duration_s": 600, "severity": "critical", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'bridge_strain', '{"name_zh": "桥梁应变超限", "metric": "strain_microstrain",
    "above": 300,
    "clear": 240, "severity": "major", "category_code": "10208", "source": "assumed; set it to the bridge''s own calculation",
    "source_zh": "假定；请按桥梁自己的计算设定"}');
SELECT onemap.alarm_rule_default('municipal', 'bridge_displacement', '{"name_zh": "桥梁挠度超限", "metric": "displacement_mm",
    "above": 33, "clear": 28, "severity": "major", "category_code": "10208", "source": "assumed: 1/600 of a span of 20 m",
    "source_zh": "假定：跨径 20 米的 1/600"}');
SELECT onemap.alarm_rule_default('municipal', 'bridge_vibration', '{"name_zh": "桥梁振动超限", "metric": "vibration_m_s2",
    "above": 0.7, "clear": 0.5, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'bridge_tilt', '{"name_zh": "桥墩倾斜超限", "metric": "bearing_tilt_deg",
    "above": 0.3, "clear": 0.2, "duration_s": 600, "severity": "critical", "category_code": "10208", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'bridge_crack', '{"name_zh": "桥梁裂缝超限", "metric": "crack_width_mm", "above": 0.2,
    "clear": 0.18, "duration_s": 3600, "severity": "minor", "category_code": "10208", "source": "assumed"}');
SELECT onemap.alarm_rule_default('municipal', 'bridge_overload', '{"name_zh": "超重车辆过桥", "metric": "vehicle_load_t",
    "above": 49,
    "clear": 49, "severity": "major",
    "source": "GB 1589-2016: 49 t, the largest combination admitted; a bridge''s own limit may be lower",
    "source_zh": "GB 1589-2016：49 吨，汽车列车的最大总质量；桥梁自己的限载可能更低"}');

CREATE OR REPLACE FUNCTION onemap.municipal_ponding_events(from_at timestamptz, to_at timestamptz, depth_cm float8 DEFAULT 15)
RETURNS TABLE (device_id int, started_at timestamptz, ended_at timestamptz, minutes float8, deepest_cm float8,
    deepest_at timestamptz, over boolean, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH depths AS (
        SELECT o.device_id, o.observed_at, g.depth, g.depth > depth_cm AS wet,
               lead(o.observed_at) OVER (PARTITION BY o.device_id ORDER BY o.observed_at) AS next_at,
               onemap.is_flagged(o.quality, m.ordinal) AS beyond
        FROM onemap.device d
        JOIN onemap.metric m ON m.subsystem = 'municipal' AND m.key = 'ponding_depth_cm'
        CROSS JOIN LATERAL onemap.observation_of(d.id, from_at, to_at) o
        CROSS JOIN LATERAL (SELECT onemap.reading_bounded(o.readings, o.quality, m, 'above') AS depth) g
        WHERE d.subsystem = 'municipal' AND g.depth IS NOT NULL),
    runs AS (
        SELECT x.*, count(*) FILTER (WHERE NOT x.wet) OVER (PARTITION BY x.device_id ORDER BY x.observed_at) AS dry_before
        FROM depths x)
    SELECT w.device_id, w.started_at, coalesce(w.ended_at, w.last_at),
           extract(epoch FROM coalesce(w.ended_at, w.last_at) - w.started_at) / 60, w.deepest, w.deepest_at, w.ended_at IS NOT NULL,
           w.beyond
    FROM (SELECT r.device_id, min(r.observed_at) AS started_at, max(r.observed_at) AS last_at, max(r.depth) AS deepest,
                 (array_agg(r.next_at ORDER BY r.observed_at DESC))[1] AS ended_at,
                 (array_agg(r.observed_at ORDER BY r.depth DESC, r.observed_at))[1] AS deepest_at, bool_or(r.beyond) AS beyond
          FROM runs r WHERE r.wet GROUP BY r.device_id, r.dry_before) w
$$;
COMMENT ON FUNCTION onemap.municipal_ponding_events(timestamptz, timestamptz, float8) IS
    'Ponding deeper than depth_cm: from the first record above it to the first one not above it (退水), with the greatest depth; '
    'over = it has run off within the time; '
    'beyond = it was deeper than the gauge can say (its range''s end counts)';
GRANT EXECUTE ON FUNCTION onemap.municipal_ponding_events(timestamptz, timestamptz, float8) TO cityhub_hub, cityhub_api,
    cityhub_read;

CREATE OR REPLACE FUNCTION onemap.municipal_pump_running(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, running_h float8, known_h float8, starts int, pumped_m3 float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH states AS (
        SELECT o.device_id, k.offline_after, o.observed_at,
               o.readings[(SELECT onemap.metric_ordinal('municipal', 'pump_running'))] AS running,
               onemap.reading_good(o.readings, o.quality, (SELECT onemap.metric_ordinal('municipal', 'pump_flow_m3_h'))) AS flow,
               lag(o.readings[(SELECT onemap.metric_ordinal('municipal', 'pump_running'))]) OVER w AS before,
               least(coalesce(lead(o.observed_at) OVER w, to_at), o.observed_at + k.offline_after, to_at) - o.observed_at AS held
        FROM onemap.device d
        JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
        CROSS JOIN LATERAL onemap.observation_of(d.id, from_at, to_at) o
        WHERE d.subsystem = 'municipal' AND d.kind = 'pump_station'
            AND o.readings[(SELECT onemap.metric_ordinal('municipal', 'pump_running'))] IS NOT NULL
        WINDOW w AS (PARTITION BY o.device_id ORDER BY o.observed_at)),
    hours AS (SELECT s.*, extract(epoch FROM s.held)::float8 / 3600 AS held_h FROM states s)
    SELECT h.device_id, coalesce(sum(h.held_h) FILTER (WHERE h.running = 1), 0), sum(h.held_h),
           count(*) FILTER (WHERE h.running = 1 AND h.before = 0)::int,
               coalesce(sum(h.held_h * h.flow) FILTER (WHERE h.running = 1), 0)
    FROM hours h GROUP BY h.device_id
$$;
COMMENT ON FUNCTION onemap.municipal_pump_running(timestamptz, timestamptz) IS
    'Hours run, hours known, starts and volume (flow x time) per pumping station: a record''s state holds until the next one, no '
    'longer than the kind''s offline_after';
GRANT EXECUTE ON FUNCTION onemap.municipal_pump_running(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.municipal_pump_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_sustained('municipal', 'pump_not_running', 'pump_running', 0)
$$;
COMMENT ON FUNCTION onemap.municipal_pump_sweep() IS
    'Raises pump_not_running on stations whose sump stood above the limit through the rule''s duration without a pump running, '
    'clears it otherwise; returns the stations found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('municipal_pump_sweep', 'municipal') ON CONFLICT DO NOTHING;
