-- The steps of the statistics (schema/rules/score_case.sql) one by one, on one small journal: which cases, their events, their
-- duties, and what counts. October 2026, county time (UTC+8).
BEGIN;
SELECT plan(30);

-- ---- A step's columns are taken by position when a function returns them: their names must agree with what is declared.

CREATE FUNCTION pg_temp.names_selected(function regproc) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE body text;
BEGIN
    SELECT p.prosrc INTO body FROM pg_catalog.pg_proc p WHERE p.oid = function;
    body := regexp_replace(body, '\m(period_from|period_to)\M', 'NULL::timestamptz', 'g');
    body := regexp_replace(body, '\mcases\M', 'NULL::bigint[]', 'g');
    body := regexp_replace(body, '\mthrough_id\M', 'NULL::bigint', 'g');
    EXECUTE 'CREATE OR REPLACE TEMP VIEW ' || quote_ident('selected_' || function::oid) || ' AS ' || body;
    RETURN (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = ('pg_temp.' || quote_ident('selected_' || function::oid))::regclass AND a.attnum > 0);
END $$;
CREATE FUNCTION pg_temp.names_declared(function regproc) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(n.name ORDER BY n.n) FROM pg_catalog.pg_proc p,
        LATERAL unnest(p.proargnames, p.proargmodes::text[]) WITH ORDINALITY AS n (name, mode, n)
    WHERE p.oid = function AND n.mode = 't'
$$;
SELECT is(pg_temp.names_selected('onemap.score_event'), pg_temp.names_declared('onemap.score_event'),
    'score_event selects the columns that it declares, in their order');
SELECT is(pg_temp.names_selected('onemap.score_duty'), pg_temp.names_declared('onemap.score_duty'),
    'score_duty selects the columns that it declares, in their order');
SELECT is(pg_temp.names_selected('onemap.score_case_derive'), (SELECT array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'onemap.score_case'::regclass AND a.attnum > 0 AND NOT a.attisdropped),
    'score_case_derive selects the columns of score_case, in their order');

-- ---- A journal

INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) VALUES (1, '\x00', 0);
CREATE FUNCTION pg_temp.put(number bigint, at text, action text, from_state text, to_state text, department text DEFAULT NULL,
    deadline text DEFAULT NULL, overdue numeric DEFAULT NULL, flags text[] DEFAULT '{}', unit text DEFAULT 'work_day')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE moment timestamptz := ($2 || '+08')::timestamptz;
BEGIN
    INSERT INTO onemap.case_record (id, code, state, source, catalogue_version, reported_at, stage_entered_at, event_count,
        last_event_at, last_hash)
    OVERRIDING SYSTEM VALUE VALUES (number, 'C' || number, 'reported', 'supervisor', 1, moment, moment, 1, moment, '\x00')
    ON CONFLICT DO NOTHING;
    INSERT INTO onemap.case_event (case_id, case_code, seq, at, recorded_at, action, from_state, to_state, role, actor,
        recorded_by, department, source, catalogue_version, limit_unit, deadline_at, overdue_s, flags, previous_hash, hash)
    VALUES (number, 'C' || number, (SELECT count(*) + 1 FROM onemap.case_event e WHERE e.case_id = number), moment, moment,
        action, from_state, to_state, 'system', 'somebody', 'test', department, 'supervisor', 1, unit,
        (deadline || '+08')::timestamptz, overdue, flags, '\x00', '\x00');
END $$;
CREATE FUNCTION pg_temp.at(local_time text) RETURNS timestamptz LANGUAGE sql AS $$ SELECT ($1 || '+08')::timestamptz $$;
CREATE FUNCTION pg_temp.candidates(period_from text, period_to text, through_id bigint DEFAULT 9223372036854775807)
RETURNS bigint[] LANGUAGE sql AS $$
    SELECT onemap.score_candidates(pg_temp.at($1), pg_temp.at($2), $3)
$$;

-- 1: reported in September, at A in October, sent on to B as wrongly dispatched, handled by B after its deadline, closed in November.
SELECT pg_temp.put(1, '2026-09-30 10:00', 'report', NULL, 'reported');
SELECT pg_temp.put(1, '2026-10-08 09:00', 'dispatch', 'registered', 'dispatched', 'A', '2026-10-10 18:00');
SELECT pg_temp.put(1, '2026-10-09 09:00', 'return', 'dispatched', 'returned', 'A', '2026-10-10 18:00');
SELECT pg_temp.put(1, '2026-10-12 09:00', 'dispatch', 'returned', 'dispatched', 'B', '2026-10-14 18:00', NULL, '{wrong_dispatch}');
SELECT pg_temp.put(1, '2026-10-15 09:00', 'feed_back', 'dispatched', 'handled', 'B', '2026-10-14 18:00', 54000);
SELECT pg_temp.put(1, '2026-11-02 09:00', 'close', 'handled', 'closed', 'B', '2026-10-14 18:00');
-- 2: nothing but its deadline is in October; suspended when that comes.
SELECT pg_temp.put(2, '2026-09-28 09:00', 'dispatch', 'registered', 'dispatched', 'A', '2026-10-20 18:00', NULL, '{}', 'urgent_hour');
SELECT pg_temp.put(2, '2026-09-29 09:00', 'suspend', 'dispatched', 'suspended', 'A', NULL, NULL, '{}', 'urgent_hour');
-- 3: of August alone.
SELECT pg_temp.put(3, '2026-08-01 09:00', 'report', NULL, 'reported');
SELECT pg_temp.put(3, '2026-08-01 10:00', 'void', 'reported', 'voided');
-- 4: dispatched in November with a deadline in October: a case of November.
SELECT pg_temp.put(4, '2026-11-03 09:00', 'dispatch', 'registered', 'dispatched', 'A', '2026-10-20 18:00');

-- ---- Which cases

SELECT is(pg_temp.candidates('2026-10-01', '2026-11-01'), '{1,2}',
    'cases with an event or a deadline in the month, and no event of a later month makes one of it');
SELECT is(pg_temp.candidates('2026-08-01', '2026-09-01'), '{3}', 'one of August');
SELECT is(pg_temp.candidates('2026-07-01', '2026-08-01'), '{}', 'none is an empty list');
SELECT is(pg_temp.candidates('2026-08-01', '2026-09-01', 0), '{}', 'and none before the journal began');

-- ---- Their events

CREATE TEMP TABLE event AS
    SELECT e.* FROM onemap.score_event(pg_temp.at('2026-10-01'), pg_temp.at('2026-11-01'), '{1,2,3}', 9223372036854775807) e;
SELECT results_eq('SELECT seq, duty, last FROM event WHERE case_id = 1 ORDER BY seq',
    $$VALUES (1, 0, true), (2, 1, false), (3, 1, true), (4, 2, false), (5, 2, true)$$,
    'a duty begins with each department; nothing after the month''s end is seen');
SELECT results_eq('SELECT seq, inside FROM event WHERE case_id = 1 ORDER BY seq',
    $$VALUES (1, false), (2, true), (3, true), (4, true), (5, true)$$, 'events before the month are not inside it');
SELECT is((SELECT next_at FROM event WHERE case_id = 1 AND seq = 3), pg_temp.at('2026-10-12 09:00'), 'next_at: the next event');
SELECT is((SELECT next_at FROM event WHERE case_id = 1 AND seq = 5), 'infinity', 'none: infinity, although November brings one');
SELECT results_eq('SELECT seq, wrong FROM event WHERE case_id = 1 ORDER BY seq',
    $$VALUES (1, 0), (2, 0), (3, 1), (4, 0), (5, 0)$$, 'a wrong dispatch belongs to the duty that should not have been');
SELECT is((SELECT due_at FROM event WHERE case_id = 1 AND seq = 3), NULL, 'nothing falls due while a return waits');
SELECT is((SELECT due_at FROM event WHERE case_id = 1 AND seq = 4), pg_temp.at('2026-10-14 18:00'), 'due at its deadline');
SELECT is((SELECT due_at FROM event WHERE case_id = 1 AND seq = 5), pg_temp.at('2026-10-15 09:00'),
    'or when the interval begins, if the deadline was before');
SELECT is((SELECT hung_deadline FROM event WHERE case_id = 2 AND seq = 2), pg_temp.at('2026-10-20 18:00'),
    'a suspension knows the deadline that it found');
SELECT results_eq('SELECT seq, urgent, overdue FROM event WHERE case_id = 2 OR case_id = 1 AND seq = 5 ORDER BY case_id, seq',
    $$VALUES (5, false, true), (1, true, false), (2, true, false)$$,
    'urgent: its time unit runs day and night; overdue: what the event says');

-- ---- Their duties

CREATE TEMP TABLE duty AS
    SELECT d.* FROM onemap.score_duty(pg_temp.at('2026-10-01'), pg_temp.at('2026-11-01'), '{1,2,3}', 9223372036854775807) d;
SELECT results_eq('SELECT case_id, duty, department, inside FROM duty ORDER BY 1, 2',
    $$VALUES (1::bigint, 0, ''::text, false), (1, 1, 'A', true), (1, 2, 'B', true), (2, 1, 'A', false), (3, 0, '', false)$$,
    'one row for each; nobody''s duty has no name');
SELECT results_eq('SELECT duty, handle_due, close_due FROM duty WHERE case_id = 1 AND duty > 0 ORDER BY 1',
    $$VALUES (1, NULL::timestamptz, NULL::timestamptz), (2, '2026-10-14 18:00+08', '2026-10-14 18:00+08')$$,
    'A gave it back before its deadline; B had it when its deadline passed');
SELECT results_eq('SELECT duty, fed_back, fed_back_in_time, wrong, ended FROM duty WHERE case_id = 1 AND duty > 0 ORDER BY 1',
    $$VALUES (1, 0, 0, 1::bigint, false), (2, 5, 0, 0, false)$$, 'B''s feedback, event 5, was not in time; not closed in October');
SELECT is((SELECT deferred FROM duty WHERE case_id = 2), pg_temp.at('2026-10-20 18:00'), 'reached while suspended: deferred');
SELECT is((SELECT handle_due FROM duty WHERE case_id = 2), NULL, 'and not due');
SELECT results_eq('SELECT sum(dispatched), sum(returned), sum(feed_backs), sum(feed_backs_late), sum(reported) FROM duty',
    'VALUES (2::numeric, 1::numeric, 1::numeric, 1::numeric, 0::numeric)', 'what happened within the month, and nothing else');

-- ---- What counts

CREATE TEMP TABLE derived AS
    SELECT d.* FROM onemap.score_case_derive(pg_temp.at('2026-10-01'), pg_temp.at('2026-11-01'), '{1,2,3}', 9223372036854775807) d;
SELECT results_eq('SELECT case_id, duty FROM derived ORDER BY 1, 2', 'VALUES (1::bigint, 1), (1, 2), (2, 1)',
    'duties in which nothing happened and nothing fell due are no rows');
SELECT is((SELECT count(DISTINCT month) FROM derived WHERE month = '2026-10-01'), 1::bigint, 'all of October');
SELECT results_eq('SELECT handled, handled_in_time, closed, closed_in_time FROM derived WHERE case_id = 1 AND duty = 2',
    'VALUES (1::smallint, 0::smallint, 0::smallint, 0::smallint)', 'B: handled, late; not closed');
SELECT is((SELECT wrong_dispatch FROM derived WHERE case_id = 1 AND duty = 1), 1::smallint, 'A: dispatched wrongly');
SELECT is((SELECT deferred_at FROM derived WHERE case_id = 2), pg_temp.at('2026-10-20 18:00'), 'a deferred duty is a row of its own');
SELECT results_eq($$SELECT d.case_id, d.duty, d.closed, d.closings FROM onemap.score_case_derive(pg_temp.at('2026-11-01'),
        pg_temp.at('2026-12-01'), '{1}', 9223372036854775807) d$$, 'VALUES (1::bigint, 2, 0::smallint, 1::smallint)',
    'November has the closing, and not the duty again');
SELECT results_eq($$SELECT d.handle_due_at, d.close_due_at FROM onemap.score_case_derive(pg_temp.at('2026-11-01'),
        pg_temp.at('2026-12-01'), '{4}', 9223372036854775807) d$$,
    $$VALUES ('2026-11-03 09:00+08'::timestamptz, '2026-11-03 09:00+08'::timestamptz)$$,
    'a case dispatched after its deadline is due at once');
SELECT * FROM finish();
ROLLBACK;
