-- Terminals (终端) over HTTP: for the right "command" which there are and what they are told; for who sees a device, its media.
-- A terminal is its device's department's; one whose device is not known yet is that of its vendor's department.

CREATE OR REPLACE FUNCTION onemap.http_terminal_rows(request jsonb) RETURNS SETOF onemap.terminal
LANGUAGE sql STABLE AS $$
    SELECT t.* FROM onemap.terminal t
    LEFT JOIN onemap.device d ON d.subsystem = t.subsystem AND d.vendor = t.vendor AND d.code = t.device_code
    LEFT JOIN onemap.vendor v ON v.subsystem = t.subsystem AND v.vendor = t.vendor
    WHERE t.revoked_at IS NULL AND ((SELECT onemap.identity_departments(request)) IS NULL
        OR CASE WHEN d.id IS NULL THEN v.department_id ELSE d.department_id END
            = ANY ((SELECT onemap.identity_departments(request))::int[]))
$$;
COMMENT ON FUNCTION onemap.http_terminal_rows(jsonb) IS 'The terminals that may speak, of those that who asks may see';

CREATE OR REPLACE FUNCTION onemap.terminal_states() RETURNS TABLE (state text, name_zh text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('online', '在线'), ('offline', '离线'), ('never', '从未上报'), ('source', '平台来源')
$$;
COMMENT ON FUNCTION onemap.terminal_states() IS
    'How a terminal is: as its device; source: a platform that sends for devices of its own (protocol json)';

CREATE OR REPLACE FUNCTION onemap.terminal_key_old_at() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT now() - make_interval(days => onemap.setting('terminal_key_days')::int)
$$;
COMMENT ON FUNCTION onemap.terminal_key_old_at() IS
    'SM4 keys from before this moment are to be changed, see terminal_key_warning()';

CREATE OR REPLACE FUNCTION onemap.terminal_commands_waiting() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_object_agg(w.terminal_id, w.waiting)
    FROM (SELECT c.terminal_id, count(*) AS waiting FROM onemap.terminal_command c
          WHERE c.state = 'waiting' AND onemap.terminal_command_stands(c) GROUP BY c.terminal_id) w
$$;
COMMENT ON FUNCTION onemap.terminal_commands_waiting() IS
    'How many commands wait for a terminal, by its id: a few hundred at the most, looked up once for a list';

-- What was refused of it counts until it is heard again.
CREATE OR REPLACE FUNCTION onemap.http_terminal_found(request jsonb) RETURNS TABLE (id int, protocol text, identity text,
    subsystem text, vendor text, vendor_zh text, device int, device_code text, device_zh text, department text, department_zh text,
    state text, state_zh text, last_seen_at timestamptz, lon float8, lat float8, dialect text, crc text, offset_minutes int,
    secret boolean, key_since timestamptz, key_old boolean, key_next boolean, waiting bigint, refused text, refused_zh text,
    refused_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT t.id, t.protocol, t.identity, t.subsystem, t.vendor, v.name_zh, d.id, t.device_code, d.name_zh, u.code, u.name_zh,
        z.state, z.name_zh, s.last_seen_at, public.ST_X(coalesce(s.geom, d.geom)), public.ST_Y(coalesce(s.geom, d.geom)),
        nullif(t.dialect, ''), CASE WHEN t.protocol = 'hj212' THEN t.crc END, t.offset_minutes, t.secret_hash IS NOT NULL,
        t.sm4_key_at, coalesce(t.sm4_key_at < (SELECT onemap.terminal_key_old_at()), false),
        t.sm4_next IS NOT NULL, w.waiting, f.reason, f.name_zh,
        CASE WHEN f.reason IS NOT NULL THEN p.last_at END
    FROM onemap.http_terminal_rows(request) t
    LEFT JOIN onemap.device d ON d.subsystem = t.subsystem AND d.vendor = t.vendor AND d.code = t.device_code
    LEFT JOIN onemap.device_state s ON s.device_id = d.id
    LEFT JOIN onemap.vendor v ON v.subsystem = t.subsystem AND v.vendor = t.vendor
    LEFT JOIN onemap.department u ON u.id = CASE WHEN d.id IS NULL THEN v.department_id ELSE d.department_id END
    JOIN onemap.terminal_states() z ON z.state = CASE WHEN t.protocol = 'json' AND s.device_id IS NULL THEN 'source'
        ELSE onemap.http_device_state(s.online) END
    LEFT JOIN onemap.terminal_pending p ON p.protocol = t.protocol AND p.identity = t.identity
    LEFT JOIN onemap.terminal_refusals() f ON f.reason = p.reason AND p.reason <> 'not_listed'
        AND p.last_at > coalesce(s.last_seen_at, '-infinity')
    CROSS JOIN LATERAL (SELECT coalesce(((SELECT onemap.terminal_commands_waiting())->>t.id::text)::bigint, 0) AS waiting) w
    WHERE (NOT request ? 'subsystem' OR t.subsystem = request->>'subsystem')
        AND (NOT request ? 'vendor' OR t.vendor = request->>'vendor')
        AND (NOT request ? 'device' OR d.id = (request->>'device')::int)
        AND (NOT request ? 'protocol' OR t.protocol = request->>'protocol')
        AND (NOT request ? 'state' OR z.state = request->>'state')
        AND (NOT request ? 'key' OR CASE request->>'key' WHEN 'none' THEN t.secret_hash IS NULL AND t.sm4_key IS NULL
            WHEN 'secret' THEN t.secret_hash IS NOT NULL WHEN 'sm4' THEN t.sm4_key IS NOT NULL
            WHEN 'next' THEN t.sm4_next IS NOT NULL ELSE t.sm4_key_at < (SELECT onemap.terminal_key_old_at()) END)
        AND (NOT request ? 'refused' OR (f.reason IS NOT NULL) = (request->>'refused')::boolean)
        AND (NOT request ? 'waiting' OR (w.waiting > 0) = (request->>'waiting')::boolean)
        AND (NOT request ? 'text' OR lower(t.identity || ' ' || t.device_code || ' ' || coalesce(d.name_zh, ''))
            LIKE ALL ((SELECT x.patterns FROM onemap.search_wanted(request->>'text') x)::text[]))
        AND (NOT request ? 'after' OR t.id > (request->>'after')::bigint)
$$;
COMMENT ON FUNCTION onemap.http_terminal_found(jsonb) IS
    'The terminals that fit a request, with their device''s state, their secrets'' state, how many commands wait for each, and why '
    'a gateway refuses it, if it does';

CREATE OR REPLACE FUNCTION onemap.http_terminal_commands_of(protocol text) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT coalesce(json_agg(json_build_object('command', k.kind, 'name_zh', k.name_zh) ORDER BY k.kind), '[]')
    FROM onemap.terminal_command_kinds() k WHERE k.protocol = $1
$$;
COMMENT ON FUNCTION onemap.http_terminal_commands_of(text) IS 'What a terminal of the protocol can be told: [{command, name_zh}]';

CREATE OR REPLACE FUNCTION onemap.http_terminals(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT onemap.http_check(request), onemap.http_device_check(request);
    SELECT json_build_object('terminals', coalesce(json_agg((to_jsonb(p) || jsonb_build_object('commands',
            onemap.http_terminal_commands_of(p.protocol))) ORDER BY p.id), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN max(p.id) END)
    FROM (SELECT f.* FROM onemap.http_terminal_found(request) f ORDER BY f.id LIMIT (request->>'limit')::int) p
$$;
COMMENT ON FUNCTION onemap.http_terminals(jsonb) IS
    'GET /api/v1/terminals: {terminals, next}: who speaks to the gateways, and the commands that each takes';

CREATE OR REPLACE FUNCTION onemap.http_terminals_csv(request jsonb) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE asked jsonb := onemap.http_csv_asked(request); lines bigint;
BEGIN
    PERFORM onemap.http_check(request), onemap.http_device_check(request);
    RETURN QUERY SELECT onemap.http_csv_head(request, '编号', '协议', '标识', '子系统', '厂商', '厂商名称', '设备编号', '设备代码',
        '设备', '单位代码', '单位', '状态', '最近上报', '经度', '纬度', '方言', '校验',
        '时差（分）', '口令', 'SM4 密钥自', '密钥逾期', '待发指令', '拒绝的原因', '拒绝时间');
    RETURN QUERY SELECT onemap.http_csv_line(f.id::text, f.protocol, f.identity, f.subsystem, f.vendor, f.vendor_zh, f.device::text,
            f.device_code, f.device_zh, f.department, f.department_zh, f.state_zh, onemap.county_time(f.last_seen_at), f.lon::text,
            f.lat::text, f.dialect, f.crc, f.offset_minutes::text, CASE WHEN f.secret THEN '有' ELSE '无' END,
            onemap.county_time(f.key_since), CASE WHEN f.key_old THEN '是' END, f.waiting::text, f.refused_zh,
            onemap.county_time(f.refused_at))
        FROM onemap.http_terminal_found(request) f ORDER BY f.id LIMIT (asked->>'limit')::int;
    GET DIAGNOSTICS lines = ROW_COUNT;
    PERFORM onemap.http_csv_end(asked, lines);
END $$;
COMMENT ON FUNCTION onemap.http_terminals_csv(jsonb) IS 'GET /api/v1/terminals.csv: the same list line by line';

CREATE OR REPLACE FUNCTION onemap.http_terminal_counts(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT json_build_object('total', coalesce(sum(c.count), 0), 'refused', coalesce(sum(c.refused), 0),
        'waiting', coalesce(sum(c.waiting), 0), 'key_old', coalesce(sum(c.key_old), 0),
        'callers', CASE WHEN (SELECT onemap.identity_departments(request)) IS NULL
            THEN (SELECT count(*) FROM onemap.terminal_pending p WHERE p.reason = 'not_listed') END,
        'counts', coalesce(json_agg(json_build_object('protocol', c.protocol, 'state', c.state, 'count', c.count)
            ORDER BY c.protocol, c.state), '[]'))
    FROM (SELECT f.protocol, f.state, count(*) AS count, count(f.refused) AS refused,
              count(*) FILTER (WHERE f.waiting > 0) AS waiting, count(*) FILTER (WHERE f.key_old) AS key_old
          FROM onemap.http_terminal_found(request) f GROUP BY f.protocol, f.state) c
$$;
COMMENT ON FUNCTION onemap.http_terminal_counts(jsonb) IS
    'GET /api/v1/terminals/counts: {total, counts: [{protocol, state, count}], refused, waiting, key_old: those of the list with '
    'these parameters; callers: those of /terminals/callers, NULL for who sees single departments alone}';

-- Its bytes may have its secret: for who may see quarantine, and without PW.
CREATE OR REPLACE FUNCTION onemap.http_terminal_callers(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('callers', coalesce(json_agg(json_build_object('id', p.id, 'protocol', p.protocol,
            'identity', p.identity, 'reason', p.reason, 'reason_zh', r.name_zh, 'gateway', p.gateway, 'address', p.address,
            'first_at', p.first_at, 'last_at', p.last_at, 'frames', p.frames, 'first_frame',
            CASE WHEN onemap.identity(request)->'rights' ? 'operate' THEN left(CASE WHEN p.protocol = 'hj212'
                THEN regexp_replace(encode(decode(p.samples->>0, 'hex'), 'escape'), 'PW=[^;]*', 'PW=***')
                ELSE p.samples->>0 END, 400) END) ORDER BY p.id DESC), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN min(p.id) END)
    FROM (SELECT c.* FROM onemap.terminal_pending c
          WHERE c.reason = 'not_listed' AND (SELECT onemap.identity_departments(request)) IS NULL
            AND (NOT request ? 'protocol' OR c.protocol = request->>'protocol')
            AND (NOT request ? 'after' OR c.id < (request->>'after')::bigint)
          ORDER BY c.id DESC LIMIT (request->>'limit')::int) p
    JOIN onemap.terminal_refusals() r ON r.reason = p.reason
$$;
COMMENT ON FUNCTION onemap.http_terminal_callers(jsonb) IS
    'GET /api/v1/terminals/callers: {callers, next}: who called a gateway and is in no list, newest first; not for who sees single '
    'departments alone';

-- Which device a message is of is not kept with it: of its vendor's last ones those that name it, as in http_unplaced.sql.
CREATE OR REPLACE FUNCTION onemap.http_terminal_messages(request jsonb, terminal onemap.terminal) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT coalesce(json_agg(json_build_object('id', m.id, 'code', m.code, 'reason', m.reason, 'received_at', m.received_at)
        ORDER BY m.id DESC), '[]')
    FROM (SELECT l.* FROM (
              SELECT q.id, q.code, q.reason, q.received_at, pg_catalog.substring(q.payload, 1, 65536) AS payload
              FROM onemap.http_quarantine_rows(request) o JOIN onemap.quarantine q ON q.id = o.id
              WHERE o.subsystem = terminal.subsystem AND o.vendor = terminal.vendor AND o.replayed_at IS NULL
                AND (SELECT onemap.identity(request)->'rights' ? 'operate')
              ORDER BY q.id DESC LIMIT 200) l
          WHERE onemap.payload_names(l.payload, terminal.device_code) ORDER BY l.id DESC LIMIT 10) m
$$;
COMMENT ON FUNCTION onemap.http_terminal_messages(jsonb, onemap.terminal) IS
    'Up to ten messages in quarantine that name the terminal''s device, among the last 200 of its vendor; for who may see them';

CREATE OR REPLACE FUNCTION onemap.http_terminal(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT (to_jsonb(f) || jsonb_build_object('created_at', t.created_at, 'changed_at', t.changed_at,
        'commands', onemap.http_terminal_commands_of(f.protocol),
        'parameters', (SELECT coalesce(json_agg(to_jsonb(x) ORDER BY x.id), '[]') FROM onemap.terminal_parameters() x
            WHERE f.protocol = 'jt808'),
        'refusal', (SELECT json_build_object('reason', r.reason, 'reason_zh', r.name_zh, 'advice_zh', r.advice_zh,
                'advice', r.advice,
                'gateway', p.gateway, 'address', p.address, 'first_at', p.first_at, 'last_at', p.last_at, 'frames', p.frames)
            FROM onemap.terminal_pending p JOIN onemap.terminal_refusals() r ON r.reason = p.reason
            WHERE f.refused IS NOT NULL AND p.protocol = f.protocol AND p.identity = f.identity),
        'messages', onemap.http_terminal_messages(request, t)))::json
    FROM onemap.http_terminal_found(request - 'after') f JOIN onemap.terminal t ON t.id = f.id
    WHERE f.id = (request->>'id')::int
$$;
COMMENT ON FUNCTION onemap.http_terminal(jsonb) IS
    'GET /api/v1/terminals/{id}: one terminal, the parameters that can be set, why it is refused and since when, messages in '
    'quarantine that name its device; no row: none, or not to be seen';

CREATE OR REPLACE FUNCTION onemap.http_terminal_command(r onemap.terminal_command_report) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', r.id, 'terminal', r.terminal_id, 'command', r.kind, 'name_zh', r.kind_zh, 'detail', r.detail,
        'state', r.state, 'state_zh', r.state_zh, 'asked_by', r.asked_by, 'asked_at', r.asked_at, 'expires_at', r.expires_at,
        'gateway', r.gateway, 'sent_at', r.sent_at, 'answered_at', r.answered_at, 'answer', r.answer)
$$;
COMMENT ON FUNCTION onemap.http_terminal_command(onemap.terminal_command_report) IS 'A command to a terminal, as answers show it';

CREATE OR REPLACE FUNCTION onemap.http_terminal_commands(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('commands', coalesce((SELECT json_agg(onemap.http_terminal_command(r) ORDER BY r.id DESC)
            FROM onemap.terminal_command_report r WHERE r.id = ANY (p.ids)), '[]'),
        'next', CASE WHEN cardinality(p.ids) = (request->>'limit')::int THEN p.ids[cardinality(p.ids)] END)
    FROM onemap.http_terminal_rows(request) t
    CROSS JOIN LATERAL (SELECT ARRAY(SELECT c.id FROM onemap.terminal_command c
        WHERE c.terminal_id = t.id AND (NOT request ? 'after' OR c.id < (request->>'after')::bigint)
        ORDER BY c.id DESC LIMIT (request->>'limit')::int) AS ids) p
    WHERE t.id::bigint = (request->>'id')::bigint
$$;
COMMENT ON FUNCTION onemap.http_terminal_commands(jsonb) IS
    'GET /api/v1/terminals/{id}/commands: {commands, next}: what a terminal was told, newest first, and what became of it';

CREATE OR REPLACE FUNCTION onemap.http_terminal_tell(request jsonb, sent jsonb) RETURNS TABLE (body json, status int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE terminal int; number bigint;
BEGIN
    SELECT t.id INTO terminal FROM onemap.http_terminal_rows(request) t WHERE t.id::bigint = (request->>'id')::bigint;
    IF terminal IS NULL THEN
        RETURN;
    END IF;
    number := onemap.terminal_command_put(terminal, sent, onemap.identity(request)->>'login');
    PERFORM onemap.identity_audit(request, 'terminal_command', sent || jsonb_build_object('number', number, 'terminal', terminal));
    RETURN QUERY SELECT onemap.http_terminal_command(r), 201 FROM onemap.terminal_command_report r WHERE r.id = number;
END $$;
COMMENT ON FUNCTION onemap.http_terminal_tell(jsonb, jsonb) IS
    'POST /api/v1/terminals/{id}/commands: {command, its fields, expires_s}; 201 with the command that waits. CH072, CH073: see '
    'terminal_command_put, terminal_command_detail';
GRANT EXECUTE ON FUNCTION onemap.http_terminals(jsonb), onemap.http_terminals_csv(jsonb), onemap.http_terminal_counts(jsonb),
    onemap.http_terminal_callers(jsonb), onemap.http_terminal(jsonb), onemap.http_terminal_commands(jsonb),
    onemap.http_terminal_tell(jsonb, jsonb) TO cityhub_api;

-- ---- media ----

CREATE OR REPLACE FUNCTION onemap.http_media_type(format text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE format WHEN 'JPEG' THEN 'image/jpeg' WHEN 'TIF' THEN 'image/tiff' WHEN 'MP3' THEN 'audio/mpeg'
        WHEN 'WAV' THEN 'audio/wav' WHEN 'WMV' THEN 'video/x-ms-wmv' ELSE 'application/octet-stream' END
$$;
COMMENT ON FUNCTION onemap.http_media_type(text) IS
    'The media type of a format of gateway_media_report, which is what the terminal says';

CREATE OR REPLACE FUNCTION onemap.http_device_media(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('media', coalesce((SELECT json_agg(json_build_object('id', m.id, 'kind', m.kind, 'format', m.format,
                'event', m.event, 'channel', m.channel, 'taken_at', m.taken_at, 'lon', p.lon, 'lat', p.lat,
                'size_bytes', m.size_bytes, 'received_at', m.received_at) ORDER BY m.id DESC)
            FROM onemap.gateway_media_report m
            LEFT JOIN LATERAL (SELECT m.lon, m.lat WHERE coalesce(m.coordinate_system, 'WGS84') = 'WGS84') p ON true
            WHERE m.id = ANY (f.ids)), '[]'),
        'next', CASE WHEN cardinality(f.ids) = (request->>'limit')::int THEN f.ids[cardinality(f.ids)] END)
    FROM (SELECT ARRAY(SELECT m.id FROM onemap.gateway_media m JOIN onemap.terminal t ON t.id = m.terminal_id
              JOIN onemap.device d ON d.subsystem = t.subsystem AND d.vendor = t.vendor AND d.code = t.device_code
              WHERE d.id::bigint = (request->>'id')::bigint
                AND (NOT request ? 'after' OR m.id < (request->>'after')::bigint)
              ORDER BY m.id DESC LIMIT (request->>'limit')::int) AS ids) f
    WHERE onemap.http_device_seen(request, (request->>'id')::int)
$$;
COMMENT ON FUNCTION onemap.http_device_media(jsonb) IS
    'GET /api/v1/devices/{id}/media: {media, next}: what the device''s terminal took, newest first; size_bytes null: announced, '
    'and not come; lon, lat only where the terminal says them in WGS 84';

CREATE OR REPLACE FUNCTION onemap.http_media(request jsonb) RETURNS TABLE (body bytea, etag text, media_type text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.content, encode(m.sha256, 'hex'), onemap.http_media_type(r.format)
    FROM onemap.gateway_media m JOIN onemap.gateway_media_report r ON r.id = m.id
    JOIN onemap.device d ON d.subsystem = r.subsystem AND d.vendor = r.vendor AND d.code = r.device_code
    WHERE m.id = (request->>'id')::bigint AND m.content IS NOT NULL AND onemap.http_device_seen(request, d.id)
$$;
COMMENT ON FUNCTION onemap.http_media(jsonb) IS
    'GET /api/v1/media/{id}: the bytes that a terminal took; no row: there are none, or its device is not to be seen';
GRANT EXECUTE ON FUNCTION onemap.http_device_media(jsonb), onemap.http_media(jsonb) TO cityhub_api;
