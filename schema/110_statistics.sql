-- Statistics (统计指标) after GB/T 30428.4, from the journal onemap.case_event alone: what each case contributes to each
-- month, one row a month, case and duty (处置责任: the unbroken time that one department has the case). docs/score.md says
-- which month a case counts in. The rows can be thrown away and built again: the result is the same to the bit.
-- Nothing here reads a case's present state (case_record), and nothing of a month reads an event after the month's end.

CREATE TABLE onemap.score_case (
    month        date NOT NULL CHECK (extract(day FROM month) = 1),
    case_id      bigint NOT NULL,
    duty         int NOT NULL,
    case_code    text NOT NULL,
    department   text NOT NULL,
    source       text NOT NULL,
    category     text NOT NULL,
    grid_cell    text NOT NULL,
    street       text NOT NULL,
    urgent       boolean NOT NULL,
    handle_due_at timestamptz,
    close_due_at timestamptz,
    deferred_at  timestamptz,
    handled      smallint NOT NULL,
    handled_in_time smallint NOT NULL,
    closed       smallint NOT NULL,
    closed_in_time smallint NOT NULL,
    reported     smallint NOT NULL,
    accepted     smallint NOT NULL,
    accepted_in_time smallint NOT NULL,
    rejected     smallint NOT NULL,
    verified     smallint NOT NULL,
    refuted      smallint NOT NULL,
    registered   smallint NOT NULL,
    registered_in_time smallint NOT NULL,
    dispatched   smallint NOT NULL,
    dispatched_in_time smallint NOT NULL,
    wrong_dispatch smallint NOT NULL,
    feed_backs   smallint NOT NULL,
    feed_backs_late smallint NOT NULL,
    returned     smallint NOT NULL,
    returns_refused smallint NOT NULL,
    rework_times smallint NOT NULL,
    rework_third smallint NOT NULL,
    checked      smallint NOT NULL,
    checked_in_time smallint NOT NULL,
    closings     smallint NOT NULL,
    extensions_asked smallint NOT NULL,
    extended     smallint NOT NULL,
    suspended    smallint NOT NULL,
    resumed      smallint NOT NULL,
    supervised   smallint NOT NULL,
    reminded     smallint NOT NULL,
    voided       smallint NOT NULL,
    merged       smallint NOT NULL,
    shirking     smallint NOT NULL,
    fraud        smallint NOT NULL,
    poor_cooperation smallint NOT NULL,
    satisfied    smallint NOT NULL,
    basically_satisfied smallint NOT NULL,
    dissatisfied smallint NOT NULL,
    PRIMARY KEY (month, case_id, duty)
);
COMMENT ON TABLE onemap.score_case IS
    'What a case contributes to a month (county time), by duty: 0 = before any department has it. Derived from case_event, see score_case_derive(); the counters are events of the month, handled to closed_in_time the state at its end of what fell due in it';
COMMENT ON COLUMN onemap.score_case.department IS 'Code of the department that has the case in this duty; empty = none yet';
COMMENT ON COLUMN onemap.score_case.urgent IS 'The handling limit is counted by the clock (紧急工作时, 紧急工作日)';
COMMENT ON COLUMN onemap.score_case.handle_due_at IS 'When it fell due for handling (应处置), if in this month';
COMMENT ON COLUMN onemap.score_case.close_due_at IS 'When it fell due for closing (应结案), if in this month';
COMMENT ON COLUMN onemap.score_case.deferred_at IS 'When it would have fallen due in this month, but was suspended (挂账、缓办)';
COMMENT ON COLUMN onemap.score_case.rework_third IS '1 in the month of the third rework of the duty';
CREATE INDEX score_case_department ON onemap.score_case (month, department);

-- The journal is written in the order of time and deadlines follow it: a block range index finds a month's deadlines at
-- next to no cost for the writer.
CREATE INDEX case_event_deadline ON onemap.case_event USING brin (deadline_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE onemap.score_month (
    month      date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    built_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    closed_at  timestamptz,
    closed_by  text,
    through_id bigint,
    formula_version int,
    CHECK (num_nulls(closed_at, closed_by, through_id, formula_version) IN (0, 4))
);
COMMENT ON TABLE onemap.score_month IS
    'Months whose rows of score_case are there. Closed: its figures are final, they hold the events of the journal up to through_id, and later ones count through adjustments alone';

CREATE TABLE onemap.score_dirty (
    case_id bigint NOT NULL,
    at      timestamptz NOT NULL
);
COMMENT ON TABLE onemap.score_dirty IS 'Cases with events that score_case does not have yet; at: the earliest of these events';

CREATE FUNCTION onemap.score_mark_dirty() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- One event at a time is what cases write; only their functions, which run as the owner, can.
    INSERT INTO onemap.score_dirty (case_id, at) VALUES (NEW.case_id, NEW.at);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.score_mark_dirty() IS 'Trigger: notes which cases the statistics must look at again';
CREATE TRIGGER case_event_score AFTER INSERT ON onemap.case_event
    FOR EACH ROW EXECUTE FUNCTION onemap.score_mark_dirty();

CREATE FUNCTION onemap.score_case_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE touched date;
BEGIN
    FOREACH touched IN ARRAY CASE TG_OP WHEN 'INSERT' THEN ARRAY[NEW.month] WHEN 'DELETE' THEN ARRAY[OLD.month] ELSE ARRAY[OLD.month, NEW.month] END LOOP
        IF EXISTS (SELECT FROM onemap.score_month m WHERE m.month = touched AND m.closed_at IS NOT NULL) THEN
            RAISE EXCEPTION 'month % is closed: its figures do not change', to_char(touched, 'YYYY-MM')
                USING ERRCODE = 'CH031', HINT = 'Correct it by an adjustment: onemap.score_adjust.';
        END IF;
    END LOOP;
    RETURN coalesce(NEW, OLD);
END $$;
COMMENT ON FUNCTION onemap.score_case_guard() IS 'Trigger that refuses any change of a closed month''s rows, whoever asks';
CREATE TRIGGER score_case_guard BEFORE UPDATE OR DELETE ON onemap.score_case FOR EACH ROW EXECUTE FUNCTION onemap.score_case_guard();
CREATE TRIGGER score_case_no_truncate BEFORE TRUNCATE ON onemap.score_case
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE FUNCTION onemap.score_insert_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.score_month m WHERE m.closed_at IS NOT NULL AND m.month IN (SELECT DISTINCT n.month FROM new_rows n)) THEN
        RAISE EXCEPTION 'rows of a closed month are not added to'
            USING ERRCODE = 'CH031', HINT = 'Correct it by an adjustment: onemap.score_adjust.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.score_insert_guard() IS 'Trigger that refuses new rows for a closed month, by statement';
CREATE TRIGGER score_case_insert_guard AFTER INSERT ON onemap.score_case REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.score_insert_guard();

CREATE FUNCTION onemap.score_month_parse(month text) RETURNS date LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF month IS NULL OR month !~ '^20[0-9]{2}-(0[1-9]|1[0-2])$' THEN
        RAISE EXCEPTION 'month: must be such as 2026-10, not "%"', coalesce(month, '') USING ERRCODE = 'CH030';
    END IF;
    RETURN (month || '-01')::date;
END $$;
COMMENT ON FUNCTION onemap.score_month_parse(text) IS '2026-10 as the first day of the month; refuses anything else';

CREATE FUNCTION onemap.score_day_parse(day text) RETURNS date LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF day ~ '^20[0-9]{2}-[0-9]{2}-[0-9]{2}$' THEN
        RETURN make_date(substr(day, 1, 4)::int, substr(day, 6, 2)::int, substr(day, 9, 2)::int);
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow';
EXCEPTION WHEN datetime_field_overflow THEN
    RAISE EXCEPTION 'give month (2026-10), or from and to as days (2026-10-01), both within; not "%"', coalesce(day, '') USING ERRCODE = 'CH030';
END $$;
COMMENT ON FUNCTION onemap.score_day_parse(text) IS 'A day such as 2026-10-01; refuses anything else';

CREATE FUNCTION onemap.score_day_start(day date) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT day::timestamp AT TIME ZONE onemap.setting('time_zone')
$$;
COMMENT ON FUNCTION onemap.score_day_start(date) IS 'The moment at which a day begins in the county';

CREATE FUNCTION onemap.score_month_of(moment timestamptz) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT date_trunc('month', moment AT TIME ZONE onemap.setting('time_zone'))::date
$$;
COMMENT ON FUNCTION onemap.score_month_of(timestamptz) IS 'First day of the month, county time, that a moment lies in';

CREATE FUNCTION onemap.score_candidates(period_from timestamptz, period_to timestamptz, through_id bigint) RETURNS bigint[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT coalesce(array_agg(c.case_id ORDER BY c.case_id), '{}') FROM (
        SELECT e.case_id FROM onemap.case_event e WHERE e.at >= period_from AND e.at < period_to AND e.id <= through_id
        UNION
        SELECT e.case_id FROM onemap.case_event e
        WHERE e.deadline_at >= period_from AND e.deadline_at < period_to AND e.at < period_to AND e.id <= through_id) c
$$;
COMMENT ON FUNCTION onemap.score_candidates(timestamptz, timestamptz, bigint) IS
    'Cases that can contribute to a period: with an event or a deadline in it';

-- The one place where the journal becomes figures. Between two events of a case its state, department and deadline stand
-- still; an interval [at, next_at) is judged by what stood in it:
--   handle_due  first moment at or after the deadline in force at which the case is with the department or was handled:
--               not while a return waits for the dispatcher (returned), nor while suspended
--   close_due   the same, and not while the case waits for the centre's check or closing (handled, checked) either
--   deferred    the deadline that was in force when it was suspended, reached while suspended
-- A case voided, merged or rejected by then never falls due.
CREATE FUNCTION onemap.score_case_derive(period_from timestamptz, period_to timestamptz, cases bigint[], through_id bigint)
RETURNS SETOF onemap.score_case
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
    WITH event AS (
        SELECT e.*, lead(e.at, 1, 'infinity') OVER w AS next_at,
            CASE WHEN e.department IS DISTINCT FROM lag(e.department) OVER w THEN 1 ELSE 0 END AS change
        FROM unnest(cases) AS c (case_id) JOIN onemap.case_event e ON e.case_id = c.case_id
        WHERE e.at < period_to AND e.id <= through_id
        WINDOW w AS (PARTITION BY e.case_id ORDER BY e.seq)
    ), numbered AS (
        SELECT v.*, sum(v.change) OVER (PARTITION BY v.case_id ORDER BY v.seq)::int AS duty FROM event v
    ), marked AS (
        SELECT n.*, n.at >= period_from AS inside, n.at <= coalesce(n.stage_deadline_at, 'infinity') AS stage_in_time,
            lead(n.duty) OVER (PARTITION BY n.case_id ORDER BY n.seq) IS DISTINCT FROM n.duty AS last,
            CASE WHEN n.to_state IN ('dispatched', 'handling', 'handled', 'checked', 'closed') AND n.department IS NOT NULL
                 THEN greatest(n.deadline_at, CASE WHEN n.deadline_at IS NOT NULL THEN n.at END) END AS due_at,
            CASE WHEN n.to_state = 'suspended' AND n.department IS NOT NULL THEN
                (SELECT d.deadline_at FROM onemap.case_event d WHERE d.case_id = n.case_id AND d.seq < n.seq AND d.deadline_at IS NOT NULL
                 ORDER BY d.seq DESC LIMIT 1) END AS hung_deadline
        FROM numbered n
    ), total AS (
        SELECT m.case_id, m.duty, max(m.case_code) AS case_code,
            coalesce(max(m.department), '') AS department,
            max(m.source) FILTER (WHERE m.last) AS source, coalesce(max(m.category) FILTER (WHERE m.last), '') AS category,
            coalesce(max(m.grid_cell::text) FILTER (WHERE m.last), '') AS grid_cell,
            coalesce(max(m.street::text) FILTER (WHERE m.last), '') AS street,
            coalesce(bool_or(m.limit_unit IN ('urgent_hour', 'urgent_day')) FILTER (WHERE m.last), false) AS urgent,
            min(m.due_at) FILTER (WHERE m.due_at < m.next_at) AS handle_due,
            min(m.due_at) FILTER (WHERE m.due_at < m.next_at AND m.to_state IN ('dispatched', 'handling', 'closed')) AS close_due,
            max(m.hung_deadline) FILTER (WHERE m.hung_deadline >= m.at AND m.hung_deadline < m.next_at
                AND m.hung_deadline >= period_from AND m.hung_deadline < period_to) AS deferred,
            coalesce(max(m.seq) FILTER (WHERE m.action = 'feed_back'), 0) AS fed_back,
            coalesce(max(m.seq) FILTER (WHERE m.action = 'feed_back' AND m.overdue_s IS NULL), 0) AS fed_back_in_time,
            coalesce(max(m.seq) FILTER (WHERE m.action = 'rework'), 0) AS reworked,
            bool_or(m.to_state = 'closed') AS ended, bool_or(m.inside) AS inside,
            count(*) FILTER (WHERE m.inside AND m.action = 'report') AS reported,
            count(*) FILTER (WHERE m.inside AND m.action = 'accept') AS accepted,
            count(*) FILTER (WHERE m.inside AND m.action = 'accept' AND m.stage_in_time) AS accepted_in_time,
            count(*) FILTER (WHERE m.inside AND m.to_state = 'rejected' AND m.from_state IS DISTINCT FROM 'rejected') AS rejected,
            count(*) FILTER (WHERE m.inside AND m.action = 'verify') AS verified,
            count(*) FILTER (WHERE m.inside AND m.action = 'refute') AS refuted,
            count(*) FILTER (WHERE m.inside AND m.action = 'register') AS registered,
            count(*) FILTER (WHERE m.inside AND m.action = 'register' AND m.stage_in_time) AS registered_in_time,
            count(*) FILTER (WHERE m.inside AND m.action = 'dispatch') AS dispatched,
            count(*) FILTER (WHERE m.inside AND m.action = 'dispatch' AND m.stage_in_time) AS dispatched_in_time,
            count(*) FILTER (WHERE m.inside AND m.action = 'feed_back') AS feed_backs,
            count(*) FILTER (WHERE m.inside AND m.action = 'feed_back' AND m.overdue_s IS NOT NULL) AS feed_backs_late,
            count(*) FILTER (WHERE m.inside AND m.action = 'return') AS returned,
            count(*) FILTER (WHERE m.inside AND m.action = 'refuse_return') AS returns_refused,
            count(*) FILTER (WHERE m.inside AND m.action = 'rework') AS rework_times,
            count(*) FILTER (WHERE NOT m.inside AND m.action = 'rework') AS rework_before,
            count(*) FILTER (WHERE m.inside AND m.action = 'check') AS checked,
            count(*) FILTER (WHERE m.inside AND m.action = 'check' AND m.stage_in_time) AS checked_in_time,
            count(*) FILTER (WHERE m.inside AND m.action = 'close') AS closings,
            count(*) FILTER (WHERE m.inside AND m.action = 'ask_extension') AS extensions_asked,
            count(*) FILTER (WHERE m.inside AND m.action = 'grant_extension') AS extended,
            count(*) FILTER (WHERE m.inside AND m.action = 'suspend') AS suspended,
            count(*) FILTER (WHERE m.inside AND m.action = 'resume') AS resumed,
            count(*) FILTER (WHERE m.inside AND m.action = 'supervise') AS supervised,
            count(*) FILTER (WHERE m.inside AND m.action = 'remind') AS reminded,
            count(*) FILTER (WHERE m.inside AND m.to_state = 'voided' AND m.from_state IS DISTINCT FROM 'voided') AS voided,
            count(*) FILTER (WHERE m.inside AND m.to_state = 'merged' AND m.from_state IS DISTINCT FROM 'merged') AS merged,
            count(*) FILTER (WHERE m.inside AND 'shirking' = ANY (m.flags)) AS shirking,
            count(*) FILTER (WHERE m.inside AND 'fraud' = ANY (m.flags)) AS fraud,
            count(*) FILTER (WHERE m.inside AND 'poor_cooperation' = ANY (m.flags)) AS poor_cooperation,
            count(*) FILTER (WHERE m.inside AND m.action = 'call_back' AND m.satisfaction = 'satisfied') AS satisfied,
            count(*) FILTER (WHERE m.inside AND m.action = 'call_back' AND m.satisfaction = 'basically_satisfied') AS basically_satisfied,
            count(*) FILTER (WHERE m.inside AND m.action = 'call_back' AND m.satisfaction = 'dissatisfied') AS dissatisfied
        FROM marked m GROUP BY m.case_id, m.duty
    ), wrong AS (
        -- A wrong dispatch counts when it is found, and belongs to the duty that should not have been.
        SELECT m.case_id, m.duty - m.change AS duty, count(*) AS times FROM marked m
        WHERE m.inside AND m.action = 'dispatch' AND 'wrong_dispatch' = ANY (m.flags) GROUP BY 1, 2
    ), fallen AS (
        SELECT t.*, coalesce(w.times, 0) AS wrong,
            CASE WHEN t.handle_due >= period_from AND t.handle_due < period_to THEN t.handle_due END AS handle_due_at,
            CASE WHEN t.close_due >= period_from AND t.close_due < period_to THEN t.close_due END AS close_due_at
        FROM total t LEFT JOIN wrong w ON w.case_id = t.case_id AND w.duty = t.duty
    )
    SELECT (SELECT onemap.score_month_of(period_from)), f.case_id, f.duty, f.case_code, f.department,
        f.source, f.category, f.grid_cell, f.street, f.urgent, f.handle_due_at, f.close_due_at, f.deferred,
        (f.handle_due_at IS NOT NULL AND f.fed_back > f.reworked)::int::smallint,
        (f.handle_due_at IS NOT NULL AND f.fed_back > f.reworked AND f.fed_back = f.fed_back_in_time)::int::smallint,
        (f.close_due_at IS NOT NULL AND f.ended)::int::smallint,
        (f.close_due_at IS NOT NULL AND f.ended AND f.fed_back > 0 AND f.fed_back = f.fed_back_in_time)::int::smallint,
        f.reported::smallint, f.accepted::smallint, f.accepted_in_time::smallint, f.rejected::smallint, f.verified::smallint,
        f.refuted::smallint, f.registered::smallint, f.registered_in_time::smallint, f.dispatched::smallint,
        f.dispatched_in_time::smallint, f.wrong::smallint, f.feed_backs::smallint, f.feed_backs_late::smallint,
        f.returned::smallint, f.returns_refused::smallint, f.rework_times::smallint,
        (f.rework_before < 3 AND f.rework_before + f.rework_times >= 3)::int::smallint,
        f.checked::smallint, f.checked_in_time::smallint, f.closings::smallint, f.extensions_asked::smallint, f.extended::smallint,
        f.suspended::smallint, f.resumed::smallint, f.supervised::smallint, f.reminded::smallint, f.voided::smallint,
        f.merged::smallint, f.shirking::smallint, f.fraud::smallint, f.poor_cooperation::smallint, f.satisfied::smallint,
        f.basically_satisfied::smallint, f.dissatisfied::smallint
    FROM fallen f
    WHERE f.inside OR f.wrong > 0 OR num_nonnulls(f.handle_due_at, f.close_due_at, f.deferred) > 0
$$;
COMMENT ON FUNCTION onemap.score_case_derive(timestamptz, timestamptz, bigint[], bigint) IS
    'What the cases contribute to the period [from, to), out of the events before its end with ids up to through_id; see docs/score.md';

-- One at a time: two that build the same month would both insert its rows.
CREATE FUNCTION onemap.score_lock() RETURNS void LANGUAGE sql AS $$
    SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('onemap.score'))
$$;
COMMENT ON FUNCTION onemap.score_lock() IS 'Waits for whoever else builds or closes months, until the end of the transaction';

CREATE FUNCTION onemap.score_month_build(month date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    period_from timestamptz := onemap.score_day_start(month);
    period_to timestamptz := onemap.score_day_start((month + interval '1 month')::date);
    built bigint;
BEGIN
    PERFORM onemap.score_lock();
    DELETE FROM onemap.score_case c WHERE c.month = $1;
    INSERT INTO onemap.score_case
    SELECT d.* FROM onemap.score_case_derive(period_from, period_to,
        onemap.score_candidates(period_from, period_to, 9223372036854775807), 9223372036854775807) d;
    GET DIAGNOSTICS built = ROW_COUNT;
    INSERT INTO onemap.score_month AS m (month) VALUES ($1) ON CONFLICT ON CONSTRAINT score_month_pkey DO UPDATE SET built_at = clock_timestamp();
    RETURN built;
END $$;
COMMENT ON FUNCTION onemap.score_month_build(date) IS 'Builds the rows of a month that is not closed from the whole journal; returns how many there are';

CREATE FUNCTION onemap.score_refresh() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE m date; cases bigint[]; refreshed int := 0; dirty_cases bigint[]; dirty_from timestamptz[];
BEGIN
    PERFORM onemap.score_lock();
    WITH taken AS (DELETE FROM onemap.score_dirty d RETURNING d.case_id, d.at),
        one AS (SELECT t.case_id, min(t.at) AS at FROM taken t GROUP BY t.case_id)
    SELECT array_agg(o.case_id ORDER BY o.case_id), array_agg(o.at ORDER BY o.case_id) INTO dirty_cases, dirty_from FROM one o;
    IF dirty_cases IS NULL THEN
        RETURN 0;
    END IF;
    -- Months that are not there yet are built whole when somebody asks for them.
    FOR m IN SELECT s.month FROM onemap.score_month s WHERE s.closed_at IS NULL ORDER BY s.month LOOP
        SELECT array_agg(u.case_id) INTO cases FROM unnest(dirty_cases, dirty_from) AS u (case_id, at)
        WHERE u.at < onemap.score_day_start((m + interval '1 month')::date);
        CONTINUE WHEN cases IS NULL;
        DELETE FROM onemap.score_case c WHERE c.month = m AND c.case_id = ANY (cases);
        INSERT INTO onemap.score_case
        SELECT d.* FROM onemap.score_case_derive(onemap.score_day_start(m), onemap.score_day_start((m + interval '1 month')::date),
            cases, 9223372036854775807) d;
        refreshed := refreshed + cardinality(cases);
    END LOOP;
    RETURN refreshed;
END $$;
COMMENT ON FUNCTION onemap.score_refresh() IS 'Brings the months that are there and not closed up to the journal, case by case; returns the cases looked at';
GRANT EXECUTE ON FUNCTION onemap.score_refresh() TO cityhub_hub, cityhub_api;

-- Never waits for the lock: the sweeps before it in the same transaction may have written to the journal, which whoever
-- closes a month locks after score_lock().
CREATE FUNCTION onemap.score_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.score_dirty) AND pg_try_advisory_xact_lock(hashtext('onemap.score')) THEN
        RETURN onemap.score_refresh();
    END IF;
    RETURN 0;
END $$;
COMMENT ON FUNCTION onemap.score_sweep() IS 'Keeps the statistics of open months up to the journal; leaves it to the next time while a month is being built or closed';
INSERT INTO onemap.sweep (function_name) VALUES ('score_sweep');

CREATE FUNCTION onemap.score_month_ready(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.score_month m WHERE m.month = $1 AND m.closed_at IS NOT NULL) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM onemap.score_month m WHERE m.month = $1) THEN
        PERFORM onemap.score_month_build($1);
    ELSIF EXISTS (SELECT FROM onemap.score_dirty) THEN
        PERFORM onemap.score_refresh();
    END IF;
END $$;
COMMENT ON FUNCTION onemap.score_month_ready(date) IS 'Makes sure that a month''s rows are there and up to the journal; does nothing to a closed month';

CREATE FUNCTION onemap.score_rebuild(from_month date, to_month date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE m date; built bigint := 0;
BEGIN
    FOR m IN SELECT g::date FROM generate_series(from_month::timestamp, to_month::timestamp, '1 month') g LOOP
        CONTINUE WHEN EXISTS (SELECT FROM onemap.score_month s WHERE s.month = m AND s.closed_at IS NOT NULL);
        built := built + onemap.score_month_build(m);
    END LOOP;
    RETURN built;
END $$;
COMMENT ON FUNCTION onemap.score_rebuild(date, date) IS 'Builds all months in a span anew that are not closed; returns the rows';

-- Measures (指标) that statistics and formulas name. expression: over rows r of score_case; $1 = as of (a due moment that has
-- not come yet does not count). Only migrations write here: the expressions become part of a statement.
CREATE TABLE onemap.score_measure (
    measure    text PRIMARY KEY CHECK (measure ~ '^[a-z_]+$'),
    name_zh    text NOT NULL UNIQUE,
    position   int NOT NULL UNIQUE,
    expression text NOT NULL
);
COMMENT ON TABLE onemap.score_measure IS 'What is counted, by name: sums over score_case';
INSERT INTO onemap.score_measure (measure, name_zh, position, expression)
SELECT v.measure, v.name_zh, v.position::int, coalesce(v.expression, 'r.' || v.measure)
FROM ROWS FROM (unnest(ARRAY[
    'reported', 'accepted', 'accepted_in_time', 'rejected', 'verified', 'refuted', 'registered', 'registered_in_time', 'dispatched',
    'dispatched_in_time', 'wrong_dispatch', 'dispatched_right', 'should_handle', 'handled', 'handled_in_time', 'handled_late', 'to_handle',
    'overdue', 'feed_backs', 'feed_backs_late', 'returned', 'returns_refused', 'rework', 'rework_times', 'rework_third', 'checked',
    'checked_in_time', 'extensions_asked', 'extended', 'suspended', 'resumed', 'should_close', 'deferred', 'closed', 'closed_in_time',
    'closings', 'voided', 'merged', 'supervised', 'reminded', 'shirking', 'fraud', 'poor_cooperation', 'call_backs', 'satisfied',
    'basically_satisfied', 'dissatisfied'], ARRAY[
    '上报数', '受理数', '按时受理数', '不予受理数', '核实属实数', '核实不属实数', '立案数', '按时立案数', '派遣数',
    '按时派遣数', '错误派遣数', '准确派遣数', '应处置数', '处置数', '按期处置数', '超期处置数', '超期待处置数',
    '超期数', '反馈次数', '超期反馈次数', '回退数', '回退驳回数', '返工数', '返工次数', '三次返工数', '核查通过数',
    '按时核查数', '申请延期数', '延期数', '挂账数', '恢复数', '应结案数', '缓办数', '结案数', '按期结案数',
    '当期结案件次', '作废数', '并案数', '督办数', '催办数', '推诿数', '弄虚作假数', '配合不力数', '回访数', '满意数',
    '基本满意数', '不满意数'], ARRAY[
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, 'r.dispatched - r.wrong_dispatch', '(r.handle_due_at < $1)::int',
    'CASE WHEN r.handle_due_at < $1 THEN r.handled ELSE 0 END', 'CASE WHEN r.handle_due_at < $1 THEN r.handled_in_time ELSE 0 END',
    'CASE WHEN r.handle_due_at < $1 THEN r.handled - r.handled_in_time ELSE 0 END', 'CASE WHEN r.handle_due_at < $1 THEN 1 - r.handled ELSE 0 END',
    'CASE WHEN r.handle_due_at < $1 THEN 1 - r.handled_in_time ELSE 0 END', NULL, NULL, NULL, NULL, '(r.rework_times > 0)::int', NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, '(coalesce(r.close_due_at < $1, false)::int + coalesce(r.deferred_at < $1, false)::int)',
    '(r.deferred_at < $1)::int', 'CASE WHEN r.close_due_at < $1 THEN r.closed ELSE 0 END', 'CASE WHEN r.close_due_at < $1 THEN r.closed_in_time ELSE 0 END',
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'r.satisfied + r.basically_satisfied + r.dissatisfied', NULL,
    NULL, NULL]::text[])) WITH ORDINALITY AS v (measure, name_zh, expression, position);

CREATE TABLE onemap.score_rate (
    rate        text PRIMARY KEY CHECK (rate ~ '^[a-z_]+_rate$'),
    name_zh     text NOT NULL UNIQUE,
    position    int NOT NULL UNIQUE,
    numerator   text[] NOT NULL,
    denominator text[] NOT NULL
);
COMMENT ON TABLE onemap.score_rate IS 'Rates (%): sums of measures over sums of measures; a leading - subtracts';
INSERT INTO onemap.score_rate (rate, name_zh, position, numerator, denominator) VALUES
    ('accept_in_time_rate', '按时受理率', 1, '{accepted_in_time}', '{accepted}'),
    ('register_in_time_rate', '按时立案率', 2, '{registered_in_time}', '{registered}'),
    ('dispatch_in_time_rate', '按时派遣率', 3, '{dispatched_in_time}', '{dispatched}'),
    ('dispatch_right_rate', '准确派遣率', 4, '{dispatched_right}', '{dispatched}'),
    ('handle_rate', '处置率', 5, '{handled}', '{should_handle}'),
    ('handle_in_time_rate', '按期处置率', 6, '{handled_in_time}', '{should_handle}'),
    ('overdue_rate', '超期率', 7, '{overdue}', '{should_handle}'),
    ('rework_rate', '返工率', 8, '{rework_times}', '{feed_backs}'),
    ('return_rate', '回退率', 9, '{returned}', '{dispatched}'),
    ('check_in_time_rate', '按时核查率', 10, '{checked_in_time}', '{checked}'),
    ('close_rate', '结案率', 11, '{closed}', '{should_close,-deferred}'),
    ('close_in_time_rate', '按期结案率', 12, '{closed_in_time}', '{should_close,-deferred}'),
    ('satisfaction_rate', '满意率', 13, '{satisfied,basically_satisfied}', '{call_backs}');
GRANT SELECT ON onemap.score_measure, onemap.score_rate TO cityhub_api;

CREATE FUNCTION onemap.score_term_sum(sums jsonb, terms text[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(sum(CASE WHEN t LIKE '-%' THEN -coalesce((sums->>substr(t, 2))::numeric, 0) ELSE coalesce((sums->>t)::numeric, 0) END), 0)
    FROM unnest(terms) t
$$;
COMMENT ON FUNCTION onemap.score_term_sum(jsonb, text[]) IS 'Sum of the named measures; a leading - subtracts; a measure that is not there is 0';

CREATE FUNCTION onemap.score_rates(sums jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(q.rate, q.percent) FROM (
        SELECT r.rate, round(100 * onemap.score_term_sum(sums, r.numerator)
            / CASE WHEN onemap.score_term_sum(sums, r.denominator) > 0 THEN onemap.score_term_sum(sums, r.denominator) END, 2) AS percent
        FROM onemap.score_rate r) q
$$;
COMMENT ON FUNCTION onemap.score_rates(jsonb) IS 'All rates of these sums in percent, two decimals; null where there is nothing to divide by';

-- A filter on cases: {source: [..], urgent: bool, category: [prefix], street: [..], grid_cell: [prefix], department: [..]}.
CREATE FUNCTION onemap.score_where_problem(filter jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN filter IS NULL THEN NULL
        WHEN jsonb_typeof(filter) <> 'object' THEN 'where: must be an object'
        ELSE (SELECT min(CASE
            WHEN f.key = 'urgent' THEN CASE WHEN jsonb_typeof(f.value) <> 'boolean' THEN 'where.urgent: must be true or false' END
            WHEN f.key NOT IN ('source', 'category', 'street', 'grid_cell', 'department') THEN format('where: has no key "%s"', f.key)
            WHEN CASE WHEN jsonb_typeof(f.value) = 'array' THEN jsonb_array_length(f.value) = 0
                OR jsonb_path_exists(f.value, '$[*] ? (@.type() != "string")') ELSE true END THEN format('where.%s: must be a list of texts', f.key)
            WHEN f.key IN ('category', 'grid_cell') AND jsonb_path_exists(f.value, '$[*] ? (!(@ like_regex "^[0-9]{1,15}$"))')
                THEN format('where.%s: must be digits, the beginning of a code', f.key)
            WHEN f.key = 'source' THEN (SELECT format('where.source: there is no source "%s"', s) FROM jsonb_array_elements_text(f.value) s
                WHERE NOT EXISTS (SELECT FROM onemap.case_source c WHERE c.source = s) LIMIT 1) END)
            FROM jsonb_each(filter) f) END
$$;
COMMENT ON FUNCTION onemap.score_where_problem(jsonb) IS 'What is wrong with a filter on cases, NULL if nothing';

CREATE FUNCTION onemap.score_where_sql(filter jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(CASE
        WHEN f.key = 'urgent' THEN format('r.urgent = %L::boolean', f.value::text)
        WHEN f.key IN ('category', 'grid_cell') THEN format('r.%I LIKE ANY (%L::text[])', f.key,
            (SELECT array_agg(v || '%') FROM jsonb_array_elements_text(f.value) v))
        ELSE format('r.%I = ANY (%L::text[])', f.key, (SELECT array_agg(v) FROM jsonb_array_elements_text(f.value) v)) END,
        ' AND ' ORDER BY f.key), 'true') FROM jsonb_each(filter) f
$$;
COMMENT ON FUNCTION onemap.score_where_sql(jsonb) IS 'A checked filter as a condition on rows r of score_case';

CREATE FUNCTION onemap.score_sums(month date, as_of timestamptz, filter jsonb, dimension text, period jsonb DEFAULT NULL, only_department text DEFAULT NULL,
    only_measures text[] DEFAULT NULL) RETURNS TABLE (key text, sums jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE columns text; rows text := 'onemap.score_case r WHERE r.month = $2';
BEGIN
    SELECT string_agg(format('coalesce(sum(%s), 0) AS %I', m.expression, m.measure), ', ' ORDER BY m.position) INTO columns
    FROM onemap.score_measure m WHERE only_measures IS NULL OR m.measure = ANY (only_measures);
    IF only_department IS NOT NULL THEN
        rows := rows || ' AND r.department = $5';
    END IF;
    IF period IS NOT NULL THEN
        rows := 'onemap.score_case_derive($3, $4, onemap.score_candidates($3, $4, 9223372036854775807), 9223372036854775807) r WHERE true';
    END IF;
    RETURN QUERY EXECUTE format('SELECT s.key, to_jsonb(s) - ''key'' FROM (SELECT %s AS key, %s FROM %s AND %s GROUP BY 1) s ORDER BY s.key COLLATE "C"',
        CASE WHEN dimension IN ('department', 'street', 'grid_cell', 'category', 'source') THEN format('r.%I', dimension) ELSE '''all''::text' END,
        columns, rows, onemap.score_where_sql(filter))
        USING as_of, month, (period->>'from')::timestamptz, (period->>'to')::timestamptz, only_department;
END $$;
COMMENT ON FUNCTION onemap.score_sums(date, timestamptz, jsonb, text, jsonb, text, text[]) IS
    'All measures of a month, or of a period {from, to}, by department, street, grid_cell, category or source (anything else: in all); only_department, only_measures: of these alone';

-- By person: what each of them did, out of the events of the period themselves. What fell due has no person.
CREATE FUNCTION onemap.score_person_sums(period_from timestamptz, period_to timestamptz) RETURNS TABLE (key text, sums jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH done AS (
        SELECT e.actor, e.action, e.flags, e.overdue_s, e.at <= coalesce(e.stage_deadline_at, 'infinity') AS in_time, e.case_id, e.seq
        FROM onemap.case_event e WHERE e.at >= period_from AND e.at < period_to
    ), wrong AS (
        SELECT (SELECT p.actor FROM onemap.case_event p WHERE p.case_id = d.case_id AND p.seq < d.seq AND p.action = 'dispatch'
                ORDER BY p.seq DESC LIMIT 1) AS actor
        FROM done d WHERE d.action = 'dispatch' AND 'wrong_dispatch' = ANY (d.flags)
    ), counted AS (
        SELECT d.actor, d.action AS what, count(*) AS n FROM done d GROUP BY 1, 2
        UNION ALL SELECT d.actor, d.action || '_in_time', count(*) FROM done d
            WHERE d.in_time AND d.action IN ('accept', 'register', 'dispatch', 'check', 'close', 'verify') GROUP BY 1, 2
        UNION ALL SELECT d.actor, 'feed_back_in_time', count(*) FROM done d WHERE d.action = 'feed_back' AND d.overdue_s IS NULL GROUP BY 1
        UNION ALL SELECT w.actor, 'wrong_dispatch', count(*) FROM wrong w WHERE w.actor IS NOT NULL GROUP BY 1
    )
    SELECT c.actor, jsonb_object_agg(c.what, c.n) FROM counted c GROUP BY c.actor ORDER BY c.actor COLLATE "C"
$$;
COMMENT ON FUNCTION onemap.score_person_sums(timestamptz, timestamptz) IS
    'Actions of each person in a period: {action: count, action_in_time: count}; wrong_dispatch is the dispatcher''s who had dispatched';

CREATE FUNCTION onemap.score_statistics(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dimension text := coalesce(request->>'by', 'department'); problem text := onemap.score_where_problem(request->'where');
    month date; as_of timestamptz; period jsonb; first_day date; last_day date; result jsonb;
BEGIN
    IF dimension NOT IN ('department', 'street', 'grid_cell', 'category', 'source', 'person', 'all') THEN
        RAISE EXCEPTION 'by: must be department, street, grid_cell, category, source, person or all, not "%"', dimension USING ERRCODE = 'CH030';
    ELSIF problem IS NOT NULL OR (dimension = 'person' AND request ? 'where') THEN
        RAISE EXCEPTION '%', coalesce(problem, 'where: persons are counted without a filter') USING ERRCODE = 'CH030';
    END IF;
    IF request ? 'month' THEN
        month := onemap.score_month_parse(request->>'month');
        first_day := month;
        last_day := (month + interval '1 month - 1 day')::date;
    ELSIF onemap.score_day_parse(request->>'from') > onemap.score_day_parse(request->>'to') THEN
        RAISE EXCEPTION 'to: lies before from' USING ERRCODE = 'CH030';
    ELSE
        first_day := (request->>'from')::date;
        last_day := (request->>'to')::date;
        period := jsonb_build_object('from', onemap.score_day_start(first_day), 'to', onemap.score_day_start(last_day + 1));
    END IF;
    as_of := least(onemap.score_day_start(last_day + 1), coalesce((request->>'as_of')::timestamptz, clock_timestamp()));
    IF dimension = 'person' THEN
        SELECT coalesce(jsonb_agg(jsonb_build_object('key', s.key, 'measures', s.sums)), '[]') INTO result
        FROM onemap.score_person_sums(onemap.score_day_start(first_day), onemap.score_day_start(last_day + 1)) s;
    ELSE
        IF month IS NOT NULL THEN
            PERFORM onemap.score_month_ready(month);
        END IF;
        SELECT coalesce(jsonb_agg(jsonb_build_object('key', s.key, 'measures', s.sums, 'rates', onemap.score_rates(s.sums))), '[]') INTO result
        FROM onemap.score_sums(month, as_of, coalesce(request->'where', '{}'), dimension, period) s;
    END IF;
    RETURN jsonb_build_object('by', dimension, 'from', first_day, 'to', last_day, 'as_of', as_of, 'rows', result);
END $$;
COMMENT ON FUNCTION onemap.score_statistics(jsonb) IS
    'Statistics: {month | from, to (days), by: department|street|grid_cell|category|source|person|all, where, as_of}; returns {rows: [{key, measures, rates}]}';
GRANT EXECUTE ON FUNCTION onemap.score_statistics(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
