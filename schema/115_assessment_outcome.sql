-- What follows from a month's assessment (七), its publication, and the year. Findings name the clause that they follow from;
-- they say what is due, and do nothing. Earlier months count as they were published, never as they would be today.

CREATE FUNCTION onemap.assessment_finding(department text, name text, kind text, clause text, words text, amount numeric DEFAULT NULL,
    undecided text DEFAULT NULL) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('department', department, 'name', name, 'kind', kind, 'clause', clause, 'text', words, 'amount_yuan', amount, 'undecided', undecided)
$$;
COMMENT ON FUNCTION onemap.assessment_finding(text, text, text, text, text, numeric, text) IS
    'One finding; undecided: what the annex does not say and somebody must decide';

CREATE FUNCTION onemap.assessment_findings(month date, rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH now AS (
        SELECT r.v->>'department' AS department, r.v->>'name' AS name, (r.v->>'rank')::int AS place, (r.v->>'rank_from_last')::int AS last_place,
            r.v->>'grade' AS grade, count(*) FILTER (WHERE r.v->>'rank' = '1') OVER () AS firsts
        FROM jsonb_array_elements(rows) AS r (v)
    ), past AS (
        SELECT a.department, count(*) FILTER (WHERE a.grade = '优秀' AND a.place = 1) AS excellent_first,
            count(*) FILTER (WHERE a.grade = '不合格' AND a.place_from_last = 1) AS failing_last
        FROM onemap.assessment_result a WHERE a.month < $1 AND a.month >= date_trunc('year', $1::timestamp)::date GROUP BY a.department
    ), state AS (
        SELECT n.*, n.grade = '优秀' AND n.place = 1 AS is_best, n.grade = '不合格' AND n.last_place = 1 AS is_worst,
            coalesce(p.excellent_first, 0) AS best_before, coalesce(p.failing_last, 0) AS worst_before,
            EXISTS (SELECT FROM onemap.assessment_result a WHERE a.department = n.department AND a.month = ($1 - interval '1 month')::date
                    AND a.grade = '不合格' AND a.place_from_last = 1) AS worst_last_month
        FROM now n LEFT JOIN past p ON p.department = n.department
    ), found AS (
        SELECT 1 AS position, s.place, onemap.assessment_finding(s.department, s.name, 'praised', '七(二)2', '月度成绩前两名：由县委县政府督查局通报表扬') AS f
        FROM state s WHERE s.place <= 2
        UNION ALL SELECT 2, s.place, onemap.assessment_finding(s.department, s.name, 'first_reward', '七(二)2', '月度考核第一：奖励2万元，在县电视台等新闻媒体公布',
            CASE WHEN s.firsts = 1 THEN 20000 END, CASE WHEN s.firsts > 1 THEN '并列第一，办法未规定奖金如何分配' END)
        FROM state s WHERE s.place = 1
        UNION ALL SELECT 3, s.place, onemap.assessment_finding(s.department, s.name, 'excellent_three_times', '七(二)2',
            format('本年第%s次考评成绩优秀且第一：由县政府通报表扬', s.best_before + 1))
        FROM state s WHERE s.is_best AND (s.best_before + 1) % 3 = 0
        UNION ALL SELECT 4, s.place, onemap.assessment_finding(s.department, s.name, 'criticised', '七(二)2', '月度考核后两名：由县委县政府督查局通报批评')
        FROM state s WHERE s.last_place <= 2 AND s.place > 2
        UNION ALL SELECT 5, s.place, onemap.assessment_finding(s.department, s.name, 'last_announced', '七(二)2', '月度考核末位：在县电视台等新闻媒体公布')
        FROM state s WHERE s.last_place = 1 AND s.place > 1
        UNION ALL SELECT 6, s.place, onemap.assessment_finding(s.department, s.name, 'failing_last_second', '七(二)2',
            '本年第二次排名末位且不及格：全县通报批评并在新闻媒体公布')
        FROM state s WHERE s.is_worst AND s.worst_before = 1
        UNION ALL SELECT 7, s.place, onemap.assessment_finding(s.department, s.name, 'failing_last_in_a_row', '七(二)2',
            '连续两次排名末位且不及格：分管领导在县“三化”管理工作专题会议上做检查')
        FROM state s WHERE s.is_worst AND s.worst_last_month
        UNION ALL SELECT 8, s.place, onemap.assessment_finding(s.department, s.name, 'failing_last_third', '七(二)2',
            '年内三次排名末位且不及格：主要领导向县政府递交书面检查，年终不得评为城市管理方面的先进单位')
        FROM state s WHERE s.is_worst AND s.worst_before = 2
    )
    SELECT coalesce(jsonb_agg(f.f ORDER BY f.position, f.place, f.f->>'department' COLLATE "C"), '[]') FROM found f
$$;
COMMENT ON FUNCTION onemap.assessment_findings(date, jsonb) IS 'What follows from the ranks of a month and the months published before it in the same year';

-- ---- publication ----

CREATE FUNCTION onemap.assessment_missing(rows jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('department', r->'department', 'name', r->'name', 'missing', r->'missing')), '[]')
    FROM jsonb_array_elements(rows) r WHERE jsonb_array_length(r->'missing') > 0
$$;
COMMENT ON FUNCTION onemap.assessment_missing(jsonb) IS 'Departments of an assessment with what is missing';

CREATE FUNCTION onemap.assessment_content(month date) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('through_id', m.through_id,
        'digital', (SELECT jsonb_agg(r.content - 'order' ORDER BY (r.content->>'order')::int) FROM onemap.score_result r WHERE r.month = m.month),
        'statistics', (SELECT jsonb_agg(jsonb_build_object('key', s.key, 'name', coalesce(d.name_zh, s.key), 'measures', s.sums, 'rates', onemap.score_rates(s.sums)))
            FROM onemap.score_sums(m.month, onemap.score_month_end(m.month), '{}', 'department') s LEFT JOIN onemap.department d ON d.code = s.key),
        'county', (SELECT jsonb_build_object('measures', s.sums, 'rates', onemap.score_rates(s.sums))
            FROM onemap.score_sums(m.month, onemap.score_month_end(m.month), '{}', 'all') s),
        'corrections', (SELECT coalesce(jsonb_agg(jsonb_build_object('month', to_char(a.month, 'YYYY-MM'), 'department', a.department, 'points', a.points,
            'case', a.case_code, 'reason', a.reason, 'author', a.author) ORDER BY a.id), '[]') FROM onemap.score_adjustment a WHERE a.counted_month = m.month))
    FROM onemap.score_month m WHERE m.month = $1
$$;
COMMENT ON FUNCTION onemap.assessment_content(date) IS 'What a publication has besides the assessment: digital scores with every item, statistics, corrections of earlier months';

CREATE FUNCTION onemap.assessment_publish(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE month date := onemap.score_month_parse(request->>'month'); computed jsonb; content jsonb; answer jsonb; previous bytea; digest bytea; missing jsonb;
BEGIN
    PERFORM onemap.score_require(request, 'author');
    PERFORM onemap.score_lock();
    IF EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month >= me.month) THEN
        RAISE EXCEPTION 'month % or a later one is published already', request->>'month' USING ERRCODE = 'CH031';
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
    content := (computed - 'published' - 'closed') || onemap.assessment_content(month);
    SELECT p.sha256 INTO previous FROM onemap.assessment_publication p ORDER BY p.month DESC LIMIT 1;
    digest := sha256(coalesce(previous, '\x') || convert_to(content::text, 'UTF8'));
    INSERT INTO onemap.assessment_publication (month, content, sha256, previous_sha256, author) VALUES (month, content, digest, previous, request->>'author');
    INSERT INTO onemap.assessment_result (month, department, name_zh, total, grade, place, place_from_last)
    SELECT month, r->>'department', r->>'name', (r->>'total')::numeric, r->>'grade', (r->>'rank')::int, (r->>'rank_from_last')::int
    FROM jsonb_array_elements(content->'rows') r;
    PERFORM onemap.audit('assessment_publish', jsonb_build_object('month', request->'month', 'author', request->'author', 'sha256', encode(digest, 'hex')));
    RETURN jsonb_build_object('published', true, 'month', request->'month', 'sha256', encode(digest, 'hex'), 'missing', '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.assessment_publish(jsonb) IS
    'Closes and publishes a month: {month, author}; figures are frozen with their hash, in the order of months; {published: false, missing} while something is missing';
GRANT EXECUTE ON FUNCTION onemap.assessment_publish(jsonb) TO cityhub_hub, cityhub_api;

CREATE FUNCTION onemap.assessment_publication_get(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE kept onemap.assessment_publication;
BEGIN
    SELECT * INTO kept FROM onemap.assessment_publication p WHERE p.month = onemap.score_month_parse(request->>'month');
    IF kept.month IS NULL THEN
        RAISE EXCEPTION 'month % is not published', request->>'month' USING ERRCODE = 'CH030';
    END IF;
    RETURN jsonb_build_object('content', kept.content, 'content_text', kept.content::text, 'sha256', encode(kept.sha256, 'hex'),
        'previous_sha256', encode(kept.previous_sha256, 'hex'), 'author', kept.author, 'published_at', kept.published_at,
        'published_on', to_char(kept.published_at AT TIME ZONE onemap.setting('time_zone'), 'YYYY-MM-DD'),
        'measures', (SELECT jsonb_agg(jsonb_build_object('measure', m.measure, 'name', m.name_zh) ORDER BY m.position) FROM onemap.score_measure m),
        'rates', (SELECT jsonb_agg(jsonb_build_object('rate', r.rate, 'name', r.name_zh) ORDER BY r.position) FROM onemap.score_rate r),
        'items', (SELECT jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh, 'part', i.part, 'weight', i.weight) ORDER BY i.position) FROM onemap.assessment_item i),
        'intact', kept.sha256 = sha256(coalesce(kept.previous_sha256, '\x') || convert_to(kept.content::text, 'UTF8')));
END $$;
COMMENT ON FUNCTION onemap.assessment_publication_get(jsonb) IS
    'A published month: {month}; content as it was published, with names for its keys; sha256 is that of previous_sha256 (bytes) and content_text (UTF-8)';
GRANT EXECUTE ON FUNCTION onemap.assessment_publication_get(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE FUNCTION onemap.assessment_status(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE month date := onemap.score_month_parse(request->>'month'); computed jsonb := onemap.assessment_compute(request); kept onemap.score_month;
BEGIN
    SELECT * INTO kept FROM onemap.score_month m WHERE m.month = me.month;
    RETURN jsonb_build_object('month', request->'month', 'ended', clock_timestamp() >= onemap.score_month_end(month), 'closed', kept.closed_at IS NOT NULL,
        'closed_at', kept.closed_at, 'closed_by', kept.closed_by, 'published', computed->'published', 'published_at', computed->'published_at',
        'sha256', computed->'sha256', 'departments', jsonb_array_length(computed->'rows'), 'missing', onemap.assessment_missing(computed->'rows'),
        'events_written_after_closing', (SELECT count(*) FROM onemap.case_event e WHERE e.id > kept.through_id AND e.at < onemap.score_month_end(month)),
        'adjustments', (SELECT count(*) FROM onemap.score_adjustment a WHERE a.month = me.month));
END $$;
COMMENT ON FUNCTION onemap.assessment_status(jsonb) IS 'How far a month is: {month}; ended, closed, published, and everything that is missing, by department';
GRANT EXECUTE ON FUNCTION onemap.assessment_status(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- the year ----

CREATE FUNCTION onemap.assessment_year(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE first_month date; rows jsonb; absent jsonb; complete boolean; findings jsonb;
BEGIN
    first_month := onemap.score_month_parse((request->>'year') || '-01');
    SELECT coalesce(jsonb_agg(to_char(g, 'YYYY-MM') ORDER BY g), '[]') INTO absent FROM generate_series(first_month::timestamp, first_month + interval '11 months', '1 month') g
    WHERE NOT EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month = g::date);
    complete := absent = '[]';
    WITH mean AS (
        SELECT a.department, (array_agg(a.name_zh ORDER BY a.month DESC))[1] AS name, count(*) AS months, round(avg(a.total), 2) AS total,
            jsonb_agg(jsonb_build_object('month', to_char(a.month, 'YYYY-MM'), 'total', a.total, 'rank', a.place) ORDER BY a.month) AS totals,
            count(*) FILTER (WHERE a.grade = '不合格' AND a.place_from_last = 1) AS failing_last
        FROM onemap.assessment_result a WHERE a.month >= first_month AND a.month < first_month + interval '1 year' GROUP BY a.department
    ), ranked AS (
        SELECT m.*, rank() OVER (ORDER BY m.total DESC) AS place, onemap.assessment_grade(m.total) AS grade,
            m.months = (SELECT count(*) FROM onemap.assessment_publication p WHERE p.month >= first_month AND p.month < first_month + interval '1 year') AS whole
        FROM mean m
    ), running AS (
        SELECT r.*, CASE WHEN r.total >= 85 THEN count(*) FILTER (WHERE r.total >= 85) OVER (PARTITION BY r.total) END AS alike FROM ranked r
    ), prize AS (
        -- Equal totals share places place .. place + alike - 1; a prize is due only if all of those get the same one.
        SELECT u.*, CASE WHEN u.total < 85 THEN NULL WHEN u.place + u.alike - 1 = 1 THEN 'first'
            WHEN u.place >= 2 AND u.place + u.alike - 1 <= 3 THEN 'second' WHEN u.place <= 3 THEN 'undecided' END AS prize FROM running u
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('department', p.department, 'name', p.name, 'months', p.months, 'whole_year', p.whole AND complete,
            'total', p.total, 'grade', p.grade, 'rank', p.place, 'totals', p.totals, 'failing_last', p.failing_last) ORDER BY p.place, p.department COLLATE "C"), '[]'),
        coalesce(jsonb_agg(CASE p.prize
            WHEN 'first' THEN onemap.assessment_finding(p.department, p.name, 'year_first_prize', '七(二)2', '年度一等奖：奖励10万元', 100000)
            WHEN 'second' THEN onemap.assessment_finding(p.department, p.name, 'year_second_prize', '七(二)2', '年度二等奖：奖励5万元', 50000)
            ELSE onemap.assessment_finding(p.department, p.name, 'year_prize_tie', '七(二)2', '年度一、二等奖候选', NULL, '得分并列，奖项名额不足，办法未规定如何评定') END
            ORDER BY p.place, p.department COLLATE "C") FILTER (WHERE p.prize IS NOT NULL), '[]')
        || coalesce(jsonb_agg(onemap.assessment_finding(p.department, p.name, 'year_barred', '七(二)2', '年内三次排名末位且不及格：年终不得评为城市管理方面的先进单位')
            ORDER BY p.department COLLATE "C") FILTER (WHERE p.failing_last >= 3), '[]')
    INTO rows, findings FROM prize p;
    RETURN jsonb_build_object('year', request->'year', 'complete', complete, 'months_not_published', absent, 'rows', rows,
        'findings', CASE WHEN complete THEN findings ELSE '[]' END);
END $$;
COMMENT ON FUNCTION onemap.assessment_year(jsonb) IS
    'The year: {year}; mean of the published months by department; prizes only once all twelve are published, from 85 points up';
GRANT EXECUTE ON FUNCTION onemap.assessment_year(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
