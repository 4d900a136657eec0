-- Staff (people and vehicles on duty, 人员管控) and work orders (作业过程, 作业标准, 作业绩效): the last state of each. Called
-- below message_store() (document.sql), which pins the search path for all of it; object.sql has the rest of their way. People
-- are worked out as vehicles without a plate.

CREATE OR REPLACE FUNCTION onemap.object_after(stored onemap.vehicle, message jsonb, member jsonb, since timestamptz,
    OUT wanted onemap.vehicle, OUT flaws jsonb, OUT problem jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    record jsonb := member->'record'; subsystem text := message->>'subsystem'; vendor text := message->>'vendor';
    at timestamptz := onemap.record_time(record, 'observed_at_ms');
BEGIN
    wanted := stored;
    flaws := onemap.document_flaws('staff', subsystem, vendor, record);
    record := onemap.record_without(record, flaws);
    IF at IS NULL OR octet_length(record->>'code') NOT BETWEEN 1 AND 128 THEN
        problem := onemap.record_problem((member->>'index')::int, '23514', NULL);
        RETURN;
    END IF;
    -- An older state changes nothing: the last one by observed_at stands. One of the same time adds to it or corrects it. What is
    -- later than can be was taken by a clock that was ahead: it gives way.
    IF stored.observed_at <= onemap.message_latest(message)
            AND (stored.observed_at > at OR stored.observed_at = at AND since IS NOT NULL) THEN
        RETURN;
    END IF;
    wanted.subsystem := subsystem;
    wanted.vendor := vendor;
    wanted.code := record->>'code';
    wanted.name := coalesce(record->>'name', stored.name, '');
    wanted.role := coalesce(record->>'role', stored.role, '');
    wanted.plate := CASE WHEN record->>'kind' = 'VEHICLE' THEN coalesce(record->>'plate', stored.plate, '') ELSE '' END;
    wanted.department_id := coalesce(onemap.record_department(record), stored.department_id);
    wanted.device_id := coalesce(onemap.record_device(subsystem, vendor, record, 'device_code'), stored.device_id);
    wanted.on_duty := coalesce((record->>'on_duty')::boolean, stored.on_duty);
    wanted.observed_at := at;
    IF record ?| '{lon,outside_lon}' THEN
        -- A place outside the county is kept beside the one that was known; one in the county ends that.
        wanted.geom := coalesce(onemap.record_point(record), stored.geom);
        wanted.geom_outside := onemap.record_outside(record);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.object_after(onemap.vehicle, jsonb, jsonb, timestamptz) IS
    'A person or vehicle after a record of kind staff, the fields of the record that are left out, and why it is refused. '
    'Stored: before it, all NULL if there is none';

-- stored.geom_outside is compared apart: a place outside the county alone adds or corrects, too (outside_fate).
CREATE OR REPLACE FUNCTION onemap.object_told(stored onemap.vehicle, wanted onemap.vehicle) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE apart onemap.vehicle := stored;
BEGIN
    IF stored.code IS NULL OR stored.observed_at <> wanted.observed_at THEN
        RETURN 'accepted';
    ELSIF stored IS NOT DISTINCT FROM wanted THEN
        RETURN 'duplicate';
    END IF;
    apart.geom_outside := wanted.geom_outside;
    RETURN onemap.outside_fate(CASE WHEN apart IS NOT DISTINCT FROM wanted THEN 'duplicate'
        WHEN nullif(stored.name, '') <> wanted.name OR nullif(stored.role, '') <> wanted.role
            OR nullif(stored.plate, '') <> wanted.plate OR stored.department_id <> wanted.department_id
            OR stored.device_id <> wanted.device_id OR stored.on_duty <> wanted.on_duty
            OR stored.geom::text <> wanted.geom::text THEN 'revised'
        ELSE 'merged' END, stored.geom_outside, wanted.geom_outside);
END $$;
COMMENT ON FUNCTION onemap.object_told(onemap.vehicle, onemap.vehicle) IS
    'What a record was for the last state of its person or vehicle: accepted (the first or a newer one), duplicate (an older one '
    'or the same), merged (adds to the one of its time), revised (corrects it)';

CREATE OR REPLACE FUNCTION onemap.work_unknown(record jsonb, known onemap.work_order) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN record ? 'person_code' AND known.person_id IS NULL THEN
            format('person_code: there is no person %s of this vendor; send kind staff first', record->>'person_code')
        WHEN record ? 'vehicle_code' AND known.vehicle_id IS NULL THEN
            format('vehicle_code: there is no vehicle %s of this vendor; send kind staff first', record->>'vehicle_code')
        WHEN record ? 'device_code' AND known.device_id IS NULL THEN
            format('device_code: there is no device %s of this vendor; send its inventory first', record->>'device_code')
        WHEN record ? 'standard_code' AND known.standard_id IS NULL THEN
            format('standard_code: the standard %s is unknown; give standard_name and standard_requirement with it',
                record->>'standard_code') END;
END $$;
COMMENT ON FUNCTION onemap.work_unknown(jsonb, onemap.work_order) IS
    'Which of the names in a work record nobody knows, known: the ids of those that are; NULL if all are. An order without its '
    'person, vehicle, device or standard would say that there was none, and its state comes once';

CREATE OR REPLACE FUNCTION onemap.work_named(subsystem text, vendor text, record jsonb) RETURNS onemap.work_order
LANGUAGE plpgsql STABLE AS $$
DECLARE named onemap.work_order;
BEGIN
    IF record ? 'person_code' THEN
        named.person_id := (SELECT p.id FROM onemap.person p
            WHERE p.subsystem = $1 AND p.vendor = $2 AND p.code = record->>'person_code');
    END IF;
    IF record ? 'vehicle_code' THEN
        named.vehicle_id := (SELECT v.id FROM onemap.vehicle v
            WHERE v.subsystem = $1 AND v.vendor = $2 AND v.code = record->>'vehicle_code');
    END IF;
    IF record ? 'device_code' THEN
        named.device_id := (SELECT d.id FROM onemap.device d
            WHERE d.subsystem = $1 AND d.vendor = $2 AND d.code = record->>'device_code');
    END IF;
    IF record ? 'standard_code' THEN
        named.standard_id := (SELECT w.id FROM onemap.work_standard w
            WHERE w.subsystem = $1 AND w.code = record->>'standard_code');
    END IF;
    RETURN named;
END $$;
COMMENT ON FUNCTION onemap.work_named(text, text, jsonb) IS
    'The ids of the person, vehicle, device and standard a work record names';

CREATE OR REPLACE FUNCTION onemap.object_after(stored onemap.work_order, message jsonb, member jsonb, since timestamptz,
    OUT wanted onemap.work_order, OUT flaws jsonb, OUT problem jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    record jsonb := member->'record'; subsystem text := message->>'subsystem'; vendor text := message->>'vendor';
    at timestamptz := onemap.record_time(record, 'observed_at_ms'); words text;
    named onemap.work_order := onemap.work_named(subsystem, vendor, record);
BEGIN
    wanted := stored;
    flaws := onemap.document_flaws('work', subsystem, vendor, record);
    IF record ?| '{planned_start_ms,planned_end_ms,started_ms,finished_ms}' THEN
        flaws := flaws || onemap.time_flaws(record, 'planned_start_ms', 'planned_end_ms', stored.planned_start, stored.planned_end)
            || onemap.time_flaws(record, 'started_ms', 'finished_ms', stored.started_at, stored.finished_at);
    END IF;
    record := onemap.record_without(record, flaws);
    words := onemap.work_unknown(record, named);
    IF words IS NOT NULL THEN
        problem := onemap.record_problem((member->>'index')::int, 'CH002', words);
        RETURN;
    ELSIF at IS NULL OR octet_length(record->>'work_code') NOT BETWEEN 1 AND 128
            OR coalesce(record->>'status', '') NOT IN ('PLANNED', 'STARTED', 'FINISHED', 'CANCELLED')
            OR (record->>'quality_score')::float8 NOT BETWEEN 0 AND 100 THEN
        problem := onemap.record_problem((member->>'index')::int, '23514', NULL);
        RETURN;
    END IF;
    IF stored.observed_at <= onemap.message_latest(message)
            AND (stored.observed_at > at OR stored.observed_at = at AND since IS NOT NULL) THEN
        RETURN;
    END IF;
    wanted.subsystem := subsystem;
    wanted.vendor := vendor;
    wanted.code := record->>'work_code';
    wanted.title := coalesce(record->>'title', stored.title, '');
    wanted.status := record->>'status';
    wanted.standard_id := coalesce(named.standard_id, stored.standard_id);
    wanted.department_id := coalesce(onemap.record_department(record), stored.department_id);
    wanted.person_id := coalesce(named.person_id, stored.person_id);
    wanted.vehicle_id := coalesce(named.vehicle_id, stored.vehicle_id);
    wanted.device_id := coalesce(named.device_id, stored.device_id);
    wanted.planned_start := coalesce(onemap.record_time(record, 'planned_start_ms'), stored.planned_start);
    wanted.planned_end := coalesce(onemap.record_time(record, 'planned_end_ms'), stored.planned_end);
    wanted.started_at := coalesce(onemap.record_time(record, 'started_ms'), stored.started_at);
    wanted.finished_at := coalesce(onemap.record_time(record, 'finished_ms'), stored.finished_at);
    wanted.quantity := coalesce((record->>'quantity')::float8, stored.quantity);
    wanted.quantity_unit := coalesce(record->>'quantity_unit', stored.quantity_unit, '');
    wanted.quality_score := coalesce((record->>'quality_score')::float8, stored.quality_score);
    wanted.result := coalesce(record->>'result', stored.result, '');
    wanted.observed_at := at;
    IF record ?| '{lon,outside_lon}' THEN
        wanted.geom := coalesce(onemap.record_point(record), stored.geom);
        wanted.geom_outside := onemap.record_outside(record);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.object_after(onemap.work_order, jsonb, jsonb, timestamptz) IS
    'A work order after a record of kind work; otherwise as that of a person or vehicle';

CREATE OR REPLACE FUNCTION onemap.object_told(stored onemap.work_order, wanted onemap.work_order) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE apart onemap.work_order := stored;
BEGIN
    IF stored.code IS NULL OR stored.observed_at <> wanted.observed_at THEN
        RETURN 'accepted';
    ELSIF stored IS NOT DISTINCT FROM wanted THEN
        RETURN 'duplicate';
    END IF;
    apart.geom_outside := wanted.geom_outside;
    RETURN onemap.outside_fate(CASE WHEN apart IS NOT DISTINCT FROM wanted THEN 'duplicate'
        WHEN nullif(stored.title, '') <> wanted.title OR stored.status <> wanted.status
            OR stored.standard_id <> wanted.standard_id OR stored.department_id <> wanted.department_id
            OR stored.person_id <> wanted.person_id OR stored.vehicle_id <> wanted.vehicle_id
            OR stored.device_id <> wanted.device_id OR stored.planned_start <> wanted.planned_start
            OR stored.planned_end <> wanted.planned_end OR stored.started_at <> wanted.started_at
            OR stored.finished_at <> wanted.finished_at OR stored.quantity <> wanted.quantity
            OR nullif(stored.quantity_unit, '') <> wanted.quantity_unit OR stored.quality_score <> wanted.quality_score
            OR nullif(stored.result, '') <> wanted.result OR stored.geom::text <> wanted.geom::text THEN 'revised'
        ELSE 'merged' END, stored.geom_outside, wanted.geom_outside);
END $$;
COMMENT ON FUNCTION onemap.object_told(onemap.work_order, onemap.work_order) IS
    'The same of a work order';

-- An object that is there already is locked since it was read: a replay may be under way beside a lane. No id is drawn for it:
-- INSERT ... ON CONFLICT would draw one with every state that comes.
CREATE OR REPLACE FUNCTION onemap.objects_write(kind text, objects onemap.vehicle[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made bigint;
BEGIN
    IF kind = 'VEHICLE' THEN
        UPDATE onemap.vehicle v SET name = o.name, role = o.role, plate = o.plate, department_id = o.department_id,
            device_id = o.device_id, on_duty = o.on_duty, observed_at = o.observed_at, geom = o.geom, geom_outside = o.geom_outside
        FROM unnest(objects) o WHERE v.id = o.id;
        INSERT INTO onemap.vehicle (subsystem, vendor, code, name, role, plate, department_id, device_id, on_duty, observed_at,
            geom, geom_outside)
        SELECT o.subsystem, o.vendor, o.code, o.name, o.role, o.plate, o.department_id, o.device_id, o.on_duty, o.observed_at,
            o.geom, o.geom_outside
        FROM unnest(objects) o WHERE o.id IS NULL ON CONFLICT ON CONSTRAINT vehicle_subsystem_vendor_code_key DO NOTHING;
    ELSE
        UPDATE onemap.person p SET name = o.name, role = o.role, department_id = o.department_id, device_id = o.device_id,
            on_duty = o.on_duty, observed_at = o.observed_at, geom = o.geom, geom_outside = o.geom_outside
        FROM unnest(objects) o WHERE p.id = o.id;
        INSERT INTO onemap.person (subsystem, vendor, code, name, role, department_id, device_id, on_duty, observed_at, geom,
            geom_outside)
        SELECT o.subsystem, o.vendor, o.code, o.name, o.role, o.department_id, o.device_id, o.on_duty, o.observed_at, o.geom,
            o.geom_outside
        FROM unnest(objects) o WHERE o.id IS NULL ON CONFLICT ON CONSTRAINT person_subsystem_vendor_code_key DO NOTHING;
    END IF;
    GET DIAGNOSTICS made = ROW_COUNT;
    PERFORM onemap.objects_raced((SELECT count(*) FROM unnest(objects) o WHERE o.id IS NULL), made);
END $$;
COMMENT ON FUNCTION onemap.objects_write(text, onemap.vehicle[]) IS
    'Stores people (as vehicles without a plate) or vehicles as they are';

CREATE OR REPLACE FUNCTION onemap.objects_write(kind text, objects onemap.work_order[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made bigint;
BEGIN
    UPDATE onemap.work_order w SET title = o.title, status = o.status, standard_id = o.standard_id,
        department_id = o.department_id, person_id = o.person_id, vehicle_id = o.vehicle_id, device_id = o.device_id,
        planned_start = o.planned_start, planned_end = o.planned_end, started_at = o.started_at, finished_at = o.finished_at,
        quantity = o.quantity, quantity_unit = o.quantity_unit, quality_score = o.quality_score, result = o.result,
        observed_at = o.observed_at, geom = o.geom, geom_outside = o.geom_outside
    FROM unnest(objects) o WHERE w.id = o.id;
    INSERT INTO onemap.work_order (subsystem, vendor, code, title, status, standard_id, department_id, person_id, vehicle_id,
        device_id, planned_start, planned_end, started_at, finished_at, quantity, quantity_unit, quality_score, result,
        observed_at, geom, geom_outside)
    SELECT o.subsystem, o.vendor, o.code, o.title, o.status, o.standard_id, o.department_id, o.person_id, o.vehicle_id,
        o.device_id, o.planned_start, o.planned_end, o.started_at, o.finished_at, o.quantity, o.quantity_unit, o.quality_score,
        o.result, o.observed_at, o.geom, o.geom_outside
    FROM unnest(objects) o WHERE o.id IS NULL ON CONFLICT ON CONSTRAINT work_order_subsystem_vendor_code_key DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    PERFORM onemap.objects_raced((SELECT count(*) FROM unnest(objects) o WHERE o.id IS NULL), made);
END $$;
COMMENT ON FUNCTION onemap.objects_write(text, onemap.work_order[]) IS 'Stores work orders as they are';

CREATE OR REPLACE FUNCTION onemap.person_as_vehicle(p onemap.person) RETURNS onemap.vehicle LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE v onemap.vehicle;
BEGIN
    v.id := p.id;
    v.subsystem := p.subsystem;
    v.vendor := p.vendor;
    v.code := p.code;
    v.name := p.name;
    v.role := p.role;
    v.plate := '';
    v.department_id := p.department_id;
    v.device_id := p.device_id;
    v.on_duty := p.on_duty;
    v.observed_at := p.observed_at;
    v.geom := p.geom;
    v.geom_outside := p.geom_outside;
    RETURN v;
END $$;
COMMENT ON FUNCTION onemap.person_as_vehicle(onemap.person) IS 'A person as a vehicle without a plate';

CREATE OR REPLACE FUNCTION onemap.staff_stored(kind text, subsystem text, vendor text, codes text[]) RETURNS onemap.vehicle[]
LANGUAGE sql AS $$
    SELECT pg_catalog.array_agg(coalesce(v.staff, p.staff) ORDER BY c.place)
    FROM unnest($4) WITH ORDINALITY AS c(code, place)
    LEFT JOIN LATERAL (SELECT v AS staff FROM onemap.vehicle v
        WHERE $1 = 'VEHICLE' AND v.subsystem = $2 AND v.vendor = $3 AND v.code = c.code FOR UPDATE) v ON true
    LEFT JOIN LATERAL (SELECT onemap.person_as_vehicle(p) AS staff FROM onemap.person p
        WHERE $1 <> 'VEHICLE' AND p.subsystem = $2 AND p.vendor = $3 AND p.code = c.code FOR UPDATE) p ON true
$$;
COMMENT ON FUNCTION onemap.staff_stored(text, text, text, text[]) IS
    'The people (as vehicles without a plate) or vehicles of these codes as they are stored, locked; NULL where there is none';

CREATE OR REPLACE FUNCTION onemap.work_stored(subsystem text, vendor text, codes text[]) RETURNS onemap.work_order[]
LANGUAGE sql AS $$
    SELECT pg_catalog.array_agg(s.work ORDER BY c.place)
    FROM unnest($3) WITH ORDINALITY AS c(code, place)
    LEFT JOIN LATERAL (SELECT w AS work FROM onemap.work_order w
        WHERE w.subsystem = $1 AND w.vendor = $2 AND w.code = c.code FOR UPDATE) s ON true
$$;
COMMENT ON FUNCTION onemap.work_stored(text, text, text[]) IS
    'The work orders of these codes as they are stored, locked; NULL where there is none';

CREATE OR REPLACE FUNCTION onemap.standards_put(subsystem text, vendor text, members jsonb[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE s record;
BEGIN
    FOR s IN SELECT DISTINCT ON (1) m->'record'->>'standard_code' AS code, m->'record' AS said
             FROM unnest(members) WITH ORDINALITY e(m, n)
             WHERE m->'record' ? 'standard_code' AND m->'record' ?| '{standard_name,standard_requirement}'
                 AND NOT EXISTS (SELECT FROM onemap.work_standard w
                                 WHERE w.subsystem = $1 AND w.code = m->'record'->>'standard_code')
             ORDER BY 1, n LOOP
        BEGIN
            INSERT INTO onemap.work_standard (subsystem, code, name, requirement, source)
            VALUES ($1, s.code, coalesce(s.said->>'standard_name', ''), coalesce(s.said->>'standard_requirement', ''), $2)
            ON CONFLICT ON CONSTRAINT work_standard_subsystem_code_key DO NOTHING;
        EXCEPTION WHEN integrity_constraint_violation OR data_exception OR program_limit_exceeded THEN
            RAISE DEBUG 'standard % is not stored: %', s.code, SQLERRM; -- its records name a standard that is unknown
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.standards_put(text, text, jsonb[]) IS
    'Stores the standards that the work records of a message describe and nobody knows yet; the first word stands';
