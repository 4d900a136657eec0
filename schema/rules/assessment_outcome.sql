-- What follows from a month's assessment (七). Findings name the clause that they follow from; they say what is due, and do
-- nothing. Earlier months count as they were published, never as they would be today.

CREATE OR REPLACE FUNCTION onemap.assessment_finding(department text, name text, kind text, clause text, words text,
    amount numeric DEFAULT NULL, undecided text DEFAULT NULL) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('department', department, 'name', name, 'kind', kind, 'clause', clause, 'text', words,
        'amount_yuan', amount, 'undecided', undecided)
$$;
COMMENT ON FUNCTION onemap.assessment_finding(text, text, text, text, text, numeric, text) IS
    'One finding; undecided: what the annex does not say and somebody must decide';

CREATE OR REPLACE FUNCTION onemap.assessment_findings(month date, rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH now AS (
        SELECT r.v->>'department' AS department, r.v->>'name' AS name, (r.v->>'rank')::int AS place,
            (r.v->>'rank_from_last')::int AS last_place,
            r.v->>'grade' AS grade, count(*) FILTER (WHERE r.v->>'rank' = '1') OVER () AS firsts
        FROM jsonb_array_elements(rows) AS r (v)
    ), past AS (
        SELECT a.department, count(*) FILTER (WHERE a.grade = '优秀' AND a.place = 1) AS excellent_first,
            count(*) FILTER (WHERE a.grade = '不合格' AND a.place_from_last = 1) AS failing_last
        FROM onemap.assessment_result a WHERE a.month < $1 AND a.month >= date_trunc('year', $1::timestamp)::date
            GROUP BY a.department
    ), state AS (
        SELECT n.*, n.grade = '优秀' AND n.place = 1 AS is_best, n.grade = '不合格' AND n.last_place = 1 AS is_worst,
            coalesce(p.excellent_first, 0) AS best_before, coalesce(p.failing_last, 0) AS worst_before,
            EXISTS (SELECT FROM onemap.assessment_result a WHERE a.department = n.department
                AND a.month = ($1 - interval '1 month')::date
                    AND a.grade = '不合格' AND a.place_from_last = 1) AS worst_last_month
        FROM now n LEFT JOIN past p ON p.department = n.department
    ), found AS (
        SELECT 1 AS position, s.place, onemap.assessment_finding(s.department, s.name, 'praised', '七(二)2',
            '月度成绩前两名：由县委县政府督查局通报表扬') AS f
        FROM state s WHERE s.place <= 2
        UNION ALL SELECT 2, s.place, onemap.assessment_finding(s.department, s.name, 'first_reward', '七(二)2',
            '月度考核第一：奖励2万元，在县电视台等新闻媒体公布',
            CASE WHEN s.firsts = 1 THEN 20000 END, CASE WHEN s.firsts > 1 THEN '并列第一，办法未规定奖金如何分配' END)
        FROM state s WHERE s.place = 1
        UNION ALL SELECT 3, s.place, onemap.assessment_finding(s.department, s.name, 'excellent_three_times', '七(二)2',
            format('本年第%s次考评成绩优秀且第一：由县政府通报表扬', s.best_before + 1))
        FROM state s WHERE s.is_best AND (s.best_before + 1) % 3 = 0
        UNION ALL SELECT 4, s.place, onemap.assessment_finding(s.department, s.name, 'criticised', '七(二)2',
            '月度考核后两名：由县委县政府督查局通报批评')
        FROM state s WHERE s.last_place <= 2 AND s.place > 2
        UNION ALL SELECT 5, s.place, onemap.assessment_finding(s.department, s.name, 'last_announced', '七(二)2',
            '月度考核末位：在县电视台等新闻媒体公布')
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
COMMENT ON FUNCTION onemap.assessment_findings(date, jsonb) IS
    'What follows from the ranks of a month and the months published before it in the same year';
