-- What the tests of the routes' functions share: a request as the HTTP server hands it over, and its answer. Included by \ir behind
-- case_fixture.sql, whose schema it uses.
CREATE FUNCTION test.ask(fields jsonb DEFAULT '{}', department text DEFAULT NULL, rights text DEFAULT 'read') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"limit": 100, "after": 0}' || fields || jsonb_build_object('identity', jsonb_build_object('kind', 'person', 'rights',
        string_to_array(rights, ' '), 'departments', (SELECT to_jsonb(onemap.department_tree(d.id)) FROM onemap.department d WHERE d.code = department)))
$$;
CREATE FUNCTION test.answer(route text, fields jsonb DEFAULT '{}', department text DEFAULT NULL, rights text DEFAULT 'read') RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE body jsonb;
BEGIN
    EXECUTE format('SELECT body::jsonb FROM onemap.http_%s($1)', route) INTO body USING test.ask(fields, department, rights);
    RETURN body;
END $$;
-- A member of each entry of a list, in its order: codes, ids.
CREATE FUNCTION test.list(entries jsonb, key text DEFAULT 'code') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(coalesce(e->>key, '-'), ' ' ORDER BY n) FROM jsonb_array_elements(entries) WITH ORDINALITY e (e, n)
$$;
