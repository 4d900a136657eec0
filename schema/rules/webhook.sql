-- Webhooks (推送): what a subscription is told is sent to its address, by the sender and the ledger of what goes upward. Each
-- message is signed with a key of the subscription; each record's versions go one after the other; an address that fails for
-- long is disabled, with an alarm, until its program resumes it. `cityhub upstream push` sends.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('webhook_patience', '1 day', '推送地址连续失败多久后停用'),
    ('webhook_most', '50', '全县最多有多少个推送地址')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

SELECT onemap.alarm_rule_default('hub', 'webhook_disabled', '{"name_zh": "订阅推送已停用", "kind": "derived", "severity": "minor",
    "source": "assumed: setting webhook_patience",
    "source_zh": "假定：见设置 webhook_patience"}');
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('resumed, or ended', '已恢复，或已结束')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.webhook_check(sent jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.case_fields_check(sent, '{url,sign}', '{url}');
    IF jsonb_typeof(sent->'url') <> 'string' OR length(sent->>'url') > 500
        OR sent->>'url' !~ '^https?://([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!-"$-~]*)?$' THEN
        RAISE EXCEPTION 'webhook: the url must be https://host/path, without a login or a fragment' USING ERRCODE = 'CH081',
            DETAIL = '推送 webhook 的地址须为 https://主机/路径，不带账号和片段',
            HINT = '如 https://host.example/events。';
    ELSIF coalesce(sent->>'sign', 'hmac-sha256') NOT IN ('hmac-sha256', 'hmac-sm3') THEN
        RAISE EXCEPTION 'webhook: sign must be hmac-sha256 or hmac-sm3' USING ERRCODE = 'CH081',
            DETAIL = '推送 webhook 的签名须为 hmac-sha256 或 hmac-sm3';
    ELSIF (SELECT count(*) FROM onemap.webhook w JOIN onemap.subscription s ON s.id = w.subscription_id
           WHERE s.ended_at IS NULL) >= onemap.setting('webhook_most')::int THEN
        RAISE EXCEPTION 'there are % webhooks already', onemap.setting('webhook_most') USING ERRCODE = 'CH081',
            DETAIL = format('已有 %s 个 webhook', onemap.setting('webhook_most')),
            HINT = '请用游标取，或由管理员放宽 webhook_most。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.webhook_check(jsonb) IS
    'Refuses (CH081) a webhook {url, sign} that is none, or one too many. Which addresses may be reached the sender judges, when '
    'it connects';

-- ---- for the sender ----

CREATE OR REPLACE FUNCTION onemap.webhook_targets() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('target', t.target, 'subscription', s.id::text, 'url', w.url, 'sign', w.sign,
        'secret', w.secret, 'resources', s.resources) ORDER BY s.id), '[]')
    FROM onemap.webhook w JOIN onemap.subscription s ON s.id = w.subscription_id
        JOIN onemap.exchange_target t ON t.subscription_id = s.id
    WHERE s.ended_at IS NULL AND w.disabled_at IS NULL AND onemap.subscription_wants(s.id) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.webhook_targets() IS
    'Where is to be sent now: [{target, subscription, url, sign, secret, resources}]; not what has ended, is disabled, or whose '
    'token may not read any more';
GRANT EXECUTE ON FUNCTION onemap.webhook_targets() TO cityhub_exchange;

-- ---- disabled and resumed ----

CREATE OR REPLACE FUNCTION onemap.webhook_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE w record; disabled int := 0;
BEGIN
    FOR w IN
        SELECT t.target, t.name_zh, t.failures, t.problem, h.subscription_id, h.resumed_at, h.disabled_at, s.ended_at,
            r.id AS rule_id, o.made_at, o.state, o.answer, o.answered_at
        FROM onemap.webhook h JOIN onemap.subscription s ON s.id = h.subscription_id
            JOIN onemap.exchange_target t ON t.subscription_id = s.id
            JOIN onemap.alarm_rule r ON r.subsystem = 'hub' AND r.key = 'webhook_disabled'
        LEFT JOIN LATERAL (SELECT x.made_at, x.state, x.answer, x.answered_at FROM onemap.exchange_record x
            WHERE x.target = t.target AND x.state IN ('waiting', 'refused') ORDER BY x.id LIMIT 1) o ON true
    LOOP
        -- A sender that was away itself for long, and fails once, has not failed for long.
        IF w.ended_at IS NULL AND w.disabled_at IS NULL AND greatest(w.resumed_at, CASE WHEN w.state = 'refused' THEN w.answered_at
                WHEN w.failures >= 5 THEN w.made_at END) < now() - onemap.setting('webhook_patience')::interval
            AND (w.state = 'refused' OR w.failures >= 5) THEN
            UPDATE onemap.webhook h SET disabled_at = clock_timestamp(),
                problem = left(CASE WHEN w.state = 'refused' THEN coalesce(w.answer, '') ELSE w.problem END, 500)
            WHERE h.subscription_id = w.subscription_id;
            PERFORM onemap.alarm_open(w.rule_id, 0, w.target, onemap.alarm_next_time(w.rule_id, 0, w.target, now()), NULL,
                jsonb_build_object('text_zh', format('%s：自 %s 起推送失败（%s），已停用', w.name_zh, onemap.county_time(w.made_at),
                    CASE WHEN w.state = 'refused' THEN coalesce(w.answer, '') ELSE w.problem END)));
            disabled := disabled + 1;
        ELSIF w.disabled_at IS NULL OR w.ended_at IS NOT NULL THEN
            PERFORM onemap.alarm_close(w.rule_id, 0, w.target, now(), NULL, 'resumed, or ended');
            DELETE FROM onemap.webhook h WHERE h.subscription_id = w.subscription_id AND w.ended_at IS NOT NULL;
        END IF;
    END LOOP;
    RETURN disabled;
END $$;
COMMENT ON FUNCTION onemap.webhook_sweep() IS
    'Disables webhooks that have failed, or refused a record, for longer than webhook_patience, each with the alarm '
    'hub/webhook_disabled, which ends when it is resumed; returns how many';
INSERT INTO onemap.sweep (function_name) VALUES ('webhook_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.http_webhook_resume(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE s onemap.subscription;
BEGIN
    SELECT * INTO s FROM onemap.subscription_mine(request);
    UPDATE onemap.webhook w SET disabled_at = NULL, problem = '', resumed_at = clock_timestamp() WHERE w.subscription_id = s.id;
    IF FOUND THEN
        UPDATE onemap.exchange_record r SET state = 'waiting', next_attempt_at = '-infinity'
        WHERE r.target = 'subscription-' || s.id AND r.state IN ('refused', 'waiting');
        UPDATE onemap.exchange_target t SET paused_until = '-infinity', failures = 0 WHERE t.subscription_id = s.id;
        RETURN QUERY SELECT onemap.subscription_entry(s)::json;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_webhook_resume(jsonb) IS
    'POST /api/v1/subscriptions/{id}/resume: a disabled webhook goes on, and what it refused is sent again; no row: it has none';
GRANT EXECUTE ON FUNCTION onemap.http_webhook_resume(jsonb) TO cityhub_api;
