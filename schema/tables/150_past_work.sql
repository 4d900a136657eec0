-- Work, its standards and the departments as they stood before they were changed: versions beside the tables, as in 121_past.sql.

DO $$
DECLARE what text;
BEGIN
    FOREACH what IN ARRAY '{work_order,work_standard,department}'::text[] LOOP
        EXECUTE pg_catalog.format('CREATE TABLE onemap.%I (LIKE onemap.%I, until_at timestamptz NOT NULL, there boolean NOT NULL,
            past_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)', what || '_past', what);
        EXECUTE pg_catalog.format('CREATE INDEX %I ON onemap.%I (id, until_at, past_id)', what || '_past_key', what || '_past');
        EXECUTE pg_catalog.format('CREATE INDEX %I ON onemap.%I (until_at)', what || '_past_until', what || '_past');
        EXECUTE pg_catalog.format('COMMENT ON TABLE onemap.%I IS %L', what || '_past', pg_catalog.format('Versions of onemap.%s '
            'that were over at until_at; not there: until then there was none. A column added there is added here too', what));
        EXECUTE pg_catalog.format('GRANT SELECT ON onemap.%I TO cityhub_hub, cityhub_read', what || '_past');
    END LOOP;
END $$;

-- Of an order that is there already nothing was known before its last message.
INSERT INTO onemap.work_order_past (id, subsystem, vendor, code, title, status, standard_id, department_id, person_id, vehicle_id,
    device_id, planned_start, planned_end, started_at, finished_at, quantity, quantity_unit, quality_score, result, observed_at,
    geom, geom_outside, until_at, there)
SELECT w.id, w.subsystem, w.vendor, w.code, w.title, w.status, w.standard_id, w.department_id, w.person_id, w.vehicle_id,
    w.device_id, w.planned_start, w.planned_end, w.started_at, w.finished_at, w.quantity, w.quantity_unit, w.quality_score,
    w.result, w.observed_at, w.geom, w.geom_outside, least(w.observed_at, pg_catalog.now()), false
FROM onemap.work_order w;

CREATE INDEX work_order_vehicle ON onemap.work_order (vehicle_id) WHERE vehicle_id IS NOT NULL;

-- They ask for a moment too now.
DROP FUNCTION IF EXISTS onemap.work_is(onemap.work_order, text);
DROP FUNCTION IF EXISTS onemap.work_performance(onemap.work_order);
DROP FUNCTION IF EXISTS onemap.http_work_entry(onemap.work_order, int[], boolean);
