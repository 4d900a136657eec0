-- The flow of cases: report and every later action. Each change goes through onemap.case_write(): one update of the case,
-- checked against its version, and one row of the journal, chained by hash. Nothing else writes either of them.
-- Sources (alarms, subsystems), warnings, seals and readers are in 104.
-- Errors: CH010 not allowed in this state or for this post, CH011 version conflict, CH012 no reason, CH013 a field is unknown,
-- missing or wrong, CH014 bad time, CH015 category or condition, CH016 department, CH017 no such case, CH018 there already,
-- CH019 not entitled, CH020 nothing was asked. docs/cases.md explains them.

-- ---- the fields of a request ----

CREATE FUNCTION onemap.case_fields_check(request jsonb, known text[], needed text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE f text;
BEGIN
    IF jsonb_typeof(request) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a request is a JSON object' USING ERRCODE = 'CH013';
    END IF;
    IF request - known <> '{}' THEN
        SELECT k INTO f FROM jsonb_object_keys(request - known) k ORDER BY k LIMIT 1;
        RAISE EXCEPTION 'unknown field "%"', f USING ERRCODE = 'CH013', HINT = 'Known here: ' || array_to_string(known, ', ') || '.';
    END IF;
    FOREACH f IN ARRAY needed LOOP
        IF coalesce(request->>f, '') = '' THEN
            RAISE EXCEPTION 'field "%" is missing', f USING ERRCODE = 'CH013';
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.case_fields_check(jsonb, text[], text[]) IS 'CH013 if the request has a field that is not known (known NULL: any is), or not all that are needed';

CREATE FUNCTION onemap.case_text(request jsonb, field text, longest int) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE kind text := jsonb_typeof(request->field); result text := btrim(request->>field);
BEGIN
    IF kind IN ('object', 'array', 'boolean') THEN
        RAISE EXCEPTION 'field "%" must be a text', field USING ERRCODE = 'CH013';
    ELSIF length(result) > longest THEN
        RAISE EXCEPTION 'field "%" is longer than % characters', field, longest USING ERRCODE = 'CH013';
    ELSIF result ~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]' THEN
        RAISE EXCEPTION 'field "%" has a control character', field USING ERRCODE = 'CH013';
    END IF;
    RETURN nullif(result, '');
END $$;
COMMENT ON FUNCTION onemap.case_text(jsonb, text, int) IS 'A text field without blanks at its ends, NULL if absent or empty; CH013 if it is no text, too long or has control characters';

CREATE FUNCTION onemap.case_number(request jsonb, field text, lowest numeric, highest numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE result numeric;
BEGIN
    IF request->>field IS NULL THEN
        RETURN NULL;
    ELSIF request->>field ~ '^-?[0-9]{1,15}(\.[0-9]{1,15})?$' THEN
        result := (request->>field)::numeric;
        IF result BETWEEN lowest AND highest THEN
            RETURN result;
        END IF;
    END IF;
    RAISE EXCEPTION 'field "%" must be a number from % to %, not %', field, lowest, highest, request->field USING ERRCODE = 'CH013';
END $$;
COMMENT ON FUNCTION onemap.case_number(jsonb, text, numeric, numeric) IS 'A number field within its range, NULL if absent; CH013 if it is none or out of range';

CREATE FUNCTION onemap.case_whole(request jsonb, field text, lowest int, highest int) RETURNS int
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF request->>field ~ '\.' THEN
        RAISE EXCEPTION 'field "%" must be a whole number, not %', field, request->field USING ERRCODE = 'CH013';
    END IF;
    RETURN onemap.case_number(request, field, lowest, highest)::int;
END $$;
COMMENT ON FUNCTION onemap.case_whole(jsonb, text, int, int) IS 'The same for whole numbers';

CREATE FUNCTION onemap.case_at(request jsonb, earliest timestamptz) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE result timestamptz;
BEGIN
    IF NOT request ? 'at' THEN
        RETURN greatest(clock_timestamp(), earliest);
    ELSIF NOT pg_has_role(session_user, 'cityhub_history', 'MEMBER') THEN
        RAISE EXCEPTION 'the login % may not give the time of an operation', session_user
            USING ERRCODE = 'CH019', HINT = 'Leave out "at", or load history with a login that has the role cityhub_history.';
    END IF;
    BEGIN
        result := (request->>'at')::timestamptz;
    EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
        result := NULL;
    END;
    IF result IS NULL OR NOT isfinite(result) OR request->>'at' !~ '[0-9] *(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' THEN
        RAISE EXCEPTION 'field "at" is no time with an offset: %', request->>'at'
            USING ERRCODE = 'CH014', HINT = 'For example 2026-11-24T08:00:00+08:00.';
    ELSIF result > clock_timestamp() THEN
        RAISE EXCEPTION '% is in the future', result USING ERRCODE = 'CH014';
    ELSIF result < earliest THEN
        RAISE EXCEPTION '% is before the last event of the case, which was at %', result, earliest USING ERRCODE = 'CH014';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.case_at(jsonb, timestamptz) IS
    'When the operation happened: now, or what a member of cityhub_history says; CH014 if that is no time, in the future or before the earliest, CH019 if the login may not say';

CREATE FUNCTION onemap.case_attachments(request jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE list jsonb := request->'attachments'; a jsonb;
BEGIN
    IF list IS NULL OR list = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(list) <> 'array' OR jsonb_array_length(list) NOT BETWEEN 1 AND 50 THEN
        RAISE EXCEPTION 'field "attachments" must be a list of 1 to 50 attachments' USING ERRCODE = 'CH013';
    END IF;
    FOR a IN SELECT * FROM jsonb_array_elements(list) LOOP
        PERFORM onemap.case_fields_check(a, '{uri,sha256,size_bytes,media_type}', '{uri,sha256,size_bytes,media_type}');
        IF length(a->>'uri') > 2000 OR a->>'uri' ~ '[[:cntrl:][:space:]]' OR a->>'sha256' !~ '^[0-9a-fA-F]{64}$'
            OR a->>'size_bytes' !~ '^[0-9]{1,15}$' OR a->>'media_type' !~ '^[a-z]+/[a-zA-Z0-9.+-]{1,100}$' THEN
            RAISE EXCEPTION 'an attachment is wrong: %', a USING ERRCODE = 'CH013',
                HINT = 'uri: at most 2000 characters without blanks; sha256: 64 hexadecimal digits; size_bytes: a whole number; media_type: such as image/jpeg.';
        END IF;
    END LOOP;
    RETURN list;
END $$;
COMMENT ON FUNCTION onemap.case_attachments(jsonb) IS 'The attachments of a request, each {uri, sha256, size_bytes, media_type}; NULL if there are none; CH013 if one is wrong';

CREATE FUNCTION onemap.case_department(code text) RETURNS int
LANGUAGE plpgsql STABLE AS $$
DECLARE found_id int;
BEGIN
    SELECT d.id INTO found_id FROM onemap.department d WHERE d.code = $1 AND d.active;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the county has no active department "%"', code
            USING ERRCODE = 'CH016', HINT = '`cityhub catalogue departments export` shows them.';
    END IF;
    RETURN found_id;
END $$;
COMMENT ON FUNCTION onemap.case_department(text) IS 'Id of an active department by its code; CH016 if there is none';

-- ---- the hash chain ----

CREATE FUNCTION onemap.case_event_hash(e onemap.case_event) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- Microseconds since 1970, so that the session's time zone and date style do not matter.
    SELECT sha256(e.previous_hash || convert_to(jsonb_build_array(
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
DECLARE margin numeric;
BEGIN
    c.clock_started_at := moment;
    c.deadline_at := onemap.clock_shift(c.clock, moment, c.remaining_s);
    SELECT c.remaining_s - c.limit_s * v.value::numeric INTO margin FROM onemap.setting v WHERE v.key = 'case_warn_share';
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
DECLARE l onemap.case_stage_limit; urgent boolean := false;
BEGIN
    SELECT * INTO l FROM onemap.case_stage_limit s WHERE s.state = c.state;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF c.condition_number IS NOT NULL THEN
        SELECT n.limit_unit LIKE 'urgent%' INTO urgent FROM onemap.case_condition n
        WHERE n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number;
    END IF;
    RETURN onemap.clock_add(CASE WHEN urgent THEN 'continuous' ELSE onemap.unit_clock(l.limit_unit, NULL) END,
                            c.stage_entered_at, onemap.unit_seconds(l.limit_value, l.limit_unit));
END $$;
COMMENT ON FUNCTION onemap.case_stage_deadline(onemap.case_record) IS
    'When the centre''s own limit for the case''s state ends, NULL if the state has none; by the clock where the condition''s limit is an urgent one';

-- ---- category and responsible departments ----

CREATE FUNCTION onemap.case_classify(c onemap.case_record, request jsonb, complete boolean) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE wanted text := onemap.case_text(request, 'category', 5); number int := onemap.case_whole(request, 'condition', 1, 99); known int[];
BEGIN
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
LANGUAGE sql STABLE AS $$
    -- In the order of the condition's words; an owner that is not known leaves the case to the others it names.
    SELECT coalesce(array_agg(f.id ORDER BY f.place), '{}')
    FROM (
        SELECT d.id, min(w.place) AS place
        FROM onemap.case_condition n
        CROSS JOIN LATERAL regexp_split_to_table(n.responsible, ' ') WITH ORDINALITY AS w (word, place)
        JOIN onemap.department d ON d.active AND CASE w.word
            WHEN '@grid' THEN d.id = (SELECT g.department_id FROM onemap.grid_cell g WHERE g.code = c.grid_cell)
            WHEN '@owner' THEN d.id = (SELECT v.department_id FROM onemap.device v
                WHERE CASE WHEN c.device_id IS NOT NULL THEN v.id = c.device_id ELSE v.component_code = c.component_code END
                ORDER BY v.id LIMIT 1)
            ELSE d.code = w.word END
        WHERE n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number
        GROUP BY d.id) f
$$;
COMMENT ON FUNCTION onemap.case_candidates(onemap.case_record) IS
    'Departments that the condition makes responsible: those it names, the owner of the component or device (@owner), the territorial unit of the grid cell (@grid)';

CREATE FUNCTION onemap.case_dispatch(c onemap.case_record, request jsonb, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE chosen int; n onemap.case_condition; given text := onemap.case_text(request, 'department', 32);
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
        SELECT * INTO n FROM onemap.case_condition x
        WHERE x.version = c.catalogue_version AND x.category_code = c.category_code AND x.number = c.condition_number;
        c.wrong_dispatch_count := c.wrong_dispatch_count + (c.department_id IS NOT NULL)::int;
        c.department_id := chosen;
        c.limit_value := n.limit_value;
        c.limit_unit := n.limit_unit;
        c.clock := onemap.unit_clock(n.limit_unit, onemap.department_schedule(chosen));
        c.limit_s := onemap.unit_seconds(n.limit_value, n.limit_unit);
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

CREATE FUNCTION onemap.case_notify(payload text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- A commit that notifies holds a lock of the whole database until it is on disk: if all transitions did, their commits
    -- would go one by one. So of those under way at the same time one speaks for all.
    IF pg_try_advisory_xact_lock(hashtext('onemap.case_notify')) THEN
        PERFORM pg_notify('cityhub_cases', payload);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.case_notify(text) IS
    'Tells listeners of channel cityhub_cases that the journal has grown; who hears it reads the journal from the last id he has, and once more a second later, for those that were under way then';

CREATE FUNCTION onemap.case_event_make(was onemap.case_record, c onemap.case_record, action text, role text, actor text, moment timestamptz,
    request jsonb, detail jsonb) RETURNS onemap.case_event
LANGUAGE plpgsql STABLE AS $$
DECLARE e onemap.case_event; remaining numeric;
BEGIN
    e.case_id := c.id; e.case_code := c.code; e.seq := c.event_count; e.at := moment;
    e.recorded_at := clock_timestamp(); e.recorded_by := session_user;
    e.action := action; e.from_state := was.state; e.to_state := c.state; e.role := role; e.actor := actor;
    IF c.department_id IS NOT NULL THEN
        SELECT d.code INTO e.department FROM onemap.department d WHERE d.id = c.department_id;
        IF was.department_id <> c.department_id THEN
            SELECT d.code INTO e.previous_department FROM onemap.department d WHERE d.id = was.department_id;
        END IF;
    END IF;
    e.source := c.source; e.catalogue_version := c.catalogue_version; e.category := c.category_code;
    e.condition_number := c.condition_number; e.grid_cell := c.grid_cell; e.street := c.street;
    e.limit_value := c.limit_value; e.limit_unit := c.limit_unit; e.deadline_at := c.deadline_at;
    -- Stopped just now, the clock has been read already.
    remaining := CASE WHEN was.clock_started_at IS NOT NULL AND c.clock_started_at IS NULL THEN c.remaining_s
                      ELSE onemap.case_remaining(was, moment) END;
    IF was.clock_started_at IS NOT NULL AND moment > was.deadline_at OR was.clock_started_at IS NULL AND remaining < 0 THEN
        e.overdue_s := round(greatest(-remaining, 0), 3);
    END IF;
    e.used_s := round(CASE WHEN action = 'dispatch' AND c.clock_started_at = moment THEN 0 ELSE was.limit_s - remaining END, 3);
    e.stage_deadline_at := was.stage_deadline_at;
    e.satisfaction := CASE WHEN action = 'call_back' THEN c.satisfaction END;
    e.flags := onemap.case_findings(was, c, action, request, e.overdue_s IS NOT NULL, moment);
    e.reason := onemap.case_text(request, 'reason', 2000);
    e.detail := detail; e.previous_hash := was.last_hash;
    e.hash := onemap.case_event_hash(e);
    RETURN e;
END $$;
COMMENT ON FUNCTION onemap.case_event_make(onemap.case_record, onemap.case_record, text, text, text, timestamptz, jsonb, jsonb) IS
    'The event that leads from a case as it was to what it is, chained to the last one';

CREATE FUNCTION onemap.case_event_add(e onemap.case_event) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO onemap.case_event (case_id, case_code, seq, at, recorded_at, action, from_state, to_state, role, actor, recorded_by,
        department, previous_department, source, catalogue_version, category, condition_number, grid_cell, street, limit_value, limit_unit,
        deadline_at, used_s, overdue_s, stage_deadline_at, flags, satisfaction, reason, detail, previous_hash, hash)
    VALUES (e.case_id, e.case_code, e.seq, e.at, e.recorded_at, e.action, e.from_state, e.to_state, e.role, e.actor, e.recorded_by,
        e.department, e.previous_department, e.source, e.catalogue_version, e.category, e.condition_number, e.grid_cell, e.street,
        e.limit_value, e.limit_unit, e.deadline_at, e.used_s, e.overdue_s, e.stage_deadline_at, e.flags, e.satisfaction, e.reason,
        e.detail, e.previous_hash, e.hash);
    IF e.detail ? 'attachments' THEN
        INSERT INTO onemap.case_attachment (case_id, seq, uri, sha256, size_bytes, media_type)
        SELECT e.case_id, e.seq, a.uri, decode(a.sha256, 'hex'), a.size_bytes, a.media_type
        FROM jsonb_to_recordset(e.detail->'attachments') AS a (uri text, sha256 text, size_bytes bigint, media_type text);
    END IF;
    PERFORM onemap.case_notify(jsonb_build_object('case', e.case_code, 'seq', e.seq, 'action', e.action, 'state', e.to_state)::text);
END $$;
COMMENT ON FUNCTION onemap.case_event_add(onemap.case_event) IS 'Appends an event to the journal, with its attachments, and gives notice';

CREATE FUNCTION onemap.case_write(was onemap.case_record, c onemap.case_record, action text, role text, actor text, moment timestamptz,
    request jsonb, detail jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE e onemap.case_event;
BEGIN
    c.version := was.version + 1;
    c.event_count := was.event_count + 1;
    c.last_event_at := moment;
    e := onemap.case_event_make(was, c, action, role, actor, moment, request, detail);
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
    PERFORM onemap.case_event_add(e);
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_write(onemap.case_record, onemap.case_record, text, text, text, timestamptz, jsonb, jsonb) IS
    'Writes a changed case and its event, if the case still has the version it was read with; CH011 if not';
