-- What people see of the calendar and of office hours, and enter into them, by commands: see command.sql. Working time itself is in
-- calendar.sql.

CREATE OR REPLACE FUNCTION onemap.calendar_days(request jsonb) RETURNS SETOF onemap.calendar_day
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.* FROM onemap.calendar_day d
    WHERE extract(year FROM d.day) = coalesce((request->>'year')::int, left(onemap.county_time(now(), 'YYYY'), 4)::int)
        AND (request ? 'all' OR d.kind IN ('holiday', 'makeup'))
    ORDER BY d.day
$$;
COMMENT ON FUNCTION onemap.calendar_days(jsonb) IS
    'Days of a year that are not as in a plain week: {year: else this one, all: every day of it}';

CREATE OR REPLACE FUNCTION onemap.calendar_list_table(request jsonb) RETURNS TABLE (day date, weekday text, working text, kind text,
    name text, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.day, (ARRAY['周一', '周二', '周三', '周四', '周五', '周六', '周日'])[extract(isodow FROM d.day)::int],
           CASE WHEN d.working THEN 'yes' ELSE 'no' END, d.kind, nullif(d.name_zh, ''), nullif(d.source, '')
    FROM onemap.calendar_days(request) d
$$;
COMMENT ON FUNCTION onemap.calendar_list_table(jsonb) IS 'The working calendar for people, as calendar_days()';

CREATE OR REPLACE FUNCTION onemap.calendar_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]') FROM onemap.calendar_days(request) d
$$;
COMMENT ON FUNCTION onemap.calendar_list_json(jsonb) IS 'The working calendar, as calendar_days()';

-- A holiday is the days without a gap that one notice calls by one name; it may begin in the year before.
CREATE OR REPLACE FUNCTION onemap.calendar_export_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH told AS (
        SELECT d.* FROM onemap.calendar_day d WHERE d.source IN (
            SELECT y.source FROM onemap.calendar_day y WHERE y.source <> '' AND (NOT request ? 'year'
                OR extract(year FROM y.day) = (request->>'year')::int))
    ), runs AS (
        SELECT t.source, t.name_zh, t.day, t.day - (row_number() OVER (PARTITION BY t.source, t.name_zh ORDER BY t.day))::int AS run
        FROM told t WHERE t.kind = 'holiday'
    ), holidays AS (
        SELECT r.source, jsonb_build_object('name', r.name_zh, 'first_day', min(r.day), 'last_day', max(r.day)) AS holiday,
            min(r.day) AS first_day
        FROM runs r GROUP BY r.source, r.name_zh, r.run
    ), notices AS (
        SELECT s.source, s.first_day,
            (SELECT coalesce(jsonb_agg(h.holiday ORDER BY h.first_day), '[]') FROM holidays h
             WHERE h.source = s.source) AS holidays,
            (SELECT coalesce(jsonb_agg(t.day ORDER BY t.day), '[]') FROM told t
             WHERE t.source = s.source AND t.kind = 'makeup') AS workdays
        FROM (SELECT t.source, min(t.day) AS first_day FROM told t GROUP BY t.source) s
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('source', n.source, 'holidays', n.holidays, 'workdays', n.workdays)
        ORDER BY n.first_day, n.source), '[]') FROM notices n
$$;
COMMENT ON FUNCTION onemap.calendar_export_json(jsonb) IS
    'Notices of holidays as calendar_import() reads them: {year: those that touch it, else all}';

CREATE OR REPLACE FUNCTION onemap.calendar_import_problems(notices jsonb) RETURNS TABLE (place text, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH told AS (
        SELECT e.n, CASE WHEN jsonb_typeof(notices) = 'array' THEN format('[%s]', e.n) ELSE '' END AS place, e.v
        FROM onemap.calendar_members(CASE WHEN jsonb_typeof(notices) = 'array' THEN notices ELSE jsonb_build_array(notices) END) e
    )
    SELECT concat_ws('.', nullif(t.place, ''), nullif(p.place, '')), p.problem FROM told t, onemap.calendar_notice_problems(t.v) p
    UNION ALL
    SELECT t.place || '.source', format('%s is there already, in %s', t.v->>'source', o.place)
    FROM told t JOIN told o ON o.n < t.n AND o.v->>'source' = t.v->>'source'
    UNION ALL
    (SELECT DISTINCT ON (t.n) concat_ws('.', t.place, d.place),
        format('%s is in %s already', d.day, concat_ws('.', o.place, x.place))
    FROM told t JOIN told o ON o.n < t.n, onemap.calendar_notice_days(t.v) d, onemap.calendar_notice_days(o.v) x
    WHERE x.day = d.day ORDER BY t.n, d.place, o.n)
    UNION ALL
    SELECT '', 'enters nothing: the list is empty' WHERE NOT EXISTS (SELECT FROM told)
$$;
COMMENT ON FUNCTION onemap.calendar_import_problems(jsonb) IS 'Everything that is wrong with a file of notices, by its place';

CREATE OR REPLACE FUNCTION onemap.calendar_import(notices jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE notice jsonb; entered jsonb := jsonb_build_array(); replaced jsonb := jsonb_build_array(); problems text[];
BEGIN
    SELECT array_agg(concat_ws(': ', nullif(p.place, ''), p.problem) ORDER BY p.place) INTO problems
    FROM onemap.calendar_import_problems(notices) p;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION '%', problems[1] USING ERRCODE = 'CH014', DETAIL = array_to_string(problems[2:], E'\n');
    END IF;
    FOR notice IN SELECT jsonb_array_elements(
            CASE WHEN jsonb_typeof(notices) = 'array' THEN notices ELSE jsonb_build_array(notices) END) LOOP
        replaced := replaced || onemap.calendar_replaced_json(notice);
        PERFORM onemap.calendar_notice_put(notice);
        entered := entered || jsonb_build_array(notice->'source');
    END LOOP;
    RETURN jsonb_build_object('entered', entered, 'replaced', replaced);
END $$;
COMMENT ON FUNCTION onemap.calendar_import(jsonb) IS
    'Enters notices of holidays, one or a list, all or none, see calendar_notice_apply(); returns {entered: [source], replaced: '
    '[{source, name, first_day, last_day} that they took from others]}';

CREATE OR REPLACE FUNCTION onemap.calendar_office_names(request jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ? 'schedule' AND NOT EXISTS (SELECT FROM onemap.office_schedule s WHERE s.schedule = request->>'schedule') THEN
        RAISE EXCEPTION 'there are no office hours "%"', request->>'schedule' USING ERRCODE = 'CH013',
            DETAIL = format('没有办公时间 %s', request->>'schedule'), HINT = 'Office hours: '
            || (SELECT string_agg(s.schedule, ', ' ORDER BY s.schedule) FROM onemap.office_schedule s) || '.';
    END IF;
    RETURN ARRAY(SELECT s.schedule FROM onemap.office_schedule s WHERE s.schedule = coalesce(request->>'schedule', s.schedule));
END $$;
COMMENT ON FUNCTION onemap.calendar_office_names(jsonb) IS
    'The office hours that are asked for, which must be there: {schedule: else all}';

CREATE OR REPLACE FUNCTION onemap.calendar_office_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('schedule', s.schedule, 'name_zh', s.name_zh, 'source', s.source, 'periods',
        (SELECT coalesce(jsonb_agg(jsonb_build_object('season_from', p.season_from, 'season_to', p.season_to,
             'opens', to_char(p.opens, 'HH24:MI'), 'closes', to_char(p.closes, 'HH24:MI')) ORDER BY p.season_from, p.opens), '[]')
         FROM onemap.office_period p WHERE p.schedule = s.schedule)) ORDER BY s.schedule), '[]')
    FROM onemap.office_schedule s WHERE s.schedule = ANY (onemap.calendar_office_names(request))
$$;
COMMENT ON FUNCTION onemap.calendar_office_json(jsonb) IS
    'Office hours as calendar_office_import() reads them: {schedule: else all}';

CREATE OR REPLACE FUNCTION onemap.calendar_office_table(request jsonb)
RETURNS TABLE (schedule text, name text, season text, opens text,
    closes text, departments bigint, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.schedule, s.name_zh, CASE WHEN p.season_from = 101 AND p.season_to = 1231 THEN 'all year' ELSE
               to_char(p.season_from, 'FM00"-"00') || ' to ' || to_char(p.season_to, 'FM00"-"00') END,
           to_char(p.opens, 'HH24:MI'), to_char(p.closes, 'HH24:MI'),
           (SELECT count(*) FROM onemap.department d WHERE d.schedule = s.schedule AND d.active), s.source
    FROM onemap.office_schedule s JOIN onemap.office_period p ON p.schedule = s.schedule
    WHERE s.schedule = ANY (onemap.calendar_office_names(request)) ORDER BY s.schedule, p.season_from, p.opens
$$;
COMMENT ON FUNCTION onemap.calendar_office_table(jsonb) IS 'Office hours for people: {schedule: else all}; seasons as month-day';

-- What office_schedule_put() would refuse by a constraint, in a sentence.
CREATE OR REPLACE FUNCTION onemap.calendar_office_problem(settings jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH p AS (
        SELECT e.v, e.n, coalesce(e.v->>'season_from', '101') AS season_from, coalesce(e.v->>'season_to', '1231') AS season_to
        FROM jsonb_array_elements(CASE WHEN jsonb_typeof(settings->'periods') = 'array' THEN settings->'periods' ELSE '[]' END)
            WITH ORDINALITY AS e (v, n)
    ), problems (position, problem) AS (
        SELECT 0, CASE
            WHEN jsonb_typeof(settings) IS DISTINCT FROM 'object' THEN 'must be an object'
            WHEN onemap.unknown_keys(settings, '{schedule,name_zh,source,periods}') IS NOT NULL THEN
                format('%s: there is no such key; known are schedule, name_zh, source and periods',
                    onemap.unknown_keys(settings, '{schedule,name_zh,source,periods}'))
            WHEN NOT coalesce(settings->>'schedule', '') ~ '^[a-z][a-z0-9_]{0,31}$'
                OR settings->>'schedule' IN ('continuous', 'day') THEN
                'schedule: must be 1 to 32 small letters, digits and _, first a letter, and neither "continuous" nor "day"'
            WHEN coalesce(settings->>'name_zh', '') = '' THEN 'name_zh: is missing'
            WHEN coalesce(settings->>'source', '') = '' THEN 'source: is missing (the document that sets the hours, or "assumed")'
            WHEN NOT EXISTS (SELECT FROM p) THEN 'periods: must be a list of {opens, closes, season_from, season_to}, not empty' END
        UNION ALL
        SELECT p.n, format('periods[%s]: ', p.n - 1) || CASE
            WHEN jsonb_typeof(p.v) <> 'object' THEN 'must be an object {"opens", "closes", "season_from", "season_to"}'
            WHEN onemap.unknown_keys(p.v, '{opens,closes,season_from,season_to}') IS NOT NULL THEN
                'there is no such key: ' || onemap.unknown_keys(p.v, '{opens,closes,season_from,season_to}')
            WHEN NOT coalesce(p.v->>'opens', '') ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'
                OR NOT coalesce(p.v->>'closes', '') ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$' THEN
                'opens and closes must be times such as "08:30"'
            WHEN p.v->>'opens' >= p.v->>'closes' THEN format('closes at %s, which is not after %s', p.v->>'closes', p.v->>'opens')
            WHEN NOT p.season_from ~ '^(1[0-2]|[1-9])(0[1-9]|[12][0-9]|3[01])$'
                OR NOT p.season_to ~ '^(1[0-2]|[1-9])(0[1-9]|[12][0-9]|3[01])$' THEN
                'season_from and season_to must be month x 100 + day, such as 601 and 930' END
        FROM p
    )
    SELECT q.problem FROM problems q WHERE q.problem IS NOT NULL ORDER BY q.position LIMIT 1
$$;
COMMENT ON FUNCTION onemap.calendar_office_problem(jsonb) IS 'The first thing that is wrong with office hours, NULL if nothing';

CREATE OR REPLACE FUNCTION onemap.calendar_office_import(settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE one jsonb; problem text; entered jsonb := jsonb_build_array();
BEGIN
    IF settings = '[]' THEN
        RAISE EXCEPTION 'enters nothing: the list is empty' USING ERRCODE = 'CH014',
            DETAIL = '没有要录入的：列表是空的';
    END IF;
    FOR one IN SELECT jsonb_array_elements(
            CASE WHEN jsonb_typeof(settings) = 'array' THEN settings ELSE jsonb_build_array(settings) END) LOOP
        problem := onemap.calendar_office_problem(one);
        IF problem IS NULL AND entered ? (one->>'schedule') THEN
            problem := 'they are there already, before in the list';
        END IF;
        IF problem IS NOT NULL THEN
            RAISE EXCEPTION 'office hours%: %', coalesce(' "' || (one->>'schedule') || '"', ''), problem USING ERRCODE = 'CH014';
        END IF;
        PERFORM onemap.office_schedule_put(one);
        entered := entered || jsonb_build_array(one->'schedule');
    END LOOP;
    RETURN jsonb_build_object('entered', entered);
END $$;
COMMENT ON FUNCTION onemap.calendar_office_import(jsonb) IS
    'Adds or changes office hours, one or a list, all or none, as office_schedule_put() takes them; returns {entered: [schedule]}';
