-- How the hub is, over HTTP, for the right "operate": messages in quarantine, vendors, lanes. A token that sees one department's
-- rows sees the vendors of that department, and what they sent. Row functions pin no search path: the planner looks into them.

CREATE OR REPLACE FUNCTION onemap.http_vendor_rows(request jsonb) RETURNS SETOF onemap.vendor
LANGUAGE sql STABLE AS $$
    SELECT v.* FROM onemap.vendor v
    WHERE (SELECT onemap.identity_departments(request)) IS NULL
        OR v.department_id = ANY ((SELECT onemap.identity_departments(request))::int[])
$$;
COMMENT ON FUNCTION onemap.http_vendor_rows(jsonb) IS 'The vendors'' rights that who asks may see';

CREATE OR REPLACE FUNCTION onemap.http_vendors(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.http_check(request);
    SELECT json_build_object('vendors', coalesce(json_agg(to_jsonb(v) || coalesce(d.counted, '{}')
        ORDER BY v.subsystem, v.vendor), '[]'), 'unknown_logins',
        CASE WHEN (SELECT onemap.identity_departments(request)) IS NULL
            THEN (SELECT l.told FROM onemap.login_refused l WHERE l.login = '') END)
    FROM onemap.http_vendor_rows(request) m JOIN onemap.vendor_overview v ON v.subsystem = m.subsystem AND v.vendor = m.vendor
    -- Who sees a part is told of the devices that /devices lists for him.
    LEFT JOIN LATERAL (
        SELECT jsonb_build_object('devices', count(*), 'online', count(*) FILTER (WHERE s.online)) AS counted
        FROM onemap.device x LEFT JOIN onemap.device_state s ON s.device_id = x.id
        WHERE x.subsystem = m.subsystem AND x.vendor = m.vendor AND x.status <> 'retired'
            AND onemap.http_sees((SELECT onemap.identity_departments(request)), x.department_id)) d
        ON (SELECT onemap.identity_departments(request)) IS NOT NULL
    WHERE NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem'
$$;
COMMENT ON FUNCTION onemap.http_vendors(jsonb) IS
    'GET /api/v1/vendors: {vendors, unknown_logins: refused ones of nobody, NULL for who sees single departments alone}: as '
    '`cityhub vendor list`: policy, devices in use (as many as /devices?state=in_use has for who asks), last record, end of the '
    'right; never whom to call';

CREATE OR REPLACE FUNCTION onemap.http_lanes(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('lanes', coalesce(json_agg(json_build_object('client_id', l.client_id, 'subsystem', l.subsystem,
        'opened_at', l.opened_at) ORDER BY l.subsystem, l.client_id), '[]'))
    FROM onemap.lane l WHERE (SELECT onemap.identity_departments(request)) IS NULL
$$;
COMMENT ON FUNCTION onemap.http_lanes(jsonb) IS
    'GET /api/v1/lanes: {lanes}: the hub''s sessions at the broker; their counters are in /metrics';

CREATE OR REPLACE FUNCTION onemap.http_upstream(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('targets', CASE WHEN (SELECT onemap.identity_departments(request)) IS NULL
        THEN onemap.exchange_status_json('{}') ELSE '[]' END)
$$;
COMMENT ON FUNCTION onemap.http_upstream(jsonb) IS
    'GET /api/v1/upstream: {targets}: as `cityhub upstream status`; not for who sees single departments alone';

CREATE OR REPLACE FUNCTION onemap.http_upstream_records(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('records', coalesce(json_agg(json_build_object('number', r.id, 'target', r.target,
            'resource', r.resource, 'resource_zh', k.name_zh, 'record', r.record,
            'name_zh', onemap.exchange_record_name(r.resource, r.content),
            'version', r.version, 'state', r.state, 'attempts', r.attempts,
            'made_at', r.made_at, 'sent_at', r.sent_at, 'answered_at', r.answered_at,
            'next_attempt_at', nullif(r.next_attempt_at, '-infinity'), 'receipt', r.receipt, 'answer', r.answer)
            ORDER BY r.id DESC), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN min(r.id) END)
    FROM (SELECT f.* FROM onemap.exchange_find(request) f
          WHERE (SELECT onemap.identity_departments(request)) IS NULL
            AND (NOT request ? 'after' OR f.id < (request->>'after')::bigint)
          ORDER BY f.id DESC LIMIT (request->>'limit')::int) r
        JOIN onemap.exchange_resource k ON k.resource = r.resource
$$;
COMMENT ON FUNCTION onemap.http_upstream_records(jsonb) IS
    'GET /api/v1/upstream/records: {records, next}: the ledger, newest first, with what the target answered; not for who sees '
    'single departments alone';

CREATE OR REPLACE FUNCTION onemap.http_upstream_quality(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('quality', CASE WHEN (SELECT onemap.identity_departments(request)) IS NULL
        THEN onemap.exchange_quality_json(jsonb_strip_nulls(jsonb_build_object('target', request->'target',
            'from', onemap.local_time(onemap.http_time(request, 'from'))::date,
            'to', onemap.local_time(onemap.http_time(request, 'to'))::date)))
        ELSE '[]' END)
$$;
COMMENT ON FUNCTION onemap.http_upstream_quality(jsonb) IS
    'GET /api/v1/upstream/quality: {quality}: as `cityhub upstream quality`; not for who sees single departments alone';

-- ---- conformity of vendors: conformity.sql ----

-- A day of the API is a moment, its midnight; here it is that day.
CREATE OR REPLACE FUNCTION onemap.http_conformity_days(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT request || jsonb_strip_nulls(jsonb_build_object('from', onemap.local_time(onemap.http_time(request, 'from'))::date,
        'to', onemap.local_time(onemap.http_time(request, 'to'))::date))
$$;
COMMENT ON FUNCTION onemap.http_conformity_days(jsonb) IS 'The request with from and to as days of the county';

CREATE OR REPLACE FUNCTION onemap.http_vendor_conformity(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked jsonb := onemap.http_conformity_days(request); today date := onemap.local_time(now())::date; d record;
BEGIN
    PERFORM onemap.http_check(request - '{from,to}'::text[]); -- both days are in it
    SELECT * INTO d FROM onemap.conformity_days(asked, 0);
    RETURN QUERY SELECT json_build_object('as_of', now(), 'from', d.from_day, 'to', d.to_day, 'vendors', coalesce(json_agg(
            to_jsonb(c) || jsonb_build_object('vendor_zh', m.name_zh, 'company', k.name_zh, 'revoked_at', m.revoked_at,
                'rates', '{"day": null, "week": null, "month": null}' || coalesce(r.rates, '{}'))
            ORDER BY c.subsystem, c.vendor), '[]'))
        FROM onemap.http_vendor_rows(request) m
        JOIN onemap.vendor_company k ON k.vendor = m.vendor
        JOIN onemap.conformity_of(asked - 'vendor' || jsonb_build_object('from', d.from_day, 'to', d.to_day)) c
            ON c.subsystem = m.subsystem AND c.vendor = m.vendor
        LEFT JOIN (
            SELECT s.subsystem, s.vendor, jsonb_object_agg(s.period, s.rate) AS rates
            FROM (SELECT v.subsystem, v.vendor, p.period,
                      onemap.conformity_rate(sum(v.records), sum(v.refused), sum(v.unjudged), sum(v.flawed)) AS rate
                  FROM (VALUES ('day', 0), ('week', 6), ('month', 29)) p (period, back)
                  JOIN onemap.vendor_conformity v ON v.day BETWEEN today - p.back AND today
                  GROUP BY v.subsystem, v.vendor, p.period) s
            GROUP BY s.subsystem, s.vendor) r ON r.subsystem = m.subsystem AND r.vendor = m.vendor
        WHERE NOT request ? 'vendor' OR m.vendor = request->>'vendor';
END $$;
COMMENT ON FUNCTION onemap.http_vendor_conformity(jsonb) IS
    'GET /api/v1/vendors/conformity: {as_of, from, to, vendors}: what each vendor sent in these days of the county, by '
    'default today, and its rates of conformity: of these days (rate), of today, of 7 and of 30 days up to today (rates); null: '
    'no record to judge';

CREATE OR REPLACE FUNCTION onemap.http_conformity_day_rows(request jsonb, back int) RETURNS SETOF onemap.vendor_conformity
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE d record;
BEGIN
    PERFORM onemap.http_check(request - '{from,to}'::text[]); -- both days are in it
    SELECT * INTO d FROM onemap.conformity_days(onemap.http_conformity_days(request), back);
    RETURN QUERY SELECT c.* FROM onemap.vendor_conformity c
        JOIN onemap.http_vendor_rows(request) m ON m.subsystem = c.subsystem AND m.vendor = c.vendor
        WHERE c.day BETWEEN d.from_day AND d.to_day AND (NOT request ? 'subsystem' OR c.subsystem = request->>'subsystem')
            AND (NOT request ? 'vendor' OR c.vendor = request->>'vendor');
END $$;
COMMENT ON FUNCTION onemap.http_conformity_day_rows(jsonb, int) IS
    'Days of vendors that who asks may see: {subsystem, vendor, from, to}';

CREATE OR REPLACE FUNCTION onemap.http_vendor_conformity_days(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('days', coalesce(json_agg(to_jsonb(c) || jsonb_build_object('rate',
        onemap.conformity_rate(c.records, c.refused, c.unjudged, c.flawed)) ORDER BY c.subsystem, c.vendor, c.day), '[]'))
    FROM onemap.http_conformity_day_rows(request, 29) c
$$;
COMMENT ON FUNCTION onemap.http_vendor_conformity_days(jsonb) IS
    'GET /api/v1/vendors/conformity/days: {days}: the same day by day, by default of 30 days; a day without a message has no entry';

CREATE OR REPLACE FUNCTION onemap.http_vendor_conformity_csv(request jsonb) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE asked jsonb := onemap.http_csv_asked(request); lines bigint;
BEGIN
    RETURN QUERY SELECT onemap.http_csv_head(request, '日期', '子系统', '厂商', '厂商名称', '符合率（%）', '报文', '记录', '收下',
        '拒收', '有问题的', '数据库拒收', '重复', '补充', '更正', '迟到', '未报台账', '重放的报文');
    RETURN QUERY SELECT onemap.http_csv_line(c.day::text, c.subsystem, c.vendor, onemap.vendor_name(c.subsystem, c.vendor, NULL),
            onemap.conformity_rate(c.records, c.refused, c.unjudged, c.flawed)::text, c.messages::text, c.records::text,
            c.taken::text, c.refused::text, c.flawed::text, c.unjudged::text, c.duplicates::text, c.merged::text, c.revised::text,
            c.late::text, c.unlisted::text, c.replayed::text)
        FROM onemap.http_conformity_day_rows(request, 29) c ORDER BY c.day, c.subsystem, c.vendor LIMIT (asked->>'limit')::int;
    GET DIAGNOSTICS lines = ROW_COUNT;
    PERFORM onemap.http_csv_end(asked, lines);
END $$;
COMMENT ON FUNCTION onemap.http_vendor_conformity_csv(jsonb) IS
    'GET /api/v1/vendors/conformity.csv: a line a vendor and day, by default of 30 days';

-- Of a warning no message is in quarantine.
CREATE OR REPLACE FUNCTION onemap.http_vendor_conformity_findings(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE d record;
BEGIN
    PERFORM onemap.http_check(request - '{from,to}'::text[]); -- both days are in it
    SELECT * INTO d FROM onemap.conformity_days(onemap.http_conformity_days(request), 0);
    RETURN QUERY WITH mine AS MATERIALIZED (
        SELECT v.subsystem, v.vendor FROM onemap.http_vendor_rows(request) v
        WHERE (NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem')
            AND (NOT request ? 'vendor' OR v.vendor = request->>'vendor')),
    held AS (
        SELECT q.subsystem, q.vendor, p.code, count(DISTINCT q.id) AS messages
        FROM mine m JOIN onemap.quarantine q ON q.subsystem = m.subsystem AND q.vendor = m.vendor
        CROSS JOIN LATERAL jsonb_to_recordset(q.problems) AS p (code text)
        WHERE q.last_received_at >= onemap.local_midnight(d.from_day) AND q.received_at < onemap.local_midnight(d.to_day + 1)
        GROUP BY q.subsystem, q.vendor, p.code)
    SELECT json_build_object('from', d.from_day, 'to', d.to_day, 'findings', coalesce(json_agg(json_build_object(
        'subsystem', f.subsystem, 'vendor', f.vendor, 'fate', f.fate, 'code', f.code, 'field', nullif(f.field, ''),
        'findings', f.findings, 'days', f.days, 'excuse', onemap.conformity_excuse(f.code), 'example', f.example,
        'quarantined', CASE WHEN f.fate <> 'warning' THEN coalesce(h.messages, 0) END)
        ORDER BY f.subsystem, f.vendor, f.findings DESC, f.fate, f.code, f.field), '[]'))
    FROM (SELECT c.subsystem, c.vendor, c.fate, c.code, c.field, sum(c.findings)::bigint AS findings, count(*) AS days,
              (array_agg(c.example ORDER BY c.day DESC) FILTER (WHERE c.example IS NOT NULL))[1] AS example
          FROM mine m JOIN onemap.vendor_finding c ON c.subsystem = m.subsystem AND c.vendor = m.vendor
          WHERE c.day BETWEEN d.from_day AND d.to_day GROUP BY c.subsystem, c.vendor, c.fate, c.code, c.field) f
    LEFT JOIN held h ON f.fate <> 'warning' AND h.subsystem = f.subsystem AND h.vendor = f.vendor AND h.code = f.code;
END $$;
COMMENT ON FUNCTION onemap.http_vendor_conformity_findings(jsonb) IS
    'GET /api/v1/vendors/conformity/findings: {from, to, findings}: what was found in vendors'' messages of these days, by '
    'default today: '
    'how often, the last example, and how many messages of quarantine have it (those of /quarantine with problem, from and to)';
GRANT EXECUTE ON FUNCTION onemap.http_vendor_conformity(jsonb), onemap.http_vendor_conformity_days(jsonb),
    onemap.http_vendor_conformity_csv(jsonb), onemap.http_vendor_conformity_findings(jsonb) TO cityhub_api;

-- ---- quarantine ----

CREATE OR REPLACE FUNCTION onemap.http_quarantine_rows(request jsonb) RETURNS SETOF onemap.quarantine_overview
LANGUAGE sql STABLE AS $$
    SELECT q.* FROM onemap.quarantine_overview q
    WHERE (SELECT onemap.identity_departments(request)) IS NULL
        OR EXISTS (SELECT FROM onemap.http_vendor_rows(request) v WHERE v.subsystem = q.subsystem AND v.vendor = q.vendor)
$$;
COMMENT ON FUNCTION onemap.http_quarantine_rows(jsonb) IS 'The quarantined messages that who asks may see, without their payload';

-- As a JSON text has it, in quotation marks, and as Protobuf has it, behind its length: "M1" is not within "M10".
CREATE OR REPLACE FUNCTION onemap.payload_names(payload bytea, code text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT position(convert_to('"' || code || '"', 'UTF8') IN payload) > 0
        OR position(decode(lpad(to_hex(octet_length(code)), 2, '0'), 'hex') || convert_to(code, 'UTF8') IN payload) > 0
$$;
COMMENT ON FUNCTION onemap.payload_names(bytea, text) IS 'Whether a message, in JSON or Protobuf, has this code as a text';

CREATE OR REPLACE FUNCTION onemap.http_quarantine(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF onemap.identity_departments(request) IS NULL THEN -- who sees a part is not told what else there is
        PERFORM onemap.quarantine_filter(request);
    END IF;
    RETURN QUERY SELECT json_build_object('messages', coalesce(json_agg(to_jsonb(p)
            || jsonb_build_object('vendor_zh', onemap.vendor_name(p.subsystem, p.vendor, NULL)) ORDER BY p.id DESC), '[]'),
            'next', CASE WHEN count(*) = (request->>'limit')::int THEN min(p.id) END)
        FROM (SELECT q.* FROM onemap.http_quarantine_rows(request) q
              WHERE (NOT request ? 'subsystem' OR q.subsystem = request->>'subsystem')
                AND (NOT request ? 'vendor' OR q.vendor = request->>'vendor')
                AND (NOT request ? 'kind' OR q.kind = request->>'kind')
                AND (NOT request ? 'code' OR q.code = request->>'code')
                AND (NOT request ? 'problem' OR EXISTS (SELECT FROM onemap.quarantine p WHERE p.id = q.id
                    AND p.problems @> jsonb_build_array(jsonb_build_object('code', request->'problem'))))
                AND (NOT request ? 'from' OR q.last_received_at >= onemap.http_time(request, 'from'))
                AND (NOT request ? 'to' OR q.received_at < onemap.http_time(request, 'to'))
                AND (NOT request ? 'waiting' OR (q.replayed_at IS NULL) = (request->>'waiting')::boolean)
                AND (NOT request ? 'after' OR q.id < (request->>'after')::bigint)
              ORDER BY q.id DESC LIMIT (request->>'limit')::int) p;
END $$;
COMMENT ON FUNCTION onemap.http_quarantine(jsonb) IS 'GET /api/v1/quarantine: {messages, next}, newest first, without payloads';

CREATE OR REPLACE FUNCTION onemap.http_quarantine_reasons(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('reasons', coalesce(json_agg(json_build_object('code', r.code, 'subsystem', r.subsystem,
        'vendor', r.vendor,
        'vendor_zh', onemap.vendor_name(r.subsystem, r.vendor, NULL), 'messages', r.messages,
        'waiting', r.waiting, 'last_received_at', r.last_received_at,
        'example', r.example) ORDER BY r.messages DESC, r.code, r.subsystem, r.vendor), '[]'))
    FROM (SELECT q.code, q.subsystem, q.vendor, count(*) AS messages, count(*) FILTER (WHERE q.replayed_at IS NULL) AS waiting,
              max(q.received_at) AS last_received_at, (array_agg(q.reason ORDER BY q.id DESC))[1] AS example
          FROM onemap.http_quarantine_rows(request) q GROUP BY q.code, q.subsystem, q.vendor) r
$$;
COMMENT ON FUNCTION onemap.http_quarantine_reasons(jsonb) IS
    'GET /api/v1/quarantine/reasons: how many messages for which reason, by vendor; the list behind one: code, subsystem, vendor';

CREATE OR REPLACE FUNCTION onemap.http_quarantine_message(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (to_jsonb(o) || jsonb_build_object('list', q.problems, 'kept_bytes', octet_length(q.payload),
        'payload_base64', translate(encode(substring(q.payload FROM 1 FOR 65536), 'base64'), E'\n', ''),
        'vendor_zh', onemap.vendor_name(o.subsystem, o.vendor, NULL),
        'replaying', w.id IS NOT NULL, 'replay_error', w.last_error))::json
    FROM onemap.http_quarantine_rows(request) o JOIN onemap.quarantine q ON q.id = o.id
        LEFT JOIN onemap.outbox w ON w.replay = q.id AND w.sent_at IS NULL
    WHERE o.id = (request->>'id')::bigint
$$;
COMMENT ON FUNCTION onemap.http_quarantine_message(jsonb) IS
    'GET /api/v1/quarantine/{id}: one message, the list of its problems, and its first 64 KiB; no row: none, or not to be seen';

CREATE OR REPLACE FUNCTION onemap.http_quarantine_payload(request jsonb) RETURNS TABLE (body bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.payload FROM onemap.http_quarantine_rows(request) o JOIN onemap.quarantine q ON q.id = o.id
    WHERE o.id = (request->>'id')::bigint
$$;
COMMENT ON FUNCTION onemap.http_quarantine_payload(jsonb) IS
    'GET /api/v1/quarantine/{id}/payload: the bytes that were received and kept';

-- ---- replaying ----

-- So many, and so many bytes, are under way at a time: the hub has them in memory.
CREATE OR REPLACE FUNCTION onemap.quarantine_replay_ask(ids bigint[]) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('onemap.quarantine_replay', 0));
    WITH waits AS (
        SELECT count(*) AS n, coalesce(sum(q.bytes), 0) AS bytes FROM onemap.outbox o JOIN onemap.quarantine q ON q.id = o.replay
        WHERE o.sent_at IS NULL
    ), found AS (
        SELECT q.id, q.topic, q.times, row_number() OVER (ORDER BY q.id) AS n, sum(q.bytes) OVER (ORDER BY q.id) AS bytes
        FROM onemap.quarantine q
        WHERE q.id = ANY (ids) AND q.bytes <= octet_length(q.payload)
            AND NOT EXISTS (SELECT FROM onemap.outbox o WHERE o.replay = q.id AND o.sent_at IS NULL)
    )
    INSERT INTO onemap.outbox (topic, payload, replay, replay_times)
    SELECT f.topic, '', f.id, f.times FROM found f, waits w
    WHERE f.n + w.n <= 200 AND (f.bytes + w.bytes <= 32 * 1024 * 1024 OR f.n + w.n = 1) ORDER BY f.id;
    GET DIAGNOSTICS asked = ROW_COUNT;
    RETURN asked;
END $$;
COMMENT ON FUNCTION onemap.quarantine_replay_ask(bigint[]) IS
    'Lets the hub send quarantined messages again, in the order in which they came, 200 or 32 MiB at a time; how many it now will';

CREATE OR REPLACE FUNCTION onemap.http_quarantine_replay_call(request jsonb, ids bigint[]) RETURNS json
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked int;
BEGIN
    PERFORM onemap.http_manager_locked(request);
    IF request ? 'id' AND EXISTS (SELECT FROM onemap.quarantine q WHERE q.id = ANY (ids) AND q.bytes > octet_length(q.payload)) THEN
        RAISE EXCEPTION 'of message % only the beginning is kept', ids[1] USING ERRCODE = 'CH013',
            DETAIL = format('消息 %s 只保留了开头', ids[1]),
            HINT = '这条消息太大，只保留了开头，不能重放：请厂商重新发送。';
    END IF;
    asked := onemap.quarantine_replay_ask(ids);
    PERFORM onemap.identity_audit(request, 'quarantine_replay_asked', jsonb_strip_nulls(request - 'identity'
        || jsonb_build_object('messages', asked)));
    RETURN json_build_object('asked', asked, 'left', cardinality(ids) - asked);
END $$;
COMMENT ON FUNCTION onemap.http_quarantine_replay_call(jsonb, bigint[]) IS
    'Asks for messages to be sent again on behalf of an administrator: {asked, left}';

CREATE OR REPLACE FUNCTION onemap.http_quarantine_replay(request jsonb)
RETURNS TABLE (body json, status int, code text, detail text, detail_zh text, hint text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE zh text; words text; ids bigint[];
BEGIN
    IF onemap.identity_departments(request) IS NULL THEN
        PERFORM onemap.quarantine_filter(request);
    END IF;
    SELECT coalesce(array_agg(q.id ORDER BY q.id), '{}') INTO ids FROM onemap.http_quarantine_rows(request) q
    WHERE CASE WHEN request ? 'id' THEN q.id = (request->>'id')::bigint ELSE q.replayed_at IS NULL
        AND (NOT request ? 'code' OR q.code = request->>'code')
        AND (NOT request ? 'subsystem' OR q.subsystem = request->>'subsystem')
        AND (NOT request ? 'vendor' OR q.vendor = request->>'vendor') END;
    IF request ? 'id' AND ids = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT onemap.http_quarantine_replay_call(request, ids), 202, NULL::text, NULL::text, NULL::text, NULL::text;
EXCEPTION WHEN SQLSTATE 'CH066' THEN
    GET STACKED DIAGNOSTICS zh = PG_EXCEPTION_DETAIL, words = PG_EXCEPTION_HINT;
    PERFORM onemap.identity_audit(request, 'refused', jsonb_build_object('action', 'quarantine_replay', 'code', SQLSTATE));
    RETURN QUERY SELECT NULL::json, NULL::int, SQLSTATE, SQLERRM, zh, words;
END $$;
COMMENT ON FUNCTION onemap.http_quarantine_replay(jsonb) IS
    'POST /api/v1/quarantine/{id}/replay: one, even if it was sent again before; POST /api/v1/replays: those that wait '
    'and fit';
GRANT EXECUTE ON FUNCTION onemap.http_quarantine_replay(jsonb) TO cityhub_api;
GRANT EXECUTE ON FUNCTION onemap.http_vendors(jsonb), onemap.http_lanes(jsonb), onemap.http_upstream(jsonb),
    onemap.http_upstream_records(jsonb), onemap.http_upstream_quality(jsonb), onemap.http_quarantine(jsonb),
    onemap.http_quarantine_reasons(jsonb), onemap.http_quarantine_message(jsonb), onemap.http_quarantine_payload(jsonb)
    TO cityhub_api;
