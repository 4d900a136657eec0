-- The county's assessment (annex, parts 四 to 七) on numbers worked by hand: total, caps, grades, ties, missing entries, lock,
-- consequences over months, the year.
BEGIN;
SELECT plan(69);

INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) VALUES (1, '\x00', 0);
INSERT INTO onemap.department (code, name_zh, kind, position) VALUES ('S1', '甲街道', 'street', 1), ('S2', '乙街道', 'street', 2), ('S3', '丙乡', 'street', 3),
    ('S4', '戊镇', 'street', 4), ('K1', '丁局', 'county', 5), ('Q1', '己公司', 'enterprise', 6);
-- No cases: the digital score of everybody is 100 (see score_formulas.sql); what differs is entered.

CREATE FUNCTION pg_temp.enter(month text, department text, item text, score numeric) RETURNS text LANGUAGE sql AS $$
    SELECT onemap.assessment_enter(jsonb_build_object('month', month, 'department', department, 'item', item, 'office', '牵头办', 'author', '王', 'evidence', '评分表')
        || CASE WHEN score IS NULL THEN '{"not_concerned": true}' ELSE jsonb_build_object('score', score) END)->>'entered'
$$;
CREATE FUNCTION pg_temp.award(month text, department text, kind text, times int) RETURNS text LANGUAGE sql AS $$
    SELECT onemap.assessment_award_enter(jsonb_build_object('month', month, 'department', department, 'kind', kind, 'times', times, 'office', '督查局', 'author', '王', 'evidence', '文件'))->>'id'
$$;
CREATE FUNCTION pg_temp.fill(month text, department text, score numeric) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(pg_temp.enter(month, department, i.item, score)) FROM onemap.assessment_item i WHERE i.part <> 'digital'
$$;
CREATE FUNCTION pg_temp.row(month text, department text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT r FROM jsonb_array_elements(onemap.assessment_compute(jsonb_build_object('month', month))->'rows') r WHERE r->>'department' = department
$$;
CREATE FUNCTION pg_temp.findings(month text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg((f->>'kind') || ':' || (f->>'department'), ' ' ORDER BY f->>'kind', f->>'department') FROM jsonb_array_elements(onemap.assessment_compute(jsonb_build_object('month', month))->'findings') f
$$;

-- Missing is missing.
SELECT is(pg_temp.row('2025-01', 'S1')->>'total', NULL, 'nothing entered: no total');
SELECT is(jsonb_array_length(pg_temp.row('2025-01', 'S1')->'missing'), 12, 'twelve entries are missing');
SELECT is(pg_temp.row('2025-01', 'Q1'), NULL, 'enterprises are not assessed');
SELECT is(onemap.assessment_publish('{"month": "2025-01", "author": "王"}')->>'published', 'false', 'not published while something is missing');
SELECT is(jsonb_array_length(onemap.assessment_status('{"month": "2025-01"}')->'missing'), 5, 'status names all five departments');

-- S1: campaigns 80, 90, 85, 95, 70, 88, and two that do not concern it: mean of six = 508/6 = 84.6667. Offices 90, 80, 70, 100.
-- 100 x 50 % + 84.6667 x 40 % + 90 x 2 % + 80 x 4 % + 70 x 2 % + 100 x 2 % = 50 + 33.86668 + 1.8 + 3.2 + 1.4 + 2 = 92.26668
SELECT is(pg_temp.enter('2025-01', 'S1', v.i, v.s), 'true', 'entered ' || v.i) FROM (VALUES ('overhead_lines', 80), ('street_facades', 90), ('road_maintenance', 85),
    ('construction_waste', 95), ('landscaping', 70), ('static_parking', 88), ('outdoor_advertising', NULL), ('site_hoarding', NULL),
    ('peace', 90), ('civilisation', 80), ('city_management', 70), ('garden_city', 100)) v (i, s);
SELECT is(pg_temp.row('2025-01', 'S1')->>'campaign_mean', '84.6667', 'mean over the campaigns that concern it');
SELECT is(pg_temp.row('2025-01', 'S1')->>'total', '92.27', '1 + 8 + 4');
-- Bonus: national 2, outside duty 7 x 0.5 = 3.5, capped at 3. Deducted: city media 2 x 0.5, criticism 2. 92.26668 + 2 + 3 - 1 - 2 = 94.27
SELECT ok(pg_temp.award('2025-01', 'S1', v.k, v.n) IS NOT NULL, 'entered ' || v.k) FROM (VALUES ('praise_national', 1), ('outside_duty', 7), ('media_city', 2), ('criticism', 1)) v (k, n);
SELECT is(pg_temp.row('2025-01', 'S1')->>'total', '94.27', 'bonus and deductions, 3 points a month for what is outside its duty');
SELECT is((SELECT (a->>'points') || (a->>'capped') FROM jsonb_array_elements(pg_temp.row('2025-01', 'S1')->'awards') a WHERE a->>'kind' = 'outside_duty'), '3true', 'the cap shows');
-- Taken back: the criticism. 96.27
SELECT is(onemap.assessment_award_enter(jsonb_build_object('revokes', (SELECT max(a.id)::text FROM onemap.assessment_award a), 'office', '督查局', 'author', '王', 'evidence', '有误'))->>'entered', 'true', 'taken back');
SELECT is(pg_temp.row('2025-01', 'S1')->>'total', '96.27', 'without it');
SELECT throws_ok(format('SELECT onemap.assessment_award_enter(%L)', jsonb_build_object('revokes', (SELECT max(a.revokes)::text FROM onemap.assessment_award a), 'office', 'x', 'author', 'x', 'evidence', 'x')),
    'CH030', NULL, 'not twice');

-- Refused.
SELECT throws_ok($$SELECT pg_temp.enter('2025-01', 'S1', 'peace', 101)$$, 'CH030', NULL, 'above 100');
SELECT throws_ok($$SELECT pg_temp.enter('2025-01', 'S1', 'peace', NULL)$$, 'CH030', NULL, 'an office concerns everybody');
SELECT throws_ok($$SELECT pg_temp.enter('2025-01', 'Q1', 'peace', 90)$$, 'CH030', NULL, 'not assessed');
SELECT throws_ok($$SELECT pg_temp.award('2025-01', 'S1', 'beauty', 1)$$, 'CH030', NULL, 'no such kind');
SELECT lives_ok($$SELECT onemap.assessment_lead_put('{"item": "garden_city", "office": "县创园办"}')$$, 'the lead office is named');
SELECT throws_ok($$SELECT pg_temp.enter('2025-01', 'S1', 'garden_city', 90)$$, 'CH030', NULL, 'nobody else enters then');
SELECT lives_ok($$SELECT onemap.assessment_lead_put('{"item": "garden_city", "office": ""}')$$, 'open again');

-- Everything x gives 100 x 50 % + x x 50 %. S2 and S3 88 each: 94, tied in all three; S4 44: 72 failing; K1 60: 80.
SELECT is(pg_temp.fill('2025-01', v.d, v.s), 12::bigint, 'filled ' || v.d) FROM (VALUES ('S2', 88), ('S3', 88), ('S4', 44), ('K1', 60)) v (d, s);
SELECT is((SELECT string_agg((r->>'department') || (r->>'rank') || (r->>'grade'), ' ') FROM jsonb_array_elements(onemap.assessment_compute('{"month": "2025-01"}')->'rows') r),
    'S11优秀 S22优秀 S32优秀 K14合格 S45不合格', 'ranks 1, 2, 2, 4, 5 with grades');
SELECT is(pg_temp.findings('2025-01'), 'criticised:K1 criticised:S4 first_reward:S1 last_announced:S4 praised:S1 praised:S2 praised:S3', 'what follows');
SELECT is(onemap.assessment_grade(v.t), v.g, v.t || ' is ' || v.g) FROM (VALUES (90, '优秀'), (89.99, '良好'), (85, '良好'), (84.99, '合格'), (75, '合格'), (74.99, '不合格')) v (t, g);

SELECT is(onemap.assessment_publish('{"month": "2025-01", "author": "王"}')->>'published', 'true', 'published');
SELECT throws_ok($$SELECT pg_temp.enter('2025-01', 'S1', 'peace', 10)$$, 'CH031', NULL, 'locked');
SELECT throws_ok($$SELECT pg_temp.award('2025-01', 'S1', 'criticism', 1)$$, 'CH031', NULL, 'bonuses too');
SELECT throws_ok($$UPDATE onemap.assessment_publication SET author = 'x'$$, '42501', NULL, 'frozen');
SELECT ok((onemap.assessment_publication_get('{"month": "2025-01"}')->>'intact')::boolean, 'the hash fits');
SELECT is((SELECT encode(sha256(coalesce(decode(p->>'previous_sha256', 'hex'), '\x') || convert_to(p->>'content_text', 'UTF8')), 'hex') FROM onemap.assessment_publication_get('{"month": "2025-01"}') p),
    (onemap.assessment_publication_get('{"month": "2025-01"}')->>'sha256'), 'and can be recomputed from what is handed out');
SELECT throws_ok($$SELECT onemap.assessment_publish('{"month": "2024-12", "author": "王"}')$$, 'CH031', NULL, 'months are published in their order');

-- Eleven months more. S1 100, S2 95 (x = 90), S3 = S2's until June then 92.5, K1 85, S4 failing and last in January, February, May; else 80, still last.
SELECT pg_temp.fill(m.m, 'S1', 100), pg_temp.fill(m.m, 'S2', 90), pg_temp.fill(m.m, 'S3', 85), pg_temp.fill(m.m, 'K1', 70),
    pg_temp.fill(m.m, 'S4', CASE WHEN m.n IN (2, 5) THEN 40 ELSE 60 END)
FROM (SELECT '2025-' || to_char(n, 'FM00') AS m, n FROM generate_series(2, 12) n) m \g /dev/null
SELECT is(pg_temp.findings('2025-02'), 'criticised:K1 criticised:S4 failing_last_in_a_row:S4 failing_last_second:S4 first_reward:S1 last_announced:S4 praised:S1 praised:S2',
    'February: second time, and two in a row');
SELECT onemap.assessment_publish(jsonb_build_object('month', '2025-' || to_char(n, 'FM00'), 'author', '王')) FROM generate_series(2, 2) n \g /dev/null
SELECT ok(pg_temp.findings('2025-03') LIKE '%excellent_three_times:S1%', 'March: S1 excellent and first for the third time');
SELECT onemap.assessment_publish(jsonb_build_object('month', '2025-03', 'author', '王')) \g /dev/null
SELECT ok(pg_temp.findings('2025-04') NOT LIKE '%excellent_three_times%', 'April: the fourth');
SELECT onemap.assessment_publish(jsonb_build_object('month', '2025-04', 'author', '王')) \g /dev/null
SELECT is(pg_temp.findings('2025-05'), 'criticised:K1 criticised:S4 failing_last_third:S4 first_reward:S1 last_announced:S4 praised:S1 praised:S2', 'May: third time, not in a row');
SELECT throws_ok($$SELECT onemap.assessment_year(jsonb_build_object('year', (extract(year FROM now()) + 2)::text))$$, 'CH031', NULL, 'a year to come has no ranking');
SELECT is(onemap.assessment_year('{"year": "2025"}')->>'complete', 'false', 'the year is not complete');
SELECT is(onemap.assessment_year('{"year": "2025"}')->'findings', '[]', 'and no prize is due');
SELECT is(count(*) FILTER (WHERE (onemap.assessment_publish(jsonb_build_object('month', '2025-' || to_char(n, 'FM00'), 'author', '王'))->>'published')::boolean), 8::bigint,
    'published up to December') FROM generate_series(5, 12) n;
-- S1: (96.27 + 11 x 100)/12 = 99.69; S2: (94 + 11 x 95)/12 = 94.92; S3: (94 + 11 x 92.5)/12 = 92.63; K1: (80 + 11 x 85)/12 = 84.58; S4: (72 + 2 x 70 + 9 x 80)/12 = 77.67
SELECT is((SELECT string_agg((r->>'department') || ' ' || (r->>'total'), ', ') FROM jsonb_array_elements(onemap.assessment_year('{"year": "2025"}')->'rows') r),
    'S1 99.69, S2 94.92, S3 92.63, K1 84.58, S4 77.67', 'the year is the mean of its months');
SELECT is((SELECT string_agg((f->>'kind') || ':' || (f->>'department') || ':' || coalesce(f->>'amount_yuan', ''), ' ') FROM jsonb_array_elements(onemap.assessment_year('{"year": "2025"}')->'findings') f),
    'year_first_prize:S1:100000 year_second_prize:S2:50000 year_second_prize:S3:50000 year_barred:S4:', 'prizes from 85 points up, and who is barred');
SELECT is((SELECT count(*)::int FROM onemap.assessment_publication p WHERE p.previous_sha256 IS NULL), 1, 'publications are chained by their hashes');
SELECT is((SELECT count(*)::int FROM generate_series(1, 12) n WHERE NOT (onemap.score_verify(jsonb_build_object('month', '2025-' || to_char(n, 'FM00')))->>'same')::boolean), 0, 'all months computed again: the same');

-- Ties for first: the reward is undecided. A year's tie across the number of prizes: undecided.
SELECT pg_temp.fill('2026-01', d, 90) FROM unnest(ARRAY['S1', 'S2', 'S3', 'S4', 'K1']) d \g /dev/null
SELECT is((SELECT string_agg(DISTINCT (f->>'undecided') || coalesce(f->>'amount_yuan', ''), ' ') FROM jsonb_array_elements(onemap.assessment_compute('{"month": "2026-01"}')->'findings') f WHERE f->>'kind' = 'first_reward'),
    '并列第一，办法未规定奖金如何分配', 'all five are first: who gets the 20,000 is not for us to say');
-- Privileges.
SELECT ok(NOT has_table_privilege('cityhub_api', 'onemap.assessment_publication', 'INSERT') AND NOT has_table_privilege('cityhub_hub', 'onemap.score_result', 'UPDATE')
    AND NOT has_table_privilege('cityhub_api', 'onemap.assessment_entry', 'INSERT'), 'nobody writes but through the functions');
SELECT ok(has_function_privilege('cityhub_api', 'onemap.assessment_publish(jsonb)', 'EXECUTE') AND NOT has_function_privilege('cityhub_read', 'onemap.assessment_publish(jsonb)', 'EXECUTE')
    AND has_function_privilege('cityhub_read', 'onemap.assessment_compute(jsonb)', 'EXECUTE'), 'readers read');
SELECT * FROM finish();
ROLLBACK;
