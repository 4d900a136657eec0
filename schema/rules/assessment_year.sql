-- The year of the assessment, from the months as they were published.

CREATE OR REPLACE FUNCTION onemap.assessment_year_prize(place bigint, alike bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN place + alike - 1 = 1 THEN 'first' WHEN place >= 2 AND place + alike - 1 <= 3 THEN 'second'
        WHEN place <= 3 THEN 'undecided' ELSE 'none' END
$$;
COMMENT ON FUNCTION onemap.assessment_year_prize(bigint, bigint) IS
    'The prize of so many that share a place: one first, two second ones (七(二)2); undecided: not enough for all of them';

CREATE OR REPLACE FUNCTION onemap.assessment_year(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE first_month date; rows jsonb; absent jsonb; complete boolean; findings jsonb;
BEGIN
    first_month := onemap.score_month_parse((request->>'year') || '-01');
    PERFORM onemap.score_month_begun(first_month);
    SELECT coalesce(jsonb_agg(to_char(g, 'YYYY-MM') ORDER BY g), '[]') INTO absent
        FROM generate_series(first_month::timestamp, first_month + interval '11 months', '1 month') g
    WHERE NOT EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month = g::date);
    complete := absent = '[]';
    WITH mean AS (
        SELECT a.department, (array_agg(a.name_zh ORDER BY a.month DESC))[1] AS name, count(*) AS months,
            onemap.score_exact(onemap.score_quotient(sum(coalesce(a.exact, a.total)), count(*))) AS total,
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
        -- Equal totals share places place .. place + alike - 1. The annex does not say whether a part of a year competes, so there
        -- are two rankings: among all, and among those who were assessed the whole year.
        SELECT r.*, count(*) OVER (PARTITION BY r.total) AS alike, rank() OVER among AS whole_place,
            count(*) FILTER (WHERE r.whole) OVER (PARTITION BY r.total) AS whole_alike
        FROM ranked r WINDOW among AS (PARTITION BY r.whole ORDER BY r.total DESC)
    ), judged AS (
        -- A prize is due only if all of the same place get the same one, and in both rankings.
        SELECT u.*, CASE WHEN u.total < 85 THEN 'none' ELSE onemap.assessment_year_prize(u.place, u.alike) END AS prize_of_all,
            CASE WHEN u.total < 85 OR NOT u.whole THEN 'none'
                ELSE onemap.assessment_year_prize(u.whole_place, u.whole_alike) END AS prize_of_whole
        FROM running u
    ), prize AS (
        SELECT j.*, CASE WHEN j.prize_of_all = j.prize_of_whole THEN nullif(j.prize_of_all, 'none') ELSE 'part' END AS prize
        FROM judged j
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('department', p.department, 'name', p.name, 'months', p.months,
        'whole_year', p.whole AND complete,
            'total', onemap.assessment_shown(p.total)::numeric, 'exact', p.total, 'grade', p.grade, 'rank', p.place,
            'totals', p.totals, 'failing_last', p.failing_last)
                ORDER BY p.place, p.department COLLATE "C"), '[]'),
        coalesce(jsonb_agg(CASE p.prize
            WHEN 'first' THEN onemap.assessment_finding(p.department, p.name, 'year_first_prize', '七(二)2',
                '年度一等奖：奖励10万元', 100000)
            WHEN 'second' THEN onemap.assessment_finding(p.department, p.name, 'year_second_prize', '七(二)2',
                '年度二等奖：奖励5万元', 50000)
            WHEN 'part' THEN onemap.assessment_finding(p.department, p.name, 'year_prize_undecided', '七(二)2',
                '年度一、二等奖候选', NULL, CASE WHEN p.whole THEN '未满全年考核的单位是否参评，办法未规定，奖项因此未定'
                    ELSE '未满全年考核，办法未规定是否参评' END)
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
    'The year: {year}; mean of the published months by department; prizes only once all twelve are published, from 85 points up, '
    'for the whole year; undecided where a part of a year would change who gets what';
GRANT EXECUTE ON FUNCTION onemap.assessment_year(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
