-- What each action does to a case: category, responsible department, limits, extensions, suspensions, findings. Each function
-- takes a case and gives it back changed; nothing here writes (case_writer.sql does).
-- Errors: CH010 not allowed in this state or for this post, CH011 version conflict, CH012 no reason, CH013 a field is unknown,
-- missing or wrong, CH014 bad time, CH015 category or condition, CH016 department, CH017 no such case, CH018 there already,
-- CH019 not entitled, CH020 nothing was asked. docs/cases.md explains them.

-- ---- category and responsible departments ----

CREATE OR REPLACE FUNCTION onemap.case_classify(c onemap.case_record, request jsonb, complete boolean) RETURNS onemap.case_record
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
            RAISE EXCEPTION 'the case has no category yet' USING ERRCODE = 'CH015', DETAIL = '案卷还没有类别',
                HINT = 'Give "category" and "condition".';
        END IF;
        RETURN c;
    END IF;
    SELECT array_agg(n.number ORDER BY n.number) INTO known FROM onemap.case_condition n
    WHERE n.version = c.catalogue_version AND n.category_code = c.category_code;
    IF known IS NULL THEN
        RAISE EXCEPTION 'version % of the catalogue has no category "%"', c.catalogue_version, c.category_code
            USING ERRCODE = 'CH015', DETAIL = format('第 %s 版类别表里没有类别 %s', c.catalogue_version, c.category_code),
            HINT = '`cityhub catalogue list` shows the categories.';
    ELSIF c.condition_number <> ALL (known) THEN
        RAISE EXCEPTION 'category % has no condition %', c.category_code, c.condition_number
            USING ERRCODE = 'CH015', DETAIL = format('类别 %s 没有立案条件 %s，有的是 %s', c.category_code, c.condition_number,
                array_to_string(known, '、')), HINT = 'It has ' || array_to_string(known, ', ') || '.';
    ELSIF cardinality(known) = 1 THEN
        c.condition_number := known[1];
    ELSIF complete AND c.condition_number IS NULL THEN
        RAISE EXCEPTION 'category % has several conditions', c.category_code
            USING ERRCODE = 'CH015', DETAIL = format('类别 %s 有几个立案条件，请写明：%s', c.category_code,
                array_to_string(known, '、')), HINT = 'Give "condition": ' || array_to_string(known, ', ') || '.';
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_classify(onemap.case_record, jsonb, boolean) IS
    'Category and condition as the request says, in the case''s version of the catalogue; the only condition of a category needs '
    'not be said; complete: both must be known then; CH015 if not';

CREATE OR REPLACE FUNCTION onemap.case_candidates(c onemap.case_record) RETURNS int[]
LANGUAGE plpgsql STABLE AS $$
DECLARE word text; unit int; result int[] := '{}'::int[];
BEGIN
    -- In the order of the condition's words; an owner that is not known leaves the case to the others it names.
    FOREACH word IN ARRAY coalesce((
            SELECT string_to_array(n.responsible, ' ') FROM onemap.case_condition n
            WHERE n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number), '{}')
    LOOP
        IF word = '@grid' THEN
            SELECT g.department_id INTO unit FROM onemap.grid_cell g WHERE g.code = c.grid_cell;
        ELSIF word = '@owner' AND c.device_id IS NOT NULL THEN
            SELECT v.department_id INTO unit FROM onemap.device v WHERE v.id = c.device_id;
        ELSIF word = '@owner' THEN
            unit := coalesce(
                (SELECT v.department_id FROM onemap.device v WHERE v.component_code = c.component_code ORDER BY v.id LIMIT 1),
                (SELECT k.department_id FROM onemap.component k WHERE k.component_code = c.component_code));
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
    'Departments that the condition makes responsible: those it names, the owner of the component or device (@owner), the '
    'territorial unit of the grid cell (@grid)';

CREATE OR REPLACE FUNCTION onemap.case_dispatch(c onemap.case_record, request jsonb, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE chosen int; given text := onemap.case_text(request, 'department', 32);
BEGIN
    IF given IS NOT NULL THEN
        chosen := onemap.case_department(given);
    ELSIF cardinality(c.candidates) = 1 THEN
        chosen := c.candidates[1];
    ELSE
        RAISE EXCEPTION 'case %: % departments could be responsible', c.code, cardinality(c.candidates)
            USING ERRCODE = 'CH016', DETAIL = format('有 %s 个单位可能负责，请选定派遣给谁', cardinality(c.candidates)),
            HINT = 'Give "department": ' || coalesce((
                SELECT string_agg(d.code || ' ' || d.name_zh, ', ' ORDER BY array_position(c.candidates, d.id))
                FROM onemap.department d WHERE d.id = ANY (c.candidates)), 'any of the county') || '.';
    END IF;
    -- Sent on to another department the limit begins anew; sent back to the same one, its clock has never stopped.
    IF chosen IS DISTINCT FROM c.department_id OR c.clock_started_at IS NULL THEN
        SELECT n.limit_value, n.limit_unit, onemap.clock_name(u.clock, d.schedule), n.limit_value * u.seconds
        INTO c.limit_value, c.limit_unit, c.clock, c.limit_s
        FROM onemap.case_condition n JOIN onemap.time_unit u ON u.unit = n.limit_unit JOIN onemap.department d ON d.id = chosen
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
    'To the department that the request names, or to the only candidate; the handling limit begins unless it runs already for '
    'this department; CH016 if it is not clear to whom';

-- ---- what each action does to the case ----

CREATE OR REPLACE FUNCTION onemap.case_extend(c onemap.case_record, action text, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE amount numeric := onemap.case_number(request, 'amount', 0.01, 1000); seconds numeric;
BEGIN
    IF action = 'ask_extension' THEN
        IF amount IS NULL THEN
            RAISE EXCEPTION 'field "amount" is missing' USING ERRCODE = 'CH013', DETAIL = '没有写明延长多少（amount）',
                HINT = format('How many %s more.', c.limit_unit);
        END IF;
        c.asked_extension := jsonb_build_object('amount', amount, 'unit', c.limit_unit);
        RETURN c;
    ELSIF c.asked_extension IS NULL THEN
        RAISE EXCEPTION 'case %: no extension is asked for', c.code
            USING ERRCODE = 'CH020', DETAIL = format('案卷 %s 没有待批的延期申请', c.code);
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
    'ask_extension, grant_extension (by what was asked, or another amount), refuse_extension; amounts in the unit of the case''s '
    'limit; CH020 if none is asked';

CREATE OR REPLACE FUNCTION onemap.case_suspend(c onemap.case_record, action text, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF action = 'ask_suspension' THEN
        c.asked_suspension := request->>'reason';
        RETURN c;
    ELSIF action = 'refuse_suspension' AND c.asked_suspension IS NULL THEN
        RAISE EXCEPTION 'case %: no suspension is asked for', c.code
            USING ERRCODE = 'CH020', DETAIL = format('案卷 %s 没有待批的挂账申请', c.code);
    ELSIF action = 'suspend' THEN
        c.suspension_count := c.suspension_count + 1;
        c.deadline_at := NULL;
    ELSIF action = 'resume' THEN
        c.resume_state := NULL;
    END IF;
    c.asked_suspension := NULL;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_suspend(onemap.case_record, text, jsonb) IS
    'ask_suspension, refuse_suspension, suspend, resume; the clock stands and goes on by the states they lead to, see case_enter()';

CREATE OR REPLACE FUNCTION onemap.case_merge(c onemap.case_record, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE kept onemap.case_record;
BEGIN
    PERFORM onemap.case_fields_check(request, NULL, '{into}');
    SELECT * INTO kept FROM onemap.case_record r WHERE r.code = request->>'into';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%"', request->>'into'
            USING ERRCODE = 'CH017', DETAIL = format('没有案卷 %s', request->>'into');
    ELSIF kept.id = c.id OR kept.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'case % cannot be merged into %', c.code, kept.code USING ERRCODE = 'CH013',
            DETAIL = format('案卷 %s 不能并入 %s：%s', c.code, kept.code,
                CASE WHEN kept.id = c.id THEN '是同一个案卷' ELSE '后者已经办结' END),
            HINT = CASE WHEN kept.id = c.id THEN 'That is the same case.' ELSE format('That one has ended: %s.', kept.state) END;
    END IF;
    c.merged_into := kept.id;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_merge(onemap.case_record, jsonb) IS
    'merge: the case ends as a duplicate of the open one named by "into"';

CREATE OR REPLACE FUNCTION onemap.case_finding(c onemap.case_record, action text, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE known text[] := '{shirking,fraud,poor_cooperation,unfounded,wrong_dispatch}'::text[]; f jsonb;
BEGIN
    IF action = 'call_back' THEN
        IF coalesce(request->>'satisfaction', '') NOT IN ('satisfied', 'basically_satisfied', 'dissatisfied') THEN
            RAISE EXCEPTION 'field "satisfaction" must be satisfied, basically_satisfied or dissatisfied, not %',
                coalesce(request->>'satisfaction', 'left out')
                USING ERRCODE = 'CH013', DETAIL = '回访结果须为满意、基本满意、不满意之一';
        END IF;
        c.satisfaction := request->>'satisfaction';
        RETURN c;
    ELSIF jsonb_typeof(request->'flags') IS DISTINCT FROM 'array' OR request->'flags' = '[]' THEN
        RAISE EXCEPTION 'field "flags" must be a list of findings'
            USING ERRCODE = 'CH013', DETAIL = '认定 flags 须为列表', HINT = 'Known: ' || array_to_string(known, ', ') || '.';
    END IF;
    FOR f IN SELECT * FROM jsonb_array_elements(request->'flags') LOOP
        IF f #>> '{}' IS NULL OR f #>> '{}' <> ALL (known) THEN
            RAISE EXCEPTION '% is no finding', f USING ERRCODE = 'CH013', DETAIL = format('没有认定 %s', f),
                HINT = 'Known: ' || array_to_string(known, ', ') || '.';
        END IF;
    END LOOP;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_finding(onemap.case_record, text, jsonb) IS 'call_back (satisfaction) and flag (findings), checked';

CREATE OR REPLACE FUNCTION onemap.case_act(c onemap.case_record, action text, request jsonb,
    moment timestamptz) RETURNS onemap.case_record
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
                RAISE EXCEPTION 'field "category" is missing' USING ERRCODE = 'CH013', DETAIL = '缺少类别 category';
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
            c.handled_at := moment;
        WHEN 'check' THEN
            c.checked_at := moment;
        WHEN 'rework' THEN
            c.rework_count := c.rework_count + 1;
        WHEN 'ask_extension', 'grant_extension', 'refuse_extension' THEN
            c := onemap.case_extend(c, action, request);
        WHEN 'ask_suspension', 'refuse_suspension', 'suspend', 'resume' THEN
            c := onemap.case_suspend(c, action, request);
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
COMMENT ON FUNCTION onemap.case_act(onemap.case_record, text, jsonb, timestamptz) IS
    'What an action does to a case, its state left out';

CREATE OR REPLACE FUNCTION onemap.case_enter(c onemap.case_record, to_state text, moment timestamptz)
RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE entered onemap.case_state;
BEGIN
    SELECT * INTO STRICT entered FROM onemap.case_state s WHERE s.state = to_state;
    IF to_state = 'suspended' THEN
        c.resume_state := c.state;
    END IF;
    c.state := to_state;
    c.stage_entered_at := moment;
    c.stage_deadline_at := onemap.case_stage_deadline(c);
    -- The handling limit runs in the states that say so, from the dispatch on.
    IF entered.with_department AND c.clock_started_at IS NULL AND c.remaining_s IS NOT NULL THEN
        c := onemap.case_clock_set(c, moment);
    ELSIF NOT entered.with_department AND c.clock_started_at IS NOT NULL THEN
        c := onemap.case_clock_stop(c, moment);
    END IF;
    IF entered.final THEN
        c.resume_state := NULL;
        c.ended_at := moment;
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_enter(onemap.case_record, text, timestamptz) IS
    'The case in its next state: the deadline of that stage; the handling clock runs or stands as case_state.with_department says; '
    'the case ends where case_state.final says so';

CREATE OR REPLACE FUNCTION onemap.case_findings(was onemap.case_record, c onemap.case_record, action text, request jsonb,
    overdue boolean, moment timestamptz) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_flags text[] := '{}'::text[];
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
COMMENT ON FUNCTION onemap.case_findings(onemap.case_record, onemap.case_record, text, jsonb, boolean, timestamptz) IS
    'Flags of an event: what is found about it';
