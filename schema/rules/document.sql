-- The other kinds of message: inventory (devices: inventory.sql), staff (people and vehicles on duty, 人员管控), work (作业过程,
-- 作业标准, 作业绩效), case and interval (interval.sql). The hub hands over each message decoded; every record is judged alone,
-- and one that cannot be stored goes to quarantine with its reason while the others stay.

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

CREATE OR REPLACE FUNCTION onemap.record_outside(record jsonb) RETURNS public.geometry LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN record ? 'outside_lon' THEN
        public.ST_SetSRID(public.ST_MakePoint((record->>'outside_lon')::float8, (record->>'outside_lat')::float8), 4326) END
$$;
COMMENT ON FUNCTION onemap.record_outside(jsonb) IS
    'The record''s place if it is outside the county (outside_lon, outside_lat, WGS 84), NULL if absent';

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

-- What became of a row, as whole rows say.
CREATE OR REPLACE FUNCTION onemap.row_fate(old jsonb, new jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF old = new THEN
        RETURN 'duplicate';
    END IF;
    RETURN (SELECT CASE WHEN pg_catalog.bool_or(o.value NOT IN ('null', '""')) THEN 'revised'
                        WHEN pg_catalog.count(*) > 0 THEN 'merged' ELSE 'duplicate' END
            FROM pg_catalog.jsonb_each(old) o JOIN pg_catalog.jsonb_each(new) n USING (key) WHERE o.value <> n.value);
END $$;
COMMENT ON FUNCTION onemap.row_fate(jsonb, jsonb) IS
    'duplicate: nothing is another; merged: what was empty is not any more; revised: another value for something';

-- Below message_store(), which pins the search path for all of it: pinned in each function again, it would cost a tenth more.
-- One function per kind: stores one record; returns its fate; raises what is wrong. `since`: when a replayed message came first,
-- NULL = now. What is stored is changed by what came later alone.

CREATE OR REPLACE FUNCTION onemap.staff_put(subsystem text, vendor text, record jsonb, since timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := onemap.record_time(record, 'observed_at_ms'); device int; department int;
    old_at timestamptz; old jsonb; new jsonb;
BEGIN
    device := onemap.record_device(subsystem, vendor, record, 'device_code');
    department := onemap.record_department(record);
    IF record->>'kind' = 'VEHICLE' THEN
        SELECT v.observed_at, to_jsonb(v) INTO old_at, old FROM onemap.vehicle v
        WHERE v.subsystem = $1 AND v.vendor = $2 AND v.code = record->>'code' FOR UPDATE;
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
        WHERE v.observed_at < excluded.observed_at OR (v.observed_at = excluded.observed_at AND since IS NULL)
        RETURNING to_jsonb(v) INTO new;
    ELSE
        SELECT p.observed_at, to_jsonb(p) INTO old_at, old FROM onemap.person p
        WHERE p.subsystem = $1 AND p.vendor = $2 AND p.code = record->>'code' FOR UPDATE;
        INSERT INTO onemap.person AS p (subsystem, vendor, code, name, role, department_id, device_id, on_duty, observed_at, geom)
        VALUES ($1, $2, record->>'code', coalesce(record->>'name', ''), coalesce(record->>'role', ''),
                department, device, (record->>'on_duty')::boolean, at, onemap.record_point(record))
        ON CONFLICT ON CONSTRAINT person_subsystem_vendor_code_key DO UPDATE SET
            name = coalesce(record->>'name', p.name), role = coalesce(record->>'role', p.role),
            department_id = coalesce(excluded.department_id, p.department_id),
            device_id = coalesce(excluded.device_id, p.device_id), on_duty = coalesce(excluded.on_duty, p.on_duty),
            observed_at = excluded.observed_at, geom = coalesce(excluded.geom, p.geom)
        WHERE p.observed_at < excluded.observed_at OR (p.observed_at = excluded.observed_at AND since IS NULL)
        RETURNING to_jsonb(p) INTO new;
    END IF;
    -- An older state changes nothing: the last one by observed_at stands. One of the same time adds to it or corrects it.
    RETURN CASE WHEN new IS NULL THEN 'duplicate' WHEN old_at = at THEN onemap.row_fate(old, new) ELSE 'accepted' END;
END $$;
COMMENT ON FUNCTION onemap.staff_put(text, text, jsonb, timestamptz) IS
    'Stores one staff record: the last state of a person or vehicle';

CREATE OR REPLACE FUNCTION onemap.record_standard(subsystem text, vendor text, record jsonb) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE standard int;
BEGIN
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
    RETURN standard;
END $$;
COMMENT ON FUNCTION onemap.record_standard(text, text, jsonb) IS
    'Id of the standard the record names, NULL if absent; one that is described with it is new, CH002 if it is neither known';

CREATE OR REPLACE FUNCTION onemap.work_put(subsystem text, vendor text, record jsonb, since timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    standard int; person int; vehicle int; device int; department int;
    at timestamptz := onemap.record_time(record, 'observed_at_ms'); old_at timestamptz; old jsonb; new jsonb;
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
    standard := onemap.record_standard(subsystem, vendor, record);
    SELECT w.observed_at, to_jsonb(w) INTO old_at, old FROM onemap.work_order w
    WHERE w.subsystem = $1 AND w.vendor = $2 AND w.code = record->>'work_code' FOR UPDATE;
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
    WHERE w.observed_at < excluded.observed_at OR (w.observed_at = excluded.observed_at AND since IS NULL)
    RETURNING to_jsonb(w) INTO new;
    RETURN CASE WHEN new IS NULL THEN 'duplicate' WHEN old_at = at THEN onemap.row_fate(old, new) ELSE 'accepted' END;
END $$;
COMMENT ON FUNCTION onemap.work_put(text, text, jsonb, timestamptz) IS 'Stores one work record: the last state of a work order';

CREATE OR REPLACE FUNCTION onemap.case_other_content(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE known jsonb;
BEGIN
    SELECT i.record INTO known FROM onemap.case_inbox i WHERE i.subsystem = $1 AND i.vendor = $2 AND i.code = $3->>'case_code';
    IF known IS NULL OR known = record THEN
        RETURN NULL;
    END IF;
    RETURN format('case_code: %s was reported before with other content (%s), which stands; report what is new under another code',
        record->>'case_code', (SELECT string_agg(k.key, ', ' ORDER BY k.key) FROM jsonb_object_keys(known || record) k(key)
                               WHERE known->k.key IS DISTINCT FROM record->k.key));
END $$;
COMMENT ON FUNCTION onemap.case_other_content(text, text, jsonb) IS
    'Why a report is not taken whose code came before with other content: a case goes its way by what people do to it; NULL if it '
    'may be taken or is the same';

CREATE OR REPLACE FUNCTION onemap.case_put(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql AS $$
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
-- in the receipt), receipt (it wants one), received_at_ms, first_received_ms (of a replayed one), records: [{index, record, fields:
-- bad ones that were left out, bad_fields: how many}], problems and warnings found while decoding, warned: how many warnings,
-- total}. Of refused records and of bad fields a thousand each are listed.
CREATE OR REPLACE FUNCTION onemap.record_put(subsystem text, vendor text, kind text, record jsonb, since timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE fate text;
BEGIN
    fate := CASE kind
        WHEN 'inventory' THEN onemap.inventory_put(subsystem, vendor, record, since)
        WHEN 'staff' THEN onemap.staff_put(subsystem, vendor, record, since)
        WHEN 'work' THEN onemap.work_put(subsystem, vendor, record, since)
        WHEN 'case' THEN onemap.case_put(subsystem, vendor, record)
        WHEN 'interval' THEN onemap.interval_put(subsystem, vendor, record, since) END;
    RETURN CASE WHEN kind IN ('staff', 'work')
        THEN onemap.document_place(kind, subsystem, vendor, record, fate, since IS NOT NULL) ELSE fate END;
END $$;
COMMENT ON FUNCTION onemap.record_put(text, text, text, jsonb, timestamptz) IS
    'Stores one record of a message of this kind; its fate, NULL if nothing stores such a kind';

-- Each version of a row that a transaction makes is looked at by those that come after it in the transaction: thousands of records
-- of one object would take for ever. So from the ninth on an inventory's are worked out without being stored (members_work_out),
-- and staff's and works' are tried, some dozen at a time: stored and taken back, which leaves nothing to look at. What comes of
-- all is stored at last.
CREATE OR REPLACE FUNCTION onemap.record_merge(old jsonb, new jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN old - CASE WHEN new ? 'lon' THEN '{outside_lon,outside_lat}' ELSE '{}' END::text[] || new;
END $$;
COMMENT ON FUNCTION onemap.record_merge(jsonb, jsonb) IS
    'One record of staff or work for two of the same object, that says what both say, one after the other';

CREATE OR REPLACE FUNCTION onemap.record_problem(index int, state text, words text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN jsonb_build_object('index', index, 'code', CASE state WHEN 'CH002' THEN 'unknown_reference' WHEN 'CH013' THEN 'bad_value'
        WHEN 'CH018' THEN 'reported_before' ELSE 'refused_by_database' END, 'reason', CASE WHEN state LIKE '23%'
        THEN 'values of the record contradict each other, or what is stored already; the log of the county''s database says more'
        ELSE words END);
END $$;
COMMENT ON FUNCTION onemap.record_problem(int, text, text) IS
    'Why a record could not be stored, as its vendor is told: without names of tables and constraints';

CREATE OR REPLACE FUNCTION onemap.record_merged_put(message jsonb, record jsonb, since timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM onemap.record_put(message->>'subsystem', message->>'vendor', message->>'kind', record, since);
END $$;
COMMENT ON FUNCTION onemap.record_merged_put(jsonb, jsonb, timestamptz) IS
    'Stores what record_merge() made of records that were not duplicates';

CREATE OR REPLACE FUNCTION onemap.record_without(record jsonb, flaws jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN flaws = '[]' THEN record ELSE record - ARRAY(SELECT f->>'field' FROM jsonb_array_elements(flaws) f) END;
END $$;
COMMENT ON FUNCTION onemap.record_without(jsonb, jsonb) IS 'The record without the fields that these flaws name';

-- `member` = {index, record, fields, bad_fields} of a message.
CREATE OR REPLACE FUNCTION onemap.member_store(message jsonb, member jsonb, since timestamptz, OUT fate text, OUT record jsonb,
    OUT flaws jsonb, OUT problem jsonb)
LANGUAGE plpgsql AS $$
DECLARE words text;
BEGIN
    record := member->'record';
    flaws := onemap.document_flaws(message->>'kind', message->>'subsystem', message->>'vendor', record);
    record := onemap.record_without(record, flaws);
    IF message->>'kind' = 'case' THEN
        words := onemap.case_other_content(message->>'subsystem', message->>'vendor', record);
        IF words IS NOT NULL THEN
            fate := 'rejected';
            problem := onemap.record_problem((member->>'index')::int, 'CH018', words);
            RETURN;
        END IF;
    END IF;
    fate := onemap.record_put(message->>'subsystem', message->>'vendor', message->>'kind', record, since);
    IF fate IS NULL THEN
        RAISE EXCEPTION 'kind: nothing stores messages of kind %', message->>'kind' USING ERRCODE = 'CH002';
    END IF;
EXCEPTION
    -- Losing the connection or a deadlock is not the record's fault: the whole batch is taken again.
    WHEN serialization_failure OR deadlock_detected OR lock_not_available OR query_canceled OR admin_shutdown
        OR disk_full OR out_of_memory THEN RAISE;
    WHEN OTHERS THEN
        IF SQLSTATE LIKE '23%' THEN
            -- For the database's keepers alone, when they ask: at level LOG the server adds the whole statement, so the
            -- message, to each of its records.
            RAISE DEBUG 'record % of % was refused: %', member->>'index', message->>'topic', SQLERRM;
        END IF;
        fate := 'rejected';
        problem := onemap.record_problem((member->>'index')::int, SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION onemap.member_store(jsonb, jsonb, timestamptz) IS
    'Stores one record of a message; its fate and itself without the fields that are left out, their flaws; rejected with its '
    'problem if it cannot be stored';

CREATE OR REPLACE FUNCTION onemap.members_try(message jsonb, members jsonb[], since timestamptz, INOUT before jsonb,
    OUT told jsonb[])
LANGUAGE plpgsql AS $$
DECLARE member jsonb; s record;
BEGIN
    IF before IS NOT NULL THEN
        PERFORM onemap.record_merged_put(message, before, since);
    END IF;
    FOREACH member IN ARRAY members LOOP
        s := onemap.member_store(message, member, since);
        told := told || to_jsonb(s);
        before := CASE WHEN s.fate IN ('duplicate', 'rejected') THEN before WHEN before IS NULL THEN s.record
                       ELSE onemap.record_merge(before, s.record) END;
    END LOOP;
    RAISE EXCEPTION 'tried' USING ERRCODE = 'CH003';
EXCEPTION WHEN SQLSTATE 'CH003' THEN
    -- A standard that one of them describes is there whatever the next one names.
    PERFORM onemap.record_standard(message->>'subsystem', message->>'vendor', t->'record') FROM unnest(told) t
    WHERE t->'record' ?| '{standard_name,standard_requirement}' AND t->>'fate' <> 'rejected';
END $$;
COMMENT ON FUNCTION onemap.members_try(jsonb, jsonb[], timestamptz, jsonb) IS
    'What member_store() tells of records of one object that come after the one `before` them, and then the one that says what '
    'all of them say; stores nothing';

CREATE OR REPLACE FUNCTION onemap.members_work_out(message jsonb, members jsonb[], since timestamptz) RETURNS jsonb[]
LANGUAGE plpgsql AS $$
DECLARE
    told jsonb[]; record jsonb; flaws jsonb; subsystem text := message->>'subsystem'; vendor text := message->>'vendor'; n int := 1;
    stored onemap.device := onemap.inventory_stored(subsystem, vendor, members[1]->'record'->>'device_code');
    device onemap.device := stored; wanted onemap.device;
BEGIN
    WHILE n <= cardinality(members) LOOP
        BEGIN -- As far as all are good: nothing is stored in it, and to enter it for each would cost as much as the rest.
            WHILE n <= cardinality(members) LOOP
                flaws := onemap.document_flaws(message->>'kind', subsystem, vendor, members[n]->'record');
                record := onemap.record_without(members[n]->'record', flaws);
                wanted := onemap.device_placed(device, onemap.inventory_after(device, subsystem, vendor, record, since));
                told := told || jsonb_build_object('fate', onemap.inventory_told(device, wanted), 'flaws', flaws);
                device := wanted;
                n := n + 1;
            END LOOP;
        EXCEPTION
            WHEN out_of_memory THEN RAISE;
            WHEN OTHERS THEN
                told := told || jsonb_build_object('fate', 'rejected', 'problem',
                    onemap.record_problem((members[n]->>'index')::int, SQLSTATE, SQLERRM));
                n := n + 1;
        END;
    END LOOP;
    IF device.code IS NOT NULL THEN
        PERFORM onemap.inventory_write(stored, device);
    END IF;
    RETURN told;
END $$;
COMMENT ON FUNCTION onemap.members_work_out(jsonb, jsonb[], timestamptz) IS
    'What member_store() would tell of inventory records of one device, one after the other; stores what they come to at the end';

CREATE OR REPLACE FUNCTION onemap.message_members(message jsonb) RETURNS TABLE (members jsonb[], tried boolean, first boolean,
    last boolean)
LANGUAGE sql STABLE AS $$
    SELECT array_agg(t.member ORDER BY t.place), t.part > 0, t.part = 1, max(t.turn) = t.turns
    FROM (SELECT k.*, row_number() OVER w AS turn, count(*) OVER (PARTITION BY k.key) AS turns,
              CASE WHEN message->>'kind' = 'inventory' THEN (row_number() OVER w > 8)::int ELSE (row_number() OVER w + 23) / 32 END
                  AS part
          FROM (SELECT e AS member, n AS place, CASE message->>'kind'
                    WHEN 'inventory' THEN CASE WHEN message ? 'first_received_ms' THEN n::text
                        ELSE e->'record'->>'device_code' END
                    WHEN 'work' THEN e->'record'->>'work_code'
                    WHEN 'staff' THEN concat(e->'record'->>'kind', ' ', e->'record'->>'code')
                    ELSE n::text END AS key
                FROM jsonb_array_elements(message->'records') WITH ORDINALITY AS a(e, n)) k
          WINDOW w AS (PARTITION BY k.key ORDER BY k.place)) t
    GROUP BY t.key, t.turns, t.part, CASE WHEN t.part = 0 THEN t.place END
    ORDER BY t.part > 0, CASE WHEN t.part > 0 THEN t.key END, min(t.place)
$$;
COMMENT ON FUNCTION onemap.message_members(jsonb) IS
    'The records of a message in their order, each alone; but those behind the eighth of one object at the end, object by object, '
    '32 at a time, to be tried (of an inventory all at once, to be worked out; not of a replayed one: it changes a device once); '
    'first, last: part of an object''s records';

CREATE OR REPLACE FUNCTION onemap.message_receipt(message jsonb, counts jsonb, problems jsonb, payload bytea) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE subsystem text := message->>'subsystem'; vendor text := message->>'vendor'; total int := (message->>'total')::int;
    warned int := coalesce((message->>'warned')::int, 0);
BEGIN
    IF jsonb_array_length(problems) > 0 THEN
        PERFORM onemap.quarantine_document(message, payload, problems);
    END IF;
    IF jsonb_array_length(problems) > 0 OR warned > 0 OR message ? 'receipt'
            OR EXISTS (SELECT FROM onemap.vendor v WHERE v.subsystem = $1->>'subsystem' AND v.vendor = $1->>'vendor'
                       AND v.receipts = 'all') THEN
        INSERT INTO onemap.outbox (topic, payload)
        VALUES (format('cityhub/v1/%s/%s/receipt', subsystem, vendor), jsonb_build_object(
            'receipts', jsonb_build_array(counts || jsonb_build_object(
            'message', message->'message', 'kind', message->'kind', 'received_at_ms', message->'received_at_ms', 'records', total,
            'problems', problems, 'warned', warned, 'warnings', coalesce(message->'warnings', '[]'))))::text);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.message_receipt(jsonb, jsonb, jsonb, bytea) IS
    'The receipt of a message, if its vendor or the message itself (receipt) wants one, and its quarantine row, if there are '
    'problems; counts: what became of its records';

-- Plans are made once in a session and used for long: they must not be those of a table that was empty then, and never be made anew
-- for a record that lacks a field, as by then an absent key looks cheaper than any plan. All is looked up by key.
CREATE OR REPLACE FUNCTION onemap.message_store(message jsonb, payload bytea, OUT accepted int, OUT duplicates int,
    OUT rejected int, OUT merged int, OUT revised int, OUT bad_fields int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    r record; s jsonb; flaws jsonb; members jsonb[]; told jsonb[]; tried jsonb; found jsonb[] := ARRAY[]::jsonb[];
    problems jsonb := coalesce(message->'problems', '[]');
    refused int := jsonb_array_length(problems);
    said jsonb := message - '{records,problems,warnings}'::text[];
    since timestamptz := onemap.record_time(message, 'first_received_ms');
BEGIN
    accepted := 0; duplicates := 0; merged := 0; revised := 0; bad_fields := 0;
    FOR r IN SELECT m.* FROM onemap.message_members(message) m LOOP
        members := r.members; -- in a variable of its own an element is found at once, whatever its place
        IF r.tried AND said->>'kind' = 'inventory' THEN
            told := onemap.members_work_out(said, members, since);
        ELSIF r.tried THEN
            SELECT t.told, t.before INTO told, tried
            FROM onemap.members_try(said, members, since, CASE WHEN NOT r.first THEN tried END) t;
        ELSE
            told := ARRAY[to_jsonb(onemap.member_store(said, members[1], since))];
        END IF;
        FOR i IN 1 .. cardinality(told) LOOP
            s := told[i];
            IF s->>'fate' = 'rejected' THEN
                refused := refused + 1;
                IF refused <= 1000 THEN
                    found := found || (s->'problem');
                END IF;
                CONTINUE;
            END IF;
            accepted := accepted + (s->>'fate' = 'accepted')::int; duplicates := duplicates + (s->>'fate' = 'duplicate')::int;
            merged := merged + (s->>'fate' = 'merged')::int; revised := revised + (s->>'fate' = 'revised')::int;
            flaws := coalesce(members[i]->'fields', '[]') || (s->'flaws');
            bad_fields := bad_fields + coalesce((members[i]->>'bad_fields')::int, 0) + jsonb_array_length(s->'flaws');
            IF flaws <> '[]' AND bad_fields <= 1000 THEN
                found := found || ARRAY(SELECT jsonb_build_object('index', members[i]->'index') || f
                                        FROM jsonb_array_elements(flaws) f);
            END IF;
        END LOOP;
        IF r.last AND r.tried AND tried IS NOT NULL THEN
            PERFORM onemap.record_merged_put(said, tried, since);
        END IF;
    END LOOP;
    problems := problems || to_jsonb(found);
    -- The list may be shorter than what it stands for; a message refused whole has one problem and no records.
    rejected := greatest((message->>'total')::int - accepted - duplicates - merged - revised, refused);
    PERFORM onemap.message_receipt(message - 'records', jsonb_build_object('accepted', accepted, 'duplicates', duplicates,
        'merged', merged, 'revised', revised, 'rejected', rejected, 'bad_fields', bad_fields), problems, payload);
    IF said->>'kind' = 'inventory' AND accepted + merged + revised > 0 THEN
        PERFORM pg_notify('cityhub_registry', 'inventory');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.message_store(jsonb, bytea) IS
    'Stores one decoded message of kind inventory, staff, work, case or interval with its receipt and, if a record or a field '
    'could not be stored, its quarantine row; tells what became of its records';
GRANT EXECUTE ON FUNCTION onemap.message_store(jsonb, bytea) TO cityhub_hub;
