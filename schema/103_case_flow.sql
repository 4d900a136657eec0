-- The flow of cases: report and every later action. Each change goes through onemap.case_write(): one update of the case,
-- checked against its version, and one row of the journal, chained by hash. Nothing else writes either of them.
-- Sources (alarms, subsystems), warnings and seals are in 104, readers in 105, the fields of a request in 106.
-- Errors: CH010 not allowed in this state or for this post, CH011 version conflict, CH012 no reason, CH013 a field is unknown,
-- missing or wrong, CH014 bad time, CH015 category or condition, CH016 department, CH017 no such case, CH018 there already,
-- CH019 not entitled, CH020 nothing was asked. docs/cases.md explains them.

-- ---- the hash chain ----

CREATE FUNCTION onemap.case_event_hash(e onemap.case_event) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- Microseconds since 1970, so that the session's time zone and date style do not matter; flags as jsonb, which prints
    -- arrays as this array is printed.
    SELECT sha256(e.previous_hash || convert_to(json_build_array(
        e.case_id, e.case_code, e.seq, (extract(epoch FROM e.at) * 1000000)::bigint, (extract(epoch FROM e.recorded_at) * 1000000)::bigint,
        e.action, e.from_state, e.to_state, e.role, e.actor, e.recorded_by, e.department, e.previous_department, e.source,
        e.catalogue_version, e.category, e.condition_number, e.grid_cell, e.street, e.limit_value, e.limit_unit,
        (extract(epoch FROM e.deadline_at) * 1000000)::bigint, e.used_s, e.overdue_s,
        (extract(epoch FROM e.stage_deadline_at) * 1000000)::bigint, to_jsonb(e.flags), e.satisfaction, e.reason, e.detail)::text, 'UTF8'))
$$;
COMMENT ON FUNCTION onemap.case_event_hash(onemap.case_event) IS
    'SHA-256 over previous_hash and the event''s columns but id and hash, in their order, as the text of a JSON array (times in microseconds since 1970)';

-- ---- clocks ----

CREATE FUNCTION onemap.clock_shift(clock text, moment timestamptz, seconds numeric) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE s onemap.working_span; target numeric;
BEGIN
    IF seconds >= 0 THEN
        RETURN onemap.clock_add(clock, moment, seconds);
    ELSIF clock = 'continuous' THEN
        RETURN moment + make_interval(secs => seconds::float8);
    END IF;
    target := onemap.clock_position(clock, moment) + seconds;
    SELECT * INTO s FROM onemap.working_span w
    WHERE w.clock = $1 AND w.before_s < ceil(target)::bigint ORDER BY w.before_s DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'clock %: % less % seconds is before the working calendar', clock, moment, -seconds
            USING ERRCODE = 'CH014', HINT = 'Extend it: onemap.calendar_extend.';
    END IF;
    RETURN s.opens_at + make_interval(secs => (target - s.before_s)::float8);
END $$;
COMMENT ON FUNCTION onemap.clock_shift(text, timestamptz, numeric) IS 'onemap.clock_add() for seconds below 0 too: the moment since which the clock has run so long';

CREATE FUNCTION onemap.case_remaining(c onemap.case_record, moment timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF c.clock_started_at IS NULL THEN
        RETURN c.remaining_s;
    END IF;
    RETURN c.remaining_s - onemap.clock_between(c.clock, c.clock_started_at, moment);
END $$;
COMMENT ON FUNCTION onemap.case_remaining(onemap.case_record, timestamptz) IS
    'Seconds of the handling clock left at a moment, negative = overdue; NULL before dispatch';

CREATE FUNCTION onemap.case_clock_set(c onemap.case_record, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE margin numeric := c.remaining_s - c.limit_s * (SELECT v.value::numeric FROM onemap.setting v WHERE v.key = 'case_warn_share');
BEGIN
    c.clock_started_at := moment;
    c.deadline_at := onemap.clock_shift(c.clock, moment, c.remaining_s);
    c.warn_at := CASE WHEN margin > 0 THEN onemap.clock_shift(c.clock, moment, margin) ELSE moment END;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_clock_set(onemap.case_record, timestamptz) IS 'Sets the handling clock going from a moment with the seconds that remain: deadline and warning follow';

CREATE FUNCTION onemap.case_clock_stop(c onemap.case_record, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
BEGIN
    c.remaining_s := onemap.case_remaining(c, moment);
    c.clock_started_at := NULL;
    c.warn_at := NULL;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_clock_stop(onemap.case_record, timestamptz) IS 'Stops the handling clock: what remains is kept';

CREATE FUNCTION onemap.case_stage_deadline(c onemap.case_record) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE clock text; seconds numeric;
BEGIN
    SELECT CASE WHEN n.limit_unit LIKE 'urgent%' THEN 'continuous' ELSE onemap.unit_clock(s.limit_unit, NULL) END,
           onemap.unit_seconds(s.limit_value, s.limit_unit) INTO clock, seconds
    FROM onemap.case_stage_limit s LEFT JOIN onemap.case_condition n
        ON n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number
    WHERE s.state = c.state;
    RETURN CASE WHEN FOUND THEN onemap.clock_add(clock, c.stage_entered_at, seconds) END;
END $$;
COMMENT ON FUNCTION onemap.case_stage_deadline(onemap.case_record) IS
    'When the centre''s own limit for the case''s state ends, NULL if the state has none; by the clock where the condition''s limit is an urgent one';

-- ---- category and responsible departments ----

CREATE FUNCTION onemap.case_classify(c onemap.case_record, request jsonb, complete boolean) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE wanted text; number int; known int[];
BEGIN
    IF c.condition_number IS NOT NULL AND NOT request ?| '{category,condition}' THEN
        RETURN c; -- as it was classified in this version, which never changes
    END IF;
    wanted := onemap.case_text(request, 'category', 5);
    number := onemap.case_whole(request, 'condition', 1, 99);
    IF wanted IS NOT NULL THEN
        IF c.category_code IS DISTINCT FROM wanted THEN
            c.condition_number := NULL;
        END IF;
        c.category_code := wanted;
    END IF;
    c.condition_number := coalesce(number, c.condition_number);
    IF c.category_code IS NULL THEN
        IF number IS NOT NULL OR complete THEN
            RAISE EXCEPTION 'the case has no category yet' USING ERRCODE = 'CH015', HINT = 'Give "category" and "condition".';
        END IF;
        RETURN c;
    END IF;
    SELECT array_agg(n.number ORDER BY n.number) INTO known FROM onemap.case_condition n
    WHERE n.version = c.catalogue_version AND n.category_code = c.category_code;
    IF known IS NULL THEN
        RAISE EXCEPTION 'version % of the catalogue has no category "%"', c.catalogue_version, c.category_code
            USING ERRCODE = 'CH015', HINT = '`cityhub catalogue list` shows the categories.';
    ELSIF c.condition_number <> ALL (known) THEN
        RAISE EXCEPTION 'category % has no condition %', c.category_code, c.condition_number
            USING ERRCODE = 'CH015', HINT = 'It has ' || array_to_string(known, ', ') || '.';
    ELSIF cardinality(known) = 1 THEN
        c.condition_number := known[1];
    ELSIF complete AND c.condition_number IS NULL THEN
        RAISE EXCEPTION 'category % has several conditions', c.category_code
            USING ERRCODE = 'CH015', HINT = 'Give "condition": ' || array_to_string(known, ', ') || '.';
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_classify(onemap.case_record, jsonb, boolean) IS
    'Category and condition as the request says, in the case''s version of the catalogue; the only condition of a category needs not be said; complete: both must be known then; CH015 if not';

CREATE FUNCTION onemap.case_candidates(c onemap.case_record) RETURNS int[]
LANGUAGE plpgsql STABLE AS $$
DECLARE word text; unit int; result int[] := '{}';
BEGIN
    -- In the order of the condition's words; an owner that is not known leaves the case to the others it names.
    FOREACH word IN ARRAY coalesce((SELECT string_to_array(n.responsible, ' ') FROM onemap.case_condition n
            WHERE n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number), '{}') LOOP
        IF word = '@grid' THEN
            SELECT g.department_id INTO unit FROM onemap.grid_cell g WHERE g.code = c.grid_cell;
        ELSIF word = '@owner' AND c.device_id IS NOT NULL THEN
            SELECT v.department_id INTO unit FROM onemap.device v WHERE v.id = c.device_id;
        ELSIF word = '@owner' THEN
            SELECT v.department_id INTO unit FROM onemap.device v WHERE v.component_code = c.component_code ORDER BY v.id LIMIT 1;
        ELSE
            SELECT d.id INTO unit FROM onemap.department d WHERE d.code = word;
        END IF;
        IF unit <> ALL (result) AND (SELECT d.active FROM onemap.department d WHERE d.id = unit) THEN
            result := result || unit;
        END IF;
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.case_candidates(onemap.case_record) IS
    'Departments that the condition makes responsible: those it names, the owner of the component or device (@owner), the territorial unit of the grid cell (@grid)';

CREATE FUNCTION onemap.case_dispatch(c onemap.case_record, request jsonb, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE chosen int; given text := onemap.case_text(request, 'department', 32);
BEGIN
    IF given IS NOT NULL THEN
        chosen := onemap.case_department(given);
    ELSIF cardinality(c.candidates) = 1 THEN
        chosen := c.candidates[1];
    ELSE
        RAISE EXCEPTION 'case %: % departments could be responsible', c.code, cardinality(c.candidates)
            USING ERRCODE = 'CH016', HINT = 'Give "department": ' || coalesce((SELECT string_agg(d.code || ' ' || d.name_zh, ', ' ORDER BY
                array_position(c.candidates, d.id)) FROM onemap.department d WHERE d.id = ANY (c.candidates)), 'any of the county') || '.';
    END IF;
    -- Sent on to another department the limit begins anew; sent back to the same one, its clock has never stopped.
    IF chosen IS DISTINCT FROM c.department_id OR c.clock_started_at IS NULL THEN
        SELECT n.limit_value, n.limit_unit, onemap.unit_clock(n.limit_unit, d.schedule), onemap.unit_seconds(n.limit_value, n.limit_unit)
        INTO c.limit_value, c.limit_unit, c.clock, c.limit_s
        FROM onemap.case_condition n JOIN onemap.department d ON d.id = chosen
        WHERE n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number;
        c.wrong_dispatch_count := c.wrong_dispatch_count + (c.department_id IS NOT NULL)::int;
        c.department_id := chosen;
        c.remaining_s := c.limit_s;
        c.asked_extension := NULL;
        c.asked_suspension := NULL;
        c := onemap.case_clock_set(c, moment);
    END IF;
    c.dispatched_at := moment;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_dispatch(onemap.case_record, jsonb, timestamptz) IS
    'To the department that the request names, or to the only candidate; the handling limit begins unless it runs already for this department; CH016 if it is not clear to whom';

-- ---- what each action does to the case ----

CREATE FUNCTION onemap.case_extend(c onemap.case_record, action text, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE amount numeric := onemap.case_number(request, 'amount', 0.01, 1000); seconds numeric;
BEGIN
    IF action = 'ask_extension' THEN
        IF amount IS NULL THEN
            RAISE EXCEPTION 'field "amount" is missing' USING ERRCODE = 'CH013', HINT = format('How many %s more.', c.limit_unit);
        END IF;
        c.asked_extension := jsonb_build_object('amount', amount, 'unit', c.limit_unit);
        RETURN c;
    ELSIF c.asked_extension IS NULL THEN
        RAISE EXCEPTION 'case %: no extension is asked for', c.code USING ERRCODE = 'CH020';
    END IF;
    IF action = 'grant_extension' THEN
        seconds := onemap.unit_seconds(coalesce(amount, (c.asked_extension->>'amount')::numeric), c.limit_unit);
        c.limit_s := c.limit_s + seconds;
        c.remaining_s := c.remaining_s + seconds;
        c.extension_count := c.extension_count + 1;
        c := onemap.case_clock_set(c, c.clock_started_at);
    END IF;
    c.asked_extension := NULL;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_extend(onemap.case_record, text, jsonb) IS
    'ask_extension, grant_extension (by what was asked, or another amount), refuse_extension; amounts in the unit of the case''s limit; CH020 if none is asked';

CREATE FUNCTION onemap.case_suspend(c onemap.case_record, action text, request jsonb, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF action = 'ask_suspension' THEN
        c.asked_suspension := request->>'reason';
        RETURN c;
    ELSIF action = 'refuse_suspension' AND c.asked_suspension IS NULL THEN
        RAISE EXCEPTION 'case %: no suspension is asked for', c.code USING ERRCODE = 'CH020';
    ELSIF action = 'suspend' THEN
        c.suspension_count := c.suspension_count + 1;
        c := onemap.case_clock_stop(c, moment);
        c.deadline_at := NULL;
    ELSIF action = 'resume' THEN
        IF c.remaining_s IS NOT NULL THEN
            c := onemap.case_clock_set(c, moment);
        END IF;
        c.resume_state := NULL;
    END IF;
    c.asked_suspension := NULL;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_suspend(onemap.case_record, text, jsonb, timestamptz) IS
    'ask_suspension, refuse_suspension, suspend (the clock stops), resume (it goes on with what remained)';

CREATE FUNCTION onemap.case_merge(c onemap.case_record, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE kept onemap.case_record;
BEGIN
    PERFORM onemap.case_fields_check(request, NULL, '{into}');
    SELECT * INTO kept FROM onemap.case_record r WHERE r.code = request->>'into';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%"', request->>'into' USING ERRCODE = 'CH017';
    ELSIF kept.id = c.id OR kept.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'case % cannot be merged into %', c.code, kept.code USING ERRCODE = 'CH013',
            HINT = CASE WHEN kept.id = c.id THEN 'That is the same case.' ELSE format('That one has ended: %s.', kept.state) END;
    END IF;
    c.merged_into := kept.id;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_merge(onemap.case_record, jsonb) IS 'merge: the case ends as a duplicate of the open one named by "into"';

CREATE FUNCTION onemap.case_finding(c onemap.case_record, action text, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE known text[] := '{shirking,fraud,poor_cooperation,unfounded,wrong_dispatch}'; f jsonb;
BEGIN
    IF action = 'call_back' THEN
        IF coalesce(request->>'satisfaction', '') NOT IN ('satisfied', 'basically_satisfied', 'dissatisfied') THEN
            RAISE EXCEPTION 'field "satisfaction" must be satisfied, basically_satisfied or dissatisfied, not %',
                coalesce(request->>'satisfaction', 'left out') USING ERRCODE = 'CH013';
        END IF;
        c.satisfaction := request->>'satisfaction';
        RETURN c;
    ELSIF jsonb_typeof(request->'flags') IS DISTINCT FROM 'array' OR request->'flags' = '[]' THEN
        RAISE EXCEPTION 'field "flags" must be a list of findings' USING ERRCODE = 'CH013', HINT = 'Known: ' || array_to_string(known, ', ') || '.';
    END IF;
    FOR f IN SELECT * FROM jsonb_array_elements(request->'flags') LOOP
        IF f #>> '{}' IS NULL OR f #>> '{}' <> ALL (known) THEN
            RAISE EXCEPTION '% is no finding', f USING ERRCODE = 'CH013', HINT = 'Known: ' || array_to_string(known, ', ') || '.';
        END IF;
    END LOOP;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_finding(onemap.case_record, text, jsonb) IS 'call_back (satisfaction) and flag (findings), checked';

CREATE FUNCTION onemap.case_act(c onemap.case_record, action text, request jsonb, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE action
        WHEN 'handle', 'return', 'refuse_return', 'verify', 'refute', 'attach', 'reject', 'void', 'ask_verify' THEN
            c.return_count := c.return_count + (action = 'return')::int;
        WHEN 'accept' THEN
            c := onemap.case_classify(c, request, false);
            c.accepted_at := moment;
        WHEN 'classify' THEN
            IF NOT request ? 'category' THEN
                RAISE EXCEPTION 'field "category" is missing' USING ERRCODE = 'CH013';
            END IF;
            c := onemap.case_classify(c, request, c.state = 'registered');
            IF c.state = 'registered' THEN
                c.candidates := onemap.case_candidates(c);
            END IF;
        WHEN 'register' THEN
            c := onemap.case_classify(c, request, true);
            c.candidates := onemap.case_candidates(c);
            c.registered_at := moment;
        WHEN 'dispatch' THEN
            c := onemap.case_dispatch(c, request, moment);
        WHEN 'feed_back' THEN
            c := onemap.case_clock_stop(c, moment);
            c.handled_at := moment;
        WHEN 'check' THEN
            c.checked_at := moment;
        WHEN 'rework' THEN
            c.rework_count := c.rework_count + 1;
            c := onemap.case_clock_set(c, moment);
        WHEN 'ask_extension', 'grant_extension', 'refuse_extension' THEN
            c := onemap.case_extend(c, action, request);
        WHEN 'ask_suspension', 'refuse_suspension', 'suspend', 'resume' THEN
            c := onemap.case_suspend(c, action, request, moment);
        WHEN 'supervise' THEN
            c.supervision_count := c.supervision_count + 1;
        WHEN 'remind' THEN
            c.reminder_count := c.reminder_count + 1;
        WHEN 'merge' THEN
            c := onemap.case_merge(c, request);
        WHEN 'flag', 'call_back' THEN
            c := onemap.case_finding(c, action, request);
        WHEN 'retime' THEN
            IF c.clock_started_at IS NOT NULL THEN
                c := onemap.case_clock_set(c, c.clock_started_at);
            END IF;
        WHEN 'close' THEN
            NULL;
    END CASE;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_act(onemap.case_record, text, jsonb, timestamptz) IS 'What an action does to a case, its state left out';

CREATE FUNCTION onemap.case_enter(c onemap.case_record, to_state text, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_state = 'suspended' THEN
        c.resume_state := c.state;
    END IF;
    c.state := to_state;
    c.stage_entered_at := moment;
    c.stage_deadline_at := onemap.case_stage_deadline(c);
    IF to_state IN ('closed', 'rejected', 'voided', 'merged') THEN
        c := onemap.case_clock_stop(c, moment);
        c.resume_state := NULL;
        c.ended_at := moment;
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_enter(onemap.case_record, text, timestamptz) IS 'The case in its next state, with the deadline of that stage';

CREATE FUNCTION onemap.case_findings(was onemap.case_record, c onemap.case_record, action text, request jsonb, overdue boolean, moment timestamptz)
RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
DECLARE found_flags text[] := '{}';
BEGIN
    IF overdue AND was.clock_started_at IS NOT NULL THEN
        found_flags := found_flags || 'overdue'::text;
    END IF;
    IF moment > was.stage_deadline_at AND was.state <> c.state THEN
        found_flags := found_flags || 'stage_overdue'::text;
    END IF;
    IF action = 'dispatch' AND was.department_id <> c.department_id THEN
        found_flags := found_flags || 'wrong_dispatch'::text;
    ELSIF action = 'feed_back' AND was.state = 'dispatched' THEN
        found_flags := found_flags || 'direct'::text;
    ELSIF action = 'refute' THEN
        found_flags := found_flags || 'unfounded'::text;
    ELSIF action = 'refuse_return' AND request->'shirking' = 'true' THEN
        found_flags := found_flags || 'shirking'::text;
    ELSIF action = 'flag' THEN
        found_flags := found_flags || ARRAY(SELECT DISTINCT jsonb_array_elements_text(request->'flags') ORDER BY 1);
    END IF;
    RETURN found_flags;
END $$;
COMMENT ON FUNCTION onemap.case_findings(onemap.case_record, onemap.case_record, text, jsonb, boolean, timestamptz) IS 'Flags of an event: what is found about it';

-- ---- the only writer ----

CREATE FUNCTION onemap.case_event_make(was onemap.case_record, c onemap.case_record, action text, role text, actor text, moment timestamptz,
    request jsonb, detail jsonb, unit text) RETURNS onemap.case_event
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
    -- All columns of case_event, in their order; its id comes when it is written.
    e := ROW(NULL, c.id, c.code, c.event_count, moment, clock_timestamp(), action, was.state, c.state, role, actor, session_user,
        unit, former, c.source, c.catalogue_version, c.category_code, c.condition_number, c.grid_cell, c.street, c.limit_value, c.limit_unit,
        c.deadline_at, used_s, overdue_s, was.stage_deadline_at, onemap.case_findings(was, c, action, request, overdue_s IS NOT NULL, moment),
        CASE WHEN action = 'call_back' THEN c.satisfaction END, reason, detail, was.last_hash, NULL);
    e.hash := onemap.case_event_hash(e);
    RETURN e;
END $$;
COMMENT ON FUNCTION onemap.case_event_make(onemap.case_record, onemap.case_record, text, text, text, timestamptz, jsonb, jsonb, text) IS
    'The event that leads from a case as it was to what it is, chained to the last one; unit: code of the department it was with, NULL = look it up';

CREATE FUNCTION onemap.case_event_add(e onemap.case_event) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO onemap.case_event (case_id, case_code, seq, at, recorded_at, action, from_state, to_state, role, actor, recorded_by,
        department, previous_department, source, catalogue_version, category, condition_number, grid_cell, street, limit_value, limit_unit,
        deadline_at, used_s, overdue_s, stage_deadline_at, flags, satisfaction, reason, detail, previous_hash, hash)
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
        PERFORM pg_notify('cityhub_cases', jsonb_build_object('case', e.case_code, 'seq', e.seq, 'action', e.action, 'state', e.to_state)::text);
    END IF;
    RETURN e.id;
END $$;
COMMENT ON FUNCTION onemap.case_event_add(onemap.case_event) IS
    'Appends an event to the journal, with its attachments; returns its id. Tells listeners of channel cityhub_cases that the journal has grown: who hears it reads the journal from the last id he has, and once more a second later, for those that were under way then';

CREATE FUNCTION onemap.case_write(was onemap.case_record, c onemap.case_record, action text, role text, actor text, moment timestamptz,
    request jsonb, detail jsonb, unit text DEFAULT NULL) RETURNS onemap.case_record
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
        condition_number = c.condition_number, department_id = c.department_id, candidates = c.candidates, merged_into = c.merged_into,
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
    'Writes a changed case and its event, if the case still has the version it was read with; CH011 if not; unit: code of the department it was with, if known';
