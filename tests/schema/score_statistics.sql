-- What counts in which month (docs/score.md), on journals written by hand. October 2026, county time (UTC+8).
BEGIN;
SELECT plan(47);
-- Kept from here on, and brought up to the journal case by case at the end.
SELECT onemap.score_month_build('2026-10-01'), onemap.score_month_build('2026-11-01');

INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) VALUES (1, '\x00', 0);

-- One line of the journal. `more`: department, previous, deadline, overdue, stage_deadline, flags, satisfaction, source, category, unit, actor.
CREATE FUNCTION pg_temp.put(case_number bigint, at text, action text, from_state text, to_state text, more jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql AS $$
DECLARE moment timestamptz := (at || '+08')::timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.case_record r WHERE r.id = case_number) THEN
        INSERT INTO onemap.case_record (id, code, state, source, catalogue_version, reported_at, stage_entered_at, event_count, last_event_at, last_hash)
        OVERRIDING SYSTEM VALUE VALUES (case_number, 'C' || case_number, 'reported', 'supervisor', 1, moment, moment, 1, moment, '\x00');
    END IF;
    INSERT INTO onemap.case_event (case_id, case_code, seq, at, recorded_at, action, from_state, to_state, role, actor, recorded_by, department,
        previous_department, source, catalogue_version, category, grid_cell, street, limit_unit, deadline_at, overdue_s, stage_deadline_at, flags,
        satisfaction, previous_hash, hash)
    VALUES (case_number, 'C' || case_number, (SELECT count(*) + 1 FROM onemap.case_event e WHERE e.case_id = case_number), moment, moment, action,
        from_state, to_state, 'system', coalesce(more->>'actor', 'somebody'), 'test', more->>'department', more->>'previous',
        coalesce(more->>'source', 'supervisor'), 1, coalesce(more->>'category', '20101'), '410221001001001', '410221001',
        coalesce(more->>'unit', 'work_day'), (more->>'deadline' || '+08')::timestamptz, (more->>'overdue')::numeric,
        (more->>'stage_deadline' || '+08')::timestamptz, coalesce((SELECT array_agg(f) FROM jsonb_array_elements_text(more->'flags') f), '{}'),
        more->>'satisfaction', '\x00', '\x00');
END $$;
-- A measure of a month by department ('' = none yet).
CREATE FUNCTION pg_temp.m(month text, department text, measure text) RETURNS int LANGUAGE sql AS $$
    SELECT coalesce(sum((r->'measures'->>measure)::int), 0)::int
    FROM jsonb_array_elements(onemap.score_statistics(jsonb_build_object('month', month, 'as_of', '2027-06-01T00:00:00Z'))->'rows') r WHERE r->>'key' = department
$$;

-- Case 1: reported and accepted late, dispatched to A, handled in time on 30 October (deadline 31 October 18:00), checked and
-- closed on 2 November. Falls due for handling in October; for closing when the centre decides: in November, in time.
SELECT pg_temp.put(1, '2026-10-30 08:00', 'report', NULL, 'reported', '{"actor": "zhang"}');
SELECT pg_temp.put(1, '2026-10-30 09:00', 'accept', 'reported', 'accepted', '{"stage_deadline": "2026-10-30 08:30", "actor": "li"}');
SELECT pg_temp.put(1, '2026-10-30 09:10', 'register', 'accepted', 'registered', '{"stage_deadline": "2026-10-30 10:00"}');
SELECT pg_temp.put(1, '2026-10-30 09:20', 'dispatch', 'registered', 'dispatched', '{"department": "A", "deadline": "2026-10-31 18:00", "stage_deadline": "2026-10-30 09:20", "actor": "wang"}');
SELECT pg_temp.put(1, '2026-10-30 17:00', 'feed_back', 'dispatched', 'handled', '{"department": "A", "deadline": "2026-10-31 18:00"}');
SELECT pg_temp.put(1, '2026-11-02 09:00', 'check', 'handled', 'checked', '{"department": "A", "deadline": "2026-10-31 18:00"}');
SELECT pg_temp.put(1, '2026-11-02 09:30', 'close', 'checked', 'closed', '{"department": "A", "deadline": "2026-10-31 18:00"}');
SELECT is(pg_temp.m('2026-10', '', 'reported'), 1, 'reported in October, with no department yet');
SELECT is(pg_temp.m('2026-10', '', 'accepted'), 1, 'accepted in October');
SELECT is(pg_temp.m('2026-10', '', 'accepted_in_time'), 0, 'accepted after its stage''s deadline');
SELECT is(pg_temp.m('2026-10', '', 'registered_in_time'), 1, 'registered in time');
SELECT is(pg_temp.m('2026-10', 'A', 'dispatched_in_time'), 1, 'dispatched at the very deadline is in time');
SELECT is(pg_temp.m('2026-10', 'A', 'should_handle'), 1, 'due for handling in the month of its deadline');
SELECT is(pg_temp.m('2026-10', 'A', 'handled_in_time'), 1, 'and handled in time');
SELECT is(pg_temp.m('2026-10', 'A', 'should_close'), 0, 'not due for closing while the centre has it');
SELECT is(pg_temp.m('2026-11', 'A', 'should_close'), 1, 'due for closing when the centre closes it');
SELECT is(pg_temp.m('2026-11', 'A', 'closed_in_time'), 1, 'closed in time: its department was in time');
SELECT is(pg_temp.m('2026-11', 'A', 'should_handle'), 0, 'a case counts once');

-- Case 2: deadline 20 October passes with B; handled on 3 November: overdue in October for good.
SELECT pg_temp.put(2, '2026-10-10 08:00', 'report', NULL, 'reported', '{"source": "hotline"}');
SELECT pg_temp.put(2, '2026-10-10 09:00', 'dispatch', 'registered', 'dispatched', '{"department": "B", "deadline": "2026-10-20 18:00", "source": "hotline"}');
SELECT is(pg_temp.m('2026-10', 'B', 'overdue'), 1, 'overdue: due and not handled');
SELECT pg_temp.put(2, '2026-11-03 09:00', 'feed_back', 'dispatched', 'handled', '{"department": "B", "deadline": "2026-10-20 18:00", "overdue": 50000, "source": "hotline"}');
SELECT pg_temp.put(2, '2026-11-03 10:00', 'check', 'handled', 'checked', '{"department": "B", "deadline": "2026-10-20 18:00", "source": "hotline"}');
SELECT pg_temp.put(2, '2026-11-03 11:00', 'close', 'checked', 'closed', '{"department": "B", "deadline": "2026-10-20 18:00", "source": "hotline"}');
SELECT is(pg_temp.m('2026-10', 'B', 'to_handle'), 1, 'what came in November does not change October');
SELECT is(pg_temp.m('2026-10', 'B', 'should_close'), 1, 'due for closing in October');
SELECT is(pg_temp.m('2026-10', 'B', 'closed'), 0, 'and not closed in it');
SELECT is(pg_temp.m('2026-11', 'B', 'should_close'), 0, 'nor due again in November');
SELECT is(pg_temp.m('2026-11', 'B', 'closings'), 1, 'the closing itself is an event of November');
SELECT is(pg_temp.m('2026-11', 'B', 'feed_backs_late'), 1, 'and so is the late feedback');

-- Case 3: sent to C wrongly. The deadline passes while the return waits; the dispatcher agrees on 1 November and sends it to A.
SELECT pg_temp.put(3, '2026-10-28 08:00', 'report', NULL, 'reported');
SELECT pg_temp.put(3, '2026-10-28 09:00', 'dispatch', 'registered', 'dispatched', '{"department": "C", "deadline": "2026-10-31 12:00", "actor": "wang"}');
SELECT pg_temp.put(3, '2026-10-31 09:00', 'return', 'dispatched', 'returned', '{"department": "C", "deadline": "2026-10-31 12:00"}');
SELECT is(pg_temp.m('2026-10', 'C', 'should_handle'), 0, 'nothing falls due while a return waits');
SELECT pg_temp.put(3, '2026-11-01 09:00', 'dispatch', 'returned', 'dispatched', '{"department": "A", "previous": "C", "deadline": "2026-11-03 12:00", "flags": ["wrong_dispatch"], "actor": "zhao"}');
SELECT is(pg_temp.m('2026-11', 'C', 'wrong_dispatch'), 1, 'a wrong dispatch counts in the month in which it is found, to whom it went');
SELECT is(pg_temp.m('2026-11', 'C', 'should_handle') + pg_temp.m('2026-10', 'C', 'should_handle'), 0, 'and C never had to handle it');
SELECT is(pg_temp.m('2026-11', 'A', 'should_handle'), 1, 'A has');
SELECT is((SELECT r->'measures'->>'wrong_dispatch' FROM jsonb_array_elements(onemap.score_statistics('{"month": "2026-11", "by": "person"}')->'rows') r
    WHERE r->>'key' = 'wang'), '1', 'by person: the dispatcher who sent it wrongly');

-- Case 4: a return that is refused after the deadline: due when it is refused.
SELECT pg_temp.put(4, '2026-10-28 08:00', 'report', NULL, 'reported');
SELECT pg_temp.put(4, '2026-10-28 09:00', 'dispatch', 'registered', 'dispatched', '{"department": "D", "deadline": "2026-10-31 12:00"}');
SELECT pg_temp.put(4, '2026-10-31 09:00', 'return', 'dispatched', 'returned', '{"department": "D", "deadline": "2026-10-31 12:00"}');
SELECT pg_temp.put(4, '2026-11-01 09:00', 'refuse_return', 'returned', 'dispatched', '{"department": "D", "deadline": "2026-10-31 12:00", "flags": ["shirking"]}');
SELECT is(pg_temp.m('2026-10', 'D', 'should_handle'), 0, 'not in October');
SELECT is(pg_temp.m('2026-11', 'D', 'should_handle'), 1, 'but when the return is refused');
SELECT is(pg_temp.m('2026-11', 'D', 'shirking'), 1, 'with its finding');

-- Case 5: suspended on 12 October, its deadline would have been 15 October; resumed in November, then handled in time.
SELECT pg_temp.put(5, '2026-10-10 08:00', 'report', NULL, 'reported');
SELECT pg_temp.put(5, '2026-10-10 09:00', 'dispatch', 'registered', 'dispatched', '{"department": "E", "deadline": "2026-10-15 12:00"}');
SELECT pg_temp.put(5, '2026-10-12 09:00', 'suspend', 'dispatched', 'suspended', '{"department": "E"}');
SELECT pg_temp.put(5, '2026-11-02 09:00', 'resume', 'suspended', 'dispatched', '{"department": "E", "deadline": "2026-11-05 12:00"}');
SELECT pg_temp.put(5, '2026-11-03 09:00', 'feed_back', 'dispatched', 'handled', '{"department": "E", "deadline": "2026-11-05 12:00"}');
SELECT is(ARRAY[pg_temp.m('2026-10', 'E', 'should_close'), pg_temp.m('2026-10', 'E', 'deferred'), pg_temp.m('2026-10', 'E', 'should_handle')],
    ARRAY[1, 1, 0], 'suspended: would have been due in October, and leaves the denominator');
SELECT is(ARRAY[pg_temp.m('2026-11', 'E', 'should_handle'), pg_temp.m('2026-11', 'E', 'handled_in_time'), pg_temp.m('2026-11', 'E', 'deferred')],
    ARRAY[1, 1, 0], 'due after it is resumed');

-- Case 6: three reworks, the third in November; fed back in time before the first, late after the last.
SELECT pg_temp.put(6, '2026-10-10 08:00', 'report', NULL, 'reported');
SELECT pg_temp.put(6, '2026-10-10 09:00', 'dispatch', 'registered', 'dispatched', '{"department": "F", "deadline": "2026-10-12 12:00", "unit": "urgent_hour"}');
SELECT pg_temp.put(6, '2026-10-11 09:00', 'feed_back', 'dispatched', 'handled', '{"department": "F", "deadline": "2026-10-12 12:00", "unit": "urgent_hour"}');
SELECT pg_temp.put(6, '2026-10-11 10:00', 'rework', 'handled', 'handling', '{"department": "F", "deadline": "2026-10-12 12:00", "unit": "urgent_hour"}');
SELECT pg_temp.put(6, '2026-10-11 11:00', 'feed_back', 'handling', 'handled', '{"department": "F", "deadline": "2026-10-12 12:00", "unit": "urgent_hour"}');
SELECT pg_temp.put(6, '2026-10-13 10:00', 'rework', 'handled', 'handling', '{"department": "F", "deadline": "2026-10-12 12:00", "unit": "urgent_hour"}');
SELECT is(pg_temp.m('2026-10', 'F', 'handled'), 0, 'a feedback that was sent back for rework is none');
SELECT pg_temp.put(6, '2026-10-31 09:00', 'feed_back', 'handling', 'handled', '{"department": "F", "deadline": "2026-10-12 12:00", "overdue": 9, "unit": "urgent_hour"}');
SELECT pg_temp.put(6, '2026-11-01 10:00', 'rework', 'handled', 'handling', '{"department": "F", "deadline": "2026-10-12 12:00", "unit": "urgent_hour"}');
SELECT is(ARRAY[pg_temp.m('2026-10', 'F', 'handled'), pg_temp.m('2026-10', 'F', 'handled_in_time'), pg_temp.m('2026-10', 'F', 'handled_late')],
    ARRAY[1, 0, 1], 'the last feedback before the month''s end decides');
SELECT is(ARRAY[pg_temp.m('2026-10', 'F', 'rework'), pg_temp.m('2026-10', 'F', 'rework_times'), pg_temp.m('2026-10', 'F', 'rework_third')],
    ARRAY[1, 2, 0], 'October: one case reworked, twice');
SELECT is(ARRAY[pg_temp.m('2026-11', 'F', 'rework'), pg_temp.m('2026-11', 'F', 'rework_times'), pg_temp.m('2026-11', 'F', 'rework_third')],
    ARRAY[1, 1, 1], 'November: its third rework');
SELECT is(pg_temp.m('2026-10', 'F', 'should_close'), 1, 'due for closing when it went back to the department after its deadline');

-- Case 7: voided after its deadline counts, case 8: voided before does not.
SELECT pg_temp.put(7, '2026-10-10 09:00', 'dispatch', 'registered', 'dispatched', '{"department": "G", "deadline": "2026-10-12 12:00"}');
SELECT pg_temp.put(7, '2026-10-13 09:00', 'void', 'dispatched', 'voided', '{"department": "G", "deadline": "2026-10-12 12:00"}');
SELECT pg_temp.put(8, '2026-10-10 09:00', 'dispatch', 'registered', 'dispatched', '{"department": "G", "deadline": "2026-10-12 12:00"}');
SELECT pg_temp.put(8, '2026-10-11 09:00', 'void', 'dispatched', 'voided', '{"department": "G", "deadline": "2026-10-12 12:00"}');
SELECT is(ARRAY[pg_temp.m('2026-10', 'G', 'should_handle'), pg_temp.m('2026-10', 'G', 'voided')], ARRAY[1, 2], 'voided before the deadline: never due');

-- Case 9: the month changes at midnight of the county, not of UTC.
SELECT pg_temp.put(9, '2026-11-01 00:00', 'report', NULL, 'reported');
SELECT is(ARRAY[pg_temp.m('2026-10', '', 'reported'), pg_temp.m('2026-11', '', 'reported')], ARRAY[6, 1], 'midnight belongs to the new month');

-- As of a moment within the month: what has not fallen due does not count.
SELECT is((SELECT r->'measures'->>'should_handle' FROM jsonb_array_elements(
    onemap.score_statistics('{"month": "2026-10", "as_of": "2026-10-15T00:00:00+08:00"}')->'rows') r WHERE r->>'key' = 'B'), '0', 'B is not due yet on 15 October');

-- Any period, other dimensions, filters.
SELECT is((SELECT r->'measures'->>'reported' FROM jsonb_array_elements(
    onemap.score_statistics('{"from": "2026-10-28", "to": "2026-10-30", "by": "all"}')->'rows') r), '3', 'any period of days: cases 1, 3, 4');
SELECT is((SELECT r->'measures'->>'should_handle' FROM jsonb_array_elements(
    onemap.score_statistics('{"month": "2026-10", "as_of": "2027-01-01", "by": "source"}')->'rows') r WHERE r->>'key' = 'hotline'), '1', 'by source');
SELECT is((SELECT r->'measures'->>'should_handle' FROM jsonb_array_elements(
    onemap.score_statistics('{"month": "2026-10", "as_of": "2027-01-01", "by": "all", "where": {"urgent": true, "category": ["201"]}}')->'rows') r), '1', 'urgent ones alone: case 6');
SELECT throws_ok($$SELECT onemap.score_statistics('{"month": "2026-10", "where": {"colour": ["red"]}}')$$, 'CH030', 'where: has no key "colour"');
SELECT throws_ok($$SELECT onemap.score_statistics('{"month": "2026-13"}')$$, 'CH030', 'month: must be such as 2026-10, not "2026-13"');
SELECT throws_ok($$SELECT onemap.score_statistics('{"from": "2026-02-30", "to": "2026-03-01"}')$$, 'CH030');

-- Case by case or from the whole journal: the same rows. What was read meanwhile wrote nothing.
SELECT is((SELECT count(*)::int FROM onemap.score_case), 0, 'who reads writes no rows');
SELECT cmp_ok(onemap.score_refresh(), '>', 7, 'the cases since then');
CREATE TEMP TABLE kept AS SELECT * FROM onemap.score_case;
SELECT onemap.score_month_build('2026-10-01'), onemap.score_month_build('2026-11-01');
SELECT is((SELECT count(*)::int FROM ((TABLE kept EXCEPT TABLE onemap.score_case) UNION ALL (TABLE onemap.score_case EXCEPT TABLE kept)) d), 0,
    'built anew from the journal, no row differs');
SELECT ok((SELECT count(*) > 10 FROM kept), 'and there are rows');
SELECT is((SELECT r->'rates'->>'handle_in_time_rate' FROM jsonb_array_elements(
    onemap.score_statistics('{"month": "2026-10", "as_of": "2027-01-01", "by": "all"}')->'rows') r), '25.00',
    'rate: cases 1, 2, 6, 7 are due, 1 in time');
SELECT * FROM finish();
ROLLBACK;
