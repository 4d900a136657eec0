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

CREATE OR REPLACE FUNCTION onemap.calendar_day_read(typed text) RETURNS date LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF typed ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN
        RETURN make_date(substr(typed, 1, 4)::int, substr(typed, 6, 2)::int, substr(typed, 9, 2)::int);
    END IF;
    RETURN NULL;
EXCEPTION WHEN datetime_field_overflow THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.calendar_day_read(text) IS 'A day such as 2027-01-01, NULL if the text is none';

CREATE OR REPLACE FUNCTION onemap.calendar_members(list jsonb) RETURNS TABLE (n bigint, v jsonb)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.n - 1, e.v FROM jsonb_array_elements(CASE WHEN jsonb_typeof(list) = 'array' THEN list ELSE '[]' END)
        WITH ORDINALITY AS e (v, n)
$$;
COMMENT ON FUNCTION onemap.calendar_members(jsonb) IS 'The members of a list with their places from 0; none of what is no list';

-- The days that a notice says something of, each with its place in the notice.
CREATE OR REPLACE FUNCTION onemap.calendar_notice_days(notice jsonb) RETURNS TABLE (place text, day date, worked boolean)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('holidays[%s]', h.n), g::date, false
    FROM onemap.calendar_members(notice->'holidays') h,
        LATERAL (SELECT onemap.calendar_day_read(h.v->>'first_day') AS first_day,
            onemap.calendar_day_read(h.v->>'last_day') AS last_day) d,
        generate_series(d.first_day::timestamp, least(d.last_day, d.first_day + 60)::timestamp, '1 day') g
    UNION ALL
    SELECT format('workdays[%s]', w.n), onemap.calendar_day_read(w.v #>> '{}'), true
    FROM onemap.calendar_members(notice->'workdays') w WHERE onemap.calendar_day_read(w.v #>> '{}') IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.calendar_notice_days(jsonb) IS 'Every day of a notice: place in it, day, whether it is worked';

CREATE OR REPLACE FUNCTION onemap.calendar_notice_form(notice jsonb) RETURNS TABLE (place text, problem text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.key, 'there is no such key; known are source, replaces, holidays and workdays'
    FROM jsonb_object_keys(CASE WHEN jsonb_typeof(notice) = 'object' THEN notice ELSE '{}' END) AS k (key)
    WHERE k.key NOT IN ('source', 'replaces', 'holidays', 'workdays')
    UNION ALL
    SELECT t.place, t.problem FROM (VALUES
        ('', 'must be an object {"source", "holidays", "workdays"}', jsonb_typeof(notice) IS DISTINCT FROM 'object'),
        ('source', 'is missing: a notice needs its source, e.g. 国办发明电〔2025〕7号', jsonb_typeof(notice) = 'object'
            AND (jsonb_typeof(notice->'source') IS DISTINCT FROM 'string' OR onemap.bare(notice->>'source') = '')),
        ('source', 'begins or ends with a blank', jsonb_typeof(notice->'source') = 'string'
            AND onemap.bare(notice->>'source') NOT IN ('', notice->>'source')),
        ('holidays', 'must be a list of {"name", "first_day", "last_day"}',
            coalesce(jsonb_typeof(notice->'holidays'), 'array') <> 'array'),
        ('replaces', 'must be a list of sources', coalesce(jsonb_typeof(notice->'replaces'), 'array') <> 'array'),
        ('workdays', 'must be a list of days', coalesce(jsonb_typeof(notice->'workdays'), 'array') <> 'array'))
        AS t (place, problem, holds) WHERE t.holds
    UNION ALL
    SELECT format('holidays[%s]%s', h.n, t.member), t.problem
    FROM onemap.calendar_members(notice->'holidays') h,
        LATERAL (SELECT CASE WHEN jsonb_typeof(h.v) = 'object' THEN h.v ELSE '{}' END AS o) x,
        LATERAL (SELECT onemap.calendar_day_read(x.o->>'first_day') AS first_day,
            onemap.calendar_day_read(x.o->>'last_day') AS last_day) d,
        LATERAL (VALUES ('', 'must be an object {"name", "first_day", "last_day"}', jsonb_typeof(h.v) <> 'object'),
            ('', 'there is no such key: ' || onemap.unknown_keys(x.o, '{name,first_day,last_day}'),
                onemap.unknown_keys(x.o, '{name,first_day,last_day}') IS NOT NULL),
            ('.name', 'is missing', x.o <> '{}' AND onemap.bare(coalesce(x.o->>'name', '')) = ''),
            ('.name', 'begins or ends with a blank', onemap.bare(x.o->>'name') NOT IN ('', x.o->>'name')),
            ('.first_day', format('must be a day such as 2027-01-01, not %s', coalesce(x.o->>'first_day', 'left out')),
                x.o <> '{}' AND d.first_day IS NULL),
            ('.last_day', format('must be a day such as 2027-01-01, not %s', coalesce(x.o->>'last_day', 'left out')),
                x.o <> '{}' AND d.last_day IS NULL),
            ('.last_day', format('%s is before the first day, %s', d.last_day, d.first_day), d.last_day < d.first_day),
            ('.last_day', format('%s is %s days after the first day, %s: no holiday is that long', d.last_day,
                d.last_day - d.first_day, d.first_day), d.last_day - d.first_day > 30)) AS t (member, problem, holds)
    WHERE t.holds
    UNION ALL
    SELECT format('workdays[%s]', w.n), format('must be a day such as 2027-01-01, not %s', w.v)
    FROM onemap.calendar_members(notice->'workdays') w
    WHERE jsonb_typeof(w.v) <> 'string' OR onemap.calendar_day_read(w.v #>> '{}') IS NULL
$$;
COMMENT ON FUNCTION onemap.calendar_notice_form(jsonb) IS 'What is wrong with the form of a notice, by its place';

-- A later notice replaces the holidays of others that it speaks of, by their days or by their name, and takes the days that it
-- says something else of.
CREATE OR REPLACE FUNCTION onemap.calendar_notice_replaced(notice jsonb)
RETURNS TABLE (place text, source text, kind text, name text, first_day date, last_day date)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH others AS (
        SELECT d.* FROM onemap.calendar_day d WHERE d.source <> '' AND d.source IS DISTINCT FROM notice->>'source'
    ), runs AS (
        SELECT o.source, o.name_zh, o.day, o.day - (row_number() OVER (PARTITION BY o.source, o.name_zh ORDER BY o.day))::int AS run
        FROM others o WHERE o.kind = 'holiday'
    ), spans AS (
        SELECT r.source, r.name_zh, min(r.day) AS first_day, max(r.day) AS last_day FROM runs r GROUP BY r.source, r.name_zh, r.run
    ), said AS (
        SELECT format('holidays[%s]', h.n) AS place, h.v->>'name' AS name, onemap.calendar_day_read(h.v->>'first_day') AS first_day,
            onemap.calendar_day_read(h.v->>'last_day') AS last_day
        FROM onemap.calendar_members(notice->'holidays') h
    ), gone AS (
        SELECT min(x.place) AS place, s.source, 'holiday' AS kind, s.name_zh, s.first_day, s.last_day
        FROM spans s JOIN said x ON x.first_day <= s.last_day AND x.last_day >= s.first_day
            OR x.name = s.name_zh AND abs(x.first_day - s.first_day) <= 31
        GROUP BY s.source, s.name_zh, s.first_day, s.last_day
    )
    SELECT g.* FROM gone g
    UNION ALL
    SELECT n.place, o.source, o.kind, o.name_zh, o.day, o.day
    FROM others o JOIN onemap.calendar_notice_days(notice) n ON n.day = o.day
    WHERE NOT EXISTS (SELECT FROM gone g WHERE g.source = o.source AND o.day BETWEEN g.first_day AND g.last_day)
    ORDER BY 5, 2
$$;
COMMENT ON FUNCTION onemap.calendar_notice_replaced(jsonb) IS
    'What a notice takes from others that are in force: holidays, and single days of theirs; place is in the notice';

CREATE OR REPLACE FUNCTION onemap.calendar_replaced_words(name text, source text, first_day date, last_day date) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s %s of %s', name, concat_ws(' to ', first_day, nullif(last_day, first_day)), source)
$$;
COMMENT ON FUNCTION onemap.calendar_replaced_words(text, text, date, date) IS 'A holiday or day of a notice, e.g. for a refusal';

CREATE OR REPLACE FUNCTION onemap.calendar_notice_problems(notice jsonb) RETURNS TABLE (place text, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH days AS MATERIALIZED (SELECT d.*, row_number() OVER () AS n FROM onemap.calendar_notice_days(notice) d),
    found AS (
        SELECT f.place, f.problem FROM onemap.calendar_notice_form(notice) f
        UNION ALL
        SELECT d.place, format('make-up workday %s is not on a weekend', d.day) FROM days d
        WHERE d.worked AND extract(isodow FROM d.day) < 6
        UNION ALL
        SELECT DISTINCT ON (d.place, o.place) d.place, CASE WHEN d.worked = o.worked
            THEN format('%s is in %s already', d.day, o.place) ELSE format('%s is a holiday in %s', d.day, o.place) END
        FROM days d JOIN days o ON o.day = d.day AND o.n < d.n
        UNION ALL
        SELECT d.place, format('%s is more than a year away from %s: a notice is of one year', d.day, f.first_day)
        FROM (SELECT min(x.day) AS first_day FROM days x) f JOIN days d ON d.day > f.first_day + 400
        UNION ALL
        SELECT d.place, format('the calendar begins on %s, it has no day %s', c.first_day, d.day)
        FROM (SELECT min(x.day) AS first_day FROM onemap.calendar_day x) c JOIN days d ON d.day < c.first_day
        UNION ALL
        SELECT d.place, format('%s is more than ten years ahead', d.day) FROM days d
        WHERE d.day > onemap.local_time(now())::date + 3660
        UNION ALL
        SELECT r.place, format('takes %s: if that is meant, name the source in "replaces"',
            string_agg(onemap.calendar_replaced_words(r.name, r.source, r.first_day, r.last_day), ', ' ORDER BY r.first_day))
        FROM onemap.calendar_notice_replaced(notice) r
        WHERE jsonb_typeof(notice->'replaces') IS DISTINCT FROM 'array' OR NOT notice->'replaces' ? r.source
        GROUP BY r.place
    )
    SELECT f.place, min(f.problem) FROM found f GROUP BY f.place
    UNION ALL
    SELECT '', 'enters nothing: it has neither holidays nor workdays'
    WHERE NOT EXISTS (SELECT FROM days) AND NOT EXISTS (SELECT FROM found)
    ORDER BY 1
$$;
COMMENT ON FUNCTION onemap.calendar_notice_problems(jsonb) IS
    'Everything that is wrong with a notice, one a place: what it does not understand, what contradicts itself, what enters '
    'nothing; no rows = it can be entered';

-- With its last holiday a notice goes whole, its make-up workdays too.
CREATE OR REPLACE FUNCTION onemap.calendar_notice_replace(notice jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH replaced AS MATERIALIZED (SELECT r.* FROM onemap.calendar_notice_replaced(notice) r),
    nothing_left AS (
        SELECT r.source FROM replaced r WHERE r.kind = 'holiday' AND NOT EXISTS (
            SELECT FROM onemap.calendar_day h WHERE h.source = r.source AND h.kind = 'holiday' AND NOT EXISTS (
                SELECT FROM replaced x WHERE x.source = h.source AND h.day BETWEEN x.first_day AND x.last_day))
    )
    UPDATE onemap.calendar_day d SET working = extract(isodow FROM d.day) < 6, name_zh = '', source = '',
        kind = CASE WHEN extract(isodow FROM d.day) < 6 THEN 'workday' ELSE 'weekend' END
    WHERE d.source = notice->>'source' OR d.source IN (SELECT l.source FROM nothing_left l)
        OR EXISTS (SELECT FROM replaced r
            WHERE r.source = d.source AND r.kind = d.kind AND d.day BETWEEN r.first_day AND r.last_day)
$$;
COMMENT ON FUNCTION onemap.calendar_notice_replace(jsonb) IS
    'Makes the days plain again that an earlier notice, or this one said before, has set and that this one replaces';

CREATE OR REPLACE FUNCTION onemap.calendar_notice_apply(notice jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE first record; others text;
BEGIN
    SELECT p.place, p.problem INTO first FROM onemap.calendar_notice_problems(notice) p LIMIT 1;
    IF FOUND THEN
        SELECT string_agg(concat_ws(': ', nullif(p.place, ''), p.problem), E'\n') INTO others
        FROM (SELECT x.place, x.problem FROM onemap.calendar_notice_problems(notice) x OFFSET 1) p;
        RAISE EXCEPTION '%', concat_ws(': ', nullif(first.place, ''), first.problem)
            USING ERRCODE = 'CH014', DETAIL = coalesce(others, '');
    END IF;
    PERFORM onemap.calendar_extend(m.last_day + 1, make_date(extract(year FROM d.last_day)::int, 12, 31))
    FROM (SELECT max(x.day) AS last_day FROM onemap.calendar_day x) m,
        (SELECT max(x.day) AS last_day FROM onemap.calendar_notice_days(notice) x) d WHERE d.last_day > m.last_day;
    PERFORM onemap.calendar_notice_replace(notice);
    UPDATE onemap.calendar_day d SET working = false, kind = 'holiday', name_zh = h.name, source = notice->>'source'
    FROM jsonb_to_recordset(coalesce(notice->'holidays', '[]')) AS h(name text, first_day date, last_day date)
    WHERE d.day BETWEEN h.first_day AND h.last_day;
    UPDATE onemap.calendar_day d SET working = true, kind = 'makeup', name_zh = '调休上班', source = notice->>'source'
    WHERE d.day IN (SELECT t::date FROM jsonb_array_elements_text(coalesce(notice->'workdays', '[]')) t);
END $$;
COMMENT ON FUNCTION onemap.calendar_notice_apply(jsonb) IS
    'Enters one notice into calendar_day: {source, replaces: [other sources whose days it may take], holidays: [{name, first_day, '
    'last_day}], workdays: [date]}, or refuses it whole (CH014) with what is wrong and where; does not lay out the spans';

-- The State Council's notice of a year comes in the November before. What falls into a year without one is counted by a plain week.
CREATE OR REPLACE FUNCTION onemap.calendar_warning() RETURNS TABLE (warning text, warning_zh text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH reach AS (
        SELECT onemap.local_time(now())::date AS today, onemap.local_time(greatest(
            -- The longest limit that a case could get now, weekends and holidays in it generously counted, and what is open.
            now() + coalesce((SELECT max(n.limit_value * u.seconds
                    * CASE u.clock WHEN 'continuous' THEN 1 WHEN 'day' THEN 2 ELSE 6 END)
                FROM onemap.case_condition n JOIN onemap.time_unit u ON u.unit = n.limit_unit
                WHERE n.version = (SELECT max(c.version) FROM onemap.case_catalogue c)), 0) * interval '1 second',
            (SELECT max(r.deadline_at) FROM onemap.case_record r WHERE r.ended_at IS NULL)))::date AS last_day
    ), years AS (
        SELECT y::int AS year FROM reach r, generate_series(extract(year FROM r.today)::int,
            least(extract(year FROM r.last_day)::int, extract(year FROM r.today)::int + 10)) y
    )
    SELECT format('no notice of holidays is entered for %s, into which deadlines fall: they are counted by a plain week; '
        '`cityhub calendar import` enters it', string_agg(y.year::text, ', ' ORDER BY y.year)),
        format('还没有录入 %s 年的节假日安排，而有时限落在其中：暂按一般的周计算。请在“文件导入”录入，或用 cityhub calendar import',
            string_agg(y.year::text, '、' ORDER BY y.year))
    FROM years y WHERE NOT EXISTS (SELECT FROM onemap.calendar_day d
        WHERE d.day BETWEEN make_date(y.year, 1, 2) AND make_date(y.year, 12, 30) AND d.kind = 'holiday')
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION onemap.calendar_warning() IS
    'What the calendar lacks for deadlines that run or could be set now, in a sentence of each language; no row: nothing';
GRANT EXECUTE ON FUNCTION onemap.calendar_warning() TO cityhub_hub, cityhub_api, cityhub_read;

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

CREATE OR REPLACE FUNCTION onemap.calendar_replaced_json(notice jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(r) - '{place,kind}'::text[]), '[]') FROM onemap.calendar_notice_replaced(notice) r
$$;
COMMENT ON FUNCTION onemap.calendar_replaced_json(jsonb) IS
    'What a notice takes from others: [{source, name, first_day, last_day}]';

-- The county's own changes. Open cases whose time changes with the calendar get their deadlines anew.
CREATE OR REPLACE FUNCTION onemap.calendar_notice_put(notice jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE replaced jsonb := onemap.calendar_replaced_json(notice);
BEGIN
    PERFORM onemap.calendar_notice_apply(notice);
    PERFORM onemap.working_span_build();
    PERFORM onemap.case_retime(notice->>'source');
    PERFORM onemap.audit('calendar_notice_put', notice || jsonb_build_object('replaced', replaced));
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
            USING ERRCODE = 'CH014',
            DETAIL = format('办公时间 %s 须有时段，且不能重叠', settings->>'schedule');
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
    onemap.clock_between(text, timestamptz, timestamptz), onemap.clock_name(text, text), onemap.unit_clock(text, text),
    onemap.unit_seconds(numeric, text), onemap.department_schedule(int), onemap.deadline(timestamptz, numeric, text, int)
    TO cityhub_hub, cityhub_api, cityhub_read;
