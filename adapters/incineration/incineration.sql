-- incineration: default alarm rules, five-minute furnace temperature, hourly and daily emissions. Run by `cityhub migrate`
-- every time. 管理规定 = 生活垃圾焚烧发电厂自动监测数据应用管理规定 (生态环境部令第10号, in force 2020-01-01);
-- 标记规则 = 生活垃圾焚烧发电厂自动监测数据标记规则 (公告2019年第50号). Both known by content; clauses only where sure.

-- Derived: judged by incineration_furnace_sweep slot by slot (five minutes), only while the line is running.
SELECT onemap.alarm_rule_default('incineration', 'furnace_temp_low', '{"kind": "derived", "name_zh": "炉膛温度5分钟均值低于850℃",
    "metric": "furnace_temp_middle_c", "device_kind": "furnace_line", "below": 850, "severity": "major",
    "source": "GB 18485-2014, table 1: 850 °C; 管理规定 第七条: five-minute mean in normal operation",
    "source_zh": "GB 18485-2014 表 1：850 °C；管理规定第七条：正常运行时的 5 分钟均值"}');
-- Limit = low five-minute means in one local day, from the next one on.
SELECT onemap.alarm_rule_default('incineration', 'furnace_temp_low_daily', '{"kind": "derived",
    "name_zh": "一日内炉膛温度低于850℃累计超过5次", "metric": "furnace_temp_middle_c", "device_kind": "furnace_line", "above": 5,
    "unit": "", "severity": "critical", "source": "管理规定 (2020): more than 5 times in a natural day; clause not verified",
    "source_zh": "管理规定（2020）：一个自然日内超过 5 次；条款号未核实"}');
-- Derived: judged by incineration_emission_sweep, hour by hour and day by day, in mg/m3 at 11 % O2.
SELECT onemap.alarm_rule_default('incineration', r.key || '_hourly', jsonb_build_object('kind', 'derived',
        'name_zh', r.name_zh || '小时均值超标', 'metric', r.metric, 'device_kind', 'furnace_line', 'above', r.hourly,
        'severity', 'major', 'source', 'GB 18485-2014, table 4: 1-hour mean ' || r.hourly || ' mg/m3 at 11 % O2',
        'source_zh', 'GB 18485-2014 表 4：1 小时均值 ' || r.hourly || ' mg/m³（11 % O2）')),
    onemap.alarm_rule_default('incineration', r.key || '_daily', jsonb_build_object('kind', 'derived',
        'name_zh', r.name_zh || '日均值超标', 'metric', r.metric, 'device_kind', 'furnace_line', 'above', r.daily,
        'severity', 'critical', 'source', 'GB 18485-2014, table 4: 24-hour mean ' || r.daily
            || ' mg/m3 at 11 % O2; 管理规定 第六条',
        'source_zh', 'GB 18485-2014 表 4：24 小时均值 ' || r.daily || ' mg/m³（11 % O2）；管理规定第六条'))
FROM (VALUES ('pm', '颗粒物', 'pm_mg_m3', 30, 20), ('nox', '氮氧化物', 'nox_mg_m3', 300, 250),
             ('so2', '二氧化硫', 'so2_mg_m3', 100, 80), ('hcl', '氯化氢', 'hcl_mg_m3', 60, 50),
             ('co', '一氧化碳', 'co_mg_m3', 100, 80)) AS r(key, name_zh, metric, hourly, daily);
SELECT onemap.alarm_rule_default('incineration', 'bag_filter_drop_high', '{"name_zh": "布袋除尘器压差高",
    "metric": "bag_filter_drop_kpa", "above": 2, "clear": 1.7, "duration_s": 600, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('incineration', 'bag_filter_drop_low', '{"name_zh": "布袋除尘器压差低（疑似破袋）",
    "metric": "bag_filter_drop_kpa", "below": 0.3, "clear": 0.5, "duration_s": 1800, "severity": "info", "source": "assumed"}');
SELECT onemap.alarm_rule_default('incineration', 'furnace_pressure_positive',
    '{"name_zh": "炉膛正压", "metric": "furnace_pressure_pa",
    "above": 100, "clear": 0, "duration_s": 120, "severity": "minor",
    "source": "assumed: a furnace is kept below atmospheric pressure",
    "source_zh": "假定：炉膛保持微负压"}');
SELECT onemap.alarm_rule_default('incineration', 'line_accident', '{"name_zh": "焚烧线事故", "metric": "line_state", "equals": 7,
    "severity": "critical", "source": "标记规则 (2019): 事故",
    "source_zh": "标记规则（2019）：事故"}');
SELECT onemap.alarm_rule_default('incineration', 'monitor_fault', '{"name_zh": "烟气监测设备故障", "metric": "monitor_state",
    "equals": 4, "duration_s": 3600, "severity": "minor", "source": "assumed: flag D of HJ 212-2017 for an hour",
    "source_zh": "假定：HJ 212-2017 的标记 D 持续一小时"}');
SELECT onemap.alarm_rule_default('incineration', 'bunker_high', '{"name_zh": "垃圾池料位高", "metric": "bunker_level_m",
    "above": 18, "clear": 16, "severity": "minor", "source": "assumed; set it to the bunker''s own height",
    "source_zh": "假定；请按本厂垃圾池的高度设定"}');
-- Derived: no activated carbon while the line is running; limit in kg/h.
SELECT onemap.alarm_rule_default('incineration', 'activated_carbon_low', '{"kind": "derived", "name_zh": "活性炭喷射量不足",
    "metric": "activated_carbon_kg_h", "device_kind": "furnace_line", "below": 2, "duration_s": 1800, "severity": "major",
    "source": "GB 18485-2014 asks for flue-gas cleaning in operation; 2 kg/h assumed, set it to the plant''s permit",
    "source_zh": "GB 18485-2014 要求烟气净化正常运行；2 kg/h 为假定，请按本厂的许可设定"}');
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('the line is not running', '焚烧炉已停运'),
    ('the day ended', '当日已过'),
    ('no valid daily mean', '没有有效的日均值')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.incineration_at_11_o2(measured float8, o2_percent float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN o2_percent >= 0 AND o2_percent < 20 THEN measured * (21 - 11) / (21 - o2_percent) END
$$;
COMMENT ON FUNCTION onemap.incineration_at_11_o2(float8, float8) IS
    'Concentration at 11 % O2 of one measured at another O2 (volume percent, dry): c x (21 - 11) / (21 - O2), GB 18485-2014; '
    'NULL if O2 is not known or 20 % and more, where there is no flue gas (assumed)';
GRANT EXECUTE ON FUNCTION onemap.incineration_at_11_o2(float8, float8) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.incineration_furnace_means(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, slot timestamptz, temp_c float8, samples int, running boolean, flagged int,
    beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT x.device_id, x.slot, onemap.figure(avg(x.temp)), count(x.temp)::int, bool_and(x.line_state = 0),
           sum(x.upper_flagged::int + x.middle_flagged::int)::int, bool_or(x.beyond)
    FROM (SELECT d.id AS device_id, date_bin(interval '5 minutes', o.observed_at, timestamptz '2000-01-01 00:00:00+00') AS slot,
                 coalesce(o.readings[p.line_state], 0) AS line_state,
                 CASE WHEN t.upper IS NULL THEN t.middle WHEN t.middle IS NULL THEN t.upper
                     ELSE (t.upper + t.middle) / 2 END AS temp, t.upper_flagged, t.middle_flagged,
                 t.upper_flagged AND t.upper IS NOT NULL OR t.middle_flagged AND t.middle IS NOT NULL AS beyond
          FROM onemap.device d
          JOIN onemap.metric u ON u.subsystem = 'incineration' AND u.key = 'furnace_temp_upper_c'
          JOIN onemap.metric m ON m.subsystem = 'incineration' AND m.key = 'furnace_temp_middle_c'
          CROSS JOIN (SELECT (SELECT onemap.metric_ordinal('incineration', 'line_state')) AS line_state) p
          CROSS JOIN LATERAL onemap.observation_of(d.id, from_at, to_at) o
          CROSS JOIN LATERAL (SELECT onemap.reading_bounded(o.readings, o.quality, u, 'below') AS upper,
                                     onemap.reading_bounded(o.readings, o.quality, m, 'below') AS middle,
                                     onemap.is_flagged(o.quality, u.ordinal) AS upper_flagged,
                                     onemap.is_flagged(o.quality, m.ordinal) AS middle_flagged) t
          WHERE d.subsystem = 'incineration' AND d.kind = 'furnace_line' AND d.status <> 'retired') x
    GROUP BY x.device_id, x.slot
$$;
COMMENT ON FUNCTION onemap.incineration_furnace_means(timestamptz, timestamptz) IS
    'Five-minute means of furnace temperature per line: each record''s mean of the upper and the middle plane (each the median '
    'of its thermocouples), the one alone if the other is missing (assumed). running: all records of the five minutes were '
    'marked 正常运行; temp_c NULL = no good reading. flagged: readings out of range; those below it (beyond) count as its end, '
    'those above it do not count';
GRANT EXECUTE ON FUNCTION onemap.incineration_furnace_means(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.incineration_furnace_daily(day date)
RETURNS TABLE (device_id int, slots int, low int, lowest_c float8, sixth_low_at timestamptz, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.device_id, count(*)::int, count(*) FILTER (WHERE m.temp_c < r.threshold)::int, min(m.temp_c),
           (array_agg(m.slot + interval '5 minutes' ORDER BY m.slot) FILTER (WHERE m.temp_c < r.threshold))[6],
           bool_or(m.beyond AND m.temp_c < r.threshold)
    FROM onemap.incineration_furnace_means(onemap.local_midnight(day), onemap.local_midnight(day + 1)) m
    JOIN onemap.alarm_rule r ON r.subsystem = 'incineration' AND r.key = 'furnace_temp_low'
    WHERE m.running AND m.temp_c IS NOT NULL GROUP BY m.device_id
$$;
COMMENT ON FUNCTION onemap.incineration_furnace_daily(date) IS
    'Of a local day per line: five-minute means in normal operation, those below the limit (850 °C), the lowest, and the end of '
    'the sixth low one';
GRANT EXECUTE ON FUNCTION onemap.incineration_furnace_daily(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.incineration_furnace_sweep() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE w record; raised int;
BEGIN
    w := onemap.sweep_claim('incineration_furnace', '5 minutes', '1 minute', '1 day');
    SELECT coalesce(sum(onemap.alarm_settle(m.device_id, 'furnace_temp_low', CASE WHEN NOT m.running THEN false
        ELSE m.temp_c < m.threshold END, m.slot + interval '5 minutes', m.temp_c,
        jsonb_build_object('from', m.slot, 'samples', m.samples, 'flagged', m.flagged, 'beyond', m.beyond),
        CASE WHEN NOT m.running THEN 'the line is not running' ELSE 'condition ended' END)), 0)::int INTO raised
    FROM (SELECT f.*, r.threshold FROM onemap.incineration_furnace_means(w.from_at, w.to_at) f
          JOIN onemap.alarm_rule r ON r.subsystem = 'incineration' AND r.key = 'furnace_temp_low' AND r.enabled
          ORDER BY f.slot, f.device_id) m;
    IF w.from_at < w.to_at THEN
        PERFORM onemap.alarm_clear(a.device_id, r.key, now(), 'the day ended')
        FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
        WHERE r.subsystem = 'incineration' AND r.key = 'furnace_temp_low_daily' AND a.closed_at IS NULL
            AND a.opened_at <= onemap.local_midnight(onemap.local_time(w.to_at)::date);
        PERFORM onemap.alarm_raise(d.device_id, r.key, coalesce(d.sixth_low_at, w.to_at), d.low,
            jsonb_build_object('beyond', d.beyond))
        FROM onemap.incineration_furnace_daily(onemap.local_time(w.to_at - interval '5 minutes')::date) d
        JOIN onemap.alarm_rule r ON r.subsystem = 'incineration' AND r.key = 'furnace_temp_low_daily' AND r.enabled
        WHERE d.low > r.threshold;
    END IF;
    RETURN raised;
END $$;
COMMENT ON FUNCTION onemap.incineration_furnace_sweep() IS
    'Judges the five-minute means that ended a minute ago or earlier, each once: raises furnace_temp_low below the limit, clears '
    'it at or above it and while the line is not running; raises furnace_temp_low_daily when a day has more than its limit; '
    'returns the low means';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('incineration_furnace_sweep', 'incineration') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.incineration_emission_hours(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, metric text, hour timestamptz, mean_mg_m3 float8, covered_min int, running_min int, valid boolean,
    flagged int, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH records AS MATERIALIZED (
        SELECT d.id AS device_id, o.observed_at, o.readings, o.quality,
               date_bin(interval '5 minutes', o.observed_at, timestamptz '2000-01-01 00:00:00+00') AS slot,
               coalesce(o.readings[p.line_state], 0) = 0 AS running, coalesce(o.readings[p.monitor_state], 0) AS state,
               CASE WHEN d.attributes->>'emissions_at_11_o2' = '1' THEN 11 ELSE onemap.reading_good(o.readings, o.quality,
                   p.o2) END AS o2
        FROM onemap.device d
        CROSS JOIN (SELECT (SELECT onemap.metric_ordinal('incineration', 'line_state')) AS line_state,
                           (SELECT onemap.metric_ordinal('incineration', 'monitor_state')) AS monitor_state,
                           (SELECT onemap.metric_ordinal('incineration', 'o2_percent')) AS o2) p
        CROSS JOIN LATERAL onemap.observation_of(d.id, from_at, to_at) o
        WHERE d.subsystem = 'incineration' AND d.kind = 'furnace_line' AND d.status <> 'retired'),
    converted AS (
        SELECT r.device_id, k.key AS metric, date_trunc('hour', r.observed_at, 'UTC') AS hour, r.slot, r.running,
               -- Of a monitor that says it is over range (6), what is beyond its limit is known at least.
               CASE WHEN r.running AND (r.state = 0 OR r.state = 6 AND onemap.is_flagged(r.quality, k.ordinal))
                    THEN onemap.incineration_at_11_o2(onemap.reading_bounded(r.readings, r.quality, k, 'above'), r.o2) END AS value,
               onemap.is_flagged(r.quality, k.ordinal) AS flagged
        FROM records r
        JOIN onemap.metric k ON k.subsystem = 'incineration' AND k.key LIKE '%\_mg\_m3' AND EXISTS (
            SELECT FROM onemap.alarm_rule a WHERE a.subsystem = k.subsystem AND a.metric = k.key AND a.key ~ '_(hourly|daily)$'))
    SELECT c.device_id, c.metric, c.hour, onemap.figure(avg(c.value)),
        5 * count(DISTINCT c.slot) FILTER (WHERE c.value IS NOT NULL)::int,
           5 * count(DISTINCT c.slot) FILTER (WHERE c.running)::int,
           count(DISTINCT c.slot) FILTER (WHERE c.value IS NOT NULL) >= 9, count(*) FILTER (WHERE c.flagged)::int,
           bool_or(c.flagged AND c.value IS NOT NULL)
    FROM converted c GROUP BY c.device_id, c.metric, c.hour
$$;
COMMENT ON FUNCTION onemap.incineration_emission_hours(timestamptz, timestamptz) IS
    'Hourly means of emissions per line at 11 % O2, record by record converted. Only records in normal operation and with a '
    'normal monitor count, and of one over range what is beyond it. valid: at least 45 minutes covered (HJ 75-2017), five '
    'minutes counting as covered by one good record (assumed). A line whose inventory attribute emissions_at_11_o2 is 1 sends '
    'values that are converted already: taken as they are. flagged: readings out of range; those above it (beyond) count as '
    'its end, those below it do not count';
GRANT EXECUTE ON FUNCTION onemap.incineration_emission_hours(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.incineration_emission_daily(day date)
RETURNS TABLE (device_id int, metric text, mean_mg_m3 float8, hours int, valid boolean, hours_above int, above_limit boolean,
    flagged int, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT h.device_id, h.metric, onemap.figure(avg(h.mean_mg_m3)), count(*)::int, count(*) >= 20,
           count(*) FILTER (WHERE h.mean_mg_m3 > hourly.threshold)::int,
           CASE WHEN count(*) >= 20 THEN onemap.figure(avg(h.mean_mg_m3)) > max(daily.threshold) END, sum(h.flagged)::int,
           bool_or(h.beyond)
    FROM onemap.incineration_emission_hours(onemap.local_midnight(day), onemap.local_midnight(day + 1)) h
    LEFT JOIN onemap.alarm_rule hourly ON hourly.subsystem = 'incineration' AND hourly.metric = h.metric AND hourly.key ~ '_hourly$'
    LEFT JOIN onemap.alarm_rule daily ON daily.subsystem = 'incineration' AND daily.metric = h.metric AND daily.key ~ '_daily$'
    WHERE h.valid GROUP BY h.device_id, h.metric
$$;
COMMENT ON FUNCTION onemap.incineration_emission_daily(date) IS
    'Daily means of emissions of a local day per line: means of its valid hourly means; valid with at least 20 of them (GB '
    '18485-2014, definition of the 24-hour mean); hours_above: hourly means above the hourly limit';
GRANT EXECUTE ON FUNCTION onemap.incineration_emission_daily(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.incineration_emission_judge_hour(hour timestamptz) RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(e.device_id, r.key, CASE
        WHEN e.valid THEN onemap.alarm_sure(coalesce(e.mean_mg_m3 > r.threshold, false), e.beyond)
        WHEN e.running_min = 0 THEN false END, $1 + interval '1 hour', e.mean_mg_m3,
        jsonb_build_object('hour', $1, 'covered_min', e.covered_min, 'flagged', e.flagged, 'beyond', e.beyond),
        CASE WHEN e.valid THEN 'condition ended' ELSE 'the line is not running' END)), 0)::int
    FROM onemap.incineration_emission_hours($1, $1 + interval '1 hour') e
    JOIN onemap.alarm_rule r ON r.subsystem = 'incineration' AND r.metric = e.metric AND r.key ~ '_hourly$' AND r.enabled
$$;
COMMENT ON FUNCTION onemap.incineration_emission_judge_hour(timestamptz) IS
    'Raises and clears the hourly emission alarms by one hour; an hour that is not valid leaves them, one in which the line did '
    'not run clears them; returns the means above their limit';

CREATE OR REPLACE FUNCTION onemap.incineration_emission_judge_day(day date) RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(d.id, r.key,
        onemap.alarm_sure(coalesce(x.above_limit, false), x.valid AND x.beyond), onemap.local_midnight(day + 1),
        x.mean_mg_m3, jsonb_build_object('day', $1, 'hours', x.hours, 'flagged', x.flagged, 'beyond', x.beyond),
        CASE WHEN x.valid THEN 'condition ended' ELSE 'no valid daily mean' END)), 0)::int
    FROM onemap.alarm_rule r
    JOIN onemap.device d ON d.subsystem = r.subsystem AND d.kind = r.device_kind AND d.status <> 'retired'
    LEFT JOIN onemap.incineration_emission_daily($1) x ON x.device_id = d.id AND x.metric = r.metric
    WHERE r.subsystem = 'incineration' AND r.metric LIKE '%\_mg\_m3' AND r.key ~ '_daily$' AND r.enabled
$$;
COMMENT ON FUNCTION onemap.incineration_emission_judge_day(date) IS
    'Raises and clears the daily emission alarms by one local day that is over; returns the means above their limit';

CREATE OR REPLACE FUNCTION onemap.incineration_emission_sweep() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE w record; hour timestamptz; day date; raised int := 0;
BEGIN
    w := onemap.sweep_claim('incineration_emission', '1 hour', '5 minutes', '3 days');
    FOR hour IN SELECT g FROM generate_series(w.from_at, w.to_at - interval '1 hour', interval '1 hour') g LOOP
        raised := raised + onemap.incineration_emission_judge_hour(hour);
        day := onemap.local_time(hour)::date;
        IF onemap.local_midnight(day + 1) > hour AND onemap.local_midnight(day + 1) <= hour + interval '1 hour' THEN
            raised := raised + onemap.incineration_emission_judge_day(day);
        END IF;
    END LOOP;
    RETURN raised;
END $$;
COMMENT ON FUNCTION onemap.incineration_emission_sweep() IS
    'Judges the hours and days that ended five minutes ago or earlier, each once; returns the emissions above their limits';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('incineration_emission_sweep', 'incineration') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.incineration_carbon_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(l.device_id, 'activated_carbon_low',
        CASE WHEN l.holds THEN nullif(l.judged, false) ELSE false END, l.last_at, l.highest,
        jsonb_build_object('beyond', l.beyond))), 0)::int
    FROM (
        SELECT d.id AS device_id, max(g.carbon) AS highest, max(o.observed_at) AS last_at,
               bool_or(onemap.is_flagged(o.quality, m.ordinal)) AS beyond,
               bool_and(g.carbon < r.threshold AND g.line_state = 0) AS holds,
               max(o.observed_at) - min(o.observed_at) >= make_interval(secs => 0.75 * r.duration_s) AS judged
        FROM onemap.alarm_rule r
        JOIN onemap.device d ON d.subsystem = r.subsystem AND d.kind = r.device_kind AND d.status <> 'retired'
        CROSS JOIN LATERAL onemap.observation_of(d.id, now() - make_interval(secs => r.duration_s),
            now() + interval '1 microsecond') o
        JOIN onemap.metric m ON m.subsystem = r.subsystem AND m.key = r.metric
        CROSS JOIN (SELECT (SELECT onemap.metric_ordinal('incineration', 'line_state')) AS line_state) i
        CROSS JOIN LATERAL (SELECT onemap.reading_judged(o.readings, o.quality, m, 'below') AS carbon,
                                   coalesce(o.readings[i.line_state], 0) AS line_state) g
        WHERE r.subsystem = 'incineration' AND r.key = 'activated_carbon_low' AND r.enabled AND g.carbon IS NOT NULL
            AND o.observed_at > now() - make_interval(secs => r.duration_s)
        GROUP BY d.id, r.id) l
$$;
COMMENT ON FUNCTION onemap.incineration_carbon_sweep() IS
    'Raises activated_carbon_low on lines that ran through the rule''s duration with less activated carbon than its limit, '
    'clears it otherwise; returns the lines found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('incineration_carbon_sweep', 'incineration') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.incineration_state_hours(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, line_state int, hours float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.device_id, s.line_state, sum(extract(epoch FROM s.held))::float8 / 3600
    FROM (SELECT d.id AS device_id, coalesce(o.readings[(SELECT onemap.metric_ordinal('incineration', 'line_state'))],
        0)::int AS line_state,
                 least(coalesce(lead(o.observed_at) OVER (PARTITION BY d.id ORDER BY o.observed_at), to_at),
                       o.observed_at + k.offline_after, to_at) - o.observed_at AS held
          FROM onemap.device d
          JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
          CROSS JOIN LATERAL onemap.observation_of(d.id, from_at, to_at) o
          WHERE d.subsystem = 'incineration' AND d.kind = 'furnace_line') s
    GROUP BY s.device_id, s.line_state
$$;
COMMENT ON FUNCTION onemap.incineration_state_hours(timestamptz, timestamptz) IS
    'Hours that each line was marked with each state (proto LineState): a record''s state holds until the next one, no longer '
    'than the kind''s offline_after. For the yearly allowances of the 管理规定 (启炉, 停炉, 故障, 事故: 60 h; 烘炉, 停炉降温: '
    '700 h; clause not verified)';
GRANT EXECUTE ON FUNCTION onemap.incineration_state_hours(timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.incineration_output(day date)
RETURNS TABLE (waste_in_t float8, waste_burned_t float8, energy_generated_kwh float8, energy_exported_kwh float8,
               energy_own_use_kwh float8, activated_carbon_kg float8, exported_kwh_per_t float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.waste_in, t.burned, t.generated, t.exported, t.own_use, t.carbon, t.exported / nullif(t.burned, 0)
    FROM (SELECT (SELECT sum(c.consumption) FROM onemap.counter_daily('incineration', 'waste_in_total_t', day) c) AS waste_in,
                 (SELECT sum(c.consumption) FROM onemap.counter_daily('incineration', 'waste_burned_total_t', day) c) AS burned,
                 (SELECT sum(c.consumption) FROM onemap.counter_daily('incineration', 'energy_generated_kwh', day) c) AS generated,
                 (SELECT sum(c.consumption) FROM onemap.counter_daily('incineration', 'energy_exported_kwh', day) c) AS exported,
                 (SELECT sum(c.consumption) FROM onemap.counter_daily('incineration', 'energy_own_use_kwh', day) c) AS own_use,
                 (SELECT sum(c.consumption) FROM onemap.counter_daily('incineration', 'activated_carbon_total_kg',
                     day) c) AS carbon) t
$$;
COMMENT ON FUNCTION onemap.incineration_output(date) IS
    'Waste received and burned, energy generated, exported and used by the plants on a local day, by their counters; kWh '
    'exported per tonne burned';
GRANT EXECUTE ON FUNCTION onemap.incineration_output(date) TO cityhub_hub, cityhub_api, cityhub_read;
