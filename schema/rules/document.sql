-- The other kinds of message: inventory (devices: inventory.sql), staff and work (staff_work.sql), case and interval
-- (interval.sql). The hub hands over each message decoded; every record is judged alone, and one that cannot be stored goes to
-- quarantine with its reason while the others stay.

-- Each version of a row that a transaction makes is looked at by those that come after it in the transaction: thousands of records
-- of one object would take for ever, and thousands of statements long. So the records of inventories, staff, work and intervals are
-- worked out without being stored, and what comes of all is stored at last (object.sql, interval.sql).

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

-- Below message_store(), which pins the search path for all of it: pinned in each function again, it would cost a tenth more.

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
    INSERT INTO onemap.case_inbox (subsystem, vendor, code, record) VALUES ($1, $2, record->>'case_code', record)
    ON CONFLICT DO NOTHING;
    PERFORM onemap.objects_raced(1, FOUND::int);
    PERFORM onemap.case_report_from_subsystem($1, $2, record);
    RETURN 'accepted';
END $$;
COMMENT ON FUNCTION onemap.case_put(text, text, jsonb) IS
    'Stores a problem that a subsystem reports and hands it to the case module';

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

CREATE OR REPLACE FUNCTION onemap.problem_with(problem jsonb, flaws jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN flaws = '[]' THEN problem
        ELSE problem || jsonb_build_object('reason', concat_ws('; ', problem->>'reason', flaws->0->>'reason')) END;
END $$;
COMMENT ON FUNCTION onemap.problem_with(jsonb, jsonb) IS
    'The problem of a record that is refused; the first of its flaws is told with it, which may be why nothing was left of it';

CREATE OR REPLACE FUNCTION onemap.server_fault(state text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN state ~ '^(08|25|3F|40|42|53|55|57|58|F0)';
END $$;
COMMENT ON FUNCTION onemap.server_fault(text) IS
    'Whether an error of this SQLSTATE is no record''s fault: the connection, a standby, a schema, function or right that is '
    'missing, a deadlock, no room, a lock, a shutdown, the disk (PostgreSQL manual, appendix A). As hub/link/postgres_error.c has '
    'them for telemetry, but XX, which PostGIS raises for a shape';

CREATE OR REPLACE FUNCTION onemap.message_latest(message jsonb) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(now() + make_interval(secs => (message->>'ahead_s')::float8), 'infinity');
END $$;
COMMENT ON FUNCTION onemap.message_latest(jsonb) IS
    'The latest time that a record may have now: ahead_s of the message''s later than the clock; without it any time';

CREATE OR REPLACE FUNCTION onemap.record_without(record jsonb, flaws jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN flaws = '[]' THEN record ELSE record - ARRAY(SELECT f->>'field' FROM jsonb_array_elements(flaws) f) END;
END $$;
COMMENT ON FUNCTION onemap.record_without(jsonb, jsonb) IS 'The record without the fields that these flaws name';

-- What can be foreseen is looked up first: an error that is raised and caught costs as much as storing the record.
CREATE OR REPLACE FUNCTION onemap.case_problem(message jsonb, member jsonb, record jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    empty text := onemap.case_content_missing(record);
    other text := onemap.case_other_content(message->>'subsystem', message->>'vendor', record);
BEGIN
    RETURN CASE WHEN other IS NOT NULL THEN onemap.record_problem((member->>'index')::int, 'CH018', other)
        WHEN empty IS NOT NULL THEN onemap.record_problem((member->>'index')::int, 'CH013', empty) END;
END $$;
COMMENT ON FUNCTION onemap.case_problem(jsonb, jsonb, jsonb) IS
    'The problem of a report that is refused whatever the case module says, NULL of others; record: the member''s without flaws';

-- `member` = {index, record, fields, bad_fields} of a message.
CREATE OR REPLACE FUNCTION onemap.member_store(message jsonb, member jsonb, OUT fate text, OUT record jsonb, OUT flaws jsonb,
    OUT problem jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    record := member->'record';
    flaws := onemap.document_flaws(message->>'kind', message->>'subsystem', message->>'vendor', record);
    record := onemap.record_without(record, flaws);
    IF message->>'kind' IS DISTINCT FROM 'case' THEN
        RAISE EXCEPTION 'kind: nothing stores messages of kind %', message->>'kind' USING ERRCODE = 'CH002';
    END IF;
    problem := onemap.case_problem(message, member, record);
    fate := CASE WHEN problem IS NULL THEN onemap.case_put(message->>'subsystem', message->>'vendor', record) ELSE 'rejected' END;
EXCEPTION
    WHEN OTHERS THEN
        IF onemap.server_fault(SQLSTATE) THEN
            RAISE; -- the whole batch is taken again
        END IF;
        IF SQLSTATE LIKE '23%' THEN
            -- For the database's keepers alone, when they ask: at level LOG the server adds the whole statement, so the
            -- message, to each of its records.
            RAISE DEBUG 'record % of % was refused: %', member->>'index', message->>'topic', SQLERRM;
        END IF;
        fate := 'rejected';
        problem := onemap.record_problem((member->>'index')::int, SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION onemap.member_store(jsonb, jsonb) IS
    'Stores one record of a message of kind case; its fate and itself without the fields that are left out, their flaws; rejected '
    'with its problem if it cannot be stored';

CREATE OR REPLACE FUNCTION onemap.message_members(message jsonb) RETURNS TABLE (kind text, members jsonb[])
LANGUAGE sql STABLE AS $$
    SELECT k.kind, array_agg(k.member ORDER BY k.place)
    FROM (SELECT e AS member, n AS place, CASE message->>'kind' WHEN 'staff' THEN coalesce(e->'record'->>'kind', '')
              WHEN 'work' THEN 'work' WHEN 'inventory' THEN 'inventory' WHEN 'interval' THEN 'interval' END AS kind
          FROM jsonb_array_elements(message->'records') WITH ORDINALITY AS a(e, n)) k
    GROUP BY k.kind, CASE WHEN k.kind IS NULL THEN k.place END
    ORDER BY min(k.place)
$$;
COMMENT ON FUNCTION onemap.message_members(jsonb) IS
    'The records of a message as they are stored: each alone (kind NULL), but together those of an inventory, all work, all '
    'intervals, all people and all vehicles (kind inventory, work, interval, PERSON, VEHICLE)';

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

-- The whole of one such message, in the batch's transaction. `message` = {subsystem, vendor, kind, topic, message (its name
-- in the receipt), receipt (it wants one), received_at_ms, ahead_s (how far a record may be ahead of the clock), first_received_ms
-- (of a replayed one), records: [{index, record, fields: bad ones that were left out, bad_fields: how many, found: something
-- is to be mended}], problems and warnings found while decoding, warned: how many warnings, findings: how often what was found,
-- total}. Of refused records and of bad fields a thousand each are listed.
-- Plans are made once in a session and used for long: they must not be those of a table that was empty then, and never be made anew
-- for a record that lacks a field, as by then an absent key looks cheaper than any plan. All is looked up by key.
CREATE OR REPLACE FUNCTION onemap.message_store(message jsonb, payload bytea, OUT accepted int, OUT duplicates int,
    OUT rejected int, OUT merged int, OUT revised int, OUT bad_fields int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    r record; s jsonb; flaws jsonb; members jsonb[]; told jsonb[]; found jsonb[] := ARRAY[]::jsonb[]; flawed int := 0;
    noted text[] := ARRAY[]::text[]; counts jsonb;
    problems jsonb := coalesce(message->'problems', '[]');
    refused int := jsonb_array_length(problems);
    said jsonb := message - '{records,problems,warnings,findings}'::text[];
    since timestamptz := onemap.record_time(message, 'first_received_ms');
BEGIN
    accepted := 0; duplicates := 0; merged := 0; revised := 0; bad_fields := 0;
    FOR r IN SELECT m.* FROM onemap.message_members(message) m LOOP
        members := r.members; -- in a variable of its own an element is found at once, whatever its place
        told := CASE WHEN r.kind IS NULL THEN ARRAY[to_jsonb(onemap.member_store(said, members[1]))]
            ELSE onemap.members_put(said, r.kind, members, since) END;
        FOR i IN 1 .. cardinality(told) LOOP
            s := told[i];
            flaws := coalesce(members[i]->'fields', '[]') || coalesce(nullif(s->'flaws', 'null'), '[]');
            IF s->>'fate' = 'rejected' THEN
                refused := refused + 1;
                noted := noted || ('refused/' || (s->'problem'->>'code') || '/');
                IF refused <= 1000 THEN
                    found := found || onemap.problem_with(s->'problem', flaws);
                END IF;
                CONTINUE;
            END IF;
            accepted := accepted + (s->>'fate' = 'accepted')::int; duplicates := duplicates + (s->>'fate' = 'duplicate')::int;
            merged := merged + (s->>'fate' = 'merged')::int; revised := revised + (s->>'fate' = 'revised')::int;
            bad_fields := bad_fields + coalesce((members[i]->>'bad_fields')::int, 0) + jsonb_array_length(s->'flaws');
            flawed := flawed + (members[i] ? 'found' OR flaws <> '[]')::int;
            IF s->'flaws' <> '[]' THEN
                noted := noted || ARRAY(SELECT format('field/%s/%s', f->>'code', f->>'field')
                    FROM jsonb_array_elements(s->'flaws') f);
            END IF;
            IF flaws <> '[]' AND bad_fields <= 1000 THEN
                found := found || ARRAY(SELECT jsonb_build_object('index', members[i]->'index') || f
                                        FROM jsonb_array_elements(flaws) f);
            END IF;
        END LOOP;
    END LOOP;
    problems := problems || to_jsonb(found);
    -- The list may be shorter than what it stands for; a message refused whole has one problem and no records.
    rejected := greatest((message->>'total')::int - accepted - duplicates - merged - revised, refused);
    counts := jsonb_build_object('accepted', accepted, 'duplicates', duplicates, 'merged', merged, 'revised', revised,
        'rejected', rejected, 'bad_fields', bad_fields);
    PERFORM onemap.message_receipt(message - 'records', counts, problems, payload);
    PERFORM onemap.conformity_document(message, counts, flawed, noted, found);
    IF said->>'kind' = 'inventory' AND accepted + merged + revised > 0 THEN
        PERFORM pg_notify('cityhub_registry', 'inventory');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.message_store(jsonb, bytea) IS
    'Stores one decoded message of kind inventory, staff, work, case or interval with its receipt and, if a record or a field '
    'could not be stored, its quarantine row; tells what became of its records';
GRANT EXECUTE ON FUNCTION onemap.message_store(jsonb, bytea) TO cityhub_hub;
