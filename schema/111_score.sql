-- The digital-city-management score (数字城管考核得分): formulas as data, computed from the month's rows of score_case, explained
-- down to the case numbers, frozen when the month is closed. Exact decimals only: rates to 4, points of an item to 4, a
-- score to the formula's decimals (2), each rounded half away from zero. See docs/score.md.

CREATE TABLE onemap.score_formula (
    version    int PRIMARY KEY CHECK (version > 0),
    key        text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]{0,31}$'),
    document   jsonb NOT NULL,
    sha256     bytea NOT NULL,
    from_month date NOT NULL CHECK (extract(day FROM from_month) = 1),
    example    boolean NOT NULL DEFAULT false,
    author     text NOT NULL CHECK (author <> ''),
    put_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    put_by     text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.score_formula IS
    'Versions of formulas, never changed: the highest version that is no example with from_month at or before a month is in force for it; examples are computed on request alone';
CREATE TRIGGER score_formula_append_only BEFORE UPDATE OR DELETE ON onemap.score_formula
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
CREATE TRIGGER score_formula_no_truncate BEFORE TRUNCATE ON onemap.score_formula
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE TABLE onemap.score_input (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    department text NOT NULL,
    item       text NOT NULL CHECK (item ~ '^[a-z][a-z0-9_]{0,31}$'),
    points     numeric NOT NULL,
    author     text NOT NULL CHECK (author <> ''),
    evidence   text NOT NULL CHECK (evidence <> ''),
    entered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    entered_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.score_input IS 'Points that people give for items of kind "input"; the last entry counts, none is ever changed';
CREATE INDEX score_input_last ON onemap.score_input (month, department, item, id DESC);
CREATE TRIGGER score_input_append_only BEFORE UPDATE OR DELETE ON onemap.score_input
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();

CREATE TABLE onemap.score_result (
    month      date NOT NULL REFERENCES onemap.score_month (month),
    department text NOT NULL,
    formula_version int NOT NULL REFERENCES onemap.score_formula (version),
    score      numeric,
    content    jsonb NOT NULL,
    PRIMARY KEY (month, department)
);
COMMENT ON TABLE onemap.score_result IS 'Scores of closed months as they were when the month was closed; never changed';
CREATE TRIGGER score_result_append_only BEFORE UPDATE OR DELETE ON onemap.score_result
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
CREATE TRIGGER score_result_no_truncate BEFORE TRUNCATE ON onemap.score_result
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE TABLE onemap.score_adjustment (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month         date NOT NULL REFERENCES onemap.score_month (month),
    counted_month date NOT NULL CHECK (extract(day FROM counted_month) = 1 AND counted_month > month),
    department    text NOT NULL,
    points        numeric NOT NULL CHECK (points <> 0 AND abs(points) <= 100),
    case_code     text,
    reason        text NOT NULL CHECK (reason <> ''),
    author        text NOT NULL CHECK (author <> ''),
    made_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    made_by       text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.score_adjustment IS
    'Later corrections of closed months: the month corrected keeps its figures, the points count in counted_month as a line of their own';
CREATE INDEX score_adjustment_counted ON onemap.score_adjustment (counted_month, department);
CREATE TRIGGER score_adjustment_append_only BEFORE UPDATE OR DELETE ON onemap.score_adjustment
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
CREATE TRIGGER score_adjustment_no_truncate BEFORE TRUNCATE ON onemap.score_adjustment
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

-- ---- formulas ----

CREATE FUNCTION onemap.score_is_number(v jsonb, low numeric, high numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(v) = 'number' THEN (v #>> '{}')::numeric BETWEEN low AND high ELSE false END
$$;
COMMENT ON FUNCTION onemap.score_is_number(jsonb, numeric, numeric) IS 'True if the JSON value is a number within [low, high]';

CREATE FUNCTION onemap.score_terms_problem(terms jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN jsonb_typeof(terms) IS DISTINCT FROM 'array' THEN 'must be a list of measures'
        WHEN jsonb_array_length(terms) = 0 THEN 'is an empty list'
        ELSE (SELECT min(format('has "%s", which is no measure', t)) FROM jsonb_array_elements_text(terms) t
            WHERE NOT EXISTS (SELECT FROM onemap.score_measure m WHERE m.measure = regexp_replace(t, '^-', ''))) END
$$;
COMMENT ON FUNCTION onemap.score_terms_problem(jsonb) IS 'What is wrong with a list of measures, NULL if nothing';

CREATE FUNCTION onemap.score_unknown_keys(object jsonb, VARIADIC known text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'has unknown key ' || string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(object) k WHERE k <> ALL (known)
$$;
COMMENT ON FUNCTION onemap.score_unknown_keys(jsonb, text[]) IS 'Names keys that an object should not have, NULL if there are none';

CREATE FUNCTION onemap.score_counts_problem(counts jsonb) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT 'counts: must be a list, not empty'
    WHERE CASE WHEN jsonb_typeof(counts) = 'array' THEN jsonb_array_length(counts) = 0 ELSE true END
    UNION ALL
    SELECT format('counts[%s]: %s', c.n - 1, p.problem)
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(counts) = 'array' THEN counts ELSE '[]' END) WITH ORDINALITY AS c (v, n),
        LATERAL (SELECT CASE WHEN jsonb_typeof(c.v) <> 'object' THEN '{}'::jsonb ELSE c.v END AS o) x,
        LATERAL (VALUES (onemap.score_unknown_keys(x.o, 'measures', 'points', 'where')),
            ('measures ' || onemap.score_terms_problem(x.o->'measures')),
            (CASE WHEN NOT onemap.score_is_number(x.o->'points', 0, 100) THEN 'points: must be a number from 0 to 100' END),
            (onemap.score_where_problem(x.o->'where'))) AS p (problem)
    WHERE p.problem IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.score_counts_problem(jsonb) IS 'Everything that is wrong with the counts of an item of kind deduct or bonus';

CREATE FUNCTION onemap.score_item_problems(item jsonb) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT 'must be an object' WHERE jsonb_typeof(item) <> 'object'
    UNION ALL
    SELECT p.problem FROM (SELECT CASE WHEN jsonb_typeof(item) = 'object' THEN item ELSE '{}' END AS o) x,
        LATERAL (VALUES
            (CASE WHEN coalesce(x.o->>'key', '') !~ '^[a-z][a-z0-9_]{0,31}$' THEN 'key: must be small letters, digits and _' END),
            (CASE WHEN coalesce(x.o->>'name', '') = '' THEN 'name: is missing' END),
            (CASE WHEN coalesce(x.o->>'kind', '') NOT IN ('proportional', 'threshold', 'deduct', 'bonus', 'input')
                  THEN 'kind: must be proportional, threshold, deduct, bonus or input' END),
            (CASE WHEN x.o->>'kind' <> 'bonus' AND NOT onemap.score_is_number(x.o->'weight', 0.01, 1000)
                  THEN 'weight: must be a number above 0' END),
            (CASE WHEN x.o->>'kind' = 'bonus' AND NOT onemap.score_is_number(x.o->'cap', 0, 1000)
                  THEN 'cap: a bonus needs one, a number from 0' END),
            (CASE WHEN x.o ? 'floor' AND (x.o->>'kind' NOT IN ('threshold', 'deduct')
                      OR NOT onemap.score_is_number(x.o->'floor', -1000, coalesce(CASE WHEN jsonb_typeof(x.o->'weight') = 'number' THEN (x.o->>'weight')::numeric END, 0)))
                  THEN 'floor: must be a number up to the weight, of kind threshold or deduct' END),
            (CASE WHEN x.o->>'kind' = 'threshold' AND NOT (onemap.score_is_number(x.o->'full_at', 0, 100)
                      AND onemap.score_is_number(x.o->'points', 0, 100) AND onemap.score_is_number(coalesce(x.o->'per', '1'), 0.01, 100))
                  THEN 'full_at (percent), points (off) and per (percent): must be numbers, of kind threshold' END),
            (CASE WHEN coalesce(x.o->>'step', 'exact') NOT IN ('exact', 'started', 'completed') THEN 'step: must be exact, started or completed' END),
            (CASE WHEN x.o->>'kind' IN ('proportional', 'threshold') THEN 'numerator ' || onemap.score_terms_problem(x.o->'numerator') END),
            (CASE WHEN x.o->>'kind' IN ('proportional', 'threshold') THEN 'denominator ' || onemap.score_terms_problem(x.o->'denominator') END),
            (CASE WHEN coalesce(x.o->>'on_empty', 'full') NOT IN ('full', 'exclude', 'zero') THEN 'on_empty: must be full, exclude or zero' END),
            (onemap.score_where_problem(x.o->'where')),
            (CASE x.o->>'kind'
                WHEN 'proportional' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'numerator', 'denominator', 'where', 'on_empty', 'source')
                WHEN 'threshold' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'numerator', 'denominator', 'where', 'on_empty', 'full_at', 'per', 'points', 'step', 'floor', 'source')
                WHEN 'deduct' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'counts', 'floor', 'source')
                WHEN 'bonus' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'cap', 'counts', 'input', 'source')
                WHEN 'input' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'source') END),
            (CASE WHEN x.o->>'kind' = 'bonus' AND (x.o ? 'counts') = (x.o ? 'input') THEN 'a bonus has either counts or "input": true' END)) AS p (problem)
    WHERE p.problem IS NOT NULL
    UNION ALL
    SELECT c FROM onemap.score_counts_problem(item->'counts') c
    WHERE item->>'kind' = 'deduct' OR (item->>'kind' = 'bonus' AND item ? 'counts')
$$;
COMMENT ON FUNCTION onemap.score_item_problems(jsonb) IS 'Everything that is wrong with one item of a formula';

CREATE FUNCTION onemap.score_items_problems(place text, items jsonb, full_score numeric) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT format('%s: must be a list, not empty', place)
    WHERE CASE WHEN jsonb_typeof(items) = 'array' THEN jsonb_array_length(items) = 0 ELSE true END
    UNION ALL
    SELECT format('%s[%s]: %s', place, i.n - 1, p)
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(items) = 'array' THEN items ELSE '[]' END) WITH ORDINALITY AS i (v, n),
        LATERAL onemap.score_item_problems(i.v) p
    UNION ALL
    SELECT format('%s: key "%s" is there twice', place, k.key)
    FROM (SELECT v->>'key' AS key FROM jsonb_array_elements(CASE WHEN jsonb_typeof(items) = 'array' THEN items ELSE '[]' END) v) k
    GROUP BY k.key HAVING count(*) > 1
    UNION ALL
    SELECT format('%s: the weights add up to %s, not to full = %s', place, w.total, full_score)
    FROM (SELECT sum(CASE WHEN jsonb_typeof(v->'weight') = 'number' THEN (v->>'weight')::numeric END) AS total
          FROM jsonb_array_elements(CASE WHEN jsonb_typeof(items) = 'array' THEN items ELSE '[]' END) v) w
    WHERE w.total IS DISTINCT FROM full_score AND jsonb_typeof(items) = 'array'
$$;
COMMENT ON FUNCTION onemap.score_items_problems(text, jsonb, numeric) IS 'Everything that is wrong with a list of items';

CREATE FUNCTION onemap.score_formula_problems(document jsonb) RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH d AS (SELECT CASE WHEN jsonb_typeof(document) = 'object' THEN document ELSE '{}' END AS o),
        g AS (SELECT v, n FROM d, jsonb_array_elements(CASE WHEN jsonb_typeof(d.o->'groups') = 'array' THEN d.o->'groups' ELSE '[]' END) WITH ORDINALITY AS e (v, n))
    SELECT p.problem FROM d, LATERAL (VALUES
        (CASE WHEN coalesce(d.o->>'key', '') !~ '^[a-z][a-z0-9_]{0,31}$' THEN 'key: must be small letters, digits and _' END),
        (CASE WHEN coalesce(d.o->>'name', '') = '' THEN 'name: is missing' END),
        (CASE WHEN coalesce(d.o->>'source', '') = '' THEN 'source: is missing (where the rule comes from, or "assumed")' END),
        (CASE WHEN NOT onemap.score_is_number(d.o->'full', 0.01, 1000) THEN 'full: must be a number above 0' END),
        (CASE WHEN d.o ? 'floor' AND NOT onemap.score_is_number(d.o->'floor', -1000, 1000) THEN 'floor: must be a number' END),
        (CASE WHEN d.o ? 'cap' AND NOT onemap.score_is_number(d.o->'cap', 0, 2000) THEN 'cap: must be a number' END),
        (CASE WHEN d.o ? 'decimals' AND coalesce(d.o->>'decimals', '') !~ '^[0-4]$' THEN 'decimals: must be 0 to 4' END),
        (onemap.score_unknown_keys(d.o, 'key', 'name', 'source', 'full', 'floor', 'cap', 'decimals', 'groups', 'items')),
        (CASE WHEN NOT EXISTS (SELECT FROM g) THEN 'groups: must be a list, not empty' END)) AS p (problem)
    WHERE p.problem IS NOT NULL
    UNION ALL
    SELECT format('groups[%s]: %s', g.n - 1, p.problem) FROM g, LATERAL (VALUES
        (CASE WHEN coalesce(g.v->>'key', '') !~ '^[a-z][a-z0-9_]{0,31}$' THEN 'key: must be small letters, digits and _' END),
        (CASE WHEN coalesce(g.v->>'name', '') = '' THEN 'name: is missing' END),
        (CASE WHEN jsonb_typeof(g.v) = 'object' THEN onemap.score_unknown_keys(g.v, 'key', 'name', 'kinds', 'departments', 'assessed', 'items') ELSE 'must be an object' END),
        (CASE WHEN (g.v ? 'kinds') = (g.v ? 'departments') THEN 'must have either kinds or departments' END),
        (CASE WHEN g.v ? 'kinds' AND (jsonb_typeof(g.v->'kinds') <> 'array' OR NOT g.v->'kinds' <@ '["street", "county", "enterprise"]')
              THEN 'kinds: must be a list of street, county, enterprise' END),
        (CASE WHEN g.v ? 'departments' AND jsonb_typeof(g.v->'departments') <> 'array' THEN 'departments: must be a list of codes' END)) AS p (problem)
    WHERE p.problem IS NOT NULL
    UNION ALL
    SELECT format('groups: key "%s" is there twice', g.v->>'key') FROM g GROUP BY g.v->>'key' HAVING count(*) > 1
    UNION ALL
    SELECT format('groups: %s is in more than one group', m.member) FROM (
        SELECT v->>'key' AS key, jsonb_array_elements_text(CASE WHEN jsonb_typeof(v->'departments') = 'array' THEN v->'departments' ELSE '[]' END) AS member FROM g
        UNION ALL SELECT v->>'key', jsonb_array_elements_text(CASE WHEN jsonb_typeof(v->'kinds') = 'array' THEN v->'kinds' ELSE '[]' END) FROM g) m
    GROUP BY m.member HAVING count(*) > 1
    UNION ALL
    SELECT p FROM d, LATERAL onemap.score_items_problems('items', d.o->'items', CASE WHEN jsonb_typeof(d.o->'full') = 'number' THEN (d.o->>'full')::numeric END) p
    UNION ALL
    SELECT p FROM d, g, LATERAL onemap.score_items_problems(format('groups[%s].items', g.n - 1), g.v->'items', CASE WHEN jsonb_typeof(d.o->'full') = 'number' THEN (d.o->>'full')::numeric END) p
    WHERE g.v ? 'items'
$$;
COMMENT ON FUNCTION onemap.score_formula_problems(jsonb) IS 'Everything that is wrong with a formula; no rows = it can be put';

CREATE FUNCTION onemap.score_formula_put(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE problems jsonb; next_version int; first_month date; digest bytea := sha256(convert_to((request->'formula')::text, 'UTF8'));
BEGIN
    SELECT jsonb_agg(p) INTO problems FROM onemap.score_formula_problems(request->'formula') p;
    IF problems IS NOT NULL THEN
        RETURN jsonb_build_object('put', false, 'problems', problems);
    END IF;
    first_month := onemap.score_month_parse(request->>'from_month');
    IF coalesce(request->>'author', '') = '' THEN
        RAISE EXCEPTION 'author: is missing' USING ERRCODE = 'CH030';
    ELSIF EXISTS (SELECT FROM onemap.score_month m WHERE m.closed_at IS NOT NULL AND m.month >= first_month) AND NOT coalesce((request->>'example')::boolean, false) THEN
        RAISE EXCEPTION 'from_month: % or a later month is closed', request->>'from_month' USING ERRCODE = 'CH031';
    END IF;
    LOCK TABLE onemap.score_formula IN SHARE ROW EXCLUSIVE MODE;
    SELECT coalesce(max(f.version), 0) + 1 INTO next_version FROM onemap.score_formula f;
    INSERT INTO onemap.score_formula (version, key, document, sha256, from_month, example, author)
    VALUES (next_version, request->'formula'->>'key', request->'formula', digest, first_month,
        coalesce((request->>'example')::boolean, false), request->>'author');
    PERFORM onemap.audit('score_formula_put', jsonb_build_object('version', next_version, 'key', request->'formula'->>'key', 'from_month', first_month));
    RETURN jsonb_build_object('put', true, 'version', next_version, 'sha256', encode(digest, 'hex'), 'problems', '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.score_formula_put(jsonb) IS
    'Puts a formula as a new version: {formula, from_month, author, example}; an invalid one is refused: {put: false, problems: [text]}';
GRANT EXECUTE ON FUNCTION onemap.score_formula_put(jsonb), onemap.score_formula_problems(jsonb) TO cityhub_hub, cityhub_api;

CREATE FUNCTION onemap.score_formula_list() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('version', f.version, 'key', f.key, 'name', f.document->'name', 'source', f.document->'source',
        'from_month', to_char(f.from_month, 'YYYY-MM'), 'example', f.example, 'author', f.author, 'put_at', f.put_at, 'sha256', encode(f.sha256, 'hex'),
        'formula', f.document) ORDER BY f.version), '[]') FROM onemap.score_formula f
$$;
COMMENT ON FUNCTION onemap.score_formula_list() IS 'All versions of all formulas, oldest first';
GRANT EXECUTE ON FUNCTION onemap.score_formula_list() TO cityhub_hub, cityhub_api, cityhub_read;

CREATE FUNCTION onemap.score_formula_for(month date, wanted text) RETURNS onemap.score_formula
LANGUAGE plpgsql STABLE AS $$
DECLARE found onemap.score_formula;
BEGIN
    IF wanted ~ '^[0-9]{1,9}$' THEN
        SELECT * INTO found FROM onemap.score_formula f WHERE f.version = wanted::int;
    ELSIF wanted IS NOT NULL THEN
        SELECT * INTO found FROM onemap.score_formula f WHERE f.key = wanted ORDER BY f.version DESC LIMIT 1;
    ELSE
        SELECT * INTO found FROM onemap.score_formula f WHERE NOT f.example AND f.from_month <= month ORDER BY f.version DESC LIMIT 1;
    END IF;
    IF found.version IS NULL THEN
        RAISE EXCEPTION 'formula: there is none %', coalesce('"' || wanted || '"', 'in force in ' || to_char(month, 'YYYY-MM')) USING ERRCODE = 'CH030';
    END IF;
    RETURN found;
END $$;
COMMENT ON FUNCTION onemap.score_formula_for(date, text) IS 'A formula by version or key, else the one in force for the month';

-- ---- evaluation ----

CREATE FUNCTION onemap.score_units(document jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('department', d.code, 'name', d.name_zh, 'group', g.v->'key', 'group_name', g.v->'name',
        'assessed', coalesce(g.v->'assessed', 'true')) ORDER BY g.n, d.position, d.code COLLATE "C"), '[]')
    FROM jsonb_array_elements(document->'groups') WITH ORDINALITY AS g (v, n)
    JOIN onemap.department d ON d.active AND (g.v->'kinds' ? d.kind OR g.v->'departments' ? d.code)
$$;
COMMENT ON FUNCTION onemap.score_units(jsonb) IS 'The departments that a formula scores today, with their groups';

CREATE FUNCTION onemap.score_measured(month date, as_of timestamptz, document jsonb, only_department text DEFAULT NULL)
RETURNS TABLE (department text, measured jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH counting AS MATERIALIZED (
        SELECT o.v FROM jsonb_path_query(document, 'strict $.**{1 to 6} ? (exists (@.numerator) || exists (@.measures))', '{}', true) AS o (v)
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

CREATE FUNCTION onemap.score_rate_item(item jsonb, sums jsonb) RETURNS jsonb
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
    rate := round(100 * numerator / denominator, 4);
    IF item->>'kind' = 'proportional' THEN
        points := round(weight * numerator / denominator, 4);
    ELSIF rate >= (item->>'full_at')::numeric THEN
        points := weight;
    ELSE
        steps := ((item->>'full_at')::numeric - rate) / coalesce((item->>'per')::numeric, 1);
        steps := CASE item->>'step' WHEN 'started' THEN ceil(steps) WHEN 'completed' THEN floor(steps) ELSE steps END;
        points := greatest(coalesce((item->>'floor')::numeric, 0), weight - round(steps * (item->>'points')::numeric, 4));
    END IF;
    RETURN result || jsonb_build_object('rate', rate, 'points', trim_scale(points));
END $$;
COMMENT ON FUNCTION onemap.score_rate_item(jsonb, jsonb) IS 'Points of an item of kind proportional or threshold';

CREATE FUNCTION onemap.score_count_item(item jsonb, measured jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH counted AS (
        SELECT c.n, c.v, onemap.score_term_sum(measured->(coalesce(c.v->'where', '{}')::text),
            ARRAY(SELECT jsonb_array_elements_text(c.v->'measures'))) AS times
        FROM jsonb_array_elements(item->'counts') WITH ORDINALITY AS c (v, n)
    ), total AS (
        SELECT round(sum(k.times * (k.v->>'points')::numeric), 4) AS points,
            jsonb_agg(k.v || jsonb_build_object('times', k.times, 'sum', trim_scale(k.times * (k.v->>'points')::numeric)) ORDER BY k.n) AS counts FROM counted k
    )
    SELECT jsonb_build_object('counts', t.counts, 'points', trim_scale(CASE item->>'kind'
        WHEN 'bonus' THEN least((item->>'cap')::numeric, t.points)
        ELSE greatest(coalesce((item->>'floor')::numeric, 0), (item->>'weight')::numeric - t.points) END))
    FROM total t
$$;
COMMENT ON FUNCTION onemap.score_count_item(jsonb, jsonb) IS 'Points of an item of kind deduct, or of a bonus by counts';

CREATE FUNCTION onemap.score_input_item(item jsonb, month date, department text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT jsonb_build_object('points', trim_scale(least(i.points, coalesce(($1->>'weight')::numeric, ($1->>'cap')::numeric))),
            'author', i.author, 'evidence', i.evidence, 'entered_at', i.entered_at)
        FROM onemap.score_input i WHERE i.month = $2 AND i.department = $3 AND i.item = $1->>'key' ORDER BY i.id DESC LIMIT 1),
        jsonb_build_object('points', NULL, 'missing', true))
$$;
COMMENT ON FUNCTION onemap.score_input_item(jsonb, date, text) IS 'Points of an item that people give; missing if nobody has';

CREATE FUNCTION onemap.score_unit(unit jsonb, document jsonb, measured jsonb, month date) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item jsonb; one jsonb; items jsonb := '[]'; own jsonb; department text := unit->>'department'; missing jsonb := '[]'; adjustments jsonb;
    base numeric := 0; bonus numeric := 0; excluded numeric := 0; full_score numeric := (document->>'full')::numeric; adjusted numeric; score numeric;
BEGIN
    SELECT g->'items' INTO own FROM jsonb_array_elements(document->'groups') g WHERE g->>'key' = unit->>'group';
    FOR item IN SELECT jsonb_array_elements(coalesce(own, document->'items')) LOOP
        one := CASE
            WHEN item->>'kind' IN ('proportional', 'threshold') THEN
                onemap.score_rate_item(item, measured->(coalesce(item->'where', '{}')::text))
            WHEN item ? 'counts' THEN onemap.score_count_item(item, measured)
            ELSE onemap.score_input_item(item, month, department) END;
        IF one ? 'missing' THEN
            missing := missing || jsonb_build_object('item', item->'key', 'name', item->'name');
        ELSIF one ? 'excluded' THEN
            excluded := excluded + (item->>'weight')::numeric;
        ELSIF item->>'kind' = 'bonus' THEN
            bonus := bonus + (one->>'points')::numeric;
        ELSE
            base := base + (one->>'points')::numeric;
        END IF;
        items := items || (jsonb_build_object('key', item->'key', 'name', item->'name', 'kind', item->'kind', 'weight', coalesce(item->'weight', '0'),
            'lost', CASE WHEN item ? 'weight' THEN (item->>'weight')::numeric - (one->>'points')::numeric END) || one);
    END LOOP;
    SELECT coalesce(sum(a.points), 0), coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'month', to_char(a.month, 'YYYY-MM'), 'points', a.points,
        'case', a.case_code, 'reason', a.reason, 'author', a.author, 'made_at', a.made_at) ORDER BY a.id), '[]') INTO adjusted, adjustments
    FROM onemap.score_adjustment a WHERE a.counted_month = $4 AND a.department = unit->>'department';
    IF excluded >= full_score THEN
        missing := missing || jsonb_build_object('item', 'cases', 'name', '本月无应计案件，无法评分');
    ELSIF missing = '[]' THEN
        score := round(least(coalesce((document->>'cap')::numeric, 100000), greatest(coalesce((document->>'floor')::numeric, 0),
            base * full_score / (full_score - excluded) + bonus + adjusted)), coalesce((document->>'decimals')::int, 2));
    END IF;
    RETURN unit || jsonb_build_object('score', score, 'items', items, 'adjustments', adjustments, 'missing', missing);
END $$;
COMMENT ON FUNCTION onemap.score_unit(jsonb, jsonb, jsonb, date) IS 'Score of one department with every item; score is null where something is missing';

CREATE FUNCTION onemap.score_evaluate(month date, as_of timestamptz, document jsonb, units jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH counted AS MATERIALIZED (SELECT m.department, m.measured FROM onemap.score_measured(month, as_of, document) m),
        scored AS (SELECT u.n, onemap.score_unit(u.v, document, coalesce(c.measured, '{}'), month) AS r
            FROM jsonb_array_elements(units) WITH ORDINALITY AS u (v, n) LEFT JOIN counted c ON c.department = u.v->>'department'),
        ranked AS (SELECT s.n, s.r, CASE WHEN s.r->>'score' IS NOT NULL THEN
            rank() OVER (PARTITION BY s.r->>'group' ORDER BY (s.r->>'score')::numeric DESC NULLS LAST) END AS place FROM scored s)
    SELECT coalesce(jsonb_agg(k.r || jsonb_build_object('rank', k.place) ORDER BY k.n), '[]') FROM ranked k
$$;
COMMENT ON FUNCTION onemap.score_evaluate(date, timestamptz, jsonb, jsonb) IS
    'Scores of all units of a month, ranked within their group; equal scores share the better rank (1, 2, 2, 4)';

CREATE FUNCTION onemap.score_month_end(month date) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT onemap.score_day_start((month + interval '1 month')::date)
$$;
COMMENT ON FUNCTION onemap.score_month_end(date) IS 'The moment at which a month ends in the county';

CREATE FUNCTION onemap.score_compute(request jsonb) RETURNS jsonb
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
        SELECT coalesce(jsonb_agg(r.content ORDER BY (r.content->>'order')::int), '[]') INTO rows FROM onemap.score_result r WHERE r.month = kept.month;
    ELSE
        formula := onemap.score_formula_for(month, request->>'formula');
        PERFORM onemap.score_month_ready(month);
        rows := onemap.score_evaluate(month, as_of, formula.document, onemap.score_units(formula.document));
    END IF;
    RETURN jsonb_build_object('month', to_char(month, 'YYYY-MM'), 'as_of', as_of, 'closed', kept.month IS NOT NULL,
        'formula', jsonb_build_object('version', formula.version, 'key', formula.key, 'name', formula.document->'name', 'full', formula.document->'full',
            'sha256', encode(formula.sha256, 'hex')),
        'rows', rows,
        'corrections', (SELECT coalesce(jsonb_agg(jsonb_build_object('department', a.department, 'points', a.points, 'counted_month',
            to_char(a.counted_month, 'YYYY-MM'), 'case', a.case_code, 'reason', a.reason, 'author', a.author, 'made_at', a.made_at) ORDER BY a.id), '[]')
            FROM onemap.score_adjustment a WHERE a.month = me.month));
END $$;
COMMENT ON FUNCTION onemap.score_compute(jsonb) IS
    'Digital scores of a month: {month, formula (version or key), as_of}; a closed month comes as it was closed, unless another formula is asked for; corrections: later adjustments of this month';
GRANT EXECUTE ON FUNCTION onemap.score_compute(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- explanation ----

CREATE FUNCTION onemap.score_terms_sql(terms jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%s coalesce(%s, 0)', CASE WHEN t LIKE '-%' THEN '-' ELSE '+' END, m.expression), ' ' ORDER BY n)
    FROM jsonb_array_elements_text(terms) WITH ORDINALITY AS e (t, n) JOIN onemap.score_measure m ON m.measure = regexp_replace(t, '^-', '')
$$;
COMMENT ON FUNCTION onemap.score_terms_sql(jsonb) IS 'A list of measures as an expression over rows r of score_case';

CREATE FUNCTION onemap.score_cases(month date, as_of timestamptz, department text, expression text, filter jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE cases jsonb;
BEGIN
    EXECUTE format('SELECT coalesce(jsonb_agg(jsonb_build_object(''case'', c.case_code, ''times'', c.times) ORDER BY c.case_code COLLATE "C"), ''[]'')
        FROM (SELECT r.case_code, sum(%s) AS times FROM onemap.score_case r WHERE r.month = $2 AND r.department = $3 AND %s
              GROUP BY r.case_code HAVING sum(%1$s) > 0) c', expression, onemap.score_where_sql(coalesce(filter, '{}')))
        INTO cases USING as_of, month, department;
    RETURN cases;
END $$;
COMMENT ON FUNCTION onemap.score_cases(date, timestamptz, text, text, jsonb) IS 'Case numbers of a department for which an expression over score_case is above 0';

CREATE FUNCTION onemap.score_item_cases(definition jsonb, month date, as_of timestamptz, department text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN definition->>'kind' IN ('proportional', 'threshold') THEN jsonb_build_object(
            'costing', onemap.score_cases(month, as_of, department,
                format('%s - (%s)', onemap.score_terms_sql(definition->'denominator'), onemap.score_terms_sql(definition->'numerator')), definition->'where'))
        WHEN definition ? 'counts' THEN (
            SELECT jsonb_build_object('costing', coalesce(jsonb_agg(k || jsonb_build_object('measures', c.v->'measures',
                'points', (k->>'times')::numeric * (c.v->>'points')::numeric) ORDER BY c.n, k->>'case' COLLATE "C"), '[]'))
            FROM jsonb_array_elements(definition->'counts') WITH ORDINALITY AS c (v, n),
                jsonb_array_elements(onemap.score_cases(month, as_of, department, onemap.score_terms_sql(c.v->'measures'), c.v->'where')) k)
        ELSE '{}' END
$$;
COMMENT ON FUNCTION onemap.score_item_cases(jsonb, date, timestamptz, text) IS
    'The cases behind an item: those that the denominator has and the numerator has not, or those that were counted';

CREATE FUNCTION onemap.score_explain(request jsonb) RETURNS jsonb
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
        PERFORM onemap.score_month_ready(month);
        SELECT u INTO unit FROM jsonb_array_elements(onemap.score_units(formula.document)) u WHERE u->>'department' = me.department;
        unit := onemap.score_unit(unit, formula.document,
            coalesce((SELECT c.measured FROM onemap.score_measured(month, as_of, formula.document, department) c), '{}'), month);
    END IF;
    IF unit IS NULL THEN
        RAISE EXCEPTION 'department: "%" is not scored in %', coalesce(department, ''), request->>'month' USING ERRCODE = 'CH030';
    END IF;
    SELECT coalesce(g->'items', formula.document->'items') INTO definitions FROM jsonb_array_elements(formula.document->'groups') g WHERE g->>'key' = unit->>'group';
    RETURN jsonb_build_object('month', to_char(month, 'YYYY-MM'), 'as_of', as_of, 'closed', kept.month IS NOT NULL,
        'formula', jsonb_build_object('version', formula.version, 'key', formula.key, 'name', formula.document->'name', 'full', formula.document->'full',
            'source', formula.document->'source'))
        || (unit - 'items') || jsonb_build_object('items', (
            SELECT jsonb_agg(i.v || jsonb_build_object('rule', d.v) || onemap.score_item_cases(d.v, month, as_of, department) ORDER BY i.n)
            FROM jsonb_array_elements(unit->'items') WITH ORDINALITY AS i (v, n)
            JOIN jsonb_array_elements(definitions) WITH ORDINALITY AS d (v, n) ON d.n = i.n));
END $$;
COMMENT ON FUNCTION onemap.score_explain(jsonb) IS
    'Why a score is what it is: {month, department, formula, as_of}; the items with rule, figures, points, points lost, and the case numbers that cost or brought points';
GRANT EXECUTE ON FUNCTION onemap.score_explain(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
