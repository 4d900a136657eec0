-- The other kinds of message: inventory (devices), staff (people and vehicles on duty, 人员管控), work (作业过程, 作业标准,
-- 作业绩效) and case. The hub hands over each message decoded; every record is judged alone here, and one that cannot be
-- stored goes to quarantine with its reason while the others stay.

-- Small readers of a decoded record.
CREATE OR REPLACE FUNCTION onemap.record_time(record jsonb, key text) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.to_timestamp((record->>key)::bigint / 1000.0)
$$;
COMMENT ON FUNCTION onemap.record_time(jsonb, text) IS 'A *_ms field as a time, NULL if absent';

CREATE OR REPLACE FUNCTION onemap.record_point(record jsonb) RETURNS public.geometry LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN record ? 'lon' THEN
        public.ST_SetSRID(public.ST_MakePoint((record->>'lon')::float8, (record->>'lat')::float8), 4326) END
$$;
COMMENT ON FUNCTION onemap.record_point(jsonb) IS 'The record''s place (lon, lat, WGS 84), NULL if absent';

CREATE OR REPLACE FUNCTION onemap.record_department(record jsonb) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE found_id int;
BEGIN
    IF record ? 'department_code' THEN
        SELECT d.id INTO found_id FROM onemap.department d WHERE d.code = record->>'department_code';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'department_code: the county has no department %', record->>'department_code' USING ERRCODE = 'CH002';
        END IF;
    END IF;
    RETURN found_id;
END $$;
COMMENT ON FUNCTION onemap.record_department(jsonb) IS 'Id of the record''s department_code, NULL if absent, CH002 if unknown';

CREATE OR REPLACE FUNCTION onemap.record_device(subsystem text, vendor text, record jsonb, key text) RETURNS int
    LANGUAGE plpgsql STABLE AS $$
DECLARE found_id int;
BEGIN
    IF record ? key THEN
        SELECT d.id INTO found_id FROM onemap.device d WHERE d.subsystem = $1 AND d.vendor = $2 AND d.code = record->>key;
        IF NOT FOUND THEN
            RAISE EXCEPTION '%: there is no device % of this vendor; send its inventory first', key, record->>key
                USING ERRCODE = 'CH002';
        END IF;
    END IF;
    RETURN found_id;
END $$;
COMMENT ON FUNCTION onemap.record_device(text, text, jsonb, text) IS
    'Id of the device the record names under key, NULL if absent, CH002 if unknown';

-- One function per kind: stores one record; returns accepted or duplicate; raises what is wrong.
CREATE OR REPLACE FUNCTION onemap.inventory_put(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE stored onemap.device; parent int; details jsonb; department int;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.device_kind k WHERE k.subsystem = $1 AND k.key = record->>'kind') THEN
        RAISE EXCEPTION 'kind: % has no device kind %; it has %', subsystem, record->>'kind',
            (SELECT string_agg(k.key, ', ' ORDER BY k.key) FROM onemap.device_kind k WHERE k.subsystem = $1)
                USING ERRCODE = 'CH002';
    END IF;
    IF record ? 'component_code' AND record->>'component_code' !~ '^[0-9]{16}$' THEN
        RAISE EXCEPTION 'component_code: must be 16 digits (GB/T 30428.2), not %', record->>'component_code'
            USING ERRCODE = 'CH002';
    END IF;
    parent := onemap.record_device(subsystem, vendor, record, 'parent_code');
    department := onemap.record_department(record);
    SELECT coalesce(jsonb_object_agg(a->>'key', a->>'value'), '{}') INTO details
    FROM jsonb_array_elements(record->'attributes') a WHERE a ? 'key';
    SELECT * INTO stored FROM onemap.device d WHERE d.subsystem = $1 AND d.vendor = $2
        AND d.code = record->>'device_code' FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO onemap.device (subsystem, vendor, code, kind, name_zh, component_code, status, parent_id, geom, department_id,
            attributes)
        VALUES ($1, $2, record->>'device_code', record->>'kind', coalesce(record->>'name', ''), record->>'component_code',
                CASE WHEN (record->>'retired')::boolean THEN 'retired' ELSE 'active' END, parent,
                onemap.record_point(record), department, details);
        RETURN 'accepted';
    END IF;
    UPDATE onemap.device d SET kind = record->>'kind', name_zh = coalesce(record->>'name', d.name_zh),
        component_code = coalesce(record->>'component_code', d.component_code),
        status = CASE WHEN (record->>'retired')::boolean THEN 'retired' ELSE 'active' END,
        parent_id = coalesce(parent, d.parent_id), geom = coalesce(onemap.record_point(record), d.geom),
        department_id = coalesce(department, CASE WHEN record ? 'lon'
            AND NOT public.ST_OrderingEquals(d.geom, onemap.record_point(record))
                                                  THEN NULL ELSE d.department_id END),
        attributes = d.attributes || details
    WHERE d.id = stored.id
        AND (d.kind, d.name_zh, d.component_code, d.status, d.parent_id, d.department_id, d.attributes, d.geom::text)
            IS DISTINCT FROM
            (record->>'kind', coalesce(record->>'name', d.name_zh), coalesce(record->>'component_code', d.component_code)::char(16),
             CASE WHEN (record->>'retired')::boolean THEN 'retired' ELSE 'active' END, coalesce(parent, d.parent_id),
             coalesce(department, d.department_id), d.attributes || details, coalesce(onemap.record_point(record), d.geom)::text);
    RETURN CASE WHEN FOUND THEN 'accepted' ELSE 'duplicate' END;
END $$;
COMMENT ON FUNCTION onemap.inventory_put(text, text, jsonb) IS
    'Stores one inventory record: a new device, or what changed of a known one; makes a pending one active';

CREATE OR REPLACE FUNCTION onemap.staff_put(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE at timestamptz := onemap.record_time(record, 'observed_at_ms'); device int; department int;
BEGIN
    device := onemap.record_device(subsystem, vendor, record, 'device_code');
    department := onemap.record_department(record);
    IF record->>'kind' = 'VEHICLE' THEN
        INSERT INTO onemap.vehicle AS v (subsystem, vendor, code, name, role, plate, department_id, device_id, on_duty,
            observed_at, geom)
        VALUES ($1, $2, record->>'code', coalesce(record->>'name', ''), coalesce(record->>'role', ''),
            coalesce(record->>'plate', ''),
                department, device, (record->>'on_duty')::boolean, at, onemap.record_point(record))
        ON CONFLICT ON CONSTRAINT vehicle_subsystem_vendor_code_key DO UPDATE SET
            name = coalesce(record->>'name', v.name), role = coalesce(record->>'role', v.role),
            plate = coalesce(record->>'plate', v.plate), department_id = coalesce(excluded.department_id, v.department_id),
            device_id = coalesce(excluded.device_id, v.device_id), on_duty = coalesce(excluded.on_duty, v.on_duty),
            observed_at = excluded.observed_at, geom = coalesce(excluded.geom, v.geom)
        WHERE v.observed_at < excluded.observed_at;
    ELSE
        INSERT INTO onemap.person AS p (subsystem, vendor, code, name, role, department_id, device_id, on_duty, observed_at, geom)
        VALUES ($1, $2, record->>'code', coalesce(record->>'name', ''), coalesce(record->>'role', ''),
                department, device, (record->>'on_duty')::boolean, at, onemap.record_point(record))
        ON CONFLICT ON CONSTRAINT person_subsystem_vendor_code_key DO UPDATE SET
            name = coalesce(record->>'name', p.name), role = coalesce(record->>'role', p.role),
            department_id = coalesce(excluded.department_id, p.department_id),
            device_id = coalesce(excluded.device_id, p.device_id), on_duty = coalesce(excluded.on_duty, p.on_duty),
            observed_at = excluded.observed_at, geom = coalesce(excluded.geom, p.geom)
        WHERE p.observed_at < excluded.observed_at;
    END IF;
    -- An older or equal state changes nothing: the last one by observed_at stands.
    RETURN CASE WHEN FOUND THEN 'accepted' ELSE 'duplicate' END;
END $$;
COMMENT ON FUNCTION onemap.staff_put(text, text, jsonb) IS 'Stores one staff record: the last state of a person or vehicle';

CREATE OR REPLACE FUNCTION onemap.work_put(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE standard int; person int; vehicle int; device int; department int;
BEGIN
    device := onemap.record_device(subsystem, vendor, record, 'device_code');
    department := onemap.record_department(record);
    IF record ? 'person_code' THEN
        SELECT p.id INTO person FROM onemap.person p WHERE p.subsystem = $1 AND p.vendor = $2 AND p.code = record->>'person_code';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'person_code: there is no person % of this vendor; send kind staff first', record->>'person_code'
                USING ERRCODE = 'CH002';
        END IF;
    END IF;
    IF record ? 'vehicle_code' THEN
        SELECT v.id INTO vehicle FROM onemap.vehicle v WHERE v.subsystem = $1 AND v.vendor = $2
            AND v.code = record->>'vehicle_code';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'vehicle_code: there is no vehicle % of this vendor; send kind staff first', record->>'vehicle_code'
                USING ERRCODE = 'CH002';
        END IF;
    END IF;
    IF record ? 'standard_code' THEN
        IF record ? 'standard_name' OR record ? 'standard_requirement' THEN
            INSERT INTO onemap.work_standard (subsystem, code, name, requirement, source)
            VALUES ($1, record->>'standard_code', coalesce(record->>'standard_name', ''), coalesce(record->>'standard_requirement',
                ''), $2)
            ON CONFLICT ON CONSTRAINT work_standard_subsystem_code_key DO NOTHING;
        END IF;
        SELECT w.id INTO standard FROM onemap.work_standard w WHERE w.subsystem = $1 AND w.code = record->>'standard_code';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'standard_code: the standard % is unknown; give standard_name and standard_requirement with it',
                record->>'standard_code' USING ERRCODE = 'CH002';
        END IF;
    END IF;
    INSERT INTO onemap.work_order AS w (subsystem, vendor, code, title, status, standard_id, department_id, person_id, vehicle_id,
        device_id,
        planned_start, planned_end, started_at, finished_at, quantity, quantity_unit, quality_score, result, observed_at, geom)
    VALUES ($1, $2, record->>'work_code', coalesce(record->>'title', ''), record->>'status', standard, department, person, vehicle,
        device, onemap.record_time(record, 'planned_start_ms'), onemap.record_time(record, 'planned_end_ms'),
        onemap.record_time(record, 'started_ms'), onemap.record_time(record, 'finished_ms'),
        (record->>'quantity')::float8, coalesce(record->>'quantity_unit', ''), (record->>'quality_score')::float8,
        coalesce(record->>'result', ''), onemap.record_time(record, 'observed_at_ms'), onemap.record_point(record))
    ON CONFLICT ON CONSTRAINT work_order_subsystem_vendor_code_key DO UPDATE SET
        title = coalesce(record->>'title', w.title), status = excluded.status,
        standard_id = coalesce(excluded.standard_id, w.standard_id), department_id = coalesce(excluded.department_id,
            w.department_id),
        person_id = coalesce(excluded.person_id, w.person_id), vehicle_id = coalesce(excluded.vehicle_id, w.vehicle_id),
        device_id = coalesce(excluded.device_id, w.device_id), planned_start = coalesce(excluded.planned_start, w.planned_start),
        planned_end = coalesce(excluded.planned_end, w.planned_end), started_at = coalesce(excluded.started_at, w.started_at),
        finished_at = coalesce(excluded.finished_at, w.finished_at), quantity = coalesce(excluded.quantity, w.quantity),
        quantity_unit = coalesce(record->>'quantity_unit', w.quantity_unit),
        quality_score = coalesce(excluded.quality_score, w.quality_score), result = coalesce(record->>'result', w.result),
        observed_at = excluded.observed_at, geom = coalesce(excluded.geom, w.geom)
    WHERE w.observed_at < excluded.observed_at;
    RETURN CASE WHEN FOUND THEN 'accepted' ELSE 'duplicate' END;
END $$;
COMMENT ON FUNCTION onemap.work_put(text, text, jsonb) IS 'Stores one work record: the last state of a work order';

CREATE OR REPLACE FUNCTION onemap.case_put(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.case_inbox i WHERE i.subsystem = $1 AND i.vendor = $2 AND i.code = $3->>'case_code') THEN
        RETURN 'duplicate';
    END IF;
    INSERT INTO onemap.case_inbox (subsystem, vendor, code, record) VALUES ($1, $2, record->>'case_code', record);
    PERFORM onemap.case_report_from_subsystem($1, $2, record);
    RETURN 'accepted';
END $$;
COMMENT ON FUNCTION onemap.case_put(text, text, jsonb) IS
    'Stores a problem that a subsystem reports and hands it to the case module';

-- The whole of one such message, in the batch's transaction. `message` = {subsystem, vendor, kind, topic, message (its name
-- in the receipt), received_at_ms, records: [{index, record}], problems and warnings found while decoding, total}.
CREATE OR REPLACE FUNCTION onemap.message_store(message jsonb, payload bytea, OUT accepted int, OUT duplicates int,
    OUT rejected int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r record; fate text; code text;
    problems jsonb := coalesce(message->'problems', '[]'); subsystem text := message->>'subsystem';
        vendor text := message->>'vendor';
    total int := (message->>'total')::int; policy text;
BEGIN
    accepted := 0;
    duplicates := 0;
    FOR r IN SELECT (e->>'index')::int AS index, e->'record' AS record FROM jsonb_array_elements(message->'records') e LOOP
        BEGIN
            fate := CASE message->>'kind'
                WHEN 'inventory' THEN onemap.inventory_put(subsystem, vendor, r.record)
                WHEN 'staff' THEN onemap.staff_put(subsystem, vendor, r.record)
                WHEN 'work' THEN onemap.work_put(subsystem, vendor, r.record)
                WHEN 'case' THEN onemap.case_put(subsystem, vendor, r.record) END;
            IF fate IS NULL THEN
                RAISE EXCEPTION 'kind: nothing stores messages of kind %', message->>'kind' USING ERRCODE = 'CH002';
            END IF;
            IF fate = 'duplicate' THEN duplicates := duplicates + 1; ELSE accepted := accepted + 1; END IF;
        EXCEPTION
            -- Losing the connection or a deadlock is not the record's fault: the whole batch is taken again.
            WHEN serialization_failure OR deadlock_detected OR lock_not_available OR query_canceled OR admin_shutdown
                OR disk_full OR out_of_memory THEN RAISE;
            WHEN OTHERS THEN
                code := CASE WHEN SQLSTATE = 'CH002' THEN 'unknown_reference' ELSE 'refused_by_database' END;
                problems := problems || jsonb_build_object('index', r.index, 'code', code, 'reason', SQLERRM);
        END;
    END LOOP;
    -- The list may be shorter than what it stands for; a message refused whole has one problem and no records.
    rejected := greatest(total - accepted - duplicates, jsonb_array_length(problems));
    IF jsonb_array_length(problems) > 0 THEN
        PERFORM onemap.quarantine_document(message, payload, problems);
    END IF;
    SELECT v.receipts INTO policy FROM onemap.vendor v WHERE v.subsystem = message->>'subsystem' AND v.vendor = message->>'vendor';
    IF policy = 'all' OR jsonb_array_length(problems) > 0 THEN
        INSERT INTO onemap.outbox (topic, payload)
        VALUES (format('cityhub/v1/%s/%s/receipt', subsystem, vendor), jsonb_build_object(
            'receipts', jsonb_build_array(jsonb_build_object(
            'message', message->'message', 'kind', message->'kind', 'received_at_ms', message->'received_at_ms', 'records', total,
            'accepted', accepted, 'duplicates', duplicates, 'merged', 0, 'revised', 0, 'rejected', rejected,
            'problems', problems, 'warnings', coalesce(message->'warnings', '[]'))))::text);
    END IF;
    IF message->>'kind' = 'inventory' AND accepted > 0 THEN
        PERFORM pg_notify('cityhub_registry', 'inventory');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.message_store(jsonb, bytea) IS
    'Stores one decoded message of kind inventory, staff, work or case with its receipt and, if a record could not be stored, '
    'its quarantine row; tells what became of its records';
GRANT EXECUTE ON FUNCTION onemap.message_store(jsonb, bytea) TO cityhub_hub;
