-- water: default alarm rules, water used, night flow and balance of districts. Run by `cityhub migrate` every time.
-- Standards are known by content; where no clause is given, the clause was not verified.

SELECT onemap.alarm_rule_default('water', 'turbidity_high', '{"name_zh": "浑浊度超标", "metric": "turbidity_ntu", "above": 1,
    "clear": 0.9, "duration_s": 600, "severity": "major", "source": "GB 5749-2022, table 1: 1 NTU; 10 minutes assumed",
    "source_zh": "GB 5749-2022 表 1：1 NTU；10 分钟为假定"}');
SELECT onemap.alarm_rule_default('water', 'chlorine_works_low', '{"name_zh": "出厂水余氯不足", "metric": "residual_chlorine_mg_l",
    "device_kind": "waterworks", "below": 0.3, "clear": 0.3, "duration_s": 600, "severity": "major",
    "source": "GB 5749-2022, table 2: free chlorine at least 0.3 mg/L leaving the works; 10 minutes assumed",
    "source_zh": "GB 5749-2022 表 2：出厂水游离氯不低于 0.3 mg/L；10 分钟为假定"}');
SELECT onemap.alarm_rule_default('water', 'chlorine_network_low', '{"name_zh": "管网水余氯不足", "metric": "residual_chlorine_mg_l",
    "device_kind": "quality_point", "below": 0.05, "clear": 0.07, "duration_s": 600, "severity": "major",
    "source": "GB 5749-2022, table 2: free chlorine at least 0.05 mg/L at the tap; 10 minutes assumed",
    "source_zh": "GB 5749-2022 表 2：末梢水游离氯不低于 0.05 mg/L；10 分钟为假定"}');
SELECT onemap.alarm_rule_default('water', 'chlorine_station_low', '{"name_zh": "二次供水余氯不足",
    "metric": "residual_chlorine_mg_l",
    "device_kind": "pump_station", "below": 0.05, "clear": 0.07, "duration_s": 600, "severity": "major",
    "source": "GB 5749-2022, table 2: free chlorine at least 0.05 mg/L at the tap; 10 minutes assumed",
    "source_zh": "GB 5749-2022 表 2：末梢水游离氯不低于 0.05 mg/L；10 分钟为假定"}');
SELECT onemap.alarm_rule_default('water', 'chlorine_high', '{"name_zh": "余氯过高", "metric": "residual_chlorine_mg_l", "above": 2,
    "clear": 1.8, "duration_s": 600, "severity": "major",
    "source": "GB 5749-2022, table 2: free chlorine at most 2 mg/L; 10 minutes assumed",
    "source_zh": "GB 5749-2022 表 2：游离氯不高于 2 mg/L；10 分钟为假定"}');
SELECT onemap.alarm_rule_default('water', 'ph_low', '{"name_zh": "pH偏低", "metric": "ph", "below": 6.5, "clear": 6.6,
    "duration_s": 600, "severity": "major", "source": "GB 5749-2022, table 1: not below 6.5; 10 minutes assumed",
    "source_zh": "GB 5749-2022 表 1：不小于 6.5；10 分钟为假定"}');
SELECT onemap.alarm_rule_default('water', 'ph_high', '{"name_zh": "pH偏高", "metric": "ph", "above": 8.5, "clear": 8.4,
    "duration_s": 600, "severity": "major", "source": "GB 5749-2022, table 1: not above 8.5; 10 minutes assumed",
    "source_zh": "GB 5749-2022 表 1：不大于 8.5；10 分钟为假定"}');
SELECT onemap.alarm_rule_default('water', 'cod_mn_high', '{"name_zh": "高锰酸盐指数超标", "metric": "cod_mn_mg_l", "above": 3,
    "clear": 2.7, "duration_s": 3600, "severity": "major", "source": "GB 5749-2022, table 1: 3 mg/L; an hour assumed",
    "source_zh": "GB 5749-2022 表 1：3 mg/L；一小时为假定"}');
SELECT onemap.alarm_rule_default('water', 'ammonia_high', '{"name_zh": "氨氮超标", "metric": "ammonia_mg_l", "above": 0.5,
    "clear": 0.45, "duration_s": 3600, "severity": "major", "source": "GB 5749-2022, table 1: 0.5 mg/L as N; an hour assumed",
    "source_zh": "GB 5749-2022 表 1：0.5 mg/L（以 N 计）；一小时为假定"}');
SELECT onemap.alarm_rule_default('water', 'pressure_low', '{"name_zh": "管网压力低", "metric": "pressure_kpa",
    "device_kind": "pressure_point", "below": 140, "clear": 160, "duration_s": 300, "severity": "major", "category_code": "20402",
    "source": "assumed: 0.14 MPa, the customary lowest service pressure of town water",
    "source_zh": "假定：0.14 MPa，城镇供水常用的最低服务压力"}');
SELECT onemap.alarm_rule_default('water', 'pressure_high', '{"name_zh": "管网压力高", "metric": "pressure_kpa",
    "device_kind": "pressure_point", "above": 600, "clear": 550, "duration_s": 300, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'station_pressure_low', '{"name_zh": "泵站出口压力低", "metric": "pressure_kpa",
    "device_kind": "pump_station", "below": 160, "clear": 180, "duration_s": 120, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'inlet_pressure_low', '{"name_zh": "泵站进口压力低", "metric": "inlet_pressure_kpa",
    "below": 100, "clear": 120, "duration_s": 300, "severity": "minor", "source": "assumed: pumps must not draw the mains down",
    "source_zh": "假定：水泵不得把干管抽到负压"}');
SELECT onemap.alarm_rule_default('water', 'tank_low', '{"name_zh": "水池（箱）水位低", "metric": "tank_level_m", "below": 1,
    "clear": 1.3, "duration_s": 300, "severity": "major", "source": "assumed; set it to the tank",
    "source_zh": "假定；请按本水箱（池）设定"}');
SELECT onemap.alarm_rule_default('water', 'tank_high', '{"name_zh": "水池（箱）水位高", "metric": "tank_level_m", "above": 4,
    "clear": 3.8, "duration_s": 300, "severity": "minor", "source": "assumed; set it to the tank",
    "source_zh": "假定；请按本水箱（池）设定"}');
SELECT onemap.alarm_rule_default('water', 'backflow', '{"name_zh": "用户水表倒流", "metric": "flow_m3_h",
    "device_kind": "customer_meter",
    "below": -0.5, "clear": 0, "duration_s": 600, "severity": "major", "source": "assumed: what flows back may foul the network",
    "source_zh": "假定：倒流可能污染管网"}');
SELECT onemap.alarm_rule_default('water', 'leak_suspected', '{"name_zh": "疑似漏水", "metric": "leak_suspected", "equals": 1,
    "severity": "minor", "category_code": "20402", "source": "assumed: the logger''s own judgement",
    "source_zh": "假定：记录仪自己的判断"}');
SELECT onemap.alarm_rule_default('water', 'leak_noise_high', '{"name_zh": "漏水噪声高", "metric": "leak_noise_db", "above": 45,
    "clear": 35, "severity": "info", "source": "assumed"}');
-- Derived: judged by water_night_sweep once a night; limit in percent of the mean flow of the day.
SELECT onemap.alarm_rule_default('water', 'night_flow_high', '{"kind": "derived", "name_zh": "夜间最小流量高（疑似漏损）",
    "metric": "flow_m3_h", "device_kind": "district_meter", "above": 45, "unit": "%", "severity": "minor", "category_code": "20402",
    "source": "assumed: in districts of dwellings the night takes a third of the mean or less",
    "source_zh": "假定：居民分区夜间用水不超过均值的三分之一"}');
SELECT onemap.alarm_rule_default('water', 'hydrant_open', '{"name_zh": "消火栓出水", "metric": "hydrant_open", "equals": 1,
    "duration_s": 60, "severity": "major", "category_code": "10113", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'hydrant_tilted', '{"name_zh": "消火栓倾斜", "metric": "hydrant_tilt_deg", "above": 15,
    "clear": 10, "duration_s": 300, "severity": "major", "category_code": "10113", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'hydrant_dry', '{"name_zh": "消火栓压力不足", "metric": "pressure_kpa",
    "device_kind": "hydrant", "below": 140, "clear": 160, "duration_s": 600, "severity": "major", "category_code": "10113",
    "source": "GB 50974-2014: 0.14 MPa at hydrants while no fire is fought",
    "source_zh": "GB 50974-2014：平时消火栓处不低于 0.14 MPa"}');
SELECT onemap.alarm_rule_default('water', 'pump_fault', '{"name_zh": "水泵故障", "metric": "pump_fault", "equals": 1,
    "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'room_flooded', '{"name_zh": "泵房水浸", "metric": "flooded", "equals": 1,
    "severity": "critical", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'power_lost', '{"name_zh": "市电中断", "metric": "power_lost", "equals": 1,
    "duration_s": 30, "severity": "critical", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'door_open', '{"name_zh": "泵房门打开", "metric": "door_open", "equals": 1,
    "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('water', 'battery_low', '{"name_zh": "电池电量低", "metric": "battery_percent", "below": 15,
    "clear": 25, "severity": "info", "source": "assumed"}');

CREATE OR REPLACE FUNCTION onemap.water_consumption(day date)
RETURNS TABLE (device_id int, device_kind text, forward_m3 float8, reverse_m3 float8, net_m3 float8, energy_kwh float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, d.kind, f.consumption, r.consumption, f.consumption - coalesce(r.consumption, 0), e.consumption
    FROM onemap.device d
    LEFT JOIN onemap.counter_daily('water', 'volume_total_m3', day) f ON f.device_id = d.id
    LEFT JOIN onemap.counter_daily('water', 'reverse_total_m3', day) r ON r.device_id = d.id
    LEFT JOIN onemap.counter_daily('water', 'energy_kwh', day) e ON e.device_id = d.id
    WHERE d.subsystem = 'water' AND (f.device_id IS NOT NULL OR r.device_id IS NOT NULL OR e.device_id IS NOT NULL)
$$;
COMMENT ON FUNCTION onemap.water_consumption(date) IS
    'Water forwards, backwards and net, and electricity of a local day per works, station and meter, by their counters '
    '(counter_daily)';
GRANT EXECUTE ON FUNCTION onemap.water_consumption(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.water_balance(day date)
RETURNS TABLE (district_id int, supplied_m3 float8, metered_m3 float8, meters int, unmetered_m3 float8, unmetered_percent float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH used AS MATERIALIZED (SELECT c.device_id, c.net_m3 FROM onemap.water_consumption(day) c WHERE c.net_m3 IS NOT NULL)
    SELECT b.id, b.supplied, b.metered, b.meters, b.supplied - b.metered, 100 * (b.supplied - b.metered) / nullif(b.supplied, 0)
    FROM (SELECT p.id, s.net_m3 AS supplied, coalesce(sum(u.net_m3), 0) AS metered, count(u.device_id)::int AS meters
          FROM onemap.device p
          JOIN used s ON s.device_id = p.id
          LEFT JOIN onemap.device c ON c.parent_id = p.id AND c.status <> 'retired'
          LEFT JOIN used u ON u.device_id = c.id
          WHERE p.subsystem = 'water' AND p.kind = 'district_meter' AND p.status <> 'retired'
          GROUP BY p.id, s.net_m3) b
$$;
COMMENT ON FUNCTION onemap.water_balance(date) IS
    'Balance of each metered district (DMA) on a local day: what its meter let in, what the meters below it (inventory '
    'parent_code) took, and the difference, which is lost or not metered (产销差)';
GRANT EXECUTE ON FUNCTION onemap.water_balance(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.water_night_flow(day date)
RETURNS TABLE (device_id int, night_m3_h float8, night_hours int, mean_m3_h float8, mean_hours int, night_percent float8,
    flagged int, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.device_id, n.night, n.night_hours, n.mean, n.mean_hours,
           CASE WHEN n.night_hours >= 3 AND n.mean_hours >= 18 THEN onemap.figure(100 * n.night / nullif(n.mean, 0)) END,
           n.flagged, n.beyond
    FROM (SELECT d.id AS device_id, min(m.flow) FILTER (WHERE h.hour >= w.morning - interval '4 hours') AS night,
                 count(m.flow) FILTER (WHERE h.hour >= w.morning - interval '4 hours')::int AS night_hours,
                 avg(m.flow) AS mean, count(m.flow)::int AS mean_hours, sum(m.flagged)::int AS flagged,
                 bool_or(m.beyond AND h.hour >= w.morning - interval '4 hours') AS beyond
          FROM (SELECT onemap.local_moment(day + time '05:00') AS morning) w
          CROSS JOIN onemap.device d
          JOIN onemap.observation_hourly h ON h.device_id = d.id AND h.hour >= w.morning - interval '1 day' AND h.hour < w.morning
          JOIN onemap.metric f ON f.subsystem = 'water' AND f.key = 'flow_m3_h'
          CROSS JOIN LATERAL (SELECT onemap.hourly_judged(h, f, 'above') AS flow, onemap.hourly_flagged(h, f.ordinal) AS flagged,
                                     coalesce(h.flagged_above[f.ordinal], 0) > 0 AS beyond) m
          WHERE d.subsystem = 'water' AND d.kind = 'district_meter' AND d.status <> 'retired'
          GROUP BY d.id) n
$$;
COMMENT ON FUNCTION onemap.water_night_flow(date) IS
    'Night flow (夜间最小流量) of each district in the night that ends on a day: the least hourly mean from 01:00 to 05:00 of '
    'the county''s time, and as a percentage of the mean of the 24 hours to 05:00; NULL with fewer than 3 hours of the night or '
    '18 of the 24';
GRANT EXECUTE ON FUNCTION onemap.water_night_flow(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.water_night_judge(day date) RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(n.device_id, 'night_flow_high',
        onemap.alarm_sure(n.night_percent > r.threshold, n.beyond),
        onemap.local_moment(day + time '05:00'), n.night_percent,
        jsonb_build_object('night_m3_h', n.night_m3_h, 'mean_m3_h', n.mean_m3_h, 'beyond', n.beyond))), 0)::int
    FROM onemap.water_night_flow(day) n
    JOIN onemap.alarm_rule r ON r.subsystem = 'water' AND r.key = 'night_flow_high' AND r.enabled
$$;
COMMENT ON FUNCTION onemap.water_night_judge(date) IS
    'Raises and clears night_flow_high by the night that ends on a day; a night that cannot be judged leaves it; returns the '
    'districts found';

CREATE OR REPLACE FUNCTION onemap.water_night_sweep() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE w record; hour timestamptz; day date; raised int := 0;
BEGIN
    w := onemap.sweep_claim('water_night', '1 hour', '15 minutes', '3 days');
    FOR hour IN SELECT g FROM generate_series(w.from_at, w.to_at - interval '1 hour', interval '1 hour') g LOOP
        day := onemap.local_time(hour)::date;
        IF onemap.local_time(hour)::time = time '04:00' THEN
            raised := raised + onemap.water_night_judge(day);
        END IF;
    END LOOP;
    RETURN raised;
END $$;
COMMENT ON FUNCTION onemap.water_night_sweep() IS
    'Judges each night once, when its last hour is over and rolled up; returns the districts found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('water_night_sweep', 'water') ON CONFLICT DO NOTHING;
