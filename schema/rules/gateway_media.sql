-- Media of terminals (终端多媒体): kept as the gateways bring them, within bounds.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('gateway_media_terminal_mib', '64', '每台终端的多媒体最多保存多少 MiB，超出时删除最早的'),
    ('gateway_media_mib', '4096', '全部终端的多媒体最多保存多少 MiB，超出时删除最早的')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- An announcement has no bytes: as small a picture as there is stands for it, so that these are bounded too.
CREATE OR REPLACE FUNCTION onemap.gateway_media_trim(terminal int) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM onemap.gateway_media m USING
        (SELECT a.id, a.terminal_id, sum(coalesce(a.size_bytes, 1024)) OVER (PARTITION BY a.terminal_id ORDER BY a.id DESC) AS own,
                sum(coalesce(a.size_bytes, 1024)) OVER (ORDER BY a.id DESC) AS every
         FROM onemap.gateway_media a) s
    WHERE m.id = s.id AND (s.every > onemap.setting('gateway_media_mib')::bigint * 1048576
        OR (s.terminal_id = terminal AND s.own > onemap.setting('gateway_media_terminal_mib')::bigint * 1048576))
$$;
COMMENT ON FUNCTION onemap.gateway_media_trim(int) IS 'Deletes the oldest media beyond a terminal''s bound, and beyond that of all';

CREATE OR REPLACE FUNCTION onemap.gateway_media_put(instance text, media jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE terminal int; bytes bytea; number bigint;
BEGIN
    bytes := decode(media->>'data', 'base64');
    number := (media->>'id')::bigint;
    SELECT t.id INTO terminal FROM onemap.terminal t
    WHERE t.protocol = media->>'protocol' AND t.identity = media->>'identity' AND t.revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF bytes IS NULL AND EXISTS (SELECT FROM onemap.gateway_media m WHERE m.terminal_id = terminal AND m.media_id = number
            AND m.content IS NULL) THEN
        RETURN true;
    END IF;
    INSERT INTO onemap.gateway_media AS m (terminal_id, media_id, kind, format, event, channel, taken_at, lon, lat,
        coordinate_system, size_bytes, sha256, content, gateway)
    SELECT terminal, number, r.kind, r.format, r.event, r.channel, to_timestamp(r.taken_ms / 1000.0), r.lon, r.lat, r.system,
           octet_length(bytes), sha256(bytes), bytes, instance
    FROM jsonb_to_record(media) AS r (kind smallint, format smallint, event smallint, channel smallint, taken_ms float8,
        lon float8, lat float8, system text)
    ON CONFLICT ON CONSTRAINT gateway_media_once DO NOTHING;
    IF bytes IS NOT NULL THEN
        DELETE FROM onemap.gateway_media m WHERE m.terminal_id = terminal AND m.media_id = number AND m.content IS NULL;
    END IF;
    PERFORM onemap.gateway_media_trim(terminal);
    RETURN true;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    RETURN false; -- what no terminal can have said
END $$;
COMMENT ON FUNCTION onemap.gateway_media_put(text, jsonb) IS
    'Keeps a medium that a gateway brings, {protocol, identity, id, kind, format, event, channel, taken_ms, lon, lat, system, data '
    '(Base64)}, or without data its announcement; the same again is the same. False: there is no such terminal, or it is none';

CREATE OR REPLACE VIEW onemap.gateway_media_report AS
SELECT m.id, t.subsystem, t.vendor, t.device_code, t.identity, m.media_id,
       CASE m.kind WHEN 0 THEN 'picture' WHEN 1 THEN 'sound' WHEN 2 THEN 'video' ELSE m.kind::text END AS kind,
       CASE m.format WHEN 0 THEN 'JPEG' WHEN 1 THEN 'TIF' WHEN 2 THEN 'MP3' WHEN 3 THEN 'WAV' WHEN 4 THEN 'WMV'
           ELSE m.format::text END AS format,
       m.event, m.channel, m.taken_at, m.lon, m.lat, m.coordinate_system, m.size_bytes, m.sha256, m.gateway, m.received_at
FROM onemap.gateway_media m
JOIN onemap.terminal t ON t.id = m.terminal_id;
COMMENT ON VIEW onemap.gateway_media_report IS
    'Media of terminals (终端多媒体), one row each, without their bytes; size_bytes NULL: announced, and not come';
GRANT SELECT ON onemap.gateway_media_report TO cityhub_hub, cityhub_read;
