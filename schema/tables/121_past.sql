-- How things stood before they were changed: one row a version that is over, kept by triggers (schema/rules/past.sql), so that
-- the map can be asked for any minute. Records have their times of receipt; here is what would be written over.

DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT x.what, x.key FROM (VALUES ('device', 'id'), ('person', 'id'), ('vehicle', 'id'), ('case_record', 'id'),
        ('alarm', 'id'), ('grid_cell', 'code'), ('zone', 'id')) AS x (what, key) LOOP
        EXECUTE pg_catalog.format('CREATE TABLE onemap.%I (LIKE onemap.%I, until_at timestamptz NOT NULL, there boolean NOT NULL,
            past_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)', t.what || '_past', t.what);
        EXECUTE pg_catalog.format('CREATE INDEX %I ON onemap.%I (%I, until_at, past_id)', t.what || '_past_key', t.what || '_past',
            t.key);
        EXECUTE pg_catalog.format('CREATE INDEX %I ON onemap.%I (until_at)', t.what || '_past_until', t.what || '_past');
        EXECUTE pg_catalog.format('COMMENT ON TABLE onemap.%I IS %L', t.what || '_past', pg_catalog.format('Versions of onemap.%s '
            'that were over at until_at; not there: until then there was none. A column added there is added here too', t.what));
        EXECUTE pg_catalog.format('GRANT SELECT ON onemap.%I TO cityhub_hub, cityhub_read', t.what || '_past');
    END LOOP;
END $$;
CREATE INDEX alarm_past_device ON onemap.alarm_past (device_id, until_at);

CREATE TABLE onemap.presence_past (
    device_id int NOT NULL,
    online    boolean NOT NULL,
    since_at  timestamptz NOT NULL,
    until_at  timestamptz NOT NULL,
    past_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);
COMMENT ON TABLE onemap.presence_past IS
    'From when to when a device was online or offline (device_state.online), once that was over';
CREATE INDEX presence_past_device ON onemap.presence_past (device_id, until_at, past_id);
CREATE INDEX presence_past_until ON onemap.presence_past (until_at);
GRANT SELECT ON onemap.presence_past TO cityhub_hub, cityhub_read;

CREATE TABLE onemap.past_kept (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    since_at timestamptz NOT NULL
);
COMMENT ON TABLE onemap.past_kept IS 'One row: since when versions are kept; those before have been forgotten; no row: none have';
GRANT SELECT ON onemap.past_kept TO cityhub_hub, cityhub_read;

-- What is there already has no versions yet. Of people and vehicles nothing was known before their last message; of cases the
-- journal knows the most: state, department, category, limits and times, event by event.
INSERT INTO onemap.person_past (id, subsystem, vendor, code, name, role, department_id, device_id, on_duty, observed_at,
    geom, geom_outside, until_at, there)
SELECT p.id, p.subsystem, p.vendor, p.code, p.name, p.role, p.department_id, p.device_id, p.on_duty, p.observed_at, p.geom,
    p.geom_outside, least(p.observed_at, pg_catalog.now()), false
FROM onemap.person p;
INSERT INTO onemap.vehicle_past (id, subsystem, vendor, code, name, role, plate, department_id, device_id, on_duty, observed_at,
    geom, geom_outside, until_at, there)
SELECT v.id, v.subsystem, v.vendor, v.code, v.name, v.role, v.plate, v.department_id, v.device_id, v.on_duty, v.observed_at,
    v.geom, v.geom_outside, least(v.observed_at, pg_catalog.now()), false
FROM onemap.vehicle v;

-- Event seq of a case ends the version before it; that of event 1: that there is none. Flags and counts as far as the events say.
INSERT INTO onemap.case_record_past (id, code, version, state, source, title, description, address, catalogue_version,
    category_code, condition_number, geom, grid_cell, street, component_code, device_id, subsystem, vendor, external_code,
    department_id, candidates, merged_into, reported_at, accepted_at, registered_at, dispatched_at, handled_at, checked_at,
    ended_at, limit_value, limit_unit, clock, limit_s, clock_started_at, remaining_s, deadline_at, warn_at, stage_entered_at,
    stage_deadline_at, resume_state, asked_extension, asked_suspension, rework_count, return_count, wrong_dispatch_count,
    extension_count, suspension_count, supervision_count, reminder_count, flags, satisfaction, event_count, last_event_at,
    last_hash, until_at, there)
SELECT c.id, c.code, e.seq, e.to_state, e.source, c.title, c.description, c.address, e.catalogue_version, e.category,
    e.condition_number, c.geom, e.grid_cell, e.street, c.component_code, c.device_id, c.subsystem, c.vendor, c.external_code,
    (SELECT d.id FROM onemap.department d WHERE d.code = e.department), '{}', NULL, c.reported_at,
    CASE WHEN c.accepted_at <= e.at THEN c.accepted_at END, CASE WHEN c.registered_at <= e.at THEN c.registered_at END,
    CASE WHEN c.dispatched_at <= e.at THEN c.dispatched_at END, CASE WHEN c.handled_at <= e.at THEN c.handled_at END,
    CASE WHEN c.checked_at <= e.at THEN c.checked_at END, CASE WHEN c.ended_at <= e.at THEN c.ended_at END, e.limit_value,
    e.limit_unit, c.clock, c.limit_s, CASE WHEN e.to_state IN ('dispatched', 'handling', 'returned') THEN e.at END, NULL,
    e.deadline_at, NULL, e.at, n.stage_deadline_at, NULL, NULL, NULL, m.rework_count, m.return_count, m.wrong_dispatch_count,
    m.extension_count, m.suspension_count, m.supervision_count, m.reminder_count, m.flags, m.satisfaction, e.seq, e.at, e.hash,
    n.recorded_at, true
FROM onemap.case_event e JOIN onemap.case_event n ON n.case_id = e.case_id AND n.seq = e.seq + 1
    JOIN onemap.case_record c ON c.id = e.case_id
    CROSS JOIN LATERAL (SELECT least(c.rework_count, count(*) FILTER (WHERE x.action = 'rework')::int) AS rework_count,
            least(c.return_count, count(*) FILTER (WHERE x.action = 'return')::int) AS return_count,
            least(c.wrong_dispatch_count, count(*) FILTER (WHERE 'wrong_dispatch' = ANY (x.flags))::int) AS wrong_dispatch_count,
            least(c.extension_count, count(*) FILTER (WHERE x.action = 'grant_extension')::int) AS extension_count,
            least(c.suspension_count, count(*) FILTER (WHERE x.action = 'suspend')::int) AS suspension_count,
            least(c.supervision_count, count(*) FILTER (WHERE x.action = 'supervise')::int) AS supervision_count,
            least(c.reminder_count, count(*) FILTER (WHERE x.action = 'remind')::int) AS reminder_count,
            ARRAY(SELECT DISTINCT f FROM onemap.case_event y, unnest(y.flags) f WHERE y.case_id = e.case_id AND y.seq <= e.seq
                ORDER BY f) AS flags,
            max(x.satisfaction) FILTER (WHERE x.action = 'call_back') AS satisfaction
        FROM onemap.case_event x WHERE x.case_id = e.case_id AND x.seq <= e.seq) m
ORDER BY e.case_id, e.seq;
INSERT INTO onemap.case_record_past (id, code, version, state, source, catalogue_version, title, description, address, candidates,
    reported_at, stage_entered_at, rework_count, return_count, wrong_dispatch_count, extension_count, suspension_count,
    supervision_count, reminder_count, flags, event_count, last_event_at, last_hash, until_at, there)
SELECT c.id, c.code, 0, 'reported', c.source, c.catalogue_version, '', '', '', '{}', c.reported_at, c.reported_at, 0, 0, 0, 0, 0, 0,
    0, '{}', 0, c.reported_at, '', coalesce(e.recorded_at, c.reported_at), false
FROM onemap.case_record c LEFT JOIN onemap.case_event e ON e.case_id = c.id AND e.seq = 1;

-- They ask for a moment too now.
DROP FUNCTION IF EXISTS onemap.http_case_entry(onemap.case_record, bigint);
DROP FUNCTION IF EXISTS onemap.http_alarm_entry(onemap.alarm);
DROP FUNCTION IF EXISTS onemap.case_summary(onemap.case_record);
DROP FUNCTION IF EXISTS onemap.http_case_near(onemap.case_record, jsonb, float8, boolean);
DROP FUNCTION IF EXISTS onemap.http_cases_near(public.geometry, float8, int, int[], int);
DROP FUNCTION IF EXISTS onemap.http_device_alarms(int);
DROP FUNCTION IF EXISTS onemap.http_device_work(int, int[]);
DROP FUNCTION IF EXISTS onemap.tile_grid(int, int, int, int[]);
DROP FUNCTION IF EXISTS onemap.tile_department(int, int, int, int[]);
DROP FUNCTION IF EXISTS onemap.tile_zone(int, int, int, int[]);
