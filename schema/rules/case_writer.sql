-- The only writers of a case and its journal: onemap.case_open() makes a case with its first event, onemap.case_write() changes
-- one with the event that did it: one update checked against its version, one row of the journal, chained by hash.

CREATE OR REPLACE FUNCTION onemap.case_event_make(was onemap.case_record, c onemap.case_record, action text, role text, actor text,
    moment timestamptz, request jsonb, detail jsonb, unit text) RETURNS onemap.case_event
LANGUAGE plpgsql STABLE AS $$
DECLARE e onemap.case_event; remaining numeric; used_s numeric; overdue_s numeric; former text; reason text;
BEGIN
    IF c.department_id IS NOT NULL AND (unit IS NULL OR was.department_id IS DISTINCT FROM c.department_id) THEN
        SELECT d.code INTO unit FROM onemap.department d WHERE d.id = c.department_id;
        IF was.department_id <> c.department_id THEN
            SELECT d.code INTO former FROM onemap.department d WHERE d.id = was.department_id;
        END IF;
    END IF;
    IF was.limit_s IS NOT NULL THEN
        -- Stopped just now, the clock has been read already.
        remaining := CASE WHEN was.clock_started_at IS NOT NULL AND c.clock_started_at IS NULL THEN c.remaining_s
                          ELSE onemap.case_remaining(was, moment) END;
        IF was.clock_started_at IS NULL AND remaining < 0 OR was.clock_started_at IS NOT NULL AND moment > was.deadline_at THEN
            overdue_s := round(greatest(-remaining, 0), 3);
        END IF;
        used_s := round(was.limit_s - remaining, 3);
    END IF;
    IF action = 'dispatch' AND c.clock_started_at = moment THEN
        used_s := 0.000;
    END IF;
    IF request ? 'reason' THEN
        reason := onemap.case_text(request, 'reason', 2000);
    END IF;
    -- Its id comes when it is written.
    e.case_id := c.id; e.case_code := c.code; e.seq := c.event_count; e.at := moment; e.recorded_at := clock_timestamp();
    e.action := action; e.from_state := was.state; e.to_state := c.state; e.role := role; e.actor := actor;
    e.recorded_by := session_user::text; e.department := unit; e.previous_department := former; e.source := c.source;
    e.catalogue_version := c.catalogue_version; e.category := c.category_code; e.condition_number := c.condition_number;
    e.grid_cell := c.grid_cell; e.street := c.street; e.limit_value := c.limit_value; e.limit_unit := c.limit_unit;
    e.deadline_at := c.deadline_at; e.used_s := used_s; e.overdue_s := overdue_s; e.stage_deadline_at := was.stage_deadline_at;
    e.flags := onemap.case_findings(was, c, action, request, overdue_s IS NOT NULL, moment);
    e.satisfaction := CASE WHEN action = 'call_back' THEN c.satisfaction END;
    e.reason := reason; e.detail := detail; e.previous_hash := was.last_hash;
    e.hash := onemap.case_event_hash(e);
    RETURN e;
END $$;
COMMENT ON FUNCTION onemap.case_event_make(onemap.case_record, onemap.case_record, text, text, text, timestamptz, jsonb, jsonb,
    text) IS
    'The event that leads from a case as it was to what it is, chained to the last one; unit: code of the department it was '
    'with, NULL = look it up';

CREATE OR REPLACE FUNCTION onemap.case_event_add(e onemap.case_event) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO onemap.case_event (case_id, case_code, seq, at, recorded_at, action, from_state, to_state, role, actor, recorded_by,
        department, previous_department, source, catalogue_version, category, condition_number, grid_cell, street, limit_value,
        limit_unit, deadline_at, used_s, overdue_s, stage_deadline_at, flags, satisfaction, reason, detail, previous_hash, hash)
    VALUES (e.case_id, e.case_code, e.seq, e.at, e.recorded_at, e.action, e.from_state, e.to_state, e.role, e.actor, e.recorded_by,
        e.department, e.previous_department, e.source, e.catalogue_version, e.category, e.condition_number, e.grid_cell, e.street,
        e.limit_value, e.limit_unit, e.deadline_at, e.used_s, e.overdue_s, e.stage_deadline_at, e.flags, e.satisfaction, e.reason,
        e.detail, e.previous_hash, e.hash) RETURNING id INTO e.id;
    IF e.detail ? 'attachments' THEN
        INSERT INTO onemap.case_attachment (case_id, seq, uri, sha256, size_bytes, media_type)
        SELECT e.case_id, e.seq, a.uri, decode(a.sha256, 'hex'), a.size_bytes, a.media_type
        FROM jsonb_to_recordset(e.detail->'attachments') AS a (uri text, sha256 text, size_bytes bigint, media_type text);
    END IF;
    -- A commit that notifies holds a lock of the whole database until it is on disk: if all transitions did, their commits
    -- would go one by one. So of those under way at the same time one speaks for all.
    IF pg_try_advisory_xact_lock(hashtext('onemap.case_notify')) THEN
        PERFORM pg_notify('cityhub_cases', jsonb_build_object('case', e.case_code, 'seq', e.seq, 'action', e.action,
            'state', e.to_state)::text);
    END IF;
    RETURN e.id;
END $$;
COMMENT ON FUNCTION onemap.case_event_add(onemap.case_event) IS
    'Appends an event to the journal, with its attachments; returns its id. Tells listeners of channel cityhub_cases that the '
    'journal has grown: who hears it reads the journal from the last id he has, and once more a second later, for those that '
    'were under way then';

CREATE OR REPLACE FUNCTION onemap.case_write(was onemap.case_record, c onemap.case_record, action text, role text, actor text,
    moment timestamptz, request jsonb, detail jsonb, unit text DEFAULT NULL) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE e onemap.case_event;
BEGIN
    c.version := was.version + 1;
    c.event_count := was.event_count + 1;
    c.last_event_at := moment;
    e := onemap.case_event_make(was, c, action, role, actor, moment, request, detail, unit);
    c.last_hash := e.hash;
    IF NOT c.flags @> e.flags THEN
        c.flags := ARRAY(SELECT DISTINCT f FROM unnest(c.flags || e.flags) f ORDER BY f);
    END IF;
    -- The case first: whoever comes second waits here, and finds that the version is no longer his.
    UPDATE onemap.case_record r SET version = c.version, state = c.state, category_code = c.category_code,
        condition_number = c.condition_number, department_id = c.department_id, candidates = c.candidates,
        merged_into = c.merged_into,
        accepted_at = c.accepted_at, registered_at = c.registered_at, dispatched_at = c.dispatched_at, handled_at = c.handled_at,
        checked_at = c.checked_at, ended_at = c.ended_at, limit_value = c.limit_value, limit_unit = c.limit_unit, clock = c.clock,
        limit_s = c.limit_s, clock_started_at = c.clock_started_at, remaining_s = c.remaining_s, deadline_at = c.deadline_at,
        warn_at = c.warn_at, stage_entered_at = c.stage_entered_at, stage_deadline_at = c.stage_deadline_at,
        resume_state = c.resume_state, asked_extension = c.asked_extension, asked_suspension = c.asked_suspension,
        rework_count = c.rework_count, return_count = c.return_count, wrong_dispatch_count = c.wrong_dispatch_count,
        extension_count = c.extension_count, suspension_count = c.suspension_count, supervision_count = c.supervision_count,
        reminder_count = c.reminder_count, flags = c.flags, satisfaction = c.satisfaction, event_count = c.event_count,
        last_event_at = c.last_event_at, last_hash = c.last_hash
    WHERE r.id = was.id AND r.version = was.version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'case %: somebody else changed it meanwhile, version % is no longer its last', was.code, was.version
            USING ERRCODE = 'CH011', HINT = 'Look at it again, then decide again.';
    END IF;
    e.id := onemap.case_event_add(e);
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_write(onemap.case_record, onemap.case_record, text, text, text, timestamptz, jsonb, jsonb, text) IS
    'Writes a changed case and its event, if the case still has the version it was read with; CH011 if not; unit: code of the '
    'department it was with, if known';

CREATE OR REPLACE FUNCTION onemap.case_open(c onemap.case_record, role text, actor text, request jsonb,
    detail jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE was onemap.case_record; e onemap.case_event;
BEGIN
    c.id := nextval('onemap.case_record_id_seq');
    c.code := to_char(onemap.local_time(c.reported_at), 'YYYYMMDD') || '-'
        || lpad(c.id::text, greatest(6, length(c.id::text)), '0');
    c.version := 1; c.event_count := 1; c.state := 'reported'; c.candidates := '{}'; c.flags := '{}';
    c.rework_count := 0; c.return_count := 0; c.wrong_dispatch_count := 0; c.extension_count := 0; c.suspension_count := 0;
    c.supervision_count := 0; c.reminder_count := 0;
    c.stage_entered_at := c.reported_at; c.last_event_at := c.reported_at;
    c.stage_deadline_at := onemap.case_stage_deadline(c);
    was.last_hash := decode(repeat('00', 32), 'hex');
    e := onemap.case_event_make(was, c, 'report', role, actor, c.reported_at, request, detail, NULL);
    c.last_hash := e.hash;
    INSERT INTO onemap.case_record (id, code, version, state, source, title, description, address,
        catalogue_version, category_code, condition_number, geom, grid_cell, street, component_code, device_id, subsystem,
        vendor, external_code, department_id, candidates, merged_into, reported_at, accepted_at, registered_at, dispatched_at,
        handled_at, checked_at, ended_at, limit_value, limit_unit, clock, limit_s, clock_started_at, remaining_s, deadline_at,
        warn_at, stage_entered_at, stage_deadline_at, resume_state, asked_extension, asked_suspension, rework_count,
        return_count, wrong_dispatch_count, extension_count, suspension_count, supervision_count, reminder_count, flags,
        satisfaction, event_count, last_event_at, last_hash)
    OVERRIDING SYSTEM VALUE
    VALUES (c.id, c.code, c.version, c.state, c.source, c.title, c.description, c.address, c.catalogue_version,
        c.category_code, c.condition_number, c.geom, c.grid_cell, c.street, c.component_code, c.device_id, c.subsystem,
        c.vendor, c.external_code, c.department_id, c.candidates, c.merged_into, c.reported_at, c.accepted_at,
        c.registered_at, c.dispatched_at, c.handled_at, c.checked_at, c.ended_at, c.limit_value, c.limit_unit, c.clock,
        c.limit_s, c.clock_started_at, c.remaining_s, c.deadline_at, c.warn_at, c.stage_entered_at, c.stage_deadline_at,
        c.resume_state, c.asked_extension, c.asked_suspension, c.rework_count, c.return_count, c.wrong_dispatch_count,
        c.extension_count, c.suspension_count, c.supervision_count, c.reminder_count, c.flags, c.satisfaction, c.event_count,
        c.last_event_at, c.last_hash);
    e.id := onemap.case_event_add(e);
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_open(onemap.case_record, text, text, jsonb, jsonb) IS
    'Writes a new case and its first event; draws its number: day-serial';
