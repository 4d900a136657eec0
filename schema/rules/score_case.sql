-- Statistics (统计指标) after GB/T 30428.4, from the journal onemap.case_event alone: what each case contributes to each
-- month, one row a month, case and duty (处置责任: the unbroken time that one department has the case). docs/score.md says
-- which month a case counts in. The rows can be thrown away and built again: the result is the same to the bit.
-- Nothing here reads a case's present state (case_record), and nothing of a month reads an event after the month's end.
--
-- Four steps, each a function that can be asked alone; the planner puts them together into one query:
--   score_candidates    which cases can contribute to a period
--   score_event         their events, each with its duty and what stood until the next one
--   score_duty          a row for each duty: what happened in it, and when it fell due
--   score_case_derive   what of that counts in the period, as a row of score_case

CREATE OR REPLACE FUNCTION onemap.score_candidates(period_from timestamptz, period_to timestamptz, through_id bigint)
RETURNS bigint[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT coalesce(array_agg(c.case_id ORDER BY c.case_id), '{}') FROM (
        SELECT e.case_id FROM onemap.case_event e WHERE e.at >= period_from AND e.at < period_to AND e.id <= through_id
        UNION
        SELECT e.case_id FROM onemap.case_event e
        WHERE e.deadline_at >= period_from AND e.deadline_at < period_to AND e.at < period_to AND e.id <= through_id) c
$$;
COMMENT ON FUNCTION onemap.score_candidates(timestamptz, timestamptz, bigint) IS
    'Cases that can contribute to a period: with an event or a deadline in it';

-- Between two events of a case its state, department and deadline stand still: an interval [at, next_at) is judged by what
-- stood in it. A duty begins with the event that gives the case to another department.
CREATE OR REPLACE FUNCTION onemap.score_event(period_from timestamptz, period_to timestamptz, cases bigint[], through_id bigint)
RETURNS TABLE (case_id bigint, seq int, duty int, case_code text, at timestamptz, next_at timestamptz, action text,
    from_state text, to_state text, department text, source text, category text, grid_cell text, street text, urgent boolean,
    overdue boolean, flags text[], satisfaction text, inside boolean, stage_in_time boolean, last boolean, wrong int,
    due_at timestamptz, hung_deadline timestamptz)
LANGUAGE sql STABLE AS $$
    WITH event AS (
        SELECT e.*, lead(e.at, 1, 'infinity') OVER w AS next_at,
            e.department IS DISTINCT FROM lag(e.department) OVER w AS begins,
            e.at >= period_from AND e.action = 'dispatch' AND 'wrong_dispatch' = ANY (e.flags) AS wrong
        FROM unnest(cases) AS c (case_id) JOIN onemap.case_event e ON e.case_id = c.case_id
        WHERE e.at < period_to AND e.id <= through_id
        WINDOW w AS (PARTITION BY e.case_id ORDER BY e.seq)
    ), numbered AS (
        SELECT v.*, count(*) FILTER (WHERE v.begins) OVER w::int AS duty, lead(v.begins, 1, true) OVER w AS last,
            lead(v.wrong AND v.begins, 1, false) OVER w AS next_wrong
        FROM event v WINDOW w AS (PARTITION BY v.case_id ORDER BY v.seq)
    )
    SELECT n.case_id, n.seq, n.duty, n.case_code, n.at, n.next_at, n.action, n.from_state, n.to_state, n.department, n.source,
        n.category, n.grid_cell::text AS grid_cell, n.street::text AS street, u.clock IS NOT DISTINCT FROM 'continuous' AS urgent,
        n.overdue_s IS NOT NULL AS overdue, n.flags, n.satisfaction, n.at >= period_from AS inside,
        n.at <= coalesce(n.stage_deadline_at, 'infinity') AS stage_in_time, n.last,
        -- A wrong dispatch counts when it is found, and belongs to the duty that should not have been.
        n.next_wrong::int + (n.wrong AND NOT n.begins)::int AS wrong,
        CASE WHEN n.to_state IN ('dispatched', 'handling', 'handled', 'checked', 'closed') AND n.department IS NOT NULL
             THEN greatest(n.deadline_at, CASE WHEN n.deadline_at IS NOT NULL THEN n.at END) END AS due_at,
        CASE WHEN n.to_state = 'suspended' AND n.department IS NOT NULL THEN
            (SELECT d.deadline_at FROM onemap.case_event d
             WHERE d.case_id = n.case_id AND d.seq < n.seq AND d.deadline_at IS NOT NULL
             ORDER BY d.seq DESC LIMIT 1) END AS hung_deadline
    FROM numbered n LEFT JOIN onemap.time_unit u ON u.unit = n.limit_unit
$$;
COMMENT ON FUNCTION onemap.score_event(timestamptz, timestamptz, bigint[], bigint) IS
    'Events of the cases before the period''s end with ids up to through_id. duty: 0 before any department has the case; last: of '
    'its duty; inside: within the period; wrong: how often it was found within the period that the duty was a wrong dispatch; '
    'due_at: first moment of the interval at or after the deadline in force; hung_deadline: the deadline that the suspension '
    'found in force';

-- When a duty fell due:
--   handle_due  first moment at or after the deadline in force at which the case is with the department or was handled:
--               not while a return waits for the dispatcher (returned), nor while suspended
--   close_due   the same, and not while the case waits for the centre's check or closing (handled, checked) either
--   deferred    the deadline that was in force when it was suspended, reached while suspended, within the period
-- A case voided, merged or rejected by then never falls due.
CREATE OR REPLACE FUNCTION onemap.score_duty(period_from timestamptz, period_to timestamptz, cases bigint[], through_id bigint)
RETURNS TABLE (case_id bigint, duty int, case_code text, department text, source text, category text, grid_cell text,
    street text, urgent boolean, inside boolean, handle_due timestamptz, close_due timestamptz, deferred timestamptz, fed_back int,
    fed_back_in_time int, reworked int, rework_before bigint, ended boolean, wrong bigint, reported bigint, accepted bigint,
    accepted_in_time bigint, rejected bigint, verified bigint, refuted bigint, registered bigint, registered_in_time bigint,
    dispatched bigint, dispatched_in_time bigint, feed_backs bigint, feed_backs_late bigint, returned bigint, returns_refused
    bigint, rework_times bigint, checked bigint, checked_in_time bigint, closings bigint, extensions_asked bigint, extended
    bigint, suspended bigint, resumed bigint, supervised bigint, reminded bigint, voided bigint, merged bigint, shirking
    bigint, fraud bigint, poor_cooperation bigint, satisfied bigint, basically_satisfied bigint, dissatisfied bigint)
LANGUAGE sql STABLE AS $$
    SELECT e.case_id, e.duty, max(e.case_code) AS case_code, coalesce(max(e.department), '') AS department,
        max(e.source) FILTER (WHERE e.last) AS source, coalesce(max(e.category) FILTER (WHERE e.last), '') AS category,
        coalesce(max(e.grid_cell) FILTER (WHERE e.last), '') AS grid_cell,
        coalesce(max(e.street) FILTER (WHERE e.last), '') AS street,
        coalesce(bool_or(e.urgent) FILTER (WHERE e.last), false) AS urgent, bool_or(e.inside) AS inside,
        min(e.due_at) FILTER (WHERE e.due_at < e.next_at) AS handle_due,
        min(e.due_at) FILTER (WHERE e.due_at < e.next_at AND e.to_state IN ('dispatched', 'handling', 'closed')) AS close_due,
        max(e.hung_deadline) FILTER (WHERE e.hung_deadline >= e.at AND e.hung_deadline < e.next_at
            AND e.hung_deadline >= period_from AND e.hung_deadline < period_to) AS deferred,
        coalesce(max(e.seq) FILTER (WHERE e.action = 'feed_back'), 0) AS fed_back,
        coalesce(max(e.seq) FILTER (WHERE e.action = 'feed_back' AND NOT e.overdue), 0) AS fed_back_in_time,
        coalesce(max(e.seq) FILTER (WHERE e.action = 'rework'), 0) AS reworked,
        count(*) FILTER (WHERE NOT e.inside AND e.action = 'rework') AS rework_before,
        bool_or(e.to_state = 'closed') AS ended, sum(e.wrong) AS wrong,
        -- How often what happened within the period.
        count(*) FILTER (WHERE e.inside AND e.action = 'report') AS reported,
        count(*) FILTER (WHERE e.inside AND e.action = 'accept') AS accepted,
        count(*) FILTER (WHERE e.inside AND e.action = 'accept' AND e.stage_in_time) AS accepted_in_time,
        count(*) FILTER (WHERE e.inside AND e.to_state = 'rejected' AND e.from_state IS DISTINCT FROM 'rejected') AS rejected,
        count(*) FILTER (WHERE e.inside AND e.action = 'verify') AS verified,
        count(*) FILTER (WHERE e.inside AND e.action = 'refute') AS refuted,
        count(*) FILTER (WHERE e.inside AND e.action = 'register') AS registered,
        count(*) FILTER (WHERE e.inside AND e.action = 'register' AND e.stage_in_time) AS registered_in_time,
        count(*) FILTER (WHERE e.inside AND e.action = 'dispatch') AS dispatched,
        count(*) FILTER (WHERE e.inside AND e.action = 'dispatch' AND e.stage_in_time) AS dispatched_in_time,
        count(*) FILTER (WHERE e.inside AND e.action = 'feed_back') AS feed_backs,
        count(*) FILTER (WHERE e.inside AND e.action = 'feed_back' AND e.overdue) AS feed_backs_late,
        count(*) FILTER (WHERE e.inside AND e.action = 'return') AS returned,
        count(*) FILTER (WHERE e.inside AND e.action = 'refuse_return') AS returns_refused,
        count(*) FILTER (WHERE e.inside AND e.action = 'rework') AS rework_times,
        count(*) FILTER (WHERE e.inside AND e.action = 'check') AS checked,
        count(*) FILTER (WHERE e.inside AND e.action = 'check' AND e.stage_in_time) AS checked_in_time,
        count(*) FILTER (WHERE e.inside AND e.action = 'close') AS closings,
        count(*) FILTER (WHERE e.inside AND e.action = 'ask_extension') AS extensions_asked,
        count(*) FILTER (WHERE e.inside AND e.action = 'grant_extension') AS extended,
        count(*) FILTER (WHERE e.inside AND e.action = 'suspend') AS suspended,
        count(*) FILTER (WHERE e.inside AND e.action = 'resume') AS resumed,
        count(*) FILTER (WHERE e.inside AND e.action = 'supervise') AS supervised,
        count(*) FILTER (WHERE e.inside AND e.action = 'remind') AS reminded,
        count(*) FILTER (WHERE e.inside AND e.to_state = 'voided' AND e.from_state IS DISTINCT FROM 'voided') AS voided,
        count(*) FILTER (WHERE e.inside AND e.to_state = 'merged' AND e.from_state IS DISTINCT FROM 'merged') AS merged,
        count(*) FILTER (WHERE e.inside AND 'shirking' = ANY (e.flags)) AS shirking,
        count(*) FILTER (WHERE e.inside AND 'fraud' = ANY (e.flags)) AS fraud,
        count(*) FILTER (WHERE e.inside AND 'poor_cooperation' = ANY (e.flags)) AS poor_cooperation,
        count(*) FILTER (WHERE e.inside AND e.action = 'call_back' AND e.satisfaction = 'satisfied') AS satisfied,
        count(*) FILTER (WHERE e.inside AND e.action = 'call_back' AND e.satisfaction = 'basically_satisfied')
            AS basically_satisfied,
        count(*) FILTER (WHERE e.inside AND e.action = 'call_back' AND e.satisfaction = 'dissatisfied') AS dissatisfied
    FROM onemap.score_event(period_from, period_to, cases, through_id) e GROUP BY e.case_id, e.duty
$$;
COMMENT ON FUNCTION onemap.score_duty(timestamptz, timestamptz, bigint[], bigint) IS
    'A row for each duty of the cases: what it is of (as its last event says), when it fell due and was deferred, the seq of its '
    'last feedback, of its last one in time and of its last rework, and how often what happened within the period';

CREATE OR REPLACE FUNCTION onemap.score_case_derive(period_from timestamptz, period_to timestamptz, cases bigint[],
    through_id bigint) RETURNS SETOF onemap.score_case
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
    WITH fallen AS (
        SELECT d.*,
            CASE WHEN d.handle_due >= period_from AND d.handle_due < period_to THEN d.handle_due END AS handle_due_at,
            CASE WHEN d.close_due >= period_from AND d.close_due < period_to THEN d.close_due END AS close_due_at
        FROM onemap.score_duty(period_from, period_to, cases, through_id) d
    )
    SELECT (SELECT onemap.score_month_of(period_from)) AS month, f.case_id, f.duty, f.case_code, f.department, f.source,
        f.category, f.grid_cell, f.street, f.urgent, f.handle_due_at, f.close_due_at, f.deferred AS deferred_at,
        (f.handle_due_at IS NOT NULL AND f.fed_back > f.reworked)::int::smallint AS handled,
        (f.handle_due_at IS NOT NULL AND f.fed_back > f.reworked AND f.fed_back = f.fed_back_in_time)::int::smallint
            AS handled_in_time,
        (f.close_due_at IS NOT NULL AND f.ended)::int::smallint AS closed,
        (f.close_due_at IS NOT NULL AND f.ended AND f.fed_back > 0 AND f.fed_back = f.fed_back_in_time)::int::smallint
            AS closed_in_time,
        f.reported::smallint, f.accepted::smallint, f.accepted_in_time::smallint, f.rejected::smallint, f.verified::smallint,
        f.refuted::smallint, f.registered::smallint, f.registered_in_time::smallint, f.dispatched::smallint,
        f.dispatched_in_time::smallint, f.wrong::smallint AS wrong_dispatch,
        f.feed_backs::smallint, f.feed_backs_late::smallint, f.returned::smallint, f.returns_refused::smallint,
        f.rework_times::smallint, (f.rework_before < 3 AND f.rework_before + f.rework_times >= 3)::int::smallint AS rework_third,
        f.checked::smallint, f.checked_in_time::smallint, f.closings::smallint, f.extensions_asked::smallint,
        f.extended::smallint, f.suspended::smallint, f.resumed::smallint, f.supervised::smallint, f.reminded::smallint,
        f.voided::smallint, f.merged::smallint, f.shirking::smallint, f.fraud::smallint, f.poor_cooperation::smallint,
        f.satisfied::smallint, f.basically_satisfied::smallint, f.dissatisfied::smallint
    FROM fallen f
    WHERE f.inside OR f.wrong > 0 OR num_nonnulls(f.handle_due_at, f.close_due_at, f.deferred) > 0
$$;
COMMENT ON FUNCTION onemap.score_case_derive(timestamptz, timestamptz, bigint[], bigint) IS
    'What the cases contribute to the period [from, to), out of the events before its end with ids up to through_id; see '
    'docs/score.md';

CREATE OR REPLACE FUNCTION onemap.score_case_store(period_from timestamptz, period_to timestamptz, cases bigint[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE stored bigint;
BEGIN
    INSERT INTO onemap.score_case (month, case_id, duty, case_code, department, source, category, grid_cell, street, urgent,
        handle_due_at, close_due_at, deferred_at, handled, handled_in_time, closed, closed_in_time, reported, accepted,
        accepted_in_time, rejected, verified, refuted, registered, registered_in_time, dispatched, dispatched_in_time,
        wrong_dispatch, feed_backs, feed_backs_late, returned, returns_refused, rework_times, rework_third, checked,
        checked_in_time, closings, extensions_asked, extended, suspended, resumed, supervised, reminded, voided, merged,
        shirking, fraud, poor_cooperation, satisfied, basically_satisfied, dissatisfied)
    SELECT d.month, d.case_id, d.duty, d.case_code, d.department, d.source, d.category, d.grid_cell, d.street, d.urgent,
        d.handle_due_at, d.close_due_at, d.deferred_at, d.handled, d.handled_in_time, d.closed, d.closed_in_time, d.reported,
        d.accepted, d.accepted_in_time, d.rejected, d.verified, d.refuted, d.registered, d.registered_in_time, d.dispatched,
        d.dispatched_in_time, d.wrong_dispatch, d.feed_backs, d.feed_backs_late, d.returned, d.returns_refused,
        d.rework_times, d.rework_third, d.checked, d.checked_in_time, d.closings, d.extensions_asked, d.extended, d.suspended,
        d.resumed, d.supervised, d.reminded, d.voided, d.merged, d.shirking, d.fraud, d.poor_cooperation, d.satisfied,
        d.basically_satisfied, d.dissatisfied
    FROM onemap.score_case_derive(period_from, period_to, cases, 9223372036854775807) d;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END $$;
COMMENT ON FUNCTION onemap.score_case_store(timestamptz, timestamptz, bigint[]) IS
    'Stores what the cases contribute to a month by the journal as it is now; returns the rows';
