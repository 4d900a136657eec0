-- The year of the assessment, from the months as they were published.

CREATE OR REPLACE FUNCTION onemap.assessment_year(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE first_month date; rows jsonb; absent jsonb; complete boolean; findings jsonb;
BEGIN
    first_month := onemap.score_month_parse((request->>'year') || '-01');
    SELECT coalesce(jsonb_agg(to_char(g, 'YYYY-MM') ORDER BY g), '[]') INTO absent
        FROM generate_series(first_month::timestamp, first_month + interval '11 months', '1 month') g
    WHERE NOT EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month = g::date);
    complete := absent = '[]';
    WITH mean AS (
        SELECT a.department, (array_agg(a.name_zh ORDER BY a.month DESC))[1] AS name, count(*) AS months,
            round(avg(a.total), 2) AS total,
            jsonb_agg(jsonb_build_object('month', to_char(a.month, 'YYYY-MM'), 'total', a.total, 'rank', a.place)
                ORDER BY a.month) AS totals, count(*) FILTER (WHERE a.grade = '不合格' AND a.place_from_last = 1) AS failing_last
        FROM onemap.assessment_result a WHERE a.month >= first_month AND a.month < first_month + interval '1 year'
            GROUP BY a.department
    ), ranked AS (
        SELECT m.*, rank() OVER (ORDER BY m.total DESC) AS place, onemap.assessment_grade(m.total) AS grade,
            m.months = (SELECT count(*) FROM onemap.assessment_publication p WHERE p.month >= first_month
                AND p.month < first_month + interval '1 year') AS whole
        FROM mean m
    ), running AS (
        SELECT r.*, CASE WHEN r.total >= 85 THEN count(*) FILTER (WHERE r.total >= 85) OVER (PARTITION BY r.total) END AS alike
            FROM ranked r
    ), prize AS (
        -- Equal totals share places place .. place + alike - 1; a prize is due only if all of those get the same one.
        SELECT u.*, CASE WHEN u.total < 85 THEN NULL WHEN u.place + u.alike - 1 = 1 THEN 'first'
            WHEN u.place >= 2 AND u.place + u.alike - 1 <= 3 THEN 'second' WHEN u.place <= 3 THEN 'undecided' END AS prize
                FROM running u
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('department', p.department, 'name', p.name, 'months', p.months,
        'whole_year', p.whole AND complete,
            'total', p.total, 'grade', p.grade, 'rank', p.place, 'totals', p.totals, 'failing_last', p.failing_last)
                ORDER BY p.place, p.department COLLATE "C"), '[]'),
        coalesce(jsonb_agg(CASE p.prize
            WHEN 'first' THEN onemap.assessment_finding(p.department, p.name, 'year_first_prize', '七(二)2',
                '年度一等奖：奖励10万元', 100000)
            WHEN 'second' THEN onemap.assessment_finding(p.department, p.name, 'year_second_prize', '七(二)2',
                '年度二等奖：奖励5万元', 50000)
            ELSE onemap.assessment_finding(p.department, p.name, 'year_prize_tie', '七(二)2', '年度一、二等奖候选', NULL,
                '得分并列，奖项名额不足，办法未规定如何评定') END
            ORDER BY p.place, p.department COLLATE "C") FILTER (WHERE p.prize IS NOT NULL), '[]')
        || coalesce(jsonb_agg(onemap.assessment_finding(p.department, p.name, 'year_barred', '七(二)2',
            '年内三次排名末位且不及格：年终不得评为城市管理方面的先进单位')
            ORDER BY p.department COLLATE "C") FILTER (WHERE p.failing_last >= 3), '[]')
    INTO rows, findings FROM prize p;
    RETURN jsonb_build_object('year', request->'year', 'complete', complete, 'months_not_published', absent, 'rows', rows,
        'findings', CASE WHEN complete THEN findings ELSE '[]' END);
END $$;
COMMENT ON FUNCTION onemap.assessment_year(jsonb) IS
    'The year: {year}; mean of the published months by department; prizes only once all twelve are published, from 85 points up';
GRANT EXECUTE ON FUNCTION onemap.assessment_year(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
