-- Statistics, scores and the assessment over HTTP, through the functions that the commands use. Of a month that is not published a
-- department sees its own rows and no rank; what is published is everybody's, as the bulletin is.

-- ---- whose figures ----

CREATE OR REPLACE FUNCTION onemap.http_score_departments(request jsonb) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT request ? 'department' THEN m.codes
        ELSE ARRAY(SELECT e.e FROM jsonb_array_elements_text(request->'department') e (e)
            WHERE m.codes IS NULL OR e.e = ANY (m.codes)) END
    FROM (SELECT onemap.http_department_codes(request) AS codes) m
$$;
COMMENT ON FUNCTION onemap.http_score_departments(jsonb) IS
    'The departments that are asked for and may be seen, '''' = none yet (未派遣); NULL: all of them';

CREATE OR REPLACE FUNCTION onemap.http_score_where(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- "/" is in no code: an empty list would be none.
    SELECT jsonb_strip_nulls(jsonb_build_object('source', request->'source', 'category', request->'category',
        'grid_cell', request->'grid_cell', 'urgent', request->'urgent', 'department',
        to_jsonb(CASE cardinality(d.codes) WHEN 0 THEN ARRAY['/'] ELSE d.codes END)))
    FROM (SELECT onemap.http_score_departments(request) AS codes) d
$$;
COMMENT ON FUNCTION onemap.http_score_where(jsonb) IS 'A request''s filters as score_statistics() takes them, of what may be seen';

CREATE OR REPLACE FUNCTION onemap.http_score_where_sql(request jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(w.condition, ' AND '), 'true') FROM (
        SELECT format('r.department = ANY (%L)', onemap.http_score_departments(request)) AS condition
            WHERE onemap.http_score_departments(request) IS NOT NULL
        UNION ALL SELECT format('%L::jsonb ? r.source', request->'source') WHERE request ? 'source'
        UNION ALL SELECT format('r.urgent = %L::boolean', request->>'urgent') WHERE request ? 'urgent'
        UNION ALL SELECT format('onemap.http_code_begins(r.%I, %L)', k.k, request->k.k)
            FROM (VALUES ('category'), ('grid_cell')) k (k) WHERE request ? k.k) w
$$;
COMMENT ON FUNCTION onemap.http_score_where_sql(jsonb) IS
    'The same as a condition on rows r of score_case, for the list behind a figure, where '''' stands for rows without a code';

CREATE OR REPLACE FUNCTION onemap.http_score_period(request jsonb, OUT since timestamptz, OUT until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE month date;
BEGIN
    IF request ? 'month' THEN
        month := onemap.score_month_parse(request->>'month');
        PERFORM onemap.score_month_begun(month);
        since := onemap.local_midnight(month);
        until := onemap.score_month_end(month);
    ELSE
        since := onemap.local_midnight(onemap.score_day_parse(request->>'from'));
        until := onemap.local_midnight(onemap.score_day_parse(request->>'to') + 1);
        IF since >= until THEN
            RAISE EXCEPTION 'to: lies before from' USING ERRCODE = 'CH030',
                DETAIL = '结束日期早于开始日期', HINT = '结束日期不得早于开始日期。';
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_score_period(jsonb) IS 'The period of a statistic: {month}, or {from, to} as days, both within';

CREATE OR REPLACE FUNCTION onemap.http_score_as_of(request jsonb) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least((onemap.http_score_period(request)).until, coalesce(onemap.http_time(request, 'as_of'), now()))
$$;
COMMENT ON FUNCTION onemap.http_score_as_of(jsonb) IS 'As of when a statistic is judged: what is to fall due later does not count';

CREATE OR REPLACE FUNCTION onemap.http_score_rows(request jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN request ? 'month' THEN onemap.score_rows_sql(onemap.score_month_parse(request->>'month'))
        ELSE format('onemap.score_case_derive(%1$L, %2$L, onemap.score_candidates(%1$L, %2$L, %3$s), %3$s) r WHERE true', p.since,
            p.until, 9223372036854775807) END
    FROM onemap.http_score_period(request) p
$$;
COMMENT ON FUNCTION onemap.http_score_rows(jsonb) IS
    'The rows r of score_case of a statistic''s period, as FROM and the beginning of WHERE';

-- ---- statistics ----

CREATE OR REPLACE FUNCTION onemap.http_score_statistics(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE as_of timestamptz; asked jsonb;
BEGIN
    IF request->>'by' = 'person' AND onemap.identity_departments(request) IS NOT NULL THEN
        RAISE EXCEPTION 'persons are counted for the whole county' USING ERRCODE = 'CH019',
            DETAIL = '按人员统计只给能看全县的岗位', HINT = '按人员统计仅限能看全县的岗位。';
    END IF;
    PERFORM onemap.http_departments_check(request), onemap.http_beginnings_check(request);
    as_of := onemap.http_score_as_of(request);
    asked := request - '{identity,source,category,grid_cell,department,urgent,as_of}'::text[] || jsonb_build_object('as_of', as_of)
        || CASE WHEN request->>'by' = 'person' THEN '{}' ELSE jsonb_build_object('where', onemap.http_score_where(request)) END;
    RETURN QUERY SELECT (onemap.score_statistics(asked) || jsonb_build_object(
        'measures', (SELECT jsonb_agg(jsonb_build_object('measure', m.measure, 'name_zh', m.name_zh) ORDER BY m.position)
            FROM onemap.score_measure m),
        'rates', (SELECT jsonb_agg(jsonb_build_object('rate', r.rate, 'name_zh', r.name_zh, 'numerator', r.numerator,
            'denominator', r.denominator) ORDER BY r.position) FROM onemap.score_rate r)))::json;
END $$;
COMMENT ON FUNCTION onemap.http_score_statistics(jsonb) IS
    'GET /api/v1/scores/statistics: score_statistics() with the names of measures and rates; the list behind a figure is '
    '/api/v1/cases with the same filters, the row''s key, and statistic=<measure>';
GRANT EXECUTE ON FUNCTION onemap.http_score_statistics(jsonb) TO cityhub_api;

-- ---- what may be seen of a month ----

CREATE OR REPLACE FUNCTION onemap.http_month_published(request jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month = onemap.score_month_parse(request->>'month'))
$$;
COMMENT ON FUNCTION onemap.http_month_published(jsonb) IS 'Whether a request''s month is published';

CREATE OR REPLACE FUNCTION onemap.http_score_own(list jsonb, codes text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN codes IS NULL OR jsonb_typeof(list) IS DISTINCT FROM 'array' THEN list
        ELSE (SELECT coalesce(jsonb_agg(e.e - '{rank,rank_from_last,ranked,order}'::text[] ORDER BY e.n), '[]')
              FROM jsonb_array_elements(list) WITH ORDINALITY AS e (e, n) WHERE e.e->>'department' = ANY (codes)) END
$$;
COMMENT ON FUNCTION onemap.http_score_own(jsonb, text[]) IS
    'Of a list by department the rows of these departments, without what tells how others are; codes NULL: all of it';

CREATE OR REPLACE FUNCTION onemap.http_score_codes(request jsonb) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN onemap.identity(request) IS NOT NULL AND onemap.http_month_published(request) THEN NULL
        ELSE onemap.http_department_codes(request) END
$$;
COMMENT ON FUNCTION onemap.http_score_codes(jsonb) IS
    'The departments whose rows of a month who asks may see; NULL: all, as of everybody''s once the month is published';

-- ---- scores ----

CREATE OR REPLACE FUNCTION onemap.http_scores(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (s.computed || jsonb_build_object('published', onemap.http_month_published(request),
        'rows', onemap.http_score_own(s.computed->'rows', onemap.http_score_codes(request)),
        'corrections', onemap.http_score_own(s.computed->'corrections', onemap.http_department_codes(request))))::json
    FROM (SELECT onemap.score_compute(request - 'identity') AS computed) s
$$;
COMMENT ON FUNCTION onemap.http_scores(jsonb) IS
    'GET /api/v1/scores/{month}: digital scores: {month, as_of, closed, published, formula, rows, corrections}';

CREATE OR REPLACE FUNCTION onemap.http_score_explain(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE codes text[] := onemap.http_department_codes(request); explained jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.department d WHERE d.code = request->>'department')
        OR NOT coalesce(request->>'department' = ANY (codes), codes IS NULL) THEN
        RETURN;
    END IF;
    explained := onemap.score_explain(request - 'identity');
    RETURN QUERY SELECT (CASE WHEN codes IS NULL OR onemap.http_month_published(request) THEN explained
        ELSE onemap.http_score_own(jsonb_build_array(explained), codes)->0 END)::json;
END $$;
COMMENT ON FUNCTION onemap.http_score_explain(jsonb) IS
    'GET /api/v1/scores/{month}/departments/{department}: why a score is what it is, down to the case numbers; no row: no such '
    'department, or not one of who asks';
GRANT EXECUTE ON FUNCTION onemap.http_scores(jsonb), onemap.http_score_explain(jsonb) TO cityhub_api;

-- ---- assessment ----

CREATE OR REPLACE FUNCTION onemap.http_assessment(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (a.computed || jsonb_build_object('rows', onemap.http_score_own(a.computed->'rows', onemap.http_score_codes(request)),
        'findings', onemap.http_score_own(a.computed->'findings', onemap.http_score_codes(request))))::json
    FROM (SELECT onemap.assessment_compute(request - 'identity') AS computed) a
$$;
COMMENT ON FUNCTION onemap.http_assessment(jsonb) IS
    'GET /api/v1/assessments/{month}: the county''s assessment and ranking; before publication a department''s own rows, no rank';

CREATE OR REPLACE FUNCTION onemap.http_assessment_status(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT ((s.status - CASE WHEN onemap.identity_departments(request) IS NULL THEN '{}'::text[]
            ELSE '{events_written_after_closing,adjustments}' END)
        || jsonb_build_object('missing', onemap.http_score_own(s.status->'missing', onemap.http_score_codes(request))))::json
    FROM (SELECT onemap.assessment_status(request - 'identity') AS status) s
$$;
COMMENT ON FUNCTION onemap.http_assessment_status(jsonb) IS
    'GET /api/v1/assessments/{month}/status: ended, closed, published, and what is missing';

CREATE OR REPLACE FUNCTION onemap.http_assessment_entries(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('month', request->'month', 'entries', coalesce(json_agg(json_build_object('id', e.id, 'kind', e.kind,
        'item', e.item, 'department', e.department, 'score', e.score, 'times', e.times, 'revokes', e.revokes, 'office', e.office,
        'author', e.author, 'evidence', e.evidence, 'entered_at', e.entered_at) ORDER BY e.entered_at, e.kind, e.id), '[]'))
    FROM (SELECT x.id, 'entry' AS kind, x.item, x.department, x.score, NULL::int AS times, NULL::bigint AS revokes, x.office,
              x.author, x.evidence, x.entered_at, x.month FROM onemap.assessment_entry x
          UNION ALL SELECT a.id, 'award', a.kind, a.department, k.points, a.times, a.revokes, a.office, a.author, a.evidence,
              a.entered_at, a.month FROM onemap.assessment_award a JOIN onemap.assessment_award_kind k ON k.kind = a.kind
          UNION ALL SELECT i.id, 'input', i.item, i.department, i.points, NULL, NULL, NULL, i.author, i.evidence, i.entered_at,
              i.month FROM onemap.score_input i) e
    WHERE e.month = onemap.score_month_parse(request->>'month')
        AND ((SELECT onemap.http_score_codes(request)) IS NULL
            OR e.department = ANY ((SELECT onemap.http_score_codes(request))::text[]))
$$;
COMMENT ON FUNCTION onemap.http_assessment_entries(jsonb) IS
    'GET /api/v1/assessments/{month}/entries: all that was entered, replaced ones too: scores of campaigns and offices (entry), '
    'bonuses and deductions (award), points of the formula (input)';

CREATE OR REPLACE FUNCTION onemap.http_assessment_year(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.assessment_year(request - 'identity')::json WHERE onemap.identity(request) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_assessment_year(jsonb) IS
    'GET /api/v1/assessments/years/{year}: the year''s ranking, of published months alone: everybody''s';

CREATE OR REPLACE FUNCTION onemap.http_publications(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('publications', coalesce(json_agg(json_build_object('month', to_char(p.month, 'YYYY-MM'),
        'sha256', encode(p.sha256, 'hex'), 'author', p.author, 'published_at', p.published_at) ORDER BY p.month DESC), '[]'))
    FROM onemap.assessment_publication p WHERE onemap.identity(request) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_publications(jsonb) IS 'GET /api/v1/publications: the published months';

CREATE OR REPLACE FUNCTION onemap.http_publication(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.assessment_publication_get(request - 'identity')::json
    WHERE onemap.identity(request) IS NOT NULL AND onemap.http_month_published(request)
$$;
COMMENT ON FUNCTION onemap.http_publication(jsonb) IS
    'GET /api/v1/publications/{month}: what was published, with its hash; no row: it is not';
GRANT EXECUTE ON FUNCTION onemap.http_assessment(jsonb), onemap.http_assessment_status(jsonb),
    onemap.http_assessment_entries(jsonb), onemap.http_assessment_year(jsonb), onemap.http_publications(jsonb),
    onemap.http_publication(jsonb) TO cityhub_api;

-- ---- entering and publishing ----

-- The author is who is logged in; the office is the person's department, or, of somebody of none, what is said.
CREATE OR REPLACE FUNCTION onemap.http_score_entry(request jsonb, sent jsonb, fields text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE who jsonb := onemap.identity(request); stray text;
BEGIN
    IF who->>'kind' <> 'person' THEN
        RAISE EXCEPTION 'a program enters nothing' USING ERRCODE = 'CH019',
            DETAIL = '程序不能录入', HINT = '考核录入和发布须由人员登录后办理。';
    ELSIF jsonb_typeof(sent) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the body must be a JSON object' USING ERRCODE = 'CH030',
            DETAIL = '请求体须为 JSON 对象', HINT = '请求体须为 JSON 对象。';
    END IF;
    stray := onemap.unknown_keys(sent, fields);
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'unknown field %', stray USING ERRCODE = 'CH030',
            DETAIL = format('没有字段 %s', stray),
            HINT = '可用 / there are: ' || array_to_string(fields, ', ');
    END IF;
    RETURN sent || jsonb_build_object('month', request->'month', 'author', who->'login') || coalesce((
        SELECT jsonb_build_object('office', d.name_zh) FROM onemap.department d
        WHERE d.code = who->>'department' AND 'office' = ANY (fields)), '{}');
END $$;
COMMENT ON FUNCTION onemap.http_score_entry(jsonb, jsonb, text[]) IS
    'What is entered for a month, by who is logged in; CH030 for a field that there is not, CH019 for a program';

CREATE OR REPLACE FUNCTION onemap.http_assessment_enter(request jsonb, sent jsonb) RETURNS TABLE (body json, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.assessment_enter(onemap.http_score_entry(request, sent,
        '{department,item,score,not_concerned,office,evidence}'))::json, 201
$$;
COMMENT ON FUNCTION onemap.http_assessment_enter(jsonb, jsonb) IS
    'POST /api/v1/assessments/{month}/entries: {department, item, score | not_concerned: true, office, evidence}';

CREATE OR REPLACE FUNCTION onemap.http_assessment_award(request jsonb, sent jsonb) RETURNS TABLE (body json, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.assessment_award_enter(onemap.http_score_entry(request, sent,
        '{department,kind,times,revokes,office,evidence}'))::json, 201
$$;
COMMENT ON FUNCTION onemap.http_assessment_award(jsonb, jsonb) IS
    'POST /api/v1/assessments/{month}/awards: {department, kind, times, office, evidence}, or {revokes, office, evidence}';

CREATE OR REPLACE FUNCTION onemap.http_score_input(request jsonb, sent jsonb) RETURNS TABLE (body json, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.score_input_put(onemap.http_score_entry(request, sent, '{department,item,points,evidence}'))::json, 201
$$;
COMMENT ON FUNCTION onemap.http_score_input(jsonb, jsonb) IS
    'POST /api/v1/scores/{month}/inputs: {department, item, points, evidence}';

CREATE OR REPLACE FUNCTION onemap.http_score_adjust(request jsonb, sent jsonb) RETURNS TABLE (body json, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.score_adjust(onemap.http_score_entry(request, sent, '{department,points,case,reason}'))::json, 201
$$;
COMMENT ON FUNCTION onemap.http_score_adjust(jsonb, jsonb) IS
    'POST /api/v1/scores/{month}/adjustments: {department, points, case, reason}: corrects a closed month';

CREATE OR REPLACE FUNCTION onemap.http_publish(request jsonb) RETURNS TABLE (body json, status int, location text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer jsonb := onemap.assessment_publish(onemap.http_score_entry(request, '{}', '{}'));
BEGIN
    IF (answer->>'published')::boolean THEN
        RETURN QUERY SELECT answer::json, 201, '/api/v1/publications/' || (request->>'month');
    ELSE
        RETURN QUERY SELECT answer::json, 409, NULL::text;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_publish(jsonb) IS
    'POST /api/v1/publications/{month}: closes and publishes; 409 with what is missing';
GRANT EXECUTE ON FUNCTION onemap.http_assessment_enter(jsonb, jsonb), onemap.http_assessment_award(jsonb, jsonb),
    onemap.http_score_input(jsonb, jsonb), onemap.http_score_adjust(jsonb, jsonb), onemap.http_publish(jsonb) TO cityhub_api;
