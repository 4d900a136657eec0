-- Accounts, logins and tokens as `cityhub user` and `cityhub token` make and end them, and what the HTTP server asks while somebody
-- logs in. Passwords and tokens never come here: their hashes do. Granted to the hub alone.

CREATE OR REPLACE FUNCTION onemap.identity_word_list(request jsonb, member text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN request ? member
        THEN ARRAY(SELECT DISTINCT btrim(w.w) FROM unnest(string_to_array(request->>member, ',')) w (w) ORDER BY 1) END
$$;
COMMENT ON FUNCTION onemap.identity_word_list(jsonb, text) IS
    'Words with commas between them; NULL if the request does not have them';

CREATE OR REPLACE FUNCTION onemap.identity_check(posts text[], rights text[], department text) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text; found_id int;
BEGIN
    SELECT w.w INTO stray FROM unnest(posts) w (w) WHERE NOT EXISTS (SELECT FROM onemap.post p WHERE p.post = w.w) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '"%" is no post', stray USING ERRCODE = 'CH013',
            DETAIL = format('没有岗位 %s', stray),
            HINT = (SELECT 'Posts: ' || string_agg(p.post || ' ' || p.name_zh, ', ' ORDER BY p.position) FROM onemap.post p);
    END IF;
    SELECT w.w INTO stray FROM unnest(rights) w (w)
    WHERE NOT EXISTS (SELECT FROM onemap.access_right r WHERE r.access_right = w.w) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '"%" is no right', stray USING ERRCODE = 'CH013',
            DETAIL = format('没有权限 %s', stray), HINT = (SELECT 'Rights: '
            || string_agg(r.access_right || ' ' || r.name_zh, ', ' ORDER BY r.position) FROM onemap.access_right r);
    ELSIF department IS NOT NULL THEN
        SELECT d.id INTO found_id FROM onemap.department d WHERE d.code = department AND d.active;
        IF NOT FOUND THEN
            RAISE EXCEPTION '"%" is no department', department USING ERRCODE = 'CH013',
                DETAIL = format('没有单位 %s', department),
                HINT = (SELECT coalesce('Departments: ' || string_agg(d.code, ', ' ORDER BY d.code), 'There are none yet.')
                        FROM onemap.department d WHERE d.active);
        END IF;
    END IF;
    RETURN found_id;
END $$;
COMMENT ON FUNCTION onemap.identity_check(text[], text[], text) IS
    'The id of an active department by its code; CH013 if a post, right or department is not there; NULL is not looked at';

-- ---- people ----

CREATE OR REPLACE FUNCTION onemap.account_locked(login text) RETURNS onemap.account
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE a onemap.account;
BEGIN
    SELECT * INTO a FROM onemap.account x WHERE x.login = $1 FOR UPDATE;
    IF NOT FOUND OR a.revoked_at IS NOT NULL THEN
        RAISE EXCEPTION 'there is no user "%"', login USING ERRCODE = 'CH013',
            DETAIL = format('没有账号 %s', login), HINT = '`cityhub user list` shows them.';
    END IF;
    RETURN a;
END $$;
COMMENT ON FUNCTION onemap.account_locked(text) IS
    'A person who is not revoked, held until the end of the transaction; CH013 if there is none';

CREATE OR REPLACE FUNCTION onemap.account_posts_set(account int, posts text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM onemap.account_post x WHERE x.account_id = account AND x.post <> ALL (posts);
    INSERT INTO onemap.account_post (account_id, post) SELECT account, p.p FROM unnest(posts) p (p) ON CONFLICT DO NOTHING;
$$;
COMMENT ON FUNCTION onemap.account_posts_set(int, text[]) IS 'Gives a person these posts and no others';

CREATE OR REPLACE FUNCTION onemap.account_post_check(posts text[], department int) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF 'department' = ANY (posts) AND department IS NULL THEN
        RAISE EXCEPTION 'the post department needs a department' USING ERRCODE = 'CH013',
            DETAIL = '处置单位岗位须写明是哪个单位',
            HINT = 'Whoever acts for a department is of one: --department CODE.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.account_post_check(text[], int) IS 'CH013 if somebody would act for a department without being of one';

CREATE OR REPLACE FUNCTION onemap.user_add(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    posts text[] := onemap.identity_word_list(request, 'posts');
    department int := onemap.identity_check(posts, NULL, request->>'department');
    a onemap.account; the_login text := request->>'login';
BEGIN
    PERFORM onemap.account_post_check(posts, department);
    SELECT * INTO a FROM onemap.account x WHERE x.login = the_login FOR UPDATE;
    IF FOUND AND a.revoked_at IS NULL THEN
        RAISE EXCEPTION 'there is a user "%" already', the_login USING ERRCODE = 'CH018',
            DETAIL = format('已有账号 %s', the_login),
            HINT = '`cityhub user role` and `cityhub user password` change one.';
    END IF;
    INSERT INTO onemap.account AS x (login, name, department_id, password_hash, password_changed_at)
    VALUES (the_login, request->>'name', department, request->>'password_hash', now())
    ON CONFLICT (login) DO UPDATE SET name = excluded.name, department_id = excluded.department_id, revoked_at = NULL,
        password_hash = excluded.password_hash, password_changed_at = now()
    RETURNING * INTO a;
    PERFORM onemap.account_posts_set(a.id, posts);
    PERFORM onemap.identity_audit(request, 'user_add', request - '{password_hash,identity}'::text[]);
    RETURN jsonb_build_object('login', a.login, 'posts', posts);
END $$;
COMMENT ON FUNCTION onemap.user_add(jsonb) IS
    'Adds a person, or lets a revoked one in again: {login, name, posts: with commas, department, password_hash}; returns '
    '{login, posts}';

CREATE OR REPLACE FUNCTION onemap.user_role(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    posts text[] := onemap.identity_word_list(request, 'posts');
    department int := onemap.identity_check(posts, NULL, request->>'department');
    a onemap.account := onemap.account_locked(request->>'login');
BEGIN
    posts := coalesce(posts, ARRAY(SELECT x.post FROM onemap.account_post x WHERE x.account_id = a.id ORDER BY 1));
    department := CASE WHEN request ? 'department' THEN department ELSE a.department_id END;
    PERFORM onemap.account_post_check(posts, department);
    UPDATE onemap.account x SET department_id = department, name = coalesce(request->>'name', x.name) WHERE x.id = a.id;
    PERFORM onemap.account_posts_set(a.id, posts);
    PERFORM onemap.identity_audit(request, 'user_role', request - 'identity');
    RETURN jsonb_build_object('login', a.login, 'posts', posts,
        'department', (SELECT d.code FROM onemap.department d WHERE d.id = department));
END $$;
COMMENT ON FUNCTION onemap.user_role(jsonb) IS
    'Changes what the request names: {login, name, posts, department: a code or null}; in force with the next request; returns '
    '{login, posts, department}';

CREATE OR REPLACE FUNCTION onemap.user_password(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE a onemap.account := onemap.account_locked(request->>'login'); ended int;
BEGIN
    UPDATE onemap.account x SET password_hash = request->>'password_hash', password_changed_at = now() WHERE x.id = a.id;
    DELETE FROM onemap.session s WHERE s.account_id = a.id;
    GET DIAGNOSTICS ended = ROW_COUNT;
    PERFORM onemap.identity_audit(request, 'user_password', request - '{password_hash,identity}'::text[]);
    RETURN jsonb_build_object('login', a.login, 'sessions', ended);
END $$;
COMMENT ON FUNCTION onemap.user_password(jsonb) IS
    'A new password: {login, password_hash}; ends all sessions; returns {login, sessions: how many}';

CREATE OR REPLACE FUNCTION onemap.user_revoke(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE a onemap.account := onemap.account_locked(request->>'login'); ended int; tokens int;
BEGIN
    UPDATE onemap.account x SET revoked_at = now(), password_hash = NULL WHERE x.id = a.id;
    DELETE FROM onemap.session s WHERE s.account_id = a.id;
    GET DIAGNOSTICS ended = ROW_COUNT;
    UPDATE onemap.token t SET revoked_at = now(), hash = NULL WHERE t.account_id = a.id AND t.revoked_at IS NULL;
    GET DIAGNOSTICS tokens = ROW_COUNT;
    PERFORM onemap.identity_audit(request, 'user_revoke', request - 'identity');
    RETURN jsonb_build_object('login', a.login, 'sessions', ended, 'tokens', tokens);
END $$;
COMMENT ON FUNCTION onemap.user_revoke(jsonb) IS
    'Ends a person''s right to come in: {login}; sessions and own tokens end with it; returns {login, sessions, tokens}';

CREATE OR REPLACE FUNCTION onemap.user_list() RETURNS TABLE (login text, name text, posts text[], department text, sessions bigint,
    last_login_at timestamptz, password_changed_at timestamptz, created_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.login, a.name, ARRAY(SELECT x.post FROM onemap.account_post x WHERE x.account_id = a.id ORDER BY 1), d.code,
        (SELECT count(*) FROM onemap.session s WHERE s.account_id = a.id AND onemap.session_lives(s)),
        a.last_login_at, a.password_changed_at, a.created_at, a.revoked_at
    FROM onemap.account a LEFT JOIN onemap.department d ON d.id = a.department_id
$$;
COMMENT ON FUNCTION onemap.user_list() IS 'People with their posts, department and number of open sessions; no hash';

CREATE OR REPLACE FUNCTION onemap.user_list_table(request jsonb)
RETURNS TABLE (login text, name text, posts text, department text, sessions bigint, last_login text, revoked text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.login, u.name, array_to_string(u.posts, ', '), u.department, u.sessions, onemap.county_time(u.last_login_at),
        onemap.county_time(u.revoked_at)
    FROM onemap.user_list() u WHERE u.revoked_at IS NULL OR request ? 'all' ORDER BY u.login
$$;
COMMENT ON FUNCTION onemap.user_list_table(jsonb) IS 'People for people: {all: revoked ones, too}';

CREATE OR REPLACE FUNCTION onemap.user_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(u) ORDER BY u.login), '[]') FROM onemap.user_list() u
    WHERE u.revoked_at IS NULL OR request ? 'all'
$$;
COMMENT ON FUNCTION onemap.user_list_json(jsonb) IS 'The same as JSON';

GRANT EXECUTE ON FUNCTION onemap.user_add(jsonb), onemap.user_role(jsonb), onemap.user_password(jsonb), onemap.user_revoke(jsonb),
    onemap.user_list(), onemap.user_list_table(jsonb), onemap.user_list_json(jsonb) TO cityhub_hub;

-- ---- tokens ----

CREATE OR REPLACE FUNCTION onemap.token_add(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rights text[] := onemap.identity_word_list(request, 'rights');
    department int := onemap.identity_check(NULL, rights, request->>'department');
    the_owner int := CASE WHEN request ? 'owner' THEN (onemap.account_locked(request->>'owner')).id END;
    t onemap.token;
BEGIN
    IF EXISTS (SELECT FROM onemap.token x WHERE x.name = request->>'name') THEN
        RAISE EXCEPTION 'there is, or was, a token "%"', request->>'name' USING ERRCODE = 'CH018',
            DETAIL = format('令牌名 %s 已用过', request->>'name'),
            HINT = 'The audit log names tokens: take another name.';
    ELSIF 'act' = ANY (rights) AND department IS NULL THEN
        RAISE EXCEPTION 'the right "act" is for a token of a department' USING ERRCODE = 'CH013',
            DETAIL = '权限 act 只给单位的令牌',
            HINT = '`--department` says for which it acts.';
    END IF;
    INSERT INTO onemap.token (name, hash, account_id, department_id, expires_at)
    VALUES (request->>'name', decode(request->>'hash', 'hex'), the_owner, department,
        now() + make_interval(days => (request->>'days')::int))
    RETURNING * INTO t;
    INSERT INTO onemap.token_right (token_id, access_right) SELECT t.id, r.r FROM unnest(rights) r (r);
    PERFORM onemap.identity_audit(request, 'token_add', request - '{hash,identity}'::text[]);
    RETURN jsonb_build_object('name', t.name, 'expires', to_char(onemap.local_time(t.expires_at), 'YYYY-MM-DD'));
END $$;
COMMENT ON FUNCTION onemap.token_add(jsonb) IS
    'Adds a program''s token: {name, rights: with commas, days, owner: a login, or department: a code, hash: SHA-256 in '
    'hex}; returns '
    '{name, expires}';

CREATE OR REPLACE FUNCTION onemap.token_revoke(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.token t SET revoked_at = now(), hash = NULL WHERE t.name = request->>'name' AND t.revoked_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no token "%"', request->>'name' USING ERRCODE = 'CH013',
            DETAIL = format('没有令牌 %s', request->>'name'),
            HINT = '`cityhub token list` shows them.';
    END IF;
    PERFORM onemap.identity_audit(request, 'token_revoke', request - 'identity');
    RETURN jsonb_build_object('name', request->>'name');
END $$;
COMMENT ON FUNCTION onemap.token_revoke(jsonb) IS 'Ends a token: {name}; returns {name}';

CREATE OR REPLACE FUNCTION onemap.token_list() RETURNS TABLE (name text, rights text[], owner text, department text,
    expires_at timestamptz, last_used_at timestamptz, last_address text, created_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.name, ARRAY(SELECT r.access_right FROM onemap.token_right r WHERE r.token_id = t.id ORDER BY 1), a.login, d.code,
        t.expires_at, t.last_used_at, host(t.last_address), t.created_at, t.revoked_at
    FROM onemap.token t LEFT JOIN onemap.account a ON a.id = t.account_id LEFT JOIN onemap.department d ON d.id = t.department_id
$$;
COMMENT ON FUNCTION onemap.token_list() IS 'Tokens with their rights, owner, end and last use; no hash';

CREATE OR REPLACE FUNCTION onemap.token_list_table(request jsonb)
RETURNS TABLE (name text, rights text, owner text, department text, expires text, last_used text, last_address text, revoked text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.name, array_to_string(t.rights, ', '), t.owner, t.department, onemap.county_time(t.expires_at),
        onemap.county_time(t.last_used_at), t.last_address, onemap.county_time(t.revoked_at)
    FROM onemap.token_list() t WHERE t.revoked_at IS NULL OR request ? 'all' ORDER BY t.name
$$;
COMMENT ON FUNCTION onemap.token_list_table(jsonb) IS 'Tokens for people: {all: revoked ones, too}';

CREATE OR REPLACE FUNCTION onemap.token_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.name), '[]') FROM onemap.token_list() t
    WHERE t.revoked_at IS NULL OR request ? 'all'
$$;
COMMENT ON FUNCTION onemap.token_list_json(jsonb) IS 'The same as JSON';

GRANT EXECUTE ON FUNCTION onemap.token_add(jsonb), onemap.token_revoke(jsonb), onemap.token_list(), onemap.token_list_table(jsonb),
    onemap.token_list_json(jsonb) TO cityhub_hub;

-- ---- logging in ----

CREATE OR REPLACE FUNCTION onemap.login_find(login text) RETURNS TABLE (account int, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.id, a.password_hash FROM onemap.account a WHERE a.login = $1 AND a.password_hash IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.login_find(text) IS 'What a password is held against; no row: there is no such person, or not any more';

CREATE OR REPLACE FUNCTION onemap.login_failed(account int, address text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.audit_log (action, person, address)
    SELECT 'login_failed', a.login, $2::inet FROM onemap.account a WHERE a.id = $1
$$;
COMMENT ON FUNCTION onemap.login_failed(int, text) IS 'Notes a wrong password of a person who is there';

CREATE OR REPLACE FUNCTION onemap.login_open(account int, password_hash text, hash bytea, address text, before bytea) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE who jsonb; a onemap.account; ends timestamptz := now() + onemap.session_setting($1, 'longest'); most int := 20;
BEGIN
    SELECT * INTO a FROM onemap.account x WHERE x.id = $1 AND x.password_hash = $2 AND x.revoked_at IS NULL FOR UPDATE;
    who := onemap.identity_of_account(a.id);
    IF who IS NULL THEN
        RETURN NULL;
    END IF;
    -- The session that the client had, those that are over, and the person's oldest beyond the most.
    DELETE FROM onemap.session s WHERE s.hash = $5 OR NOT onemap.session_lives(s);
    DELETE FROM onemap.session s WHERE s.id IN (
        SELECT x.id FROM onemap.session x WHERE x.account_id = $1 ORDER BY x.last_used_at DESC, x.id DESC OFFSET most - 1);
    INSERT INTO onemap.session (hash, account_id, expires_at, address) VALUES ($3, $1, ends, $4::inet);
    UPDATE onemap.account x SET last_login_at = now() WHERE x.id = $1;
    INSERT INTO onemap.audit_log (action, person, address) VALUES ('login', a.login, $4::inet);
    RETURN who - '{id,departments}'::text[] || jsonb_build_object('expires_at', ends);
END $$;
COMMENT ON FUNCTION onemap.login_open(int, text, bytea, text, bytea) IS
    'Opens a session of a person whose password was held against this hash: hash: SHA-256 of the new secret; before: of the one '
    'that the client came with, which ends; NULL if the person was revoked or has another password meanwhile';

CREATE OR REPLACE FUNCTION onemap.login_password(account int, password_hash text, new_hash text, session bigint, address text)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE the_login text; ended int;
BEGIN
    UPDATE onemap.account x SET password_hash = $3, password_changed_at = now()
    WHERE x.id = $1 AND x.password_hash = $2 AND x.revoked_at IS NULL RETURNING x.login INTO the_login;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    DELETE FROM onemap.session s WHERE s.account_id = $1 AND s.id <> $4;
    GET DIAGNOSTICS ended = ROW_COUNT;
    INSERT INTO onemap.audit_log (action, person, address, detail)
    VALUES ('password', the_login, $5::inet, jsonb_build_object('sessions', ended));
    RETURN jsonb_build_object('login', the_login, 'sessions', ended);
END $$;
COMMENT ON FUNCTION onemap.login_password(int, text, text, bigint, text) IS
    'A person''s own new password, after the present one was held against password_hash; ends all sessions but this one; returns '
    '{login, sessions: how many}; NULL if the person was revoked or has another password meanwhile';
GRANT EXECUTE ON FUNCTION onemap.login_find(text), onemap.login_failed(int, text),
    onemap.login_open(int, text, bytea, text, bytea), onemap.login_password(int, text, text, bigint, text) TO cityhub_hub;
