-- Cases over HTTP: lists by every figure, one case, its report and what is done with it. Lists and figures are made of the same
-- conditions, so that every number opens its list. Who sees which rows is said by identity_departments() alone: a department lists
-- the cases that it has; by a statistic those that counted for it, also where another has the case by now; and it reads what it
-- knew of a case that was once its own. Acting goes through case_report() and case_do(), as who is logged in.

-- ---- words ----

CREATE OR REPLACE FUNCTION onemap.http_case_stages() RETURNS TABLE ("position" int, stage text, name_zh text, states text[])
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES (1, 'accept', '受理', '{reported}'::text[]), (2, 'register', '立案', '{accepted,verifying,verified}'),
        (3, 'dispatch', '派遣', '{registered,returned}'), (4, 'handle', '处置', '{dispatched,handling}'),
        (5, 'check', '核查', '{handled}'), (6, 'close', '结案', '{checked}'), (7, 'suspended', '挂账', '{suspended}'),
        (8, 'ended', '办结', '{closed,rejected,voided,merged}')
$$;
COMMENT ON FUNCTION onemap.http_case_stages() IS 'Stages (环节) of the closed loop with the states that belong to each';

-- Conditions on r, a row of case_record. $1 is the moment, which is the same for a count and its list.
CREATE OR REPLACE FUNCTION onemap.http_case_figures()
RETURNS TABLE ("position" int, figure text, name_zh text, condition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES (1, 'open', '未办结', 'r.ended_at IS NULL'),
        (2, 'overdue', '超期待处置', 'r.ended_at IS NULL AND r.clock_started_at IS NOT NULL AND r.deadline_at < $1'),
        (3, 'due_soon', '即将超期', 'r.clock_started_at IS NOT NULL AND r.warn_at <= $1 AND r.deadline_at >= $1'),
        (4, 'late', '超期（含已处置）', 'CASE WHEN r.clock_started_at IS NULL THEN r.remaining_s < 0 ELSE r.deadline_at < $1 END'),
        (5, 'stage_overdue', '环节超时', 'r.ended_at IS NULL AND r.stage_deadline_at < $1'),
        (6, 'asked', '待批延期或挂账', 'r.asked_extension IS NOT NULL OR r.asked_suspension IS NOT NULL'),
        (7, 'urgent', '紧急', 'r.limit_unit IN (SELECT u.unit FROM onemap.time_unit u WHERE u.clock = ''continuous'')'),
        (8, 'returned', '有过回退', 'r.return_count > 0'),
        (9, 'reworked', '有过返工', 'r.rework_count > 0'),
        (10, 'wrong_dispatch', '有过错误派遣', 'r.wrong_dispatch_count > 0'),
        (11, 'extended', '有过延期', 'r.extension_count > 0'),
        (12, 'hung', '有过挂账', 'r.suspension_count > 0'),
        (13, 'supervised', '有过督办', 'r.supervision_count > 0'),
        (14, 'reminded', '有过催办', 'r.reminder_count > 0'),
        (15, 'shirking', '推诿', '''shirking'' = ANY (r.flags)'),
        (16, 'fraud', '弄虚作假', '''fraud'' = ANY (r.flags)'),
        (17, 'poor_cooperation', '配合不力', '''poor_cooperation'' = ANY (r.flags)'),
        (18, 'unfounded', '核实不属实', '''unfounded'' = ANY (r.flags)'),
        (19, 'satisfied', '满意', 'r.satisfaction = ''satisfied'''),
        (20, 'basically_satisfied', '基本满意', 'r.satisfaction = ''basically_satisfied'''),
        (21, 'dissatisfied', '不满意', 'r.satisfaction = ''dissatisfied'''),
        (22, 'of_alarm', '报警转案卷', 'EXISTS (SELECT FROM onemap.case_alarm l WHERE l.case_id = r.id AND l.seq <= r.event_count)')
$$;
COMMENT ON FUNCTION onemap.http_case_figures() IS
    'Figures (统计量) of cases as they stand: each is a count, and a word of the list''s parameters "is" and "not"';

CREATE OR REPLACE FUNCTION onemap.http_code_begins(code text, beginnings jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM jsonb_array_elements_text(beginnings) e (e) WHERE CASE e.e WHEN '' THEN code = ''
        ELSE starts_with(code, e.e) END)
$$;
COMMENT ON FUNCTION onemap.http_code_begins(text, jsonb) IS
    'Whether a code begins with one of a list; '''' in it stands for no code';

-- Conditions of the list's other parameters: $2 the request, $3 ids of the departments it names, $4 and $5 its times.
CREATE OR REPLACE FUNCTION onemap.http_case_conditions() RETURNS TABLE (parameter text, condition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('state', '$2->''state'' ? r.state'),
        ('stage', 'r.state = ANY (ARRAY(SELECT unnest(s.states) FROM onemap.http_case_stages() s WHERE $2->''stage'' ? s.stage))'),
        ('source', '$2->''source'' ? r.source'),
        ('category', 'onemap.http_code_begins(coalesce(r.category_code, ''''), $2->''category'')'),
        ('department', '(r.department_id = ANY ($3) OR $2->''department'' ? '''' AND r.department_id IS NULL)'),
        ('grid_cell', 'onemap.http_code_begins(coalesce(r.grid_cell, ''''), $2->''grid_cell'')'),
        ('urgent', '(r.limit_unit IN (SELECT u.unit FROM onemap.time_unit u WHERE u.clock = ''continuous'')) IS TRUE
            = ($2->>''urgent'')::boolean'),
        ('subsystem', 'r.subsystem = $2->>''subsystem'''),
        ('device', 'r.device_id = ($2->>''device'')::int'),
        ('box', 'public.ST_Intersects(r.geom, onemap.http_box($2->''box''))'),
        ('area', 'public.ST_Intersects(r.geom, onemap.http_area($2->''area''))'),
        ('text', 'position(lower($2->>''text'') IN lower(concat_ws('' '', r.code, r.title, r.address, r.external_code,
            r.description))) > 0')
$$;
COMMENT ON FUNCTION onemap.http_case_conditions() IS 'Conditions on rows r of case_record by the parameters of a list of cases';

-- ---- filters ----

CREATE OR REPLACE FUNCTION onemap.http_words_check(request jsonb, key text, known text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text;
BEGIN
    SELECT e.e INTO stray FROM jsonb_array_elements_text(CASE jsonb_typeof(request->key) WHEN 'array' THEN request->key
        WHEN 'string' THEN jsonb_build_array(request->key) ELSE '[]' END) e (e) WHERE e.e <> ALL (known) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION '%: there is no "%"', key, stray USING ERRCODE = 'CH013',
            DETAIL = format('参数 %s：没有 %s', key, stray),
            HINT = '可用 / there are: ' || array_to_string(known, ', ');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_words_check(jsonb, text, text[]) IS
    'CH013 if a parameter has a word that there is not: a filter that names nothing would find nothing, which reads as all is well';

CREATE OR REPLACE FUNCTION onemap.http_departments_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text := (SELECT e.e FROM jsonb_array_elements_text(request->'department') e (e) WHERE e.e <> ''
    AND NOT EXISTS (SELECT FROM onemap.department d WHERE d.code = e.e) LIMIT 1);
BEGIN
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'the county has no department "%"', stray USING ERRCODE = 'CH016',
            DETAIL = format('县里没有单位 %s', stray), HINT = '请核对单位代码。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_departments_check(jsonb) IS
    'CH016 if a list''s parameter names a department that there is not; the empty code stands for none';

CREATE OR REPLACE FUNCTION onemap.http_beginnings_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE key text; stray text;
BEGIN
    SELECT k.key, e.e INTO key, stray
    FROM unnest('{category,grid_cell}'::text[]) k (key) CROSS JOIN jsonb_array_elements_text(coalesce(request->k.key, '[]')) e (e)
    WHERE e.e <> '' AND NOT CASE k.key
        WHEN 'category' THEN EXISTS (SELECT FROM onemap.case_category c WHERE starts_with(c.code, e.e))
        ELSE EXISTS (SELECT FROM onemap.grid_cell g WHERE starts_with(g.code, e.e))
            OR EXISTS (SELECT FROM onemap.case_record r WHERE starts_with(r.grid_cell, e.e)) END
    LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION '%: there is none that begins with "%"', key, stray USING ERRCODE = 'CH013',
            DETAIL = format('参数 %s：没有以 %s 开头的', key, stray),
            HINT = '类别和网格代码只含数字，可只写前几位；有哪些见 /api/v1/cases/words 和 /api/v1/grid_cells。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_beginnings_check(jsonb) IS
    'CH013 if a list''s category or grid_cell begins no code that there is, in any version of the catalogue or among cases';

CREATE OR REPLACE FUNCTION onemap.http_case_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE figures text[] := ARRAY(SELECT f.figure FROM onemap.http_case_figures() f ORDER BY f.position);
BEGIN
    PERFORM onemap.http_words_check(request, 'state', ARRAY(SELECT s.state FROM onemap.case_state s ORDER BY s.position)),
        onemap.http_words_check(request, 'stage', ARRAY(SELECT s.stage FROM onemap.http_case_stages() s ORDER BY s.position)),
        onemap.http_words_check(request, 'source', ARRAY(SELECT s.source FROM onemap.case_source s ORDER BY s.source)),
        onemap.http_words_check(request, 'is', figures), onemap.http_words_check(request, 'not', figures),
        onemap.http_words_check(request, 'subsystem', ARRAY(SELECT s.key FROM onemap.subsystem s ORDER BY s.key)),
        onemap.http_departments_check(request),
        onemap.http_words_check(request, 'statistic', ARRAY(SELECT m.measure FROM onemap.score_measure m ORDER BY m.position));
    PERFORM onemap.http_beginnings_check(request), onemap.http_device_check(request);
    IF NOT request ? 'statistic' THEN
        PERFORM onemap.http_period_check(request); -- of a statistic both are days, and the last one counts
    END IF;
    IF NOT request ? 'statistic' AND request ? 'month' OR request ? 'statistic' AND request ? 'moment' THEN
        RAISE EXCEPTION 'month goes with statistic, and moment without it' USING ERRCODE = 'CH013',
            DETAIL = '参数 month 与 statistic 同用，moment 不与它同用',
            HINT = '按月统计用 statistic 与 month（或 from、to）；按时刻筛选用 moment 与 from、to。';
    ELSIF request ?& '{statistic,at}' THEN
        RAISE EXCEPTION 'a statistic is judged as of its own moment (as_of), not at another' USING ERRCODE = 'CH078',
            DETAIL = '统计量按其数据截止时刻计算，不能另写时刻 at',
            HINT = '统计量按其数据截止时刻（as_of）计算；at 用于不带 statistic 的列表。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_case_check(jsonb) IS
    'Refuses a filter of cases that names what there is not (CH013, CH016), or a statistic at a moment (CH078)';

CREATE OR REPLACE FUNCTION onemap.http_case_where(request jsonb, skipped text[] DEFAULT '{}') RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(' AND ' || w.condition, '' ORDER BY w.condition), '') FROM (
        SELECT c.condition FROM onemap.http_case_conditions() c WHERE request ? c.parameter AND c.parameter <> ALL (skipped)
        UNION ALL SELECT format('(%s) IS TRUE', f.condition) FROM onemap.http_case_figures() f WHERE request->'is' ? f.figure
        UNION ALL SELECT format('(%s) IS NOT TRUE', f.condition) FROM onemap.http_case_figures() f WHERE request->'not' ? f.figure
        UNION ALL SELECT format('r.%I_at %s', m.word, b.bound)
            FROM (VALUES ('from', '>= $4'), ('to', '< $5')) AS b (key, bound), (VALUES ('reported'), ('accepted'), ('registered'),
                ('dispatched'), ('handled'), ('checked'), ('ended')) AS m (word)
            WHERE NOT request ? 'statistic' AND request ? b.key AND m.word = coalesce(request->>'moment', 'reported')) w
$$;
COMMENT ON FUNCTION onemap.http_case_where(jsonb, text[]) IS
    'A request''s filters as conditions, each with AND before it, on rows r of case_record: words of the program, values by number';

-- The rows that who asks may list, and the request's filters.
CREATE OR REPLACE FUNCTION onemap.http_case_rows(request jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE mine int[] := onemap.identity_departments(request); counted text;
BEGIN
    IF NOT request ? 'statistic' THEN
        RETURN '(SELECT k.*, NULL::bigint AS times FROM ' || CASE WHEN onemap.http_at(request) IS NULL THEN 'onemap.case_record'
                ELSE 'onemap.case_record_as_of($1)' END || ' k) r WHERE true'
            || CASE WHEN mine IS NOT NULL THEN format(' AND r.department_id = ANY (%L)', mine) ELSE '' END
            || onemap.http_case_where(request);
    END IF;
    SELECT format('SELECT r.case_id, sum(%1$s) AS times FROM %2$s AND %3$s GROUP BY r.case_id HAVING sum(%1$s) <> 0', m.expression,
        onemap.http_score_rows(request), onemap.http_score_where_sql(request)) INTO counted
    FROM onemap.score_measure m WHERE m.measure = request->>'statistic';
    -- Filters and groups see no more of a case that went on than its list tells.
    RETURN format('(SELECT s.*, n.times FROM (%s) n JOIN onemap.case_record k ON k.id = n.case_id
            CROSS JOIN LATERAL %s s) r WHERE true', counted,
            CASE WHEN mine IS NULL THEN '(SELECT k.*)' ELSE 'onemap.http_case_seen(k, onemap.http_case_reach(k, $2))' END)
        || onemap.http_case_where(request, '{source,category,grid_cell,department,urgent}');
END $$;
COMMENT ON FUNCTION onemap.http_case_rows(jsonb) IS
    'The cases r of a list, with times (how often each counts for the statistic), as the FROM and WHERE of a statement whose '
    'parameters are $1 the moment, $2 the request, $3 ids of departments, $4 from, $5 to';

-- Of a statistic the moment is as_of, of cases as they stand it is now, of cases as they were the moment that is asked for.
CREATE OR REPLACE FUNCTION onemap.http_case_moment(request jsonb) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN request ? 'statistic' THEN onemap.http_score_as_of(request) ELSE coalesce(onemap.http_at(request), now()) END
$$;
COMMENT ON FUNCTION onemap.http_case_moment(jsonb) IS 'The moment at which a list of cases is judged';

CREATE OR REPLACE FUNCTION onemap.http_case_departments(request jsonb) RETURNS int[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT d.id FROM onemap.department d WHERE request->'department' ? d.code)
$$;
COMMENT ON FUNCTION onemap.http_case_departments(jsonb) IS 'Ids of the departments that a request names';

-- ---- lists ----

-- Written into the statement that asks, see case_summary().
CREATE OR REPLACE FUNCTION onemap.http_case_entry(c onemap.case_record, times bigint, moment timestamptz DEFAULT NULL)
RETURNS TABLE (body jsonb)
LANGUAGE sql STABLE AS $$
    SELECT e.body || jsonb_build_object('stage', s.stage, 'stage_zh', s.name_zh,
        'subsystem', c.subsystem, 'device', c.device_id, 'external_code', c.external_code, 'registered_at', c.registered_at,
        'dispatched_at', c.dispatched_at, 'handled_at', c.handled_at, 'return_count', c.return_count,
        'extension_count', c.extension_count, 'suspension_count', c.suspension_count)
        || CASE WHEN times IS NOT NULL THEN jsonb_build_object('times', times) ELSE '{}' END
    FROM onemap.case_summary(c, moment) e, onemap.http_case_stages() s WHERE c.state = ANY (s.states)
$$;
COMMENT ON FUNCTION onemap.http_case_entry(onemap.case_record, bigint, timestamptz) IS
    'A case as the route''s lists show it, one row; moment: as it was then, NULL: as it is';

CREATE OR REPLACE FUNCTION onemap.http_case_reach(c onemap.case_record, request jsonb) RETURNS int
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN m.mine IS NULL OR c.department_id = ANY (m.mine) THEN 2147483647
        WHEN c.wrong_dispatch_count > 0 THEN (SELECT max(e.seq) + 1 FROM onemap.case_event e
            WHERE e.case_id = c.id AND e.seq <= c.event_count
                AND e.department = ANY (onemap.http_department_codes(request))) END
    FROM (SELECT onemap.identity_departments(request) AS mine) m
$$;
COMMENT ON FUNCTION onemap.http_case_reach(onemap.case_record, jsonb) IS
    'Up to which event of its journal who asks may read a case: all of it, up to the one by which it went to another department, '
    'or NULL: not at all';

CREATE OR REPLACE FUNCTION onemap.http_case_goes_on(request jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT request ? 'statistic' AND onemap.identity_departments(request) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_case_goes_on(jsonb) IS
    'Whether a list may have cases that went on to another department than those of who asks';

-- By the journal alone, which is kept as long as the case. What it does not have (clock, candidates) is in no answer, see below.
CREATE OR REPLACE FUNCTION onemap.http_case_seen(c onemap.case_record, reach int) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE e onemap.case_event; went onemap.case_event;
BEGIN
    IF coalesce(reach, 2147483647) = 2147483647 THEN
        RETURN c;
    END IF;
    SELECT * INTO e FROM onemap.case_event x WHERE x.case_id = c.id AND x.seq = reach - 1;
    SELECT * INTO went FROM onemap.case_event x WHERE x.case_id = c.id AND x.seq = reach;
    c.version := e.seq; c.event_count := went.seq; c.last_event_at := e.at;
    c.state := e.to_state; c.category_code := e.category; c.condition_number := e.condition_number;
    c.department_id := (SELECT d.id FROM onemap.department d WHERE d.code = e.department);
    c.deadline_at := e.deadline_at; c.stage_deadline_at := went.stage_deadline_at;
    c.clock_started_at := NULL; c.remaining_s := -coalesce(went.overdue_s, 0);
    c.checked_at := NULL; c.ended_at := NULL; c.merged_into := NULL; c.warn_at := NULL;
    c.asked_extension := NULL; c.asked_suspension := NULL; c.resume_state := NULL;
    SELECT max(x.at) FILTER (WHERE x.action = 'dispatch'), max(x.at) FILTER (WHERE x.action = 'feed_back'),
        count(*) FILTER (WHERE x.action = 'rework')::int, count(*) FILTER (WHERE x.action = 'return')::int,
        count(*) FILTER (WHERE x.action = 'grant_extension')::int, count(*) FILTER (WHERE x.action = 'suspend')::int,
        count(*) FILTER (WHERE x.action = 'supervise')::int, count(*) FILTER (WHERE x.action = 'remind')::int, max(x.satisfaction)
    INTO c.dispatched_at, c.handled_at, c.rework_count, c.return_count, c.extension_count, c.suspension_count,
        c.supervision_count, c.reminder_count, c.satisfaction
    FROM onemap.case_event x WHERE x.case_id = c.id AND x.seq < reach;
    c.flags := ARRAY(SELECT DISTINCT f FROM onemap.case_event x, unnest(x.flags) f
        WHERE x.case_id = c.id AND x.seq < reach ORDER BY f);
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.http_case_seen(onemap.case_record, int) IS
    'A case as far as it may be read, see http_case_reach(): as it is, or as it stood when it went on to another department';

CREATE OR REPLACE FUNCTION onemap.http_case_past(case_id bigint, reach int) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT jsonb_build_object('past', true, 'left_at', e.at) FROM onemap.case_event e
        WHERE e.case_id = $1 AND e.seq = reach), '{}')
$$;
COMMENT ON FUNCTION onemap.http_case_past(bigint, int) IS
    'What is said of a case that has gone on to another department: that it has, and when; {} of others';

CREATE OR REPLACE FUNCTION onemap.http_case_page(request jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '(SELECT r.id, r.times FROM ' || onemap.http_case_rows(request)
        || ' AND ($2->>''after'' IS NULL OR r.id < ($2->>''after'')::bigint)
            ORDER BY r.id DESC LIMIT ($2->>''limit'')::int) p JOIN '
        || CASE WHEN request ? 'at' THEN 'onemap.case_record_as_of($6)' ELSE 'onemap.case_record' END
        || CASE WHEN onemap.http_case_goes_on(request)
            THEN ' k ON k.id = p.id CROSS JOIN LATERAL (SELECT onemap.http_case_reach(k, $2) AS reach OFFSET 0) w
                CROSS JOIN LATERAL onemap.http_case_seen(k, w.reach) c
                CROSS JOIN LATERAL onemap.http_case_past(k.id, w.reach) g (past)'
            ELSE ' c ON c.id = p.id CROSS JOIN (VALUES (''{}''::jsonb)) g (past)' END
$$;
COMMENT ON FUNCTION onemap.http_case_page(jsonb) IS
    'A page of a list as the FROM of a statement with the parameters of http_case_rows() and $6, the moment or NULL: p, its rows; '
    'c, each one''s case as far as who asks may see it; g.past, what is said of one that has gone on';

CREATE OR REPLACE FUNCTION onemap.http_cases(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE result jsonb; figure jsonb;
BEGIN
    PERFORM onemap.http_case_check(request);
    EXECUTE format('SELECT jsonb_build_object(
            ''cases'', coalesce(jsonb_agg(e.body || g.past ORDER BY p.id DESC), ''[]''),
            ''next'', CASE WHEN count(*) = ($2->>''limit'')::int THEN min(p.id) END)
        FROM %s CROSS JOIN LATERAL onemap.http_case_entry(c, p.times, $6) e', onemap.http_case_page(request))
    INTO result USING onemap.http_case_moment(request), request, onemap.http_case_departments(request),
        onemap.http_time(request, 'from'), onemap.http_time(request, 'to'), onemap.http_at(request);
    IF request ? 'statistic' THEN
        EXECUTE format('SELECT jsonb_build_object(''statistic'', $2->''statistic'', ''value'', coalesce(sum(r.times), 0),
            ''cases'', count(*), ''as_of'', $1) FROM %s', onemap.http_case_rows(request))
        INTO figure USING onemap.http_case_moment(request), request, onemap.http_case_departments(request), NULL::timestamptz,
            NULL::timestamptz;
        result := result || jsonb_build_object('figure', figure);
    END IF;
    RETURN QUERY SELECT result::json;
END $$;
COMMENT ON FUNCTION onemap.http_cases(jsonb) IS
    'GET /api/v1/cases: {cases, next, figure}; next: to go on behind, NULL on the last page; figure: of a statistic its value, the '
    'sum of the entries'' "times", and the number of cases';
GRANT EXECUTE ON FUNCTION onemap.http_cases(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_case_csv_line(c onemap.case_record, times bigint, moment timestamptz)
RETURNS TABLE (line text)
LANGUAGE sql STABLE AS $$
    SELECT onemap.http_csv_line(e.e->>'case', e.e->>'state_zh', e.e->>'stage_zh', s.name_zh, e.e->>'category', e.e->>'category_zh',
        e.e->>'department', e.e->>'department_zh', c.title, c.address, c.grid_cell, e.e->>'lon', e.e->>'lat',
        onemap.county_time(c.reported_at), onemap.county_time(c.registered_at), onemap.county_time(c.dispatched_at),
        onemap.county_time(c.deadline_at), onemap.county_time(c.handled_at), onemap.county_time(c.ended_at),
        CASE WHEN (e.e->>'overdue')::boolean THEN '是' ELSE '否' END, c.return_count::text, c.rework_count::text,
        c.supervision_count::text, c.satisfaction, c.external_code, times::text)
    FROM (SELECT x.body FROM onemap.http_case_entry(c, times, moment) x OFFSET 0) e (e) -- once a row, not once a cell
        JOIN onemap.case_source s ON s.source = c.source
$$;
COMMENT ON FUNCTION onemap.http_case_csv_line(onemap.case_record, bigint, timestamptz) IS
    'A case as a line of CSV, one row, times as the county''s clocks; moment: as it was then, NULL: as it is';

CREATE OR REPLACE FUNCTION onemap.http_cases_csv(request jsonb) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE asked jsonb := onemap.http_csv_asked(request); lines bigint;
BEGIN
    PERFORM onemap.http_case_check(request);
    RETURN QUERY SELECT onemap.http_csv_head(request, '案卷号', '状态', '环节', '来源', '类别代码', '类别', '单位代码', '责任单位',
        '标题', '地址', '网格', '经度', '纬度', '上报时间', '立案时间', '派遣时间', '处置截止', '处置时间', '办结时间', '超期',
        '回退次数', '返工次数', '督办次数', '满意度', '外部编号', '计入次数');
    RETURN QUERY EXECUTE format('SELECT l.line
        FROM %s CROSS JOIN LATERAL onemap.http_case_csv_line(c, p.times, $6) l ORDER BY p.id DESC', onemap.http_case_page(asked))
    USING onemap.http_case_moment(request), asked, onemap.http_case_departments(request),
        onemap.http_time(request, 'from'), onemap.http_time(request, 'to'), onemap.http_at(request);
    GET DIAGNOSTICS lines = ROW_COUNT;
    PERFORM onemap.http_csv_end(asked, lines);
END $$;
COMMENT ON FUNCTION onemap.http_cases_csv(jsonb) IS 'GET /api/v1/cases.csv: the same list line by line';
GRANT EXECUTE ON FUNCTION onemap.http_cases_csv(jsonb) TO cityhub_api;

-- ---- counts ----

CREATE OR REPLACE FUNCTION onemap.http_case_keys() RETURNS TABLE (dimension text, key text, name text, parameter text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('all', '''all''::text', 'NULL::text', NULL),
        ('state', 'r.state', '(SELECT s.name_zh FROM onemap.case_state s WHERE s.state = g.key)', 'state'),
        ('stage', '(SELECT s.stage FROM onemap.http_case_stages() s WHERE r.state = ANY (s.states))',
            '(SELECT s.name_zh FROM onemap.http_case_stages() s WHERE s.stage = g.key)', 'stage'),
        ('source', 'r.source', '(SELECT s.name_zh FROM onemap.case_source s WHERE s.source = g.key)', 'source'),
        ('class', 'left(coalesce(r.category_code, ''''), 3)',
            '(SELECT k.class_zh FROM onemap.case_category k JOIN onemap.case_catalogue y ON y.version = k.version
                WHERE left(k.code, 3) = g.key AND ($6 IS NULL OR y.imported_at <= $6) ORDER BY k.version DESC LIMIT 1)',
            'category'),
        ('category', 'coalesce(r.category_code, '''')',
            '(SELECT k.name_zh FROM onemap.case_category k JOIN onemap.case_catalogue y ON y.version = k.version
                WHERE k.code = g.key AND ($6 IS NULL OR y.imported_at <= $6) ORDER BY k.version DESC LIMIT 1)', 'category'),
        ('department', 'coalesce((SELECT d.code FROM onemap.department d WHERE d.id = r.department_id), '''')',
            '(SELECT d.name_zh FROM onemap.department_as_of($6) d WHERE d.code = g.key)', 'department'),
        ('street', 'coalesce(r.street, '''')', 'NULL::text', 'grid_cell'),
        ('grid_cell', 'coalesce(r.grid_cell, '''')', 'NULL::text', 'grid_cell')
$$;
COMMENT ON FUNCTION onemap.http_case_keys() IS
    'By what cases can be counted: the key of a row r, the name of a key ($6 the moment asked for, NULL: '
    'now), and the parameter by which a list has its cases';

CREATE OR REPLACE FUNCTION onemap.http_case_statistics(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE rows jsonb; figures text; k record; moment timestamptz := onemap.http_case_moment(request);
BEGIN
    PERFORM onemap.http_case_check(request);
    SELECT * INTO k FROM onemap.http_case_keys() x WHERE x.dimension = request->>'by';
    SELECT string_agg(format('count(*) FILTER (WHERE %s) AS %I', f.condition, f.figure), ', ' ORDER BY f.position) INTO figures
    FROM onemap.http_case_figures() f;
    EXECUTE format('SELECT coalesce(jsonb_agg(jsonb_build_object(''key'', g.key, ''name_zh'', %s,
            ''figures'', to_jsonb(g) - ''key'') ORDER BY g.key COLLATE "C"), ''[]'')
        FROM (SELECT %s AS key, count(*) AS all, %s FROM %s GROUP BY 1) g', k.name, k.key, figures, onemap.http_case_rows(request))
    INTO rows USING moment, request, onemap.http_case_departments(request), onemap.http_time(request, 'from'),
        onemap.http_time(request, 'to'), onemap.http_at(request);
    RETURN QUERY SELECT json_build_object('by', k.dimension, 'as_of', moment, 'parameter', k.parameter, 'rows', rows,
        'figures', (SELECT json_agg(json_build_object('figure', f.figure, 'name_zh', f.name_zh) ORDER BY f.position)
            FROM onemap.http_case_figures() f));
END $$;
COMMENT ON FUNCTION onemap.http_case_statistics(jsonb) IS
    'GET /api/v1/cases/statistics: {by, as_of, parameter, rows: [{key, name_zh, figures: {all, open, overdue, ...}}], figures}; '
    'the list behind a figure has the same filter, the parameter''s key, and is=<figure>; at: as it was at a moment';
GRANT EXECUTE ON FUNCTION onemap.http_case_statistics(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_case_words(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (onemap.case_transitions() || jsonb_build_object(
        'stages', (SELECT jsonb_agg(jsonb_build_object('stage', s.stage, 'name_zh', s.name_zh, 'states', s.states)
            ORDER BY s.position) FROM onemap.http_case_stages() s),
        'figures', (SELECT jsonb_agg(jsonb_build_object('figure', f.figure, 'name_zh', f.name_zh) ORDER BY f.position)
            FROM onemap.http_case_figures() f),
        'statistics', (SELECT jsonb_agg(jsonb_build_object('statistic', m.measure, 'name_zh', m.name_zh) ORDER BY m.position)
            FROM onemap.score_measure m),
        'rates', (SELECT jsonb_agg(jsonb_build_object('rate', r.rate, 'name_zh', r.name_zh, 'numerator', r.numerator,
            'denominator', r.denominator) ORDER BY r.position) FROM onemap.score_rate r),
        'categories', (SELECT coalesce(jsonb_agg(jsonb_build_object('code', k.code, 'name_zh', k.name_zh, 'class_zh', k.class_zh)
            ORDER BY k.code), '[]') FROM onemap.case_category k WHERE k.version = onemap.case_catalogue_current())))::json
    WHERE onemap.identity(request) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_case_words(jsonb) IS
    'GET /api/v1/cases/words: states, stages, actions, posts, sources, figures, statistics and categories with their names';
GRANT EXECUTE ON FUNCTION onemap.http_case_words(jsonb) TO cityhub_api;

-- ---- one case ----

CREATE OR REPLACE FUNCTION onemap.http_case_can(c onemap.case_record, request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(x.post, x.actions), '{}') FROM (
        SELECT p.post, jsonb_agg(jsonb_build_object('action', t.action, 'name_zh', a.name_zh, 'reason_required', a.reason_required,
            'fields', a.fields, 'to_state', t.to_state) ORDER BY t.action) AS actions
        FROM onemap.post p JOIN onemap.case_transition t ON t.role = p.case_role AND t.from_state = c.state
            JOIN onemap.case_action a ON a.action = t.action LEFT JOIN onemap.department d ON d.id = c.department_id
        WHERE request->'identity'->'posts' ? p.post
            AND (p.case_role <> 'department' OR d.id IS NULL OR d.code = request->'identity'->>'department')
        GROUP BY p.post) x
$$;
COMMENT ON FUNCTION onemap.http_case_can(onemap.case_record, jsonb) IS 'What who asks can do with a case now: {post: [action]}';

CREATE OR REPLACE FUNCTION onemap.http_case_near(c onemap.case_record, request jsonb, radius_m float8, alike boolean,
    moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('case', n.code, 'title', n.title, 'state', n.state, 'category', n.category_code,
        'reported_at', n.reported_at, 'distance_m', round(n.distance_m::numeric, 1)) ORDER BY n.distance_m, n.id), '[]')
    FROM (SELECT r.id, r.code, r.title, r.state, r.category_code, r.reported_at,
              public.ST_DistanceSphere(r.geom, c.geom) AS distance_m
          FROM onemap.case_record_as_of(moment) r
          WHERE r.geom OPERATOR(public.&&) public.ST_Expand(c.geom, radius_m / 111000 / cos(radians(public.ST_Y(c.geom))),
                  radius_m / 111000)
              AND r.ended_at IS NULL AND r.id <> c.id AND (NOT alike OR r.category_code = c.category_code)
              AND ((SELECT onemap.identity_departments(request)) IS NULL
                  OR r.department_id = ANY ((SELECT onemap.identity_departments(request))::int[]))
              AND public.ST_DistanceSphere(r.geom, c.geom) <= radius_m
          ORDER BY distance_m, r.id LIMIT 20) n
$$;
COMMENT ON FUNCTION onemap.http_case_near(onemap.case_record, jsonb, float8, boolean, timestamptz) IS
    'Open cases within a radius that who asks may see, the nearest 20; alike: of the same category alone';

-- The step by which it went on is the other department's in all but that it went.
CREATE OR REPLACE FUNCTION onemap.http_case_cut(shown jsonb, reach int) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT shown - '{clock,candidates,asked_extension,asked_suspension,resume_state,can}'::text[]
        || jsonb_build_object('journal', (SELECT jsonb_agg(CASE WHEN (e->>'seq')::int < reach THEN e
                ELSE e || '{"deadline_at": null, "stage_deadline_at": null, "limit_value": null, "limit_unit": null, "used_s": null,
                    "overdue_s": null, "detail": {}}' END ORDER BY (e->>'seq')::int) FROM jsonb_array_elements(shown->'journal') e))
$$;
COMMENT ON FUNCTION onemap.http_case_cut(jsonb, int) IS
    'A case of http_case_seen() as its past department sees it: without what the journal does not have of then, and nothing of '
    'the step by which it went on but that it went';

CREATE OR REPLACE FUNCTION onemap.http_case(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE c onemap.case_record; reach int; shown jsonb; moment timestamptz := onemap.http_at(request);
BEGIN
    SELECT * INTO c FROM onemap.case_record_as_of(moment) r WHERE r.code = request->>'number';
    reach := onemap.http_case_reach(c, request);
    IF c.id IS NULL OR reach IS NULL THEN
        RETURN;
    ELSIF reach < 2147483647 THEN
        shown := onemap.case_show_of(onemap.http_case_seen(c, reach), (SELECT e.recorded_at FROM onemap.case_event e
            WHERE e.case_id = c.id AND e.seq = reach));
        RETURN QUERY SELECT (onemap.http_case_cut(shown, reach) || onemap.http_case_past(c.id, reach)
            || jsonb_build_object('attachments', onemap.http_case_attachments(c.id, reach)))::json;
    ELSE
        RETURN QUERY SELECT (onemap.case_show_of(c, moment)
            || (SELECT e.body FROM onemap.http_case_entry(c, NULL, moment) e) || jsonb_build_object(
            'can', CASE WHEN moment IS NULL THEN onemap.http_case_can(c, request) ELSE '{}' END,
            'attachments', onemap.http_case_attachments(c.id, least(reach, c.event_count + 1)),
            'device', (SELECT jsonb_build_object('id', d.id, 'subsystem', d.subsystem, 'vendor', d.vendor, 'code', d.code)
                FROM onemap.device_as_of(moment) d WHERE d.id = c.device_id),
            'nearby', onemap.http_case_near(c, request, 200, false, moment),
            'similar', onemap.http_case_near(c, request, 1000, true, moment)))::json;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_case(jsonb) IS
    'GET /api/v1/cases/{number}: one case whole, what who asks can do with it, open cases nearby (200 m) and similar ones (same '
    'category, 1 km); a department''s past case as it stood when it went on; no row: none, or not to be seen';
GRANT EXECUTE ON FUNCTION onemap.http_case(jsonb) TO cityhub_api;

-- ---- acting ----

-- A post that was not named: the only one of the person's that could do it; if none could, the first, whose refusal says why.
CREATE OR REPLACE FUNCTION onemap.http_case_post(request jsonb, sent jsonb, able text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE held text[] := ARRAY(SELECT p.post FROM onemap.post p WHERE p.case_role IS NOT NULL
        AND onemap.identity(request)->'posts' ? p.post ORDER BY p.position);
    fit text[] := ARRAY(SELECT p.post FROM onemap.post p WHERE p.post = ANY (held) AND p.case_role = ANY (able)
        ORDER BY p.position);
BEGIN
    IF sent ? 'post' THEN
        RETURN onemap.case_text(sent, 'post', 32);
    ELSIF cardinality(fit) > 1 THEN
        RAISE EXCEPTION 'several of your posts can do this' USING ERRCODE = 'CH013',
            DETAIL = '您有几个岗位都能办这件事',
            HINT = format('请在 post 中写明岗位：%s。', array_to_string(fit, '、'));
    END IF;
    RETURN coalesce(fit[1], held[1], onemap.identity(request)->'posts'->>0);
END $$;
COMMENT ON FUNCTION onemap.http_case_post(jsonb, jsonb, text[]) IS
    'In which post a person acts: the one that is named, or the only one held whose role is among those able to';

CREATE OR REPLACE FUNCTION onemap.http_case_asked(sent jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text := (SELECT min(w) FROM unnest('{role,actor,unit,at,case}'::text[]) w WHERE sent ? w);
BEGIN
    IF jsonb_typeof(sent) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the body must be a JSON object' USING ERRCODE = 'CH013',
            DETAIL = '请求体须为 JSON 对象', HINT = '请求体须为 JSON 对象。';
    ELSIF stray IS NOT NULL THEN
        RAISE EXCEPTION 'field "%" is not for the client to say', stray USING ERRCODE = 'CH013',
            DETAIL = format('字段 %s 不由客户端填写', stray),
            HINT = '办理人、岗位、单位和时间由登录决定；可用 post 选择岗位。';
    END IF;
    RETURN sent;
END $$;
COMMENT ON FUNCTION onemap.http_case_asked(jsonb) IS 'A body that does not claim who acts; CH013 if it does';

CREATE OR REPLACE FUNCTION onemap.http_case_refused(request jsonb, sent jsonb, code text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.identity_audit(request, 'refused', jsonb_strip_nulls(jsonb_build_object('case', request->'number', 'code', code,
        'source', left(sent->>'source', 40), 'action', left(sent->>'action', 40), 'post', left(sent->>'post', 40))))
$$;
COMMENT ON FUNCTION onemap.http_case_refused(jsonb, jsonb, text) IS
    'Notes that somebody tried what is not for the post: the line stays, though nothing was done';

CREATE OR REPLACE FUNCTION onemap.http_case_report(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, location text, code text, detail text, detail_zh text, hint text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked jsonb := onemap.http_attachments_fill(request, onemap.http_case_asked(sent), NULL); answer jsonb; zh text; words text;
BEGIN
    answer := onemap.case_report(asked - 'post' || onemap.identity_act(request, onemap.http_case_post(request, asked,
        ARRAY(SELECT t.role FROM onemap.case_report_right t WHERE t.source = asked->>'source'))) - 'unit');
    RETURN QUERY SELECT answer::json, 201, '/api/v1/cases/' || (answer->>'case'), NULL::text, NULL::text, NULL::text,
        NULL::text;
EXCEPTION WHEN SQLSTATE 'CH010' OR SQLSTATE 'CH019' THEN
    GET STACKED DIAGNOSTICS zh = PG_EXCEPTION_DETAIL, words = PG_EXCEPTION_HINT;
    PERFORM onemap.http_case_refused(request, sent, SQLSTATE);
    RETURN QUERY SELECT NULL::json, NULL::int, NULL::text, SQLSTATE, SQLERRM, zh, words;
END $$;
COMMENT ON FUNCTION onemap.http_case_report(jsonb, jsonb) IS
    'POST /api/v1/cases: what case_report() takes, but for who reports: {source, post, title, description, reporter, address, '
    'category, condition, lon, lat, grid_cell, component_code, subsystem, vendor, device_code, external_code, contact, '
    'attachments, reason}; code, detail, hint: refused, and noted';

CREATE OR REPLACE FUNCTION onemap.http_case_do(request jsonb, sent jsonb)
RETURNS TABLE (body json, code text, detail text, detail_zh text, hint text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked jsonb := onemap.http_case_asked(sent); c onemap.case_record; zh text; words text;
BEGIN
    SELECT * INTO c FROM onemap.case_record r WHERE r.code = request->>'number';
    IF c.id IS NULL OR onemap.http_case_reach(c, request) IS DISTINCT FROM 2147483647 THEN
        RETURN;
    END IF;
    asked := onemap.http_attachments_fill(request, asked, c.id);
    RETURN QUERY SELECT onemap.case_do(asked - 'post' || onemap.identity_act(request, onemap.http_case_post(request, asked,
            ARRAY(SELECT t.role FROM onemap.case_transition t WHERE t.from_state = c.state AND t.action = asked->>'action')))
            || jsonb_build_object('case', c.code))::json, NULL::text, NULL::text, NULL::text, NULL::text;
EXCEPTION WHEN SQLSTATE 'CH010' OR SQLSTATE 'CH019' THEN
    GET STACKED DIAGNOSTICS zh = PG_EXCEPTION_DETAIL, words = PG_EXCEPTION_HINT;
    PERFORM onemap.http_case_refused(request, sent, SQLSTATE);
    RETURN QUERY SELECT NULL::json, SQLSTATE, SQLERRM, zh, words;
END $$;
COMMENT ON FUNCTION onemap.http_case_do(jsonb, jsonb) IS
    'POST /api/v1/cases/{number}/actions: {action, post, version, reason, attachments, and the action''s own fields}, done as who '
    'is logged in; no row: no such case, or not to be seen; code, detail, hint: refused, and noted';
GRANT EXECUTE ON FUNCTION onemap.http_case_report(jsonb, jsonb), onemap.http_case_do(jsonb, jsonb) TO cityhub_api;
