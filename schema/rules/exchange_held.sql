-- Reconciliation with what the platform above itself says it has (对账): the sender asks it every day, and before it sends a month.
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('no difference any more', '已无差异')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.exchange_ask_begin(target text) RETURNS timestamptz
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- An asking that fails is tried again in ten minutes.
    UPDATE onemap.exchange_target t SET ask_next_at = clock_timestamp() + interval '10 minutes'
    WHERE t.target = $1 AND t.asks AND onemap.has_come(t.paused_until, '25 hours')
      AND (onemap.has_come(t.ask_next_at, '25 hours') OR EXISTS (SELECT FROM onemap.exchange_record r WHERE r.target = $1
           AND r.state = 'waiting' AND r.resource IN ('statistics', 'score', 'assessment')
           AND r.made_at > coalesce(t.asked_at, '-infinity') AND t.ask_next_at > clock_timestamp() + interval '10 minutes'))
    RETURNING clock_timestamp()
$$;
COMMENT ON FUNCTION onemap.exchange_ask_begin(text) IS
    'Whether a target is to be asked now what it has: the moment by which the asking goes, or nothing';

CREATE OR REPLACE FUNCTION onemap.exchange_ask_page(target text, resource text, asking timestamptz, rows jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.exchange_held AS h (target, resource, number, hash, times, asking)
    SELECT $1, $2, x.number, min(lower(coalesce(x.hash, ''))), count(*)::int, $3
    FROM jsonb_to_recordset($4) AS x (number text, hash text) WHERE x.number IS NOT NULL GROUP BY x.number
    ON CONFLICT ON CONSTRAINT exchange_held_pkey DO UPDATE SET times = h.times + excluded.times
$$;
COMMENT ON FUNCTION onemap.exchange_ask_page(text, text, timestamptz, jsonb) IS 'A page of what it has: [{number, hash}]';

CREATE OR REPLACE FUNCTION onemap.exchange_held_differences(only_target text, only_resource text) RETURNS TABLE (target text,
    resource text, record text, number bigint, version int, difference text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- What was accepted after the asking began, it need not have said.
    SELECT t.target, r.resource, r.record, r.id, r.version, CASE WHEN h.number IS NULL THEN 'lost' ELSE 'different' END
    FROM onemap.exchange_target t JOIN onemap.exchange_record r ON r.target = t.target AND r.resource = ANY (t.resources)
    LEFT JOIN onemap.exchange_held h ON h.target = r.target AND h.resource = r.resource AND h.number = r.id::text
        AND h.asking = t.asked_at
    WHERE t.asks AND t.asked_at IS NOT NULL AND r.state = 'accepted' AND r.answered_at < t.asked_at
      AND (h.number IS NULL OR h.hash NOT IN ('', encode(r.hash, 'hex')))
      AND ($1 IS NULL OR t.target = $1) AND ($2 IS NULL OR r.resource = $2)
    UNION ALL
    SELECT h.target, h.resource, coalesce(r.record, h.number), r.id, r.version,
           CASE WHEN r.id IS NULL THEN 'unknown' ELSE 'doubled' END
    FROM onemap.exchange_target t JOIN onemap.exchange_held h ON h.target = t.target AND h.asking = t.asked_at
    LEFT JOIN onemap.exchange_record r ON r.target = h.target AND r.resource = h.resource AND r.id::text = h.number
    WHERE t.asks AND (r.id IS NULL OR h.times > 1) AND ($1 IS NULL OR t.target = $1) AND ($2 IS NULL OR h.resource = $2)
$$;
COMMENT ON FUNCTION onemap.exchange_held_differences(text, text) IS
    'Between the ledger and what targets said they have: lost: accepted and not there; different: there with another hash; '
    'unknown: there under a number that is not ours; doubled: there more than once';

SELECT onemap.alarm_rule_default('hub', 'upstream_different', '{"name_zh": "上级平台数据与台账不符", "kind": "derived",
    "severity": "major", "source": "assumed: any difference",
    "source_zh": "假定：有任何差别即报"}');

CREATE OR REPLACE FUNCTION onemap.exchange_ask_end(target text, asking timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE t record;
BEGIN
    DELETE FROM onemap.exchange_held h WHERE h.target = $1 AND h.asking <> $2;
    UPDATE onemap.exchange_target x SET asked_at = $2, ask_next_at = clock_timestamp() + interval '1 day' WHERE x.target = $1;
    FOR t IN
        SELECT x.name_zh, r.id AS rule_id, d.words, d.differences
        FROM onemap.exchange_target x JOIN onemap.alarm_rule r ON r.subsystem = 'hub' AND r.key = 'upstream_different'
        CROSS JOIN LATERAL (
            SELECT string_agg(k.difference || ' ' || k.n, '，' ORDER BY k.difference) AS words, sum(k.n)::int AS differences
            FROM (SELECT c.difference, count(*) AS n FROM onemap.exchange_held_differences(x.target, NULL) c
                  GROUP BY c.difference) k) d
        WHERE x.target = $1
    LOOP
        IF t.differences > 0 THEN
            PERFORM onemap.alarm_open(t.rule_id, 0, $1, onemap.alarm_next_time(t.rule_id, 0, $1, $2), t.differences,
                jsonb_build_object('text_zh', coalesce(nullif(t.name_zh, ''), $1) || '：' || t.words));
        ELSE
            PERFORM onemap.alarm_close(t.rule_id, 0, $1, now(), NULL, 'no difference any more');
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.exchange_ask_end(text, timestamptz) IS
    'All pages are there: what was said before is forgotten, and the alarm hub/upstream_different opens if the target has other '
    'than what it accepted, or ends';

GRANT EXECUTE ON FUNCTION onemap.exchange_ask_begin(text), onemap.exchange_ask_page(text, text, timestamptz, jsonb),
    onemap.exchange_ask_end(text, timestamptz) TO cityhub_exchange;
