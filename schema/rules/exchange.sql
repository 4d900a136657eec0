-- The ledger (上报台账): from what changed to what is due at a target, and what it answered. `cityhub upstream run` calls these.

-- A time further ahead than anything waits was written by a clock that was ahead, and holds up nothing.
CREATE OR REPLACE FUNCTION onemap.has_come(moment timestamptz, longest interval) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT moment <= pg_catalog.clock_timestamp() OR moment > pg_catalog.clock_timestamp() + longest
$$;
COMMENT ON FUNCTION onemap.has_come(timestamptz, interval) IS
    'Whether the time until which something waits has come; longest: no such time is further ahead';

CREATE OR REPLACE FUNCTION onemap.exchange_enter(resource text, keys text[], only_target text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET extra_float_digits = 1 AS $$
DECLARE entered int; key_type text;
BEGIN
    SELECT format(' AND v.key = ANY ($3::%s[])', r.key_type::regtype) INTO key_type
    FROM onemap.exchange_resource r WHERE r.resource = $1 AND keys IS NOT NULL;
    EXECUTE format($q$
        INSERT INTO onemap.exchange_record (target, resource, record, version, chain, content, hash, state)
        SELECT n.target, $1, n.record, n.version, $1 || ':' || n.chain, n.content, n.hash,
               CASE n.kind WHEN 'cursor' THEN 'accepted' ELSE 'waiting' END
        FROM (SELECT t.target, t.kind, v.record, v.chain, v.place, coalesce(l.version, 0) + 1 AS version, c.content, h.hash,
                     l.hash AS before
              FROM onemap.%I v
              JOIN onemap.exchange_wanted($1, $2) t ON (t.since <= v.occurred_at) IS NOT FALSE
              CROSS JOIN LATERAL (SELECT to_jsonb(v) - '{record,chain,place,key,occurred_at}'::text[] AS whole) w
              CROSS JOIN LATERAL (SELECT CASE WHEN t.kind = 'platform' THEN w.whole
                                  ELSE onemap.subscription_content(t.wants, $1, w.whole) END AS content OFFSET 0) c
              CROSS JOIN LATERAL (SELECT sha256(convert_to(c.content::text, 'UTF8')) AS hash) h
              LEFT JOIN LATERAL (SELECT x.version, x.hash FROM onemap.exchange_record x
                                 WHERE x.target = t.target AND x.resource = $1 AND x.record = v.record
                                 ORDER BY x.version DESC LIMIT 1) l ON true
              WHERE c.content IS NOT NULL%s) n
        WHERE n.before IS DISTINCT FROM n.hash ORDER BY n.chain, n.place$q$, 'exchange_' || resource, coalesce(key_type, ''))
        USING resource, only_target, keys;
    GET DIAGNOSTICS entered = ROW_COUNT;
    RETURN entered;
END $$;
COMMENT ON FUNCTION onemap.exchange_enter(text, text[], text) IS
    'Enters into the ledger what of a resource (keys NULL: all of it) is not as the latest version there, for one target '
    'or (NULL) '
    'all. The caller holds the sweep''s lock';

CREATE OR REPLACE FUNCTION onemap.exchange_lock(wait boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF wait THEN
        PERFORM pg_advisory_xact_lock(hashtext('onemap.exchange_sweep'));
        RETURN true;
    END IF;
    RETURN pg_try_advisory_xact_lock(hashtext('onemap.exchange_sweep'));
END $$;
COMMENT ON FUNCTION onemap.exchange_lock(boolean) IS
    'One enters into the ledger at a time, so that its numbers have the order of what was entered; false: another one is at it';

CREATE OR REPLACE FUNCTION onemap.exchange_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE taken text; keys text[]; entered int := 0;
BEGIN
    IF NOT onemap.exchange_lock(false) THEN
        RETURN 0;
    END IF;
    -- A change is a row of the transaction that made it, so each is seen once, when it is committed; what it names is read after
    -- that, as it is then. A case's events have the order of their numbers, since its row is locked while one is added.
    FOR taken IN SELECT r.resource FROM onemap.exchange_resource r ORDER BY r.position LOOP
        WITH due AS (DELETE FROM onemap.exchange_change c USING (
                SELECT x.id FROM onemap.exchange_change x WHERE x.resource = taken ORDER BY x.id LIMIT 20000) d
            WHERE c.resource = taken AND c.id = d.id RETURNING c.key)
        SELECT array_agg(DISTINCT due.key) INTO keys FROM due;
        IF keys IS NOT NULL AND EXISTS (SELECT FROM onemap.exchange_target t WHERE taken = ANY (t.resources)) THEN
            entered := entered + onemap.exchange_enter(taken, keys, NULL);
        END IF;
    END LOOP;
    RETURN entered;
END $$;
COMMENT ON FUNCTION onemap.exchange_sweep() IS
    'Enters what changed into the ledger, up to 20000 changes a resource; returns the records entered. Whoever changes, '
    'waits for '
    'nobody';
INSERT INTO onemap.sweep (function_name) VALUES ('exchange_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.exchange_target_put(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE had text[]; wanted text[]; fresh text; unknown text; entered int := 0;
BEGIN
    IF starts_with(request->>'target', 'subscription-') THEN
        RAISE EXCEPTION 'target "%": such names are those of subscriptions', request->>'target' USING ERRCODE = 'CH070';
    END IF;
    SELECT array_agg(w.w ORDER BY r.position), min(w.w) FILTER (WHERE r.resource IS NULL) INTO wanted, unknown
    FROM jsonb_array_elements_text(request->'resources') w (w) LEFT JOIN onemap.exchange_resource r ON r.resource = w.w;
    IF unknown IS NOT NULL OR wanted IS NULL THEN
        RAISE EXCEPTION 'resources: % is none of %', coalesce('"' || unknown || '"', 'an empty list'),
            (SELECT string_agg(r.resource, ', ' ORDER BY r.position) FROM onemap.exchange_resource r) USING ERRCODE = 'CH070';
    END IF;
    PERFORM onemap.exchange_lock(true);
    SELECT t.resources INTO had FROM onemap.exchange_target t WHERE t.target = request->>'target';
    INSERT INTO onemap.exchange_target AS t (target, name_zh, resources, since, oldest_s, required, asks)
    VALUES (request->>'target', coalesce(request->>'name_zh', ''), wanted, (request->>'since')::timestamptz,
        coalesce((request->>'oldest_s')::int, 86400), coalesce(request->'required', '{}'),
        coalesce((request->>'asks')::boolean, false))
    ON CONFLICT (target) DO UPDATE SET name_zh = excluded.name_zh, resources = excluded.resources, oldest_s = excluded.oldest_s,
        since = excluded.since, required = excluded.required, asks = excluded.asks
    WHERE (t.name_zh, t.resources, t.oldest_s, t.since, t.required, t.asks) IS DISTINCT FROM
        (excluded.name_zh, excluded.resources, excluded.oldest_s, excluded.since, excluded.required,
        excluded.asks);
    IF FOUND THEN
        PERFORM onemap.audit('exchange_target', request);
    END IF;
    -- All that is there already; what is being written at this moment is noted as a change, and swept later.
    FOR fresh IN SELECT r.resource FROM onemap.exchange_resource r
                 WHERE r.resource = ANY (wanted) AND r.resource <> ALL (coalesce(had, '{}')) ORDER BY r.position LOOP
        entered := entered + onemap.exchange_enter(fresh, NULL, request->>'target');
    END LOOP;
    RETURN jsonb_build_object('target', request->'target', 'entered', entered);
END $$;
COMMENT ON FUNCTION onemap.exchange_target_put(jsonb) IS
    'Adds a target, or changes it: {target, name_zh, resources, since, oldest_s, required, asks}; enters all '
    'of resources that are new to it. Returns {target, entered}';

CREATE OR REPLACE FUNCTION onemap.exchange_begin(target text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_try_advisory_lock(hashtext('onemap.exchange_begin'), hashtext(target)) THEN
        RETURN false;
    END IF;
    -- What a sender took that is gone: nobody knows whether it arrived.
    UPDATE onemap.exchange_record r SET next_attempt_at = '-infinity'
    WHERE r.target = $1 AND r.state = 'waiting' AND (r.answered_at >= r.sent_at) IS NOT TRUE AND r.sent_at IS NOT NULL;
    RETURN true;
END $$;
COMMENT ON FUNCTION onemap.exchange_begin(text) IS
    'A sender begins: true, and the target is its own until its session ends; what one before it had under way is due at '
    'once. False: '
    'another one is at it';

CREATE OR REPLACE FUNCTION onemap.exchange_columns() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_object_agg(r.resource, (SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, NULL))
        FROM pg_attribute a WHERE a.attrelid = ('onemap.exchange_' || r.resource)::regclass AND a.attnum > 0
            AND a.attname <> ALL ('{record,chain,place,key,occurred_at}')))
    FROM onemap.exchange_resource r
$$;
COMMENT ON FUNCTION onemap.exchange_columns() IS 'What templates can send: {resource: {column: type}}';

CREATE OR REPLACE FUNCTION onemap.exchange_take(target text, most int, lease_s int)
RETURNS TABLE (number bigint, resource text, record text, version int, hash text, attempts int, content text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT r.id FROM onemap.exchange_record r
        WHERE r.target = $1 AND r.state = 'waiting' AND onemap.has_come(r.next_attempt_at, '2 hours')
          AND EXISTS (SELECT FROM onemap.exchange_target t WHERE t.target = $1 AND onemap.has_come(t.paused_until, '25 hours')
              -- A month goes up when what is there already has been compared; a target that never answers has a day for it.
              AND (NOT t.asks OR r.resource NOT IN ('statistics', 'score', 'assessment') OR t.asked_at >= r.made_at
                   OR onemap.has_come(r.made_at + interval '1 day', '25 hours')))
          -- The first of its chain that is not settled: one that is refused holds up what comes after it there, and nothing else.
          AND r.id = (SELECT e.id FROM onemap.exchange_record e WHERE e.target = r.target AND e.chain = r.chain
                      AND e.state IN ('waiting', 'refused') ORDER BY e.id LIMIT 1)
        ORDER BY r.id LIMIT most FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE onemap.exchange_record r SET attempts = r.attempts + 1, sent_at = clock_timestamp(),
            next_attempt_at = clock_timestamp() + make_interval(secs => lease_s)
        FROM due WHERE r.id = due.id RETURNING r.*)
    SELECT t.id, t.resource, t.record, t.version, encode(t.hash, 'hex'), t.attempts, t.content::text FROM taken t ORDER BY t.id;
END $$;
COMMENT ON FUNCTION onemap.exchange_take(text, int, int) IS
    'What is due at a target, oldest first, one a chain; noted as tried, so that whoever is killed now has tried. Is not '
    'due again '
    'for lease_s seconds';

CREATE OR REPLACE FUNCTION onemap.exchange_answered(target text, answers jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE a record; done int := 0;
BEGIN
    -- One by one, by number: a ledger that a new target has just filled has no statistics yet, and a join would read all of it.
    FOR a IN SELECT x.number, x.outcome, x.answer, x.receipt_number, x.sent, x.wait_s
             FROM jsonb_to_recordset(answers) AS x (number bigint, outcome text, answer text, receipt_number text, sent text,
                 wait_s float8)
             WHERE x.outcome IN ('accepted', 'refused', 'again', 'left') LOOP
        IF a.outcome = 'left' THEN
            UPDATE onemap.exchange_record r SET attempts = r.attempts - 1, next_attempt_at = clock_timestamp(),
                sent_at = r.answered_at
            WHERE r.id = a.number AND r.target = $1 AND r.state = 'waiting';
            done := done + CASE WHEN FOUND THEN 1 ELSE 0 END;
            CONTINUE;
        END IF;
        -- Again: 2, 4, 8 ... s, an hour at most, and half of it by chance, so that many do not come at once.
        UPDATE onemap.exchange_record r
        SET state = CASE a.outcome WHEN 'again' THEN 'waiting' ELSE a.outcome END, answered_at = clock_timestamp(),
            accepted_at = CASE a.outcome WHEN 'accepted' THEN coalesce(r.accepted_at, clock_timestamp()) ELSE r.accepted_at END,
            answer = left(a.answer, 2000), receipt = coalesce(left(a.receipt_number, 200), r.receipt),
            sent = coalesce(a.sent, r.sent), next_attempt_at = clock_timestamp() + make_interval(secs => coalesce(a.wait_s,
                least(3600, 2 ^ least(r.attempts, 12)) * (0.5 + random() / 2)))
        WHERE r.id = a.number AND r.target = $1 AND r.state = 'waiting';
        done := done + CASE WHEN FOUND THEN 1 ELSE 0 END;
    END LOOP;
    RETURN done;
END $$;
COMMENT ON FUNCTION onemap.exchange_answered(text, jsonb) IS
    'What a target answered: [{number, outcome: accepted|refused|again, answer, receipt_number, sent, wait_s}], or left: it was '
    'taken and not sent; returns the records settled or put off';

CREATE OR REPLACE FUNCTION onemap.exchange_reached(target text, problem text, wait_s float8, messages int DEFAULT 1)
RETURNS float8
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.exchange_contact AS k (target, day, reached, away)
    VALUES ($1, onemap.local_time(now())::date, CASE WHEN $2 IS NULL THEN $4 ELSE 0 END, CASE WHEN $2 IS NULL THEN 0 ELSE $4 END)
    ON CONFLICT (target, day) DO UPDATE SET reached = k.reached + excluded.reached, away = k.away + excluded.away;
    -- The breaker: nothing goes to a target that does not work; after 1, 2, 4 ... s, five minutes at most, one message tries it.
    UPDATE onemap.exchange_target t
    SET failures = CASE WHEN $2 IS NULL THEN 0 ELSE t.failures + 1 END, problem = coalesce(left($2, 500), ''),
        reached_at = CASE WHEN $2 IS NULL THEN clock_timestamp() ELSE t.reached_at END,
        paused_until = CASE WHEN $2 IS NULL THEN '-infinity' ELSE clock_timestamp()
            + make_interval(secs => coalesce($3, least(300, 2 ^ least(t.failures, 9)) * (0.5 + random() / 2))) END
    WHERE t.target = $1
    RETURNING CASE WHEN $2 IS NULL THEN 0 ELSE greatest(0, extract(epoch FROM t.paused_until - clock_timestamp())) END::float8
$$;
COMMENT ON FUNCTION onemap.exchange_reached(text, text, float8, int) IS
    'A target answered so many messages (problem NULL), or could not be reached or asked to be left alone (wait_s seconds; NULL: '
    'longer with each failure); returns for how many seconds nothing is sent';

GRANT EXECUTE ON FUNCTION onemap.exchange_sweep(), onemap.exchange_target_put(jsonb), onemap.exchange_take(text, int, int),
    onemap.exchange_answered(text, jsonb), onemap.exchange_reached(text, text, float8, int), onemap.exchange_begin(text),
    onemap.exchange_columns() TO cityhub_exchange;

CREATE OR REPLACE FUNCTION onemap.exchange_forget(before timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE gone int;
BEGIN
    UPDATE onemap.exchange_record r SET sent = NULL
    WHERE r.answered_at < before AND r.sent IS NOT NULL AND r.state <> 'waiting';
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
COMMENT ON FUNCTION onemap.exchange_forget(timestamptz) IS
    'Forgets the messages that were answered before then, which are most of the ledger; returns how many. What proves a report '
    'stays: number, version, hash, times, answer, receipt';
