-- A month of the assessment: digital score, campaigns, offices, bonuses and deductions together, grade and rank.
-- A missing figure is reported, and never taken as zero.

CREATE OR REPLACE FUNCTION onemap.assessment_grade(total numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN total >= 90 THEN '优秀' WHEN total >= 85 THEN '良好' WHEN total >= 75 THEN '合格' WHEN total < 75
        THEN '不合格' END
$$;
COMMENT ON FUNCTION onemap.assessment_grade(numeric) IS 'Grade (四): from 90 优秀, from 85 良好, from 75 合格, else 不合格';

-- Two decimals, but never so that what is read belongs to another grade.
CREATE OR REPLACE FUNCTION onemap.assessment_shown(total numeric) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT round(total, n)::text FROM generate_series(2, 30) n
    WHERE onemap.assessment_grade(round(total, n)) = onemap.assessment_grade(total) ORDER BY n LIMIT 1
$$;
COMMENT ON FUNCTION onemap.assessment_shown(numeric) IS
    'A total as people read it: two decimals, or as many as it takes not to round it into another grade; NULL if there is none';
GRANT EXECUTE ON FUNCTION onemap.assessment_grade(numeric), onemap.assessment_shown(numeric)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.assessment_awards(month date, department text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('kind', s.kind, 'name', s.name_zh, 'clause', s.clause, 'times', s.times,
        'each', s.points, 'capped', s.times * s.points > s.month_cap,
            'points', trim_scale(least(s.times * s.points, coalesce(s.month_cap, s.times * s.points))),
        'entries', s.entries) ORDER BY s.position), '[]')
    FROM (SELECT k.kind, k.name_zh, k.clause, k.points, k.month_cap, k.position, sum(a.times) AS times,
              jsonb_agg(jsonb_build_object('id', a.id, 'times', a.times, 'office', a.office, 'author', a.author,
                  'evidence', a.evidence) ORDER BY a.id) AS entries
          FROM onemap.assessment_award a JOIN onemap.assessment_award_kind k USING (kind)
          WHERE a.month = $1 AND a.department = $2 AND a.revokes IS NULL
              AND NOT EXISTS (SELECT FROM onemap.assessment_award r WHERE r.revokes = a.id)
          GROUP BY k.kind) s
$$;
COMMENT ON FUNCTION onemap.assessment_awards(date, text) IS
    'Bonuses and deductions of a department in a month, each kind with its points after the cap';

CREATE OR REPLACE FUNCTION onemap.assessment_unit(month date, unit jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    scores jsonb; awards jsonb := onemap.assessment_awards(month, unit->>'department'); missing jsonb; mean numeric;
        offices numeric; bonus numeric;
    deducted numeric; total numeric; digital numeric := coalesce(unit->>'exact', unit->>'score')::numeric;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh, 'part', i.part, 'weight', i.weight, 'score', e.score,
        'entered', e.id IS NOT NULL,
               'concerned', CASE WHEN e.id IS NOT NULL THEN e.score IS NOT NULL END, 'office', e.office, 'author', e.author,
                   'evidence', e.evidence,
               'entered_at', e.entered_at) ORDER BY i.position),
           coalesce(jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh)
               ORDER BY i.position) FILTER (WHERE e.id IS NULL), '[]'),
           onemap.score_quotient(sum(e.score) FILTER (WHERE i.part = 'campaign'),
               nullif(count(e.score) FILTER (WHERE i.part = 'campaign'), 0)),
           sum(e.score * i.weight / 100) FILTER (WHERE i.part = 'office')
    INTO scores, missing, mean, offices
    FROM onemap.assessment_item i LEFT JOIN LATERAL (SELECT * FROM onemap.assessment_entry x
        WHERE x.month = $1 AND x.department = unit->>'department' AND x.item = i.item ORDER BY x.id DESC LIMIT 1) e ON true
    WHERE i.part <> 'digital';
    IF digital IS NULL THEN
        missing := jsonb_build_array(jsonb_build_object('item', 'digital', 'name', '数字城管')) || missing;
    END IF;
    IF mean IS NULL AND missing = '[]' THEN
        missing := missing || jsonb_build_object('item', 'campaigns', 'name', '八个专项均不涉及，办法未规定如何计分');
    END IF;
    SELECT coalesce(sum((a->>'points')::numeric) FILTER (WHERE (a->>'points')::numeric > 0), 0),
           coalesce(sum((a->>'points')::numeric) FILTER (WHERE (a->>'points')::numeric < 0), 0) INTO bonus, deducted
               FROM jsonb_array_elements(awards) a;
    IF missing = '[]' THEN
        total := onemap.score_exact(digital * (SELECT i.weight FROM onemap.assessment_item i WHERE i.part = 'digital') / 100
            + mean * (SELECT max(i.weight) FROM onemap.assessment_item i WHERE i.part = 'campaign') / 100 + offices + bonus
                + deducted);
    END IF;
    RETURN jsonb_build_object('department', unit->'department', 'name', unit->'name', 'group', unit->'group',
        'digital', unit->'score', 'campaign_mean', round(mean, 4),
        'scores', scores, 'awards', awards, 'bonus', trim_scale(bonus), 'deducted', trim_scale(deducted),
        'total', onemap.assessment_shown(total)::numeric, 'grade', onemap.assessment_grade(total), 'missing', missing,
        'exact', CASE WHEN total IS NOT NULL THEN jsonb_build_object('total', total, 'digital', digital,
            'campaign_mean', onemap.score_exact(mean)) END);
END $$;
COMMENT ON FUNCTION onemap.assessment_unit(date, jsonb) IS
    'A department''s month: digital x 50 % + mean of the campaigns that concern it x 40 % + offices + bonus + deductions; total '
    'is null where something is missing; grade and rank are by "exact", what else is there is rounded to be read, the total as '
    'assessment_shown() has it';

CREATE OR REPLACE FUNCTION onemap.assessment_rank(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(k.v || jsonb_build_object('rank', k.place, 'rank_from_last', k.place_from_last)
        ORDER BY k.place NULLS LAST, k.n), '[]')
    FROM (SELECT r.v, r.n, CASE WHEN r.v->>'total' IS NOT NULL THEN rank() OVER best END AS place,
              CASE WHEN r.v->>'total' IS NOT NULL THEN rank() OVER worst END AS place_from_last
          FROM jsonb_array_elements(rows) WITH ORDINALITY AS r (v, n)
          WINDOW best AS (ORDER BY (r.v->'exact'->>'total')::numeric DESC NULLS LAST,
              (r.v->'exact'->>'digital')::numeric DESC NULLS LAST, (r.v->'exact'->>'campaign_mean')::numeric DESC NULLS LAST),
              worst AS (ORDER BY (r.v->'exact'->>'total')::numeric NULLS LAST, (r.v->'exact'->>'digital')::numeric NULLS LAST,
                  (r.v->'exact'->>'campaign_mean')::numeric NULLS LAST)) k
$$;
COMMENT ON FUNCTION onemap.assessment_rank(jsonb) IS
    'Ranks by exact total, then digital score, then mean of the campaigns; equal in all three = the same rank, and the next is '
    'left out (1, 2, 2, 4)';

CREATE OR REPLACE FUNCTION onemap.assessment_compute(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE month date := onemap.score_month_parse(request->>'month'); digital jsonb; rows jsonb; kept onemap.assessment_publication;
BEGIN
    SELECT * INTO kept FROM onemap.assessment_publication p WHERE p.month = me.month;
    IF kept.month IS NOT NULL THEN
        RETURN kept.content || jsonb_build_object('published', true, 'published_at', kept.published_at, 'sha256',
            encode(kept.sha256, 'hex'));
    END IF;
    digital := onemap.score_compute(jsonb_build_object('month', request->'month'));
    SELECT onemap.assessment_rank(coalesce(jsonb_agg(onemap.assessment_unit(month, u.v) ORDER BY u.n), '[]')) INTO rows
    FROM jsonb_array_elements(digital->'rows') WITH ORDINALITY AS u (v, n) WHERE (u.v->>'assessed')::boolean;
    RETURN jsonb_build_object('month', request->'month', 'closed', digital->'closed', 'published', false,
        'formula', digital->'formula', 'rows', rows,
        'findings', CASE WHEN NOT jsonb_path_exists(rows, '$[*] ? (@.total == null)') THEN onemap.assessment_findings(month, rows)
            ELSE '[]' END);
END $$;
COMMENT ON FUNCTION onemap.assessment_compute(jsonb) IS
    'The county''s assessment of a month: {month}; rows by rank with every part and what is missing, findings once nothing is; a '
    'published month comes as it was published';
GRANT EXECUTE ON FUNCTION onemap.assessment_compute(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
