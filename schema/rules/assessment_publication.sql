-- Publication of a month: its figures frozen with their hash, chained from month to month.

CREATE OR REPLACE FUNCTION onemap.assessment_missing(rows jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('department', r->'department', 'name', r->'name', 'missing', r->'missing')), '[]')
    FROM jsonb_array_elements(rows) r WHERE jsonb_array_length(r->'missing') > 0
$$;
COMMENT ON FUNCTION onemap.assessment_missing(jsonb) IS 'Departments of an assessment with what is missing';

CREATE OR REPLACE FUNCTION onemap.assessment_content(month date) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('through_id', m.through_id,
        'digital', (SELECT jsonb_agg(r.content - 'order' ORDER BY (r.content->>'order')::int) FROM onemap.score_result r
            WHERE r.month = m.month),
        'statistics', (SELECT jsonb_agg(jsonb_build_object('key', s.key, 'name', coalesce(d.name_zh, s.key), 'measures', s.sums,
            'rates', onemap.score_rates(s.sums)))
            FROM onemap.score_sums(m.month, onemap.score_month_end(m.month), '{}', 'department') s
            LEFT JOIN onemap.department d ON d.code = s.key),
        'county', (SELECT jsonb_build_object('measures', s.sums, 'rates', onemap.score_rates(s.sums))
            FROM onemap.score_sums(m.month, onemap.score_month_end(m.month), '{}', 'all') s),
        'corrections',
            (SELECT coalesce(jsonb_agg(jsonb_build_object('month', to_char(a.month, 'YYYY-MM'), 'department', a.department,
                'points', a.points,
            'case', a.case_code, 'reason', a.reason, 'author', a.author) ORDER BY a.id), '[]') FROM onemap.score_adjustment a
                WHERE a.counted_month = m.month))
    FROM onemap.score_month m WHERE m.month = $1
$$;
COMMENT ON FUNCTION onemap.assessment_content(date) IS
    'What a publication has besides the assessment: digital scores with every item, statistics, corrections of earlier months';

CREATE OR REPLACE FUNCTION onemap.assessment_publish(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE month date := onemap.score_month_parse(request->>'month'); computed jsonb; content jsonb; answer jsonb; previous bytea;
    digest bytea; missing jsonb;
BEGIN
    PERFORM onemap.score_require(request, 'author');
    PERFORM onemap.score_lock();
    IF EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month >= me.month) THEN
        RAISE EXCEPTION 'month % or a later one is published already', request->>'month' USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 或更晚的月份已公布', request->>'month');
    END IF;
    computed := onemap.assessment_compute(request);
    missing := onemap.assessment_missing(computed->'rows');
    IF missing <> '[]' OR computed->'rows' = '[]' THEN
        RETURN jsonb_build_object('published', false, 'missing', missing);
    END IF;
    IF NOT (computed->>'closed')::boolean THEN
        answer := onemap.score_month_close(request);
        IF NOT (answer->>'closed')::boolean THEN
            RETURN jsonb_build_object('published', false, 'missing', answer->'missing');
        END IF;
        computed := onemap.assessment_compute(request);
    END IF;
    -- The bulletin carries the last seal out of the house: from then on the journal cannot be made anew unnoticed.
    content := (computed - 'published' - 'closed') || onemap.assessment_content(month)
        || jsonb_build_object('seal', onemap.case_seal_now() - 'sealed' - 'events');
    SELECT p.sha256 INTO previous FROM onemap.assessment_publication p ORDER BY p.month DESC LIMIT 1;
    digest := sha256(coalesce(previous, '\x') || convert_to(content::text, 'UTF8'));
    INSERT INTO onemap.assessment_publication (month, content, sha256, previous_sha256, author)
        VALUES (month, content, digest, previous, request->>'author');
    INSERT INTO onemap.assessment_result (month, department, name_zh, total, exact, grade, place, place_from_last)
    SELECT month, r->>'department', r->>'name', (r->>'total')::numeric, (r->'exact'->>'total')::numeric, r->>'grade',
        (r->>'rank')::int, (r->>'rank_from_last')::int
    FROM jsonb_array_elements(content->'rows') r;
    PERFORM onemap.audit('assessment_publish', jsonb_build_object('month', request->'month', 'author', request->'author', 'sha256',
        encode(digest, 'hex')));
    RETURN jsonb_build_object('published', true, 'month', request->'month', 'sha256', encode(digest, 'hex'), 'missing',
        '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.assessment_publish(jsonb) IS
    'Closes and publishes a month: {month, author}; figures are frozen with their hash, in the order of months; {published: '
    'false, missing} while something is missing';
GRANT EXECUTE ON FUNCTION onemap.assessment_publish(jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.assessment_publication_get(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE kept onemap.assessment_publication;
BEGIN
    SELECT * INTO kept FROM onemap.assessment_publication p WHERE p.month = onemap.score_month_parse(request->>'month');
    IF kept.month IS NULL THEN
        RAISE EXCEPTION 'month % is not published', request->>'month' USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 还没有公布', request->>'month');
    END IF;
    RETURN jsonb_build_object('content', kept.content, 'content_text', kept.content::text, 'sha256', encode(kept.sha256, 'hex'),
        'previous_sha256', encode(kept.previous_sha256, 'hex'), 'author', kept.author, 'published_at', kept.published_at,
        'published_on', to_char(onemap.local_time(kept.published_at), 'YYYY-MM-DD'),
        'measures', (SELECT jsonb_agg(jsonb_build_object('measure', m.measure, 'name', m.name_zh) ORDER BY m.position)
            FROM onemap.score_measure m),
        'rates', (SELECT jsonb_agg(jsonb_build_object('rate', r.rate, 'name', r.name_zh) ORDER BY r.position)
            FROM onemap.score_rate r),
        'items', (SELECT jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh, 'part', i.part, 'weight', i.weight)
            ORDER BY i.position) FROM onemap.assessment_item i),
        'intact', kept.sha256 = sha256(coalesce(kept.previous_sha256, '\x') || convert_to(kept.content::text, 'UTF8')));
END $$;
COMMENT ON FUNCTION onemap.assessment_publication_get(jsonb) IS
    'A published month: {month}; content as it was published, with names for its keys; sha256 is that of previous_sha256 (bytes) '
    'and content_text (UTF-8)';
GRANT EXECUTE ON FUNCTION onemap.assessment_publication_get(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.assessment_status(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE month date := onemap.score_month_parse(request->>'month'); computed jsonb := onemap.assessment_compute(request);
    kept onemap.score_month;
BEGIN
    SELECT * INTO kept FROM onemap.score_month m WHERE m.month = me.month;
    RETURN jsonb_build_object('month', request->'month', 'ended', clock_timestamp() >= onemap.score_month_end(month),
        'closed', kept.closed_at IS NOT NULL,
        'closed_at', kept.closed_at, 'closed_by', kept.closed_by, 'published', computed->'published', 'published_at',
            computed->'published_at', 'sha256', computed->'sha256', 'departments', jsonb_array_length(computed->'rows'),
            'missing', onemap.assessment_missing(computed->'rows'),
        'events_written_after_closing', (SELECT count(*) FROM onemap.case_event e WHERE e.id > kept.through_id
            AND e.at < onemap.score_month_end(month)),
        'adjustments', (SELECT count(*) FROM onemap.score_adjustment a WHERE a.month = me.month));
END $$;
COMMENT ON FUNCTION onemap.assessment_status(jsonb) IS
    'How far a month is: {month}; ended, closed, published, and everything that is missing, by department';
GRANT EXECUTE ON FUNCTION onemap.assessment_status(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
