-- Statistics as they are asked for: sums of measures by department, street, grid cell, category, source or person.

-- A filter on cases: {source: [..], urgent: bool, category: [prefix], street: [..], grid_cell: [prefix], department: [..]}.
CREATE OR REPLACE FUNCTION onemap.score_where_problem(filter jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN filter IS NULL THEN NULL
        WHEN jsonb_typeof(filter) <> 'object' THEN 'where: must be an object'
        ELSE (SELECT min(CASE
            WHEN f.key = 'urgent' THEN CASE WHEN jsonb_typeof(f.value) <> 'boolean' THEN 'where.urgent: must be true or false' END
            WHEN f.key NOT IN ('source', 'category', 'street', 'grid_cell', 'department')
                THEN format('where: has no key "%s"', f.key)
            WHEN CASE WHEN jsonb_typeof(f.value) = 'array' THEN jsonb_array_length(f.value) = 0
                OR jsonb_path_exists(f.value, '$[*] ? (@.type() != "string")') ELSE true END
                THEN format('where.%s: must be a list of texts', f.key)
            WHEN f.key IN ('category', 'grid_cell') AND jsonb_path_exists(f.value, '$[*] ? (!(@ like_regex "^[0-9]{1,15}$"))')
                THEN format('where.%s: must be digits, the beginning of a code', f.key)
            WHEN f.key = 'source' THEN (SELECT format('where.source: there is no source "%s"', s)
                FROM jsonb_array_elements_text(f.value) s
                WHERE NOT EXISTS (SELECT FROM onemap.case_source c WHERE c.source = s) LIMIT 1) END)
            FROM jsonb_each(filter) f) END
$$;
COMMENT ON FUNCTION onemap.score_where_problem(jsonb) IS 'What is wrong with a filter on cases, NULL if nothing';

CREATE OR REPLACE FUNCTION onemap.score_where_sql(filter jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(CASE
        WHEN f.key = 'urgent' THEN format('r.urgent = %L::boolean', f.value::text)
        WHEN f.key IN ('category', 'grid_cell') THEN format('r.%I LIKE ANY (%L::text[])', f.key,
            (SELECT array_agg(v || '%') FROM jsonb_array_elements_text(f.value) v))
        ELSE format('r.%I = ANY (%L::text[])', f.key, (SELECT array_agg(v) FROM jsonb_array_elements_text(f.value) v)) END,
        ' AND ' ORDER BY f.key), 'true') FROM jsonb_each(filter) f
$$;
COMMENT ON FUNCTION onemap.score_where_sql(jsonb) IS 'A checked filter as a condition on rows r of score_case';

CREATE OR REPLACE FUNCTION onemap.score_sums(month date, as_of timestamptz, filter jsonb, dimension text,
    period jsonb DEFAULT NULL, only_department text DEFAULT NULL, only_measures text[] DEFAULT NULL)
RETURNS TABLE (key text, sums jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE columns text; rows text;
BEGIN
    SELECT string_agg(format('coalesce(sum(%s), 0) AS %I', m.expression, m.measure), ', ' ORDER BY m.position) INTO columns
    FROM onemap.score_measure m WHERE only_measures IS NULL OR m.measure = ANY (only_measures);
    IF period IS NOT NULL THEN
        rows := 'onemap.score_case_derive($2, $3, onemap.score_candidates($2, $3, 9223372036854775807), 9223372036854775807) r '
            'WHERE true';
    ELSE
        rows := onemap.score_rows_sql(month);
    END IF;
    IF only_department IS NOT NULL THEN
        rows := rows || ' AND r.department = $4';
    END IF;
    RETURN QUERY EXECUTE format('SELECT s.key, to_jsonb(s) - ''key'' FROM (SELECT %s AS key, %s FROM %s AND %s GROUP BY 1) s '
        'ORDER BY s.key COLLATE "C"',
        CASE WHEN dimension IN ('department', 'street', 'grid_cell', 'category', 'source') THEN format('r.%I', dimension)
            ELSE '''all''::text' END, columns, rows, onemap.score_where_sql(filter))
        USING as_of, (period->>'from')::timestamptz, (period->>'to')::timestamptz, only_department;
END $$;
COMMENT ON FUNCTION onemap.score_sums(date, timestamptz, jsonb, text, jsonb, text, text[]) IS
    'All measures of a month, or of a period {from, to}, by department, street, grid_cell, category or source (anything else: in '
    'all); only_department, only_measures: of these alone';

-- By person: what each of them did, out of the events of the period themselves. What fell due has no person.
CREATE OR REPLACE FUNCTION onemap.score_person_sums(period_from timestamptz, period_to timestamptz)
RETURNS TABLE (key text, sums jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH done AS (
        SELECT e.actor, e.action, e.flags, e.overdue_s, e.at <= coalesce(e.stage_deadline_at, 'infinity') AS in_time, e.case_id,
            e.seq
        FROM onemap.case_event e WHERE e.at >= period_from AND e.at < period_to
    ), wrong AS (
        SELECT (SELECT p.actor FROM onemap.case_event p WHERE p.case_id = d.case_id AND p.seq < d.seq AND p.action = 'dispatch'
                ORDER BY p.seq DESC LIMIT 1) AS actor
        FROM done d WHERE d.action = 'dispatch' AND 'wrong_dispatch' = ANY (d.flags)
    ), counted AS (
        SELECT d.actor, d.action AS what, count(*) AS n FROM done d GROUP BY 1, 2
        UNION ALL SELECT d.actor, d.action || '_in_time', count(*) FROM done d
            WHERE d.in_time AND d.action IN ('accept', 'register', 'dispatch', 'check', 'close', 'verify') GROUP BY 1, 2
        UNION ALL SELECT d.actor, 'feed_back_in_time', count(*) FROM done d WHERE d.action = 'feed_back' AND d.overdue_s IS NULL
            GROUP BY 1
        UNION ALL SELECT w.actor, 'wrong_dispatch', count(*) FROM wrong w WHERE w.actor IS NOT NULL GROUP BY 1
    )
    SELECT c.actor, jsonb_object_agg(c.what, c.n) FROM counted c GROUP BY c.actor ORDER BY c.actor COLLATE "C"
$$;
COMMENT ON FUNCTION onemap.score_person_sums(timestamptz, timestamptz) IS
    'Actions of each person in a period: {action: count, action_in_time: count}; wrong_dispatch is the dispatcher''s who had '
    'dispatched';

CREATE OR REPLACE FUNCTION onemap.score_statistics(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dimension text := coalesce(request->>'by', 'department'); problem text := onemap.score_where_problem(request->'where');
    month date; as_of timestamptz; period jsonb; first_day date; last_day date; result jsonb;
BEGIN
    IF dimension NOT IN ('department', 'street', 'grid_cell', 'category', 'source', 'person', 'all') THEN
        RAISE EXCEPTION 'by: must be department, street, grid_cell, category, source, person or all, not "%"', dimension
            USING ERRCODE = 'CH030';
    ELSIF problem IS NOT NULL OR (dimension = 'person' AND request ? 'where') THEN
        RAISE EXCEPTION '%', coalesce(problem, 'where: persons are counted without a filter') USING ERRCODE = 'CH030';
    END IF;
    IF request ? 'month' THEN
        month := onemap.score_month_parse(request->>'month');
        PERFORM onemap.score_month_begun(month);
        first_day := month;
        last_day := (month + interval '1 month - 1 day')::date;
    ELSIF onemap.score_day_parse(request->>'from') > onemap.score_day_parse(request->>'to') THEN
        RAISE EXCEPTION 'to: lies before from' USING ERRCODE = 'CH030';
    ELSE
        first_day := (request->>'from')::date;
        last_day := (request->>'to')::date;
        period := jsonb_build_object('from', onemap.local_midnight(first_day), 'to', onemap.local_midnight(last_day + 1));
    END IF;
    as_of := least(onemap.local_midnight(last_day + 1), coalesce((request->>'as_of')::timestamptz, clock_timestamp()));
    IF dimension = 'person' THEN
        SELECT coalesce(jsonb_agg(jsonb_build_object('key', s.key, 'measures', s.sums)), '[]') INTO result
        FROM onemap.score_person_sums(onemap.local_midnight(first_day), onemap.local_midnight(last_day + 1)) s;
    ELSE
        SELECT coalesce(jsonb_agg(jsonb_build_object('key', s.key, 'measures', s.sums, 'rates', onemap.score_rates(s.sums))), '[]')
            INTO result
        FROM onemap.score_sums(month, as_of, coalesce(request->'where', '{}'), dimension, period) s;
    END IF;
    RETURN jsonb_build_object('by', dimension, 'from', first_day, 'to', last_day, 'as_of', as_of, 'rows', result);
END $$;
COMMENT ON FUNCTION onemap.score_statistics(jsonb) IS
    'Statistics: {month | from, to (days), by: department|street|grid_cell|category|source|person|all, where, as_of}; returns '
    '{rows: [{key, measures, rates}]}';
GRANT EXECUTE ON FUNCTION onemap.score_statistics(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
