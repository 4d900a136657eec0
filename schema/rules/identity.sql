-- Who somebody is to the HTTP server, and what that allows: the words (rights, posts), the look-up of a session or token, the rows
-- that an identity sees, the post in which a person acts, the note of every write. The server asks identity_find() for each
-- request that needs to know, or identity_asking() with the route's function in one statement, so that who is revoked is out with
-- the next request. The function gets the answer as the member "identity" of its request: {kind: person|token, id, session, login,
-- name, posts, rights, department, departments: ids of the rows that it sees or null = all, address}. Nobody but the server can put
-- that member there.

WITH law (access_right, name_zh, position) AS (VALUES
    ('read', '查看一张图', 1), ('alarm', '处理报警', 2), ('operate', '查看运行状态', 3),
    ('score', '考核录入与发布', 4), ('open311', '公众上报接口（Open311）', 5),
    ('order', '热线工单对接', 6), ('exchange', '下级区县上报', 7), ('command', '下发终端指令', 8),
    ('act', '以单位身份办理案卷', 9)),
gone AS (DELETE FROM onemap.access_right r WHERE NOT EXISTS (SELECT FROM law l WHERE l.access_right = r.access_right))
INSERT INTO onemap.access_right (access_right, name_zh, position) SELECT l.access_right, l.name_zh, l.position FROM law l
ON CONFLICT (access_right) DO UPDATE SET name_zh = excluded.name_zh, position = excluded.position;

-- The closed loop's posts are its roles, but for the hub's own; department and viewer see what their department has.
INSERT INTO onemap.post (post, name_zh, case_role, everywhere, position)
SELECT r.role, r.name_zh, r.role, r.role <> 'department', coalesce(
    pg_catalog.array_position('{supervisor,acceptor,registrar,dispatcher,department,leader}'::text[], r.role), 50)::smallint
FROM onemap.case_role r WHERE r.role <> 'system'
UNION ALL VALUES ('viewer', '浏览者', NULL, false, 101::smallint), ('admin', '管理员', NULL, true, 102::smallint)
ON CONFLICT (post) DO UPDATE SET name_zh = excluded.name_zh, case_role = excluded.case_role, everywhere = excluded.everywhere,
    position = excluded.position;

WITH law (post, access_right) AS (
    SELECT p.post, 'read' FROM onemap.post p
    UNION ALL SELECT p.post, 'alarm' FROM onemap.post p
        WHERE p.post IN ('acceptor', 'registrar', 'dispatcher', 'department', 'admin')
    UNION ALL VALUES ('admin', 'operate'), ('admin', 'score'), ('leader', 'score'), ('admin', 'exchange'),
        ('admin', 'command'), ('dispatcher', 'command')),
gone AS (DELETE FROM onemap.post_right r
    WHERE NOT EXISTS (SELECT FROM law l WHERE l.post = r.post AND l.access_right = r.access_right))
INSERT INTO onemap.post_right (post, access_right) SELECT l.post, l.access_right FROM law l ON CONFLICT DO NOTHING;

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('session_idle', '30 minutes', '登录后多久不用即失效'),
    ('session_longest', '12 hours', '登录最长有效时间'),
    ('session_viewer_idle', '12 hours', '只有浏览者岗位的人（大屏）：登录后多久不用即失效'),
    ('session_viewer_longest', '90 days', '只有浏览者岗位的人（大屏）：登录最长有效时间')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- ---- what an identity is ----
-- Asked for at each request: in plpgsql, since the body of a function in sql is planned anew in each transaction, which
-- took longer than all else.

CREATE OR REPLACE FUNCTION onemap.department_tree(department int) RETURNS int[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        WITH RECURSIVE below AS (
            SELECT d.id FROM onemap.department d WHERE d.id = $1
            UNION SELECT d.id FROM onemap.department d JOIN below b ON d.parent_id = b.id)
        SELECT coalesce(array_agg(b.id ORDER BY b.id), '{}') FROM below b);
END $$;
COMMENT ON FUNCTION onemap.department_tree(int) IS 'A department and those below it';

CREATE OR REPLACE FUNCTION onemap.identity_of_account(account int) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('kind', 'person', 'id', a.id, 'login', a.login, 'name', a.name, 'department', d.code,
            'posts', h.posts, 'rights', h.rights,
            'departments', CASE WHEN NOT coalesce(h.everywhere, false) AND a.department_id IS NOT NULL
                THEN to_jsonb(onemap.department_tree(a.department_id)) END)
        FROM onemap.account a LEFT JOIN onemap.department d ON d.id = a.department_id,
            LATERAL (SELECT coalesce(jsonb_agg(DISTINCT p.post), '[]') AS posts, bool_or(p.everywhere) AS everywhere,
                         coalesce(jsonb_agg(DISTINCT r.access_right) FILTER (WHERE r.access_right IS NOT NULL), '[]') AS rights
                     FROM onemap.account_post x JOIN onemap.post p ON p.post = x.post
                         LEFT JOIN onemap.post_right r ON r.post = p.post
                     WHERE x.account_id = a.id) h
        WHERE a.id = $1 AND a.revoked_at IS NULL);
END $$;
COMMENT ON FUNCTION onemap.identity_of_account(int) IS 'Who a person is, see the head of identity.sql; NULL if revoked';

CREATE OR REPLACE FUNCTION onemap.identity_of_token(token int) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE t record; who jsonb; rights jsonb;
BEGIN
    SELECT x.name, x.account_id, x.department_id, d.code AS department,
        ARRAY(SELECT r.access_right FROM onemap.token_right r WHERE r.token_id = x.id ORDER BY r.access_right) AS rights INTO t
    FROM onemap.token x LEFT JOIN onemap.department d ON d.id = x.department_id WHERE x.id = $1 AND x.revoked_at IS NULL;
    IF t.name IS NULL THEN
        RETURN NULL;
    ELSIF t.account_id IS NULL THEN
        who := jsonb_build_object('department', t.department, 'departments',
            CASE WHEN t.department_id IS NOT NULL THEN to_jsonb(onemap.department_tree(t.department_id)) END);
        rights := to_jsonb(t.rights);
    ELSE
        who := onemap.identity_of_account(t.account_id);
        rights := (SELECT coalesce(jsonb_agg(r.r ORDER BY r.place), '[]') FROM unnest(t.rights) WITH ORDINALITY r (r, place)
            WHERE who->'rights' ? r.r);
        who := who - '{kind,id,posts,rights,name}'::text[] || jsonb_build_object('owner', who->'login');
    END IF;
    RETURN who || jsonb_build_object('kind', 'token', 'id', $1, 'login', 'token:' || t.name, 'name', t.name, 'posts',
        CASE WHEN t.department_id IS NOT NULL AND 'act' = ANY (t.rights) THEN '["department"]'::jsonb ELSE '[]' END,
        'rights', rights);
END $$;
COMMENT ON FUNCTION onemap.identity_of_token(int) IS
    'Who a program is: never more than its owner, if it has one; with the right act it holds its department''s post; NULL if it '
    'or its owner is revoked';

-- ---- the look-up ----

CREATE OR REPLACE FUNCTION onemap.session_setting(account int, key text) RETURNS interval
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT onemap.setting(CASE WHEN EXISTS (SELECT FROM onemap.account_post x WHERE x.account_id = $1 AND x.post <> 'viewer')
            THEN 'session_' ELSE 'session_viewer_' END || $2)::interval);
END $$;
COMMENT ON FUNCTION onemap.session_setting(int, text) IS
    'How long a session lasts, key: idle or longest; who holds the post viewer alone is a wall that '
    'runs for weeks, or can do as little';

-- A clock that jumps back must not make a session last: one from the future is none. Posts that came since count at once.
CREATE OR REPLACE FUNCTION onemap.session_lives(s onemap.session) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT s.expires_at > now() AND s.last_used_at + onemap.session_setting(s.account_id, 'idle') > now()
            AND s.opened_at + onemap.session_setting(s.account_id, 'longest') > now()
            AND s.opened_at <= now() + interval '1 minute' AND s.last_used_at <= now() + interval '1 minute');
END $$;
COMMENT ON FUNCTION onemap.session_lives(onemap.session) IS
    'Whether a session is neither idle for too long, nor over, nor of the future';

CREATE OR REPLACE FUNCTION onemap.identity_who(kind text, hash bytea, address text, OUT identity jsonb, OUT due boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE session_id bigint; token_id int; account int; used timestamptz;
BEGIN
    IF $1 = 'session' THEN
        SELECT s.id, s.account_id, s.last_used_at INTO session_id, account, used FROM onemap.session s
        WHERE s.hash = $2 AND onemap.session_lives(s);
        identity := onemap.identity_of_account(account) || jsonb_build_object('session', session_id);
    ELSE
        SELECT t.id, t.last_used_at INTO token_id, used FROM onemap.token t
        WHERE t.hash = $2 AND t.revoked_at IS NULL AND t.expires_at > now() AND t.created_at <= now() + interval '1 minute';
        identity := onemap.identity_of_token(token_id);
    END IF;
    identity := identity || jsonb_build_object('address', $3);
    due := coalesce(used < now() - interval '1 minute' OR used > now(), true);
END $$;
COMMENT ON FUNCTION onemap.identity_who(text, bytea, text) IS
    'Who comes with this: see identity_find(); identity NULL: nobody, or not any more';

CREATE OR REPLACE FUNCTION onemap.identity_find(kind text, hash bytea, address text)
RETURNS TABLE (identity json, rights text, due boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE who record := onemap.identity_who($1, $2, $3);
BEGIN
    IF who.identity IS NOT NULL THEN
        identity := who.identity::json;
        rights := (SELECT coalesce(string_agg(r.r, ' '), '') FROM jsonb_array_elements_text(who.identity->'rights') r (r));
        due := who.due;
        RETURN NEXT;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.identity_find(text, bytea, text) IS
    'Who comes with this: kind session or token, SHA-256 of the secret, the client''s address; rights with blanks between; due: '
    'identity_touch() is to be called; no row: nobody, or not any more';
GRANT EXECUTE ON FUNCTION onemap.identity_find(text, bytea, text) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.identity_asking(request jsonb, kind text, hash bytea, address text, access_right text)
RETURNS TABLE (asked jsonb, due boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE who record := onemap.identity_who($2, $3, $4);
BEGIN
    IF who.identity IS NOT NULL AND ($5 = 'identity' OR who.identity->'rights' ? $5) THEN
        asked := $1 || jsonb_build_object('identity', who.identity);
        due := who.due;
        RETURN NEXT;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.identity_asking(jsonb, text, bytea, text, text) IS
    'A request with who asks in it, for the function that answers it, by the same statement: see identity_find(); access_right: '
    'which it takes, "identity" for any; no row: nobody, or who lacks it';
GRANT EXECUTE ON FUNCTION onemap.identity_asking(jsonb, text, bytea, text, text) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.identity_touch(kind text, hash bytea, address text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF $1 = 'session' THEN
        UPDATE onemap.session s SET last_used_at = now() WHERE s.hash = $2;
    ELSE
        UPDATE onemap.token t SET last_used_at = now(), last_address = $3::inet WHERE t.hash = $2;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.identity_touch(text, bytea, text) IS
    'Notes that a session or token was used, for its age and for people';
GRANT EXECUTE ON FUNCTION onemap.identity_touch(text, bytea, text) TO cityhub_api;

-- ---- what it allows ----

CREATE OR REPLACE FUNCTION onemap.identity(request jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(request->'identity') IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the request has no identity' USING ERRCODE = 'CH060';
    END IF;
    RETURN request->'identity';
END $$;
COMMENT ON FUNCTION onemap.identity(jsonb) IS 'Who asks; CH060 if nobody: a function that shows rows never does so for nobody';

CREATE OR REPLACE FUNCTION onemap.identity_departments(request jsonb) RETURNS int[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE listed jsonb := onemap.identity(request)->'departments';
BEGIN
    IF jsonb_typeof(listed) = 'array' THEN
        RETURN ARRAY(SELECT e.e::int FROM jsonb_array_elements_text(listed) e (e));
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.identity_departments(jsonb) IS
    'The row right, said once: the departments whose rows who asks may see; NULL: all rows, also those of no department; '
    'CH060: nobody asks';

CREATE OR REPLACE FUNCTION onemap.identity_act(request jsonb, post text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE who jsonb := onemap.identity(request); the_role text; unit text; login text;
BEGIN
    SELECT p.case_role, d.code, a.login INTO the_role, unit, login
    FROM onemap.account a JOIN onemap.account_post x ON x.account_id = a.id JOIN onemap.post p ON p.post = x.post
        LEFT JOIN onemap.department d ON d.id = a.department_id
    WHERE who->>'kind' = 'person' AND a.id = (who->>'id')::int AND a.revoked_at IS NULL AND x.post = $2
        AND p.case_role IS NOT NULL
    UNION ALL SELECT p.case_role, d.code, 'token:' || t.name
    FROM onemap.token t JOIN onemap.department d ON d.id = t.department_id
        JOIN onemap.token_right r ON r.token_id = t.id AND r.access_right = 'act' JOIN onemap.post p ON p.post = 'department'
    WHERE who->>'kind' = 'token' AND t.id = (who->>'id')::int AND t.revoked_at IS NULL AND p.post = $2;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% does not act as "%"', coalesce(who->>'login', '-'), post USING ERRCODE = 'CH019',
            HINT = coalesce('Posts: ' || nullif((SELECT string_agg(e.e, ', ')
                FROM jsonb_array_elements_text(who->'posts') e (e)), '') || '.',
                'A program acts for its department alone, by the right "act".');
    ELSIF the_role = 'department' AND unit IS NULL THEN
        RAISE EXCEPTION '% acts for no department', login USING ERRCODE = 'CH019',
            HINT = '`cityhub user role --department` says of which department a person is.';
    END IF;
    RETURN jsonb_build_object('role', the_role, 'actor', login)
        || CASE WHEN the_role = 'department' THEN jsonb_build_object('unit', unit) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION onemap.identity_act(jsonb, text) IS
    'Whether who asks, a person or a department''s program, acts in this post of the closed loop, now: {role, actor, unit} as '
    'case_do() takes them, from what is stored and never from what the request claims; CH019 if not';

CREATE OR REPLACE FUNCTION onemap.identity_audit(request jsonb, action text, detail jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.audit_log (action, detail, person, address)
    VALUES (action, detail, request->'identity'->>'login', (request->'identity'->>'address')::inet)
$$;
COMMENT ON FUNCTION onemap.identity_audit(jsonb, text, jsonb) IS
    'Appends one line to the audit log with the person and address of a request';

CREATE OR REPLACE FUNCTION onemap.http_write(request jsonb, route text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.identity_audit(request, route, request - 'identity');
    RETURN request;
END $$;
COMMENT ON FUNCTION onemap.http_write(jsonb, text) IS
    'The request of a route that writes, noted with its parameters: the server calls the route''s function on what this '
    'returns, so '
    'that no write is without its line, and no line without its write';
GRANT EXECUTE ON FUNCTION onemap.http_write(jsonb, text) TO cityhub_api;

-- ---- routes ----

CREATE OR REPLACE FUNCTION onemap.http_me(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (onemap.identity(request) - '{id,session,departments}'::text[] || jsonb_build_object(
        'all_departments', onemap.identity_departments(request) IS NULL,
        'expires_at', (SELECT s.expires_at FROM onemap.session s WHERE s.id = (request->'identity'->>'session')::bigint
                       UNION ALL SELECT t.expires_at FROM onemap.token t
                       WHERE request->'identity'->>'kind' = 'token' AND t.id = (request->'identity'->>'id')::int)))::json
$$;
COMMENT ON FUNCTION onemap.http_me(jsonb) IS
    'GET /api/v1/me: {kind, login, name, posts, rights, department, all_departments, address, expires_at}';
GRANT EXECUTE ON FUNCTION onemap.http_me(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_logout(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM onemap.session s WHERE s.id = (onemap.identity(request)->>'session')::bigint;
    RETURN QUERY SELECT '', 204;
END $$;
COMMENT ON FUNCTION onemap.http_logout(jsonb) IS 'POST /api/v1/logout: ends the session';
GRANT EXECUTE ON FUNCTION onemap.http_logout(jsonb) TO cityhub_api;
