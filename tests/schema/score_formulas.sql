-- Formulas: the shipped ones on numbers worked by hand, refusals, explanation, closing, adjustment, verification.
BEGIN;
SELECT plan(55);

INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) VALUES (1, '\x00', 0);
INSERT INTO onemap.department (code, name_zh, kind, position) VALUES ('S1', '甲街道', 'street', 1), ('S2', '乙街道', 'street', 2), ('K1', '丙局', 'county', 3), ('Q1', '丁公司', 'enterprise', 4);

-- Cases of one department that all came and fell due in October 2025: `closed_in_time` closed in time, `late` closed late, `open` left open.
CREATE SEQUENCE pg_temp.number;
CREATE FUNCTION pg_temp.one(department text, fate text, source text, unit text, reworks int DEFAULT 0, flag text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE n bigint := nextval('pg_temp.number'); s int := 0; step record; t timestamptz := '2025-10-05 08:00+08';
BEGIN
    INSERT INTO onemap.case_record (id, code, state, source, catalogue_version, reported_at, stage_entered_at, event_count, last_event_at, last_hash)
    OVERRIDING SYSTEM VALUE VALUES (n, to_char(n, 'FM"C"0000'), 'reported', one.source, 1, t, t, 1, t, '\x00');
    FOR step IN
        SELECT * FROM (VALUES (1, 'report', NULL, 'reported', NULL, NULL), (2, 'dispatch', 'registered', 'dispatched', one.department, NULL)) v (o, a, f, g, d, over)
        UNION ALL SELECT 2 + k * 2 - 1, 'feed_back', 'handling', 'handled', one.department, NULL FROM generate_series(1, reworks) k
        UNION ALL SELECT 2 + k * 2, 'rework', 'handled', 'handling', one.department, NULL FROM generate_series(1, reworks) k
        UNION ALL SELECT 90, 'flag', 'handling', 'handling', one.department, NULL WHERE flag IS NOT NULL
        UNION ALL SELECT * FROM (VALUES (91, 'feed_back', 'handling', 'handled', one.department, CASE WHEN fate = 'late' THEN '60' END),
            (92, 'check', 'handled', 'checked', one.department, NULL), (93, 'close', 'checked', 'closed', one.department, NULL)) v WHERE fate <> 'open'
        ORDER BY 1
    LOOP
        s := s + 1;
        INSERT INTO onemap.case_event (case_id, case_code, seq, at, recorded_at, action, from_state, to_state, role, actor, recorded_by, department, source,
            catalogue_version, category, limit_unit, deadline_at, overdue_s, flags, previous_hash, hash)
        VALUES (n, to_char(n, 'FM"C"0000'), s, t, t, step.a, step.f, step.g, 'system', 'somebody', 'test', step.d, one.source, 1, '20101', unit,
            CASE WHEN step.d IS NOT NULL THEN '2025-10-20 18:00+08'::timestamptz END, step.over::numeric,
            CASE WHEN step.a = 'flag' THEN ARRAY[flag] ELSE '{}' END, '\x00', '\x00');
        t := t + CASE WHEN step.o = 2 AND fate = 'late' THEN interval '20 days' ELSE interval '1 hour' END;
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.score(department text, formula text) RETURNS text LANGUAGE sql AS $$
    SELECT r->>'score' FROM jsonb_array_elements(onemap.score_compute(jsonb_build_object('month', '2025-10', 'formula', formula, 'as_of', '2025-11-01T00:00:00+08:00'))->'rows') r
    WHERE r->>'department' = department
$$;
CREATE FUNCTION pg_temp.item(department text, formula text, item text, field text) RETURNS text LANGUAGE sql AS $$
    SELECT i->>field FROM jsonb_array_elements(onemap.score_explain(jsonb_build_object('month', '2025-10', 'formula', formula, 'department', department,
        'as_of', '2025-11-01T00:00:00+08:00'))->'items') i WHERE i->>'key' = item
$$;

-- S1: 100 cases due. 66 closed in time (60 ordinary, 6 of the hotline), 20 closed late (ordinary), 14 open; of them
-- 10 urgent: 8 closed in time, 2 open. Two are reworked: one once, one three times. One shirked. All S1.
SELECT pg_temp.one('S1', 'in_time', 'supervisor', 'work_day') FROM generate_series(1, 50);
SELECT pg_temp.one('S1', 'in_time', 'supervisor', 'urgent_hour') FROM generate_series(1, 8);
SELECT pg_temp.one('S1', 'in_time', 'supervisor', 'work_day', 1);                       -- C0059
SELECT pg_temp.one('S1', 'in_time', 'leader', 'work_day', 3);                           -- C0060
SELECT pg_temp.one('S1', 'in_time', 'hotline', 'work_day') FROM generate_series(1, 6);
SELECT pg_temp.one('S1', 'late', 'supervisor', 'work_day') FROM generate_series(1, 20); -- C0067 - C0086
SELECT pg_temp.one('S1', 'open', 'supervisor', 'urgent_hour') FROM generate_series(1, 2);
SELECT pg_temp.one('S1', 'open', 'hotline', 'work_day') FROM generate_series(1, 4);
SELECT pg_temp.one('S1', 'open', 'supervisor', 'work_day') FROM generate_series(1, 7);
SELECT pg_temp.one('S1', 'open', 'supervisor', 'work_day', 0, 'shirking');              -- C0100
-- S2: one case in time. K1, Q1: none.
SELECT pg_temp.one('S2', 'in_time', 'public', 'work_day');

-- "按时结案率 x 60": 66 / 100 x 60 = 39.60
SELECT is(pg_temp.score('S1', 'in_time_60'), '39.60', 'in time x 60: 66 of 100');
SELECT is(pg_temp.score('S2', 'in_time_60'), '60.00', '1 of 1');

-- Jinhua: 按期结案率 66 %: 4 below 70: 50 - 4 = 46. 结案率 86 %: 4 below 90: 20 - 4 = 16. 紧急: 8 of 10, both rates: 4 + 4.
-- 返工: 1 x 0.2, shirking 1 x 1: 5 - 1.2 = 3.8. 领导: rework 3 x 0.4 + third 1 x 1 = 2.2: 2.8. 组织 9 + 其他 1 as entered.
SELECT is(pg_temp.score('S1', 'jinhua'), NULL, 'no score while points are missing that people give');
SELECT is(onemap.score_input_put(jsonb_build_object('month', '2025-10', 'formula', 'jinhua', 'department', 'S1', 'item', v.i, 'points', v.p, 'author', '王', 'evidence', '纪要'))->>'entered',
    'true', 'entered: ' || v.i) FROM (VALUES ('organisation', '8.5'), ('other', '1')) v (i, p);
SELECT is(pg_temp.item('S1', 'jinhua', 'close_in_time', 'points'), '46', 'threshold: 1 point a missing percent');
SELECT is(pg_temp.item('S1', 'jinhua', 'close', 'points'), '16', '86 % of 90');
SELECT is(pg_temp.item('S1', 'jinhua', 'urgent_close', 'points'), '4', 'urgent ones alone');
SELECT is(pg_temp.item('S1', 'jinhua', 'quality', 'points'), '3.8', 'deductions per case');
SELECT is(pg_temp.item('S1', 'jinhua', 'leaders', 'points'), '2.8', 'doubled for leaders and media');
-- 46 + 16 + 4 + 4 + 3.8 + 2.8 + 8.5 + 1 = 86.10
SELECT is(pg_temp.score('S1', 'jinhua'), '86.10', 'Jinhua in all');

-- Yangzhou: without the hotline 90 due, 60 in time: 70 x 60/90 = 46.6667. Feedbacks: 86 closings + 1 + 3 before reworks = 90, reworks 4:
-- 5 x 86/90 = 4.7778. Hotline 6 of 10: 3. Entered: 9 + 10, bonus 2. Sum 75.4445 = 75.44
SELECT is(onemap.score_input_put(jsonb_build_object('month', '2025-10', 'formula', 'yangzhou', 'department', 'S1', 'item', v.i, 'points', v.p, 'author', '王', 'evidence', '纪要'))->>'entered',
    'true', 'entered: ' || v.i) FROM (VALUES ('campaigns', '9'), ('basics', '10'), ('events', '2')) v (i, p);
SELECT is(pg_temp.item('S1', 'yangzhou', 'ordinary', 'points'), '46.6667', '70 x 60/90');
SELECT is(pg_temp.item('S1', 'yangzhou', 'rework', 'points'), '4.7778', '5 x 86/90');
SELECT is(pg_temp.score('S1', 'yangzhou'), '75.44', 'Yangzhou in all');

-- The county's default: handled in time 66/100 x 35 = 23.1; urgent 8/10 x 10 = 8; closed in time 66/100 x 20 = 13.2; closed 86/100 x 15 = 12.9;
-- rework 10 - 4 x 0.5 - 1 = 7; conduct 5 - 1 = 4; satisfaction: no calls: full 5. Sum 73.2
SELECT is(pg_temp.score('S1', 'county'), '73.20', 'the county''s default');
SELECT is(pg_temp.score('K1', 'county'), '100.00', 'no cases at all: full (assumed, and noted in the item)');
SELECT is((SELECT string_agg((r->>'department') || (r->>'rank'), ' ' ORDER BY r->>'department') FROM jsonb_array_elements(
    onemap.score_compute('{"month": "2025-10", "as_of": "2025-11-01T00:00:00+08:00"}')->'rows') r), 'K11 Q11 S12 S21', 'groups are ranked apart');

-- Which cases cost points.
SELECT is(jsonb_array_length(pg_temp.item('S1', 'county', 'close_in_time', 'costing')::jsonb), 34, '34 cases were not closed in time');
SELECT is(pg_temp.item('S1', 'county', 'close_in_time', 'costing')::jsonb->0->>'case', 'C0067', 'the first of them by number');
SELECT is(pg_temp.item('S1', 'county', 'conduct', 'costing'), '[{"case": "C0100", "times": 1, "points": 1, "measures": ["shirking"]}]', 'the shirked one, with its points');
SELECT is((SELECT string_agg((c->>'case') || ':' || (c->>'points'), ' ') FROM jsonb_array_elements(pg_temp.item('S1', 'county', 'rework', 'costing')::jsonb) c),
    'C0059:0.5 C0060:1.5 C0060:1', 'reworked ones');

-- Refused, with the reason.
CREATE FUNCTION pg_temp.problems(change jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(p, ' | ') FROM onemap.score_formula_problems((SELECT f.document FROM onemap.score_formula f WHERE f.key = 'in_time_60') || change) p
$$;
SELECT is(pg_temp.problems('{}'), NULL, 'the shipped one has no problems');
SELECT is(pg_temp.problems('{"full": 50}'), 'items: the weights add up to 60, not to full = 50', 'weights');
SELECT is(pg_temp.problems('{"colour": 1}'), 'has unknown key colour', 'unknown key');
SELECT is(pg_temp.problems('{"groups": []}'), 'groups: must be a list, not empty', 'no groups');
SELECT is(pg_temp.problems('{"groups": [{"key": "a", "name": "甲", "kinds": ["street"]}, {"key": "b", "name": "乙", "kinds": ["street"]}]}'), 'groups: street is in more than one group', 'groups that overlap');
SELECT is(pg_temp.problems('{"items": [{"key": "x", "name": "x", "kind": "proportional", "weight": 60, "numerator": ["beauty"], "denominator": ["closed"]}]}'),
    'items[0]: numerator has "beauty", which is no measure', 'unknown measure');
SELECT is(pg_temp.problems('{"items": [{"key": "x", "name": "x", "kind": "threshold", "weight": 60, "numerator": ["closed"], "denominator": ["closed"], "full_at": 170, "points": 1}]}'),
    'items[0]: full_at (percent), points (off) and per (percent): must be numbers, of kind threshold', 'threshold beyond 100 %');
SELECT is(pg_temp.problems('{"items": [{"key": "x", "name": "x", "kind": "deduct", "weight": 60, "counts": [{"measures": ["rework"], "points": -1, "where": {"source": ["moon"]}}]}]}'),
    'items[0]: counts[0]: points: must be a number from 0 to 100 | items[0]: counts[0]: where.source: there is no source "moon"', 'two problems of one count');
SELECT is(onemap.score_formula_put('{"formula": {"key": "x"}, "from_month": "2025-01", "author": "王"}')->>'put', 'false', 'an invalid formula is not put');
SELECT throws_ok($$UPDATE onemap.score_formula SET author = 'x'$$, '42501', NULL, 'a version never changes');

-- Closing: final, reproducible, corrected only by an adjustment of its own.
SELECT is(onemap.score_month_close('{"month": "2025-10", "author": "王"}')->>'closed', 'true', 'closed');
-- What goes upward is what is published here: each figure of the view, under the name it has there.
SELECT is((SELECT count(*)::int FROM onemap.exchange_statistics), (SELECT jsonb_array_length(onemap.score_statistics('{"month": "2025-10"}')->'rows')), 'statistics go up');
SELECT is_empty($$SELECT v.record, f.key, f.value, r->'measures'->f.key
    FROM onemap.exchange_statistics v JOIN jsonb_array_elements(onemap.score_statistics('{"month": "2025-10"}')->'rows') r ON r->>'key' = v.department,
        jsonb_each(to_jsonb(v) - '{record,chain,place,key,occurred_at,month,department}'::text[]) f WHERE f.value IS DISTINCT FROM r->'measures'->f.key$$,
    'with the figures that are counted here');
SELECT is((SELECT string_agg(v.record || ' ' || v.score, ', ' ORDER BY v.record) FROM onemap.exchange_score v),
    (SELECT string_agg('2025-10/' || r.department || ' ' || r.score, ', ' ORDER BY r.department) FROM onemap.score_result r), 'and the scores');
SELECT pg_temp.one('S1', 'in_time', 'supervisor', 'work_day');
SELECT is((SELECT r->>'score' FROM jsonb_array_elements(onemap.score_compute('{"month": "2025-10"}')->'rows') r WHERE r->>'department' = 'S1'), '73.20',
    'a case that comes too late changes nothing');
SELECT is(onemap.score_verify('{"month": "2025-10"}') - 'month', '{"same": true, "rows_differing": 0, "scores_differing": [], "events_written_after_closing": 5, "rules_changed_since": []}',
    'computed again from the journal: the same, and the late events are named');
-- Another edition of a rule of scores and one of alarms come into force.
WITH run AS (INSERT INTO cityhub_meta.rule_run (build, duration) VALUES ('test', '1 s') RETURNING id)
INSERT INTO cityhub_meta.rule_edition (run_id, name, checksum)
SELECT run.id, f.name, repeat('0', 64) FROM run, (VALUES ('schema/rules/score_case.sql'), ('schema/rules/alarm.sql')) f (name);
SELECT is(onemap.score_verify('{"month": "2025-10"}')->'rules_changed_since', '["schema/rules/score_case.sql"]',
    'an amendment of what makes scores is named');
SELECT throws_ok($$UPDATE onemap.score_case SET handled = 1 WHERE month = '2025-10-01'$$, 'CH031', NULL, 'rows of a closed month do not change');
SELECT throws_ok($$DELETE FROM onemap.score_case WHERE month = '2025-10-01'$$, 'CH031', NULL, 'nor go');
SELECT throws_ok($$SELECT onemap.score_month_build('2025-10-01')$$, 'CH031', NULL, 'nor are they built anew');
SELECT throws_ok($$SELECT onemap.score_input_put('{"month": "2025-10", "formula": "jinhua", "department": "S1", "item": "other", "points": 0, "author": "x", "evidence": "x"}')$$,
    'CH031', NULL, 'nor are points entered');
SELECT is(onemap.score_adjust('{"month": "2025-10", "department": "S1", "points": 1.5, "case": "C0100", "reason": "推诿认定有误", "author": "王"}')->>'counted_month', '2025-11',
    'an adjustment counts in the next open month');
-- November: S1 has the 14 open ones of October in no figure again: full marks but for nothing; 100 + 1.5, no cap in the default.
SELECT is((SELECT r->>'score' FROM jsonb_array_elements(onemap.score_compute('{"month": "2025-11"}')->'rows') r WHERE r->>'department' = 'S1'), '101.50', 'and adds its points there');
SELECT is((SELECT r->>'score' FROM jsonb_array_elements(onemap.score_compute('{"month": "2025-10"}')->'rows') r WHERE r->>'department' = 'S1'), '73.20', 'October stays');
-- An open month has one set of rules: an amendment builds its rows anew, and nothing else does.
CREATE FUNCTION pg_temp.november_rows() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM ' || onemap.score_rows_sql('2025-11-01') INTO n;
    RETURN n;
END $$;
SELECT onemap.score_month_build('2025-11-01');
SELECT is(pg_temp.november_rows(), 0::bigint, 'November has no rows');
CREATE TEMP TABLE of_old_rules AS SELECT * FROM onemap.score_case WHERE month = '2025-10-01' LIMIT 1;
UPDATE of_old_rules SET month = '2025-11-01';
INSERT INTO onemap.score_case SELECT * FROM of_old_rules;
SELECT is(pg_temp.november_rows(), 1::bigint, 'rows by the rules in force are left as they are');
WITH run AS (INSERT INTO cityhub_meta.rule_run (build, duration) VALUES ('test', '1 s') RETURNING id)
INSERT INTO cityhub_meta.rule_edition (run_id, name, checksum) SELECT run.id, 'schema/rules/alarm.sql', repeat('1', 64) FROM run;
SELECT is(pg_temp.november_rows(), 1::bigint, 'an amendment of alarms is none of scores');
WITH run AS (INSERT INTO cityhub_meta.rule_run (build, duration) VALUES ('test', '1 s') RETURNING id)
INSERT INTO cityhub_meta.rule_edition (run_id, name, checksum) SELECT run.id, 'schema/rules/score_case.sql', repeat('1', 64) FROM run;
SELECT is(pg_temp.november_rows(), 0::bigint, 'rows by rules that were amended since are not read');
SELECT onemap.score_month_ready('2025-11-01');
SELECT is((SELECT count(*) FROM onemap.score_case c WHERE c.month = '2025-11-01'), 0::bigint, 'and are built anew');
SELECT throws_ok($$DELETE FROM onemap.score_adjustment$$, '42501', NULL, 'an adjustment stays');
SELECT throws_ok($$SELECT onemap.score_adjust('{"month": "2025-09", "department": "S1", "points": 1, "reason": "x", "author": "x"}')$$, 'CH030', NULL, 'an open month needs none');
SELECT * FROM finish();
ROLLBACK;
