-- History after a gap (补数): what is missing between the intervals that a monitor of HJ 212 reports, and asking it for that.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('gateway_history_days', '3', '监测设备重新上线后，补要多少天以内缺的分钟、小时、日数据'),
    ('gateway_history_asks', '3', '同一段缺的数据最多补要几次')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- Between two intervals of a length there is none; behind the last one, none for a quarter of an hour longer than a device may
-- take.
CREATE OR REPLACE FUNCTION onemap.gateway_holes(device int) RETURNS TABLE (command int, began_at timestamptz,
    ended_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN g.seconds < 3600 THEN 2051 WHEN g.seconds < 86400 THEN 2061 ELSE 2031 END, g.began_at + g.lasts,
           least(coalesce(g.next_at, now() - g.lasts) - interval '1 s', g.began_at + greatest(interval '1 day', 2 * g.lasts))
    FROM (SELECT i.seconds, i.began_at, make_interval(secs => i.seconds) AS lasts,
                 lead(i.began_at) OVER (PARTITION BY i.seconds ORDER BY i.began_at) AS next_at
          FROM (SELECT DISTINCT v.seconds, v.began_at FROM onemap.interval_value v
                WHERE v.device_id = device AND v.seconds BETWEEN 60 AND 86400
                  AND v.began_at >= now() - make_interval(days => onemap.setting('gateway_history_days')::int)) i) g
    WHERE CASE WHEN g.next_at IS NULL THEN g.began_at + 2 * g.lasts + interval '15 min' < now()
               ELSE g.began_at + 1.5 * g.lasts < g.next_at END
    ORDER BY g.began_at
$$;
COMMENT ON FUNCTION onemap.gateway_holes(int) IS
    'What is missing between the intervals of minutes, hours and days that a device reports, at most a day each: the command of '
    'HJ 212 that asks for it, where the first missing interval begins, and the last one ends';

CREATE OR REPLACE FUNCTION onemap.gateway_history(terminals jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked jsonb;
BEGIN
    DELETE FROM onemap.gateway_fetch f
    WHERE f.asked_at < now() - make_interval(days => 1 + onemap.setting('gateway_history_days')::int);
    WITH ask AS (
        INSERT INTO onemap.gateway_fetch AS f (terminal_id, command, began_at, ended_at)
        SELECT DISTINCT ON (t.id, h.command, h.began_at) t.id, h.command, h.began_at, h.ended_at
        FROM jsonb_to_recordset(terminals) AS r (protocol text, identity text)
        JOIN onemap.terminal t ON t.protocol = r.protocol AND t.identity = r.identity AND t.protocol = 'hj212'
            AND t.revoked_at IS NULL
        JOIN onemap.device d ON d.subsystem = t.subsystem AND d.vendor = t.vendor AND d.code = t.device_code
        CROSS JOIN LATERAL (SELECT o.command, o.began_at, o.ended_at FROM onemap.gateway_holes(d.id) o
                            WHERE NOT EXISTS (SELECT FROM onemap.gateway_fetch e
                                              WHERE e.terminal_id = t.id AND e.command = o.command AND e.began_at = o.began_at
                                                AND (e.asks >= onemap.setting('gateway_history_asks')::int
                                                     OR e.asked_at BETWEEN now() - interval '5 min' AND now()))
                            ORDER BY o.began_at LIMIT 4) h
        ORDER BY t.id, h.command, h.began_at
        ON CONFLICT ON CONSTRAINT gateway_fetch_pkey DO UPDATE
        SET asks = f.asks + 1, asked_at = now(), ended_at = excluded.ended_at
        RETURNING f.terminal_id, f.command, f.began_at, f.ended_at)
    SELECT jsonb_agg(jsonb_build_object('protocol', t.protocol, 'identity', t.identity, 'fetch', jsonb_build_object(
               'command', a.command, 'begin_ms', (extract(epoch FROM a.began_at) * 1000)::bigint,
               'end_ms', (extract(epoch FROM a.ended_at) * 1000)::bigint)) ORDER BY a.began_at, t.id) INTO asked
    FROM ask a JOIN onemap.terminal t ON t.id = a.terminal_id;
    RETURN coalesce(asked, '[]');
EXCEPTION WHEN data_exception THEN
    RETURN '[]'::jsonb;
END $$;
COMMENT ON FUNCTION onemap.gateway_history(jsonb) IS
    'What terminals, [{protocol, identity}], are to be asked for: [{protocol, identity, fetch: {command, begin_ms, end_ms}}]; '
    'at most four holes a terminal, each a few times';
