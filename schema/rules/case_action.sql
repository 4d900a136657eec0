-- onemap.case_do(), the operation by which everybody acts on a case, JSON in and out. It asks the state machine
-- (case_machine.sql), lets case_flow.sql change the case and case_writer.sql write it.

CREATE OR REPLACE FUNCTION onemap.case_candidate_codes(candidates int[]) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(d.code ORDER BY k.place), '[]')
            FROM unnest(candidates) WITH ORDINALITY AS k (id, place) JOIN onemap.department d ON d.id = k.id);
END $$;
COMMENT ON FUNCTION onemap.case_candidate_codes(int[]) IS 'Candidates in their order, by code';

CREATE OR REPLACE FUNCTION onemap.case_department_code(department_id int) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT d.code FROM onemap.department d WHERE d.id = $1);
END $$;
COMMENT ON FUNCTION onemap.case_department_code(int) IS 'Code of a department, NULL if there is none';

CREATE OR REPLACE FUNCTION onemap.case_answer(c onemap.case_record, unit text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN jsonb_build_object('case', c.code, 'version', c.version, 'state', c.state, 'seq', c.event_count,
        'category', c.category_code, 'condition', c.condition_number, 'department', unit,
        'candidates', CASE WHEN c.state IN ('registered', 'returned') THEN onemap.case_candidate_codes(c.candidates) END,
            'deadline_at', c.deadline_at);
END $$;
COMMENT ON FUNCTION onemap.case_answer(onemap.case_record, text) IS
    'What an operation answers about a case and the code of its department: {case, version, state, seq, category, condition, '
    'department, candidates, deadline_at}';

CREATE OR REPLACE FUNCTION onemap.case_role_check(role text, unit text, c onemap.case_record) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF role = 'system' AND NOT (onemap.has_role('cityhub_hub') OR onemap.has_role('cityhub_history')) THEN
        RAISE EXCEPTION 'the login % may not act as the system', session_user
            USING ERRCODE = 'CH019', DETAIL = '不能以系统的身份办理';
    ELSIF role = 'department' AND coalesce(unit, '') = '' THEN
        RAISE EXCEPTION 'field "unit" is missing' USING ERRCODE = 'CH013', DETAIL = '缺少字段 unit（办理的单位）',
            HINT = 'Whoever acts for a department says for which one: its code.';
    ELSIF unit IS NOT NULL AND c.department_id IS DISTINCT FROM onemap.case_department(unit)
        AND NOT (role = 'department' AND c.department_id IS NULL) THEN
        RAISE EXCEPTION 'case % is not with the department %', c.code, unit USING ERRCODE = 'CH019',
            DETAIL = format('案卷 %s 不在单位 %s 手里', c.code, unit),
            HINT = coalesce('It is with ' || (SELECT d.code || ' ' || d.name_zh FROM onemap.department d
                WHERE d.id = c.department_id) || '.', 'It is with none yet.');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.case_role_check(text, text, onemap.case_record) IS
    'CH019 if the login may not act as the system, or the unit that acts is not the responsible one; CH013 if a department acts '
    'and does not say which one it is';

CREATE OR REPLACE FUNCTION onemap.case_refused(c onemap.case_record, action text, role text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE others text; open_to text;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.case_action a WHERE a.action = $2 AND a.action <> 'report') THEN
        RAISE EXCEPTION 'there is no action "%"', action USING ERRCODE = 'CH013', DETAIL = format('没有办理动作 %s', action),
            HINT = (SELECT 'Actions: ' || string_agg(a.action, ', ' ORDER BY a.action) || '.' FROM onemap.case_action a
                WHERE a.action <> 'report');
    ELSIF NOT EXISTS (SELECT FROM onemap.case_role r WHERE r.role = $3) THEN
        RAISE EXCEPTION 'there is no role "%"', role USING ERRCODE = 'CH013', DETAIL = format('没有岗位 %s', role),
            HINT = (SELECT 'Roles: ' || string_agg(r.role, ', ' ORDER BY r.role) || '.' FROM onemap.case_role r);
    END IF;
    SELECT string_agg(t.role, ', ' ORDER BY t.role) INTO others
    FROM onemap.case_transition t WHERE t.action = $2 AND t.from_state = c.state;
    SELECT string_agg(t.action, ', ' ORDER BY t.action) INTO open_to
    FROM onemap.case_transition t WHERE t.role = $3 AND t.from_state = c.state;
    RAISE EXCEPTION 'case % is %: % is not for % there', c.code, c.state, action, onemap.with_article(role) USING ERRCODE = 'CH010',
        DETAIL = (SELECT format('案卷 %s %s，%s不能%s', c.code, s.name_zh, r.name_zh, a.name_zh)
            FROM onemap.case_state s, onemap.case_role r, onemap.case_action a
            WHERE s.state = c.state AND r.role = $3 AND a.action = $2),
        HINT = CASE WHEN others IS NULL THEN format('Nobody can %s a case that is %s.', action, c.state)
            ELSE format('It is for %s.', others) END
            || coalesce(format(' %s can: %s.', initcap(left(onemap.with_article(role), 1)) || substr(onemap.with_article(role), 2),
                open_to), '');
END $$;
COMMENT ON FUNCTION onemap.case_refused(onemap.case_record, text, text) IS
    'Says why a transition is refused: CH010, or CH013 if there is no such action or role';

CREATE OR REPLACE FUNCTION onemap.case_apply(c onemap.case_record, action text, role text, actor text, moment timestamptz,
    request jsonb, to_state text, unit text DEFAULT NULL) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE n onemap.case_record;
    detail jsonb := request - '{case,action,role,actor,version,reason,at,attachments,satisfaction}'::text[];
BEGIN
    n := onemap.case_act(c, action, request, moment);
    IF to_state = '<' THEN
        n := onemap.case_enter(n, c.resume_state, moment);
    ELSIF to_state <> '=' THEN
        n := onemap.case_enter(n, to_state, moment);
    ELSIF action IN ('classify', 'retime') THEN
        n.stage_deadline_at := onemap.case_stage_deadline(n);
    END IF;
    IF jsonb_typeof(request->'attachments') <> 'null' THEN
        detail := detail || jsonb_build_object('attachments', onemap.case_attachments(request));
    END IF;
    IF action = 'register' THEN
        detail := detail || jsonb_build_object('candidates', onemap.case_candidate_codes(n.candidates));
    ELSIF action = 'grant_extension' THEN
        detail := detail || jsonb_build_object('amount', coalesce(request->'amount', c.asked_extension->'amount'));
    END IF;
    RETURN onemap.case_write(c, n, action, role, actor, moment, request, detail, unit);
END $$;
COMMENT ON FUNCTION onemap.case_apply(onemap.case_record, text, text, text, timestamptz, jsonb, text, text) IS
    'Does a permitted action to a case that was read just now; returns the case after it; unit: code of the department it was '
    'with, if known';

-- What goes with an action beyond the case itself.
CREATE OR REPLACE FUNCTION onemap.case_follow(c onemap.case_record, action text, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE kept onemap.case_record;
BEGIN
    IF action = 'merge' THEN
        SELECT * INTO kept FROM onemap.case_record r WHERE r.id = c.merged_into FOR NO KEY UPDATE;
        IF kept.ended_at IS NOT NULL THEN
            RAISE EXCEPTION 'case % cannot be merged into %: that one has just ended', c.code, kept.code
                USING ERRCODE = 'CH011', DETAIL = format('案卷 %s 不能并入 %s：后者刚刚办结', c.code, kept.code);
        END IF;
        PERFORM onemap.case_apply(kept, 'attach', 'system', 'cityhub', greatest(moment, kept.last_event_at),
            jsonb_build_object('merged', c.code), '=');
    ELSIF c.state = 'registered' AND cardinality(c.candidates) = 1 AND onemap.setting('case_dispatch_single') = 'on' THEN
        c := onemap.case_apply(c, 'dispatch', 'system', 'cityhub', moment, '{}', 'dispatched');
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_follow(onemap.case_record, text, timestamptz) IS
    'merge: the kept case notes it; a case registered for one department alone is dispatched to it, where the setting '
    'case_dispatch_single is on';

CREATE OR REPLACE FUNCTION onemap.case_do(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
-- enable_seqscan: all of it looks things up by key, in small tables too, which without statistics are read whole.
DECLARE
    c onemap.case_record; n onemap.case_record; a record; role text := request->>'role'; action text := request->>'action';
BEGIN
    IF NOT coalesce(role <> '' AND action <> '' AND request->>'case' <> '' AND request->>'actor' <> ''
        AND request->>'version' <> '', false) THEN
        PERFORM onemap.case_fields_check(request, NULL, '{case,action,role,actor,version}');
    END IF;
    SELECT * INTO c FROM onemap.case_record r WHERE r.code = request->>'case';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%"', request->>'case'
            USING ERRCODE = 'CH017', DETAIL = format('没有案卷 %s', request->>'case');
    END IF;
    SELECT '{case,action,role,actor,version,reason,at,unit,attachments}' || k.fields AS fields, k.reason_required, t.to_state,
           d.code AS unit, d.active INTO a
    FROM onemap.case_transition t JOIN onemap.case_action k ON k.action = t.action
        LEFT JOIN onemap.department d ON d.id = c.department_id
    WHERE t.action = request->>'action' AND t.from_state = c.state AND t.role = request->>'role';
    IF NOT FOUND THEN
        PERFORM onemap.case_refused(c, action, role);
    ELSIF request - a.fields <> '{}' THEN
        PERFORM onemap.case_fields_check(request, a.fields, '{}');
    ELSIF onemap.case_text(request, 'actor', 100) IS NULL THEN
        RAISE EXCEPTION 'field "actor" is missing' USING ERRCODE = 'CH013', DETAIL = '缺少字段 actor';
    ELSIF request->>'version' <> c.version::text AND onemap.case_whole(request, 'version', 1, 2147483647) <> c.version THEN
        RAISE EXCEPTION 'case %: version % is no longer its last, which is %', c.code, request->>'version', c.version
            USING ERRCODE = 'CH011',
            DETAIL = format('案卷 %s 的版本 %s 已不是最新，最新为 %s', c.code, request->>'version', c.version),
            HINT = 'Somebody else changed it meanwhile: look at it again, then decide again.';
    ELSIF a.reason_required AND onemap.case_text(request, 'reason', 2000) IS NULL THEN
        RAISE EXCEPTION 'case %: % needs a reason', c.code, action USING ERRCODE = 'CH012',
            DETAIL = (SELECT format('%s须写明理由', x.name_zh) FROM onemap.case_action x WHERE x.action = request->>'action'),
            HINT = 'Give "reason".';
    ELSIF role = 'system'
        OR (role = 'department' OR request ? 'unit') AND (request->>'unit' = a.unit AND a.active) IS NOT TRUE THEN
        PERFORM onemap.case_role_check(role, request->>'unit', c);
    END IF;
    n := onemap.case_apply(c, action, role, btrim(request->>'actor'), onemap.case_at(request, c.last_event_at), request,
        a.to_state, a.unit);
    IF action IN ('merge', 'register', 'classify') THEN
        n := onemap.case_follow(n, action, n.last_event_at);
    END IF;
    RETURN onemap.case_answer(n, CASE WHEN n.department_id = c.department_id THEN a.unit
        ELSE onemap.case_department_code(n.department_id) END);
END $$;
COMMENT ON FUNCTION onemap.case_do(jsonb) IS
    'One action on one case: {case, action, role, actor, version, reason, unit, attachments, at, and the action''s own fields}; '
    'answers {case, version, state, seq, category, condition, department, candidates, deadline_at}; errors CH010 to CH020 of '
    'docs/cases.md';
GRANT EXECUTE ON FUNCTION onemap.case_do(jsonb) TO cityhub_api, cityhub_hub;
