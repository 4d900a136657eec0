-- streetlight: default alarm rules and the lamp lighting rate (亮灯率). Run by `cityhub migrate` every time.

SELECT onemap.alarm_rule_default('streetlight', 'lamp_out', '{"name_zh": "灯具不亮", "metric": "fault_code", "equals": 1,
    "duration_s": 600, "severity": "minor", "category_code": "10118", "source": "assumed"}');
SELECT onemap.alarm_rule_default('streetlight', 'lamp_stuck_on', '{"name_zh": "异常亮灯", "metric": "fault_code", "equals": 2,
    "duration_s": 1800, "severity": "info", "source": "assumed"}');
SELECT onemap.alarm_rule_default('streetlight', 'equipment_fault', '{"name_zh": "路灯设备故障", "metric": "fault_code",
    "above": 2.5, "duration_s": 600, "severity": "minor", "source": "assumed: fault codes 3 to 11",
    "source_zh": "假定：故障码 3 至 11"}');
SELECT onemap.alarm_rule_default('streetlight', 'lamp_leakage', '{"name_zh": "灯杆漏电", "metric": "leakage_current_ma",
    "device_kind": "lamp", "above": 30, "clear": 20, "severity": "critical", "category_code": "10118",
    "source": "assumed: 30 mA, the usual residual current for the protection of people",
    "source_zh": "假定：30 mA，常用的人身保护剩余电流"}');
SELECT onemap.alarm_rule_default('streetlight', 'cabinet_leakage', '{"name_zh": "回路漏电", "metric": "leakage_current_ma",
    "device_kind": "cabinet", "above": 300, "clear": 250, "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('streetlight', 'over_voltage', '{"name_zh": "电压过高", "metric": "voltage_v",
    "device_kind": "cabinet",
    "above": 235.4, "clear": 233, "duration_s": 300, "severity": "minor", "source": "assumed: 220 V + 7 %",
    "source_zh": "假定：220 V + 7 %"}');
SELECT onemap.alarm_rule_default('streetlight', 'under_voltage', '{"name_zh": "电压过低", "metric": "voltage_v",
    "device_kind": "cabinet",
    "below": 198, "clear": 200, "duration_s": 300, "severity": "minor", "source": "assumed: 220 V - 10 %",
    "source_zh": "假定：220 V - 10 %"}');
SELECT onemap.alarm_rule_default('streetlight', 'pole_tilt', '{"name_zh": "灯杆倾斜", "metric": "pole_tilt_deg", "above": 5,
    "clear": 3, "duration_s": 600, "severity": "major", "category_code": "10118", "source": "assumed"}');
SELECT onemap.alarm_rule_default('streetlight', 'lamp_hot', '{"name_zh": "灯具过热", "metric": "lamp_temp_c", "above": 95,
    "clear": 85, "duration_s": 600, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('streetlight', 'cabinet_door_open', '{"name_zh": "控制箱门打开", "metric": "cabinet_door_open",
    "equals": 1, "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('streetlight', 'cabinet_flooded', '{"name_zh": "控制箱水浸", "metric": "cabinet_flooded",
    "equals": 1, "severity": "critical", "source": "assumed"}');
-- Judged by streetlight_lighting_rate_sweep: percent, per cabinet, low now and low duration_s ago.
SELECT onemap.alarm_rule_default('streetlight', 'lighting_rate_low', '{"kind": "derived", "name_zh": "亮灯率低", "below": 96,
    "unit": "%", "duration_s": 600, "severity": "major", "category_code": "10118",
    "source": "河北省城市照明管理规定 (in force 2012-08-01): 主干道 98 %, 次干道、支路 96 %; taken over for this county, '
        'assumed",
    "source_zh": "河北省城市照明管理规定（2012-08-01 施行）：主干道 98 %，次干道、支路 96 %；本县沿用，为假定"}');
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('no lamp should be lit', '已到熄灯时间')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.streetlight_lamps(at timestamptz, cabinet int DEFAULT NULL)
RETURNS TABLE (cabinet_id int, lamp_id int, ordered boolean, lit boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.id, l.id, coalesce(lamp.ordered_on, circuit.contactor_closed) = 1, lamp.lamp_on = 1
    FROM onemap.device l
    JOIN onemap.device c ON c.id = l.parent_id
    JOIN onemap.device_kind lk ON lk.subsystem = l.subsystem AND lk.key = l.kind
    JOIN onemap.device_kind ck ON ck.subsystem = c.subsystem AND ck.key = c.kind
    LEFT JOIN LATERAL (
        SELECT o.readings[(SELECT onemap.metric_ordinal('streetlight', 'lamp_on'))] AS lamp_on,
               o.readings[(SELECT onemap.metric_ordinal('streetlight', 'ordered_on'))] AS ordered_on
        FROM onemap.observation_of(l.id, at - lk.offline_after, at + interval '1 microsecond') o
        WHERE o.observed_at > at - lk.offline_after
            AND o.readings[(SELECT onemap.metric_ordinal('streetlight', 'lamp_on'))] IS NOT NULL
        ORDER BY o.observed_at DESC LIMIT 1) lamp ON true
    LEFT JOIN LATERAL (
        SELECT o.readings[(SELECT onemap.metric_ordinal('streetlight', 'contactor_closed'))] AS contactor_closed
        FROM onemap.observation_of(c.id, at - ck.offline_after, at + interval '1 microsecond') o
        WHERE o.observed_at > at - ck.offline_after
            AND o.readings[(SELECT onemap.metric_ordinal('streetlight', 'contactor_closed'))] IS NOT NULL
        ORDER BY o.observed_at DESC LIMIT 1) circuit ON true
    WHERE l.subsystem = 'streetlight' AND l.kind = 'lamp' AND c.kind = 'cabinet' AND l.status <> 'retired'
        AND (cabinet IS NULL OR c.id = cabinet)
$$;
COMMENT ON FUNCTION onemap.streetlight_lamps(timestamptz, int) IS
    'Each lamp of a cabinet (or of all) at a moment, by its last record not older than its kind''s offline_after: ordered = '
    'should be lit, by its own order, else by its cabinet''s contactor; lit: NULL = silent';
GRANT EXECUTE ON FUNCTION onemap.streetlight_lamps(timestamptz, int) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.streetlight_lighting_rate(at timestamptz, cabinet int DEFAULT NULL)
RETURNS TABLE (cabinet_id int, lamps int, silent int, ordered int, lit int, rate_percent float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.cabinet_id, s.lamps, s.silent, s.ordered, s.lit, 100.0 * s.lit / nullif(s.ordered, 0)
    FROM (SELECT l.cabinet_id, count(*)::int AS lamps, count(*) FILTER (WHERE l.lit IS NULL)::int AS silent,
                 count(*) FILTER (WHERE l.ordered AND l.lit IS NOT NULL)::int AS ordered,
                 count(*) FILTER (WHERE l.ordered AND l.lit)::int AS lit
          FROM onemap.streetlight_lamps(at, cabinet) l GROUP BY l.cabinet_id) s
$$;
COMMENT ON FUNCTION onemap.streetlight_lighting_rate(timestamptz, int) IS
    'Lighting rate (亮灯率) per cabinet at a moment: of the lamps that should be lit and whose state is known, the percentage '
    'that is; NULL while none should be. Silent lamps stand apart: nobody knows whether they are lit';
GRANT EXECUTE ON FUNCTION onemap.streetlight_lighting_rate(timestamptz, int) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.streetlight_night_rate(night date)
RETURNS TABLE (cabinet_id int, hours int, ordered int, lit int, rate_percent float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.cabinet_id, count(*)::int, sum(r.ordered)::int, sum(r.lit)::int, 100.0 * sum(r.lit) / sum(r.ordered)
    FROM generate_series(0, 23) h,
         LATERAL onemap.streetlight_lighting_rate(onemap.local_moment(night + time '12:00' + make_interval(hours => h))) r
    WHERE r.ordered > 0
    GROUP BY r.cabinet_id
$$;
COMMENT ON FUNCTION onemap.streetlight_night_rate(date) IS
    'Lighting rate of a whole night, noon to noon of the county''s time: looked at on every full hour at which lamps should be '
    'lit; lamp-hours lit of lamp-hours that should be';
GRANT EXECUTE ON FUNCTION onemap.streetlight_night_rate(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE VIEW onemap.streetlight_lighting_now AS
SELECT s.cabinet_id, s.lamps, s.silent, s.ordered, s.lit, (100.0 * s.lit / nullif(s.ordered, 0))::float8 AS rate_percent
FROM (SELECT c.id AS cabinet_id, count(*)::int AS lamps,
             count(*) FILTER (WHERE known.lit IS NULL)::int AS silent,
             count(*) FILTER (WHERE known.ordered AND known.lit IS NOT NULL)::int AS ordered,
             count(*) FILTER (WHERE known.ordered AND known.lit)::int AS lit
      FROM onemap.device l
      JOIN onemap.device c ON c.id = l.parent_id AND c.kind = 'cabinet'
      LEFT JOIN onemap.device_state ls ON ls.device_id = l.id AND ls.online
      LEFT JOIN onemap.device_state cs ON cs.device_id = c.id AND cs.online,
      LATERAL (SELECT ls.readings[(SELECT onemap.metric_ordinal('streetlight', 'lamp_on'))] = 1 AS lit,
                      coalesce(ls.readings[(SELECT onemap.metric_ordinal('streetlight', 'ordered_on'))],
                               cs.readings[(SELECT onemap.metric_ordinal('streetlight', 'contactor_closed'))]) = 1 AS ordered) known
      WHERE l.subsystem = 'streetlight' AND l.kind = 'lamp' AND l.status <> 'retired'
      GROUP BY c.id) s;
COMMENT ON VIEW onemap.streetlight_lighting_now IS
    'Lighting rate (亮灯率) per cabinet by the devices'' last known states; as streetlight_lighting_rate()';
GRANT SELECT ON onemap.streetlight_lighting_now TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.streetlight_lighting_rate_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(c.cabinet_id, 'lighting_rate_low',
        CASE WHEN NOT coalesce(c.rate_percent < r.threshold, false) THEN false
             WHEN (SELECT p.rate_percent FROM onemap.streetlight_lighting_rate(now() - make_interval(secs => r.duration_s),
                   c.cabinet_id) p) < r.threshold THEN true END, now(), c.rate_percent,
        jsonb_build_object('lamps', c.lamps, 'silent', c.silent, 'ordered', c.ordered, 'lit', c.lit),
        CASE WHEN c.rate_percent IS NULL THEN 'no lamp should be lit' ELSE 'condition ended' END)), 0)::int
    FROM onemap.streetlight_lighting_now c
    JOIN onemap.alarm_rule r ON r.subsystem = 'streetlight' AND r.key = 'lighting_rate_low' AND r.enabled
$$;
COMMENT ON FUNCTION onemap.streetlight_lighting_rate_sweep() IS
    'Raises lighting_rate_low on cabinets whose rate is below the rule''s limit now and was so duration_s ago, clears it '
    'otherwise; returns the cabinets below';
INSERT INTO onemap.sweep (function_name, subsystem)
    VALUES ('streetlight_lighting_rate_sweep', 'streetlight') ON CONFLICT DO NOTHING;
