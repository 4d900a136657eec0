-- heating: default alarm rules, warm rooms, make-up water, heat and energy used. Run by `cityhub migrate` every time.
-- Standards are known by content; where no clause is given, the clause was not verified.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('heating_from', '11-15', '供暖期首日（月-日），河南省惯例；按县政府公告修改'),
    ('heating_to', '03-15', '供暖期末日（月-日），河南省惯例；按县政府公告修改')
ON CONFLICT DO NOTHING;
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('the heating season is over', '供暖期已结束')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.heating_season(day date) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN s.begins <= s.ends THEN s.today BETWEEN s.begins AND s.ends ELSE s.today >= s.begins OR s.today <= s.ends END
    FROM (SELECT onemap.setting('heating_from') COLLATE "C" AS begins, onemap.setting('heating_to') COLLATE "C" AS ends,
                 to_char(day, 'MM-DD') COLLATE "C" AS today) s
$$;
COMMENT ON FUNCTION onemap.heating_season(date) IS
    'Whether a day is in the heating season, both ends included: settings heating_from and heating_to (month-day), over the turn '
    'of the year';
GRANT EXECUTE ON FUNCTION onemap.heating_season(date) TO cityhub_hub, cityhub_api, cityhub_read;

-- Derived: judged by heating_room_sweep in the heating season; the mean over duration_s.
SELECT onemap.alarm_rule_default('heating', 'room_cold', '{"kind": "derived", "name_zh": "室温低于18℃", "metric": "indoor_temp_c",
    "device_kind": "room_sensor", "below": 18, "duration_s": 7200, "severity": "minor",
    "source": "GB 50736-2012, 3.0.1: 18 to 24 °C in cold zones; mean of two hours assumed",
    "source_zh": "GB 50736-2012 第 3.0.1 条：寒冷地区 18 至 24 °C；取两小时均值为假定"}');
SELECT onemap.alarm_rule_default('heating', 'supply_pressure_low', '{"name_zh": "供水压力低（疑似失水）",
    "metric": "supply_pressure_kpa",
    "device_kind": "substation", "below": 250, "clear": 300, "duration_s": 120, "severity": "major", "category_code": "20405",
    "source": "assumed; set it to the station''s static pressure",
    "source_zh": "假定；请按本站的静压设定"}');
SELECT onemap.alarm_rule_default('heating', 'supply_pressure_high', '{"name_zh": "供水压力高", "metric": "supply_pressure_kpa",
    "device_kind": "substation", "above": 800, "clear": 700, "duration_s": 60, "severity": "major",
    "source": "assumed: usual radiators bear 0.8 MPa",
    "source_zh": "假定：常用散热器承压 0.8 MPa"}');
SELECT onemap.alarm_rule_default('heating', 'return_pressure_low', '{"name_zh": "回水压力低（倒空风险）",
    "metric": "return_pressure_kpa",
    "device_kind": "substation", "below": 150, "clear": 180, "duration_s": 120, "severity": "major",
    "source": "assumed; no part of the network may run empty of water (CJJ 34-2010)",
    "source_zh": "假定；管网任何一点不得倒空（CJJ 34-2010）"}');
SELECT onemap.alarm_rule_default('heating', 'primary_pressure_high', '{"name_zh": "一次网供水压力高",
    "metric": "primary_supply_pressure_kpa",
    "above": 1600, "clear": 1500, "duration_s": 60, "severity": "critical",
    "source": "assumed: pipes of nominal pressure 1.6 MPa",
    "source_zh": "假定：管道公称压力 1.6 MPa"}');
SELECT onemap.alarm_rule_default('heating', 'supply_temp_high', '{"name_zh": "二次供水温度高", "metric": "supply_temp_c",
    "device_kind": "substation", "above": 85, "clear": 80, "duration_s": 300, "severity": "major",
    "source": "GB 50736-2012, 5.3.1: supply of radiators not above 85 °C",
    "source_zh": "GB 50736-2012 第 5.3.1 条：散热器供水温度不高于 85 °C"}');
-- Derived: judged by heating_makeup_sweep; limit in percent of the circulating water, mean over duration_s.
SELECT onemap.alarm_rule_default('heating', 'makeup_rate_high', '{"kind": "derived", "name_zh": "补水率高（管网失水）",
    "metric": "makeup_flow_m3_h", "device_kind": "substation", "above": 1, "unit": "%", "duration_s": 3600, "severity": "major",
    "category_code": "20405", "source": "assumed: 1 % of the circulating water, the usual bound for secondary networks",
    "source_zh": "假定：循环水量的 1 %，二次网常用的限度"}');
SELECT onemap.alarm_rule_default('heating', 'makeup_tank_low', '{"name_zh": "补水箱水位低", "metric": "makeup_tank_level_m",
    "below": 0.5, "clear": 0.8, "duration_s": 300, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('heating', 'pump_fault', '{"name_zh": "循环泵故障", "metric": "pump_fault", "equals": 1,
    "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('heating', 'station_flooded', '{"name_zh": "换热站水浸", "metric": "flooded", "equals": 1,
    "severity": "critical", "source": "assumed"}');
SELECT onemap.alarm_rule_default('heating', 'power_lost', '{"name_zh": "市电中断", "metric": "power_lost", "equals": 1,
    "duration_s": 60, "severity": "critical", "source": "assumed"}');
SELECT onemap.alarm_rule_default('heating', 'battery_low', '{"name_zh": "电池电量低", "metric": "battery_percent", "below": 15,
    "clear": 25, "severity": "info", "source": "assumed"}');

CREATE OR REPLACE FUNCTION onemap.heating_room_means(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, mean_c float8, lowest_c float8, readings int, first_at timestamptz, last_at timestamptz,
    flagged int, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, onemap.figure(avg(g.temp)), min(g.temp), count(g.temp)::int, min(o.observed_at) FILTER (WHERE g.temp IS NOT NULL),
           max(o.observed_at) FILTER (WHERE g.temp IS NOT NULL), count(*) FILTER (WHERE g.flagged)::int,
           bool_or(g.flagged AND g.temp IS NOT NULL)
    FROM onemap.device d
    JOIN onemap.metric m ON m.subsystem = 'heating' AND m.key = 'indoor_temp_c'
    CROSS JOIN LATERAL onemap.observation_of(d.id, from_at, to_at + interval '1 microsecond') o
    CROSS JOIN LATERAL (SELECT onemap.reading_bounded(o.readings, o.quality, m, 'below') AS temp,
                               onemap.is_flagged(o.quality, m.ordinal) AS flagged) g
    WHERE d.subsystem = 'heating' AND d.kind = 'room_sensor' AND d.status <> 'retired' AND (g.temp IS NOT NULL OR g.flagged)
        AND o.observed_at > from_at
    GROUP BY d.id HAVING count(g.temp) > 0
$$;
COMMENT ON FUNCTION onemap.heating_room_means(timestamptz, timestamptz) IS
    'Mean and lowest temperature per room sensor after from_at up to to_at. Readings below the instrument''s range (beyond) count '
    'as its end, those above it do not count; flagged: both';
GRANT EXECUTE ON FUNCTION onemap.heating_room_means(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.heating_room_sweep() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE raised int := 0;
BEGIN
    IF onemap.heating_season(onemap.local_time(now())::date) THEN
        -- Room sensors send every half hour or hour: two readings are enough.
        SELECT coalesce(sum(onemap.alarm_settle(m.device_id, 'room_cold', CASE WHEN m.mean_c >= r.threshold THEN false
            WHEN m.last_at - m.first_at >= make_interval(secs => 0.5 * r.duration_s) THEN true END, m.last_at, m.mean_c,
            jsonb_build_object('readings', m.readings, 'lowest_c', m.lowest_c, 'flagged', m.flagged, 'beyond', m.beyond))), 0)::int
        INTO raised
        FROM onemap.alarm_rule r
        CROSS JOIN LATERAL onemap.heating_room_means(now() - make_interval(secs => r.duration_s), now()) m
        WHERE r.subsystem = 'heating' AND r.key = 'room_cold' AND r.enabled;
    ELSE
        PERFORM onemap.alarm_clear(a.device_id, r.key, now(), 'the heating season is over')
        FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
        WHERE r.subsystem = 'heating' AND r.key = 'room_cold' AND a.closed_at IS NULL;
    END IF;
    RETURN raised;
END $$;
COMMENT ON FUNCTION onemap.heating_room_sweep() IS
    'Raises room_cold in the heating season where the mean over the rule''s duration is below its limit and the readings span at '
    'least half of it, clears it otherwise; returns the rooms found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('heating_room_sweep', 'heating') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.heating_rooms_daily(day date)
RETURNS TABLE (device_id int, hours int, mean_c float8, warm_hours int, warm_percent float8, flagged int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, count(*)::int, avg(m.temp), count(*) FILTER (WHERE m.temp >= r.threshold)::int,
           100.0 * count(*) FILTER (WHERE m.temp >= r.threshold) / count(*), sum(m.flagged)::int
    FROM onemap.device d
    JOIN onemap.alarm_rule r ON r.subsystem = 'heating' AND r.key = 'room_cold'
    JOIN onemap.observation_hourly h ON h.device_id = d.id AND h.hour >= onemap.local_midnight(day)
        AND h.hour < onemap.local_midnight(day + 1)
    CROSS JOIN LATERAL (SELECT onemap.figure(h.sums[(SELECT onemap.metric_ordinal('heating', 'indoor_temp_c'))]
                               / nullif(h.counts[(SELECT onemap.metric_ordinal('heating', 'indoor_temp_c'))], 0)) AS temp,
        onemap.hourly_flagged(h, (SELECT onemap.metric_ordinal('heating', 'indoor_temp_c'))) AS flagged) m
    WHERE d.subsystem = 'heating' AND d.kind = 'room_sensor' AND d.status <> 'retired' AND m.temp IS NOT NULL
    GROUP BY d.id
$$;
COMMENT ON FUNCTION onemap.heating_rooms_daily(date) IS
    'Warm rooms on a local day per room sensor: hours with readings, those whose mean reaches the limit (18 °C) and their '
    'percentage (室温合格率); flagged: readings of these hours out of range, which are not in their means';
GRANT EXECUTE ON FUNCTION onemap.heating_rooms_daily(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.heating_makeup(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, makeup_m3_h float8, circulating_m3_h float8, rate_percent float8, readings int,
               first_at timestamptz, last_at timestamptz, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, onemap.figure(avg(g.makeup)), onemap.figure(avg(g.flow)),
           onemap.figure(100 * avg(g.makeup) / nullif(avg(g.flow), 0)), count(*)::int,
           min(o.observed_at), max(o.observed_at), bool_or(onemap.is_flagged(o.quality, m.ordinal))
    FROM onemap.device d
    JOIN onemap.metric m ON m.subsystem = 'heating' AND m.key = 'makeup_flow_m3_h'
    CROSS JOIN LATERAL onemap.observation_of(d.id, from_at, to_at + interval '1 microsecond') o
    CROSS JOIN LATERAL (SELECT onemap.reading_bounded(o.readings, o.quality, m, 'above') AS makeup,
                               onemap.reading_good(o.readings, o.quality,
                                   (SELECT onemap.metric_ordinal('heating', 'flow_m3_h'))) AS flow) g
    WHERE d.subsystem = 'heating' AND d.status <> 'retired' AND g.makeup IS NOT NULL AND g.flow IS NOT NULL
        AND o.observed_at > from_at
    GROUP BY d.id
$$;
COMMENT ON FUNCTION onemap.heating_makeup(timestamptz, timestamptz) IS
    'Make-up water (补水率) per source and substation after from_at up to to_at: mean make-up flow as a percentage of mean '
    'circulating flow, of records with both; NULL while nothing circulates. Make-up flow above the instrument''s range (beyond) '
    'counts as its end';
GRANT EXECUTE ON FUNCTION onemap.heating_makeup(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.heating_makeup_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(m.device_id, 'makeup_rate_high',
        CASE WHEN m.rate_percent IS NULL OR m.rate_percent <= r.threshold THEN onemap.alarm_sure(false, m.beyond)
             WHEN m.last_at - m.first_at >= make_interval(secs => 0.75 * r.duration_s) THEN true END, m.last_at, m.rate_percent,
        jsonb_build_object('makeup_m3_h', m.makeup_m3_h, 'circulating_m3_h', m.circulating_m3_h, 'beyond', m.beyond))), 0)::int
    FROM onemap.alarm_rule r
    CROSS JOIN LATERAL onemap.heating_makeup(now() - make_interval(secs => r.duration_s), now()) m
    JOIN onemap.device d ON d.id = m.device_id AND d.kind = r.device_kind
    WHERE r.subsystem = 'heating' AND r.key = 'makeup_rate_high' AND r.enabled
$$;
COMMENT ON FUNCTION onemap.heating_makeup_sweep() IS
    'Raises makeup_rate_high on substations whose make-up rate over the rule''s duration is above its limit (records spanning '
    'three quarters of it), clears it otherwise; returns the substations found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('heating_makeup_sweep', 'heating') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.heating_consumption(day date)
RETURNS TABLE (device_id int, device_kind text, heat_gj float8, makeup_m3 float8, energy_kwh float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, d.kind, heat.consumption, makeup.consumption, energy.consumption
    FROM onemap.device d
    LEFT JOIN onemap.counter_daily('heating', 'heat_total_gj', day) heat ON heat.device_id = d.id
    LEFT JOIN onemap.counter_daily('heating', 'makeup_total_m3', day) makeup ON makeup.device_id = d.id
    LEFT JOIN onemap.counter_daily('heating', 'energy_kwh', day) energy ON energy.device_id = d.id
    WHERE d.subsystem = 'heating' AND (heat.device_id IS NOT NULL OR makeup.device_id IS NOT NULL OR energy.device_id IS NOT NULL)
$$;
COMMENT ON FUNCTION onemap.heating_consumption(date) IS
    'Heat, make-up water and electricity of a local day per source, substation, entrance and household, by their counters '
    '(counter_daily)';
GRANT EXECUTE ON FUNCTION onemap.heating_consumption(date) TO cityhub_hub, cityhub_api, cityhub_read;
