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

CREATE OR REPLACE FUNCTION onemap.http_terminals(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.http_check(request), onemap.http_device_check(request);
    SELECT json_build_object('terminals', coalesce(json_agg(json_build_object('id', p.id, 'protocol', p.protocol,
            'identity', p.identity, 'subsystem', p.subsystem, 'vendor', p.vendor, 'device', p.device, 'device_code', p.device_code,
            'device_zh', p.name_zh, 'commands', (SELECT coalesce(json_agg(json_build_object('command', k.kind,
                'name_zh', k.name_zh) ORDER BY k.kind), '[]') FROM onemap.terminal_command_kinds() k
                WHERE k.protocol = p.protocol)) ORDER BY p.id), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN max(p.id) END)
    FROM (SELECT t.*, d.id AS device, d.name_zh FROM onemap.http_terminal_rows(request) t
          LEFT JOIN onemap.device d ON d.subsystem = t.subsystem AND d.vendor = t.vendor AND d.code = t.device_code
          WHERE (NOT request ? 'subsystem' OR t.subsystem = request->>'subsystem')
            AND (NOT request ? 'vendor' OR t.vendor = request->>'vendor')
            AND (NOT request ? 'device' OR d.id = (request->>'device')::int)
            AND (NOT request ? 'after' OR t.id > (request->>'after')::bigint)
          ORDER BY t.id LIMIT (request->>'limit')::int) p
$$;
COMMENT ON FUNCTION onemap.http_terminals(jsonb) IS
    'GET /api/v1/terminals: {terminals, next}: who speaks to the gateways, and the commands that each takes';

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
GRANT EXECUTE ON FUNCTION onemap.http_terminals(jsonb), onemap.http_terminal_commands(jsonb),
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
