-- The catalogue of case categories (案卷类别目录): components (部件) and events (事件) by class and subclass after
-- GB/T 30428.2, and per subclass the conditions under which a case is registered (立案条件), each with its limit, closing
-- condition (结案条件) and responsible department. Versioned: an import makes a new version, old ones stay for their cases
-- and never change.

CREATE OR REPLACE FUNCTION onemap.case_catalogue_current() RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT max(c.version) FROM onemap.case_catalogue c);
END $$;
COMMENT ON FUNCTION onemap.case_catalogue_current() IS 'The version in force for new cases, NULL before the first import';
GRANT EXECUTE ON FUNCTION onemap.case_catalogue_current() TO cityhub_hub, cityhub_api, cityhub_read;

-- Import. `rows` is the file line by line as text: [{line, code, class, name, condition, registration_condition, limit, unit,
-- closing_condition, responsible, source}]; see docs/cases.md for the columns.
CREATE OR REPLACE FUNCTION onemap.case_catalogue_problems(rows jsonb) RETURNS TABLE (line int, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH f AS (
        SELECT * FROM jsonb_to_recordset(rows) AS r(line int, code text, class text, name text, condition text,
            registration_condition text, "limit" text, unit text, closing_condition text, responsible text, source text)
    ), texts AS (
        SELECT f.line, t.field, coalesce(t.value, '') AS value
        FROM f, LATERAL (VALUES ('class', f.class), ('name', f.name), ('registration_condition', f.registration_condition),
            ('closing_condition', f.closing_condition), ('responsible', f.responsible), ('source', f.source)) AS t(field, value)
    )
    SELECT f.line, format('code: must be 5 digits, the first 1 (部件) or 2 (事件), not "%s"', f.code)
    FROM f WHERE coalesce(f.code, '') !~ '^[12][0-9]{4}$'
    UNION ALL
    SELECT t.line, format('%s: is empty', t.field) FROM texts t WHERE onemap.bare(t.value) = ''
    UNION ALL
    SELECT t.line, format('%s: begins or ends with a blank, or has a line break or another control character', t.field)
    FROM texts t WHERE onemap.bare(t.value) <> '' AND (t.value <> onemap.bare(t.value) OR t.value ~ '[[:cntrl:]]')
    UNION ALL
    SELECT t.line, format('%s: is longer than 500 characters', t.field) FROM texts t WHERE length(t.value) > 500
    UNION ALL
    SELECT f.line, format('condition: must be a number from 1 to 99, not "%s"', f.condition)
    FROM f WHERE coalesce(f.condition, '') !~ '^[1-9][0-9]?$'
    UNION ALL
    SELECT f.line, format('limit: must be a number above 0, at most 1000, with at most two decimals, not "%s"', f."limit")
    FROM f WHERE CASE WHEN coalesce(f."limit", '') ~ '^[0-9]{1,4}(\.[0-9]{1,2})?$'
                      THEN NOT (f."limit"::numeric > 0 AND f."limit"::numeric <= 1000) ELSE true END
    UNION ALL
    SELECT f.line, format('unit: must be one of %s, not "%s"',
        (SELECT string_agg(u.name_zh, ', ' ORDER BY u.name_zh) FROM onemap.time_unit u), f.unit)
    FROM f WHERE NOT EXISTS (SELECT FROM onemap.time_unit u WHERE u.name_zh = f.unit)
    UNION ALL
    SELECT f.line, format('responsible: the county has no active department "%s"', w)
    FROM f, LATERAL regexp_split_to_table(btrim(f.responsible), ' +') w
    WHERE w <> '' AND w NOT IN ('@owner', '@grid')
        AND NOT EXISTS (SELECT FROM onemap.department d WHERE d.code = w AND d.active)
    UNION ALL
    SELECT f.line, format('condition: %s/%s is there already, in line %s', f.code, f.condition, f.first_line)
    FROM (SELECT x.line, x.code, x.condition, min(x.line) OVER (PARTITION BY x.code, x.condition) AS first_line FROM f x) f
    WHERE f.line > f.first_line
    UNION ALL
    SELECT f.line, format('name: %s is "%s" here and "%s" in line %s', f.code, f.name, f.first_name, f.first_line)
    FROM (SELECT x.line, x.code, x.name, first_value(x.name) OVER w AS first_name, min(x.line) OVER w AS first_line
          FROM f x WINDOW w AS (PARTITION BY x.code ORDER BY x.line)) f WHERE f.name <> f.first_name
    UNION ALL
    SELECT f.line, format('name: "%s" is the name of %s too, in line %s', f.name, f.first_code, f.first_line)
    FROM (SELECT x.line, x.code, x.name, first_value(x.code) OVER w AS first_code, min(x.line) OVER w AS first_line
          FROM f x WINDOW w AS (PARTITION BY left(x.code, 3), x.name ORDER BY x.line)) f WHERE f.code <> f.first_code
    UNION ALL
    SELECT f.line, format('class: %s is "%s" here and "%s" in line %s', left(f.code, 3), f.class, f.first_class, f.first_line)
    FROM (SELECT x.line, x.code, x.class, first_value(x.class) OVER w AS first_class, min(x.line) OVER w AS first_line
          FROM f x WINDOW w AS (PARTITION BY left(x.code, 3) ORDER BY x.line)) f WHERE f.class <> f.first_class
    UNION ALL
    SELECT 1, 'the file has no conditions' WHERE NOT EXISTS (SELECT FROM f)
    ORDER BY 1, 2
$$;
COMMENT ON FUNCTION onemap.case_catalogue_problems(jsonb) IS
    'Everything that is wrong with a catalogue file, by its line; no rows = it can be imported';
GRANT EXECUTE ON FUNCTION onemap.case_catalogue_problems(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.case_catalogue_rows(version int) RETURNS TABLE (code text, class text, name text, condition int,
    registration_condition text, "limit" numeric, unit text, closing_condition text, responsible text, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.code, k.class_zh, k.name_zh, n.number, n.condition_zh, n.limit_value, u.name_zh, n.closing_zh, n.responsible, n.source
    FROM onemap.case_category k
    JOIN onemap.case_condition n ON n.version = k.version AND n.category_code = k.code
    JOIN onemap.time_unit u ON u.unit = n.limit_unit
    WHERE k.version = $1 ORDER BY k.code COLLATE "C", n.number
$$;
COMMENT ON FUNCTION onemap.case_catalogue_rows(int) IS 'One version of the catalogue in the columns and order of its file';
GRANT EXECUTE ON FUNCTION onemap.case_catalogue_rows(int) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.case_catalogue_import(rows jsonb, comment text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE problems jsonb; latest onemap.case_catalogue; next_version int; digest bytea; total int;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('line', p.line, 'problem', p.problem)) INTO problems
        FROM onemap.case_catalogue_problems(rows) p;
    IF problems IS NOT NULL THEN
        RETURN jsonb_build_object('imported', false, 'problems', problems);
    END IF;
    LOCK TABLE onemap.case_catalogue IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO latest FROM onemap.case_catalogue c ORDER BY c.version DESC LIMIT 1;
    next_version := coalesce(latest.version, 0) + 1;
    SELECT sha256(convert_to(string_agg(row(r.code, r.class, r.name, r.condition::int, r.registration_condition,
        trim_scale(r."limit"::numeric),
               r.unit, r.closing_condition, regexp_replace(r.responsible, ' +', ' ', 'g'), r.source)::text, E'\n'
               ORDER BY r.code COLLATE "C", r.condition::int), 'UTF8')), count(*)::int INTO digest, total
    FROM jsonb_to_recordset(rows) AS r(code text, class text, name text, condition text, registration_condition text,
        "limit" text, unit text, closing_condition text, responsible text, source text);
    IF digest = latest.content_sha256 THEN
        RETURN jsonb_build_object('imported', false, 'unchanged', true, 'version', latest.version, 'conditions', total, 'problems',
            '[]'::jsonb);
    END IF;
    INSERT INTO onemap.case_catalogue (version, comment, content_sha256, conditions)
        VALUES (next_version, coalesce($2, ''), digest, total);
    INSERT INTO onemap.case_category (version, code, class_zh, name_zh)
    SELECT DISTINCT next_version, r.code, r.class, r.name FROM jsonb_to_recordset(rows) AS r(code text, class text, name text);
    INSERT INTO onemap.case_condition (version, category_code, number, condition_zh, limit_value, limit_unit, closing_zh,
        responsible, source)
    SELECT next_version, r.code, r.condition::int, r.registration_condition, trim_scale(r."limit"::numeric), u.unit,
           r.closing_condition, regexp_replace(r.responsible, ' +', ' ', 'g'), r.source
    FROM jsonb_to_recordset(rows) AS r(code text, condition text, registration_condition text, "limit" text, unit text,
        closing_condition text, responsible text, source text)
    JOIN onemap.time_unit u ON u.name_zh = r.unit;
    PERFORM onemap.audit('case_catalogue_import', jsonb_build_object('version', next_version, 'conditions', total, 'comment', $2));
    RETURN jsonb_build_object('imported', true, 'version', next_version, 'conditions', total,
        'categories', (SELECT count(*) FROM onemap.case_category k WHERE k.version = next_version), 'problems', '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.case_catalogue_import(jsonb, text) IS
    'Imports a catalogue file, whole or not at all; returns {imported, version, conditions, categories, problems: [{line, '
    'problem}]}; the same content again makes no new version';
GRANT EXECUTE ON FUNCTION onemap.case_catalogue_import(jsonb, text) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.case_catalogue_versions() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('version', c.version, 'imported_at', c.imported_at, 'imported_by', c.imported_by,
        'comment', c.comment, 'conditions', c.conditions,
        'categories', (SELECT count(*) FROM onemap.case_category k WHERE k.version = c.version),
        'sha256', encode(c.content_sha256, 'hex')) ORDER BY c.version), '[]') FROM onemap.case_catalogue c
$$;
COMMENT ON FUNCTION onemap.case_catalogue_versions() IS 'All versions of the catalogue, oldest first';
GRANT EXECUTE ON FUNCTION onemap.case_catalogue_versions() TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- what people see and ask by commands, see command.sql ----

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

CREATE OR REPLACE FUNCTION onemap.case_catalogue_check(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(to_jsonb(p)), '[]')) FROM onemap.case_catalogue_problems(rows) p
$$;
COMMENT ON FUNCTION onemap.case_catalogue_check(jsonb) IS 'What importing a catalogue would refuse: {problems: [{line, problem}]}';
