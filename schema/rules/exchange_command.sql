-- What `cityhub upstream` shows of the ledger and does with it.

CREATE OR REPLACE FUNCTION onemap.exchange_known(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ? 'target' AND NOT EXISTS (SELECT FROM onemap.exchange_target t WHERE t.target = request->>'target') THEN
        RAISE EXCEPTION 'there is no target "%"', request->>'target'
            USING ERRCODE = 'CH070', HINT = '`cityhub upstream status` shows those that there are.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.exchange_known(jsonb) IS 'Refuses (CH070) a request that names a target that is not there';

CREATE OR REPLACE FUNCTION onemap.exchange_status_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.exchange_known(request);
    SELECT coalesce(jsonb_agg(jsonb_build_object('target', t.target, 'name_zh', t.name_zh, 'resources', t.resources,
        'records', n.records, 'accepted', n.accepted, 'refused', n.refused, 'waiting', n.waiting, 'held_up', n.held_up,
        'skipped', n.skipped, 'corrections', n.corrections, 'oldest_waiting_at', n.oldest, 'oldest_s', t.oldest_s,
        'late', coalesce(n.oldest < now() - make_interval(secs => t.oldest_s), false), 'failures', t.failures,
        'problem', t.problem, 'asks', t.asks, 'asked_at', t.asked_at,
        'paused_until', nullif(t.paused_until, '-infinity'), 'reached_at', t.reached_at) ORDER BY t.target), '[]')
    FROM onemap.exchange_target t CROSS JOIN LATERAL (
        SELECT count(*) AS records, count(*) FILTER (WHERE r.state = 'accepted') AS accepted,
               count(*) FILTER (WHERE r.state = 'refused') AS refused, count(*) FILTER (WHERE r.state = 'waiting') AS waiting,
               count(*) FILTER (WHERE r.state = 'skipped') AS skipped, count(*) FILTER (WHERE r.version > 1) AS corrections,
               count(*) FILTER (WHERE r.state = 'waiting' AND EXISTS (SELECT FROM onemap.exchange_record e
                   WHERE e.target = r.target AND e.chain = r.chain AND e.state = 'refused' AND e.id < r.id)) AS held_up,
               min(r.made_at) FILTER (WHERE r.state = 'waiting') AS oldest
        FROM onemap.exchange_record r WHERE r.target = t.target) n
    WHERE t.kind <> 'cursor' AND (NOT request ? 'target' OR t.target = request->>'target')
$$;
COMMENT ON FUNCTION onemap.exchange_status_json(jsonb) IS
    'How targets stand: {target}; held_up: waiting behind a refused record of the same case; late: the oldest has waited '
    'for longer '
    'than oldest_s';

CREATE OR REPLACE FUNCTION onemap.exchange_status_table(request jsonb) RETURNS TABLE (target text, name text, records bigint,
    accepted bigint, refused bigint, waiting bigint, held_up bigint, skipped bigint, oldest_waiting text, state text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.target, s.name_zh, s.records, s.accepted, s.refused, s.waiting, s.held_up, s.skipped,
           onemap.county_time(s.oldest_waiting_at),
           CASE WHEN NOT onemap.has_come(s.paused_until, '25 hours') THEN 'paused'
               WHEN s.late THEN 'late' WHEN s.refused > 0 THEN 'refused' ELSE 'good' END,
           nullif(s.problem, '')
    FROM jsonb_to_recordset(onemap.exchange_status_json(request)) AS s (target text, name_zh text, records bigint, accepted bigint,
        refused bigint, waiting bigint, held_up bigint, skipped bigint, oldest_waiting_at timestamptz, late boolean,
        paused_until timestamptz, problem text)
    ORDER BY s.target
$$;
COMMENT ON FUNCTION onemap.exchange_status_table(jsonb) IS 'The same for people';

CREATE OR REPLACE FUNCTION onemap.exchange_find(request jsonb) RETURNS SETOF onemap.exchange_record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.exchange_known(request);
    SELECT r.* FROM onemap.exchange_record r
    WHERE CASE WHEN request ? 'target' THEN r.target = request->>'target' ELSE NOT starts_with(r.target, 'subscription-') END
      AND (NOT request ? 'number' OR r.id = (request->>'number')::bigint)
      AND (NOT request ? 'state' OR r.state = request->>'state')
      AND (NOT request ? 'resource' OR r.resource = request->>'resource')
      AND (NOT request ? 'record' OR r.record = request->>'record')
      AND (NOT request ? 'case' OR r.chain = 'case_step:' || (request->>'case'))
      AND (NOT request ? 'from' OR r.made_at >= onemap.local_midnight((request->>'from')::date))
      AND (NOT request ? 'to' OR r.made_at < onemap.local_midnight((request->>'to')::date + 1))
$$;
COMMENT ON FUNCTION onemap.exchange_find(jsonb) IS
    'Records of the ledger: {target, number, state, resource, record, case, from, to (days on which they were entered)}';

CREATE OR REPLACE FUNCTION onemap.exchange_record_name(resource text, content jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(CASE resource
        WHEN 'case_step' THEN concat_ws(' ', (SELECT a.name_zh FROM onemap.case_action a WHERE a.action = content->>'action'),
            content->>'title')
        WHEN 'alarm' THEN (SELECT a.name_zh FROM onemap.alarm_rule a
            WHERE a.subsystem = content->>'subsystem' AND a.key = content->>'rule')
        WHEN 'figure_hour' THEN (SELECT m.name_zh FROM onemap.metric m
            WHERE m.subsystem = content->>'subsystem' AND m.key = content->>'metric')
        WHEN 'figure_day' THEN (SELECT m.name_zh FROM onemap.metric m
            WHERE m.subsystem = content->>'subsystem' AND m.key = content->>'metric')
        ELSE coalesce(content->>'name_zh', (SELECT d.name_zh FROM onemap.department d WHERE d.code = content->>'department'))
        END, '')
$$;
COMMENT ON FUNCTION onemap.exchange_record_name(text, jsonb) IS
    'What people call a record of the ledger: a thing''s name, a step''s action, a rule, a metric, a department; NULL: nothing';

CREATE OR REPLACE FUNCTION onemap.exchange_list_table(request jsonb) RETURNS TABLE (number bigint, target text, resource text,
    record text, version int, state text, attempts int, entered text, sent text, answered text, receipt text, answer text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.id, r.target, r.resource, r.record, r.version, r.state, r.attempts, onemap.county_time(r.made_at),
           onemap.county_time(r.sent_at), onemap.county_time(r.answered_at), r.receipt, left(r.answer, 80)
    FROM onemap.exchange_find(request) r ORDER BY r.id DESC LIMIT coalesce((request->>'limit')::int, 50)
$$;
COMMENT ON FUNCTION onemap.exchange_list_table(jsonb) IS 'The ledger for people, newest first: as exchange_find, limit';

CREATE OR REPLACE FUNCTION onemap.exchange_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(r) - '{id,hash,next_attempt_at}'::text[] || jsonb_build_object('number', r.id, 'hash',
        encode(r.hash, 'hex'), 'next_attempt_at', nullif(r.next_attempt_at, '-infinity')) ORDER BY r.id DESC), '[]')
    FROM (SELECT * FROM onemap.exchange_find(request) f ORDER BY f.id DESC LIMIT coalesce((request->>'limit')::int, 50)) r
$$;
COMMENT ON FUNCTION onemap.exchange_list_json(jsonb) IS 'The same as JSON: what was sent and what was answered, whole';

CREATE OR REPLACE FUNCTION onemap.exchange_set(request jsonb, action text, before text[], after text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE changed bigint;
BEGIN
    PERFORM onemap.exchange_known(request);
    UPDATE onemap.exchange_record r SET state = after, next_attempt_at = '-infinity',
        answer = CASE WHEN after = 'skipped' THEN request->>'reason' ELSE r.answer END
    FROM onemap.exchange_find(request) f WHERE r.id = f.id AND r.state = ANY (before);
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed = 0 AND request ? 'number' THEN
        RAISE EXCEPTION 'record % of target "%" is not there, or not %', request->>'number', request->>'target',
            array_to_string(before, ' or ') USING ERRCODE = 'CH071';
    END IF;
    IF action IN ('exchange_retry', 'exchange_replay') THEN
        UPDATE onemap.exchange_target t SET paused_until = '-infinity', ask_next_at = '-infinity'
        WHERE t.target = request->>'target';
    END IF;
    PERFORM onemap.audit(action, request || jsonb_build_object('records', changed));
    RETURN jsonb_build_object('records', changed);
END $$;
COMMENT ON FUNCTION onemap.exchange_set(jsonb, text, text[], text) IS
    'Takes records (exchange_find) that are in one of these states to another, and notes it in the audit log; returns {records}';

CREATE OR REPLACE FUNCTION onemap.exchange_retry(request jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.exchange_set(request, 'exchange_retry', '{refused,waiting}', 'waiting')
$$;
COMMENT ON FUNCTION onemap.exchange_retry(jsonb) IS
    'Refused records, and those that wait for their next attempt, are tried at once, under their number: {target, number}';

CREATE OR REPLACE FUNCTION onemap.exchange_replay(request jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.exchange_set(request, 'exchange_replay', '{accepted,skipped}', 'waiting')
$$;
COMMENT ON FUNCTION onemap.exchange_replay(jsonb) IS
    'Accepted and skipped records go up once more, under the same number and hash: {target, resource, record, case, from, to}';

CREATE OR REPLACE FUNCTION onemap.exchange_skip(request jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.exchange_set(request, 'exchange_skip', '{refused,waiting}', 'skipped')
$$;
COMMENT ON FUNCTION onemap.exchange_skip(jsonb) IS
    'A record that the target will not have is given up, and what waits behind it goes on: {target, number, reason}';

CREATE OR REPLACE FUNCTION onemap.exchange_differences(request jsonb) RETURNS TABLE (target text, resource text, record text,
    number bigint, version int, difference text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO'
SET extra_float_digits = 1 AS $$
DECLARE one text;
BEGIN
    PERFORM onemap.exchange_known(request);
    FOR one IN SELECT r.resource FROM onemap.exchange_resource r
               WHERE NOT request ? 'resource' OR r.resource = request->>'resource' ORDER BY r.position LOOP
        RETURN QUERY EXECUTE format($q$
            WITH truth AS (
                SELECT t.target, v.record, sha256(convert_to((to_jsonb(v) - '{record,chain,place,key,occurred_at}'::text[])::text,
                    'UTF8')) AS hash
                FROM onemap.%I v JOIN onemap.exchange_target t ON t.kind = 'platform' AND $1 = ANY (t.resources)
                    AND (t.since <= v.occurred_at) IS NOT FALSE AND ($2 IS NULL OR t.target = $2)
            ), ledger AS (
                SELECT DISTINCT ON (x.target, x.record) x.target, x.record, x.id, x.version, x.hash, x.state
                FROM onemap.exchange_record x WHERE x.resource = $1 AND ($2 IS NULL OR x.target = $2)
                    AND NOT starts_with(x.target, 'subscription-')
                ORDER BY x.target, x.record, x.version DESC
            )
            SELECT coalesce(t.target, l.target), $1, coalesce(t.record, l.record), l.id, l.version, d.difference
            FROM truth t FULL JOIN ledger l ON l.target = t.target AND l.record = t.record
            CROSS JOIN LATERAL (SELECT CASE WHEN l.id IS NULL THEN 'missing' WHEN t.record IS NULL THEN 'gone'
                WHEN l.hash <> t.hash THEN 'changed' WHEN l.state <> 'accepted' THEN l.state END AS difference) d
            WHERE d.difference IS NOT NULL ORDER BY 1, 3$q$, 'exchange_' || one) USING one, request->>'target';
    END LOOP;
    RETURN QUERY SELECT h.* FROM onemap.exchange_held_differences(request->>'target', request->>'resource') h ORDER BY 1, 2, 3;
END $$;
COMMENT ON FUNCTION onemap.exchange_differences(jsonb) IS
    'What a target does not have as it is here: {target, resource}; missing: not entered yet, gone: no longer here, changed: not '
    'entered as it is now, waiting, refused, skipped: not accepted; lost, different, unknown, '
    'doubled: what a target that can be asked said it has is not what it accepted. No rows: the target has accepted all as it is';

CREATE OR REPLACE FUNCTION onemap.exchange_differences_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]') FROM onemap.exchange_differences(request) d
$$;
COMMENT ON FUNCTION onemap.exchange_differences_json(jsonb) IS 'The same as JSON';

GRANT EXECUTE ON FUNCTION onemap.exchange_status_json(jsonb), onemap.exchange_status_table(jsonb),
    onemap.exchange_list_table(jsonb), onemap.exchange_list_json(jsonb), onemap.exchange_differences(jsonb),
    onemap.exchange_differences_json(jsonb) TO cityhub_exchange, cityhub_hub, cityhub_read;
GRANT EXECUTE ON FUNCTION onemap.exchange_retry(jsonb), onemap.exchange_replay(jsonb), onemap.exchange_skip(jsonb)
    TO cityhub_exchange, cityhub_hub;
