-- Subscriptions (订阅): a program names what it wants and reads it by cursor, each event once and in order. A subscription is
-- a target of the ledger (exchange.sql), so what it is told, what changes later and in which order is the same as upward; a
-- number of the ledger is the cursor: they are given under one lock, so who has read up to one has missed none.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('subscription_keep', '31 days', '订阅的事件保留多久'),
    ('subscription_most', '20', '每个令牌最多有多少个订阅')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- ---- what it is told ----

CREATE OR REPLACE FUNCTION onemap.subscription_resources() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '{case_step,alarm,figure_hour,figure_day}'::text[]
$$;
COMMENT ON FUNCTION onemap.subscription_resources() IS 'Of the ledger''s resources those that can be subscribed to';

CREATE OR REPLACE FUNCTION onemap.subscription_wants(subscription int) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- OFFSET 0: who the token is, is found out once, not for each department.
    SELECT jsonb_build_object('categories', s.categories, 'subsystems', s.subsystems, 'scoped', i.mine IS NOT NULL,
        'departments', CASE WHEN s.departments IS NOT NULL OR i.mine IS NOT NULL THEN (
            SELECT coalesce(jsonb_agg(d.code), '[]') FROM onemap.department d WHERE (i.mine IS NULL OR d.id = ANY (i.mine))
                AND (s.departments IS NULL OR EXISTS (SELECT FROM onemap.department o
                    WHERE o.code = ANY (s.departments) AND d.id = ANY (onemap.department_tree(o.id))))) END)
    FROM onemap.subscription s JOIN onemap.token t ON t.id = s.token_id AND t.expires_at > now()
    CROSS JOIN LATERAL (SELECT onemap.identity_of_token(t.id) AS who OFFSET 0) w
    CROSS JOIN LATERAL (SELECT onemap.identity_departments(jsonb_build_object('identity', w.who)) AS mine OFFSET 0) i
    WHERE s.id = subscription AND s.ended_at IS NULL AND w.who->'rights' ? 'read'
$$;
COMMENT ON FUNCTION onemap.subscription_wants(int) IS
    'What a subscription is to be told now: {categories, subsystems, departments: codes or null = all, scoped: the token sees '
    'single departments alone}; NULL: nothing, as it has ended or its token may not read any more';

CREATE OR REPLACE FUNCTION onemap.subscription_content(wants jsonb, resource text, content jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE resource
        WHEN 'case_step' THEN CASE
            WHEN jsonb_typeof(wants->'categories') = 'array' AND NOT EXISTS (SELECT
                FROM jsonb_array_elements_text(wants->'categories') c (c) WHERE starts_with(content->>'category', c.c)) THEN NULL
            WHEN jsonb_typeof(wants->'departments') <> 'array' OR wants->'departments' ? (content->>'department') THEN content
            WHEN wants->'departments' ? (content->>'previous_department') THEN jsonb_build_object('case_code',
                content->'case_code', 'seq', content->'seq', 'at', content->'at', 'left', true) END
        WHEN 'alarm' THEN CASE
            WHEN (jsonb_typeof(wants->'subsystems') <> 'array' OR wants->'subsystems' ? (content->>'subsystem'))
                AND (jsonb_typeof(wants->'departments') <> 'array' OR EXISTS (
                    SELECT FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
                        LEFT JOIN onemap.device d ON d.id = a.device_id
                        LEFT JOIN onemap.vendor v ON a.device_id = 0 AND v.subsystem = r.subsystem AND v.vendor = a.vendor
                        JOIN onemap.department u ON u.id = coalesce(d.department_id, v.department_id)
                    WHERE a.id = (content->>'id')::bigint AND wants->'departments' ? u.code)) THEN content END
        ELSE CASE WHEN NOT (wants->'scoped')::boolean
            AND (jsonb_typeof(wants->'subsystems') <> 'array' OR wants->'subsystems' ? (content->>'subsystem')) THEN content END END
$$;
COMMENT ON FUNCTION onemap.subscription_content(jsonb, text, jsonb) IS
    'A record of the ledger as a subscription (subscription_wants) is told it; of a case that went to another department only '
    'that it did (left); NULL: not for it. Figures are of the whole county, and for who sees all of it';

CREATE OR REPLACE FUNCTION onemap.exchange_wanted(resource text, only_target text)
RETURNS TABLE (target text, kind text, since timestamptz, wants jsonb)
LANGUAGE sql STABLE ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.target, t.kind, t.since, w.wants
    FROM onemap.exchange_target t
    CROSS JOIN LATERAL (SELECT CASE WHEN t.kind <> 'platform' THEN onemap.subscription_wants(t.subscription_id) END AS wants) w
    WHERE $1 = ANY (t.resources) AND ($2 IS NULL OR t.target = $2) AND (t.kind = 'platform' OR w.wants IS NOT NULL)
$$;
COMMENT ON FUNCTION onemap.exchange_wanted(text, text) IS
    'Who is to have a resource; wants: of a subscription what of it, NULL of a platform: all since then';

-- ---- whose it is ----

CREATE OR REPLACE FUNCTION onemap.subscription_mine(request jsonb) RETURNS SETOF onemap.subscription
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.* FROM onemap.subscription s, (SELECT onemap.identity(request) AS who) i
    WHERE s.ended_at IS NULL AND (NOT request ? 'id' OR s.id = (request->>'id')::int)
        AND CASE i.who->>'kind' WHEN 'token' THEN s.token_id = (i.who->>'id')::int
            ELSE i.who->'rights' ? 'operate' AND onemap.identity_departments(request) IS NULL END
$$;
COMMENT ON FUNCTION onemap.subscription_mine(jsonb) IS
    'The subscriptions of the program that asks, all for an administrator: {id} one of them';

CREATE OR REPLACE FUNCTION onemap.webhook_entry(subscription int) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('url', w.url, 'sign', w.sign, 'state', CASE WHEN w.disabled_at IS NOT NULL THEN 'disabled'
            WHEN t.failures > 0 THEN 'failing' WHEN n.refused > 0 THEN 'refused' ELSE 'good' END,
        'waiting', n.waiting, 'refused', n.refused, 'disabled_at', w.disabled_at,
        'problem', coalesce(nullif(w.problem, ''), t.problem))
    FROM onemap.webhook w JOIN onemap.exchange_target t ON t.subscription_id = w.subscription_id
    CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE r.state = 'waiting') AS waiting,
            count(*) FILTER (WHERE r.state = 'refused') AS refused
        FROM onemap.exchange_record r WHERE r.target = t.target AND r.state IN ('waiting', 'refused')) n
    WHERE w.subscription_id = subscription
$$;
COMMENT ON FUNCTION onemap.webhook_entry(int) IS 'A subscription''s webhook as lists show it, without its key; NULL: it has none';

CREATE OR REPLACE FUNCTION onemap.subscription_entry(s onemap.subscription) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('id', s.id, 'name', s.name, 'program', t.name, 'resources', s.resources, 'departments', s.departments,
        'categories', s.categories, 'subsystems', s.subsystems, 'made_at', s.made_at, 'newest', (SELECT coalesce(max(r.id), 0)
            FROM onemap.exchange_record r WHERE r.target = 'subscription-' || s.id AND r.target LIKE 'subscription-%'),
        'webhook', onemap.webhook_entry(s.id))
    FROM onemap.token t WHERE t.id = s.token_id
$$;
COMMENT ON FUNCTION onemap.subscription_entry(onemap.subscription) IS
    'A subscription as lists show it; newest: its last event''s number';

-- ---- made and ended ----

CREATE OR REPLACE FUNCTION onemap.subscription_list(sent jsonb, member text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(jsonb_typeof(sent->member), 'null') = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(sent->member) <> 'array' OR jsonb_array_length(sent->member) NOT BETWEEN 1 AND 50
        OR EXISTS (SELECT FROM jsonb_array_elements(sent->member) e (e) WHERE jsonb_typeof(e.e) <> 'string') THEN
        RAISE EXCEPTION 'field "%" must be a list of 1 to 50 texts', member USING ERRCODE = 'CH081',
            DETAIL = format('字段 %s 须为 1 至 50 项的列表', member),
            HINT = '写成数组，1 至 50 项；不限制就不写。';
    END IF;
    RETURN ARRAY(SELECT DISTINCT e.e FROM jsonb_array_elements_text(sent->member) e (e) ORDER BY 1);
END $$;
COMMENT ON FUNCTION onemap.subscription_list(jsonb, text) IS
    'A list of a subscription''s body, sorted; NULL: it is not there; CH081';

CREATE OR REPLACE FUNCTION onemap.subscription_check(s onemap.subscription, mine int[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text;
BEGIN
    SELECT e.e INTO stray FROM unnest(s.resources) e (e) WHERE e.e <> ALL (onemap.subscription_resources()) LIMIT 1;
    IF s.resources IS NULL OR stray IS NOT NULL THEN
        RAISE EXCEPTION 'resources: % is none of %', coalesce('"' || stray || '"', 'nothing'),
            array_to_string(onemap.subscription_resources(), ', ') USING ERRCODE = 'CH081',
            DETAIL = format('没有资源 %s', stray),
            HINT = 'case_step 案卷环节，alarm 报警，figure_hour、figure_day 运行数据。';
    END IF;
    SELECT e.e INTO stray FROM unnest(s.departments) e (e) WHERE NOT EXISTS (
        SELECT FROM onemap.department d WHERE d.code = e.e AND (mine IS NULL OR d.id = ANY (mine))) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'departments: there is no "%", or not for this token', stray USING ERRCODE = 'CH081',
            DETAIL = format('没有单位 %s，或不在这个令牌的范围', stray),
            HINT = '单位代码见 /api/v1/departments；单位的令牌只能订阅本单位及下级。';
    END IF;
    SELECT e.e INTO stray FROM unnest(s.subsystems) e (e)
    WHERE NOT EXISTS (SELECT FROM onemap.subsystem x WHERE x.key = e.e) AND e.e <> 'hub' LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'subsystems: there is no "%"', stray USING ERRCODE = 'CH081',
            DETAIL = format('没有子系统 %s', stray), HINT = '子系统见 /api/v1/subsystems。';
    END IF;
    SELECT e.e INTO stray FROM unnest(s.categories) e (e) WHERE e.e !~ '^[0-9]{1,10}$' LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'categories: "%" is not the beginning of a code', stray USING ERRCODE = 'CH081',
            DETAIL = format('类别 %s 不是类别代码的开头', stray),
            HINT = '类别代码或其开头几位数字，如 201。';
    ELSIF mine IS NOT NULL AND s.resources && '{figure_hour,figure_day}' THEN
        RAISE EXCEPTION 'figures are of the whole county, and not for a token of single departments' USING ERRCODE = 'CH081',
            DETAIL = '运行数据是全县的，不给限定单位的令牌',
            HINT = '运行数据是全县的，限于不限定单位的令牌。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.subscription_check(onemap.subscription, int[]) IS
    'Refuses (CH081) a subscription that names what there is not, or what its token (mine: its departments, NULL: all) may not see';

CREATE OR REPLACE FUNCTION onemap.subscription_add(request jsonb, sent jsonb, OUT said jsonb, OUT added boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE who jsonb := onemap.identity(request); wanted onemap.subscription; s onemap.subscription; w onemap.webhook;
BEGIN
    IF who->>'kind' <> 'token' THEN
        RAISE EXCEPTION 'a subscription is a program''s, by its token' USING ERRCODE = 'CH081',
            DETAIL = '订阅须用程序的令牌',
            HINT = '用程序的令牌订阅：cityhub token add。';
    END IF;
    PERFORM onemap.case_fields_check(sent, '{name,resources,departments,categories,subsystems,webhook}', '{name,resources}');
    wanted.name := onemap.case_text(sent, 'name', 64);
    wanted.resources := onemap.subscription_list(sent, 'resources');
    wanted.departments := onemap.subscription_list(sent, 'departments');
    wanted.categories := onemap.subscription_list(sent, 'categories');
    wanted.subsystems := onemap.subscription_list(sent, 'subsystems');
    PERFORM onemap.subscription_check(wanted, onemap.identity_departments(request));
    IF coalesce(jsonb_typeof(sent->'webhook'), 'null') <> 'null' THEN
        PERFORM onemap.webhook_check(sent->'webhook');
        w.url := sent->'webhook'->>'url';
        w.sign := coalesce(sent->'webhook'->>'sign', 'hmac-sha256');
        w.secret := encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
            || uuid_send(gen_random_uuid())), 'hex');
    END IF;
    PERFORM onemap.exchange_lock(true);
    SELECT x.* INTO s FROM onemap.subscription x
    WHERE x.token_id = (who->>'id')::int AND x.name = wanted.name AND x.ended_at IS NULL;
    added := NOT FOUND;
    IF added AND (SELECT count(*) FROM onemap.subscription x WHERE x.token_id = (who->>'id')::int AND x.ended_at IS NULL)
        >= onemap.setting('subscription_most')::int THEN
        RAISE EXCEPTION 'this token has % subscriptions already', onemap.setting('subscription_most') USING ERRCODE = 'CH081',
            DETAIL = format('这个令牌已有 %s 个订阅', onemap.setting('subscription_most')),
            HINT = '先结束不用的订阅。';
    ELSIF added THEN
        INSERT INTO onemap.subscription (token_id, name, resources, departments, categories, subsystems)
        VALUES ((who->>'id')::int, wanted.name, wanted.resources, wanted.departments, wanted.categories, wanted.subsystems)
        RETURNING * INTO s;
        INSERT INTO onemap.exchange_target (target, name_zh, resources, subscription_id, kind)
        VALUES ('subscription-' || s.id, '订阅：' || (who->>'name') || '/' || s.name, s.resources, s.id,
            CASE WHEN w.url IS NULL THEN 'cursor' ELSE 'webhook' END);
        INSERT INTO onemap.webhook (subscription_id, url, sign, secret) SELECT s.id, w.url, w.sign, w.secret
        WHERE w.url IS NOT NULL;
    ELSIF (s.resources, s.departments, s.categories, s.subsystems) IS DISTINCT FROM
        (wanted.resources, wanted.departments, wanted.categories, wanted.subsystems)
        OR (SELECT h.url || h.sign FROM onemap.webhook h WHERE h.subscription_id = s.id) IS DISTINCT FROM w.url || w.sign THEN
        RAISE EXCEPTION 'there is a subscription "%" that wants something else', s.name USING ERRCODE = 'CH018',
            DETAIL = format('已有订阅 %s，要的内容不同', s.name),
            HINT = '另起一个名字，或先结束原来的订阅。';
    END IF;
    said := onemap.subscription_entry(s);
    IF added AND w.url IS NOT NULL THEN
        said := jsonb_set(said, '{webhook,secret}', to_jsonb(w.secret));
    END IF;
END $$;
COMMENT ON FUNCTION onemap.subscription_add(jsonb, jsonb) IS
    'Adds a subscription of the program that asks; the same again is the one that is there (added: false), CH018 if it wants '
    'something else; CH081. A webhook''s key is told when it is made, and never again';

CREATE OR REPLACE FUNCTION onemap.subscription_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE s record; newest bigint; gone int; forgotten int := 0;
BEGIN
    FOR s IN SELECT x.id, 'subscription-' || x.id AS target, x.ended_at IS NOT NULL AS ended FROM onemap.subscription x LOOP
        SELECT max(o.id) INTO newest FROM (SELECT r.id, r.made_at FROM onemap.exchange_record r
            WHERE r.target = s.target AND r.target LIKE 'subscription-%' ORDER BY r.id LIMIT 5000) o
        WHERE s.ended OR o.made_at < onemap.retention_now() - onemap.setting('subscription_keep')::interval;
        CONTINUE WHEN newest IS NULL;
        DELETE FROM onemap.exchange_record r
        WHERE r.target = s.target AND r.target LIKE 'subscription-%' AND r.id <= newest;
        GET DIAGNOSTICS gone = ROW_COUNT;
        UPDATE onemap.subscription x SET forgotten_id = newest WHERE x.id = s.id;
        forgotten := forgotten + gone;
    END LOOP;
    RETURN forgotten;
END $$;
COMMENT ON FUNCTION onemap.subscription_sweep() IS
    'Forgets events that are older than subscription_keep, and those of subscriptions that have ended; returns how many';
INSERT INTO onemap.sweep (function_name) VALUES ('subscription_sweep') ON CONFLICT DO NOTHING;

-- ---- routes ----

CREATE OR REPLACE FUNCTION onemap.http_subscription_add(request jsonb, sent jsonb)
RETURNS TABLE (body json, status int, location text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.said::json, CASE WHEN a.added THEN 201 ELSE 200 END, '/api/v1/subscriptions/' || (a.said->>'id')
    FROM onemap.subscription_add(request, sent) a
$$;
COMMENT ON FUNCTION onemap.http_subscription_add(jsonb, jsonb) IS
    'POST /api/v1/subscriptions: {name, resources, departments, categories, subsystems, webhook: {url, sign}}; 201, or 200 with '
    'the one that is there';

CREATE OR REPLACE FUNCTION onemap.http_subscriptions(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('subscriptions', coalesce(json_agg(onemap.subscription_entry(s) ORDER BY s.id), '[]'))
    FROM onemap.subscription_mine(request) s
$$;
COMMENT ON FUNCTION onemap.http_subscriptions(jsonb) IS 'GET /api/v1/subscriptions: {subscriptions}: the program''s own';

CREATE OR REPLACE FUNCTION onemap.http_subscription(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.subscription_entry(s)::json FROM onemap.subscription_mine(request) s
$$;
COMMENT ON FUNCTION onemap.http_subscription(jsonb) IS 'GET /api/v1/subscriptions/{id}: one; no row: none, or another''s';

CREATE OR REPLACE FUNCTION onemap.http_subscription_end(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.subscription s SET ended_at = clock_timestamp() FROM onemap.subscription_mine(request) m WHERE s.id = m.id
    RETURNING '', 204
$$;
COMMENT ON FUNCTION onemap.http_subscription_end(jsonb) IS
    'DELETE /api/v1/subscriptions/{id}: ends it, its events are forgotten; no row: none, or another''s';

CREATE OR REPLACE FUNCTION onemap.http_subscription_events(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE s onemap.subscription; cursor_id bigint := (request->>'after')::bigint; most int := (request->>'limit')::int;
BEGIN
    SELECT * INTO s FROM onemap.subscription_mine(request);
    IF s.id IS NULL THEN
        RETURN;
    ELSIF cursor_id > 0 AND cursor_id < s.forgotten_id THEN
        RAISE EXCEPTION 'events up to % are not kept any more', s.forgotten_id USING ERRCODE = 'CH082',
            DETAIL = format('编号 %s 及以前的事件已不再保留', s.forgotten_id), HINT = format(
            '事件只保留 %s：请先用列表取现状，再从 after=%s 接着取。', onemap.setting('subscription_keep'), s.forgotten_id);
    END IF;
    RETURN QUERY SELECT json_build_object('events', coalesce(json_agg(json_build_object('event', p.id, 'resource', p.resource,
            'record', p.record, 'version', p.version, 'at', p.made_at, 'hash', encode(p.hash, 'hex'), 'content', p.content)
            ORDER BY p.id), '[]'), 'next', coalesce(max(p.id), cursor_id), 'more', count(*) = most)
        FROM (SELECT r.* FROM onemap.exchange_record r WHERE r.target = 'subscription-' || s.id
                AND r.target LIKE 'subscription-%' AND r.id > cursor_id ORDER BY r.id LIMIT most) p;
END $$;
COMMENT ON FUNCTION onemap.http_subscription_events(jsonb) IS
    'GET /api/v1/subscriptions/{id}/events: {events, next, more}: each once and in order, from the cursor after on; CH082: of a '
    'cursor behind which events were forgotten';

GRANT EXECUTE ON FUNCTION onemap.http_subscription_add(jsonb, jsonb), onemap.http_subscriptions(jsonb),
    onemap.http_subscription(jsonb), onemap.http_subscription_end(jsonb), onemap.http_subscription_events(jsonb) TO cityhub_api;
