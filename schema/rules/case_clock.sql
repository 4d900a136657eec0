-- The handling clock of a case: set going, stopped, read; the limits of stages; warnings, and new deadlines after a change of the
-- calendar. Clocks themselves are in calendar.sql.

CREATE OR REPLACE FUNCTION onemap.clock_shift(clock text, moment timestamptz, seconds numeric) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE s onemap.working_span; target numeric;
BEGIN
    IF seconds >= 0 THEN
        RETURN onemap.clock_add(clock, moment, seconds);
    ELSIF clock = 'continuous' THEN
        RETURN moment + make_interval(secs => seconds::float8);
    END IF;
    target := onemap.clock_position(clock, moment) + seconds;
    SELECT * INTO s FROM onemap.working_span w
    WHERE w.clock = $1 AND w.before_s < ceil(target)::bigint ORDER BY w.before_s DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'clock %: % less % seconds is before the working calendar', clock, moment, -seconds
            USING ERRCODE = 'CH014', HINT = 'Extend it: onemap.calendar_extend.';
    END IF;
    RETURN s.opens_at + make_interval(secs => (target - s.before_s)::float8);
END $$;
COMMENT ON FUNCTION onemap.clock_shift(text, timestamptz, numeric) IS
    'onemap.clock_add() for seconds below 0 too: the moment since which the clock has run so long';

CREATE OR REPLACE FUNCTION onemap.case_remaining(c onemap.case_record, moment timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF c.clock_started_at IS NULL THEN
        RETURN c.remaining_s;
    END IF;
    RETURN c.remaining_s - onemap.clock_between(c.clock, c.clock_started_at, moment);
END $$;
COMMENT ON FUNCTION onemap.case_remaining(onemap.case_record, timestamptz) IS
    'Seconds of the handling clock left at a moment, negative = overdue; NULL before dispatch';

CREATE OR REPLACE FUNCTION onemap.case_clock_set(c onemap.case_record, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE
    margin numeric := c.remaining_s
        - c.limit_s * (SELECT v.value::numeric FROM onemap.setting v WHERE v.key = 'case_warn_share');
BEGIN
    c.clock_started_at := moment;
    c.deadline_at := onemap.clock_shift(c.clock, moment, c.remaining_s);
    c.warn_at := CASE WHEN margin > 0 THEN onemap.clock_shift(c.clock, moment, margin) ELSE moment END;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_clock_set(onemap.case_record, timestamptz) IS
    'Sets the handling clock going from a moment with the seconds that remain: deadline and warning follow';

CREATE OR REPLACE FUNCTION onemap.case_clock_stop(c onemap.case_record, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
BEGIN
    c.remaining_s := onemap.case_remaining(c, moment);
    c.clock_started_at := NULL;
    c.warn_at := NULL;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_clock_stop(onemap.case_record, timestamptz) IS 'Stops the handling clock: what remains is kept';

CREATE OR REPLACE FUNCTION onemap.case_stage_deadline(c onemap.case_record) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE clock text; seconds numeric;
BEGIN
    SELECT CASE WHEN nu.clock = 'continuous' THEN nu.clock ELSE onemap.clock_name(su.clock, NULL) END, s.limit_value * su.seconds
    INTO clock, seconds
    FROM onemap.case_stage_limit s JOIN onemap.time_unit su ON su.unit = s.limit_unit
    LEFT JOIN onemap.case_condition n
        ON n.version = c.catalogue_version AND n.category_code = c.category_code AND n.number = c.condition_number
    LEFT JOIN onemap.time_unit nu ON nu.unit = n.limit_unit
    WHERE s.state = c.state;
    RETURN CASE WHEN FOUND THEN onemap.clock_add(clock, c.stage_entered_at, seconds) END;
END $$;
COMMENT ON FUNCTION onemap.case_stage_deadline(onemap.case_record) IS
    'When the centre''s own limit for the case''s state ends, NULL if the state has none; by the clock where the condition''s '
    'limit is an urgent one';

-- ---- warnings and new calendars ----

CREATE OR REPLACE FUNCTION onemap.case_warning_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE given jsonb; total int;
BEGIN
    WITH due AS (
        SELECT c.id, c.code, k.kind, k.deadline_at
        FROM onemap.case_record c, LATERAL (VALUES
            ('due_soon', c.deadline_at, c.clock_started_at IS NOT NULL AND c.warn_at <= now() AND c.deadline_at > now()),
            ('overdue', c.deadline_at, c.clock_started_at IS NOT NULL AND c.deadline_at <= now()),
            ('stage_overdue', c.stage_deadline_at, c.stage_deadline_at <= now())) AS k (kind, deadline_at, holds)
        WHERE c.ended_at IS NULL AND k.holds
    ), added AS (
        INSERT INTO onemap.case_warning (case_id, kind, deadline_at) SELECT d.id, d.kind, d.deadline_at FROM due d
        ON CONFLICT DO NOTHING RETURNING case_id, kind
    ) SELECT jsonb_agg(jsonb_build_object('case', c.code, 'warning', a.kind) ORDER BY a.case_id, a.kind), count(*)::int
        INTO given, total
      FROM added a JOIN onemap.case_record c ON c.id = a.case_id;
    IF total > 0 THEN
        -- A payload has room for 8000 bytes; who wants all reads case_warning.
        PERFORM pg_notify('cityhub_cases', jsonb_build_object('warnings', total, 'first', given->0)::text);
    END IF;
    RETURN total;
END $$;
COMMENT ON FUNCTION onemap.case_warning_sweep() IS
    'Gives the warnings that are due, once per case, kind and deadline: due_soon, overdue, stage_overdue; returns how many';
INSERT INTO onemap.sweep (function_name) VALUES ('case_warning_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.case_retime(source text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE c onemap.case_record; n onemap.case_record; changed int := 0;
BEGIN
    FOR c IN SELECT r.* FROM onemap.case_record r WHERE r.ended_at IS NULL AND r.state <> 'suspended'
        ORDER BY r.id FOR NO KEY UPDATE LOOP
        n := onemap.case_act(c, 'retime', '{}', c.last_event_at);
        IF (n.deadline_at, onemap.case_stage_deadline(n)) IS DISTINCT FROM (c.deadline_at, c.stage_deadline_at) THEN
            PERFORM onemap.case_apply(c, 'retime', 'system', 'cityhub', greatest(clock_timestamp(), c.last_event_at),
                                      jsonb_build_object('reason', coalesce(nullif($1, ''), 'calendar')), '=');
            changed := changed + 1;
        END IF;
    END LOOP;
    RETURN changed;
END $$;
COMMENT ON FUNCTION onemap.case_retime(text) IS
    'After a change of calendar or office hours: open cases whose deadline or stage deadline is another now get it by an event '
    'retime, whose reason is the source; returns how many. A suspended case needs none: its deadline follows when it resumes';

CREATE OR REPLACE FUNCTION onemap.case_clock_json(c onemap.case_record, moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN c.limit_s IS NULL THEN NULL ELSE jsonb_build_object('limit_value', c.limit_value, 'limit_unit', c.limit_unit,
        'clock', c.clock, 'running', c.clock_started_at IS NOT NULL, 'deadline_at', c.deadline_at, 'limit_s', c.limit_s,
        'used_s', round(c.limit_s - r.left_s, 3), 'remaining_s', round(greatest(r.left_s, 0), 3),
        'overdue_s', round(greatest(-r.left_s, 0), 3),
        'overdue', CASE WHEN c.clock_started_at IS NULL THEN r.left_s < 0 ELSE moment > c.deadline_at END) END
    FROM (SELECT onemap.case_remaining(c, moment) AS left_s) r
$$;
COMMENT ON FUNCTION onemap.case_clock_json(onemap.case_record, timestamptz) IS
    'The handling clock at a moment: {limit_value, limit_unit, clock, running, deadline_at, limit_s, used_s, remaining_s, '
    'overdue_s, overdue}, seconds of that clock; NULL before dispatch';

CREATE OR REPLACE FUNCTION onemap.case_clock(code text, at timestamptz DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE c onemap.case_record; moment timestamptz := coalesce(at, clock_timestamp());
BEGIN
    SELECT * INTO c FROM onemap.case_record r WHERE r.code = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%"', code USING ERRCODE = 'CH017';
    ELSIF moment < c.clock_started_at THEN
        RAISE EXCEPTION 'case %: its clock was set going at %; what it showed before is in its journal', code, c.clock_started_at
            USING ERRCODE = 'CH014';
    END IF;
    RETURN onemap.case_clock_json(c, moment);
END $$;
COMMENT ON FUNCTION onemap.case_clock(text, timestamptz) IS
    'The handling clock of a case now or at any moment since it was last set going: deadline_at, remaining_s, overdue_s, see '
    'case_clock_json()';
GRANT EXECUTE ON FUNCTION onemap.case_clock(text, timestamptz) TO cityhub_api, cityhub_hub, cityhub_read;
