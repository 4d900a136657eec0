-- Limits and clocks on cases worked by hand (local time, Asia/Shanghai): weekends, make-up days, midnight, leap day, office
-- hours by season; suspension, extension, rework, return; warnings; a calendar that changes.
BEGIN;
\ir include/case_fixture.sql
SELECT no_plan();

SELECT is(test.deadline(test.dispatched(x.category, x.condition, x.unit, x.since)), x.deadline, x.why)
FROM (VALUES
    ('20102', 1, 'chengguan', '2025-11-21 16:00:00', '2025-11-24 11:30:00', '5 working hours over a weekend: 2 on Friday, 3 on Monday'),
    ('20102', 1, 'chengguan', '2025-11-24 12:30:00', '2025-11-25 09:30:00', 'begun at noon: 4 from 14:00, 1 on the next morning'),
    ('20102', 1, 'chengguan', '2025-11-22 10:00:00', '2025-11-24 15:30:00', 'begun on a Saturday: 3.5 and 1.5 on Monday'),
    ('20103', 5, 'chengguan', '2025-11-24 14:00:00', '2025-11-24 18:00:00', '4 working hours end when the office closes, not on the next morning'),
    ('20103', 1, 'chengguan', '2025-11-21 16:00:00', '2025-11-24 16:00:00', '1 working day over a weekend: to the same time of day'),
    ('20103', 1, 'chengguan', '2025-11-22 10:00:00', '2025-11-25 00:00:00', '1 working day from a Saturday: all of Monday, to midnight'),
    ('20103', 1, 'chengguan', '2025-10-10 16:00:00', '2025-10-11 16:00:00', 'Saturday 11 October 2025 is a make-up workday'),
    ('20103', 4, 'chengguan', '2025-10-10 16:00:00', '2025-10-13 16:00:00', '2 working days: make-up Saturday, Monday'),
    ('20103', 1, 'chengguan', '2025-09-30 10:00:00', '2025-10-09 10:00:00', 'over the National Day holiday of 2025, 1 to 8 October'),
    ('20103', 1, 'chengguan', '2025-01-26 09:00:00', '2025-01-27 09:00:00', 'Sunday 26 January 2025 is a make-up workday'),
    ('20103', 2, 'chengguan', '2025-11-22 23:30:00', '2025-11-23 01:30:00', '2 urgent hours over midnight of a Saturday'),
    ('20103', 3, 'chengguan', '2024-02-28 12:00:00', '2024-02-29 12:00:00', '1 urgent day to the leap day'),
    ('20103', 3, 'chengguan', '2024-02-29 12:00:00', '2024-03-01 12:00:00', '1 urgent day from the leap day'),
    ('20103', 1, 'chengguan', '2024-02-28 12:00:00', '2024-02-29 12:00:00', '1 working day to the leap day, a Thursday'),
    ('20103', 4, 'chengguan', '2024-02-28 12:00:00', '2024-03-01 12:00:00', '2 working days over the leap day'),
    ('20102', 1, 'chengguan', '2024-02-29 16:00:00', '2024-03-01 11:30:00', '5 working hours from the leap day''s afternoon'),
    ('20102', 1, 'zhaoming', '2025-07-07 10:00:00', '2025-07-07 18:00:00', 'summer hours: 2 in the morning, 3 from 15:00'),
    ('20102', 1, 'chengguan', '2025-07-07 10:00:00', '2025-07-07 17:00:00', 'the same for who keeps the same hours all year: 3 from 14:00'),
    ('20102', 1, 'zhaoming', '2025-09-30 16:00:00', '2025-10-09 11:00:00', 'last day of summer hours, holiday, first day of winter hours: 2.5 and 2.5'),
    ('20102', 1, 'zhaoming', '2025-11-24 10:00:00', '2025-11-24 17:00:00', 'winter hours')
) AS x (category, condition, unit, since, deadline, why);

-- One case through everything: 5 working hours from Monday 09:00.
CREATE TEMP TABLE t AS SELECT test.dispatched('20102', 1, 'chengguan', '2025-11-24 09:00:00') AS code;
SELECT is(test.deadline(code), '2025-11-24 16:00:00', 'dispatched') FROM t;
SELECT is(onemap.case_clock(code, '2025-11-24 11:00:00+08') - '{limit_value,limit_unit,clock,deadline_at}'::text[],
    '{"running": true, "limit_s": 18000, "used_s": 7200, "remaining_s": 10800, "overdue_s": 0, "overdue": false}', 'clock at 11:00') FROM t;
SELECT is(onemap.case_clock(code, '2025-11-24 20:00:00+08') - '{limit_value,limit_unit,clock,deadline_at,used_s}'::text[],
    '{"running": true, "limit_s": 18000, "remaining_s": 0, "overdue_s": 7200, "overdue": true}', 'clock in the evening: overdue by the 2 hours that the office was open') FROM t;
SELECT throws_ok(format('SELECT onemap.case_clock(%L, ''2025-11-24 08:00+08'')', code), 'CH014', NULL, 'not before it was set going') FROM t;
SELECT is(test.act(code, 'suspend', 'leader', test.at('2025-11-24 10:00:00'))->'deadline_at', 'null', 'suspended: no deadline') FROM t;
SELECT is((test.last(code)).used_s, 3600.000, 'suspended: 1 hour used') FROM t;
SELECT is(onemap.case_clock(code, '2025-11-25 10:00:00+08')->'remaining_s', '14400', 'suspended: the clock stands at 4 hours left') FROM t;
SELECT test.act(code, 'resume', 'leader', test.at('2025-11-26 15:00:00')) FROM t;
SELECT is(test.deadline(code), '2025-11-27 09:30:00', 'resumed on Wednesday 15:00: 3 hours then, 1 on Thursday') FROM t;
SELECT test.act(code, 'ask_extension', 'department', test.at('2025-11-27 09:00:00') || '{"amount": 3}') FROM t;
SELECT is(test.deadline(code), '2025-11-27 09:30:00', 'asking moves nothing') FROM t;
SELECT is(test.try(code, 'refuse_extension', 'leader', test.at('2025-11-27 09:10:00')), 'dispatched', 'it may be refused') FROM t;
SELECT test.act(code, 'grant_extension', 'leader', test.at('2025-11-27 09:10:00')) FROM t;
SELECT is(test.deadline(code), '2025-11-27 14:30:00', 'extended by 3 hours: 2.5 to noon, 0.5 from 14:00') FROM t;
SELECT is((test.last(code)).detail->'amount', '3', 'the journal has the amount granted') FROM t;
SELECT is(test.try(code, 'grant_extension', 'leader', test.at('2025-11-27 09:20:00')), 'CH020', 'granted once') FROM t;
SELECT test.act(code, 'feed_back', 'department', test.at('2025-11-27 14:00:00')) FROM t;
SELECT is(((test.last(code)).used_s, (test.last(code)).overdue_s, (test.last(code)).flags)::text, '(27000.000,,{direct})', 'fed back in time: 7.5 of 8 hours used') FROM t;
SELECT test.act(code, 'rework', 'supervisor', test.at('2025-11-28 09:00:00')) FROM t;
SELECT is(test.deadline(code), '2025-11-28 09:30:00', 'rework does not restart the clock: half an hour is left, checking is not counted') FROM t;
SELECT test.act(code, 'feed_back', 'department', test.at('2025-11-28 10:00:00')) FROM t;
SELECT is(((test.last(code)).used_s, (test.last(code)).overdue_s, (test.last(code)).flags)::text, '(30600.000,1800.000,{overdue})', 'fed back half an hour late') FROM t;
SELECT test.act(code, 'rework', 'supervisor', test.at('2025-11-28 14:10:00')) FROM t;
SELECT is(test.deadline(code), '2025-11-28 11:40:00', 'who was late by half an hour is so when the clock goes on: 10 minutes before 14:10 and 20 before noon') FROM t;
SELECT is(onemap.case_clock(code, '2025-11-28 14:10:00+08')->'overdue_s', '1800', 'overdue by half an hour still') FROM t;
SELECT test.act(code, 'suspend', 'leader', test.at('2025-11-28 14:20:00')) FROM t;
SELECT test.act(code, 'resume', 'leader', test.at('2025-12-01 09:00:00')) FROM t;
SELECT is(onemap.case_clock(code, '2025-12-01 09:00:00+08')->'overdue_s', '2400', 'an overdue case suspended is as overdue when resumed') FROM t;
SELECT is((SELECT (c.rework_count, c.suspension_count, c.extension_count)::text FROM onemap.case_record c JOIN t USING (code)), '(2,2,1)', 'counted');
SELECT test.act(code, 'feed_back', 'department', test.at('2025-12-01 10:00:00')), test.act(code, 'check', 'supervisor', test.at('2025-12-01 11:00:00')),
    test.act(code, 'close', 'registrar', test.at('2025-12-01 11:30:00')) FROM t;
SELECT is((SELECT test.local(c.ended_at) FROM onemap.case_record c JOIN t USING (code)), '2025-12-01 11:30:00', 'closed');

-- Returned: the clock runs on; to another department it begins anew, to the same one it has never stopped.
CREATE TEMP TABLE u AS SELECT test.dispatched('20102', 1, 'chengguan', '2025-11-24 09:00:00') AS code;
SELECT test.act(code, 'return', 'department', test.at('2025-11-24 10:00:00')) FROM u;
SELECT is((SELECT test.local(c.stage_deadline_at) FROM onemap.case_record c JOIN u USING (code)), '2025-11-24 12:00:00', 'the dispatcher has 2 working hours');
SELECT is(test.act(code, 'refuse_return', 'dispatcher', test.at('2025-11-24 14:00:00') || '{"shirking": true}')->>'state', 'dispatched', 'return refused') FROM u;
SELECT is((test.last(code)).flags, '{stage_overdue,shirking}', 'too late, and found shirking') FROM u;
SELECT is(test.deadline(code), '2025-11-24 16:00:00', 'return refused: the deadline stands') FROM u;
SELECT test.act(code, 'return', 'department', test.at('2025-11-24 14:10:00')) FROM u;
SELECT is(test.act(code, 'dispatch', 'dispatcher', test.at('2025-11-24 14:30:00') || '{"department": "chengguan"}')->>'state', 'dispatched', 'dispatched to the same again') FROM u;
SELECT is((test.deadline(code), (test.last(code)).flags)::text, '("2025-11-24 16:00:00",{})', 'the deadline stands, nothing was wrong') FROM u;
SELECT test.act(code, 'return', 'department', test.at('2025-11-24 14:40:00')) FROM u;
SELECT test.act(code, 'dispatch', 'dispatcher', test.at('2025-11-24 15:00:00') || '{"department": "jincheng"}') FROM u;
SELECT is((test.deadline(code), (test.last(code)).flags, (test.last(code)).previous_department, (test.last(code)).department, (test.last(code)).used_s)::text,
    '("2025-11-25 10:30:00",{wrong_dispatch},chengguan,jincheng,0.000)', 'dispatched to another: 3 hours and 2, its own limit; the first dispatch was wrong') FROM u;

-- The centre's own limits.
CREATE TEMP TABLE v AS SELECT test.report(test.at('2025-11-24 09:00:00')) AS code;
SELECT is((SELECT test.local(c.stage_deadline_at) FROM onemap.case_record c JOIN v USING (code)), '2025-11-24 09:30:00', 'half a working hour to accept');
SELECT test.act(code, 'accept', 'acceptor', test.at('2025-11-24 09:31:00')) FROM v;
SELECT is((test.last(code)).flags, '{stage_overdue}', 'accepted a minute late') FROM v;
SELECT is(test.local((test.last(code)).stage_deadline_at), '2025-11-24 09:30:00', 'the event has the stage''s deadline') FROM v;
SELECT test.act(code, 'classify', 'registrar', test.at('2025-11-24 23:00:00') || '{"category": "20103", "condition": 2}') FROM v;
SELECT is((SELECT test.local(c.stage_deadline_at) FROM onemap.case_record c JOIN v USING (code)), '2025-11-24 10:31:00', 'an urgent condition: an hour by the clock');

-- A calendar that changes.
CREATE TEMP TABLE w AS SELECT test.dispatched('20103', 1, 'chengguan', '2025-09-30 10:00:00') AS code, test.dispatched('20103', 2, 'chengguan', '2025-09-30 10:00:00') AS urgent;
SELECT onemap.calendar_notice_put('{"source": "test", "holidays": [{"name": "x", "first_day": "2025-10-09", "last_day": "2025-10-09"}], "workdays": []}');
SELECT is(test.deadline(code), '2025-10-10 10:00:00', 'a holiday more: the deadline is a working day later') FROM w;
SELECT is(((test.last(code)).action, (test.last(code)).reason, (test.last(code)).role)::text, '(retime,test,system)', 'the journal says why') FROM w;
SELECT is((test.last(urgent)).action, 'dispatch', 'by the clock nothing changes') FROM w;
SELECT is(onemap.case_retime('again'), 0, 'retimed once');
SELECT onemap.office_schedule_put('{"schedule": "standard", "name_zh": "全年", "source": "test", "periods": [{"opens": "08:00", "closes": "12:00"}, {"opens": "14:00", "closes": "18:00"}]}');
SELECT is(test.deadline(code), '2025-11-25 10:00:00', 'offices open earlier: half an hour less') FROM u;

-- Warnings.
DELETE FROM onemap.case_warning;
CREATE TEMP TABLE soon AS SELECT test.dispatched('20301', 1, 'chengguan', test.local(now() - interval '110 minutes')) AS code;
CREATE TEMP TABLE calm AS SELECT test.dispatched('20301', 1, 'chengguan', test.local(now() - interval '30 minutes')) AS code;
SELECT ok(onemap.case_warning_sweep() > 0, 'warnings are given');
SELECT is((SELECT array_agg(w.kind) FROM onemap.case_warning w JOIN onemap.case_record c ON c.id = w.case_id JOIN soon USING (code)), '{due_soon}', '10 of 120 minutes left: a warning');
SELECT is((SELECT count(*)::int FROM onemap.case_warning w JOIN onemap.case_record c ON c.id = w.case_id JOIN calm USING (code)), 0, '90 of 120 minutes left: none');
SELECT is((SELECT array_agg(w.kind ORDER BY w.kind) FROM onemap.case_warning w JOIN onemap.case_record c ON c.id = w.case_id JOIN u USING (code)), '{overdue}', 'overdue');
SELECT is((SELECT array_agg(w.kind ORDER BY w.kind) FROM onemap.case_warning w JOIN onemap.case_record c ON c.id = w.case_id JOIN v USING (code)), '{stage_overdue}', 'a stage overdue');
SELECT is(onemap.case_warning_sweep(), 0, 'each once');
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'and the journal is whole');
SELECT * FROM finish();
ROLLBACK;
