-- What can be sent upward (上报资源), one view a resource, for auditors to read: record: what it is called, the same for
-- all its versions;
-- chain, place: what must go up one after the other, and in which order; key: what exchange_change names it by;
-- occurred_at: when it
-- happened, NULL for things that are simply there. All other columns are what templates can send. Nobody's name is among them.

DELETE FROM onemap.exchange_resource r WHERE NOT EXISTS (SELECT FROM onemap.exchange_record x WHERE x.resource = r.resource);
INSERT INTO onemap.exchange_resource (resource, name_zh, position, key_type) VALUES
    ('department',  '责任单位',   1, 'int'),
    ('grid_cell',   '单元网格',   2, 'bpchar'),
    ('device',      '部件与设备', 3, 'int'),
    ('case_step',   '案卷环节',   4, 'bigint'),
    ('alarm',       '报警',       5, 'bigint'),
    ('figure_hour', '小时运行数据', 6, 'timestamptz'),
    ('figure_day',  '日运行数据', 7, 'date'),
    ('statistics',  '月度统计',   8, 'date'),
    ('score',       '月度得分',   9, 'date'),
    ('assessment',  '月度考核',   10, 'date')
ON CONFLICT (resource) DO UPDATE SET name_zh = excluded.name_zh, position = excluded.position, key_type = excluded.key_type;

CREATE OR REPLACE VIEW onemap.exchange_department AS
    SELECT d.code AS record, d.code AS chain, 0 AS place, d.id AS key, NULL::timestamptz AS occurred_at,
           d.code, d.name_zh, d.kind, p.code AS parent, d.active
    FROM onemap.department d LEFT JOIN onemap.department p ON p.id = d.parent_id;
COMMENT ON VIEW onemap.exchange_department IS 'Departments (责任单位) as they go up';

CREATE OR REPLACE VIEW onemap.exchange_grid_cell AS
    SELECT g.code::text AS record, g.code::text AS chain, 0 AS place, g.code AS key, NULL::timestamptz AS occurred_at,
           g.code::text AS code, g.name_zh, d.code AS department, public.ST_AsGeoJSON(g.geom, 7)::jsonb AS geometry
    FROM onemap.grid_cell g LEFT JOIN onemap.department d ON d.id = g.department_id;
COMMENT ON VIEW onemap.exchange_grid_cell IS 'Unit grid cells (单元网格) as they go up; geometry: GeoJSON, WGS 84';

CREATE OR REPLACE VIEW onemap.exchange_device AS
    SELECT d.subsystem || '/' || d.vendor || '/' || d.code AS record, d.subsystem || '/' || d.vendor || '/' || d.code AS chain,
           0 AS place, d.id AS key, NULL::timestamptz AS occurred_at,
           d.subsystem, d.vendor, d.code, d.kind, d.name_zh, d.component_code::text AS component_code, d.status,
           round(public.ST_X(d.geom)::numeric, 7) AS lon, round(public.ST_Y(d.geom)::numeric, 7) AS lat,
           d.grid_cell::text AS grid_cell, u.code AS department
    FROM onemap.device d LEFT JOIN onemap.department u ON u.id = d.department_id;
COMMENT ON VIEW onemap.exchange_device IS 'Components and devices (部件与设备) as they go up; lon, lat: degrees, WGS 84';

CREATE OR REPLACE VIEW onemap.exchange_case_step AS
    SELECT e.case_code || '/' || e.seq AS record, e.case_code AS chain, e.seq AS place, e.id AS key, e.at AS occurred_at,
           e.case_code, e.seq, e.at, e.recorded_at, e.action, e.from_state, e.to_state, e.role, e.source, e.department,
           e.previous_department, e.catalogue_version, e.category, e.condition_number, e.grid_cell::text AS grid_cell,
           e.street::text AS street, e.limit_value, e.limit_unit, e.deadline_at, e.used_s, e.overdue_s, e.stage_deadline_at,
           e.flags, e.satisfaction, e.reason, e.detail->>'title' AS title, e.detail->>'description' AS description,
           e.detail->>'address' AS address, e.detail->'lon' AS lon, e.detail->'lat' AS lat
    FROM onemap.case_event e;
COMMENT ON VIEW onemap.exchange_case_step IS
    'Steps of cases (案卷环节: 上报、受理、核实、立案、派遣、处置反馈、核查、结案 ...) as they go up, in the order of the case';

CREATE OR REPLACE VIEW onemap.exchange_alarm AS
    SELECT a.id::text AS record, a.id::text AS chain, 0 AS place, a.id AS key, a.opened_at AS occurred_at,
           a.id, r.subsystem, r.key AS rule, a.severity, coalesce(d.vendor, a.vendor) AS vendor, d.code AS device, a.opened_at,
           a.closed_at, a.value, a.closing_value, a.close_reason, a.acknowledged_at
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id LEFT JOIN onemap.device d ON d.id = a.device_id;
COMMENT ON VIEW onemap.exchange_alarm IS 'Alarms (报警) as they go up: opened, then a correction with the end';

CREATE OR REPLACE VIEW onemap.exchange_figure_hour AS
    SELECT n.record, n.record AS chain, 0 AS place, n.hour AS key, n.hour AS occurred_at, n.subsystem, n.metric, n.unit, n.hour,
           n.devices, n.readings, n.minimum, n.maximum, n.mean
    FROM (
        SELECT to_char(h.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24"Z/"') || m.subsystem || '/' || m.key AS record, h.hour,
               m.subsystem, m.key AS metric, m.unit, count(*) AS devices, sum(h.counts[m.ordinal]) AS readings,
               min(h.minima[m.ordinal]) AS minimum, max(h.maxima[m.ordinal]) AS maximum,
               round(sum(h.sums[m.ordinal]::numeric) / sum(h.counts[m.ordinal]), 6) AS mean
        FROM onemap.observation_hourly h JOIN onemap.device d ON d.id = h.device_id
            JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.kind IN ('gauge', 'counter')
        WHERE h.hour < (SELECT c.through FROM onemap.rollup_closed c) AND h.counts[m.ordinal] > 0
        GROUP BY h.hour, m.subsystem, m.key, m.unit) n;
COMMENT ON VIEW onemap.exchange_figure_hour IS
    'Running figures (小时运行数据) of closed hours as they go up, by subsystem and metric: of the good readings of all devices';

CREATE OR REPLACE VIEW onemap.exchange_figure_day AS
    SELECT n.record, n.record AS chain, 0 AS place, n.day AS key, onemap.local_midnight(n.day) AS occurred_at, n.subsystem,
           n.metric, n.unit, n.day, n.devices, n.readings, n.minimum, n.maximum, n.mean
    FROM (
        SELECT to_char(h.day, 'YYYY-MM-DD') || '/' || m.subsystem || '/' || m.key AS record, h.day, m.subsystem, m.key AS metric,
               m.unit, count(*) AS devices, sum(h.counts[m.ordinal]) AS readings, min(h.minima[m.ordinal]) AS minimum,
               max(h.maxima[m.ordinal]) AS maximum,
               round(sum(h.sums[m.ordinal]::numeric) / sum(h.counts[m.ordinal]), 6) AS mean
        FROM onemap.observation_daily h JOIN onemap.device d ON d.id = h.device_id
            JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.kind IN ('gauge', 'counter')
        WHERE h.counts[m.ordinal] > 0
        GROUP BY h.day, m.subsystem, m.key, m.unit) n;
COMMENT ON VIEW onemap.exchange_figure_day IS 'The same (日运行数据) of the county''s days that are over';

CREATE OR REPLACE VIEW onemap.exchange_statistics AS
    SELECT n.*, n.record AS chain, 0 AS place, n.month AS key, onemap.local_midnight(n.month) AS occurred_at
    FROM (
        SELECT to_char(r.month, 'YYYY-MM') || '/' || coalesce(nullif(r.department, ''), '-') AS record, r.month, r.department,
               sum(r.reported) AS reported, sum(r.accepted) AS accepted, sum(r.rejected) AS rejected, sum(r.verified) AS verified,
               sum(r.registered) AS registered, sum(r.dispatched) AS dispatched, sum(r.wrong_dispatch) AS wrong_dispatch,
               count(r.handle_due_at) AS should_handle,
               coalesce(sum(r.handled) FILTER (WHERE r.handle_due_at IS NOT NULL), 0) AS handled,
               coalesce(sum(r.handled_in_time) FILTER (WHERE r.handle_due_at IS NOT NULL), 0) AS handled_in_time,
               sum(r.returned) AS returned, sum(r.rework_times) AS rework_times, sum(r.extended) AS extended,
               sum(r.suspended) AS suspended, count(r.close_due_at) + count(r.deferred_at) AS should_close,
               coalesce(sum(r.closed) FILTER (WHERE r.close_due_at IS NOT NULL), 0) AS closed,
               coalesce(sum(r.closed_in_time) FILTER (WHERE r.close_due_at IS NOT NULL), 0) AS closed_in_time,
               sum(r.closings) AS closings, sum(r.voided) AS voided, sum(r.merged) AS merged, sum(r.supervised) AS supervised,
               sum(r.satisfied) AS satisfied, sum(r.basically_satisfied) AS basically_satisfied,
               sum(r.dissatisfied) AS dissatisfied
        FROM onemap.score_case r JOIN onemap.score_month m ON m.month = r.month AND m.closed_at IS NOT NULL
        GROUP BY r.month, r.department) n;
COMMENT ON VIEW onemap.exchange_statistics IS
    'Statistics (月度统计) of closed months by department as they go up; a department '''' stands for cases that none had '
    'yet. The '
    'measures are those of onemap.score_measure';

CREATE OR REPLACE VIEW onemap.exchange_score AS
    SELECT to_char(r.month, 'YYYY-MM') || '/' || r.department AS record,
           to_char(r.month, 'YYYY-MM') || '/' || r.department AS chain, 0 AS place, r.month AS key,
           onemap.local_midnight(r.month) AS occurred_at,
           r.month, r.department, r.formula_version, r.score
    FROM onemap.score_result r;
COMMENT ON VIEW onemap.exchange_score IS 'Scores (月度得分) of closed months as they go up';

CREATE OR REPLACE VIEW onemap.exchange_assessment AS
    SELECT to_char(r.month, 'YYYY-MM') || '/' || r.department AS record,
           to_char(r.month, 'YYYY-MM') || '/' || r.department AS chain, 0 AS place, r.month AS key,
           onemap.local_midnight(r.month) AS occurred_at,
           r.month, r.department, r.name_zh, r.total, r.grade, r.place AS rank
    FROM onemap.assessment_result r;
COMMENT ON VIEW onemap.exchange_assessment IS 'The published assessment (月度考核) as it goes up';

GRANT SELECT ON onemap.exchange_department, onemap.exchange_grid_cell, onemap.exchange_device, onemap.exchange_case_step,
    onemap.exchange_alarm, onemap.exchange_figure_hour, onemap.exchange_figure_day, onemap.exchange_statistics,
    onemap.exchange_score, onemap.exchange_assessment TO cityhub_hub, cityhub_read;

-- ---- what changed ----

CREATE OR REPLACE FUNCTION onemap.exchange_noted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE resource text;
BEGIN
    -- Whether a target wants it is asked by the sweep alone: a target that is just being added is not seen from here yet.
    FOR n IN 1..TG_NARGS - 1 LOOP
        resource := TG_ARGV[n];
        EXECUTE format('INSERT INTO onemap.exchange_change (resource, key) SELECT DISTINCT $1, c.%I::text FROM changed c',
            TG_ARGV[0]) USING resource;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.exchange_noted() IS
    'Trigger: these rows changed, named by the column that is the first argument, for the resources that are the others';
DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES ('department', 'id', 'department'), ('grid_cell', 'code', 'grid_cell'),
            ('device', 'id', 'device'), ('case_event', 'id', 'case_step'), ('alarm', 'id', 'alarm'),
            ('score_month', 'month', 'statistics'),
            ('score_result', 'month', 'score'), ('assessment_result', 'month', 'assessment')) AS x (name, key, resource) LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER exchange_added AFTER INSERT ON onemap.%I REFERENCING NEW TABLE AS changed '
            'FOR EACH STATEMENT EXECUTE FUNCTION onemap.exchange_noted(%L, %L)', t.name, t.key, t.resource);
        EXECUTE format('CREATE OR REPLACE TRIGGER exchange_changed AFTER UPDATE ON onemap.%I REFERENCING NEW TABLE AS changed '
            'FOR EACH STATEMENT EXECUTE FUNCTION onemap.exchange_noted(%L, %L)', t.name, t.key, t.resource);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION onemap.exchange_hours_closed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.exchange_change (resource, key)
    SELECT 'figure_hour', to_char(h AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS+00')
    FROM generate_series(greatest(OLD.through, NEW.through - interval '31 days'), NEW.through - interval '1 hour', '1 hour') h;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.exchange_hours_closed() IS
    'Trigger: these hours'' figures are closed. What is added to them later, rollup_add() and rollup_renew() note';
CREATE OR REPLACE TRIGGER exchange_closed AFTER UPDATE ON onemap.rollup_closed
    FOR EACH ROW EXECUTE FUNCTION onemap.exchange_hours_closed();
