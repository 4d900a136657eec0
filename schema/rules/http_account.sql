-- People, tokens and alarm rules over HTTP, as an administrator keeps them on the page. Only a person who holds the post admin may,
-- logged in as himself: no token, whatever its rights. What is done is what `cityhub user`, `token` and `alarm rule` do, noted with
-- the person and the address; what is refused here (CH066) is noted, too.

CREATE OR REPLACE FUNCTION onemap.http_manager(request jsonb) RETURNS int
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE who jsonb := onemap.identity(request);
BEGIN
    IF who->>'kind' IS DISTINCT FROM 'person' OR NOT who->'posts' ? 'admin' THEN
        RAISE EXCEPTION '% is no administrator', who->>'login' USING ERRCODE = 'CH066',
            DETAIL = format('账号 %s 不是管理员', who->>'login'),
            HINT = '账号、令牌、报警规则和文件导入由管理员本人登录后管理；令牌不能。';
    END IF;
    RETURN (who->>'id')::int;
END $$;
COMMENT ON FUNCTION onemap.http_manager(jsonb) IS
    'The account of the administrator who asks; CH066 for anybody else, and for a program';

-- Two administrators who end each other at the same moment: the second finds himself ended. So one is always left.
CREATE OR REPLACE FUNCTION onemap.http_manager_locked(request jsonb) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE manager int := onemap.http_manager(request);
BEGIN
    PERFORM FROM onemap.account a
    WHERE EXISTS (SELECT FROM onemap.account_post x WHERE x.account_id = a.id AND x.post = 'admin') ORDER BY a.id FOR UPDATE OF a;
    IF NOT EXISTS (SELECT FROM onemap.account a JOIN onemap.account_post x ON x.account_id = a.id
                   WHERE a.id = manager AND a.revoked_at IS NULL AND x.post = 'admin') THEN
        RAISE EXCEPTION '% is no administrator any more', request->'identity'->>'login' USING ERRCODE = 'CH066',
            DETAIL = format('账号 %s 已不是管理员', request->'identity'->>'login'),
            HINT = '您已不是管理员。';
    END IF;
    RETURN manager;
END $$;
COMMENT ON FUNCTION onemap.http_manager_locked(jsonb) IS
    'The same, as it is now, with all administrators held until the end of the transaction';

-- ---- what is sent ----

CREATE OR REPLACE FUNCTION onemap.http_account_shape(sent jsonb, key text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN key IN ('posts', 'rights') THEN jsonb_typeof(sent->key) = 'array' AND sent->key <> '[]'
            AND NOT EXISTS (SELECT FROM jsonb_array_elements(
                CASE jsonb_typeof(sent->key) WHEN 'array' THEN sent->key ELSE '[]' END) e
                            WHERE e.value #>> '{}' !~ '^[a-z_]{1,32}$')
        WHEN key = 'login' THEN jsonb_typeof(sent->key) = 'string' AND sent->>key ~ '^[a-z0-9][a-z0-9._-]{0,62}$'
        WHEN key = 'name' THEN jsonb_typeof(sent->key) = 'string' AND sent->>key ~ '^[^[:cntrl:]]{1,100}$'
            AND btrim(sent->>key) <> ''
        WHEN key = 'days' THEN jsonb_typeof(sent->key) = 'number' AND (sent->>key)::numeric BETWEEN 1 AND 3660
            AND (sent->>key)::numeric % 1 = 0
        WHEN key IN ('threshold', 'clear_threshold') THEN jsonb_typeof(sent->key) = 'number' AND abs((sent->>key)::numeric) < 1e12
        WHEN key = 'duration_s' THEN jsonb_typeof(sent->key) = 'number' AND (sent->>key)::numeric BETWEEN 0 AND 604800
            AND (sent->>key)::numeric % 1 = 0
        WHEN key = 'severity' THEN sent->>key IN ('info', 'minor', 'major', 'critical')
        WHEN key = 'enabled' THEN jsonb_typeof(sent->key) = 'boolean'
        WHEN key IN ('department', 'category_code') THEN jsonb_typeof(sent->key) IN ('string', 'null')
        WHEN key = 'source' THEN jsonb_typeof(sent->key) = 'string' AND length(sent->>key) <= 200 AND btrim(sent->>key) <> ''
        ELSE jsonb_typeof(sent->key) = 'string' END
$$;
COMMENT ON FUNCTION onemap.http_account_shape(jsonb, text) IS 'Whether a member of a body is of the form that it must have';

CREATE OR REPLACE FUNCTION onemap.http_account_asked(sent jsonb, needed text[], others text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stray text;
    words_zh CONSTANT text := '{"login": "账号须为 1 至 63 个小写字母、数字、._-",
    "name": "名称须有 1 至 100 个字符",
    "posts": "至少选一个岗位", "rights": "至少选一项权限", "days": "有效天数为 1 至 3660", "threshold": "限值须为数",
    "clear_threshold": "恢复值须为数", "duration_s": "持续时间为 0 至 604800 秒", "severity": "级别为 info、minor、major、critical",
    "source": "请写限值的依据：标准及条款，或县里的文件（200 字以内）"}';
BEGIN
    IF jsonb_typeof(sent) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the body must be a JSON object' USING ERRCODE = 'CH013',
            DETAIL = '请求体须为 JSON 对象', HINT = '请求体须为 JSON 对象。';
    END IF;
    stray := coalesce(onemap.unknown_keys(sent, needed || others), (SELECT min(n) FROM unnest(needed) n WHERE NOT sent ? n),
        (SELECT min(k) FROM jsonb_object_keys(sent) k WHERE onemap.http_account_shape(sent, k) IS NOT TRUE));
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'field "%" is missing, unknown, or not of its form', left(stray, 60) USING ERRCODE = 'CH013',
            DETAIL = format('字段 %s 缺少、多余或格式不对', left(stray, 60)),
            HINT = coalesce(words_zh::jsonb->>stray, '请按接口说明填写 ' || left(stray, 60)) || '。';
    END IF;
    RETURN (SELECT jsonb_object_agg(e.key, CASE WHEN e.key IN ('posts', 'rights')
            THEN to_jsonb((SELECT string_agg(w, ',' ORDER BY w) FROM jsonb_array_elements_text(e.value) w)) ELSE e.value END)
        FROM jsonb_each(sent) e);
END $$;
COMMENT ON FUNCTION onemap.http_account_asked(jsonb, text[], text[]) IS
    'A body with the members that it needs and no others than may be, each of its form, lists as words with commas between them; '
    'CH013 if it is none';

-- ---- what is refused ----

CREATE OR REPLACE FUNCTION onemap.http_account_other(request jsonb, login text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF login = request->'identity'->>'login' THEN
        RAISE EXCEPTION '% cannot do that to himself', login USING ERRCODE = 'CH066',
            DETAIL = '不能对自己这样做', HINT = CASE
            WHEN (SELECT count(*) FROM onemap.account a JOIN onemap.account_post x ON x.account_id = a.id
                  WHERE a.revoked_at IS NULL AND x.post = 'admin') = 1
            THEN '您是最后一个管理员：须先另设一个管理员，由他来改。本人的口令在“修改密码”里改。'
            ELSE '本人的岗位和停用须由别的管理员办理；本人的口令在“修改密码”里改。' END;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_account_other(jsonb, text) IS
    'CH066 if an administrator would change, reset or end himself: so an administrator is always left';

CREATE OR REPLACE FUNCTION onemap.http_account_within(request jsonb, rights text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text := (SELECT min(r) FROM unnest(rights) r WHERE NOT request->'identity'->'rights' ? r);
BEGIN
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'nobody gives a right that he has not: %', stray USING ERRCODE = 'CH066',
            DETAIL = format('不能授予本人没有的权限：%s', stray), HINT = '不能授予本人没有的权限。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_account_within(jsonb, text[]) IS
    'CH066 if somebody would give a right that he does not have himself';

CREATE OR REPLACE FUNCTION onemap.http_rule_check(request jsonb, asked jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r onemap.alarm_rule; limit_now float8; ends float8;
BEGIN
    SELECT * INTO r FROM onemap.alarm_rule x WHERE x.subsystem = request->>'subsystem' AND x.key = request->>'rule';
    limit_now := coalesce((asked->>'threshold')::float8, r.threshold);
    ends := coalesce((asked->>'clear_threshold')::float8, (asked->>'threshold')::float8, r.clear_threshold);
    IF r.comparison = 'above' AND ends > limit_now OR r.comparison = 'below' AND ends < limit_now THEN
        RAISE EXCEPTION 'alarm rule %.%: opens % %, so it cannot end at % already', r.subsystem, r.key, r.comparison, limit_now,
            ends USING ERRCODE = 'CH013',
            DETAIL = format('报警规则 %s.%s 的恢复值 %s 在报警一侧', r.subsystem, r.key, ends),
            HINT = format('恢复值 %s 已在报警一侧：%s %s 报警，恢复值须%s于它。', ends,
                CASE r.comparison WHEN 'above' THEN '高于' ELSE '低于' END, limit_now,
                CASE r.comparison WHEN 'above' THEN '不高' ELSE '不低' END);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_rule_check(jsonb, jsonb) IS
    'What alarm_rule_change_check() refuses most, said in Chinese to whoever sits at the page; CH013';

-- ---- doing it ----

CREATE OR REPLACE FUNCTION onemap.http_account_call(request jsonb, sent jsonb, action text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who jsonb := jsonb_build_object('identity', request->'identity');
    asked jsonb;
BEGIN
    PERFORM onemap.http_manager_locked(request);
    asked := CASE action
        WHEN 'user_add' THEN onemap.http_account_asked(sent, '{login,name,posts,password_hash}', '{department}')
        WHEN 'user_role' THEN onemap.http_account_asked(sent, '{}', '{name,posts,department}')
        WHEN 'user_password' THEN onemap.http_account_asked(sent, '{password_hash}', '{}')
        WHEN 'token_add' THEN onemap.http_account_asked(sent, '{name,rights,days,hash}', '{owner,department}')
        WHEN 'alarm_rule' THEN onemap.http_account_asked(sent, '{source}',
            '{threshold,clear_threshold,duration_s,severity,category_code,enabled}')
        ELSE '{}' END;
    IF action IN ('user_role', 'user_password', 'user_revoke') THEN
        PERFORM onemap.http_account_other(request, request->>'login');
        asked := coalesce(asked, '{}') || jsonb_build_object('login', request->'login');
    END IF;
    PERFORM onemap.http_account_within(request, ARRAY(SELECT r.access_right FROM onemap.post_right r
        WHERE r.post = ANY (onemap.identity_word_list(asked, 'posts'))) || onemap.identity_word_list(asked, 'rights'));
    CASE action
        WHEN 'user_add' THEN
            IF EXISTS (SELECT FROM onemap.account a WHERE a.login = asked->>'login' AND a.revoked_at IS NULL) THEN
                RAISE EXCEPTION 'there is a user "%" already', asked->>'login' USING ERRCODE = 'CH018',
                    DETAIL = format('已有账号 %s', asked->>'login'),
                    HINT = '这个账号已经有人用，请换一个；要改此人的岗位或口令，请在列表里办。';
            END IF;
            RETURN onemap.user_add(who || jsonb_strip_nulls(asked));
        WHEN 'user_role' THEN
            RETURN onemap.user_role(who || asked);
        WHEN 'user_password' THEN
            RETURN onemap.user_password(who || asked);
        WHEN 'user_revoke' THEN
            RETURN onemap.user_revoke(who || asked);
        WHEN 'token_add' THEN
            IF EXISTS (SELECT FROM onemap.token t WHERE t.name = asked->>'name') THEN
                RAISE EXCEPTION 'there is, or was, a token "%"', asked->>'name' USING ERRCODE = 'CH018',
                    DETAIL = format('令牌名 %s 已用过', asked->>'name'),
                    HINT = '这个令牌名用过了，审计里按名称记录，请换一个。';
            ELSIF asked->>'name' !~ '^[a-z0-9][a-z0-9._-]{0,62}$' OR asked->>'rights' ~ 'score' THEN
                RAISE EXCEPTION 'a token has a name of a-z, 0-9, ., _, -, and rights of read, alarm, operate'
                    USING ERRCODE = 'CH013',
                    DETAIL = '令牌的名称或权限不对',
                    HINT = '令牌名须为 1 至 63 个小写字母、数字、._-；令牌的权限只有 read、alarm、operate。';
            ELSIF asked->>'owner' IS NOT NULL AND asked->>'department' IS NOT NULL THEN
                RAISE EXCEPTION 'a token is of a person or of a department' USING ERRCODE = 'CH013',
                    DETAIL = '令牌要么属于人，要么属于单位',
                    HINT = '属于人的令牌不再限定单位。';
            END IF;
            RETURN onemap.token_add(who || jsonb_strip_nulls(asked));
        WHEN 'token_revoke' THEN
            RETURN onemap.token_revoke(who || jsonb_build_object('name', request->'token'));
        ELSE
            PERFORM onemap.http_rule_check(request, asked);
            PERFORM onemap.identity_audit(request, 'alarm_rule', asked || jsonb_build_object('subsystem', request->'subsystem',
                'rule', request->'rule'));
            RETURN onemap.alarm_rule_change(asked
                || jsonb_build_object('subsystem', request->'subsystem', 'rule', request->'rule'));
    END CASE;
END $$;
COMMENT ON FUNCTION onemap.http_account_call(jsonb, jsonb, text) IS
    'What an administrator does: user_add, user_role, user_password, user_revoke, token_add, token_revoke, alarm_rule';

CREATE OR REPLACE FUNCTION onemap.http_account_do(request jsonb, sent jsonb, action text)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE zh text; words text;
BEGIN
    RETURN QUERY SELECT onemap.http_account_call(request, sent, action)::json, CASE WHEN action LIKE '%add' THEN 201 ELSE 200 END,
        NULL::text, NULL::text, NULL::text, NULL::text;
EXCEPTION WHEN SQLSTATE 'CH066' THEN
    GET STACKED DIAGNOSTICS zh = PG_EXCEPTION_DETAIL, words = PG_EXCEPTION_HINT;
    PERFORM onemap.identity_audit(request, 'refused', jsonb_strip_nulls(jsonb_build_object('action', action, 'code', SQLSTATE,
        'login', request->'login', 'token', request->'token', 'rule', request->'rule')));
    RETURN QUERY SELECT NULL::json, NULL::int, SQLSTATE, SQLERRM, zh, words;
END $$;
COMMENT ON FUNCTION onemap.http_account_do(jsonb, jsonb, text) IS
    'http_account_call() as an answer; code, detail, hint: refused, and noted with the person and the address';

-- ---- the routes ----

CREATE OR REPLACE FUNCTION onemap.http_user_add(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.http_account_do($1, $2, 'user_add')
$$;
COMMENT ON FUNCTION onemap.http_user_add(jsonb, jsonb) IS
    'POST /api/v1/users: {login, name, posts, department, password}; the hub puts a hash in the place of the password';

CREATE OR REPLACE FUNCTION onemap.http_user_role(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.http_account_do($1, $2, 'user_role')
$$;
COMMENT ON FUNCTION onemap.http_user_role(jsonb, jsonb) IS
    'POST /api/v1/users/{login}/role: what is to change of {name, posts, department: a code or null}';

CREATE OR REPLACE FUNCTION onemap.http_user_password(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.http_account_do($1, $2, 'user_password')
$$;
COMMENT ON FUNCTION onemap.http_user_password(jsonb, jsonb) IS
    'POST /api/v1/users/{login}/password: {password}, as at http_user_add()';

CREATE OR REPLACE FUNCTION onemap.http_user_revoke(request jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.http_account_do($1, NULL, 'user_revoke')
$$;
COMMENT ON FUNCTION onemap.http_user_revoke(jsonb) IS 'POST /api/v1/users/{login}/revoke';

CREATE OR REPLACE FUNCTION onemap.http_token_add(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.http_account_do($1, $2, 'token_add')
$$;
COMMENT ON FUNCTION onemap.http_token_add(jsonb, jsonb) IS
    'POST /api/v1/tokens: {name, rights, days, owner: a login, or department: a code}; the hub makes the token and adds its hash';

CREATE OR REPLACE FUNCTION onemap.http_token_revoke(request jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.http_account_do($1, NULL, 'token_revoke')
$$;
COMMENT ON FUNCTION onemap.http_token_revoke(jsonb) IS 'POST /api/v1/tokens/{token}/revoke';

CREATE OR REPLACE FUNCTION onemap.http_alarm_rule_set(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.http_account_do($1, $2, 'alarm_rule')
$$;
COMMENT ON FUNCTION onemap.http_alarm_rule_set(jsonb, jsonb) IS
    'POST /api/v1/alarm_rules/{subsystem}/{rule}: source, and what is to change of {threshold, clear_threshold, duration_s, '
    'severity, category_code, enabled}; in force at once';

CREATE OR REPLACE FUNCTION onemap.http_users(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object(
        'users', (SELECT coalesce(json_agg(u ORDER BY u.revoked_at IS NOT NULL, u.login), '[]') FROM onemap.user_list() u
                  WHERE u.revoked_at IS NULL OR (request->>'all')::boolean),
        'posts', (SELECT json_agg(json_build_object('post', p.post, 'name_zh', p.name_zh) ORDER BY p.position) FROM onemap.post p))
    FROM onemap.http_manager(request)
$$;
COMMENT ON FUNCTION onemap.http_users(jsonb) IS 'GET /api/v1/users: {users, posts}; CH066 unless an administrator asks';

CREATE OR REPLACE FUNCTION onemap.http_tokens(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('tokens', (SELECT coalesce(json_agg(t ORDER BY t.revoked_at IS NOT NULL, t.name), '[]')
        FROM onemap.token_list() t WHERE t.revoked_at IS NULL OR (request->>'all')::boolean))
    FROM onemap.http_manager(request)
$$;
COMMENT ON FUNCTION onemap.http_tokens(jsonb) IS
    'GET /api/v1/tokens: {tokens}, none of them itself; CH066 unless an administrator asks';

CREATE OR REPLACE FUNCTION onemap.http_alarm_rules(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.http_alarm_check(request);
    SELECT json_build_object('rules', onemap.alarm_rule_list_json(
        CASE WHEN (request->>'edited')::boolean THEN request ELSE request - 'edited' END))
    FROM onemap.identity(request)
$$;
COMMENT ON FUNCTION onemap.http_alarm_rules(jsonb) IS
    'GET /api/v1/alarm_rules: {rules}: the county''s, without any department''s rows';

GRANT EXECUTE ON FUNCTION onemap.http_user_add(jsonb, jsonb), onemap.http_user_role(jsonb, jsonb),
    onemap.http_user_password(jsonb, jsonb),
    onemap.http_user_revoke(jsonb), onemap.http_token_add(jsonb, jsonb), onemap.http_token_revoke(jsonb),
    onemap.http_alarm_rule_set(jsonb, jsonb), onemap.http_users(jsonb), onemap.http_tokens(jsonb), onemap.http_alarm_rules(jsonb)
    TO cityhub_api;
