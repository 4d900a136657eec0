-- Closing a month: points that people enter before, the closing itself, corrections and verification after. A closed month's
-- rows, scores and formula never change; what turns out wrong later is an adjustment, counted in a month still open.

CREATE OR REPLACE FUNCTION onemap.score_month_open(month date) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.score_month m WHERE m.month = score_month_open.month AND m.closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'month % is closed', to_char(month, 'YYYY-MM')
            USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 已关账', to_char(month, 'YYYY-MM')),
            HINT = 'Correct it by an adjustment: onemap.score_adjust.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.score_month_open(date) IS 'Refuses (CH031) if the month is closed';

CREATE OR REPLACE FUNCTION onemap.score_require(request jsonb, VARIADIC keys text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE absent text := onemap.missing_key(request, keys);
BEGIN
    IF absent IS NOT NULL THEN
        RAISE EXCEPTION '%: is missing', absent USING ERRCODE = 'CH030',
            DETAIL = format('缺少 %s', absent);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.score_require(jsonb, text[]) IS 'Refuses (CH030) a request without one of these keys';

CREATE OR REPLACE FUNCTION onemap.score_number(request jsonb, key text, low numeric, high numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE result numeric := onemap.number_within(request->>key, 4, low, high);
BEGIN
    IF result IS NULL THEN
        RAISE EXCEPTION '%: must be a number from % to % with at most four decimals, not "%"', key, low, high,
            coalesce(request->>key, '') USING ERRCODE = 'CH030',
            DETAIL = format('字段 %s 须为 %s 至 %s 的数，至多四位小数，现为“%s”', key, low, high, request->>key);
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.score_number(jsonb, text, numeric, numeric) IS
    'A number of a request within [low, high]; refuses (CH030) anything else';

CREATE OR REPLACE FUNCTION onemap.score_department_check(department text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.department d WHERE d.code = department) THEN
        RAISE EXCEPTION 'department: there is no "%"', coalesce(department, '') USING ERRCODE = 'CH030',
            DETAIL = format('没有单位 %s', department);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.score_department_check(text) IS 'Refuses (CH030) a department that the county does not have';

CREATE OR REPLACE FUNCTION onemap.score_input_put(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE month date := onemap.score_month_parse(request->>'month'); item jsonb; entry bigint; formula onemap.score_formula;
BEGIN
    PERFORM onemap.score_require(request, 'department', 'item', 'author', 'evidence');
    PERFORM onemap.score_month_begun(month);
    PERFORM onemap.score_department_check(request->>'department');
    PERFORM onemap.score_lock();
    PERFORM onemap.score_month_open(month);
    formula := onemap.score_formula_for(month, request->>'formula');
    SELECT v INTO item FROM jsonb_path_query(formula.document, '$.**{1 to 6} ? (@.kind == "input" || @.input == true)') v
        WHERE v->>'key' = request->>'item';
    IF item IS NULL THEN
        RAISE EXCEPTION 'item: formula "%" has no input "%"', formula.key, request->>'item' USING ERRCODE = 'CH030',
            DETAIL = format('算法 %s 没有录入项 %s', formula.key, request->>'item');
    END IF;
    INSERT INTO onemap.score_input (month, department, item, points, author, evidence)
    VALUES (month, request->>'department', request->>'item',
        onemap.score_number(request, 'points', 0, coalesce((item->>'weight')::numeric, (item->>'cap')::numeric)),
            request->>'author', request->>'evidence')
    RETURNING id INTO entry;
    RETURN jsonb_build_object('entered', true, 'id', entry);
END $$;
COMMENT ON FUNCTION onemap.score_input_put(jsonb) IS
    'Enters points for an item that people judge: {month, department, item, points, author, evidence, formula}; refused once the '
    'month is closed';
GRANT EXECUTE ON FUNCTION onemap.score_input_put(jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.score_adjust(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE month date := onemap.score_month_parse(request->>'month'); counted date; entry bigint;
    points numeric := onemap.score_number(request, 'points', -100, 100);
BEGIN
    PERFORM onemap.score_require(request, 'department', 'author', 'reason');
    PERFORM onemap.score_lock();
    IF NOT EXISTS (SELECT FROM onemap.score_result r WHERE r.month = me.month AND r.department = request->>'department') THEN
        RAISE EXCEPTION 'month % has no final score of "%": what is not closed needs no adjustment', request->>'month',
            request->>'department' USING ERRCODE = 'CH030',
            DETAIL = format('月份 %s 单位 %s 还没有最终得分，没有关账的不用更正', request->>'month', request->>'department');
    ELSIF points = 0 THEN
        RAISE EXCEPTION 'points: an adjustment of 0 changes nothing' USING ERRCODE = 'CH030',
            DETAIL = '更正 0 分什么也不改';
    ELSIF request ? 'case' AND NOT EXISTS (SELECT FROM onemap.case_record c WHERE c.code = request->>'case') THEN
        RAISE EXCEPTION 'case: there is no "%"', request->>'case' USING ERRCODE = 'CH030',
            DETAIL = format('没有案卷 %s', request->>'case');
    END IF;
    SELECT (max(m.month) + interval '1 month')::date INTO counted FROM onemap.score_month m WHERE m.closed_at IS NOT NULL;
    INSERT INTO onemap.score_adjustment (month, counted_month, department, points, case_code, reason, author)
    VALUES (month, counted, request->>'department', points, request->>'case', request->>'reason', request->>'author') RETURNING id
        INTO entry;
    RETURN jsonb_build_object('adjusted', true, 'id', entry, 'counted_month', to_char(counted, 'YYYY-MM'));
END $$;
COMMENT ON FUNCTION onemap.score_adjust(jsonb) IS
    'Corrects a closed month: {month, department, points (+ or -), case, reason, author}; its figures stay, the points count in '
    'the month after the last closed one';
GRANT EXECUTE ON FUNCTION onemap.score_adjust(jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.score_month_close(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE
    month date := onemap.score_month_parse(request->>'month'); formula onemap.score_formula; rows jsonb; missing jsonb;
        last_id bigint;
BEGIN
    PERFORM onemap.score_require(request, 'author');
    PERFORM onemap.score_lock();
    PERFORM onemap.score_month_open(month);
    IF clock_timestamp() < onemap.score_month_end(month) THEN
        RAISE EXCEPTION 'month % has not ended', request->>'month' USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 还没有结束', request->>'month');
    ELSIF EXISTS (SELECT FROM onemap.score_month m WHERE m.closed_at IS NOT NULL AND m.month > me.month) THEN
        RAISE EXCEPTION 'month %: a later month is closed already', request->>'month' USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 之后的月份已关账', request->>'month');
    END IF;
    formula := onemap.score_formula_for(month, NULL);
    PERFORM onemap.score_month_ready(month);
    -- From here on nobody adds to the journal until the figures are kept: what is in it is exactly ids up to last_id.
    LOCK TABLE onemap.case_event IN SHARE MODE;
    PERFORM onemap.score_month_ready(month);
    SELECT coalesce(max(e.id), 0) INTO last_id FROM onemap.case_event e;
    rows := onemap.score_evaluate(month, onemap.score_month_end(month), formula.document, onemap.score_units(formula.document));
    SELECT jsonb_agg(jsonb_build_object('department', r->'department', 'missing', r->'missing')) INTO missing
    FROM jsonb_array_elements(rows) r WHERE r->>'score' IS NULL AND (r->>'assessed')::boolean;
    IF missing IS NOT NULL THEN
        RETURN jsonb_build_object('closed', false, 'missing', missing);
    END IF;
    UPDATE onemap.score_month m SET closed_at = clock_timestamp(), closed_by = request->>'author', through_id = last_id,
        rule_run_id = (SELECT max(r.id) FROM cityhub_meta.rule_run r),
        formula_version = formula.version
    WHERE m.month = me.month;
    INSERT INTO onemap.score_result (month, department, formula_version, score, content)
    SELECT month, r.v->>'department', formula.version, (r.v->>'score')::numeric, r.v || jsonb_build_object('order', r.n)
    FROM jsonb_array_elements(rows) WITH ORDINALITY AS r (v, n);
    PERFORM onemap.audit('score_month_close', jsonb_build_object('month', request->'month', 'author', request->'author',
        'through_id', last_id));
    RETURN jsonb_build_object('closed', true, 'month', request->'month', 'formula', formula.version, 'through_id', last_id,
        'missing', '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.score_month_close(jsonb) IS
    'Makes a month''s figures and scores final: {month, author}; not before its end, and not while something is missing: '
    '{closed: false, missing}';
GRANT EXECUTE ON FUNCTION onemap.score_month_close(jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.score_rules_since(rule_run_id bigint) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(DISTINCT e.name ORDER BY e.name), '[]') FROM cityhub_meta.rule_edition e
    WHERE e.run_id > $1 AND (e.name LIKE 'schema/rules/score\_%'
        OR e.name IN ('schema/rules/core.sql', 'schema/rules/calendar.sql'))
$$;
COMMENT ON FUNCTION onemap.score_rules_since(bigint) IS
    'Files of rules, of those that make statistics and scores, of which another edition came into force after a run of the rules';

CREATE OR REPLACE FUNCTION onemap.score_verify(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE
    month date := onemap.score_month_parse(request->>'month'); kept onemap.score_month;
    rows_differ bigint; scores_differ jsonb; late bigint;
    month_start timestamptz := onemap.local_midnight(month); month_end timestamptz := onemap.score_month_end(month);
BEGIN
    SELECT * INTO kept FROM onemap.score_month m WHERE m.month = me.month AND m.closed_at IS NOT NULL;
    IF kept.month IS NULL THEN
        RAISE EXCEPTION 'month % is not closed: there is nothing to verify', request->>'month' USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 还没有关账，没有可核对的', request->>'month');
    END IF;
    WITH again AS MATERIALIZED (SELECT d.* FROM onemap.score_case_derive(month_start, month_end,
            onemap.score_candidates(month_start, month_end, kept.through_id), kept.through_id) d),
        stored AS MATERIALIZED (SELECT c.* FROM onemap.score_case c WHERE c.month = kept.month)
    SELECT count(*) INTO rows_differ FROM ((TABLE again EXCEPT ALL TABLE stored) UNION ALL (TABLE stored EXCEPT ALL TABLE again)) d;
    SELECT coalesce(jsonb_agg(a.v->'department'), '[]') INTO scores_differ
    FROM jsonb_array_elements(onemap.score_evaluate(kept.month, month_end,
        (onemap.score_formula_for(kept.month, kept.formula_version::text)).document,
        (SELECT jsonb_agg(jsonb_build_object('department', r.content->'department', 'name', r.content->'name',
            'group', r.content->'group', 'group_name', r.content->'group_name', 'assessed', r.content->'assessed')
                ORDER BY (r.content->>'order')::int)
         FROM onemap.score_result r WHERE r.month = kept.month), kept.exact)) AS a (v)
    LEFT JOIN onemap.score_result s ON s.month = kept.month AND s.department = a.v->>'department'
    WHERE (s.content - 'order') IS DISTINCT FROM a.v;
    SELECT count(*) INTO late FROM onemap.case_event e WHERE e.id > kept.through_id AND e.at < month_end;
    RETURN jsonb_build_object('month', request->'month', 'same', rows_differ = 0 AND scores_differ = '[]',
        'rows_differing', rows_differ, 'scores_differing', scores_differ, 'events_written_after_closing', late,
        'rules_changed_since', onemap.score_rules_since(kept.rule_run_id));
END $$;
COMMENT ON FUNCTION onemap.score_verify(jsonb) IS
    'Computes a closed month again from the journal alone: {month}; same = every row and every score is what was kept; '
    'events_written_after_closing: history of the month that came too late to count; rules_changed_since: rules that are no longer '
    'those by which it was closed';
GRANT EXECUTE ON FUNCTION onemap.score_verify(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
