-- The digital-city-management score (数字城管考核得分): formulas as data, checked when they are put. See docs/score.md for their
-- language. Formulas are never changed: a new version is put.

CREATE OR REPLACE FUNCTION onemap.score_is_number(v jsonb, low numeric, high numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(v) = 'number' THEN (v #>> '{}')::numeric BETWEEN low AND high ELSE false END
$$;
COMMENT ON FUNCTION onemap.score_is_number(jsonb, numeric, numeric) IS 'True if the JSON value is a number within [low, high]';

CREATE OR REPLACE FUNCTION onemap.score_terms_problem(terms jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN jsonb_typeof(terms) IS DISTINCT FROM 'array' THEN 'must be a list of measures'
        WHEN jsonb_array_length(terms) = 0 THEN 'is an empty list'
        ELSE (SELECT min(format('has "%s", which is no measure', t)) FROM jsonb_array_elements_text(terms) t
            WHERE NOT EXISTS (SELECT FROM onemap.score_measure m WHERE m.measure = regexp_replace(t, '^-', ''))) END
$$;
COMMENT ON FUNCTION onemap.score_terms_problem(jsonb) IS 'What is wrong with a list of measures, NULL if nothing';

CREATE OR REPLACE FUNCTION onemap.score_unknown_keys(object jsonb, VARIADIC known text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'has unknown key ' || onemap.unknown_keys(object, known)
$$;
COMMENT ON FUNCTION onemap.score_unknown_keys(jsonb, text[]) IS 'Names keys that an object should not have, NULL if there are none';

CREATE OR REPLACE FUNCTION onemap.score_counts_problem(counts jsonb) RETURNS SETOF text LANGUAGE sql STABLE AS $$
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
COMMENT ON FUNCTION onemap.score_counts_problem(jsonb) IS
    'Everything that is wrong with the counts of an item of kind deduct or bonus';

CREATE OR REPLACE FUNCTION onemap.score_item_problems(item jsonb) RETURNS SETOF text LANGUAGE sql STABLE AS $$
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
                      OR NOT onemap.score_is_number(x.o->'floor', -1000, coalesce(CASE WHEN jsonb_typeof(x.o->'weight') = 'number'
                          THEN (x.o->>'weight')::numeric END, 0)))
                  THEN 'floor: must be a number up to the weight, of kind threshold or deduct' END),
            (CASE WHEN x.o->>'kind' = 'threshold' AND NOT (onemap.score_is_number(x.o->'full_at', 0, 100)
                      AND onemap.score_is_number(x.o->'points', 0, 100) AND onemap.score_is_number(coalesce(x.o->'per', '1'), 0.01,
                          100))
                  THEN 'full_at (percent), points (off) and per (percent): must be numbers, of kind threshold' END),
            (CASE WHEN coalesce(x.o->>'step', 'exact') NOT IN ('exact', 'started', 'completed')
                THEN 'step: must be exact, started or completed' END),
            (CASE WHEN x.o->>'kind' IN ('proportional', 'threshold') THEN 'numerator '
                || onemap.score_terms_problem(x.o->'numerator') END),
            (CASE WHEN x.o->>'kind' IN ('proportional', 'threshold') THEN 'denominator '
                || onemap.score_terms_problem(x.o->'denominator') END),
            (CASE WHEN coalesce(x.o->>'on_empty', 'full') NOT IN ('full', 'exclude', 'zero')
                THEN 'on_empty: must be full, exclude or zero' END),
            (onemap.score_where_problem(x.o->'where')),
            (CASE x.o->>'kind'
                WHEN 'proportional' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'numerator',
                    'denominator', 'where', 'on_empty', 'source')
                WHEN 'threshold' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'numerator', 'denominator',
                    'where', 'on_empty', 'full_at', 'per', 'points', 'step', 'floor', 'source')
                WHEN 'deduct' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'counts', 'floor', 'source')
                WHEN 'bonus' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'cap', 'counts', 'input', 'source')
                WHEN 'input' THEN onemap.score_unknown_keys(x.o, 'key', 'name', 'kind', 'weight', 'source') END),
            (CASE WHEN x.o->>'kind' = 'bonus' AND (x.o ? 'counts') = (x.o ? 'input')
                THEN 'a bonus has either counts or "input": true' END)) AS p (problem)
    WHERE p.problem IS NOT NULL
    UNION ALL
    SELECT c FROM onemap.score_counts_problem(item->'counts') c
    WHERE item->>'kind' = 'deduct' OR (item->>'kind' = 'bonus' AND item ? 'counts')
$$;
COMMENT ON FUNCTION onemap.score_item_problems(jsonb) IS 'Everything that is wrong with one item of a formula';

CREATE OR REPLACE FUNCTION onemap.score_items_problems(place text, items jsonb, full_score numeric) RETURNS SETOF text
    LANGUAGE sql STABLE AS $$
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

CREATE OR REPLACE FUNCTION onemap.score_formula_problems(document jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH d AS (SELECT CASE WHEN jsonb_typeof(document) = 'object' THEN document ELSE '{}' END AS o),
        g AS (SELECT v, n FROM d, jsonb_array_elements(CASE WHEN jsonb_typeof(d.o->'groups') = 'array' THEN d.o->'groups'
            ELSE '[]' END) WITH ORDINALITY AS e (v, n))
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
        (CASE WHEN jsonb_typeof(g.v) = 'object' THEN onemap.score_unknown_keys(g.v, 'key', 'name', 'kinds', 'departments',
            'assessed', 'items') ELSE 'must be an object' END),
        (CASE WHEN (g.v ? 'kinds') = (g.v ? 'departments') THEN 'must have either kinds or departments' END),
        (CASE WHEN g.v ? 'kinds' AND (jsonb_typeof(g.v->'kinds') <> 'array'
            OR NOT g.v->'kinds' <@ '["street", "county", "enterprise"]')
              THEN 'kinds: must be a list of street, county, enterprise' END),
        (CASE WHEN g.v ? 'departments' AND jsonb_typeof(g.v->'departments') <> 'array'
            THEN 'departments: must be a list of codes' END)) AS p (problem)
    WHERE p.problem IS NOT NULL
    UNION ALL
    SELECT format('groups: key "%s" is there twice', g.v->>'key') FROM g GROUP BY g.v->>'key' HAVING count(*) > 1
    UNION ALL
    SELECT format('groups: %s is in more than one group', m.member) FROM (
        SELECT v->>'key' AS key, jsonb_array_elements_text(CASE WHEN jsonb_typeof(v->'departments') = 'array' THEN v->'departments'
            ELSE '[]' END) AS member FROM g
        UNION ALL SELECT v->>'key', jsonb_array_elements_text(CASE WHEN jsonb_typeof(v->'kinds') = 'array' THEN v->'kinds'
            ELSE '[]' END) FROM g) m
    GROUP BY m.member HAVING count(*) > 1
    UNION ALL
    SELECT p FROM d, LATERAL onemap.score_items_problems('items', d.o->'items', CASE WHEN jsonb_typeof(d.o->'full') = 'number'
        THEN (d.o->>'full')::numeric END) p
    UNION ALL
    SELECT p FROM d, g, LATERAL onemap.score_items_problems(format('groups[%s].items', g.n - 1), g.v->'items', CASE
        WHEN jsonb_typeof(d.o->'full') = 'number' THEN (d.o->>'full')::numeric END) p
    WHERE g.v ? 'items'
$$;
COMMENT ON FUNCTION onemap.score_formula_problems(jsonb) IS 'Everything that is wrong with a formula; no rows = it can be put';

CREATE OR REPLACE FUNCTION onemap.score_formula_put(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE problems jsonb; next_version int; first_month date; digest bytea := sha256(convert_to((request->'formula')::text, 'UTF8'));
BEGIN
    SELECT jsonb_agg(p) INTO problems FROM onemap.score_formula_problems(request->'formula') p;
    IF problems IS NOT NULL THEN
        RETURN jsonb_build_object('put', false, 'problems', problems);
    END IF;
    first_month := onemap.score_month_parse(request->>'from_month');
    IF coalesce(request->>'author', '') = '' THEN
        RAISE EXCEPTION 'author: is missing' USING ERRCODE = 'CH030',
            DETAIL = '缺少 author';
    ELSIF EXISTS (SELECT FROM onemap.score_month m WHERE m.closed_at IS NOT NULL AND m.month >= first_month)
        AND NOT coalesce((request->>'example')::boolean, false) THEN
        RAISE EXCEPTION 'from_month: % or a later month is closed', request->>'from_month' USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 或更晚的月份已关账', request->>'from_month');
    END IF;
    LOCK TABLE onemap.score_formula IN SHARE ROW EXCLUSIVE MODE;
    SELECT coalesce(max(f.version), 0) + 1 INTO next_version FROM onemap.score_formula f;
    INSERT INTO onemap.score_formula (version, key, document, sha256, from_month, example, author)
    VALUES (next_version, request->'formula'->>'key', request->'formula', digest, first_month,
        coalesce((request->>'example')::boolean, false), request->>'author');
    PERFORM onemap.audit('score_formula_put', jsonb_build_object('version', next_version, 'key', request->'formula'->>'key',
        'from_month', first_month));
    RETURN jsonb_build_object('put', true, 'version', next_version, 'sha256', encode(digest, 'hex'), 'problems', '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.score_formula_put(jsonb) IS
    'Puts a formula as a new version: {formula, from_month, author, example}; an invalid one is refused: {put: false, problems: '
    '[text]}';
GRANT EXECUTE ON FUNCTION onemap.score_formula_put(jsonb), onemap.score_formula_problems(jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.score_formula_list() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('version', f.version, 'key', f.key, 'name', f.document->'name',
        'source', f.document->'source',
        'from_month', to_char(f.from_month, 'YYYY-MM'), 'example', f.example, 'author', f.author, 'put_at', f.put_at, 'sha256',
            encode(f.sha256, 'hex'), 'formula', f.document) ORDER BY f.version), '[]') FROM onemap.score_formula f
$$;
COMMENT ON FUNCTION onemap.score_formula_list() IS 'All versions of all formulas, oldest first';
GRANT EXECUTE ON FUNCTION onemap.score_formula_list() TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.score_formula_for(month date, wanted text) RETURNS onemap.score_formula
LANGUAGE plpgsql STABLE AS $$
DECLARE found onemap.score_formula;
BEGIN
    IF wanted ~ '^[0-9]{1,9}$' THEN
        SELECT * INTO found FROM onemap.score_formula f WHERE f.version = wanted::int;
    ELSIF wanted IS NOT NULL THEN
        SELECT * INTO found FROM onemap.score_formula f WHERE f.key = wanted ORDER BY f.version DESC LIMIT 1;
    ELSE
        SELECT * INTO found FROM onemap.score_formula f WHERE NOT f.example AND f.from_month <= month ORDER BY f.version DESC
            LIMIT 1;
    END IF;
    IF found.version IS NULL THEN
        RAISE EXCEPTION 'formula: there is none %', coalesce('"' || wanted || '"', 'in force in ' || to_char(month, 'YYYY-MM'))
            USING ERRCODE = 'CH030',
            DETAIL = format('没有算法 %s', coalesce(wanted, '（' || to_char(month, 'YYYY-MM') || ' 执行的）'));
    END IF;
    RETURN found;
END $$;
COMMENT ON FUNCTION onemap.score_formula_for(date, text) IS 'A formula by version or key, else the one in force for the month';
