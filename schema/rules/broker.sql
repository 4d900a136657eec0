-- The hub's sessions at the broker: which to open, and which of earlier configurations to drain.

CREATE OR REPLACE FUNCTION onemap.lanes_open(instance text, counts jsonb)
RETURNS TABLE (client_id text, subsystem text, number int, secret text, wanted boolean)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.broker_identity (instance) VALUES ($1) ON CONFLICT DO NOTHING;
    INSERT INTO onemap.lane (client_id, subsystem)
    SELECT concat_ws('-', $1, c.key, n.number, b.secret), c.key
    FROM onemap.broker_identity b CROSS JOIN jsonb_each_text($2) c CROSS JOIN generate_series(1, c.value::int) n(number)
    WHERE b.instance = $1
    ON CONFLICT DO NOTHING;
    -- A name that begins like ours and goes on otherwise is another hub's, whose instance begins like ours.
    SELECT l.client_id, l.subsystem, p.number, p.secret,
           p.secret = b.secret AND p.number <= coalesce(($2->>l.subsystem)::int, 0) AS wanted
    FROM onemap.broker_identity b CROSS JOIN onemap.lane l
    CROSS JOIN LATERAL regexp_match(l.client_id, '^(.*)-([0-9]{1,4})(?:-([0-9a-f]{32}))?$') m
    CROSS JOIN LATERAL (SELECT m[1] AS head, m[2]::int AS number, coalesce(m[3], '') AS secret) p
    WHERE b.instance = $1 AND p.head = $1 || '-' || l.subsystem
    ORDER BY wanted DESC, l.subsystem, p.number, p.secret
$$;
COMMENT ON FUNCTION onemap.lanes_open(text, jsonb) IS
    'The sessions that the lanes of a hub use at the broker, lanes by subsystem in `counts`: those that are wanted, written down '
    'before they are opened, then those of earlier configurations, which may still hold messages and are to be drained. A '
    'session''s number and secret are the end of its client id';
GRANT EXECUTE ON FUNCTION onemap.lanes_open(text, jsonb) TO cityhub_hub;

-- ---- logins that were refused ----

-- Each report says all: one that comes twice or late changes nothing.
CREATE OR REPLACE FUNCTION onemap.broker_refused(report jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.login_refusal AS l (login, reason, refused, first_at, last_at, address, client_id)
    SELECT k.login, (array_agg(r.reason ORDER BY r.last_ms DESC))[1], sum(r.count), to_timestamp(min(r.first_ms) / 1000.0),
           to_timestamp(max(r.last_ms) / 1000.0), left((array_agg(r.address ORDER BY r.last_ms DESC))[1], 64),
           left((array_agg(r.client_id ORDER BY r.last_ms DESC))[1], 64)
    FROM jsonb_to_recordset(report->'refused') AS r (login text, reason text, count bigint, first_ms bigint, last_ms bigint,
        address text, client_id text)
    CROSS JOIN LATERAL (SELECT coalesce((SELECT min(v.vendor) FROM onemap.vendor v WHERE v.vendor = r.login), '') AS login) k
    GROUP BY k.login
    ON CONFLICT ON CONSTRAINT login_refusal_pkey DO UPDATE SET reason = excluded.reason, refused = excluded.refused,
        first_at = excluded.first_at, last_at = excluded.last_at, address = excluded.address, client_id = excluded.client_id;
    DELETE FROM onemap.login_refusal l WHERE l.last_at < now() - interval '30 days'
$$;
COMMENT ON FUNCTION onemap.broker_refused(jsonb) IS
    'Takes what the broker''s plugin tells, {refused: [{login, reason, count, first_ms, last_ms, address, client_id}]}; who is no '
    'vendor is added up; what is older than 30 days is forgotten';
GRANT EXECUTE ON FUNCTION onemap.broker_refused(jsonb) TO cityhub_hub;
