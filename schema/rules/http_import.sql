-- Files of the county over HTTP, as an administrator brings them on the page: departments, catalogue, calendar, office hours, and
-- the map's cells, zones and components. Judged and stored by what `cityhub catalogue`, `calendar` and `map` call; first the
-- report, then the store.

CREATE OR REPLACE FUNCTION onemap.http_import_columns(subject text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE subject WHEN 'departments' THEN '{code,name,kind,parent,schedule,active}'::text[]
        WHEN 'catalogue' THEN
            '{code,class,name,condition,registration_condition,limit,unit,closing_condition,responsible,source}'::text[] END
$$;
COMMENT ON FUNCTION onemap.http_import_columns(text) IS 'The columns of a file that is a table; NULL for one that is a document';

CREATE OR REPLACE FUNCTION onemap.http_import_line(line jsonb, n bigint) RETURNS int
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN jsonb_typeof(line) = 'number' AND line::text ~ '^[0-9]{1,8}$' THEN line::text::int ELSE n::int + 1 END
$$;
COMMENT ON FUNCTION onemap.http_import_line(jsonb, bigint) IS
    'The line that a row says it comes from; else its place behind a header';

CREATE OR REPLACE FUNCTION onemap.http_import_rows(subject text, content jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('line', onemap.http_import_line(e.v->'line', e.n))
        || (SELECT jsonb_object_agg(c, e.v->c) FROM unnest(onemap.http_import_columns(subject)) c) ORDER BY e.n), '[]')
    FROM jsonb_array_elements(content) WITH ORDINALITY AS e (v, n)
$$;
COMMENT ON FUNCTION onemap.http_import_rows(text, jsonb) IS 'The rows of a table as its import takes them';

CREATE OR REPLACE FUNCTION onemap.http_import_shape(subject text, content jsonb) RETURNS TABLE (place text, problem text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '', 'must be a list of rows' WHERE jsonb_typeof(content) <> 'array'
    UNION ALL
    SELECT format('line %s', onemap.http_import_line(e.v->'line', e.n)), CASE WHEN jsonb_typeof(e.v) = 'object'
        THEN format('%s: the column is missing', c.c) ELSE 'must be a row with columns' END
    FROM jsonb_array_elements(CASE jsonb_typeof(content) WHEN 'array' THEN content ELSE '[]' END) WITH ORDINALITY AS e (v, n),
        LATERAL (SELECT min(k) AS c FROM unnest(onemap.http_import_columns(subject)) k
            WHERE coalesce(jsonb_typeof(e.v->k), '') <> 'string') c
    WHERE c.c IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_import_shape(text, jsonb) IS
    'What keeps a table from being judged: rows without a column that it has';

-- Office hours are judged one by one; more than one of the same name is for the import to refuse.
CREATE OR REPLACE FUNCTION onemap.http_import_problems(subject text, content jsonb) RETURNS TABLE (place text, problem text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF subject IN ('departments', 'catalogue') THEN
        RETURN QUERY SELECT s.place, s.problem FROM onemap.http_import_shape(subject, content) s;
        IF FOUND THEN
            RETURN;
        END IF;
        RETURN QUERY SELECT format('line %s', p->>'line'), p->>'problem' FROM jsonb_array_elements(CASE subject
            WHEN 'departments' THEN onemap.department_check(onemap.http_import_rows(subject, content))
            ELSE onemap.case_catalogue_check(onemap.http_import_rows(subject, content)) END->'problems') p;
    ELSIF subject = 'calendar' THEN
        RETURN QUERY SELECT p.place, p.problem FROM onemap.calendar_import_problems(content) p;
    ELSE
        RETURN QUERY
        WITH one AS (SELECT e.v, e.n FROM jsonb_array_elements(CASE jsonb_typeof(content) WHEN 'array' THEN content
            ELSE jsonb_build_array(content) END) WITH ORDINALITY AS e (v, n))
        SELECT format('[%s]', o.n - 1), onemap.calendar_office_problem(o.v) FROM one o
            WHERE onemap.calendar_office_problem(o.v) IS NOT NULL
        UNION ALL
        SELECT format('[%s]', o.n - 1), format('schedule: %s is there already', o.v->>'schedule') FROM one o
            WHERE EXISTS (SELECT FROM one x WHERE x.n < o.n AND x.v->>'schedule' = o.v->>'schedule')
        UNION ALL
        SELECT '', 'enters nothing: the list is empty' WHERE NOT EXISTS (SELECT FROM one);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_import_problems(text, jsonb) IS 'Everything that is wrong with a file that is none of the map''s';

CREATE OR REPLACE FUNCTION onemap.http_import_report(subject text, content jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE report jsonb;
BEGIN
    IF subject IN ('grid_cells', 'zones', 'components') THEN
        report := onemap.map_check(jsonb_build_object('layer', subject, 'document', content));
        RETURN report - 'layer' - 'features' || jsonb_build_object('subject', subject, 'rows', report->'features');
    END IF;
    SELECT jsonb_build_object('subject', subject, 'rows', CASE jsonb_typeof(content) WHEN 'array' THEN jsonb_array_length(content)
            ELSE 1 END, 'problems', coalesce(jsonb_agg(to_jsonb(p)), '[]'), 'warnings', jsonb_build_array(),
            'ignored', jsonb_build_array(), 'extent', NULL)
        INTO report FROM onemap.http_import_problems(subject, content) p;
    IF subject = 'departments' AND report->'problems' = '[]' THEN
        report := report || jsonb_build_object('warnings', (SELECT coalesce(jsonb_agg(jsonb_build_object('place', '', 'warning',
                format('%s %s is not in the file: it becomes inactive', d.code, d.name_zh)) ORDER BY d.code), '[]')
            FROM onemap.department d WHERE d.active AND NOT EXISTS (SELECT FROM jsonb_array_elements(content) e
                WHERE e.value->>'code' = d.code)));
    ELSIF subject = 'calendar' AND report->'problems' = '[]' THEN
        report := report || jsonb_build_object('warnings', (SELECT coalesce(jsonb_agg(jsonb_build_object('place', r.place,
                'warning', 'takes ' || onemap.calendar_replaced_words(r.name, r.source, r.first_day, r.last_day))), '[]')
            FROM jsonb_array_elements(CASE jsonb_typeof(content) WHEN 'array' THEN content ELSE jsonb_build_array(content) END) n,
                onemap.calendar_notice_replaced(n) r));
    END IF;
    RETURN report;
END $$;
COMMENT ON FUNCTION onemap.http_import_report(text, jsonb) IS
    'What a file has, and what is wrong or strange in it: {subject, rows, problems: [{place, problem}], warnings: [{place, '
    'warning}], ignored, extent}';

CREATE OR REPLACE FUNCTION onemap.http_import_store(subject text, content jsonb, comment text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE done jsonb;
BEGIN
    done := CASE subject
        WHEN 'departments' THEN onemap.department_import(onemap.http_import_rows(subject, content))
        WHEN 'catalogue' THEN onemap.case_catalogue_import(onemap.http_import_rows(subject, content), comment)
        WHEN 'calendar' THEN onemap.calendar_import(content)
        WHEN 'office_hours' THEN onemap.calendar_office_import(content)
        ELSE onemap.map_import(jsonb_build_object('layer', subject, 'document', content)) END;
    RETURN (SELECT jsonb_object_agg(k.key, k.value) FROM jsonb_each(done) k
        WHERE k.key IN ('added', 'changed', 'made_inactive', 'version', 'unchanged', 'entered', 'replaced'));
END $$;
COMMENT ON FUNCTION onemap.http_import_store(text, jsonb, text) IS 'Stores a file that is right; what has become of it';

CREATE OR REPLACE FUNCTION onemap.http_import_call(request jsonb, sent jsonb, stored boolean)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    subject text := request->>'subject';
    content jsonb := sent->'content';
    report jsonb;
    found int;
BEGIN
    PERFORM onemap.http_manager_locked(request);
    IF jsonb_typeof(sent) IS DISTINCT FROM 'object' OR content IS NULL OR jsonb_typeof(sent->'file') IS DISTINCT FROM 'string'
        OR coalesce(jsonb_typeof(sent->'comment'), 'string') <> 'string'
        OR onemap.unknown_keys(sent, '{file,content,comment}') IS NOT NULL THEN
        RAISE EXCEPTION 'the body must be {file: its name, content: its rows or document, comment}' USING ERRCODE = 'CH013',
            DETAIL = '请求体不对',
            HINT = '请按接口说明发送 file、content、comment。';
    END IF;
    report := onemap.http_import_report(subject, content);
    found := jsonb_array_length(report->'problems');
    IF stored AND found > 0 THEN
        RETURN QUERY SELECT NULL::json, NULL::int, 'CH079', format('%s: %s: %s', left(sent->>'file', 100),
            report->'problems'->0->>'place', report->'problems'->0->>'problem'), NULL::text,
            format('文件有 %s 处问题，什么也没有导入。请先检查，按检查报告改正。', found);
        RETURN;
    ELSIF stored THEN
        report := report || onemap.http_import_store(subject, content, left(sent->>'comment', 200));
        PERFORM onemap.identity_audit(request, 'import', jsonb_strip_nulls(jsonb_build_object('subject', subject, 'file',
            left(sent->>'file', 100), 'rows', report->'rows', 'added', report->'added', 'changed', report->'changed',
            'version', report->'version', 'made_inactive', report->'made_inactive', 'replaced', report->'replaced')));
    END IF;
    RETURN QUERY SELECT (report || jsonb_build_object('imported', stored))::json, 200, NULL::text, NULL::text, NULL::text,
        NULL::text;
END $$;
COMMENT ON FUNCTION onemap.http_import_call(jsonb, jsonb, boolean) IS
    'Judges a file that an administrator brings, and stores it if so told; CH079 if it is wrong';

CREATE OR REPLACE FUNCTION onemap.http_import_do(request jsonb, sent jsonb, stored boolean)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE zh text; words text;
BEGIN
    RETURN QUERY SELECT c.* FROM onemap.http_import_call(request, sent, stored) c;
EXCEPTION WHEN SQLSTATE 'CH066' THEN
    GET STACKED DIAGNOSTICS zh = PG_EXCEPTION_DETAIL, words = PG_EXCEPTION_HINT;
    PERFORM onemap.identity_audit(request, 'refused', jsonb_build_object('action', 'import', 'code', SQLSTATE,
        'subject', request->'subject'));
    RETURN QUERY SELECT NULL::json, NULL::int, SQLSTATE, SQLERRM, zh, words;
END $$;
COMMENT ON FUNCTION onemap.http_import_do(jsonb, jsonb, boolean) IS
    'http_import_call() as an answer; who may not is refused, and noted with the person and the address';

CREATE OR REPLACE FUNCTION onemap.http_import_check(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.* FROM onemap.http_import_do(request, sent, false) c
$$;
COMMENT ON FUNCTION onemap.http_import_check(jsonb, jsonb) IS 'POST /api/v1/imports/{subject}/check: the report; nothing is stored';

CREATE OR REPLACE FUNCTION onemap.http_import(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.* FROM onemap.http_import_do(request, sent, true) c
$$;
COMMENT ON FUNCTION onemap.http_import(jsonb, jsonb) IS 'POST /api/v1/imports/{subject}: whole or not at all';

CREATE OR REPLACE FUNCTION onemap.http_imports(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.http_manager(request);
    RETURN QUERY SELECT json_build_object('subjects', json_agg(json_build_object('subject', s.subject, 'rows', s.n,
        'version', s.version,
        'last_at', l.at, 'last_by', l.person) ORDER BY s.place))
    FROM (VALUES (1, 'departments', (SELECT count(*) FROM onemap.department d WHERE d.active), NULL::int),
        (2, 'catalogue', (SELECT count(*) FROM onemap.case_catalogue_rows(onemap.case_catalogue_current())),
            onemap.case_catalogue_current()),
        (3, 'calendar', jsonb_array_length(coalesce(onemap.calendar_export_json('{}'), '[]')), NULL),
        (4, 'office_hours', (SELECT count(*) FROM onemap.office_schedule), NULL),
        (5, 'grid_cells', (SELECT count(*) FROM onemap.grid_cell), NULL), (6, 'zones', (SELECT count(*) FROM onemap.zone), NULL),
        (7, 'components', (SELECT count(*) FROM onemap.component), NULL)) AS s (place, subject, n, version)
        LEFT JOIN LATERAL (SELECT a.at, a.person FROM onemap.audit_log a
            WHERE a.action = 'import' AND a.detail->>'subject' = s.subject ORDER BY a.id DESC LIMIT 1) l ON true;
END $$;
COMMENT ON FUNCTION onemap.http_imports(jsonb) IS
    'GET /api/v1/imports: {subjects}: what may be imported, how much is there, who last did so here; '
    'CH066 unless an administrator asks';
GRANT EXECUTE ON FUNCTION onemap.http_imports(jsonb), onemap.http_import_check(jsonb, jsonb), onemap.http_import(jsonb, jsonb)
    TO cityhub_api;
