-- Scores from a formula and a month's rows of score_case. Limits, ranks and grades are judged by exact figures; what is shown is
-- rounded, half away from zero: rates and points to 4 decimals, a score to the formula's (2). A figure that the rounding changes
-- stands beside it as "exact". Months closed before that were rounded step by step (score_month.exact), and are verified so.

-- Forty decimals tell any two quotients of counts apart; thirty of them are kept, so that three thirds are one again.
CREATE OR REPLACE FUNCTION onemap.score_quotient(numerator numeric, denominator numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.round(numerator, 40) / denominator
$$;
COMMENT ON FUNCTION onemap.score_quotient(numeric, numeric) IS 'A quotient to forty decimals at least';

CREATE OR REPLACE FUNCTION onemap.score_exact(value numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.trim_scale(pg_catalog.round(value, 30))
$$;
COMMENT ON FUNCTION onemap.score_exact(numeric) IS
    'What is compared with limits and others: to thirty decimals, more than counts need';

CREATE OR REPLACE FUNCTION onemap.score_points(points numeric, exact boolean) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.jsonb_build_object('points', pg_catalog.trim_scale(pg_catalog.round(points, 4)))
        || CASE WHEN exact AND onemap.score_exact(points) <> pg_catalog.round(points, 4)
            THEN pg_catalog.jsonb_build_object('exact', onemap.score_exact(points)) ELSE '{}' END
$$;
COMMENT ON FUNCTION onemap.score_points(numeric, boolean) IS 'Points as they are shown, and exact where that is another figure';

CREATE OR REPLACE FUNCTION onemap.score_units(document jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('department', d.code, 'name', d.name_zh, 'group', g.v->'key',
        'group_name', g.v->'name', 'assessed', coalesce(g.v->'assessed', 'true')) ORDER BY g.n, d.position, d.code COLLATE "C"),
            '[]')
    FROM jsonb_array_elements(document->'groups') WITH ORDINALITY AS g (v, n)
    JOIN onemap.department d ON d.active AND (g.v->'kinds' ? d.kind OR g.v->'departments' ? d.code)
$$;
COMMENT ON FUNCTION onemap.score_units(jsonb) IS 'The departments that a formula scores today, with their groups';

CREATE OR REPLACE FUNCTION onemap.score_measured(month date, as_of timestamptz, document jsonb, only_department text DEFAULT NULL)
RETURNS TABLE (department text, measured jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH counting AS MATERIALIZED (
        SELECT o.v FROM jsonb_path_query(document, 'strict $.**{1 to 6} ? (exists (@.numerator) || exists (@.measures))', '{}',
            true) AS o (v)
    ), named AS MATERIALIZED (
        SELECT array_agg(DISTINCT ltrim(t, '-')) AS measures FROM counting c, LATERAL jsonb_array_elements_text(
            coalesce(c.v->'numerator', '[]') || coalesce(c.v->'denominator', '[]') || coalesce(c.v->'measures', '[]')) t
    )
    SELECT s.key, jsonb_object_agg(f.filter::text, s.sums)
    FROM named n, (SELECT DISTINCT coalesce(c.v->'where', '{}') AS filter FROM counting c) f,
        LATERAL onemap.score_sums(month, as_of, f.filter, 'department', NULL, only_department, n.measures) s
    GROUP BY s.key
$$;
COMMENT ON FUNCTION onemap.score_measured(date, timestamptz, jsonb, text) IS
    'The measures that a formula needs, by department: {filter: {measure: n}}; one pass over the month for each filter that it has';

CREATE OR REPLACE FUNCTION onemap.score_rate_item(item jsonb, sums jsonb, exact boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    weight numeric := (item->>'weight')::numeric; rate numeric; steps numeric; points numeric;
    numerator numeric := onemap.score_term_sum(sums, ARRAY(SELECT jsonb_array_elements_text(item->'numerator')));
    denominator numeric := onemap.score_term_sum(sums, ARRAY(SELECT jsonb_array_elements_text(item->'denominator')));
    result jsonb := jsonb_build_object('numerator', numerator, 'denominator', denominator);
BEGIN
    IF denominator <= 0 THEN
        RETURN result || CASE coalesce(item->>'on_empty', 'full')
            WHEN 'full' THEN jsonb_build_object('points', weight, 'note', '本月无应计案件，计满分')
            WHEN 'zero' THEN jsonb_build_object('points', 0, 'note', '本月无应计案件，计零分')
            ELSE jsonb_build_object('points', NULL, 'excluded', true, 'note', '本月无应计案件，不计该项，其余各项按比例折算') END;
    END IF;
    rate := CASE WHEN exact THEN onemap.score_exact(onemap.score_quotient(100 * numerator, denominator))
        ELSE round(100 * numerator / denominator, 4) END;
    IF item->>'kind' = 'proportional' THEN
        points := CASE WHEN exact THEN onemap.score_quotient(weight * numerator, denominator)
            ELSE weight * numerator / denominator END;
    ELSIF rate >= (item->>'full_at')::numeric THEN
        points := weight;
    ELSE
        steps := CASE WHEN exact THEN onemap.score_exact(onemap.score_quotient((item->>'full_at')::numeric - rate,
                coalesce((item->>'per')::numeric, 1)))
            ELSE ((item->>'full_at')::numeric - rate) / coalesce((item->>'per')::numeric, 1) END;
        steps := CASE item->>'step' WHEN 'started' THEN ceil(steps) WHEN 'completed' THEN floor(steps) ELSE steps END;
        points := greatest(coalesce((item->>'floor')::numeric, 0), weight - CASE WHEN exact THEN steps * (item->>'points')::numeric
            ELSE round(steps * (item->>'points')::numeric, 4) END);
    END IF;
    RETURN result || jsonb_build_object('rate', round(rate, 4)) || onemap.score_points(points, exact);
END $$;
COMMENT ON FUNCTION onemap.score_rate_item(jsonb, jsonb, boolean) IS
    'Points of an item of kind proportional or threshold; exact: by the rate itself, else by the rate as it is shown';

CREATE OR REPLACE FUNCTION onemap.score_count_item(item jsonb, measured jsonb, exact boolean) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH counted AS (
        SELECT c.n, c.v, onemap.score_term_sum(measured->(coalesce(c.v->'where', '{}')::text),
            ARRAY(SELECT jsonb_array_elements_text(c.v->'measures'))) AS times
        FROM jsonb_array_elements(item->'counts') WITH ORDINALITY AS c (v, n)
    ), total AS (
        SELECT CASE WHEN exact THEN sum(k.times * (k.v->>'points')::numeric)
                ELSE round(sum(k.times * (k.v->>'points')::numeric), 4) END AS points,
            jsonb_agg(k.v || jsonb_build_object('times', k.times, 'sum', trim_scale(k.times * (k.v->>'points')::numeric))
                ORDER BY k.n) AS counts FROM counted k
    )
    SELECT jsonb_build_object('counts', t.counts) || onemap.score_points(CASE item->>'kind'
        WHEN 'bonus' THEN least((item->>'cap')::numeric, t.points)
        ELSE greatest(coalesce((item->>'floor')::numeric, 0), (item->>'weight')::numeric - t.points) END, exact)
    FROM total t
$$;
COMMENT ON FUNCTION onemap.score_count_item(jsonb, jsonb, boolean) IS 'Points of an item of kind deduct, or of a bonus by counts';

CREATE OR REPLACE FUNCTION onemap.score_input_item(item jsonb, month date, department text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT jsonb_build_object(
        'points', trim_scale(least(i.points, coalesce(($1->>'weight')::numeric, ($1->>'cap')::numeric))),
            'author', i.author, 'evidence', i.evidence, 'entered_at', i.entered_at)
        FROM onemap.score_input i WHERE i.month = $2 AND i.department = $3 AND i.item = $1->>'key' ORDER BY i.id DESC LIMIT 1),
        jsonb_build_object('points', NULL, 'missing', true))
$$;
COMMENT ON FUNCTION onemap.score_input_item(jsonb, date, text) IS 'Points of an item that people give; missing if nobody has';

CREATE OR REPLACE FUNCTION onemap.score_unit(unit jsonb, document jsonb, measured jsonb, month date,
    exact boolean DEFAULT true) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item jsonb; one jsonb; items jsonb := '[]'::jsonb; own jsonb; missing jsonb := '[]'::jsonb; adjustments jsonb;
    department text := unit->>'department'; full_score numeric := (document->>'full')::numeric;
    base numeric := 0::numeric; bonus numeric := 0::numeric; excluded numeric := 0::numeric; adjusted numeric; points numeric;
    score numeric; shown numeric;
BEGIN
    SELECT g->'items' INTO own FROM jsonb_array_elements(document->'groups') g WHERE g->>'key' = unit->>'group';
    FOR item IN SELECT jsonb_array_elements(coalesce(own, document->'items')) LOOP
        one := CASE
            WHEN item->>'kind' IN ('proportional', 'threshold') THEN
                onemap.score_rate_item(item, measured->(coalesce(item->'where', '{}')::text), exact)
            WHEN item ? 'counts' THEN onemap.score_count_item(item, measured, exact)
            ELSE onemap.score_input_item(item, month, department) END;
        points := coalesce(one->>'exact', one->>'points')::numeric;
        IF one ? 'missing' THEN
            missing := missing || jsonb_build_object('item', item->'key', 'name', item->'name');
        ELSIF one ? 'excluded' THEN
            excluded := excluded + (item->>'weight')::numeric;
        ELSIF item->>'kind' = 'bonus' THEN
            bonus := bonus + points;
        ELSE
            base := base + points;
        END IF;
        items := items || (jsonb_build_object('key', item->'key', 'name', item->'name', 'kind', item->'kind',
            'weight', coalesce(item->'weight', '0'),
            'lost', CASE WHEN item ? 'weight' THEN (item->>'weight')::numeric - (one->>'points')::numeric END) || one);
    END LOOP;
    SELECT coalesce(sum(a.points), 0), coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'month', to_char(a.month, 'YYYY-MM'),
        'points', a.points, 'case', a.case_code, 'reason', a.reason, 'author', a.author, 'made_at', a.made_at) ORDER BY a.id), '[]')
    INTO adjusted, adjustments FROM onemap.score_adjustment a WHERE a.counted_month = $4 AND a.department = unit->>'department';
    IF excluded >= full_score THEN
        missing := missing || jsonb_build_object('item', 'cases', 'name', '本月无应计案件，无法评分');
    ELSIF missing = '[]' THEN
        base := CASE WHEN exact THEN onemap.score_quotient(base * full_score, full_score - excluded)
            ELSE base * full_score / (full_score - excluded) END;
        score := least(coalesce((document->>'cap')::numeric, 100000), greatest(coalesce((document->>'floor')::numeric, 0),
            base + bonus + adjusted));
        shown := round(score, coalesce((document->>'decimals')::int, 2));
    END IF;
    RETURN unit || jsonb_build_object('score', shown, 'items', items, 'adjustments', adjustments, 'missing', missing)
        || CASE WHEN exact AND onemap.score_exact(score) <> shown THEN jsonb_build_object('exact', onemap.score_exact(score))
            ELSE '{}' END;
END $$;
COMMENT ON FUNCTION onemap.score_unit(jsonb, jsonb, jsonb, date, boolean) IS
    'Score of one department with every item; score is null where something is missing; exact: the unrounded one, where that is '
    'another figure';

CREATE OR REPLACE FUNCTION onemap.score_evaluate(month date, as_of timestamptz, document jsonb, units jsonb,
    exact boolean DEFAULT true) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH counted AS MATERIALIZED (SELECT m.department, m.measured FROM onemap.score_measured(month, as_of, document) m),
        scored AS (SELECT u.n, onemap.score_unit(u.v, document, coalesce(c.measured, '{}'), month, exact) AS r
            FROM jsonb_array_elements(units) WITH ORDINALITY AS u (v, n) LEFT JOIN counted c ON c.department = u.v->>'department'),
        ranked AS (SELECT s.n, s.r, CASE WHEN s.r->>'score' IS NOT NULL THEN
            rank() OVER (PARTITION BY s.r->>'group' ORDER BY coalesce(s.r->>'exact', s.r->>'score')::numeric DESC NULLS LAST)
            END AS place FROM scored s)
    SELECT coalesce(jsonb_agg(k.r || jsonb_build_object('rank', k.place) ORDER BY k.n), '[]') FROM ranked k
$$;
COMMENT ON FUNCTION onemap.score_evaluate(date, timestamptz, jsonb, jsonb, boolean) IS
    'Scores of all units of a month, ranked within their group by their exact scores; equal ones share the better rank (1, 2, 2, '
    '4); exact false: as months were scored that were closed before, rounded step by step';

CREATE OR REPLACE FUNCTION onemap.score_compute(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE
    month date := onemap.score_month_parse(request->>'month'); as_of timestamptz; formula onemap.score_formula;
    kept onemap.score_month; rows jsonb;
BEGIN
    SELECT * INTO kept FROM onemap.score_month m WHERE m.month = me.month AND m.closed_at IS NOT NULL;
    as_of := least(onemap.score_month_end(month), coalesce((request->>'as_of')::timestamptz, clock_timestamp()));
    IF kept.month IS NOT NULL AND NOT request ? 'formula' AND NOT request ? 'as_of' THEN
        formula := onemap.score_formula_for(month, kept.formula_version::text);
        SELECT coalesce(jsonb_agg(r.content ORDER BY (r.content->>'order')::int), '[]') INTO rows FROM onemap.score_result r
            WHERE r.month = kept.month;
    ELSE
        formula := onemap.score_formula_for(month, request->>'formula');
        PERFORM onemap.score_month_begun(month);
        rows := onemap.score_evaluate(month, as_of, formula.document, onemap.score_units(formula.document));
    END IF;
    RETURN jsonb_build_object('month', to_char(month, 'YYYY-MM'), 'as_of', as_of, 'closed', kept.month IS NOT NULL,
        'formula', jsonb_build_object('version', formula.version, 'key', formula.key, 'name', formula.document->'name',
            'full', formula.document->'full', 'sha256', encode(formula.sha256, 'hex')), 'rows', rows,
        'corrections',
            (SELECT coalesce(jsonb_agg(jsonb_build_object('department', a.department, 'points', a.points, 'counted_month',
            to_char(a.counted_month, 'YYYY-MM'), 'case', a.case_code, 'reason', a.reason, 'author', a.author, 'made_at', a.made_at)
                ORDER BY a.id), '[]')
            FROM onemap.score_adjustment a WHERE a.month = me.month));
END $$;
COMMENT ON FUNCTION onemap.score_compute(jsonb) IS
    'Digital scores of a month: {month, formula (version or key), as_of}; a closed month comes as it was closed, unless another '
    'formula is asked for; corrections: later adjustments of this month';
GRANT EXECUTE ON FUNCTION onemap.score_compute(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
