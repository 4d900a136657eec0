-- What a platform above thinks of the reports, known before it says so: the alarm of what waits too long, and the board of the
-- data's quality (数据质量看板). A province that publishes such a score (12345, 2020) takes complete and content of 10 points,
-- timely and stable of 5, 30 in all; its formula within each is not published: here each is a plain share.

SELECT onemap.alarm_rule_default('hub', 'upstream_late', '{"name_zh": "上报超过时限", "kind": "derived", "severity": "major",
    "source": "assumed: oldest_s of the target''s file",
    "source_zh": "假定：见目标文件的 oldest_s"}');
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('nothing waits too long any more', '已无超时等待的')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.exchange_late_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE t record; late int := 0;
BEGIN
    FOR t IN
        SELECT x.target, x.name_zh, x.oldest_s, x.problem, r.id AS rule_id, w.made_at, w.waiting
        FROM onemap.exchange_target x JOIN onemap.alarm_rule r ON r.subsystem = 'hub' AND r.key = 'upstream_late'
        CROSS JOIN LATERAL (SELECT min(e.made_at) AS made_at, count(*) AS waiting FROM onemap.exchange_record e
                            WHERE e.target = x.target AND e.state = 'waiting') w
        WHERE x.kind = 'platform'
    LOOP
        IF t.made_at < now() - make_interval(secs => t.oldest_s) THEN
            PERFORM onemap.alarm_open(t.rule_id, 0, t.target, onemap.alarm_next_time(t.rule_id, 0, t.target,
                t.made_at + make_interval(secs => t.oldest_s)), extract(epoch FROM now() - t.made_at)::float8,
                jsonb_build_object('text_zh', format('%s：最早的一条 %s 起等待，共 %s 条等待%s',
                    coalesce(nullif(t.name_zh, ''), t.target),
                    onemap.county_time(t.made_at), t.waiting, coalesce('；' || nullif(t.problem, ''), '')),
                    'waiting', t.waiting, 'oldest_waiting_at', t.made_at));
            late := late + 1;
        ELSE
            PERFORM onemap.alarm_close(t.rule_id, 0, t.target, now(), NULL, 'nothing waits too long any more');
        END IF;
    END LOOP;
    RETURN late;
END $$;
COMMENT ON FUNCTION onemap.exchange_late_sweep() IS
    'Opens the alarm hub/upstream_late of targets whose oldest waiting record has waited for longer than oldest_s, with the '
    'target in the vendor''s place; closes it when none has; returns the targets that are late';
INSERT INTO onemap.sweep (function_name) VALUES ('exchange_late_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.exchange_quality_one(one_target text, one text, from_at timestamptz, to_at timestamptz,
    OUT expected bigint, OUT complete bigint, OUT whole bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO'
SET extra_float_digits = 1 AS $$
BEGIN
    EXECUTE format($q$
        SELECT count(*), count(*) FILTER (WHERE l.accepted_hash = h.hash),
               count(*) FILTER (WHERE NOT coalesce(l.refused, false) AND NOT EXISTS (
                   SELECT FROM jsonb_array_elements_text(coalesce(t.required->$1, '[]')) c (c)
                   WHERE coalesce(h.content->>c.c, '') = ''))
        FROM onemap.%I v
        JOIN onemap.exchange_target t ON t.target = $2 AND (t.since <= v.occurred_at) IS NOT FALSE
        CROSS JOIN LATERAL (SELECT c.content, sha256(convert_to(c.content::text, 'UTF8')) AS hash
            FROM (SELECT to_jsonb(v) - '{record,chain,place,key,occurred_at}'::text[] AS content) c) h
        LEFT JOIN LATERAL (SELECT CASE WHEN x.state = 'accepted' THEN x.hash END AS accepted_hash, x.state = 'refused' AS refused
            FROM onemap.exchange_record x WHERE x.target = $2 AND x.resource = $1 AND x.record = v.record
            ORDER BY x.version DESC LIMIT 1) l ON true
        WHERE ($3 IS NULL OR (v.occurred_at >= $3) IS NOT FALSE) AND ($4 IS NULL OR (v.occurred_at < $4) IS NOT FALSE)$q$,
        'exchange_' || one) INTO expected, complete, whole USING one, one_target, from_at, to_at;
END $$;
COMMENT ON FUNCTION onemap.exchange_quality_one(text, text, timestamptz, timestamptz) IS
    'Of a target and a resource: expected: what the view has of the time (things without one always); complete: of it, what '
    'the target has accepted as it is now; whole: of it, what has all that the template requires and is not refused';

CREATE OR REPLACE FUNCTION onemap.exchange_share(part bigint, whole bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN whole = 0 THEN NULL ELSE trunc(100.0 * part / whole, 2) END
$$;
COMMENT ON FUNCTION onemap.exchange_share(bigint, bigint) IS
    'A share in percent, never rounded up: 100 is all; NULL: of nothing';

CREATE OR REPLACE FUNCTION onemap.exchange_quality(request jsonb) RETURNS TABLE (target text, resource text, expected bigint,
    complete bigint, whole bigint, answered bigint, timely bigint, reached bigint, away bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    from_day date := coalesce((request->>'from')::date, date_trunc('month', onemap.local_time(now())::date)::date);
    to_day date := coalesce((request->>'to')::date, onemap.local_time(now())::date);
    from_at timestamptz := onemap.local_midnight(from_day); to_at timestamptz := onemap.local_midnight(to_day + 1);
BEGIN
    PERFORM onemap.exchange_known(request);
    RETURN QUERY
    SELECT t.target, r.resource, q.expected, q.complete, q.whole, l.answered, l.timely, c.reached, c.away
    FROM onemap.exchange_target t
    JOIN onemap.exchange_resource r ON r.resource = ANY (t.resources)
    CROSS JOIN LATERAL onemap.exchange_quality_one(t.target, r.resource, from_at, to_at) q
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE x.accepted_at IS NOT NULL OR x.made_at < now() - make_interval(secs => t.oldest_s))
                   AS answered,
               count(*) FILTER (WHERE x.accepted_at <= x.made_at + make_interval(secs => t.oldest_s)) AS timely
        FROM onemap.exchange_record x WHERE x.target = t.target AND x.resource = r.resource AND x.made_at >= from_at
            AND x.made_at < to_at AND x.state <> 'skipped') l
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(k.reached), 0)::bigint AS reached, coalesce(sum(k.away), 0)::bigint AS away
        FROM onemap.exchange_contact k WHERE k.target = t.target AND k.day BETWEEN from_day AND to_day) c
    WHERE t.kind = 'platform' AND (NOT request ? 'target' OR t.target = request->>'target')
    ORDER BY t.target, r.position;
END $$;
COMMENT ON FUNCTION onemap.exchange_quality(jsonb) IS
    'The counts of the board: {target, from, to}: days of the county, by default the current month. answered: records entered '
    'then that were accepted or had their time for it, timely: of those, accepted within oldest_s; reached, away: messages to '
    'the target, whatever the resource';

CREATE OR REPLACE FUNCTION onemap.exchange_quality_points(complete numeric, content numeric, timely numeric, up numeric)
RETURNS numeric LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT round(coalesce(complete, 100) / 10 + coalesce(content, 100) / 10 + coalesce(timely, 100) / 20
        + coalesce(up, 100) / 20, 2)
$$;
COMMENT ON FUNCTION onemap.exchange_quality_points(numeric, numeric, numeric, numeric) IS
    'Of 30 points, as one province gives them: complete 10, content 10, timely 5, interface stable 5; where there was nothing, all';

CREATE OR REPLACE FUNCTION onemap.exchange_quality_board(request jsonb) RETURNS TABLE (target text, resource text,
    expected bigint, complete numeric, content numeric, timely numeric, up numeric, points numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.target, s.resource, s.expected, s.complete, s.content, s.timely, s.up,
           onemap.exchange_quality_points(s.complete, s.content, s.timely, s.up)
    FROM (SELECT q.target, coalesce(q.resource, 'all') AS resource, sum(q.expected)::bigint AS expected,
                 onemap.exchange_share(sum(q.complete)::bigint, sum(q.expected)::bigint) AS complete,
                 onemap.exchange_share(sum(q.whole)::bigint, sum(q.expected)::bigint) AS content,
                 onemap.exchange_share(sum(q.timely)::bigint, sum(q.answered)::bigint) AS timely,
                 onemap.exchange_share(max(q.reached), max(q.reached) + max(q.away)) AS up,
                 grouping(q.resource) AS whole_target, min(r.position) AS position
          FROM onemap.exchange_quality(request) q JOIN onemap.exchange_resource r ON r.resource = q.resource
          GROUP BY GROUPING SETS ((q.target), (q.target, q.resource))) s
    ORDER BY s.target, s.whole_target DESC, s.position
$$;
COMMENT ON FUNCTION onemap.exchange_quality_board(jsonb) IS
    'The board for people, in percent: of each target all, then by resource: complete (数据完整), content (内容完整), timely '
    '(数据及时), up (接口稳定), points of 30; empty: there was nothing to measure';

CREATE OR REPLACE FUNCTION onemap.exchange_quality_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(b) || jsonb_build_object('target_zh', t.name_zh, 'resource_zh', r.name_zh)
               ORDER BY b.target, r.position NULLS FIRST), '[]')
    FROM onemap.exchange_quality_board(request) b JOIN onemap.exchange_target t ON t.target = b.target
    LEFT JOIN onemap.exchange_resource r ON r.resource = b.resource
$$;
COMMENT ON FUNCTION onemap.exchange_quality_json(jsonb) IS 'The same as JSON, with the names of targets and resources';

GRANT EXECUTE ON FUNCTION onemap.exchange_quality(jsonb), onemap.exchange_quality_board(jsonb),
    onemap.exchange_quality_json(jsonb) TO cityhub_exchange, cityhub_hub, cityhub_read;
