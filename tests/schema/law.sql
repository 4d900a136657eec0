-- Rows that are law decide alone: whoever changes one gets the effect, with no function or constraint that says otherwise. Each
-- change stands alone, between two savepoints.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(40);
-- A case as it is after what its argument did.
CREATE FUNCTION test.row(code text) RETURNS onemap.case_record LANGUAGE sql AS $$ SELECT r.* FROM onemap.case_record r WHERE r.code = $1 $$;
CREATE FUNCTION test.stage(report jsonb) RETURNS text LANGUAGE sql AS $$ SELECT test.local((test.row(test.report(report))).stage_deadline_at) $$;
SAVEPOINT s;

-- ---- time_unit: seconds and clock ----
-- 20102/1: 5 work hours from Tuesday 13 October 2026, 09:00 (offices 08:30 to 12:00 and 14:00 to 18:00).
SELECT is(test.deadline(test.dispatched('20102', 1, 'chengguan', '2026-10-13 09:00')), '2026-10-13 16:00:00', 'five work hours as they are');
UPDATE onemap.time_unit SET seconds = 1800 WHERE unit = 'work_hour';
SELECT is(test.deadline(test.dispatched('20102', 1, 'chengguan', '2026-10-13 09:00')), '2026-10-13 11:30:00', 'work hours of half an hour');
SELECT is(onemap.unit_seconds(3, 'work_hour'), 5400::numeric, 'and as seconds');
ROLLBACK TO s;
UPDATE onemap.time_unit SET clock = 'continuous' WHERE unit = 'work_hour';
SELECT is(test.deadline(test.dispatched('20102', 1, 'chengguan', '2026-10-13 09:00')), '2026-10-13 14:00:00', 'work hours by the clock');
SELECT is(onemap.unit_clock('work_hour', 'seasonal'), 'continuous', 'and as a clock');
SELECT ok(bool_or(d.urgent) FILTER (WHERE d.department <> ''), 'which makes the cases urgent ones in the statistics')
FROM onemap.score_case_derive('2026-09-30 16:00+00', '2026-10-31 16:00+00', ARRAY(SELECT r.id FROM onemap.case_record r), 1000000) d;
SELECT is(test.stage(test.at('2026-10-13 12:30')),
    '2026-10-13 13:00:00', 'and the centre''s own half hour runs through noon');
ROLLBACK TO s;
SELECT test.dispatched('20102', 1, 'chengguan', '2026-10-13 09:00');
SELECT ok(NOT bool_or(d.urgent), 'as it is, they are not urgent')
FROM onemap.score_case_derive('2026-09-30 16:00+00', '2026-10-31 16:00+00', ARRAY(SELECT r.id FROM onemap.case_record r), 1000000) d;
SELECT is(test.stage(test.at('2026-10-13 12:30')),
    '2026-10-13 14:30:00', 'as it is, the stage''s limit waits for the office');
SELECT is(test.stage(test.at('2026-10-13 12:30') || '{"category": "20301"}'), '2026-10-13 13:00:00',
    'but not where the condition''s own limit is by the clock');
UPDATE onemap.time_unit SET clock = 'office' WHERE unit = 'urgent_hour';
SELECT is(test.stage(test.at('2026-10-13 12:30') || '{"category": "20301"}'), '2026-10-13 14:30:00',
    'which the unit''s clock says, not its name');
ROLLBACK TO s;
INSERT INTO onemap.time_unit (unit, name_zh, seconds, clock, definition, source) VALUES ('work_week', '工作周', 432000, 'day', 'x', 'test');
INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) VALUES (2, '\x01', 1);
INSERT INTO onemap.case_category (version, code, class_zh, name_zh) VALUES (2, '20102', '市容环境', '暴露垃圾');
INSERT INTO onemap.case_condition (version, category_code, number, condition_zh, limit_value, limit_unit, closing_zh, responsible, source)
VALUES (2, '20102', 1, 'x', 1, 'work_week', 'x', 'chengguan', 'test');
SELECT is(test.deadline(test.dispatched('20102', 1, 'chengguan', '2026-10-13 09:00')), '2026-10-20 09:00:00', 'a new unit is a row');
ROLLBACK TO s;

-- ---- case_state: final and with_department ----
CREATE TEMP TABLE handled AS SELECT h.* FROM test.row(test.drive('handled')) h;
SELECT is((SELECT ARRAY[h.ended_at IS NULL, h.clock_started_at IS NULL] FROM handled h), '{true,true}'::boolean[], 'handled: open, and the clock stands');
UPDATE onemap.case_state SET final = true WHERE state = 'handled';
SELECT isnt((test.row(test.drive('handled'))).ended_at, NULL, 'made final, a feedback ends the case');
ROLLBACK TO s;
UPDATE onemap.case_state SET with_department = true WHERE state = 'handled';
SELECT isnt((test.row(test.drive('handled'))).clock_started_at, NULL,
    'made one with the department, the clock runs on');
SELECT is((test.row(test.drive('checked'))).clock_started_at, NULL,
    'and stops in the next one');
ROLLBACK TO s;
UPDATE onemap.case_state SET with_department = false WHERE state = 'returned';
SELECT is((test.row(test.drive('returned'))).clock_started_at, NULL,
    'made one without, the clock stands while a return waits');
ROLLBACK TO s;
UPDATE onemap.case_state SET final = false WHERE state = 'rejected';
SELECT is((test.row(test.drive('rejected'))).ended_at, NULL, 'made open, a rejection ends nothing');
ROLLBACK TO s;
SELECT is_empty($$SELECT s.state FROM onemap.case_state s CROSS JOIN LATERAL test.row(test.drive(s.state, test.report())) r
    WHERE (r.ended_at IS NOT NULL) <> s.final OR (r.clock_started_at IS NOT NULL) <> s.with_department$$,
    'every state is as its row says: ended where final, the clock running where with the department');
ROLLBACK TO s;

-- ---- a new state, its transitions and its limit are rows ----
INSERT INTO onemap.case_state (state, name_zh, position, final, with_department) VALUES ('appealed', '申诉中', 16, false, false);
INSERT INTO onemap.case_action (action, name_zh, reason_required) VALUES ('appeal', '申诉', true);
SELECT throws_ok($$INSERT INTO onemap.case_transition (action, role, from_state, to_state) VALUES ('appeal', 'department', 'handled', 'nowhere')$$,
    '23503', NULL, 'a transition leads into a state that there is');
INSERT INTO onemap.case_stage_limit (state, limit_value, limit_unit, source) VALUES ('handled', 2, 'urgent_hour', 'test')
ON CONFLICT (state) DO UPDATE SET limit_value = 2, limit_unit = 'urgent_hour';
CREATE TEMP TABLE handled AS SELECT h.* FROM test.row(test.drive('handled')) h;
SELECT is((SELECT h.stage_deadline_at - h.stage_entered_at FROM handled h), '2 hours'::interval, 'another limit of a stage');
ROLLBACK TO s;
UPDATE onemap.case_transition SET to_state = 'checked' WHERE action = 'feed_back' AND from_state = 'handling';
SELECT is(test.act(test.drive('handling'), 'feed_back', 'department')->>'state', 'checked', 'another transition leads elsewhere');
DELETE FROM onemap.case_transition WHERE action = 'feed_back' AND from_state = 'handling';
SELECT is(test.try(test.drive('handling'), 'feed_back', 'department'), 'CH010', 'one that is gone is refused');
ROLLBACK TO s;
UPDATE onemap.case_action SET reason_required = true WHERE action = 'accept';
SELECT is(test.try(test.report(), 'accept', 'acceptor', '{"reason": null}'), 'CH012', 'an action that needs a reason now');
UPDATE onemap.case_action SET reason_required = false, fields = '{colour}' WHERE action = 'accept';
SELECT is(test.try(test.report(), 'accept', 'acceptor', '{"colour": "red"}'), 'accepted', 'an action with another field');
ROLLBACK TO s;
DELETE FROM onemap.case_report_right WHERE source = 'supervisor';
SELECT throws_ok('SELECT test.report()', 'CH010', NULL, 'a right to report that is gone');
ROLLBACK TO s;
UPDATE onemap.setting SET value = 'on' WHERE key = 'case_dispatch_single';
SELECT is(test.act(test.act(test.report('{"category": "20301"}'), 'accept', 'acceptor')->>'case', 'register', 'registrar')->>'state', 'dispatched',
    'a single department is dispatched to, as the setting says');
ROLLBACK TO s;

-- ---- statistics, scores, assessment ----
SELECT test.dispatched('20102', 1, 'chengguan', '2026-10-13 09:00');
SELECT is(onemap.score_statistics('{"month": "2026-10", "by": "all", "as_of": "2026-11-05T00:00:00Z"}')->'rows'->0->'measures'->'to_handle', '1',
    'one case to handle, overdue');
UPDATE onemap.score_measure SET expression = '10 * r.reported' WHERE measure = 'to_handle';
SELECT is(onemap.score_statistics('{"month": "2026-10", "by": "all", "as_of": "2026-11-05T00:00:00Z"}')->'rows'->0->'measures'->'to_handle', '10',
    'another expression of a measure');
SELECT is(onemap.score_statistics('{"month": "2026-10", "by": "all", "as_of": "2026-11-05T00:00:00Z"}')->'rows'->0->'rates'->'overdue_rate', '100.00',
    'all of it is overdue');
UPDATE onemap.score_rate SET numerator = '{handled}' WHERE rate = 'overdue_rate';
SELECT is(onemap.score_statistics('{"month": "2026-10", "by": "all", "as_of": "2026-11-05T00:00:00Z"}')->'rows'->0->'rates'->'overdue_rate', '0.00',
    'another numerator of a rate');
ROLLBACK TO s;
INSERT INTO onemap.assessment_entry (month, item, department, score, office, author, evidence)
SELECT '2026-10-01', i.item, 'jincheng', 80, 'x', 'x', 'x' FROM onemap.assessment_item i WHERE i.item <> 'digital';
INSERT INTO onemap.assessment_award (month, kind, department, times, office, author, evidence)
VALUES ('2026-10-01', 'outside_duty', 'jincheng', 8, 'x', 'x', 'x');
CREATE FUNCTION test.total() RETURNS numeric LANGUAGE sql AS $$
    SELECT (onemap.assessment_unit('2026-10-01', '{"department": "jincheng", "score": 90}')->>'total')::numeric
$$;
SELECT is(test.total(), 88.00, '90 x 50 % + 80 x 40 % + 80 x 10 % + 3');
SAVEPOINT t;
UPDATE onemap.assessment_item SET weight = 60 WHERE item = 'digital';
SELECT is(test.total(), 97.00, 'another weight of the digital score');
ROLLBACK TO t;
UPDATE onemap.assessment_item SET weight = 4 WHERE item = 'peace';
SELECT is(test.total(), 89.60, 'another weight of an office');
ROLLBACK TO t;
UPDATE onemap.assessment_award_kind SET month_cap = NULL WHERE kind = 'outside_duty';
SELECT is(test.total(), 89.00, 'no cap of a bonus');
UPDATE onemap.assessment_award_kind SET points = 1 WHERE kind = 'outside_duty';
SELECT is(test.total(), 93.00, 'other points of a bonus');
ROLLBACK TO t;
INSERT INTO onemap.assessment_award_kind (kind, name_zh, points, position, clause) VALUES ('new_duty', '新增加分', 2, 14, 'test');
INSERT INTO onemap.assessment_award (month, kind, department, times, office, author, evidence)
VALUES ('2026-10-01', 'new_duty', 'jincheng', 1, 'x', 'x', 'x');
SELECT is(test.total(), 90.00, 'a new bonus is a row');
ROLLBACK TO s;

-- ---- an amendment may exchange names and places ----
SELECT lives_ok($$UPDATE onemap.case_state SET position = 16 - position$$, 'places of states');
SELECT lives_ok($$UPDATE onemap.assessment_item SET position = 14 - position$$, 'places of items');
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'the journal is whole');
SELECT * FROM finish();
ROLLBACK;
