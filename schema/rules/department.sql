-- The county's departments, as they are imported from their file. Never deleted: journals and devices refer to them.

-- Departments: rows [{line, code, name, kind, parent, schedule, active}]. The file is the whole list: a department that it
-- does not name becomes inactive (never deleted: journals and devices refer to it).
CREATE OR REPLACE FUNCTION onemap.department_problems(rows jsonb) RETURNS TABLE (line int, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE f AS (SELECT * FROM jsonb_to_recordset(rows) AS r(line int, code text, name text, kind text, parent text,
        schedule text, active text)),
    up AS (
        SELECT f.code, f.parent AS above FROM f WHERE f.parent <> f.code AND f.parent <> ''
        UNION SELECT u.code, f.parent FROM up u JOIN f ON f.code = u.above WHERE u.above <> u.code AND f.parent <> '')
    SELECT f.line, format('code: must be 1 to 32 letters, digits, _ or -, not "%s"', f.code) FROM f
        WHERE coalesce(f.code, '') !~ '^[A-Za-z0-9_-]{1,32}$'
    UNION ALL
    SELECT f.line, format('code: %s is there already, in line %s', f.code, f.first_line)
    FROM (SELECT x.line, x.code, min(x.line) OVER (PARTITION BY x.code) AS first_line FROM f x) f WHERE f.line > f.first_line
    UNION ALL
    SELECT f.line, format('name: %s is there already, in line %s', f.name, f.first_line)
    FROM (SELECT x.line, x.name, min(x.line) OVER (PARTITION BY x.name) AS first_line FROM f x) f WHERE f.line > f.first_line
    UNION ALL
    SELECT f.line, format('name: %s is the name of the department %s, which the file does not have', f.name, d.code)
    FROM f JOIN onemap.department d ON d.name_zh = f.name WHERE NOT EXISTS (SELECT FROM f g WHERE g.code = d.code)
    UNION ALL
    SELECT f.line, 'name: is empty, or begins or ends with a blank, or has a control character'
    FROM f WHERE coalesce(f.name, '') IN ('', ' ') OR f.name <> onemap.bare(f.name) OR f.name ~ '[[:cntrl:]]'
    UNION ALL
    SELECT f.line, format('kind: must be street, county or enterprise, not "%s"', f.kind)
    FROM f WHERE coalesce(f.kind, '') NOT IN ('street', 'county', 'enterprise')
    UNION ALL
    SELECT f.line, format('parent: the file has no department "%s"', f.parent)
    FROM f WHERE coalesce(f.parent, '') <> '' AND (f.parent = f.code OR NOT EXISTS (SELECT FROM f p WHERE p.code = f.parent))
    UNION ALL
    SELECT DISTINCT f.line, format('parent: from %s upwards the departments come back to %s itself', f.parent, f.code)
    FROM f JOIN up u ON u.code = f.code AND u.above = f.code
    UNION ALL
    SELECT f.line, format('schedule: there are no office hours "%s"', f.schedule)
    FROM f WHERE NOT EXISTS (SELECT FROM onemap.office_schedule s WHERE s.schedule = f.schedule)
    UNION ALL
    SELECT f.line, format('active: must be yes or no, not "%s"', f.active) FROM f WHERE coalesce(f.active, '') NOT IN ('yes', 'no')
    UNION ALL
    SELECT 1, 'the file has no departments' WHERE NOT EXISTS (SELECT FROM f)
    ORDER BY 1, 2
$$;
COMMENT ON FUNCTION onemap.department_problems(jsonb) IS 'Everything that is wrong with a file of departments, by its line';

CREATE OR REPLACE FUNCTION onemap.department_import(rows jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE problems jsonb; retired text[];
BEGIN
    SELECT jsonb_agg(jsonb_build_object('line', p.line, 'problem', p.problem)) INTO problems
        FROM onemap.department_problems(rows) p;
    IF problems IS NOT NULL THEN
        RETURN jsonb_build_object('imported', false, 'problems', problems);
    END IF;
    -- Two departments may exchange names: free all names first.
    UPDATE onemap.department d SET name_zh = d.code || ' ' || d.id
    FROM jsonb_to_recordset(rows) AS r(code text, name text) WHERE r.code = d.code AND r.name <> d.name_zh;
    INSERT INTO onemap.department AS d (code, name_zh, kind, schedule, active, position)
    SELECT r.code, r.name, r.kind, r.schedule, r.active = 'yes', r.line
    FROM jsonb_to_recordset(rows) AS r(line int, code text, name text, kind text, schedule text, active text) ORDER BY r.line
    ON CONFLICT (code) DO UPDATE SET name_zh = excluded.name_zh, kind = excluded.kind, schedule = excluded.schedule,
        active = excluded.active, position = excluded.position;
    UPDATE onemap.department d SET parent_id = p.id
    FROM jsonb_to_recordset(rows) AS r(code text, parent text) LEFT JOIN onemap.department p ON p.code = r.parent
    WHERE r.code = d.code AND d.parent_id IS DISTINCT FROM p.id;
    WITH gone AS (
        UPDATE onemap.department d SET active = false
        WHERE d.active AND NOT EXISTS (SELECT FROM jsonb_to_recordset(rows) AS r(code text) WHERE r.code = d.code) RETURNING d.code
    ) SELECT coalesce(array_agg(g.code ORDER BY g.code), '{}') INTO retired FROM gone g;
    PERFORM onemap.audit('department_import', jsonb_build_object('departments', jsonb_array_length(rows),
        'made_inactive', retired));
    RETURN jsonb_build_object('imported', true, 'departments', jsonb_array_length(rows), 'made_inactive', retired, 'problems',
        '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.department_import(jsonb) IS
    'Imports the file of departments, whole or not at all; departments it does not name become inactive; returns {imported, '
    'departments, made_inactive, problems}';
GRANT EXECUTE ON FUNCTION onemap.department_import(jsonb) TO cityhub_hub, cityhub_api;
GRANT EXECUTE ON FUNCTION onemap.department_problems(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.department_rows() RETURNS TABLE (code text, name text, kind text, parent text, schedule text,
    active text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.code, d.name_zh, d.kind, coalesce(p.code, ''), d.schedule, CASE WHEN d.active THEN 'yes' ELSE 'no' END
    FROM onemap.department d LEFT JOIN onemap.department p ON p.id = d.parent_id
    ORDER BY d.position, d.code
$$;
COMMENT ON FUNCTION onemap.department_rows() IS 'The departments in the columns and order of their file';
GRANT EXECUTE ON FUNCTION onemap.department_rows() TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- what people see and ask by commands, see command.sql ----

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

CREATE OR REPLACE FUNCTION onemap.department_check(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(to_jsonb(p)), '[]')) FROM onemap.department_problems(rows) p
$$;
COMMENT ON FUNCTION onemap.department_check(jsonb) IS 'What importing departments would refuse: {problems: [{line, problem}]}';
