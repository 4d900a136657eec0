-- Working time: which days are worked (official holidays, make-up workdays), when offices are open, and the four units of
-- time in which limits of cases (案卷) are given. Every clock is a list of spans in which it runs, laid out beforehand,
-- so that adding a limit or measuring a lapse is one index lookup, however many days lie between.
-- The holidays themselves are in calendar_notice.sql.

-- Office hours (办公时间) to begin with. A county changes them by office_schedule_put(); what is there stays.
WITH schedule AS (
    INSERT INTO onemap.office_schedule (schedule, name_zh, source) VALUES
        ('standard', '全年作息', 'assumed: 08:30-12:00, 14:00-18:00 all year'),
        ('seasonal', '冬夏两季作息', 'assumed: as standard, afternoons 15:00-18:30 from 1 June to 30 September')
    ON CONFLICT (schedule) DO NOTHING RETURNING schedule)
INSERT INTO onemap.office_period (schedule, season_from, season_to, opens, closes)
SELECT p.schedule, p.season_from, p.season_to, p.opens::time, p.closes::time
FROM (VALUES
    ('standard', 101, 1231, '08:30', '12:00'), ('standard', 101, 1231, '14:00', '18:00'),
    ('seasonal', 1001, 531, '08:30', '12:00'), ('seasonal', 1001, 531, '14:00', '18:00'),
    ('seasonal', 601, 930, '08:30', '12:00'), ('seasonal', 601, 930, '15:00', '18:30')
) AS p (schedule, season_from, season_to, opens, closes) JOIN schedule USING (schedule);

-- The four units of limits; clock: continuous = always running, day = the 24 hours of working days, office = the department's
-- office hours. Made as they stand here whenever the rules are run.
WITH law (unit, name_zh, seconds, clock, definition, source) AS (VALUES
    ('urgent_hour', '紧急工作时', 3600, 'continuous', 'one hour by the clock, day and night, holidays included',
     'term of GB/T 30428.8-2020; counting by the clock: practice of cities'' handbooks'),
    ('work_hour', '工作时', 3600, 'office', 'one hour within the office hours of the responsible department',
     'term of GB/T 30428.8-2020; office hours: assumed'),
    ('work_day', '工作日', 86400, 'day', 'the 24 hours of a working day: from a moment to the same time of the next working day',
     'term of GB/T 30428.8-2020; counting to the same time of day: assumed'),
    ('urgent_day', '紧急工作日', 86400, 'continuous', '24 hours by the clock: calendar days, holidays included',
     'term of GB/T 30428.8-2020; counting calendar days: practice of cities'' systems')),
gone AS (DELETE FROM onemap.time_unit t WHERE NOT EXISTS (SELECT FROM law l WHERE l.unit = t.unit))
INSERT INTO onemap.time_unit (unit, name_zh, seconds, clock, definition, source)
SELECT l.unit, l.name_zh, l.seconds, l.clock, l.definition, l.source FROM law l
ON CONFLICT (unit) DO UPDATE SET name_zh = excluded.name_zh, seconds = excluded.seconds, clock = excluded.clock,
    definition = excluded.definition, source = excluded.source;

CREATE OR REPLACE FUNCTION onemap.working_span_build() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM onemap.working_span;
    INSERT INTO onemap.working_span (clock, opens_at, closes_at, before_s)
    SELECT s.clock, s.opens_at, s.closes_at,
           coalesce(sum(extract(epoch FROM s.closes_at - s.opens_at)) OVER
               (PARTITION BY s.clock ORDER BY s.opens_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint
    FROM (
        SELECT 'day' AS clock, onemap.local_midnight(d.day) AS opens_at, onemap.local_midnight(d.day + 1) AS closes_at
        FROM onemap.calendar_day d WHERE d.working
        UNION ALL
        SELECT p.schedule, onemap.local_moment(d.day + p.opens), onemap.local_moment(d.day + p.closes)
        FROM onemap.calendar_day d
        JOIN onemap.office_period p ON CASE WHEN p.season_from <= p.season_to
            THEN extract(month FROM d.day) * 100 + extract(day FROM d.day) BETWEEN p.season_from AND p.season_to
            ELSE extract(month FROM d.day) * 100 + extract(day FROM d.day) NOT BETWEEN p.season_to + 1 AND p.season_from - 1 END
        WHERE d.working
    ) s
$$;
COMMENT ON FUNCTION onemap.working_span_build() IS 'Lays out the spans of all clocks anew from calendar_day and office_period';

CREATE OR REPLACE FUNCTION onemap.calendar_extend(first_day date, last_day date) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE added int;
BEGIN
    INSERT INTO onemap.calendar_day (day, working, kind)
    SELECT g::date, extract(isodow FROM g) < 6, CASE WHEN extract(isodow FROM g) < 6 THEN 'workday' ELSE 'weekend' END
    FROM generate_series(first_day::timestamp, last_day::timestamp, '1 day') g
    ON CONFLICT (day) DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added > 0 THEN
        PERFORM onemap.working_span_build();
    END IF;
    RETURN added;
END $$;
COMMENT ON FUNCTION onemap.calendar_extend(date, date) IS
    'Adds days that the calendar does not have yet as a plain week of five days; a notice corrects them later; returns the days '
    'added';

CREATE OR REPLACE FUNCTION onemap.calendar_notice_apply(notice jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE notice_source text := notice->>'source'; stray date;
BEGIN
    IF coalesce(notice_source, '') = '' THEN
        RAISE EXCEPTION 'a notice needs its source, e.g. 国办发明电〔2025〕7号' USING ERRCODE = 'CH014';
    END IF;
    -- Said again, a notice replaces what it said before.
    UPDATE onemap.calendar_day d SET working = extract(isodow FROM d.day) < 6, name_zh = '', source = '',
        kind = CASE WHEN extract(isodow FROM d.day) < 6 THEN 'workday' ELSE 'weekend' END
    WHERE d.source = notice_source;
    SELECT w.day INTO stray FROM jsonb_array_elements_text(notice->'workdays') t, LATERAL (SELECT t::date AS day) w
    WHERE extract(isodow FROM w.day) < 6 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'make-up workday % is not on a weekend', stray USING ERRCODE = 'CH014';
    END IF;
    SELECT g::date INTO stray
    FROM jsonb_to_recordset(notice->'holidays') AS h(name text, first_day date, last_day date),
        generate_series(h.first_day::timestamp, h.last_day::timestamp, '1 day') g
    WHERE NOT EXISTS (SELECT FROM onemap.calendar_day d WHERE d.day = g::date) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the calendar has no day %', stray
            USING ERRCODE = 'CH014', HINT = 'Extend it first: onemap.calendar_extend.';
    END IF;
    UPDATE onemap.calendar_day d SET working = false, kind = 'holiday', name_zh = h.name, source = notice_source
    FROM jsonb_to_recordset(notice->'holidays') AS h(name text, first_day date, last_day date)
    WHERE d.day BETWEEN h.first_day AND h.last_day;
    UPDATE onemap.calendar_day d SET working = true, kind = 'makeup', name_zh = '调休上班', source = notice_source
    WHERE d.day IN (SELECT t::date FROM jsonb_array_elements_text(notice->'workdays') t);
END $$;
COMMENT ON FUNCTION onemap.calendar_notice_apply(jsonb) IS
    'Enters one notice into calendar_day: {source, holidays: [{name, first_day, last_day}], workdays: [date]}; does not lay out '
    'the spans';

CREATE OR REPLACE FUNCTION onemap.clock_position(clock text, moment timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE result numeric;
BEGIN
    IF clock = 'continuous' THEN
        RETURN extract(epoch FROM moment);
    END IF;
    SELECT w.before_s + extract(epoch FROM least(moment, w.closes_at) - w.opens_at) INTO result
    FROM onemap.working_span w WHERE w.clock = $1 AND w.opens_at <= moment ORDER BY w.opens_at DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'clock %: the working calendar does not reach back to %', clock, moment
            USING ERRCODE = 'CH014', HINT = 'Extend it: onemap.calendar_extend.';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.clock_position(text, timestamptz) IS
    'Seconds that a clock had run up to a moment, from the calendar''s beginning';

CREATE OR REPLACE FUNCTION onemap.clock_add(clock text, moment timestamptz, seconds numeric) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE s onemap.working_span; target numeric; result timestamptz := moment + make_interval(secs => seconds::float8);
BEGIN
    IF seconds = 0 OR clock = 'continuous' THEN
        RETURN result;
    ELSIF seconds < 0 THEN
        RAISE EXCEPTION 'clock %: % seconds cannot be added', clock, seconds USING ERRCODE = 'CH014';
    END IF;
    SELECT * INTO s FROM onemap.working_span w WHERE w.clock = $1 AND w.opens_at <= moment ORDER BY w.opens_at DESC LIMIT 1;
    IF NOT FOUND THEN
        PERFORM onemap.clock_position(clock, moment); -- which says why
    ELSIF result <= s.closes_at THEN
        RETURN result; -- within the same span
    END IF;
    target := s.before_s + extract(epoch FROM least(moment, s.closes_at) - s.opens_at) + seconds;
    -- Strictly before: what ends with a span ends when the office closes, not when it opens again. As bigint, like the index.
    SELECT * INTO s FROM onemap.working_span w
    WHERE w.clock = $1 AND w.before_s < ceil(target)::bigint ORDER BY w.before_s DESC LIMIT 1;
    result := s.opens_at + make_interval(secs => (target - s.before_s)::float8);
    IF result > s.closes_at THEN
        RAISE EXCEPTION 'clock %: % and % seconds is beyond the working calendar', clock, moment, seconds
            USING ERRCODE = 'CH014', HINT = 'Extend it: onemap.calendar_extend.';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.clock_add(text, timestamptz, numeric) IS
    'The moment at which a clock has run so many seconds more; a limit that ends with the office hours ends when they close';

CREATE OR REPLACE FUNCTION onemap.clock_between(clock text, since timestamptz, until timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE s onemap.working_span;
BEGIN
    IF clock <> 'continuous' THEN
        -- Mostly both lie in one span: one look-up then.
        SELECT * INTO s FROM onemap.working_span w WHERE w.clock = $1 AND w.opens_at <= since ORDER BY w.opens_at DESC LIMIT 1;
        IF since <= until AND until <= s.closes_at THEN
            RETURN extract(epoch FROM until - since);
        ELSIF FOUND THEN
            RETURN onemap.clock_position(clock, until) - (s.before_s + extract(epoch FROM least(since, s.closes_at) - s.opens_at));
        END IF;
    END IF;
    RETURN onemap.clock_position(clock, until) - onemap.clock_position(clock, since);
END $$;
COMMENT ON FUNCTION onemap.clock_between(text, timestamptz, timestamptz) IS
    'Seconds that a clock runs between two moments; negative if they are in the other order';

CREATE OR REPLACE FUNCTION onemap.clock_name(clock text, schedule text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE clock WHEN 'office' THEN coalesce(schedule, 'standard') ELSE clock END
$$;
COMMENT ON FUNCTION onemap.clock_name(text, text) IS
    'The clock of working_span by which a unit''s clock (time_unit) runs, for a department with this office schedule';

CREATE OR REPLACE FUNCTION onemap.unit_clock(unit text, schedule text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT onemap.clock_name(u.clock, schedule) FROM onemap.time_unit u WHERE u.unit = $1
$$;
COMMENT ON FUNCTION onemap.unit_clock(text, text) IS
    'The clock that a unit of time is counted by, for a department with this office schedule';

CREATE OR REPLACE FUNCTION onemap.unit_seconds(amount numeric, unit text) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT amount * u.seconds FROM onemap.time_unit u WHERE u.unit = $2
$$;
COMMENT ON FUNCTION onemap.unit_seconds(numeric, text) IS 'An amount of a unit in seconds of its clock';

CREATE OR REPLACE FUNCTION onemap.department_schedule(department_id int) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT d.schedule FROM onemap.department d WHERE d.id = $1
$$;
COMMENT ON FUNCTION onemap.department_schedule(int) IS
    'The office schedule that a department keeps, NULL if there is no such department';

CREATE OR REPLACE FUNCTION onemap.deadline(since timestamptz, amount numeric, unit text,
    department_id int DEFAULT NULL) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT onemap.clock_add(onemap.unit_clock(unit, onemap.department_schedule(department_id)), since,
        onemap.unit_seconds(amount, unit))
$$;
COMMENT ON FUNCTION onemap.deadline(timestamptz, numeric, text, int) IS
    'When a limit of so many urgent_hour, work_hour, work_day or urgent_day that began at since ends for a department';

-- The county's own changes. Open cases whose time changes with the calendar get their deadlines anew.
CREATE OR REPLACE FUNCTION onemap.calendar_notice_put(notice jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.calendar_notice_apply(notice);
    PERFORM onemap.working_span_build();
    PERFORM onemap.case_retime(notice->>'source');
    PERFORM onemap.audit('calendar_notice_put', notice);
END $$;
COMMENT ON FUNCTION onemap.calendar_notice_put(jsonb) IS
    'Enters the State Council''s notice of a year: {source, holidays: [{name, first_day, last_day}], workdays: [date]}; open '
    'cases get their deadlines anew';

CREATE OR REPLACE FUNCTION onemap.office_schedule_put(settings jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.office_schedule (schedule, name_zh, source)
    VALUES (settings->>'schedule', settings->>'name_zh', settings->>'source')
    ON CONFLICT (schedule) DO UPDATE SET name_zh = excluded.name_zh, source = excluded.source;
    DELETE FROM onemap.office_period p WHERE p.schedule = settings->>'schedule';
    INSERT INTO onemap.office_period (schedule, season_from, season_to, opens, closes)
    SELECT settings->>'schedule', coalesce(p.season_from, 101), coalesce(p.season_to, 1231), p.opens, p.closes
    FROM jsonb_to_recordset(settings->'periods') AS p(season_from int, season_to int, opens time, closes time);
    PERFORM onemap.working_span_build();
    IF EXISTS (SELECT FROM (SELECT w.opens_at, lag(w.closes_at) OVER (ORDER BY w.opens_at) AS closed_before
                            FROM onemap.working_span w WHERE w.clock = settings->>'schedule') o WHERE o.opens_at < o.closed_before)
        OR NOT EXISTS (SELECT FROM onemap.working_span w WHERE w.clock = settings->>'schedule') THEN
        RAISE EXCEPTION 'office schedule %: needs periods, and they must not overlap', settings->>'schedule'
            USING ERRCODE = 'CH014';
    END IF;
    PERFORM onemap.case_retime('office_schedule_put');
    PERFORM onemap.audit('office_schedule_put', settings);
END $$;
COMMENT ON FUNCTION onemap.office_schedule_put(jsonb) IS
    'Adds or changes office hours: {schedule, name_zh, source, periods: [{season_from, season_to, opens, closes}]}; periods must '
    'not overlap; open cases get their deadlines anew';
GRANT EXECUTE ON FUNCTION onemap.calendar_notice_put(jsonb), onemap.office_schedule_put(jsonb) TO cityhub_api, cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.calendar_sweep() RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN max(d.day) < current_date + 1000 THEN onemap.calendar_extend(max(d.day) + 1, max(d.day) + 1461) ELSE 0 END
    FROM onemap.calendar_day d
$$;
COMMENT ON FUNCTION onemap.calendar_sweep() IS
    'Keeps the calendar at least 1000 days ahead; days without a notice count as a plain week';
INSERT INTO onemap.sweep (function_name) VALUES ('calendar_sweep') ON CONFLICT DO NOTHING;
GRANT EXECUTE ON FUNCTION onemap.clock_position(text, timestamptz), onemap.clock_add(text, timestamptz, numeric),
    onemap.clock_between(text, timestamptz, timestamptz), onemap.unit_clock(text, text), onemap.unit_seconds(numeric, text),
    onemap.department_schedule(int), onemap.deadline(timestamptz, numeric, text, int) TO cityhub_hub, cityhub_api, cityhub_read;
