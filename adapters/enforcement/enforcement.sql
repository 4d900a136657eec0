-- enforcement: default alarm rules, officers on duty and what they did. Run by `cityhub migrate` every time.

SELECT onemap.alarm_rule_default('enforcement', 'sos', '{"name_zh": "一键求助", "metric": "sos", "equals": 1,
    "severity": "critical", "source": "assumed"}');
SELECT onemap.alarm_rule_default('enforcement', 'battery_low', '{"name_zh": "终端电量低", "metric": "battery_percent", "below": 15,
    "clear": 25, "severity": "info", "source": "assumed"}');
SELECT onemap.alarm_rule_default('enforcement', 'storage_low', '{"name_zh": "终端存储不足", "metric": "storage_free_percent",
    "below": 10, "clear": 20, "severity": "info", "source": "assumed"}');
-- Derived: judged by enforcement_duty_sweep and enforcement_idle_sweep.
SELECT onemap.alarm_rule_default('enforcement', 'absent_on_shift', '{"kind": "derived", "name_zh": "应在岗未在岗",
    "metric": "on_duty", "device_kind": "officer_terminal", "equals": 0, "duration_s": 900, "severity": "minor",
    "source": "assumed: off duty for 15 minutes within the person''s started or planned work",
    "source_zh": "假定：在已开始或计划的作业时间里离岗 15 分钟"}');
SELECT onemap.alarm_rule_default('enforcement', 'idle', '{"kind": "derived", "name_zh": "在岗停留超时",
    "device_kind": "officer_terminal", "below": 50, "unit": "m", "duration_s": 3600, "severity": "info",
    "source": "assumed: on duty for an hour without going further than 50 m from where one was",
    "source_zh": "假定：在岗一小时没有走出 50 米"}');
SELECT onemap.alarm_rule_default('enforcement', 'vehicle_speeding', '{"name_zh": "执法车超速", "metric": "speed_km_h",
    "device_kind": "vehicle", "above": 80, "clear": 75, "duration_s": 30, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('enforcement', 'drone_too_high', '{"name_zh": "无人机超高飞行", "metric": "altitude_m",
    "device_kind": "drone", "above": 120, "clear": 115, "severity": "major",
    "source": "无人驾驶航空器飞行管理暂行条例 (2024): 适飞空域 up to 120 m above ground",
    "source_zh": "无人驾驶航空器飞行管理暂行条例（2024）：适飞空域为真高 120 米以下"}');
SELECT onemap.alarm_rule_default('enforcement', 'camera_offline', '{"name_zh": "视频离线", "metric": "camera_online", "equals": 0,
    "duration_s": 600, "severity": "minor", "category_code": "10136", "source": "assumed"}');
SELECT onemap.alarm_rule_default('enforcement', 'camera_blocked', '{"name_zh": "视频遮挡", "metric": "camera_blocked", "equals": 1,
    "duration_s": 600, "severity": "minor", "category_code": "10136", "source": "assumed"}');
SELECT onemap.alarm_rule_default('enforcement', 'disk_low', '{"name_zh": "存储空间不足", "metric": "disk_free_percent", "below": 10,
    "clear": 15, "severity": "info", "source": "assumed"}');
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('the work is over', '已下班')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.enforcement_shift(terminal int, at timestamptz) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.id FROM onemap.work_order w JOIN onemap.person p ON p.id = w.person_id
    WHERE p.device_id = terminal AND w.subsystem = 'enforcement'
        AND (w.status = 'STARTED' AND coalesce(w.started_at, w.planned_start, w.observed_at) <= at
            AND coalesce(w.planned_end > at, true)
             OR w.status = 'PLANNED' AND w.planned_start <= at AND w.planned_end > at)
    ORDER BY w.id LIMIT 1
$$;
COMMENT ON FUNCTION onemap.enforcement_shift(int, timestamptz) IS
    'Id of the work (message kind work) that the person of a terminal is to be at: started and not past its planned end, or '
    'planned for this time; NULL = none';
GRANT EXECUTE ON FUNCTION onemap.enforcement_shift(int, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.enforcement_duty_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(t.device_id, 'absent_on_shift',
        CASE WHEN NOT t.off OR t.shift_now IS NULL THEN false
             WHEN t.shift IS NOT NULL AND t.last_at - t.first_at >= make_interval(secs => 0.75 * t.duration_s) THEN true END,
        t.last_at, 0, jsonb_build_object('work_order_id', t.shift_now),
        CASE WHEN t.off THEN 'the work is over' ELSE 'condition ended' END)), 0)::int
    FROM (
        SELECT x.*, onemap.enforcement_shift(x.device_id, x.first_at) AS shift,
               onemap.enforcement_shift(x.device_id, x.last_at) AS shift_now
        FROM (SELECT d.id AS device_id, r.duration_s, min(o.observed_at) AS first_at, max(o.observed_at) AS last_at,
                     max(g.on_duty) = 0 AS off
              FROM onemap.alarm_rule r
              JOIN onemap.device d ON d.subsystem = r.subsystem AND d.kind = r.device_kind AND d.status <> 'retired'
              CROSS JOIN LATERAL onemap.observation_of(d.id, now() - make_interval(secs => r.duration_s),
                  now() + interval '1 microsecond') o
              CROSS JOIN LATERAL (SELECT o.readings[(SELECT onemap.metric_ordinal('enforcement', 'on_duty'))] AS on_duty) g
              WHERE r.subsystem = 'enforcement' AND r.key = 'absent_on_shift' AND r.enabled AND g.on_duty IS NOT NULL
                  AND o.observed_at > now() - make_interval(secs => r.duration_s)
              GROUP BY d.id, r.id) x) t
$$;
COMMENT ON FUNCTION onemap.enforcement_duty_sweep() IS
    'Raises absent_on_shift on terminals that were off duty through the rule''s duration though their person was to be at work, '
    'clears it once on duty or the work is over; returns the terminals found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('enforcement_duty_sweep', 'enforcement') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.enforcement_idle_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(t.device_id, 'idle', CASE WHEN coalesce(t.holds, false) THEN nullif(t.judged, false)
        ELSE false END, t.last_at, t.metres)), 0)::int
    FROM (
        SELECT d.id AS device_id, p.last_at, p.metres, p.metres < r.threshold AND s.readings[o.on_duty] = 1 AS holds,
               p.last_at - p.first_at >= make_interval(secs => 0.75 * r.duration_s) AS judged
        FROM onemap.alarm_rule r
        JOIN onemap.device d ON d.subsystem = r.subsystem AND d.kind = r.device_kind AND d.status <> 'retired'
        JOIN onemap.device_state s ON s.device_id = d.id AND s.online
        CROSS JOIN (SELECT (SELECT onemap.metric_ordinal('enforcement', 'on_duty')) AS on_duty) o
        CROSS JOIN LATERAL (
            SELECT min(q.observed_at) AS first_at, max(q.observed_at) AS last_at,
                   max(public.ST_Distance(q.geom::public.geography, q.start::public.geography)) AS metres
            FROM (SELECT k.observed_at, k.geom, first_value(k.geom) OVER (ORDER BY k.observed_at) AS start
                  FROM onemap.track_point_of(d.id, now() - make_interval(secs => r.duration_s), now() + interval '1 microsecond') k
                  WHERE k.geom IS NOT NULL AND k.observed_at > now() - make_interval(secs => r.duration_s)) q) p
        WHERE r.subsystem = 'enforcement' AND r.key = 'idle' AND r.enabled AND p.last_at IS NOT NULL) t
$$;
COMMENT ON FUNCTION onemap.enforcement_idle_sweep() IS
    'Raises idle on terminals on duty whose track over the rule''s duration stays nearer to its first point than the limit in '
    'metres, clears it otherwise; returns the terminals found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('enforcement_idle_sweep', 'enforcement') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.enforcement_duty(day date)
RETURNS TABLE (device_id int, on_duty_h float8, recording_h float8, checks float8, warnings float8, orders float8, tickets float8,
    seizures float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH states AS (
        SELECT d.id AS device_id, o.readings[p.on_duty] AS on_duty, o.readings[p.recording_on] AS recording,
               extract(epoch FROM least(coalesce(lead(o.observed_at) OVER course, w.ends), o.observed_at + k.offline_after, w.ends)
                                  - o.observed_at)::float8 / 3600 AS held_h
        FROM (SELECT onemap.local_midnight(day) AS begins, least(onemap.local_midnight(day + 1), now()) AS ends) w
        CROSS JOIN (SELECT (SELECT onemap.metric_ordinal('enforcement', 'on_duty')) AS on_duty,
                           (SELECT onemap.metric_ordinal('enforcement', 'recording_on')) AS recording_on) p
        JOIN onemap.device d ON d.subsystem = 'enforcement' AND d.kind = 'officer_terminal'
        JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
        CROSS JOIN LATERAL onemap.observation_of(d.id, w.begins, w.ends) o
        WHERE o.readings[p.on_duty] IS NOT NULL
        WINDOW course AS (PARTITION BY d.id ORDER BY o.observed_at))
    SELECT s.device_id, coalesce(sum(s.held_h) FILTER (WHERE s.on_duty = 1), 0),
           coalesce(sum(s.held_h) FILTER (WHERE s.on_duty = 1 AND s.recording = 1), 0),
           onemap.counter_consumption(s.device_id, 'checks_total', onemap.local_midnight(day), onemap.local_midnight(day + 1)),
           onemap.counter_consumption(s.device_id, 'warnings_total', onemap.local_midnight(day), onemap.local_midnight(day + 1)),
           onemap.counter_consumption(s.device_id, 'orders_total', onemap.local_midnight(day), onemap.local_midnight(day + 1)),
           onemap.counter_consumption(s.device_id, 'tickets_total', onemap.local_midnight(day), onemap.local_midnight(day + 1)),
           onemap.counter_consumption(s.device_id, 'seizures_total', onemap.local_midnight(day), onemap.local_midnight(day + 1))
    FROM states s GROUP BY s.device_id
$$;
COMMENT ON FUNCTION onemap.enforcement_duty(date) IS
    'Of a local day per officer''s terminal: hours on duty, of these with the camera recording (a record''s state holds until '
    'the next one, no longer than the kind''s offline_after), and what was done by its counters';
GRANT EXECUTE ON FUNCTION onemap.enforcement_duty(date) TO cityhub_hub, cityhub_api, cityhub_read;
