-- Photographs of Open311's reports: which addresses are to be fetched, and what became of each. `cityhub upstream media` fetches
-- them, and sends them to the hub as any other program sends attachments: by a token of its own. The public never sees them.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('open311_media_token', 'open311-media', 'Open311：取图程序上传附件所用令牌的名字'),
    ('open311_media_patience', '3 days', 'Open311：图片取不到时重试多久，之后记入案卷日志')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('all are fetched, or tried', '已全部取到，或试过')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.open311_media(typed text, OUT kept text, OUT refused boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(u.u, E'\n') FILTER (WHERE u.may), coalesce(bool_or(NOT u.may), false)
    FROM (SELECT w.w AS u, length(w.w) <= 500 AND coalesce(lower(substring(w.w FROM
        '^https?://([A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:/|$)'))
              = ANY (string_to_array(replace(lower(onemap.setting('open311_media_hosts')), ' ', ''), ',')), false) AS may
          FROM regexp_split_to_table(typed, '\s+') w (w) WHERE w.w <> '') u
$$;
COMMENT ON FUNCTION onemap.open311_media(text) IS
    'Addresses of photographs that may be kept and fetched: of hosts that open311_media_hosts names';

CREATE OR REPLACE FUNCTION onemap.open311_media_put(case_id bigint, typed text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.open311_media (case_id, url)
    SELECT DISTINCT $1, u.u FROM onemap.open311_media(typed) m, string_to_table(m.kept, E'\n') u (u) LIMIT 10
    ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION onemap.open311_media_put(bigint, text) IS
    'Notes the addresses of a report or addition that may be fetched, ten at the most, each once a case';

CREATE OR REPLACE FUNCTION onemap.open311_media_notice(case_id bigint, api_key text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '图片 / media: ' || string_agg(format('%s %s', n.shown, n.count), '，' ORDER BY n.state DESC)
    FROM (SELECT m.state, count(*) AS count, CASE m.state WHEN 'waiting' THEN '待取 waiting' WHEN 'kept' THEN '已收到 received'
              ELSE '未能取得 failed' END AS shown
          FROM onemap.open311_media m JOIN onemap.open311_request q ON q.case_id = m.case_id
          WHERE m.case_id = $1 AND q.token_id = (SELECT onemap.open311_key(api_key)) GROUP BY m.state) n
$$;
COMMENT ON FUNCTION onemap.open311_media_notice(bigint, text) IS
    'What the program that sent a report is told of its photographs: how many were received; NULL if it has named none, or '
    'the key is another''s';

-- ---- for the program that fetches ----

CREATE OR REPLACE FUNCTION onemap.open311_media_told(id bigint, name text, problem text, final boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m onemap.open311_media; c onemap.case_record; why text := left($3, 200); said jsonb;
    sender jsonb := jsonb_build_object('identity', jsonb_build_object('login', 'token:' || onemap.setting('open311_media_token')));
BEGIN
    SELECT * INTO m FROM onemap.open311_media x WHERE x.id = $1 AND x.state = 'waiting' FOR UPDATE;
    SELECT r.* INTO c FROM onemap.case_record r WHERE r.id = onemap.open311_leader(m.case_id) FOR NO KEY UPDATE;
    IF name IS NOT NULL THEN
        why := CASE WHEN NOT EXISTS (SELECT FROM onemap.attachment_upload u
                WHERE u.sha256 = onemap.attachment_name(name) AND u.login = sender#>>'{identity,login}')
                THEN 'open311_media_token names another token than the one that sent it'
            WHEN (SELECT count(*) FROM onemap.case_attachment a WHERE a.case_id = c.id)
                >= onemap.setting('attachment_case')::int THEN 'the case has too many attachments' END;
        name := CASE WHEN why IS NULL THEN name END;
    END IF;
    IF m.id IS NULL THEN
        RETURN 'gone';
    ELSIF name IS NULL AND NOT final AND m.recorded_at > now() - onemap.setting('open311_media_patience')::interval THEN
        UPDATE onemap.open311_media x SET problem = why WHERE x.id = m.id;
        RETURN m.state;
    END IF;
    IF c.ended_at IS NOT NULL THEN
        name := NULL;
        why := coalesce(why, 'the case has ended');
    ELSE
        said := CASE WHEN name IS NULL THEN jsonb_build_object('reason', '上报所附图片未能取得：' || why)
            ELSE onemap.http_attachments_fill(sender, jsonb_build_object('reason', '上报所附图片', 'attachments',
                jsonb_build_array(jsonb_build_object('sha256', name))), c.id) END;
        PERFORM onemap.case_apply(c, 'attach', 'system', sender#>>'{identity,login}', greatest(clock_timestamp(), c.last_event_at),
            said, '=');
    END IF;
    UPDATE onemap.open311_media x SET state = CASE WHEN name IS NULL THEN 'failed' ELSE 'kept' END, problem = coalesce(why, '')
    WHERE x.id = m.id RETURNING x.state INTO m.state;
    RETURN m.state;
END $$;
COMMENT ON FUNCTION onemap.open311_media_told(bigint, text, text, boolean) IS
    'What became of a file: name: its SHA-256, sent to the hub by the token open311_media_token: the case has it then; or the '
    'problem, which the case''s journal has when it is final, or when open311_media_patience is over; else it is '
    'tried again. Returns its state';

CREATE OR REPLACE FUNCTION onemap.open311_media_due() RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH due AS (
        SELECT m.id FROM onemap.open311_media m WHERE m.state = 'waiting' AND onemap.has_come(m.due_at, '7 hours')
        ORDER BY m.due_at, m.id LIMIT 10 FOR UPDATE SKIP LOCKED),
    claimed AS (
        UPDATE onemap.open311_media m SET tries = m.tries + 1, due_at = clock_timestamp()
            + least(interval '1 minute' * 2 ^ least(m.tries, 20), interval '6 hours')
        FROM due WHERE m.id = due.id RETURNING m.id, m.url)
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id::text, 'url', c.url, 'permitted',
        NOT (onemap.open311_media(c.url)).refused) ORDER BY c.id), '[]') FROM claimed c
$$;
COMMENT ON FUNCTION onemap.open311_media_due() IS
    'Ten files that are to be fetched now: [{id, url, permitted}]; permitted: its host still is. Each is due again after 1, 2, '
    '4 ... minutes, six hours at the most, unless it is told of: also when the program ends in between';
GRANT EXECUTE ON FUNCTION onemap.open311_media_told(bigint, text, text, boolean), onemap.open311_media_due() TO cityhub_exchange;

-- ---- nobody fetches ----

SELECT onemap.alarm_rule_default('hub', 'media_not_fetched', '{"name_zh": "上报图片无人抓取", "kind": "derived",
    "severity": "minor", "source": "assumed: open311_media_late",
    "source_zh": "假定：见设置 open311_media_late"}');

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('open311_media_late', '30 minutes', 'Open311：图片到了该取的时候，多久没有程序来取就报警')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

CREATE OR REPLACE FUNCTION onemap.open311_media_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE rule int; since timestamptz; many int; late interval := onemap.setting('open311_media_late')::interval;
BEGIN
    SELECT r.id INTO rule FROM onemap.alarm_rule r WHERE r.subsystem = 'hub' AND r.key = 'media_not_fetched';
    -- Who tries puts due_at off, whatever comes of it.
    SELECT min(m.due_at), count(*)::int INTO since, many FROM onemap.open311_media m
    WHERE m.state = 'waiting' AND m.due_at < now() - late;
    IF many > 0 THEN
        PERFORM onemap.alarm_open(rule, 0, 'open311', onemap.alarm_next_time(rule, 0, 'open311', since + late), many,
            jsonb_build_object('text_zh', format('%s 张图片等待抓取，最早的一张 %s 就该取；请查服务 cityhub-media 是否在运行',
                many, onemap.county_time(since)), 'waiting', many, 'oldest_due_at', since));
    ELSE
        PERFORM onemap.alarm_close(rule, 0, 'open311', now(), NULL, 'all are fetched, or tried');
    END IF;
    RETURN many;
END $$;
COMMENT ON FUNCTION onemap.open311_media_sweep() IS
    'Opens the alarm hub/media_not_fetched while photographs of reports are due for longer than open311_media_late and nobody has '
    'tried to fetch them; closes it when none is; returns how many wait so';
INSERT INTO onemap.sweep (function_name) VALUES ('open311_media_sweep') ON CONFLICT DO NOTHING;
