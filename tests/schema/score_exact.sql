-- Limits, grades and ranks are judged by exact figures, and rounding is for reading alone; months closed before that are verified
-- as they were made. Figures worked by hand.
BEGIN;
SELECT plan(34);
INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) VALUES (1, '\x00', 0);
INSERT INTO onemap.department (code, name_zh, kind, position) VALUES ('S1', '甲街道', 'street', 1), ('S2', '乙街道', 'street', 2), ('S3', '丙乡', 'street', 3);

-- ---- an item ----
CREATE FUNCTION pg_temp.points(item text, numerator int, denominator int, exact boolean DEFAULT true) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', r->>'rate', r->>'points', left(r->>'exact', 12)) FROM onemap.score_rate_item(item::jsonb,
        jsonb_build_object('n', numerator, 'd', denominator), exact) r
$$;
\set proportional '{"kind": "proportional", "weight": 30, "numerator": ["n"], "denominator": ["d"]}'
\set limit95 '{"kind": "threshold", "weight": 20, "numerator": ["n"], "denominator": ["d"], "full_at": 95, "points": 1}'
\set started '{"kind": "threshold", "weight": 20, "numerator": ["n"], "denominator": ["d"], "full_at": 95, "points": 1, "step": "started"}'
\set completed '{"kind": "threshold", "weight": 20, "numerator": ["n"], "denominator": ["d"], "full_at": 95, "points": 1, "step": "completed"}'
SELECT is(pg_temp.points(:'proportional', 2, 3), '66.6667 20', 'two thirds of 30 are 20');
SELECT is(pg_temp.points(:'proportional', 1, 7), '14.2857 4.2857 4.2857142857', 'a seventh: what is shown, and what counts');
SELECT is(pg_temp.points(:'proportional', 1, 7, false), '14.2857 4.2857', 'as before');
-- 1899999/2000000 = 94.99995 %: shown as 95.0000, and below 95 all the same.
SELECT is(pg_temp.points(:'limit95', 1899999, 2000000), '95.0000 20 19.99995', 'below the limit by half a ten-thousandth: not full');
SELECT is(pg_temp.points(:'limit95', 1899999, 2000000, false), '95.0000 20', 'as before: full');
SELECT is(pg_temp.points(:'started', 1899999, 2000000), '95.0000 19', 'a step is started');
SELECT is(pg_temp.points(:'started', 1900000, 2000000), '95.0000 20', 'just at it: none');
-- 2/3 = 66.66.. %, 28.33.. below: 28 steps completed. 94/100: one step exactly, in spite of the division.
SELECT is(pg_temp.points(:'completed', 94, 100), '94.0000 19', 'a whole step is one');
SELECT is(pg_temp.points('{"kind": "threshold", "weight": 20, "numerator": ["n"], "denominator": ["d"], "full_at": 100, "per": 0.3, "points": 1, "step": "started"}',
    997, 1000), '99.7000 19', 'and one step of 0.3 is not begun a second time');

-- ---- a score: three thirds are one ----
CREATE FUNCTION pg_temp.unit(measured jsonb, document jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', u->>'score', u->>'exact') FROM onemap.score_unit('{"department": "S1", "group": "g"}',
        document || '{"groups": [{"key": "g"}]}', jsonb_build_object('{}', measured), '2025-01-01') u
$$;
\set thirds '{"full": 100, "items": [{"key": "a", "kind": "proportional", "weight": 34, "numerator": ["a"], "denominator": ["d"]}, {"key": "b", "kind": "proportional", "weight": 33, "numerator": ["b"], "denominator": ["d"]}, {"key": "c", "kind": "proportional", "weight": 33, "numerator": ["c"], "denominator": ["d"]}]}'
SELECT is(pg_temp.unit('{"a": 3, "b": 3, "c": 3, "d": 3}', :'thirds'), '100.00', 'all of it');
-- 34 x 1/7 + 33 x 3/7 + 33 x 3/7 = 232/7 = 33.142857..
SELECT matches(pg_temp.unit('{"a": 1, "b": 3, "c": 3, "d": 7}', :'thirds'), '^33\.14 33\.142857142857', 'rounded to be read, and exact');
SELECT is(pg_temp.unit('{"a": 1, "b": 1, "c": 1, "d": 3}', '{"full": 90, "items": [{"key": "a", "kind": "proportional", "weight": 30, "numerator": ["a"], "denominator": ["d"]}, {"key": "b", "kind": "proportional", "weight": 20, "numerator": ["b"], "denominator": ["d"]}, {"key": "c", "kind": "proportional", "weight": 40, "numerator": ["c"], "denominator": ["d"]}]}'),
    '30.00', 'ten, six and two thirds, thirteen and a third: thirty, and not a hair less');

-- ---- a month: 100 digital (no cases), so 50 + campaigns x 40 % + offices x 10 % ----
CREATE FUNCTION pg_temp.enter(month text, department text, item text, score numeric) RETURNS text LANGUAGE sql AS $$
    SELECT onemap.assessment_enter(jsonb_build_object('month', month, 'department', department, 'item', item, 'office', '牵头办', 'author', '王', 'evidence', '评分表')
        || CASE WHEN score IS NULL THEN '{"not_concerned": true}' ELSE jsonb_build_object('score', score) END)->>'entered'
$$;
CREATE FUNCTION pg_temp.fill(month text, department text, score numeric) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(pg_temp.enter(month, department, i.item, score)) FROM onemap.assessment_item i WHERE i.part <> 'digital'
$$;
CREATE FUNCTION pg_temp.told(month text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', r->>'department', r->>'total', r->'exact'->>'total', r->>'grade', r->>'rank'), '; ' ORDER BY r->>'department')
    FROM jsonb_array_elements(onemap.assessment_compute(jsonb_build_object('month', month))->'rows') r
$$;
-- S1: 50 + 0.4 x 69.9875 + 0.1 x 70 = 84.995. S2: 50 + 0.4 x 70 + 0.1 x 70 = 85. S3: 50 + 0.4 x 44.9875 + 0.1 x 70 = 74.995.
SELECT pg_temp.fill('2025-01', 'S1', 70), pg_temp.fill('2025-01', 'S2', 70), pg_temp.fill('2025-01', 'S3', 70) \g /dev/null
SELECT pg_temp.enter('2025-01', 'S1', i.item, 69.9875), pg_temp.enter('2025-01', 'S3', i.item, 44.9875)
FROM onemap.assessment_item i WHERE i.part = 'campaign' \g /dev/null
SELECT is(pg_temp.told('2025-01'), 'S1 84.995 84.995 合格 2; S2 85.00 85 良好 1; S3 74.995 74.995 不合格 3',
    'a total reads as its grade, whoever shows it');
SELECT is((SELECT string_agg(t.total, ' ') FROM onemap.score_assessment_table('{"month": "2025-01"}') t), '85.00 84.995 74.995',
    'and is shown with as many decimals as tell the grade');
-- The mean is not rounded before: campaigns 85.0001 and 85, peace 84.998, the other offices 85, of a digital score of 84.99.
SELECT pg_temp.enter('2025-02', 'S1', i.item, CASE i.item WHEN 'overhead_lines' THEN 85.0001 WHEN 'street_facades' THEN 85 WHEN 'peace' THEN 84.998
    ELSE CASE i.part WHEN 'office' THEN 85 END END) FROM onemap.assessment_item i WHERE i.part <> 'digital' \g /dev/null
SELECT is((SELECT concat_ws(' ', r->'exact'->>'total', r->>'total', r->>'grade', r->>'campaign_mean') FROM
    onemap.assessment_unit('2025-02-01', '{"department": "S1", "score": 84.99}') r), '84.99498 84.99 合格 85.0001', 'one rounding, at the end');
-- A third: three campaigns 80, 80, 81, the others do not concern it: 80.33.. x 40 % = 32.133..
SELECT pg_temp.enter('2025-02', 'S2', i.item, CASE i.item WHEN 'overhead_lines' THEN 80 WHEN 'street_facades' THEN 80 WHEN 'road_maintenance' THEN 81
    ELSE CASE i.part WHEN 'office' THEN 70 END END) FROM onemap.assessment_item i WHERE i.part <> 'digital' \g /dev/null
SELECT matches((SELECT r->'exact'->>'total' FROM onemap.assessment_unit('2025-02-01', '{"department": "S2", "score": 100}') r),
    '^89\.13333333333333333333', 'a mean of thirds');

-- ---- closed, published, verified ----
SELECT is(onemap.assessment_publish('{"month": "2025-01", "author": "王"}')->>'published', 'true', 'published');
SELECT is((SELECT string_agg(concat_ws(' ', a.department, a.total, a.exact, a.place), '; ' ORDER BY a.department) FROM onemap.assessment_result a),
    'S1 84.995 84.995 2; S2 85.00 85 1; S3 74.995 74.995 3', 'kept with what they are exactly');
SELECT is(onemap.score_verify('{"month": "2025-01"}')->>'same', 'true', 'computed again: the same');
SELECT ok((SELECT p.content->'seal'->>'hash' ~ '^[0-9a-f]{64}$' FROM onemap.assessment_publication p), 'the last seal of the journal goes out with the month');
-- As a month that an earlier build closed: rounded on the way, no exact figures in it.
INSERT INTO onemap.score_month (month, closed_at, closed_by, through_id, formula_version, exact)
SELECT '2024-12-01', now(), 'x', 0, f.version, false FROM onemap.score_formula_for('2024-12-01', NULL) f;
INSERT INTO onemap.score_result (month, department, formula_version, score, content)
SELECT '2024-12-01', r.v->>'department', f.version, (r.v->>'score')::numeric, r.v || jsonb_build_object('order', r.n)
FROM onemap.score_formula_for('2024-12-01', NULL) f, jsonb_array_elements(onemap.score_evaluate('2024-12-01', onemap.score_month_end('2024-12-01'),
    f.document, onemap.score_units(f.document), false)) WITH ORDINALITY AS r (v, n);
SELECT is(onemap.score_verify('{"month": "2024-12"}')->>'same', 'true', 'one that was closed before is verified as it was made');

-- ---- the year ----
CREATE FUNCTION pg_temp.publish(month text, department text, name text, total numeric, place int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO onemap.score_month (month, closed_at, closed_by, through_id, formula_version)
    SELECT (month || '-01')::date, now(), 'x', 0, max(f.version) FROM onemap.score_formula f ON CONFLICT DO NOTHING;
    INSERT INTO onemap.assessment_publication (month, content, sha256, author)
    SELECT (month || '-01')::date, '{}', sha256('{}'), 'x' ON CONFLICT DO NOTHING;
    INSERT INTO onemap.assessment_result (month, department, name_zh, total, exact, grade, place, place_from_last)
    VALUES ((month || '-01')::date, department, name, round(total, 2), total, onemap.assessment_grade(total), place, 1);
END $$;
CREATE FUNCTION pg_temp.prizes(year text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(':', f->>'department', f->>'kind', f->>'amount_yuan'), ' ' ORDER BY f->>'department', f->>'kind')
    FROM jsonb_array_elements(onemap.assessment_year(jsonb_build_object('year', year))->'findings') f
$$;
-- 2022: A 94, B 92, C 90, D 88 all year; N has 99 in December alone.
SELECT pg_temp.publish('2022-' || to_char(m, 'FM00'), u.code, u.code, u.total, 1)
FROM generate_series(1, 12) m, (VALUES ('A', 94), ('B', 92), ('C', 90), ('D', 88)) AS u (code, total) \g /dev/null
SELECT is(pg_temp.prizes('2022'), 'A:year_first_prize:100000 B:year_second_prize:50000 C:year_second_prize:50000', 'whole years alone: the prizes');
SELECT pg_temp.publish('2022-12', 'N', 'N', 99, 1);
SELECT is((SELECT string_agg(concat_ws(' ', r->>'department', r->>'months', r->>'whole_year', r->>'rank'), '; ') FROM
    jsonb_array_elements(onemap.assessment_year('{"year": "2022"}')->'rows') r), 'N 1 false 1; A 12 true 2; B 12 true 3; C 12 true 4; D 12 true 5', 'one month ranks first');
SELECT is(pg_temp.prizes('2022'), 'A:year_prize_undecided B:year_second_prize:50000 C:year_prize_undecided N:year_prize_undecided',
    'but gets no prize; due is only what both readings give');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(onemap.assessment_year('{"year": "2022"}')->'findings') f WHERE f->>'kind' = 'year_prize_undecided'
    AND f->>'undecided' LIKE '%未满全年%' AND f->>'amount_yuan' IS NULL), 3, 'and it says why, without an amount');
-- 2023: N has eleven months far below: nothing depends on it.
SELECT pg_temp.publish('2023-' || to_char(m, 'FM00'), u.code, u.code, u.total, 1)
FROM generate_series(1, 12) m, (VALUES ('A', 94), ('B', 92), ('C', 90), ('D', 88), ('N', 76)) AS u (code, total) WHERE NOT (m = 3 AND u.code = 'N') \g /dev/null
SELECT is(pg_temp.prizes('2023'), 'A:year_first_prize:100000 B:year_second_prize:50000 C:year_second_prize:50000', 'a part of a year that changes nothing');
-- 2021: means that are shown alike, 90.004 and 90.001; and 84.999, which would read 85.00.
SELECT pg_temp.publish('2021-' || to_char(m, 'FM00'), u.code, u.code, u.total, 1)
FROM generate_series(1, 12) m, (VALUES ('A', 90.004), ('B', 90.001), ('C', 84.999)) AS u (code, total) \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', r->>'department', r->>'total', r->>'rank', r->>'grade'), '; ') FROM
    jsonb_array_elements(onemap.assessment_year('{"year": "2021"}')->'rows') r), 'A 90.00 1 优秀; B 90.00 2 优秀; C 84.999 3 合格', 'a year by exact means');
SELECT is(pg_temp.prizes('2021'), 'A:year_first_prize:100000 B:year_second_prize:50000', 'no prize below 85, however it is shown');
-- An earlier build's year has no exact totals: by what it has.
SELECT is((SELECT count(*)::int FROM onemap.assessment_result a WHERE a.exact IS NULL), 0, 'all of these have one');

-- ---- months to come ----
SELECT throws_ok(format('SELECT %s', x.call), 'CH031', NULL, 'not for a month to come: ' || x.call) FROM (VALUES
    ($$onemap.score_compute('{"month": "2099-01"}')$$), ($$onemap.assessment_compute('{"month": "2099-01"}')$$),
    ($$pg_temp.enter('2099-01', 'S1', 'peace', 90)$$), ($$onemap.score_statistics('{"month": "2099-01"}')$$),
    ($$onemap.score_explain('{"month": "2099-01", "department": "S1"}')$$)) AS x (call);
SELECT * FROM finish();
ROLLBACK;
