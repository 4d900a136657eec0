-- References that were only meant, and indexes for the map and for lists. Not on observation, track_point and the rollups:
-- nothing references the big tables, nor they anything, so that they can be distributed; and every index there is paid for by
-- each record.

-- NOT VALID first and validated after: where a row refers to nothing, the database keeps it and says so; new ones are refused.
ALTER TABLE onemap.device ADD CONSTRAINT device_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES onemap.device (id) NOT VALID;
ALTER TABLE onemap.person ADD CONSTRAINT person_device_id_fkey FOREIGN KEY (device_id) REFERENCES onemap.device (id) NOT VALID;
ALTER TABLE onemap.vehicle ADD CONSTRAINT vehicle_device_id_fkey FOREIGN KEY (device_id) REFERENCES onemap.device (id) NOT VALID;
ALTER TABLE onemap.work_order ADD CONSTRAINT work_order_device_id_fkey FOREIGN KEY (device_id) REFERENCES onemap.device (id)
    NOT VALID;
ALTER TABLE onemap.case_record ADD CONSTRAINT case_record_grid_cell_fkey FOREIGN KEY (grid_cell) REFERENCES onemap.grid_cell (code)
    NOT VALID;
ALTER TABLE onemap.case_record ADD CONSTRAINT case_record_device_id_fkey FOREIGN KEY (device_id) REFERENCES onemap.device (id)
    NOT VALID;

-- 0 and not NULL: the keys that keep an alarm from being opened twice have both, and NULL would be no value to them.
ALTER TABLE onemap.alarm ADD CONSTRAINT alarm_of_device_or_vendor CHECK ((device_id = 0) = (vendor <> '')) NOT VALID;
COMMENT ON COLUMN onemap.alarm.device_id IS 'The device; 0: the alarm is of the whole vendor';
COMMENT ON COLUMN onemap.alarm.vendor IS 'The vendor whose alarm it is as a whole; empty: it is the device''s';

DO $$
DECLARE c record;
BEGIN
    FOR c IN SELECT k.conname AS name, k.conrelid::regclass AS relation FROM pg_catalog.pg_constraint k
             WHERE k.connamespace = 'onemap'::regnamespace AND k.conname IN ('device_parent_id_fkey', 'person_device_id_fkey',
                 'vehicle_device_id_fkey', 'work_order_device_id_fkey', 'case_record_grid_cell_fkey',
                 'case_record_device_id_fkey', 'alarm_of_device_or_vendor') ORDER BY k.conname LOOP
        BEGIN
            EXECUTE pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.relation, c.name);
        EXCEPTION WHEN foreign_key_violation OR check_violation THEN
            RAISE WARNING '% is kept NOT VALID: %', c.name, SQLERRM
                USING HINT = pg_catalog.format('Mend the rows, then ALTER TABLE %s VALIDATE CONSTRAINT %I.', c.relation, c.name);
        END;
    END LOOP;
END $$;

-- There is one row at most; several could only be a mistake.
ALTER TABLE onemap.case_seal_due ADD PRIMARY KEY (through_id);

CREATE INDEX device_department ON onemap.device (department_id);
CREATE INDEX device_state_geom ON onemap.device_state USING gist (geom);
CREATE INDEX person_geom ON onemap.person USING gist (geom);
CREATE INDEX vehicle_geom ON onemap.vehicle USING gist (geom);
CREATE INDEX work_order_geom ON onemap.work_order USING gist (geom);
CREATE INDEX work_order_department ON onemap.work_order (department_id, planned_start);
CREATE INDEX alarm_opened ON onemap.alarm (opened_at);
-- For who asks what belongs to a device, and so that a device's row can be looked at without reading these tables whole.
CREATE INDEX person_device ON onemap.person (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX vehicle_device ON onemap.vehicle (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX work_order_device ON onemap.work_order (device_id) WHERE device_id IS NOT NULL;
