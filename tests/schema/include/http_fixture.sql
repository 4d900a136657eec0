-- What the tests of HTTP's functions share, after case_fixture.sql: people of every post, and what a route answers them.
SELECT onemap.user_add(jsonb_strip_nulls(jsonb_build_object('login', p.login, 'name', p.login, 'posts', p.posts, 'department', p.department,
    'password_hash', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA')))
FROM (VALUES ('super', 'supervisor', NULL), ('accept', 'acceptor', NULL), ('regis', 'registrar', NULL), ('disp', 'dispatcher', NULL),
    ('lead', 'leader', NULL), ('boss', 'admin', NULL), ('seer', 'viewer', NULL), ('both', 'dispatcher,leader', NULL),
    ('street', 'department', 'jincheng'), ('city', 'department', 'chengguan'), ('lamps', 'department', 'zhaoming'),
    ('look', 'viewer', 'jincheng')) AS p (login, posts, department);
CREATE FUNCTION test.as(login text, parameters jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"limit": 1000}' || parameters || jsonb_build_object('identity', onemap.identity_of_account(a.id) || '{"address": "10.1.2.3"}')
    FROM onemap.account a WHERE a.login = $1
$$;
-- A program that sees one department's rows, with all rights.
CREATE FUNCTION test.token(department text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('limit', 1000, 'identity', jsonb_build_object('kind', 'token', 'id', 1, 'login', 'token:x', 'posts', '[]'::jsonb,
        'rights', '["read", "operate", "alarm"]'::jsonb, 'department', department, 'departments', to_jsonb(onemap.department_tree(d.id))))
    FROM onemap.department d WHERE d.code = $1
$$;
-- The body of a route's function, NULL if it has no row; several lines one after the other.
CREATE FUNCTION test.get(function text, request jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE result jsonb;
BEGIN
    EXECUTE format('SELECT f.body::jsonb FROM onemap.%I($1) f', function) INTO result USING request;
    RETURN result;
END $$;
CREATE FUNCTION test.text(function text, request jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE format('SELECT string_agg(f.body, '''') FROM onemap.%I($1) f', function) INTO result USING request;
    RETURN result;
END $$;
