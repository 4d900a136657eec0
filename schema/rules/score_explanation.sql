-- Why a score is what it is, down to the case numbers.

CREATE OR REPLACE FUNCTION onemap.score_terms_sql(terms jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%s coalesce(%s, 0)', CASE WHEN t LIKE '-%' THEN '-' ELSE '+' END, m.expression), ' ' ORDER BY n)
    FROM jsonb_array_elements_text(terms) WITH ORDINALITY AS e (t, n) JOIN onemap.score_measure m ON m.measure = regexp_replace(t,
        '^-', '')
$$;
COMMENT ON FUNCTION onemap.score_terms_sql(jsonb) IS 'A list of measures as an expression over rows r of score_case';

CREATE OR REPLACE FUNCTION onemap.score_cases(month date, as_of timestamptz, department text, expression text,
    filter jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE cases jsonb;
BEGIN
    EXECUTE format('SELECT coalesce(jsonb_agg(jsonb_build_object(''case'', c.case_code, ''times'',
        c.times) ORDER BY c.case_code COLLATE "C"), ''[]'')
        FROM (SELECT r.case_code, sum(%s) AS times FROM %s AND r.department = $2 AND %s
              GROUP BY r.case_code HAVING sum(%1$s) > 0) c', expression, onemap.score_rows_sql(month),
                  onemap.score_where_sql(coalesce(filter, '{}')))
        INTO cases USING as_of, department;
    RETURN cases;
END $$;
COMMENT ON FUNCTION onemap.score_cases(date, timestamptz, text, text, jsonb) IS
    'Case numbers of a department for which an expression over score_case is above 0';

CREATE OR REPLACE FUNCTION onemap.score_item_cases(definition jsonb, month date, as_of timestamptz, department text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN definition->>'kind' IN ('proportional', 'threshold') THEN jsonb_build_object(
            'costing', onemap.score_cases(month, as_of, department,
                format('%s - (%s)', onemap.score_terms_sql(definition->'denominator'),
                    onemap.score_terms_sql(definition->'numerator')), definition->'where'))
        WHEN definition ? 'counts' THEN (
            SELECT jsonb_build_object('costing', coalesce(jsonb_agg(k || jsonb_build_object('measures', c.v->'measures',
                'points', (k->>'times')::numeric * (c.v->>'points')::numeric) ORDER BY c.n, k->>'case' COLLATE "C"), '[]'))
            FROM jsonb_array_elements(definition->'counts') WITH ORDINALITY AS c (v, n),
                jsonb_array_elements(onemap.score_cases(month, as_of, department, onemap.score_terms_sql(c.v->'measures'),
                    c.v->'where')) k)
        ELSE '{}' END
$$;
COMMENT ON FUNCTION onemap.score_item_cases(jsonb, date, timestamptz, text) IS
    'The cases behind an item: those that the denominator has and the numerator has not, or those that were counted';

CREATE OR REPLACE FUNCTION onemap.score_explain(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE
    month date := onemap.score_month_parse(request->>'month'); kept onemap.score_month; formula onemap.score_formula; unit jsonb;
    as_of timestamptz := least(onemap.score_month_end(month), coalesce((request->>'as_of')::timestamptz, clock_timestamp()));
    definitions jsonb; department text := request->>'department';
BEGIN
    SELECT * INTO kept FROM onemap.score_month m WHERE m.month = me.month AND m.closed_at IS NOT NULL;
    IF kept.month IS NOT NULL AND NOT request ? 'formula' AND NOT request ? 'as_of' THEN
        formula := onemap.score_formula_for(month, kept.formula_version::text);
        SELECT r.content INTO unit FROM onemap.score_result r WHERE r.month = kept.month AND r.department = me.department;
    ELSE
        formula := onemap.score_formula_for(month, request->>'formula');
        PERFORM onemap.score_month_begun(month);
        SELECT u INTO unit FROM jsonb_array_elements(onemap.score_units(formula.document)) u WHERE u->>'department' = me.department;
        unit := onemap.score_unit(unit, formula.document,
            coalesce((SELECT c.measured FROM onemap.score_measured(month, as_of, formula.document, department) c), '{}'), month);
    END IF;
    IF unit IS NULL THEN
        RAISE EXCEPTION 'department: "%" is not scored in %', coalesce(department, ''), request->>'month' USING ERRCODE = 'CH030';
    END IF;
    SELECT coalesce(g->'items', formula.document->'items') INTO definitions FROM jsonb_array_elements(formula.document->'groups') g
        WHERE g->>'key' = unit->>'group';
    RETURN jsonb_build_object('month', to_char(month, 'YYYY-MM'), 'as_of', as_of, 'closed', kept.month IS NOT NULL,
        'formula', jsonb_build_object('version', formula.version, 'key', formula.key, 'name', formula.document->'name',
            'full', formula.document->'full', 'source', formula.document->'source'))
        || (unit - 'items') || jsonb_build_object('items', (
            SELECT jsonb_agg(i.v || jsonb_build_object('rule', d.v) || onemap.score_item_cases(d.v, month, as_of, department)
                ORDER BY i.n)
            FROM jsonb_array_elements(unit->'items') WITH ORDINALITY AS i (v, n)
            JOIN jsonb_array_elements(definitions) WITH ORDINALITY AS d (v, n) ON d.n = i.n));
END $$;
COMMENT ON FUNCTION onemap.score_explain(jsonb) IS
    'Why a score is what it is: {month, department, formula, as_of}; the items with rule, figures, points, points lost, and the '
    'case numbers that cost or brought points';
GRANT EXECUTE ON FUNCTION onemap.score_explain(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
