-- What the API and the commands read of cases: lists, one case with its clock and journal, who reported it. JSON in and out.
-- Nothing here changes a case but by case_do().

-- Written into the statement that asks, whose rows are then looked up together; so it has no settings of its own.
CREATE OR REPLACE FUNCTION onemap.case_summary(c onemap.case_record, moment timestamptz DEFAULT NULL) RETURNS TABLE (body jsonb)
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('case', c.code, 'id', c.id, 'version', c.version, 'state', c.state, 'state_zh', s.name_zh,
        'source', c.source, 'title', c.title, 'category', c.category_code, 'category_zh', k.name_zh,
        'condition', c.condition_number, 'department', d.code, 'department_zh', d.name_zh, 'grid_cell', c.grid_cell,
        'street', c.street, 'address', c.address, 'lon', public.ST_X(c.geom), 'lat', public.ST_Y(c.geom),
        'reported_at', c.reported_at, 'deadline_at', c.deadline_at,
        'stage_deadline_at', CASE WHEN c.ended_at IS NULL THEN c.stage_deadline_at END, 'ended_at', c.ended_at,
        'overdue', CASE WHEN c.clock_started_at IS NULL THEN coalesce(c.remaining_s < 0, false)
            ELSE c.deadline_at < coalesce(moment, now()) END,
        'rework_count', c.rework_count, 'supervision_count', c.supervision_count, 'flags', c.flags,
        'satisfaction', c.satisfaction)
    FROM onemap.case_state s
    LEFT JOIN onemap.case_category k ON k.version = c.catalogue_version AND k.code = c.category_code
    LEFT JOIN LATERAL (SELECT x.code, x.name_zh FROM onemap.department x WHERE moment IS NULL AND x.id = c.department_id
        UNION ALL SELECT x.code, x.name_zh FROM onemap.department_as_of(moment) x
        WHERE moment IS NOT NULL AND x.id = c.department_id) d ON true
    WHERE s.state = c.state
$$;
COMMENT ON FUNCTION onemap.case_summary(onemap.case_record, timestamptz) IS
    'A case as lists show it, one row; moment: as it was judged and its department was called then, NULL: now';

-- A filter that names nothing there is would find nothing, which reads as "all is well".
CREATE OR REPLACE FUNCTION onemap.case_list_check(filter jsonb) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.case_source s WHERE s.source = coalesce(filter->>'source', s.source)) THEN
        RAISE EXCEPTION 'there is no source "%"', filter->>'source' USING ERRCODE = 'CH013',
            HINT = (SELECT 'Sources: ' || string_agg(s.source, ', ' ORDER BY s.source) || '.' FROM onemap.case_source s);
    ELSIF filter ? 'subsystem' AND NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = filter->>'subsystem') THEN
        RAISE EXCEPTION 'there is no subsystem "%"', filter->>'subsystem' USING ERRCODE = 'CH013',
            HINT = (SELECT 'Subsystems: ' || string_agg(s.key, ', ' ORDER BY s.key) || '.' FROM onemap.subsystem s);
    ELSIF filter ? 'category' AND NOT EXISTS (SELECT FROM onemap.case_category k WHERE k.code = filter->>'category') THEN
        RAISE EXCEPTION 'no version of the catalogue has a category "%"', filter->>'category' USING ERRCODE = 'CH013',
            HINT = '`cityhub catalogue list` shows the categories.';
    ELSIF filter ? 'grid_cell' AND NOT EXISTS (SELECT FROM onemap.grid_cell g WHERE g.code = filter->>'grid_cell')
        AND NOT EXISTS (SELECT FROM onemap.case_record r WHERE r.grid_cell = filter->>'grid_cell') THEN
        RAISE EXCEPTION 'the county has no grid cell "%"', filter->>'grid_cell' USING ERRCODE = 'CH013';
    ELSIF filter ? 'street' AND NOT EXISTS (SELECT FROM onemap.grid_cell g WHERE left(g.code, 9) = filter->>'street')
        AND NOT EXISTS (SELECT FROM onemap.case_record r WHERE r.street = filter->>'street') THEN
        RAISE EXCEPTION 'no grid cell of the county is in a street "%"', filter->>'street' USING ERRCODE = 'CH013',
            HINT = 'A street is the first nine digits of its grid cells.';
    ELSIF filter ? 'device' AND NOT EXISTS (SELECT FROM onemap.device d WHERE d.id::text = filter->>'device') THEN
        RAISE EXCEPTION 'there is no device "%"', filter->>'device' USING ERRCODE = 'CH013';
    ELSIF onemap.typed_time(filter->>'since') >= onemap.typed_time(filter->>'until') THEN
        RAISE EXCEPTION 'until must be later than since: no case is between % and %', filter->>'since', filter->>'until'
            USING ERRCODE = 'CH013';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.case_list_check(jsonb) IS 'Refuses a filter of cases that names what there is not';

CREATE OR REPLACE FUNCTION onemap.case_list(filter jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := '{state,department,source,category,street,grid_cell,subsystem,device,open,overdue,suspended,since,until,'
        'after,limit}'::text[];
    most int; unit int; result jsonb; conditions text := ''; f text;
BEGIN
    PERFORM onemap.case_fields_check(filter, known, '{}');
    most := coalesce(onemap.case_whole(filter, 'limit', 1, 1000), 50);
    FOREACH f IN ARRAY '{open,overdue,suspended}'::text[] LOOP
        IF filter ? f AND lower(filter->>f) NOT IN ('true', 'false') THEN
            RAISE EXCEPTION 'field "%" must be true or false, not %', f, filter->f USING ERRCODE = 'CH013';
        END IF;
    END LOOP;
    PERFORM onemap.case_list_check(filter);
    IF filter ? 'state' AND NOT EXISTS (SELECT FROM onemap.case_state s WHERE s.state = filter->>'state') THEN
        RAISE EXCEPTION 'there is no state "%"', filter->>'state' USING ERRCODE = 'CH013',
            HINT = (SELECT 'States: ' || string_agg(s.state, ', ' ORDER BY s.position) || '.' FROM onemap.case_state s);
    ELSIF filter ? 'department' THEN
        SELECT d.id INTO unit FROM onemap.department d WHERE d.code = filter->>'department';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the county has no department "%"', filter->>'department' USING ERRCODE = 'CH016';
        END IF;
    END IF;
    -- Dynamic, so that each list is planned for its own filters; their values are parameters.
    SELECT string_agg(' AND ' || x.condition, '') INTO conditions FROM (VALUES
        ('state', 'r.state = $1->>''state'''), ('department', 'r.department_id = $2'), ('source', 'r.source = $1->>''source'''),
        ('category', 'r.category_code = $1->>''category'''), ('street', 'r.street = $1->>''street'''),
        ('grid_cell', 'r.grid_cell = $1->>''grid_cell'''), ('subsystem', 'r.subsystem = $1->>''subsystem'''),
        ('device', 'r.device_id = ($1->>''device'')::int'),
        ('open', CASE WHEN filter->>'open' = 'true' THEN 'r.ended_at IS NULL' ELSE 'r.ended_at IS NOT NULL' END),
        ('overdue', CASE WHEN filter->>'overdue' = 'true'
            THEN 'r.ended_at IS NULL AND r.clock_started_at IS NOT NULL AND r.deadline_at < now()'
            ELSE 'NOT (r.ended_at IS NULL AND r.clock_started_at IS NOT NULL AND r.deadline_at < now())' END),
        ('suspended', CASE WHEN filter->>'suspended' = 'true' THEN 'r.state = ''suspended''' ELSE 'r.state <> ''suspended''' END),
        ('since', 'r.reported_at >= $4'), ('until', 'r.reported_at < $5'), ('after', 'r.id < ($1->>''after'')::bigint'))
        AS x (field, condition) WHERE filter ? x.field;
    EXECUTE 'SELECT jsonb_build_object(''cases'', coalesce(jsonb_agg(s.body ORDER BY x.id DESC), ''[]''),
            ''next'', CASE WHEN count(*) = $3 THEN min(x.id) END)
        FROM (SELECT r.id FROM onemap.case_record r WHERE true' || coalesce(conditions, '') || ' ORDER BY r.id DESC LIMIT $3) x
            JOIN onemap.case_record c ON c.id = x.id CROSS JOIN LATERAL onemap.case_summary(c) s'
        INTO result USING filter, unit, most, onemap.typed_time(filter->>'since'), onemap.typed_time(filter->>'until');
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.case_list(jsonb) IS
    'Cases that fit all of {state, department, source, category, street, grid_cell, subsystem, device (id), open, overdue, '
    'suspended, since and until (typed times of the report)}, newest first, at most limit (1 to 1000, 50): {cases: [...], next}; '
    'next goes into "after" for the following page, null at the end';
GRANT EXECUTE ON FUNCTION onemap.case_list(jsonb) TO cityhub_api, cityhub_hub, cityhub_read;

-- The journal and what came with it up to the case's last event: c may be a case as it was.
CREATE OR REPLACE FUNCTION onemap.case_show_of(c onemap.case_record, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT s.body FROM onemap.case_summary(c, moment) s) || jsonb_build_object(
        'description', c.description, 'catalogue_version', c.catalogue_version, 'component_code', c.component_code,
        'device', (SELECT jsonb_build_object('id', d.id, 'subsystem', d.subsystem, 'vendor', d.vendor, 'code', d.code)
            FROM onemap.device_as_of(moment) d WHERE d.id = c.device_id),
        'external_code', c.external_code, 'merged_into', (SELECT k.code FROM onemap.case_record k WHERE k.id = c.merged_into),
        'merged', (SELECT coalesce(jsonb_agg(k.code ORDER BY k.id), '[]')
            FROM onemap.case_record_as_of(moment) k WHERE k.merged_into = c.id),
        'candidates', (SELECT coalesce(jsonb_agg(jsonb_build_object('department', d.code, 'name_zh', d.name_zh)
            ORDER BY array_position(c.candidates, d.id)), '[]')
            FROM onemap.department_as_of(moment) d WHERE d.id = ANY (c.candidates)),
        'rule', (SELECT jsonb_build_object('condition_zh', n.condition_zh, 'closing_zh', n.closing_zh, 'limit_value', n.limit_value,
                'limit_unit', n.limit_unit, 'responsible', n.responsible, 'source', n.source) FROM onemap.case_condition n
            WHERE n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number),
        'clock', onemap.case_clock_json(c, greatest(coalesce(moment, now()), c.clock_started_at)), 'resume_state', c.resume_state,
        'asked_extension', c.asked_extension, 'asked_suspension', c.asked_suspension,
        'can', (SELECT coalesce(jsonb_object_agg(t.role, t.actions), '{}')
            FROM (SELECT x.role, jsonb_agg(x.action ORDER BY x.action) AS actions
                FROM onemap.case_transition x WHERE x.from_state = c.state AND x.role <> 'system' GROUP BY x.role) t),
        'attachments', (SELECT coalesce(jsonb_agg(jsonb_build_object('seq', a.seq, 'uri', a.uri, 'sha256', encode(a.sha256, 'hex'),
                'size_bytes', a.size_bytes, 'media_type', a.media_type) ORDER BY a.id), '[]')
            FROM onemap.case_attachment a WHERE a.case_id = c.id AND a.seq <= c.event_count),
        'alarms', (SELECT coalesce(jsonb_agg(jsonb_build_object('alarm', l.alarm_id, 'seq', l.seq,
                'close_seq', CASE WHEN l.close_seq <= c.event_count THEN l.close_seq END) ORDER BY l.alarm_id), '[]')
            FROM onemap.case_alarm l WHERE l.case_id = c.id AND l.seq <= c.event_count),
        'warnings', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', w.kind, 'deadline_at', w.deadline_at,
                'warned_at', w.warned_at) ORDER BY w.warned_at, w.kind), '[]')
            FROM onemap.case_warning w WHERE w.case_id = c.id AND (moment IS NULL OR w.warned_at <= moment)),
        'journal', (SELECT coalesce(jsonb_agg(to_jsonb(e) - '{id,case_id,case_code,previous_hash,hash}'::text[]
            || jsonb_build_object('action_zh', a.name_zh, 'hash', encode(e.hash, 'hex')) ORDER BY e.seq), '[]')
            FROM onemap.case_event e JOIN onemap.case_action a ON a.action = e.action
            WHERE e.case_id = c.id AND e.seq <= c.event_count));
END $$;
COMMENT ON FUNCTION onemap.case_show_of(onemap.case_record, timestamptz) IS
    'A case, as it stands (moment NULL) or as it was at a moment, as case_show() shows it';

CREATE OR REPLACE FUNCTION onemap.case_show(code text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE c onemap.case_record;
BEGIN
    SELECT * INTO c FROM onemap.case_record r WHERE r.code = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%"', code USING ERRCODE = 'CH017';
    END IF;
    RETURN onemap.case_show_of(c, NULL);
END $$;
COMMENT ON FUNCTION onemap.case_show(text) IS
    'One case whole: as in lists, and its rule, clock, candidates, what each post can do now, attachments, alarms, warnings and '
    'journal; never who reported it';
GRANT EXECUTE ON FUNCTION onemap.case_show(text) TO cityhub_api, cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.case_contact_show(code text, actor text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE result jsonb;
BEGIN
    SELECT jsonb_build_object('case', c.code, 'reporter', coalesce(k.reporter, ''), 'name', k.name, 'phone', k.phone) INTO result
    FROM onemap.case_record c LEFT JOIN onemap.case_contact k ON k.case_id = c.id WHERE c.code = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%"', code USING ERRCODE = 'CH017';
    END IF;
    PERFORM onemap.audit('case_contact_show', jsonb_build_object('case', $1, 'actor', $2));
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.case_contact_show(text, text) IS
    'Who reported a case and how to call back: {case, reporter, name, phone}; every look is noted in the audit log with its actor';
GRANT EXECUTE ON FUNCTION onemap.case_contact_show(text, text) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.case_transitions() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'states', (SELECT jsonb_agg(jsonb_build_object('state', s.state, 'name_zh', s.name_zh, 'final', s.final)
            ORDER BY s.position) FROM onemap.case_state s),
        'actions', (SELECT jsonb_agg(jsonb_build_object('action', a.action, 'name_zh', a.name_zh,
            'reason_required', a.reason_required, 'fields', a.fields)
            ORDER BY a.action) FROM onemap.case_action a),
        'roles', (SELECT jsonb_agg(jsonb_build_object('role', r.role, 'name_zh', r.name_zh) ORDER BY r.role)
            FROM onemap.case_role r),
        'sources', (SELECT jsonb_agg(jsonb_build_object('source', s.source, 'name_zh', s.name_zh,
            'roles', (SELECT jsonb_agg(t.role ORDER BY t.role) FROM onemap.case_report_right t WHERE t.source = s.source))
                ORDER BY s.source) FROM onemap.case_source s),
        'transitions', (SELECT jsonb_agg(jsonb_build_object('action', t.action, 'role', t.role, 'from_state', t.from_state,
            'to_state', t.to_state) ORDER BY t.from_state, t.action, t.role) FROM onemap.case_transition t))
$$;
COMMENT ON FUNCTION onemap.case_transitions() IS
    'The state machine with all its words: {states, actions, roles, sources, transitions}';
GRANT EXECUTE ON FUNCTION onemap.case_transitions() TO cityhub_api, cityhub_hub, cityhub_read;

-- ---- what people see and ask by commands, see command.sql ----

CREATE OR REPLACE FUNCTION onemap.case_list_table(request jsonb) RETURNS TABLE ("case" text, ver int, state text, category text,
    department text, reported text, deadline text, overdue text, title text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c."case", c.version, c.state, c.category_zh, c.department_zh, onemap.county_time(c.reported_at),
           onemap.county_time(c.deadline_at), CASE WHEN c.overdue THEN 'yes' ELSE '' END, left(c.title, 40)
    FROM ROWS FROM (jsonb_to_recordset(onemap.case_list(request)->'cases') AS ("case" text, version int, state text,
        category_zh text, department_zh text, reported_at timestamptz, deadline_at timestamptz, overdue boolean, title text))
        WITH ORDINALITY AS c ORDER BY c.ordinality
$$;
COMMENT ON FUNCTION onemap.case_list_table(jsonb) IS 'Cases for people, filtered as by case_list()';

CREATE OR REPLACE FUNCTION onemap.case_show_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.case_show(request->>'case')
$$;
COMMENT ON FUNCTION onemap.case_show_json(jsonb) IS 'One case whole: {case}';

-- "1 work_day", "9000 s used, 0 s remain, ...; runs", "dispatcher: dispatch void; leader: ...": parts of a case in words.
CREATE OR REPLACE FUNCTION onemap.case_clock_words(clock jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN jsonb_typeof(clock) = 'object' THEN format('%s s used, %s s remain, %s s over; %s', clock->>'used_s',
        clock->>'remaining_s', clock->>'overdue_s', CASE WHEN (clock->>'running')::boolean THEN 'runs' ELSE 'stands' END) END
$$;
COMMENT ON FUNCTION onemap.case_clock_words(jsonb) IS 'The handling clock of a case in words, NULL if it has none';

CREATE OR REPLACE FUNCTION onemap.case_can_words(can jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(k.key || ': ' || (SELECT string_agg(x, ' ') FROM jsonb_array_elements_text(k.value) x), '; ' ORDER BY k.key)
    FROM jsonb_each(can) k
$$;
COMMENT ON FUNCTION onemap.case_can_words(jsonb) IS 'What each post can do with a case, in words';

CREATE OR REPLACE FUNCTION onemap.case_show_facts(shown jsonb) RETURNS TABLE (fact text, value text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.fact, f.value FROM (VALUES
        (1, 'case', shown->>'case'), (2, 'version', shown->>'version'),
        (3, 'state', concat_ws(' ', shown->>'state', shown->>'state_zh')), (4, 'title', shown->>'title'),
        (5, 'description', shown->>'description'), (6, 'source', shown->>'source'),
        (7, 'category', concat_ws(' ', shown->>'category', shown->>'category_zh', shown->'rule'->>'condition_zh')),
        (8, 'place', concat_ws(' ', shown->>'grid_cell', nullif(shown->>'address', ''), shown->>'lon', shown->>'lat')),
        (9, 'department', concat_ws(' ', shown->>'department', shown->>'department_zh')),
        (10, 'candidates', (SELECT string_agg((k->>'department') || ' ' || (k->>'name_zh'), ', ')
            FROM jsonb_array_elements(shown->'candidates') k)),
        (11, 'limit', concat_ws(' ', shown->'clock'->>'limit_value', shown->'clock'->>'limit_unit')),
        (12, 'deadline', onemap.county_time((shown->>'deadline_at')::timestamptz, 'YYYY-MM-DD HH24:MI:SS')),
        (13, 'clock', onemap.case_clock_words(shown->'clock')),
        (14, 'flags', (SELECT string_agg(x, ', ') FROM jsonb_array_elements_text(shown->'flags') x)),
        (15, 'merged into', shown->>'merged_into'), (16, 'closing', shown->'rule'->>'closing_zh'),
        (17, 'can', onemap.case_can_words(shown->'can'))) AS f (position, fact, value)
    WHERE f.value <> '' ORDER BY f.position
$$;
COMMENT ON FUNCTION onemap.case_show_facts(jsonb) IS 'The answer of case_show() for people, without its journal';

CREATE OR REPLACE FUNCTION onemap.case_show_journal(shown jsonb)
RETURNS TABLE (seq int, at text, action text, state text, role text,
    actor text, department text, deadline text, flags text, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.seq, onemap.county_time(e.at, 'YYYY-MM-DD HH24:MI:SS'), e.action, e.to_state, e.role, e.actor, e.department,
           onemap.county_time(e.deadline_at), array_to_string(e.flags, ' '), e.reason
    FROM jsonb_to_recordset(shown->'journal') AS e(seq int, at timestamptz, action text, to_state text, role text, actor text,
        department text, deadline_at timestamptz, flags text[], reason text) ORDER BY e.seq
$$;
COMMENT ON FUNCTION onemap.case_show_journal(jsonb) IS 'The journal in the answer of case_show() for people';

CREATE OR REPLACE FUNCTION onemap.case_do_now(request jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.case_do(CASE WHEN request ? 'version' THEN request
        ELSE request || jsonb_build_object('version', onemap.case_show(request->>'case')->'version') END)
$$;
COMMENT ON FUNCTION onemap.case_do_now(jsonb) IS 'case_do() for whoever names no version: with the case as it is now';
