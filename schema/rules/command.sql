-- What `cityhub`'s commands show people and read from them: for each list a table (columns and times as a person reads them,
-- _table) and its JSON (_json), and the few requests that need a word more than the rules give. A command calls one of these by
-- its name and knows no column. Nothing here decides anything about cases or scores: that is in the rules these call.
--
-- Every function takes one request as JSON and ignores members that it does not know: the command's table of options says
-- which there are.

CREATE OR REPLACE FUNCTION onemap.county_time(moment timestamptz, form text DEFAULT 'YYYY-MM-DD HH24:MI') RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_char(onemap.local_time(moment), form)
$$;
COMMENT ON FUNCTION onemap.county_time(timestamptz, text) IS 'A moment as the county''s clocks show it, in a form of to_char()';

-- ---- vendor ----

CREATE OR REPLACE FUNCTION onemap.vendor_list_table(request jsonb)
RETURNS TABLE (subsystem text, vendor text, name text, company text, unknown_devices text, receipts text, silent_after interval,
    department text, devices bigint, online bigint, last_seen text, login text, revoked text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.subsystem, v.vendor, v.name_zh, v.company, v.unknown_devices, v.receipts, v.silent_after, v.department, v.devices,
           v.online, onemap.county_time(v.last_seen_at, 'YYYY-MM-DD HH24:MI:SS'), CASE WHEN v.login THEN 'yes' ELSE 'no' END,
           onemap.county_time(v.revoked_at)
    FROM onemap.vendor_overview v
    WHERE NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem' ORDER BY v.subsystem, v.vendor
$$;
COMMENT ON FUNCTION onemap.vendor_list_table(jsonb) IS 'Vendors for people: {subsystem}';

CREATE OR REPLACE FUNCTION onemap.vendor_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(v) ORDER BY v.subsystem, v.vendor), '[]') FROM onemap.vendor_overview v
    WHERE NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem'
$$;
COMMENT ON FUNCTION onemap.vendor_list_json(jsonb) IS 'Vendors as vendor_overview has them: {subsystem}';

CREATE OR REPLACE FUNCTION onemap.vendor_is_known(vendor text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM onemap.vendor v WHERE v.vendor = $1)
$$;
COMMENT ON FUNCTION onemap.vendor_is_known(text) IS 'Whether any subsystem has, or had, a vendor of this name';

CREATE OR REPLACE FUNCTION onemap.vendor_end(request jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.vendor_end(request->>'subsystem', request->>'vendor')
$$;
COMMENT ON FUNCTION onemap.vendor_end(jsonb) IS 'The same for a request: {subsystem, vendor}';

-- ---- alarm ----

-- A limit and its hysteresis in words: "above 120, ends at 110, for 600 s, 22:00 to 06:00".
CREATE OR REPLACE FUNCTION onemap.alarm_rule_words(r onemap.alarm_rule) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(', ', concat_ws(' ', r.comparison, r.threshold),
        CASE WHEN r.clear_threshold <> r.threshold THEN 'ends at ' || r.clear_threshold END,
        CASE WHEN r.duration_s > 0 THEN 'for ' || r.duration_s || ' s' END,
        to_char(r.window_from, 'HH24:MI') || ' to ' || to_char(r.window_to, 'HH24:MI'))
$$;
COMMENT ON FUNCTION onemap.alarm_rule_words(onemap.alarm_rule) IS 'The limit of a rule in words; empty for a rule without one';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(r) - 'id' - 'key' || jsonb_build_object('rule', r.key) ORDER BY r.subsystem, r.key), '[]')
    FROM onemap.alarm_rule r
    WHERE (NOT request ? 'subsystem' OR r.subsystem = request->>'subsystem')
        AND (NOT request ? 'edited' OR r.edited)
$$;
COMMENT ON FUNCTION onemap.alarm_rule_list_json(jsonb) IS 'Alarm rules: {subsystem, edited: only those that the county changed}';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_list_table(request jsonb) RETURNS TABLE (subsystem text, rule text, name text,
    metric text, "limit" text, severity text, category text, enabled text, edited text, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.subsystem, r.key, r.name_zh, coalesce(r.metric, r.kind), onemap.alarm_rule_words(r), r.severity, r.category_code,
           CASE WHEN r.enabled THEN 'yes' ELSE 'no' END, CASE WHEN r.edited THEN 'yes' ELSE '' END, r.source
    FROM onemap.alarm_rule r
    WHERE (NOT request ? 'subsystem' OR r.subsystem = request->>'subsystem')
        AND (NOT request ? 'edited' OR r.edited)
    ORDER BY r.subsystem, r.key
$$;
COMMENT ON FUNCTION onemap.alarm_rule_list_table(jsonb) IS
    'The same for people; metric: what is measured, or the kind of a rule without';

-- What a change would do to the rule, refused with the reason where it makes no sense.
CREATE OR REPLACE FUNCTION onemap.alarm_rule_change_check(r onemap.alarm_rule, changes jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- As alarm_rule_set() takes them: a new threshold alone is where the alarm ends, too.
    threshold float8 := coalesce((changes->>'threshold')::float8, r.threshold);
    clear_threshold float8 := coalesce((changes->>'clear_threshold')::float8, (changes->>'threshold')::float8, r.clear_threshold);
BEGIN
    IF changes = '{}' THEN
        RAISE EXCEPTION 'alarm rule %.%: nothing is to be changed', r.subsystem, r.key USING ERRCODE = 'CH013';
    ELSIF r.comparison IS NULL AND changes ? 'clear_threshold' THEN
        RAISE EXCEPTION 'alarm rule %.% has no limit beyond which it opens and ends', r.subsystem, r.key USING ERRCODE = 'CH013';
    ELSIF r.comparison = 'above' AND clear_threshold > threshold THEN
        RAISE EXCEPTION 'alarm rule %.%: opens above %, so it cannot end at % already', r.subsystem, r.key, threshold,
            clear_threshold USING ERRCODE = 'CH013';
    ELSIF r.comparison = 'below' AND clear_threshold < threshold THEN
        RAISE EXCEPTION 'alarm rule %.%: opens below %, so it cannot end at % already', r.subsystem, r.key, threshold,
            clear_threshold USING ERRCODE = 'CH013';
    ELSIF changes->>'source' = '' THEN
        RAISE EXCEPTION 'alarm rule %.%: the source of the limit cannot be empty', r.subsystem, r.key
            USING ERRCODE = 'CH013', HINT = 'A standard with its clause, a document of the county, or "assumed".';
    ELSIF changes->>'category_code' IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.case_category k
            WHERE k.version = onemap.case_catalogue_current() AND k.code = changes->>'category_code') THEN
        RAISE EXCEPTION 'the catalogue of cases has no category "%"', changes->>'category_code'
            USING ERRCODE = 'CH013', HINT = '`cityhub catalogue list` shows them.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_change_check(onemap.alarm_rule, jsonb) IS
    'Refuses, in a sentence, changes of an alarm rule that its table would refuse by a constraint, and an unknown category';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_change(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE r onemap.alarm_rule; changes jsonb := request - '{subsystem,rule}'::text[];
BEGIN
    SELECT * INTO r FROM onemap.alarm_rule x WHERE x.subsystem = request->>'subsystem' AND x.key = request->>'rule';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subsystem "%" has no alarm rule "%"', request->>'subsystem', request->>'rule'
            USING ERRCODE = 'CH013', HINT = format('`cityhub alarm rule list --subsystem %s` shows them.', request->>'subsystem');
    END IF;
    PERFORM onemap.alarm_rule_change_check(r, changes);
    PERFORM onemap.alarm_rule_set(r.subsystem, r.key, changes);
    SELECT * INTO r FROM onemap.alarm_rule x WHERE x.id = r.id;
    RETURN jsonb_build_object('subsystem', r.subsystem, 'rule', r.key, 'name', r.name_zh, 'limit', onemap.alarm_rule_words(r),
        'severity', r.severity, 'category', r.category_code, 'enabled', r.enabled, 'source', r.source);
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_change(jsonb) IS
    'The county''s change of a rule: {subsystem, rule} and what alarm_rule_set() takes; returns the rule as it is now';

-- ---- catalogue ----

CREATE OR REPLACE FUNCTION onemap.catalogue_list_table(request jsonb) RETURNS TABLE (code text, class text, name text,
    condition int, registration_condition text, "limit" numeric, unit text, responsible text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.code, r.class, r.name, r.condition, r.registration_condition, r."limit", r.unit, r.responsible
    FROM onemap.case_catalogue_rows(onemap.case_catalogue_current()) r
$$;
COMMENT ON FUNCTION onemap.catalogue_list_table(jsonb) IS 'The catalogue in force for people';

CREATE OR REPLACE FUNCTION onemap.catalogue_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM onemap.case_catalogue_rows(onemap.case_catalogue_current()) r
$$;
COMMENT ON FUNCTION onemap.catalogue_list_json(jsonb) IS 'The catalogue in force';

CREATE OR REPLACE FUNCTION onemap.catalogue_versions_table(request jsonb) RETURNS TABLE (version int, imported text, by text,
    categories int, conditions int, comment text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.version, onemap.county_time(v.imported_at), v.imported_by, v.categories, v.conditions, v.comment
    FROM jsonb_to_recordset(onemap.case_catalogue_versions()) AS v(version int, imported_at timestamptz, imported_by text,
        categories int, conditions int, comment text) ORDER BY v.version
$$;
COMMENT ON FUNCTION onemap.catalogue_versions_table(jsonb) IS 'Versions of the catalogue for people';

CREATE OR REPLACE FUNCTION onemap.catalogue_versions_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.case_catalogue_versions()
$$;
COMMENT ON FUNCTION onemap.catalogue_versions_json(jsonb) IS 'Versions of the catalogue, oldest first';

CREATE OR REPLACE FUNCTION onemap.catalogue_version(request jsonb) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE wanted int := coalesce((request->>'version')::int, onemap.case_catalogue_current());
BEGIN
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'there is no catalogue of categories yet: nothing to export'
            USING HINT = '`cityhub catalogue import` brings one.';
    ELSIF NOT EXISTS (SELECT FROM onemap.case_catalogue c WHERE c.version = wanted) THEN
        RAISE EXCEPTION 'the catalogue has no version %: nothing to export', wanted
            USING HINT = '`cityhub catalogue list --versions` shows them.';
    END IF;
    RETURN wanted;
END $$;
COMMENT ON FUNCTION onemap.catalogue_version(jsonb) IS
    'The version that is asked for, which must be there: {version: else the one in force}';

CREATE OR REPLACE FUNCTION onemap.catalogue_export_table(request jsonb)
RETURNS TABLE (code text, class text, name text, condition int, registration_condition text, "limit" numeric, unit text,
    closing_condition text, responsible text, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.code, r.class, r.name, r.condition, r.registration_condition, r."limit", r.unit, r.closing_condition, r.responsible,
           r.source
    FROM onemap.case_catalogue_rows(onemap.catalogue_version(request)) r
$$;
COMMENT ON FUNCTION onemap.catalogue_export_table(jsonb) IS 'The catalogue as its file: {version: else the one in force}';

CREATE OR REPLACE FUNCTION onemap.department_export_table(request jsonb)
RETURNS TABLE (code text, name text, kind text, parent text,
    schedule text, active text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.code, d.name, d.kind, nullif(d.parent, ''), d.schedule, d.active FROM onemap.department_rows() d
$$;
COMMENT ON FUNCTION onemap.department_export_table(jsonb) IS 'The departments as their file, with nothing where there is no parent';

CREATE OR REPLACE FUNCTION onemap.department_list_table(request jsonb) RETURNS TABLE (code text, name text, kind text, parent text,
    schedule text, active text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.* FROM onemap.department_export_table(request) d WHERE request ? 'all' OR d.active = 'yes'
$$;
COMMENT ON FUNCTION onemap.department_list_table(jsonb) IS 'Departments for people: {all: those that are inactive, too}';

CREATE OR REPLACE FUNCTION onemap.department_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]') FROM onemap.department_list_table(request) d
$$;
COMMENT ON FUNCTION onemap.department_list_json(jsonb) IS 'Departments: {all: those that are inactive, too}';

CREATE OR REPLACE FUNCTION onemap.case_catalogue_check(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(to_jsonb(p)), '[]')) FROM onemap.case_catalogue_problems(rows) p
$$;
COMMENT ON FUNCTION onemap.case_catalogue_check(jsonb) IS 'What importing a catalogue would refuse: {problems: [{line, problem}]}';

CREATE OR REPLACE FUNCTION onemap.department_check(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(to_jsonb(p)), '[]')) FROM onemap.department_problems(rows) p
$$;
COMMENT ON FUNCTION onemap.department_check(jsonb) IS 'What importing departments would refuse: {problems: [{line, problem}]}';

-- ---- calendar ----

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
    SELECT '', 'enters nothing: the list is empty' WHERE NOT EXISTS (SELECT FROM told)
$$;
COMMENT ON FUNCTION onemap.calendar_import_problems(jsonb) IS 'Everything that is wrong with a file of notices, by its place';

CREATE OR REPLACE FUNCTION onemap.calendar_import(notices jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE notice jsonb; entered jsonb := jsonb_build_array(); problems text[];
BEGIN
    SELECT array_agg(concat_ws(': ', nullif(p.place, ''), p.problem) ORDER BY p.place) INTO problems
    FROM onemap.calendar_import_problems(notices) p;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION '%', problems[1] USING ERRCODE = 'CH014', DETAIL = array_to_string(problems[2:], E'\n');
    END IF;
    FOR notice IN SELECT jsonb_array_elements(
            CASE WHEN jsonb_typeof(notices) = 'array' THEN notices ELSE jsonb_build_array(notices) END) LOOP
        PERFORM onemap.calendar_notice_put(notice);
        entered := entered || jsonb_build_array(notice->'source');
    END LOOP;
    RETURN jsonb_build_object('entered', entered);
END $$;
COMMENT ON FUNCTION onemap.calendar_import(jsonb) IS
    'Enters notices of holidays, one or a list, all or none: {source, holidays: [{name, first_day, last_day}], workdays: [day]}; '
    'returns {entered: [source]}';

CREATE OR REPLACE FUNCTION onemap.calendar_office_names(request jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ? 'schedule' AND NOT EXISTS (SELECT FROM onemap.office_schedule s WHERE s.schedule = request->>'schedule') THEN
        RAISE EXCEPTION 'there are no office hours "%"', request->>'schedule' USING ERRCODE = 'CH013', HINT = 'Office hours: '
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
        RAISE EXCEPTION 'enters nothing: the list is empty' USING ERRCODE = 'CH014';
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

-- ---- case ----

CREATE OR REPLACE FUNCTION onemap.case_list_table(request jsonb) RETURNS TABLE ("case" text, ver int, state text, category text,
    department text, reported text, deadline text, overdue text, title text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c."case", c.version, c.state, c.category_zh, c.department_zh, onemap.county_time(c.reported_at),
           onemap.county_time(c.deadline_at), CASE WHEN c.overdue THEN 'yes' ELSE '' END, left(c.title, 40)
    FROM ROWS FROM (jsonb_to_recordset(onemap.case_list(request)->'cases') AS ("case" text, version int, state text,
        category_zh text, department_zh text, reported_at timestamptz, deadline_at timestamptz, overdue boolean, title text))
        WITH ORDINALITY AS c ORDER BY c.ordinality
$$;
COMMENT ON FUNCTION onemap.case_list_table(jsonb) IS 'Cases for people, filtered as by case_list()';

CREATE OR REPLACE FUNCTION onemap.case_show_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.case_show(request->>'case')
$$;
COMMENT ON FUNCTION onemap.case_show_json(jsonb) IS 'One case whole: {case}';

-- "1 work_day", "9000 s used, 0 s remain, ...; runs", "dispatcher: dispatch void; leader: ...": parts of a case in words.
CREATE OR REPLACE FUNCTION onemap.case_clock_words(clock jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN jsonb_typeof(clock) = 'object' THEN format('%s s used, %s s remain, %s s over; %s', clock->>'used_s',
        clock->>'remaining_s', clock->>'overdue_s', CASE WHEN (clock->>'running')::boolean THEN 'runs' ELSE 'stands' END) END
$$;
COMMENT ON FUNCTION onemap.case_clock_words(jsonb) IS 'The handling clock of a case in words, NULL if it has none';

CREATE OR REPLACE FUNCTION onemap.case_can_words(can jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(k.key || ': ' || (SELECT string_agg(x, ' ') FROM jsonb_array_elements_text(k.value) x), '; ' ORDER BY k.key)
    FROM jsonb_each(can) k
$$;
COMMENT ON FUNCTION onemap.case_can_words(jsonb) IS 'What each post can do with a case, in words';

CREATE OR REPLACE FUNCTION onemap.case_show_facts(shown jsonb) RETURNS TABLE (fact text, value text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.fact, f.value FROM (VALUES
        (1, 'case', shown->>'case'), (2, 'version', shown->>'version'),
        (3, 'state', concat_ws(' ', shown->>'state', shown->>'state_zh')), (4, 'title', shown->>'title'),
        (5, 'description', shown->>'description'), (6, 'source', shown->>'source'),
        (7, 'category', concat_ws(' ', shown->>'category', shown->>'category_zh', shown->'rule'->>'condition_zh')),
        (8, 'place', concat_ws(' ', shown->>'grid_cell', nullif(shown->>'address', ''), shown->>'lon', shown->>'lat')),
        (9, 'department', concat_ws(' ', shown->>'department', shown->>'department_zh')),
        (10, 'candidates', (SELECT string_agg((k->>'department') || ' ' || (k->>'name_zh'), ', ')
            FROM jsonb_array_elements(shown->'candidates') k)),
        (11, 'limit', concat_ws(' ', shown->'clock'->>'limit_value', shown->'clock'->>'limit_unit')),
        (12, 'deadline', onemap.county_time((shown->>'deadline_at')::timestamptz, 'YYYY-MM-DD HH24:MI:SS')),
        (13, 'clock', onemap.case_clock_words(shown->'clock')),
        (14, 'flags', (SELECT string_agg(x, ', ') FROM jsonb_array_elements_text(shown->'flags') x)),
        (15, 'merged into', shown->>'merged_into'), (16, 'closing', shown->'rule'->>'closing_zh'),
        (17, 'can', onemap.case_can_words(shown->'can'))) AS f (position, fact, value)
    WHERE f.value <> '' ORDER BY f.position
$$;
COMMENT ON FUNCTION onemap.case_show_facts(jsonb) IS 'The answer of case_show() for people, without its journal';

CREATE OR REPLACE FUNCTION onemap.case_show_journal(shown jsonb)
RETURNS TABLE (seq int, at text, action text, state text, role text,
    actor text, department text, deadline text, flags text, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.seq, onemap.county_time(e.at, 'YYYY-MM-DD HH24:MI:SS'), e.action, e.to_state, e.role, e.actor, e.department,
           onemap.county_time(e.deadline_at), array_to_string(e.flags, ' '), e.reason
    FROM jsonb_to_recordset(shown->'journal') AS e(seq int, at timestamptz, action text, to_state text, role text, actor text,
        department text, deadline_at timestamptz, flags text[], reason text) ORDER BY e.seq
$$;
COMMENT ON FUNCTION onemap.case_show_journal(jsonb) IS 'The journal in the answer of case_show() for people';

CREATE OR REPLACE FUNCTION onemap.case_do_now(request jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.case_do(CASE WHEN request ? 'version' THEN request
        ELSE request || jsonb_build_object('version', onemap.case_show(request->>'case')->'version') END)
$$;
COMMENT ON FUNCTION onemap.case_do_now(jsonb) IS 'case_do() for whoever names no version: with the case as it is now';

CREATE OR REPLACE FUNCTION onemap.case_check_table(request jsonb) RETURNS TABLE (what text, seq int, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.case_code, c.seq, c.problem FROM onemap.case_chain_check(request->>'case') c
    UNION ALL
    SELECT 'seal ' || s.seal_id, NULL, s.problem FROM onemap.case_seal_check() s WHERE NOT request ? 'case'
    UNION ALL
    SELECT g.relation, NULL, g.problem FROM onemap.guard_check() g
$$;
COMMENT ON FUNCTION onemap.case_check_table(jsonb) IS
    'Whatever does not fit in the journal of one case, or of all and in the seals, and triggers that no longer keep it: {case}; '
    'no rows = whole';

-- ---- score ----

CREATE OR REPLACE FUNCTION onemap.score_compute_json(request jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('digital', onemap.score_compute(request), 'assessment', onemap.assessment_compute(request))
$$;
COMMENT ON FUNCTION onemap.score_compute_json(jsonb) IS 'A month''s digital scores and its assessment: {month, formula}';

CREATE OR REPLACE FUNCTION onemap.score_digital_table(request jsonb)
RETURNS TABLE ("group" text, rank int, department text, name text,
    score numeric, missing int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.group_name, r.rank, r.department, r.name, r.score, jsonb_array_length(r.missing)
    FROM jsonb_to_recordset(onemap.score_compute(request)->'rows') AS r (group_name text, rank int, department text, name text,
        score numeric, missing jsonb)
$$;
COMMENT ON FUNCTION onemap.score_digital_table(jsonb) IS 'Digital scores of a month for people: {month, formula}';

CREATE OR REPLACE FUNCTION onemap.score_assessment_table(request jsonb) RETURNS TABLE (rank int, department text, name text,
    total text, grade text, digital numeric, campaigns numeric, bonus numeric, deducted numeric, missing int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.rank, r.department, r.name, coalesce(onemap.assessment_shown((r.exact->>'total')::numeric), r.total::text), r.grade,
           r.digital, r.campaign_mean, r.bonus, r.deducted, jsonb_array_length(r.missing)
    FROM jsonb_to_recordset(onemap.assessment_compute(request)->'rows') AS r (rank int, department text, name text, total numeric,
        exact jsonb, grade text, digital numeric, campaign_mean numeric, bonus numeric, deducted numeric, missing jsonb)
$$;
COMMENT ON FUNCTION onemap.score_assessment_table(jsonb) IS 'The county''s assessment of a month for people: {month}';

CREATE OR REPLACE FUNCTION onemap.score_statistics_table(request jsonb)
RETURNS TABLE (key text, reported numeric, registered numeric,
    dispatched numeric, should_handle numeric, handled numeric, in_time numeric, overdue numeric, reworks numeric, returned numeric,
    deferred numeric, should_close numeric, closed_in_time numeric, handle_in_time_rate numeric, close_in_time_rate numeric)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.key, m.reported, m.registered, m.dispatched, m.should_handle, m.handled, m.handled_in_time, m.overdue, m.rework_times,
           m.returned, m.deferred, m.should_close, m.closed_in_time, (r.rates->>'handle_in_time_rate')::numeric,
           (r.rates->>'close_in_time_rate')::numeric
    FROM jsonb_to_recordset(onemap.score_statistics(request)->'rows') AS r (key text, measures jsonb, rates jsonb),
        jsonb_to_record(r.measures) AS m (reported numeric, registered numeric, dispatched numeric, should_handle numeric,
            handled numeric, handled_in_time numeric, overdue numeric, rework_times numeric, returned numeric, deferred numeric,
            should_close numeric, closed_in_time numeric)
$$;
COMMENT ON FUNCTION onemap.score_statistics_table(jsonb) IS
    'Statistics for people, the most asked-for measures: {month | from, to, by}; all of them: score_statistics()';

CREATE OR REPLACE FUNCTION onemap.score_person_table(request jsonb) RETURNS TABLE (person text, action text, times int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.key, m.key, m.value::int
    FROM jsonb_to_recordset(onemap.score_statistics(request)->'rows') AS r (key text, measures jsonb), jsonb_each_text(r.measures) m
    ORDER BY r.key COLLATE "C", m.key COLLATE "C"
$$;
COMMENT ON FUNCTION onemap.score_person_table(jsonb) IS 'What each person did, for people: {month | from, to, by: person}';

CREATE OR REPLACE FUNCTION onemap.score_year_table(request jsonb)
RETURNS TABLE (rank int, department text, name text, total text,
    grade text, months int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.rank, r.department, r.name, onemap.assessment_shown(r.exact), r.grade, r.months
    FROM jsonb_to_recordset(onemap.assessment_year(request)->'rows')
        AS r (rank int, department text, name text, exact numeric, grade text, months int)
$$;
COMMENT ON FUNCTION onemap.score_year_table(jsonb) IS 'The year''s ranking for people: {year}';

CREATE OR REPLACE FUNCTION onemap.score_formula_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.score_formula_list()
$$;
COMMENT ON FUNCTION onemap.score_formula_json(jsonb) IS 'All versions of all formulas with their documents, oldest first';

CREATE OR REPLACE FUNCTION onemap.score_formula_table(request jsonb)
RETURNS TABLE (version int, key text, name text, from_month text,
    example text, author text, put text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.version, f.key, f.name, f.from_month, CASE WHEN f.example THEN 'yes' ELSE '' END, f.author,
           onemap.county_time(f.put_at)
    FROM jsonb_to_recordset(onemap.score_formula_list()) AS f (version int, key text, name text, from_month text, example boolean,
        author text, put_at timestamptz) ORDER BY f.version
$$;
COMMENT ON FUNCTION onemap.score_formula_table(jsonb) IS 'All versions of all formulas for people';

CREATE OR REPLACE FUNCTION onemap.score_formula_check(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(p), '[]')) FROM onemap.score_formula_problems(request->'formula') p
$$;
COMMENT ON FUNCTION onemap.score_formula_check(jsonb) IS
    'What putting a formula would refuse: {formula}; returns {problems: [text]}';

CREATE OR REPLACE FUNCTION onemap.score_lead_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh, 'part', i.part, 'weight', i.weight,
        'office', i.lead_office, 'clause', i.clause) ORDER BY i.position), '[]')
    FROM onemap.assessment_item i WHERE i.part <> 'digital'
$$;
COMMENT ON FUNCTION onemap.score_lead_json(jsonb) IS
    'Items of the assessment that offices enter, each with the office that alone may';

CREATE OR REPLACE FUNCTION onemap.score_lead_table(request jsonb) RETURNS TABLE (item text, name text, part text, weight numeric,
    office text, clause text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.item, l.name, l.part, l.weight, nullif(l.office, ''), l.clause
    FROM ROWS FROM (jsonb_to_recordset(onemap.score_lead_json(request)) AS (item text, name text, part text, weight numeric,
        office text, clause text)) WITH ORDINALITY AS l ORDER BY l.ordinality
$$;
COMMENT ON FUNCTION onemap.score_lead_table(jsonb) IS 'The same for people; no office: whoever enters names itself';

-- ---- quarantine ----

-- The codes of problems that receipts and the quarantine tell, see docs/vendor.md.
CREATE OR REPLACE FUNCTION onemap.problem_codes() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '{malformed,empty_batch,too_many_records,missing_device_code,missing_time,missing_field,wrong_type,not_finite,bad_code,'
        'bad_text,bad_enum,time_ahead,time_too_old,bad_position,missing_coordinate_system,duplicate_field,no_readings,'
        'unknown_vendor,revoked_vendor,unknown_device,too_many_unknown_devices,too_large,unknown_kind,unknown_reference,'
        'refused_by_database,bad_value,place_outside,wrong_topic,too_many_new_days}'::text[]
$$;
COMMENT ON FUNCTION onemap.problem_codes() IS 'Codes of problems with messages that this build knows';

-- A filter that names what there is not would find nothing, which reads as "no message waits".
CREATE OR REPLACE FUNCTION onemap.quarantine_filter(filter jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE kinds text[] := '{telemetry,inventory,staff,work,case}'::text[];
BEGIN
    IF filter ? 'subsystem' AND NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = filter->>'subsystem') THEN
        RAISE EXCEPTION 'there is no subsystem "%"', filter->>'subsystem' USING ERRCODE = 'CH013',
            HINT = (SELECT 'Subsystems: ' || string_agg(s.key, ', ' ORDER BY s.key) || '.' FROM onemap.subsystem s);
    ELSIF filter ? 'vendor' AND NOT EXISTS (SELECT FROM onemap.vendor v WHERE v.vendor = filter->>'vendor')
        AND NOT EXISTS (SELECT FROM onemap.quarantine q WHERE q.vendor = filter->>'vendor') THEN
        RAISE EXCEPTION 'there is no vendor "%", and no message of one', filter->>'vendor'
            USING ERRCODE = 'CH013', HINT = '`cityhub vendor list` shows the vendors.';
    ELSIF filter ? 'kind' AND filter->>'kind' <> ALL (kinds)
        AND NOT EXISTS (SELECT FROM onemap.quarantine q WHERE q.kind = filter->>'kind') THEN
        RAISE EXCEPTION 'there is no kind of message "%"', filter->>'kind'
            USING ERRCODE = 'CH013', HINT = 'Kinds: ' || array_to_string(kinds, ', ') || '.';
    ELSIF filter ? 'code' AND filter->>'code' <> ALL (onemap.problem_codes())
        AND NOT EXISTS (SELECT FROM onemap.quarantine q WHERE q.code = filter->>'code') THEN
        RAISE EXCEPTION 'there is no code of a problem "%"', filter->>'code'
            USING ERRCODE = 'CH013', HINT = 'Codes: ' || array_to_string(onemap.problem_codes(), ', ') || '.';
    END IF;
    RETURN filter;
END $$;
COMMENT ON FUNCTION onemap.quarantine_filter(jsonb) IS
    'A filter of quarantine_find(), if what it names is there; CH013 if not';

CREATE OR REPLACE FUNCTION onemap.quarantine_list_table(request jsonb) RETURNS TABLE (id bigint, received text, subsystem text,
    vendor text, kind text, code text, records int, problems int, bytes int, replayed int, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.id, onemap.county_time(q.received_at, 'YYYY-MM-DD HH24:MI:SS'), q.subsystem, q.vendor, q.kind, q.code, q.records,
           q.problems, q.bytes, q.replay_count, left(q.reason, 80)
    FROM onemap.quarantine_find(onemap.quarantine_filter(request)) q ORDER BY q.id DESC
$$;
COMMENT ON FUNCTION onemap.quarantine_list_table(jsonb) IS 'Quarantined messages for people, filtered as by quarantine_find()';

CREATE OR REPLACE FUNCTION onemap.quarantine_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.id DESC), '[]')
    FROM onemap.quarantine_find(onemap.quarantine_filter(request)) q
$$;
COMMENT ON FUNCTION onemap.quarantine_list_json(jsonb) IS 'Quarantined messages, filtered as by quarantine_find()';

CREATE OR REPLACE FUNCTION onemap.quarantine_ids(request jsonb) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.id FROM onemap.quarantine_find(onemap.quarantine_filter(request)) q ORDER BY q.id
$$;
COMMENT ON FUNCTION onemap.quarantine_ids(jsonb) IS 'Ids of quarantined messages, lowest first, filtered as by quarantine_find()';

CREATE OR REPLACE FUNCTION onemap.quarantine_last_id() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(max(q.id), 0) FROM onemap.quarantine q
$$;
COMMENT ON FUNCTION onemap.quarantine_last_id() IS
    'The newest message''s id, 0 if there is none: a replay leaves alone what it makes itself';

CREATE OR REPLACE FUNCTION onemap.quarantine_message(id bigint) RETURNS TABLE (topic text, payload bytea, received_ms text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT q.topic, q.payload, round(extract(epoch FROM q.received_at) * 1000)::bigint::text
        FROM onemap.quarantine q WHERE q.id = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the quarantine has no message %', $1 USING ERRCODE = 'no_data_found';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.quarantine_message(bigint) IS
    'A message as it was received, and when (ms since 1970); P0002 if there is none of this id';

CREATE OR REPLACE FUNCTION onemap.quarantine_is_whole(id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.quarantine q WHERE q.id = $1 AND q.bytes > octet_length(q.payload)) THEN
        RAISE EXCEPTION 'of message % only the beginning is kept', $1
            USING HINT = 'It was refused unread; its vendor has to send it again.';
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION onemap.quarantine_is_whole(bigint) IS
    'true, or an error: what was refused unread cannot be sent again from here';

CREATE OR REPLACE FUNCTION onemap.quarantine_show_facts(request jsonb) RETURNS TABLE (fact text, value text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.fact, f.value FROM onemap.quarantine q, LATERAL (VALUES
        (1, 'id', q.id::text), (2, 'received', onemap.county_time(q.received_at, 'YYYY-MM-DD HH24:MI:SS.MS')),
        (3, 'topic', q.topic), (4, 'code', q.code), (5, 'reason', q.reason), (6, 'records', q.record_count::text),
        (7, 'replayed', q.replay_count || coalesce(', last ' || onemap.county_time(q.replayed_at, 'YYYY-MM-DD HH24:MI:SS'), '')),
        (8, 'problems', (SELECT string_agg(format('record %s: %s: %s', p.index, p.code, p.reason), E'\n' ORDER BY p.index)
            FROM jsonb_to_recordset(q.problems) AS p(index int, code text, reason text))),
        (9, 'payload', q.bytes || ' bytes' || CASE WHEN q.bytes > octet_length(q.payload)
            THEN format(', the first %s kept', octet_length(q.payload)) ELSE '' END),
        (10, 'times', CASE WHEN q.times > 1 THEN format('%s, last %s', q.times,
            onemap.county_time(q.last_received_at, 'YYYY-MM-DD HH24:MI:SS.MS')) END)) AS f (position, fact, value)
    WHERE q.id = (request->>'id')::bigint AND f.value IS NOT NULL ORDER BY f.position
$$;
COMMENT ON FUNCTION onemap.quarantine_show_facts(jsonb) IS 'One quarantined message for people, but for its payload: {id}';

-- ---- who may call them ----

GRANT EXECUTE ON FUNCTION onemap.county_time(timestamptz, text), onemap.vendor_list_table(jsonb), onemap.vendor_list_json(jsonb),
    onemap.vendor_is_known(text), onemap.alarm_rule_words(onemap.alarm_rule), onemap.alarm_rule_list_json(jsonb),
    onemap.alarm_rule_list_table(jsonb), onemap.catalogue_list_table(jsonb), onemap.catalogue_list_json(jsonb),
    onemap.catalogue_versions_table(jsonb), onemap.catalogue_versions_json(jsonb), onemap.catalogue_version(jsonb),
    onemap.catalogue_export_table(jsonb),
    onemap.department_export_table(jsonb), onemap.department_list_table(jsonb), onemap.department_list_json(jsonb),
    onemap.calendar_days(jsonb), onemap.calendar_list_table(jsonb), onemap.calendar_list_json(jsonb),
    onemap.calendar_day_read(text), onemap.calendar_members(jsonb), onemap.calendar_notice_days(jsonb),
    onemap.calendar_notice_form(jsonb), onemap.calendar_notice_problems(jsonb), onemap.calendar_import_problems(jsonb),
    onemap.calendar_export_json(jsonb), onemap.calendar_office_names(jsonb), onemap.calendar_office_json(jsonb),
    onemap.calendar_office_table(jsonb),
    onemap.case_list_table(jsonb), onemap.case_show_json(jsonb), onemap.case_clock_words(jsonb), onemap.case_can_words(jsonb),
    onemap.case_show_facts(jsonb), onemap.case_show_journal(jsonb), onemap.case_check_table(jsonb),
    onemap.score_compute_json(jsonb), onemap.score_digital_table(jsonb), onemap.score_assessment_table(jsonb),
    onemap.score_statistics_table(jsonb), onemap.score_person_table(jsonb), onemap.score_year_table(jsonb),
    onemap.score_formula_json(jsonb), onemap.score_formula_table(jsonb), onemap.score_lead_json(jsonb),
    onemap.score_lead_table(jsonb), onemap.problem_codes(), onemap.quarantine_filter(jsonb),
    onemap.quarantine_list_table(jsonb), onemap.quarantine_list_json(jsonb),
    onemap.quarantine_ids(jsonb), onemap.quarantine_last_id(), onemap.quarantine_message(bigint),
    onemap.quarantine_is_whole(bigint),
    onemap.quarantine_show_facts(jsonb) TO cityhub_hub, cityhub_read;
GRANT EXECUTE ON FUNCTION onemap.alarm_rule_change_check(onemap.alarm_rule, jsonb), onemap.alarm_rule_change(jsonb),
    onemap.case_catalogue_check(jsonb), onemap.department_check(jsonb), onemap.calendar_import(jsonb),
    onemap.calendar_office_problem(jsonb), onemap.calendar_office_import(jsonb), onemap.case_do_now(jsonb),
    onemap.score_formula_check(jsonb), onemap.vendor_end(jsonb) TO cityhub_hub;
