-- Alarms: rules (limits with their source) and what they found. Threshold rules are evaluated by the hub record by
-- record; 'derived' ones are raised by SQL (sweeps and checks); 'offline' and 'silent' ones by onemap.presence_sweep().

CREATE TABLE onemap.alarm_rule (
    id              int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subsystem       text NOT NULL REFERENCES onemap.subsystem (key),
    key             text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]*$'),
    name_zh         text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('threshold', 'derived', 'offline', 'silent')),
    metric          text,
    device_kind     text,
    comparison      text CHECK (comparison IN ('above', 'below', 'equals')),
    threshold       float8,
    clear_threshold float8,
    duration_s      int NOT NULL DEFAULT 0 CHECK (duration_s BETWEEN 0 AND 604800),
    severity        text NOT NULL CHECK (severity IN ('info', 'minor', 'major', 'critical')),
    source          text NOT NULL CHECK (source <> ''),
    category_code   text,
    window_from     time,
    window_to       time,
    enabled         boolean NOT NULL DEFAULT true,
    edited          boolean NOT NULL DEFAULT false,
    UNIQUE (subsystem, key),
    FOREIGN KEY (subsystem, metric) REFERENCES onemap.metric (subsystem, key),
    FOREIGN KEY (subsystem, device_kind) REFERENCES onemap.device_kind (subsystem, key),
    CHECK (kind <> 'threshold' OR (metric IS NOT NULL AND comparison IS NOT NULL AND threshold IS NOT NULL)),
    CHECK (comparison <> 'above' OR clear_threshold <= threshold),
    CHECK (comparison <> 'below' OR clear_threshold >= threshold),
    CHECK ((window_from IS NULL) = (window_to IS NULL))
);
COMMENT ON TABLE onemap.alarm_rule IS
    'Limits: threshold beyond which (for duration_s) an alarm opens, clear_threshold at which it closes (hysteresis), local time window, source of the limit, case category it opens; edited = changed by the county, defaults leave it alone';

CREATE TABLE onemap.alarm (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id         int NOT NULL REFERENCES onemap.alarm_rule (id),
    device_id       int NOT NULL DEFAULT 0,
    vendor          text NOT NULL DEFAULT '',
    opened_at       timestamptz NOT NULL,
    closed_at       timestamptz,
    value           float8,
    closing_value   float8,
    close_reason    text,
    severity        text NOT NULL,
    detail          jsonb NOT NULL DEFAULT '{}',
    recorded_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    acknowledged_at timestamptz,
    acknowledged_by text,
    UNIQUE (rule_id, device_id, vendor, opened_at),
    CHECK (closed_at >= opened_at)
);
COMMENT ON TABLE onemap.alarm IS 'Alarms, one open per device and rule; device_id 0: of a whole vendor; opened_at/closed_at: time of the record that did it';
CREATE UNIQUE INDEX alarm_one_open ON onemap.alarm (rule_id, device_id, vendor) WHERE closed_at IS NULL;
CREATE INDEX alarm_device ON onemap.alarm (device_id, opened_at);

CREATE TABLE onemap.alarm_pending (
    device_id int NOT NULL,
    rule_id   int NOT NULL REFERENCES onemap.alarm_rule (id) ON DELETE CASCADE,
    since     timestamptz NOT NULL,
    PRIMARY KEY (device_id, rule_id)
);
COMMENT ON TABLE onemap.alarm_pending IS 'Conditions that hold but not yet for the rule''s duration; lets the duration survive a restart';

CREATE TABLE onemap.sweep (
    function_name text PRIMARY KEY CHECK (function_name ~ '^[a-z][a-z0-9_]*_sweep$'),
    subsystem     text REFERENCES onemap.subsystem (key)
);
COMMENT ON TABLE onemap.sweep IS 'Functions onemap.<function_name>() that the hub calls periodically to judge what single records cannot show';

CREATE FUNCTION onemap.alarm_rule_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('cityhub_rules', '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_notify() IS 'Trigger: tells the running hub that alarm rules changed (channel cityhub_rules)';
CREATE TRIGGER alarm_rule_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.alarm_rule
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.alarm_rule_notify();

CREATE FUNCTION onemap.alarm_rule_retire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What the old limit found says nothing about the new one.
    IF NOT NEW.enabled
        OR (NEW.metric, NEW.comparison, NEW.threshold, NEW.clear_threshold, NEW.device_kind, NEW.window_from, NEW.window_to)
        IS DISTINCT FROM
           (OLD.metric, OLD.comparison, OLD.threshold, OLD.clear_threshold, OLD.device_kind, OLD.window_from, OLD.window_to) THEN
        UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, pg_catalog.now()),
            close_reason = CASE WHEN NEW.enabled THEN 'rule changed' ELSE 'rule disabled' END
        WHERE a.rule_id = NEW.id AND a.closed_at IS NULL;
        DELETE FROM onemap.alarm_pending p WHERE p.rule_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_retire() IS 'Trigger: closes the open alarms of a rule that was disabled or whose limit changed';
CREATE TRIGGER alarm_rule_retire AFTER UPDATE ON onemap.alarm_rule
    FOR EACH ROW EXECUTE FUNCTION onemap.alarm_rule_retire();

CREATE FUNCTION onemap.alarm_rule_default(subsystem text, key text, rule jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    way text; known text[] := ARRAY['name_zh', 'metric', 'above', 'below', 'equals', 'clear', 'duration_s', 'severity', 'source',
                                    'category_code', 'device_kind', 'from', 'to', 'kind'];
    stray text; limit_value float8;
BEGIN
    SELECT k INTO stray FROM jsonb_object_keys(rule) k WHERE k <> ALL (known) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'alarm rule %.%: unknown key %', subsystem, key, stray USING HINT = 'Known: ' || array_to_string(known, ', ');
    END IF;
    SELECT w INTO way FROM unnest(ARRAY['above', 'below', 'equals']) w WHERE rule ? w;
    IF (SELECT count(*) FROM unnest(ARRAY['above', 'below', 'equals']) w WHERE rule ? w) > 1 THEN
        RAISE EXCEPTION 'alarm rule %.%: give one of above, below, equals', subsystem, key;
    END IF;
    limit_value := (rule->>way)::float8;
    INSERT INTO onemap.alarm_rule AS a (subsystem, key, name_zh, kind, metric, device_kind, comparison, threshold, clear_threshold,
        duration_s, severity, source, category_code, window_from, window_to)
    VALUES ($1, $2, rule->>'name_zh', coalesce(rule->>'kind', CASE WHEN way IS NULL THEN 'derived' ELSE 'threshold' END),
        rule->>'metric', rule->>'device_kind', way, limit_value, coalesce((rule->>'clear')::float8, limit_value),
        coalesce((rule->>'duration_s')::int, 0), rule->>'severity', rule->>'source', rule->>'category_code',
        (rule->>'from')::time, (rule->>'to')::time)
    ON CONFLICT ON CONSTRAINT alarm_rule_subsystem_key_key DO UPDATE SET
        name_zh = excluded.name_zh, kind = excluded.kind, metric = excluded.metric, device_kind = excluded.device_kind,
        comparison = excluded.comparison, threshold = excluded.threshold, clear_threshold = excluded.clear_threshold,
        duration_s = excluded.duration_s, severity = excluded.severity, source = excluded.source,
        category_code = excluded.category_code, window_from = excluded.window_from, window_to = excluded.window_to
    WHERE NOT a.edited;
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_default(text, text, jsonb) IS
    'Sets a shipped rule unless the county edited it; keys: name_zh, metric, above|below|equals, clear, duration_s, severity, source, category_code, device_kind, from, to';

CREATE FUNCTION onemap.alarm_rule_set(subsystem text, key text, changes jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY['threshold', 'clear_threshold', 'duration_s', 'severity', 'source', 'category_code', 'enabled'];
    stray text;
BEGIN
    SELECT k INTO stray FROM jsonb_object_keys(changes) k WHERE k <> ALL (known) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'alarm rule %.%: % cannot be changed', subsystem, key, stray USING HINT = 'Known: ' || array_to_string(known, ', ');
    END IF;
    UPDATE onemap.alarm_rule r SET edited = true,
        threshold = coalesce((changes->>'threshold')::float8, r.threshold),
        clear_threshold = coalesce((changes->>'clear_threshold')::float8, (changes->>'threshold')::float8, r.clear_threshold),
        duration_s = coalesce((changes->>'duration_s')::int, r.duration_s),
        severity = coalesce(changes->>'severity', r.severity),
        source = coalesce(changes->>'source', r.source),
        category_code = CASE WHEN changes ? 'category_code' THEN changes->>'category_code' ELSE r.category_code END,
        enabled = coalesce((changes->>'enabled')::boolean, r.enabled)
    WHERE r.subsystem = $1 AND r.key = $2;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no alarm rule %.%', subsystem, key USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM onemap.audit('alarm_rule_set', jsonb_build_object('subsystem', $1, 'key', $2, 'changes', changes));
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_set(text, text, jsonb) IS
    'The county''s change of a rule: threshold, clear_threshold, duration_s, severity, source, category_code, enabled; audited, in force at once';
GRANT EXECUTE ON FUNCTION onemap.alarm_rule_set(text, text, jsonb) TO cityhub_hub, cityhub_api;

-- The two ends of an alarm, for the hub and for SQL alike. Saying a thing twice changes nothing.
CREATE FUNCTION onemap.alarm_open(rule_id int, device_id int, vendor text, at timestamptz, value float8, detail jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.alarm (rule_id, device_id, vendor, opened_at, value, severity, detail)
    SELECT r.id, $2, $3, $4, $5, r.severity, $6 FROM onemap.alarm_rule r WHERE r.id = $1 AND r.enabled
    ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION onemap.alarm_open(int, int, text, timestamptz, float8, jsonb) IS
    'Opens an alarm unless one of this rule and device is open, or one with this very time was';
CREATE FUNCTION onemap.alarm_close(rule_id int, device_id int, vendor text, at timestamptz, value float8, reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, $4), closing_value = $5, close_reason = $6
    WHERE a.rule_id = $1 AND a.device_id = $2 AND a.vendor = $3 AND a.closed_at IS NULL
$$;
COMMENT ON FUNCTION onemap.alarm_close(int, int, text, timestamptz, float8, text) IS 'Closes the open alarm of this rule and device, if there is one';

CREATE FUNCTION onemap.alarm_next_time(rule_id int, device_id int, vendor text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest($4, (SELECT max(a.closed_at) FROM onemap.alarm a WHERE a.rule_id = $1 AND a.device_id = $2 AND a.vendor = $3))
$$;
COMMENT ON FUNCTION onemap.alarm_next_time(int, int, text, timestamptz) IS
    'When an alarm of a lasting silence opens: not before the end of the one before, which a change of the rule may have closed while the silence went on';

CREATE FUNCTION onemap.alarm_raise(device_id int, rule_key text, at timestamptz, value float8, detail jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_open(r.id, d.id, '', $3, $4, $5)
    FROM onemap.device d JOIN onemap.alarm_rule r ON r.subsystem = d.subsystem AND r.key = $2 WHERE d.id = $1
$$;
COMMENT ON FUNCTION onemap.alarm_raise(int, text, timestamptz, float8, jsonb) IS 'Opens an alarm by the rule''s key, for sweeps and checks';
CREATE FUNCTION onemap.alarm_clear(device_id int, rule_key text, at timestamptz, reason text DEFAULT 'condition ended') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_close(r.id, d.id, '', $3, NULL, $4)
    FROM onemap.device d JOIN onemap.alarm_rule r ON r.subsystem = d.subsystem AND r.key = $2 WHERE d.id = $1
$$;
COMMENT ON FUNCTION onemap.alarm_clear(int, text, timestamptz, text) IS 'Closes an alarm by the rule''s key, for sweeps and checks';

CREATE FUNCTION onemap.alarm_apply(operations jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE o record;
BEGIN
    FOR o IN SELECT r.op, r.device_id, r.rule_id, to_timestamp(r.at_ms / 1000.0) AS at, r.value
             FROM jsonb_to_recordset(operations) AS r(op text, device_id int, rule_id int, at_ms bigint, value float8) LOOP
        CASE o.op
            WHEN 'open' THEN
                PERFORM onemap.alarm_open(o.rule_id, o.device_id, '', o.at, o.value, '{}');
                DELETE FROM onemap.alarm_pending p WHERE p.device_id = o.device_id AND p.rule_id = o.rule_id;
            WHEN 'close' THEN
                PERFORM onemap.alarm_close(o.rule_id, o.device_id, '', o.at, o.value, 'condition ended');
            WHEN 'pend' THEN
                INSERT INTO onemap.alarm_pending (device_id, rule_id, since)
                SELECT o.device_id, o.rule_id, o.at WHERE EXISTS (SELECT FROM onemap.alarm_rule r WHERE r.id = o.rule_id AND r.enabled)
                ON CONFLICT DO NOTHING;
            WHEN 'drop' THEN
                DELETE FROM onemap.alarm_pending p WHERE p.device_id = o.device_id AND p.rule_id = o.rule_id;
        END CASE;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.alarm_apply(jsonb) IS
    'The hub''s alarm changes of one batch, in order: [{op: open|close|pend|drop, device_id, rule_id, at_ms, value}]';
GRANT EXECUTE ON FUNCTION onemap.alarm_apply(jsonb) TO cityhub_hub;

SELECT onemap.alarm_rule_default(s.key, 'device_offline', jsonb_build_object('kind', 'offline', 'name_zh', '设备离线',
        'severity', 'minor', 'source', 'assumed: the device kind''s offline_after')),
    onemap.alarm_rule_default(s.key, 'vendor_silent', jsonb_build_object('kind', 'silent', 'name_zh', '厂商平台失联',
        'severity', 'major', 'source', 'assumed: the vendor''s silent_after'))
FROM onemap.subsystem s;

-- Silence. While a whole vendor is silent its devices are not alarmed one by one, and when it is back each has its time to
-- follow; time in which the hub itself did not listen counts against nobody. A device whose kind is not known yet
-- (pending) has an hour, and no alarm.
CREATE FUNCTION onemap.presence_vendors(listening_since timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE v record;
BEGIN
    UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, coalesce(n.revoked_at, now())),
        close_reason = CASE WHEN n.revoked_at IS NULL THEN 'all its devices are retired' ELSE 'vendor revoked' END
    FROM onemap.alarm_rule r JOIN onemap.vendor n ON n.subsystem = r.subsystem
    WHERE r.id = a.rule_id AND r.kind = 'silent' AND a.closed_at IS NULL AND n.vendor = a.vendor
        AND (n.revoked_at IS NOT NULL OR NOT EXISTS (SELECT FROM onemap.device x
            WHERE x.subsystem = n.subsystem AND x.vendor = n.vendor AND x.status <> 'retired'));
    FOR v IN
        SELECT n.vendor, n.silent_after, r.id AS rule_id, max(s.last_seen_at) AS last_seen
        FROM onemap.vendor n
        JOIN onemap.alarm_rule r ON r.subsystem = n.subsystem AND r.kind = 'silent' AND r.enabled
        JOIN onemap.device x ON x.subsystem = n.subsystem AND x.vendor = n.vendor AND x.status <> 'retired'
        JOIN onemap.device_state s ON s.device_id = x.id
        WHERE n.revoked_at IS NULL GROUP BY n.subsystem, n.vendor, r.id
    LOOP
        IF v.last_seen >= now() - v.silent_after THEN
            PERFORM onemap.alarm_close(v.rule_id, 0, v.vendor, v.last_seen, NULL, 'records arrive again');
        ELSIF listening_since < now() - v.silent_after THEN
            PERFORM onemap.alarm_open(v.rule_id, 0, v.vendor, onemap.alarm_next_time(v.rule_id, 0, v.vendor,
                greatest(v.last_seen, listening_since) + v.silent_after), NULL, jsonb_build_object('last_seen_at', v.last_seen));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.presence_vendors(timestamptz) IS
    'Opens and closes the alarms of vendors of whom nothing came for their silent_after; one that never sent anything is not missed';

CREATE FUNCTION onemap.presence_alarms(listening_since timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity, detail)
    SELECT r.id, x.id, onemap.alarm_next_time(r.id, x.id, '',
               least(s.changed_at, greatest(s.last_seen_at, listening_since) + coalesce(k.offline_after, '1 hour'))),
           r.severity, jsonb_build_object('last_seen_at', s.last_seen_at)
    FROM onemap.device_state s JOIN onemap.device x ON x.id = s.device_id
    JOIN onemap.vendor n ON n.subsystem = x.subsystem AND n.vendor = x.vendor AND n.revoked_at IS NULL
    JOIN onemap.alarm_rule r ON r.subsystem = x.subsystem AND r.kind = 'offline' AND r.enabled
        AND (r.device_kind IS NULL OR r.device_kind = x.kind)
    LEFT JOIN onemap.device_kind k ON k.subsystem = x.subsystem AND k.key = x.kind
    WHERE NOT s.online AND x.status = 'active'
        AND NOT EXISTS (SELECT FROM onemap.alarm a WHERE a.rule_id = r.id AND a.device_id = x.id AND a.closed_at IS NULL)
        AND NOT EXISTS (SELECT FROM onemap.alarm a JOIN onemap.alarm_rule q ON q.id = a.rule_id
                        WHERE a.device_id = 0 AND a.vendor = x.vendor AND q.subsystem = x.subsystem AND q.kind = 'silent'
                            AND (a.closed_at IS NULL OR a.closed_at > now() - coalesce(k.offline_after, '1 hour')))
    ON CONFLICT DO NOTHING;
    UPDATE onemap.alarm a SET
        closed_at = greatest(a.opened_at, CASE WHEN s.online THEN s.last_seen_at ELSE now() END),
        close_reason = CASE WHEN s.online THEN 'records arrive again' WHEN x.status <> 'active' THEN 'device retired'
                            ELSE 'vendor revoked' END
    FROM onemap.alarm_rule r, onemap.device_state s, onemap.device x, onemap.vendor n
    WHERE r.id = a.rule_id AND r.kind = 'offline' AND a.closed_at IS NULL AND s.device_id = a.device_id AND x.id = s.device_id
        AND n.subsystem = x.subsystem AND n.vendor = x.vendor
        AND (s.online OR x.status <> 'active' OR n.revoked_at IS NOT NULL)
$$;
COMMENT ON FUNCTION onemap.presence_alarms(timestamptz) IS
    'Opens the alarms of active devices that are offline while their vendor is not silent; closes those of devices that are back, retired, or of a revoked vendor';

CREATE FUNCTION onemap.presence_sweep(listening_since timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE gone int;
BEGIN
    UPDATE onemap.device_state s SET online = false, changed_at = now()
    FROM onemap.device x LEFT JOIN onemap.device_kind k ON k.subsystem = x.subsystem AND k.key = x.kind
    WHERE x.id = s.device_id AND s.online
        AND s.last_seen_at < now() - coalesce(k.offline_after, '1 hour')
        AND listening_since < now() - coalesce(k.offline_after, '1 hour');
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM onemap.presence_vendors(listening_since);
    PERFORM onemap.presence_alarms(listening_since);
    RETURN gone;
END $$;
COMMENT ON FUNCTION onemap.presence_sweep(timestamptz) IS
    'Marks devices offline after their kind''s offline_after and vendors silent after theirs, opens and closes the alarms; listening_since: since when the hub has been receiving without a break; returns the devices that went offline';
GRANT EXECUTE ON FUNCTION onemap.presence_sweep(timestamptz) TO cityhub_hub;

CREATE FUNCTION onemap.sweep_run() RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE s record; problems text[] := '{}';
BEGIN
    FOR s IN SELECT w.function_name FROM onemap.sweep w ORDER BY w.function_name LOOP
        BEGIN
            EXECUTE format('SELECT onemap.%I()', s.function_name);
        EXCEPTION WHEN OTHERS THEN
            problems := problems || format('%s: %s', s.function_name, SQLERRM);
        END;
    END LOOP;
    RETURN problems;
END $$;
COMMENT ON FUNCTION onemap.sweep_run() IS 'Runs all sweeps; one that fails does not hold up the others; returns what failed and why';
GRANT EXECUTE ON FUNCTION onemap.sweep_run() TO cityhub_hub;

-- A limit that counts only while a state of the same device holds, e.g. flow while the valve is shut. For sweeps of adapters.
CREATE FUNCTION onemap.alarm_sustained_judge(subsystem text, rule_key text, state_metric text, state float8)
RETURNS TABLE (device_id int, lowest float8, last_at timestamptz, holds boolean, judged boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, min(w.value), max(w.observed_at), bool_and(w.value > r.threshold AND w.state = $4),
           max(w.observed_at) - min(w.observed_at) >= make_interval(secs => 0.75 * r.duration_s)
    FROM onemap.alarm_rule r
    JOIN onemap.device d ON d.subsystem = r.subsystem AND (r.device_kind IS NULL OR d.kind = r.device_kind) AND d.status <> 'retired'
    CROSS JOIN LATERAL (
        SELECT o.observed_at, o.readings[onemap.metric_ordinal($1, $3)] AS state,
               onemap.reading_good(o.readings, o.quality, onemap.metric_ordinal($1, r.metric)) AS value
        FROM onemap.observation o
        WHERE o.device_id = d.id AND o.observed_at > now() - make_interval(secs => r.duration_s) AND o.observed_at <= now()) w
    WHERE r.subsystem = $1 AND r.key = $2 AND r.enabled AND w.value IS NOT NULL AND w.state IS NOT NULL
    GROUP BY d.id, r.id
$$;
COMMENT ON FUNCTION onemap.alarm_sustained_judge(text, text, text, float8) IS
    'Devices of the rule''s kind (of any, if it names none) with records in its duration up to now: holds = in all of them the metric was above the limit and the state was this one; judged = they span at least three quarters of the duration';

CREATE FUNCTION onemap.alarm_sustained(subsystem text, rule_key text, state_metric text, state float8) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE j record; raised int := 0;
BEGIN
    FOR j IN SELECT * FROM onemap.alarm_sustained_judge(subsystem, rule_key, state_metric, state) LOOP
        IF NOT j.holds THEN
            PERFORM onemap.alarm_clear(j.device_id, rule_key, j.last_at);
        ELSIF j.judged THEN
            PERFORM onemap.alarm_raise(j.device_id, rule_key, j.last_at, j.lowest);
            raised := raised + 1;
        END IF;
    END LOOP;
    RETURN raised;
END $$;
COMMENT ON FUNCTION onemap.alarm_sustained(text, text, text, float8) IS
    'Raises a derived rule''s alarm on devices for which alarm_sustained_judge() holds, clears it on the others; returns the devices found';
