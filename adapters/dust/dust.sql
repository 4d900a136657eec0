-- dust: default alarm rules, noise as the standard measures it (equivalent level), hourly and daily means.
-- Run by `cityhub migrate` every time.

-- Noise of building sites. GB 12523-2011, table 1: 70 dB(A) by day (06:00 to 22:00), 55 by night, as equivalent level of 20
-- minutes; note 1: a peak at night may exceed the limit by no more than 15 dB(A). GB 12523-2025 has replaced it since
-- 2026-01-01; its preface names changes of terms, measuring and judging, none of the limits.
-- Derived: judged by dust_noise_sweep over duration_s; the window is the period of day for which the limit stands.
SELECT onemap.alarm_rule_default('dust', 'noise_day', '{"kind": "derived", "name_zh": "昼间施工噪声超标", "metric": "noise_dba",
    "device_kind": "site_monitor", "above": 70, "duration_s": 1200, "from": "06:00", "to": "22:00", "severity": "minor",
    "category_code": "20301", "source": "GB 12523 (2011: table 1; 2025 in force): 昼间 70 dB(A), Leq",
    "source_zh": "GB 12523（2011 版表 1；现行 2025 版）：昼间 70 dB(A)，等效声级"}');
SELECT onemap.alarm_rule_default('dust', 'noise_night', '{"kind": "derived", "name_zh": "夜间施工噪声超标", "metric": "noise_dba",
    "device_kind": "site_monitor", "above": 55, "duration_s": 1200, "from": "22:00", "to": "06:00", "severity": "major",
    "category_code": "20301", "source": "GB 12523 (2011: table 1; 2025 in force): 夜间 55 dB(A), Leq",
    "source_zh": "GB 12523（2011 版表 1；现行 2025 版）：夜间 55 dB(A)，等效声级"}');
SELECT onemap.alarm_rule_default('dust', 'noise_night_peak', '{"name_zh": "夜间施工噪声最大声级超标", "metric": "noise_dba",
    "device_kind": "site_monitor", "above": 70, "clear": 65, "from": "22:00", "to": "06:00", "severity": "major",
    "source": "GB 12523-2011, table 1, note 1: 夜间最大声级超过限值的幅度不得高于 15 dB(A)",
    "source_zh": "GB 12523-2011 表 1 注 1：夜间最大声级超过限值的幅度不得高于 15 dB(A)"}');
-- Derived: judged by dust_pm10_sweep, hour by hour; the excess of the site over the background.
SELECT onemap.alarm_rule_default('dust', 'pm10_hourly', '{"kind": "derived", "name_zh": "工地PM10小时均值超标",
    "metric": "pm10_ug_m3", "device_kind": "site_monitor", "above": 80, "severity": "major", "category_code": "20302",
    "source": "DB13/2934-2019 (Hebei): hourly mean less the county''s, the latter capped at 150; Henan''s own limit not found: '
        'assumed",
    "source_zh": "DB13/2934-2019（河北）：小时均值减县（区）均值，后者最多按 150 计；未查到河南省的限值，为假定"}');
SELECT onemap.alarm_rule_default('dust', 'tsp_high', '{"name_zh": "工地TSP超标", "metric": "tsp_ug_m3",
    "device_kind": "site_monitor", "above": 800, "clear": 600, "duration_s": 300, "severity": "major", "category_code": "20302",
    "source": "DB21/2642-2016 (Liaoning): 0.8 mg/m3 over 5 minutes in built-up areas; Henan''s own limit not found: assumed",
    "source_zh": "DB21/2642-2016（辽宁）：建成区 5 分钟 0.8 mg/m³；未查到河南省的限值，为假定"}');
SELECT onemap.alarm_rule_default('dust', 'pm25_high', '{"name_zh": "PM2.5偏高", "metric": "pm25_ug_m3", "above": 150, "clear": 115,
    "duration_s": 3600, "severity": "info", "source": "assumed"}');
SELECT onemap.alarm_rule_default('dust', 'wind_strong', '{"name_zh": "大风（停止土方作业）", "metric": "wind_speed_m_s",
    "above": 10.8, "clear": 8, "duration_s": 600, "severity": "info", "source": "assumed: force 6, which begins at 10.8 m/s",
    "source_zh": "假定：六级风，自 10.8 m/s 起"}');
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('the period of day ended', '昼夜时段已过')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.dust_leq(levels float8[]) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 10 * log(avg(power(10::float8, l / 10))) FROM unnest(levels) l WHERE l IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.dust_leq(float8[]) IS
    'Equivalent continuous level in dB(A) of samples taken at equal intervals: 10 lg of the mean of 10^(L/10), the mean energy';
GRANT EXECUTE ON FUNCTION onemap.dust_leq(float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.dust_noise(device int, from_at timestamptz, to_at timestamptz,
    OUT leq_dba float8, OUT max_dba float8, OUT samples int, OUT first_at timestamptz, OUT last_at timestamptz,
    OUT flagged int, OUT beyond int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.figure(onemap.dust_leq(array_agg(s.level))), max(s.level), count(s.level)::int,
           min(s.observed_at) FILTER (WHERE s.level IS NOT NULL),
           max(s.observed_at) FILTER (WHERE s.level IS NOT NULL), count(*) FILTER (WHERE s.flagged)::int,
           count(*) FILTER (WHERE s.flagged AND s.level IS NOT NULL)::int
    FROM (SELECT o.observed_at, onemap.reading_bounded(o.readings, o.quality, m, 'above') AS level,
                 onemap.is_flagged(o.quality, m.ordinal) AS flagged
          FROM onemap.observation_of(device, from_at, to_at) o
          JOIN onemap.metric m ON m.subsystem = 'dust' AND m.key = 'noise_dba') s
$$;
COMMENT ON FUNCTION onemap.dust_noise(int, timestamptz, timestamptz) IS
    'Equivalent and largest level of one monitor from from_at to before to_at. Readings above the instrument''s range (beyond) '
    'count as its end, those below it do not count; flagged: both';
GRANT EXECUTE ON FUNCTION onemap.dust_noise(int, timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.dust_noise_period(at timestamptz, window_from time, window_to time) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN window_from < window_to AND l.clock >= window_from AND l.clock < window_to
            OR window_from > window_to AND l.clock >= window_from
            THEN onemap.local_moment(l.day + window_from)
        WHEN window_from > window_to AND l.clock < window_to THEN onemap.local_moment(l.day - 1 + window_from) END
    FROM (SELECT t.shown::date AS day, t.shown::time AS clock FROM (SELECT onemap.local_time(at) AS shown) t) l
$$;
COMMENT ON FUNCTION onemap.dust_noise_period(timestamptz, time, time) IS
    'Start of the local period of day that is running at a moment, NULL if the moment is outside of it; a period may go over '
    'midnight';
GRANT EXECUTE ON FUNCTION onemap.dust_noise_period(timestamptz, time, time) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.dust_noise_judge(at timestamptz)
RETURNS TABLE (device_id int, rule_key text, leq_dba float8, limit_dba float8, samples int, from_at timestamptz,
    last_at timestamptz, flagged int, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, r.key, round(n.leq_dba::numeric, 1)::float8, r.threshold, n.samples, n.first_at, n.last_at, n.flagged,
           n.beyond > 0
    FROM onemap.alarm_rule r
    CROSS JOIN LATERAL (SELECT greatest(onemap.dust_noise_period(at, r.window_from, r.window_to),
                                        at - make_interval(secs => r.duration_s)) AS from_at,
                               onemap.dust_noise_period(at, r.window_from, r.window_to) IS NOT NULL AS running) w
    JOIN onemap.device d ON d.subsystem = 'dust' AND d.status <> 'retired' AND d.kind = r.device_kind
    JOIN onemap.device_state s ON s.device_id = d.id AND s.last_seen_at >= at - make_interval(secs => 2 * r.duration_s)
    CROSS JOIN LATERAL onemap.dust_noise(d.id, w.from_at, at) n
    WHERE r.subsystem = 'dust' AND r.kind = 'derived' AND r.metric = 'noise_dba' AND r.enabled AND w.running
        AND n.last_at - n.first_at >= make_interval(secs => 0.75 * r.duration_s)
$$;
COMMENT ON FUNCTION onemap.dust_noise_judge(timestamptz) IS
    'Equivalent level of each site monitor over the duration (20 minutes) before a moment, within the period of day of its '
    'limit; rounded to 0.1 dB, the resolution of the instruments; a monitor whose samples span less than three quarters of it is '
    'not judged';
GRANT EXECUTE ON FUNCTION onemap.dust_noise_judge(timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.dust_noise_sweep() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE raised int;
BEGIN
    SELECT coalesce(sum(onemap.alarm_settle(j.device_id, j.rule_key,
        onemap.alarm_sure(coalesce(j.leq_dba > j.limit_dba, false), j.beyond), j.last_at, j.leq_dba,
        jsonb_build_object('from', j.from_at, 'to', j.last_at, 'samples', j.samples, 'limit_dba', j.limit_dba,
                           'flagged', j.flagged, 'beyond', j.beyond))), 0)::int
    INTO raised FROM onemap.dust_noise_judge(now()) j;
    PERFORM onemap.alarm_clear(a.device_id, r.key, now(), 'the period of day ended')
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
    WHERE r.subsystem = 'dust' AND r.kind = 'derived' AND r.metric = 'noise_dba' AND a.closed_at IS NULL
        AND onemap.dust_noise_period(now(), r.window_from, r.window_to) IS NULL;
    RETURN raised;
END $$;
COMMENT ON FUNCTION onemap.dust_noise_sweep() IS
    'Raises and clears the noise alarms of sites by dust_noise_judge(); returns the sites above their limit';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('dust_noise_sweep', 'dust') ON CONFLICT DO NOTHING;

CREATE OR REPLACE VIEW onemap.dust_hourly AS
SELECT h.device_id, d.code AS device_code, d.kind AS device_kind, h.hour,
       h.sums[p.pm25] / nullif(h.counts[p.pm25], 0) AS pm25_ug_m3, h.counts[p.pm25] AS pm25_samples,
       h.sums[p.pm10] / nullif(h.counts[p.pm10], 0) AS pm10_ug_m3, h.counts[p.pm10] AS pm10_samples,
       h.sums[p.tsp] / nullif(h.counts[p.tsp], 0) AS tsp_ug_m3, h.counts[p.tsp] AS tsp_samples,
       onemap.hourly_flagged(h, p.pm25) AS pm25_flagged, onemap.hourly_flagged(h, p.pm10) AS pm10_flagged,
       onemap.hourly_flagged(h, p.tsp) AS tsp_flagged
FROM onemap.observation_hourly h
JOIN onemap.device d ON d.id = h.device_id AND d.subsystem = 'dust'
CROSS JOIN (SELECT (SELECT onemap.metric_ordinal('dust', 'pm25_ug_m3')) AS pm25,
    (SELECT onemap.metric_ordinal('dust', 'pm10_ug_m3')) AS pm10,
                   (SELECT onemap.metric_ordinal('dust', 'tsp_ug_m3')) AS tsp) p;
COMMENT ON VIEW onemap.dust_hourly IS
    'Hourly means of PM2.5, PM10 and TSP per monitor with the number of good readings behind each, and of those that were out of '
    'range and are not in it';
GRANT SELECT ON onemap.dust_hourly TO cityhub_hub, cityhub_read;

-- GB 3095: second-class 24-hour limits of PM2.5 in ug/m3: 75 (2012), 60 from 2026-03-01, 50 from 2031-01-01 (2026, two stages).
CREATE OR REPLACE FUNCTION onemap.dust_pm25_daily_limit(day date) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN day >= date '2031-01-01' THEN 50.0 WHEN day >= date '2026-03-01' THEN 60.0 ELSE 75.0 END
$$;
COMMENT ON FUNCTION onemap.dust_pm25_daily_limit(date) IS
    'Second-class 24-hour limit of PM2.5 in ug/m3 on a day: GB 3095-2012, from 2026-03-01 GB 3095-2026';
GRANT EXECUTE ON FUNCTION onemap.dust_pm25_daily_limit(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.dust_daily(day date)
RETURNS TABLE (device_id int, hours int, pm25_ug_m3 float8, pm10_ug_m3 float8, tsp_ug_m3 float8, valid boolean,
    pm25_above_limit boolean, flagged int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT h.device_id, count(*)::int, avg(h.pm25_ug_m3), avg(h.pm10_ug_m3), avg(h.tsp_ug_m3), count(h.pm25_ug_m3) >= 20,
           CASE WHEN count(h.pm25_ug_m3) >= 20 THEN onemap.figure(avg(h.pm25_ug_m3)) > onemap.dust_pm25_daily_limit(day) END,
           sum(h.pm25_flagged + h.pm10_flagged + h.tsp_flagged)::int
    FROM onemap.dust_hourly h
    WHERE h.hour >= onemap.local_midnight(day)
        AND h.hour < onemap.local_midnight(day + 1)
    GROUP BY h.device_id
$$;
COMMENT ON FUNCTION onemap.dust_daily(date) IS
    'Daily means of a local day as means of its hourly means; valid with at least 20 of them (GB 3095-2012, table 4); '
    'flagged: readings out of range, which are in none of them';
GRANT EXECUTE ON FUNCTION onemap.dust_daily(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.dust_pm10_excess(hour timestamptz)
RETURNS TABLE (device_id int, pm10_ug_m3 float8, background_ug_m3 float8, excess_ug_m3 float8, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, h.judged, b.level, onemap.figure(h.judged - b.level), h.beyond
    FROM onemap.device d
    CROSS JOIN LATERAL (SELECT onemap.hourly_judged(x, m, 'above') AS judged, coalesce(x.flagged_above[m.ordinal], 0) > 0 AS beyond
                        FROM onemap.observation_hourly x JOIN onemap.metric m ON m.subsystem = 'dust' AND m.key = 'pm10_ug_m3'
                        WHERE x.device_id = d.id AND x.hour = $1) h
    -- Without a background nothing more than the cap may be taken off.
    CROSS JOIN (SELECT least(coalesce(avg(g.pm10_ug_m3), 150), 150) AS level FROM onemap.dust_hourly g
                WHERE g.hour = $1 AND g.device_kind = 'road_monitor') b
    WHERE d.subsystem = 'dust' AND d.kind = 'site_monitor' AND h.judged IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.dust_pm10_excess(timestamptz) IS
    'Hourly PM10 of each site less the background of the same hour, capped at 150 ug/m3 (DB13/2934-2019). Background: the mean '
    'of the road monitors, which stand for the county''s station (assumed). Readings of a site beyond the instrument count as its '
    'range''s end; the background has only good ones';
GRANT EXECUTE ON FUNCTION onemap.dust_pm10_excess(timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.dust_pm10_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(e.device_id, 'pm10_hourly',
        onemap.alarm_sure(coalesce(e.excess_ug_m3 > r.threshold, false), e.beyond), h.judged + interval '1 hour', e.excess_ug_m3,
        jsonb_build_object('hour', h.judged, 'pm10_ug_m3', e.pm10_ug_m3, 'background_ug_m3', e.background_ug_m3,
                           'beyond', e.beyond))), 0)::int
    -- The last hour that is over and, five minutes later, rolled up.
    FROM (SELECT date_trunc('hour', now() - interval '5 minutes') - interval '1 hour' AS judged) h
    CROSS JOIN LATERAL onemap.dust_pm10_excess(h.judged) e
    JOIN onemap.alarm_rule r ON r.subsystem = 'dust' AND r.key = 'pm10_hourly' AND r.enabled
$$;
COMMENT ON FUNCTION onemap.dust_pm10_sweep() IS
    'Raises and clears pm10_hourly by the last full hour; returns the sites above the limit';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('dust_pm10_sweep', 'dust') ON CONFLICT DO NOTHING;
