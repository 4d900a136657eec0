-- Alarms: rules (limits with their source) and what they found. Threshold rules are evaluated by the hub record by record;
-- 'derived' ones are raised by SQL (sweeps and checks); 'offline' and 'silent' ones by presence.sql.

INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('condition ended', '已恢复'),
    ('rule changed', '规则已更改'),
    ('rule disabled', '规则已停用'),
    ('rule is for other devices', '规则不再适用于该设备'),
    ('device retired', '设备已停用'),
    ('vendor revoked', '厂商已停用')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.alarm_end_zh(reason text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce((SELECT e.zh FROM onemap.alarm_end e WHERE e.reason = $1), $1);
END $$;
COMMENT ON FUNCTION onemap.alarm_end_zh(text) IS 'Why an alarm ended, in Chinese; what nobody has put into words stays as it is';
GRANT EXECUTE ON FUNCTION onemap.alarm_end_zh(text) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.severity_zh(severity text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE $1 WHEN 'info' THEN '提示' WHEN 'minor' THEN '一般' WHEN 'major' THEN '重要' WHEN 'critical' THEN '紧急' ELSE $1 END
$$;
COMMENT ON FUNCTION onemap.severity_zh(text) IS 'A severity in Chinese, as the vendors'' guides name it';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('cityhub_rules', '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_notify() IS 'Trigger: tells the running hub that alarm rules changed (channel cityhub_rules)';
CREATE OR REPLACE TRIGGER alarm_rule_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.alarm_rule
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.alarm_rule_notify();

CREATE OR REPLACE FUNCTION onemap.alarm_rule_retire() RETURNS trigger LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION onemap.alarm_rule_retire() IS
    'Trigger: closes the open alarms of a rule that was disabled or whose limit changed';
CREATE OR REPLACE TRIGGER alarm_rule_retire AFTER UPDATE ON onemap.alarm_rule
    FOR EACH ROW EXECUTE FUNCTION onemap.alarm_rule_retire();

-- What may be in alarm again is judged anew: what the hub holds as open may have been refused, or ended.
CREATE OR REPLACE TRIGGER alarm_device_notify AFTER UPDATE ON onemap.device FOR EACH ROW
    WHEN (OLD.status = 'retired' AND NEW.status <> 'retired' OR OLD.kind IS NOT NULL AND OLD.kind IS DISTINCT FROM NEW.kind)
    EXECUTE FUNCTION onemap.alarm_rule_notify();
CREATE OR REPLACE TRIGGER alarm_vendor_notify AFTER UPDATE ON onemap.vendor FOR EACH ROW
    WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NULL) EXECUTE FUNCTION onemap.alarm_rule_notify();

INSERT INTO onemap.alarm_source (source, zh) VALUES ('assumed', '假定') ON CONFLICT (source) DO UPDATE SET zh = excluded.zh;

CREATE OR REPLACE FUNCTION onemap.alarm_source_zh(source text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce((SELECT w.zh FROM onemap.alarm_source w WHERE w.source = $1), $1);
END $$;
COMMENT ON FUNCTION onemap.alarm_source_zh(text) IS
    'Where a limit comes from, in Chinese; what nobody has put into words stays as it is';
GRANT EXECUTE ON FUNCTION onemap.alarm_source_zh(text) TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.alarm_rule_default(subsystem text, key text, rule jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    way text; known text[] := ARRAY['name_zh', 'metric', 'above', 'below', 'equals', 'clear', 'duration_s', 'severity', 'source',
                                    'source_zh', 'category_code', 'device_kind', 'from', 'to', 'kind', 'unit'];
    stray text := onemap.unknown_keys(rule, known); limit_value float8;
BEGIN
    IF $1 <> 'hub' AND NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = $1) THEN
        RAISE EXCEPTION 'alarm rule %.%: there is no such subsystem', subsystem, key USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'alarm rule %.%: unknown key %', subsystem, key, stray
            USING HINT = 'Known: ' || array_to_string(known, ', ');
    END IF;
    SELECT w INTO way FROM unnest(ARRAY['above', 'below', 'equals']) w WHERE rule ? w;
    IF (SELECT count(*) FROM unnest(ARRAY['above', 'below', 'equals']) w WHERE rule ? w) > 1 THEN
        RAISE EXCEPTION 'alarm rule %.%: give one of above, below, equals', subsystem, key;
    END IF;
    limit_value := (rule->>way)::float8;
    INSERT INTO onemap.alarm_source AS w (source, zh) SELECT rule->>'source', rule->>'source_zh' WHERE rule ? 'source_zh'
    ON CONFLICT ON CONSTRAINT alarm_source_pkey DO UPDATE SET zh = excluded.zh WHERE w.zh <> excluded.zh;
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
    WHERE NOT a.edited AND (a.name_zh, a.kind, a.metric, a.device_kind, a.comparison, a.threshold, a.clear_threshold, a.duration_s,
            a.severity, a.source, a.category_code, a.window_from, a.window_to)
        IS DISTINCT FROM (excluded.name_zh, excluded.kind, excluded.metric, excluded.device_kind, excluded.comparison,
            excluded.threshold, excluded.clear_threshold, excluded.duration_s, excluded.severity, excluded.source,
            excluded.category_code, excluded.window_from, excluded.window_to);
    UPDATE onemap.alarm_rule a SET unit = rule->>'unit' -- no county edits that
    WHERE a.subsystem = $1 AND a.key = $2 AND a.unit IS DISTINCT FROM rule->>'unit';
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_default(text, text, jsonb) IS
    'Sets a shipped rule unless the county edited it; keys: name_zh, metric, above|below|equals, clear, duration_s, severity, '
    'source, source_zh, category_code, device_kind, from, to, unit (if it is not the metric''s). Subsystem "hub": of the hub '
    'itself';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_set(subsystem text, key text, changes jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY['threshold', 'clear_threshold', 'duration_s', 'severity', 'source', 'category_code', 'enabled'];
    stray text := onemap.unknown_keys(changes, known);
BEGIN
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'alarm rule %.%: % cannot be changed', subsystem, key, stray
            USING HINT = 'Known: ' || array_to_string(known, ', ');
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
    'The county''s change of a rule: threshold, clear_threshold, duration_s, severity, source, category_code, enabled; audited, '
    'in force at once';
GRANT EXECUTE ON FUNCTION onemap.alarm_rule_set(text, text, jsonb) TO cityhub_hub, cityhub_api;

-- Of these no record will come that could end an alarm, and none may open one.
CREATE OR REPLACE FUNCTION onemap.alarm_moot_why(enabled boolean, wanted_kind text, device_id int, device_status text,
    device_kind text, revoked_at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN NOT enabled THEN 'rule disabled'
        WHEN device_id <> 0 AND coalesce(device_status, 'retired') = 'retired' THEN 'device retired'
        WHEN revoked_at IS NOT NULL THEN 'vendor revoked'
        WHEN device_id <> 0 AND wanted_kind IS NOT NULL AND wanted_kind IS DISTINCT FROM device_kind
            THEN 'rule is for other devices' END
$$;
COMMENT ON FUNCTION onemap.alarm_moot_why(boolean, text, int, text, text, timestamptz) IS
    'Why there can be no open alarm, of what its rule, its device (0: its vendor''s) and its vendor say: the rule is switched off '
    'or for other kinds, the device retired or deleted, the vendor revoked; NULL: there can';

CREATE OR REPLACE FUNCTION onemap.alarm_moot(rule_id int, device_id int, vendor text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT onemap.alarm_moot_why(r.enabled, r.device_kind, $2, x.status, x.kind, n.revoked_at)
        FROM onemap.alarm_rule r LEFT JOIN onemap.device x ON x.id = $2
        LEFT JOIN onemap.vendor n ON n.subsystem = r.subsystem AND n.vendor = coalesce(x.vendor, $3)
        WHERE r.id = $1);
END $$;
COMMENT ON FUNCTION onemap.alarm_moot(int, int, text) IS
    'Why there can be no open alarm of this rule and device (0: of this vendor), see alarm_moot_why; NULL: there can';

-- One statement for all: a call for each open alarm takes six times as long. Rule, device and vendor are looked up by their keys,
-- however many alarms have come since the tables were analyzed; joined to themselves, they take minutes then.
CREATE OR REPLACE FUNCTION onemap.alarm_moot_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE ended int;
BEGIN
    UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, now()),
        close_reason = onemap.alarm_moot(a.rule_id, a.device_id, a.vendor)
    WHERE a.closed_at IS NULL AND (
        SELECT onemap.alarm_moot_why(r.enabled, r.device_kind, a.device_id, x.status, x.kind, n.revoked_at)
        FROM onemap.alarm_rule r LEFT JOIN onemap.device x ON x.id = a.device_id
        LEFT JOIN onemap.vendor n ON n.subsystem = r.subsystem AND n.vendor = coalesce(x.vendor, a.vendor)
        WHERE r.id = a.rule_id) IS NOT NULL;
    GET DIAGNOSTICS ended = ROW_COUNT;
    DELETE FROM onemap.alarm_pending p WHERE (
        SELECT onemap.alarm_moot_why(r.enabled, r.device_kind, p.device_id, x.status, x.kind, n.revoked_at)
        FROM onemap.alarm_rule r LEFT JOIN onemap.device x ON x.id = p.device_id
        LEFT JOIN onemap.vendor n ON n.subsystem = r.subsystem AND n.vendor = x.vendor
        WHERE r.id = p.rule_id) IS NOT NULL;
    IF ended > 0 OR FOUND THEN
        PERFORM pg_notify('cityhub_rules', '');
    END IF;
    RETURN ended;
END $$;
COMMENT ON FUNCTION onemap.alarm_moot_sweep() IS
    'Ends the open alarms of which no record can be the end any more (alarm_moot), and what pends; returns how many alarms';
INSERT INTO onemap.sweep (function_name) VALUES ('alarm_moot_sweep') ON CONFLICT DO NOTHING;

-- The two ends of an alarm, for the hub and for SQL alike. Saying a thing twice changes nothing.
CREATE OR REPLACE FUNCTION onemap.alarm_open(rule_id int, device_id int, vendor text, at timestamptz, value float8,
    detail jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.alarm (rule_id, device_id, vendor, opened_at, value, severity, detail)
    SELECT r.id, $2, $3, $4, $5, r.severity, $6 FROM onemap.alarm_rule r
    WHERE r.id = $1 AND onemap.alarm_moot($1, $2, $3) IS NULL
    ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION onemap.alarm_open(int, int, text, timestamptz, float8, jsonb) IS
    'Opens an alarm unless one of this rule and device is open, or one with this very time was, or there can be none (alarm_moot)';

CREATE OR REPLACE FUNCTION onemap.alarm_close(rule_id int, device_id int, vendor text, at timestamptz, value float8,
    reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, $4), closing_value = $5, close_reason = $6
    WHERE a.rule_id = $1 AND a.device_id = $2 AND a.vendor = $3 AND a.closed_at IS NULL
$$;
COMMENT ON FUNCTION onemap.alarm_close(int, int, text, timestamptz, float8, text) IS
    'Closes the open alarm of this rule and device, if there is one';

CREATE OR REPLACE FUNCTION onemap.alarm_next_time(rule_id int, device_id int, vendor text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest($4, (SELECT max(a.closed_at) FROM onemap.alarm a WHERE a.rule_id = $1 AND a.device_id = $2 AND a.vendor = $3))
$$;
COMMENT ON FUNCTION onemap.alarm_next_time(int, int, text, timestamptz) IS
    'When an alarm of a lasting silence opens: not before the end of the one before, which a change of the rule may have closed '
    'while the silence went on';

CREATE OR REPLACE FUNCTION onemap.alarm_beyond(rule_id int, value float8 DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('out_of_range', true, 'text_zh', CASE WHEN $2 BETWEEN m.min_value AND m.max_value
        THEN format('超量程：仪表已到测量上限，不低于 %s%s', $2, u.shown)
        ELSE format('超量程：%s，量程 %s 至 %s%s', coalesce($2 || u.shown, '按量程端值或仪表上限判定'), m.min_value, m.max_value,
            u.shown) END)
    FROM onemap.alarm_rule r JOIN onemap.metric m ON m.subsystem = r.subsystem AND m.key = r.metric
        CROSS JOIN LATERAL (SELECT CASE WHEN m.unit = '1' THEN '' ELSE ' ' || m.unit END AS shown) u
    WHERE r.id = $1
$$;
COMMENT ON FUNCTION onemap.alarm_beyond(int, float8) IS
    'What an alarm''s detail says of a reading beyond the instrument''s range (超量程): of this value, or of some among many';

CREATE OR REPLACE FUNCTION onemap.alarm_mark(rule_id int, device_id int, beyond jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.alarm a SET detail = a.detail || $3
    WHERE a.rule_id = $1 AND a.device_id = $2 AND a.closed_at IS NULL AND NOT a.detail ? 'out_of_range'
$$;
COMMENT ON FUNCTION onemap.alarm_mark(int, int, jsonb) IS
    'Writes into an open alarm that a reading was beyond the instrument''s range, unless it says so already';

CREATE OR REPLACE FUNCTION onemap.alarm_raise(device_id int, rule_key text, at timestamptz, value float8,
    detail jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_open(r.id, d.id, '', $3, $4, $5 - 'beyond' || coalesce(b.words, '{}')),
        CASE WHEN b.words IS NOT NULL THEN onemap.alarm_mark(r.id, d.id, b.words) END
    FROM onemap.device d JOIN onemap.alarm_rule r ON r.subsystem = d.subsystem AND r.key = $2
    CROSS JOIN LATERAL (SELECT CASE WHEN ($5->>'beyond')::boolean THEN onemap.alarm_beyond(r.id) END AS words) b
    WHERE d.id = $1
$$;
COMMENT ON FUNCTION onemap.alarm_raise(int, text, timestamptz, float8, jsonb) IS
    'Opens an alarm by the rule''s key, for sweeps and checks; detail with beyond = true: a reading that made it was beyond the '
    'instrument''s range, which the alarm says in words (超量程), also one that is open already';

CREATE OR REPLACE FUNCTION onemap.alarm_clear(device_id int, rule_key text, at timestamptz,
    reason text DEFAULT 'condition ended') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_close(r.id, d.id, '', $3, NULL, $4)
    FROM onemap.device d JOIN onemap.alarm_rule r ON r.subsystem = d.subsystem AND r.key = $2 WHERE d.id = $1
$$;
COMMENT ON FUNCTION onemap.alarm_clear(int, text, timestamptz, text) IS 'Closes an alarm by the rule''s key, for sweeps and checks';

CREATE OR REPLACE FUNCTION onemap.alarm_settle(device_id int, rule_key text, holds boolean, at timestamptz, value float8,
    detail jsonb DEFAULT '{}', ended text DEFAULT 'condition ended') RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF holds THEN
        PERFORM onemap.alarm_raise(device_id, rule_key, at, value, detail);
        RETURN 1;
    ELSIF NOT holds THEN
        PERFORM onemap.alarm_clear(device_id, rule_key, at, ended);
    END IF;
    RETURN 0;
END $$;
COMMENT ON FUNCTION onemap.alarm_settle(int, text, boolean, timestamptz, float8, jsonb, text) IS
    'What a sweep found of one device: raises the rule''s alarm if it holds (returns 1), clears it if not (with the reason ended), '
    'leaves it where that cannot be judged (NULL)';

CREATE OR REPLACE FUNCTION onemap.alarm_sure(holds boolean, beyond boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN holds OR beyond IS NOT TRUE THEN holds END
$$;
COMMENT ON FUNCTION onemap.alarm_sure(boolean, boolean) IS
    'Whether an upper limit is passed by a figure in which readings beyond the instrument''s range count as its end: that it is '
    'not, is not known then (NULL)';

-- An alarm that opens and closes within one batch is stored closed, and what is pending only until the next change not at all: each
-- version of a row that a transaction makes is looked at by those that come after it, and a value may flap thousands of times.
CREATE OR REPLACE FUNCTION onemap.alarm_changes(operations jsonb)
RETURNS TABLE (op text, device_id int, rule_id int, at timestamptz, value float8, closed_at timestamptz, closing_value float8,
    beyond float8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN o.passing THEN 'pass' ELSE o.op END, o.device_id, o.rule_id, o.at, o.value,
           CASE WHEN o.passing THEN o.next_at END, CASE WHEN o.passing THEN o.next_value END,
           CASE WHEN o.out_of_range THEN o.value WHEN o.passing THEN o.marked END
    FROM (SELECT r.op, r.device_id, r.rule_id, to_timestamp(r.at_ms / 1000.0) AS at, r.value, r.n, r.out_of_range,
                 CASE WHEN lead(r.op) OVER changes = 'mark' THEN lead(r.value) OVER changes END AS marked,
                 lead(to_timestamp(r.at_ms / 1000.0)) OVER ends AS next_at, lead(r.value) OVER ends AS next_value,
                 r.op = 'open' AND lag(r.op) OVER ends = 'close' AND lead(r.op) OVER ends = 'close' AS passing,
                 r.op = 'close' AND lag(r.op) OVER ends = 'open' AND lag(r.op, 2) OVER ends = 'close' AS passed,
                 r.op = 'pend' AND lead(r.op) OVER changes IN ('open', 'drop') AS short
          FROM ROWS FROM (jsonb_to_recordset(operations) AS (op text, device_id int, rule_id int, at_ms bigint, value float8,
                  out_of_range boolean)) WITH ORDINALITY AS r(op, device_id, rule_id, at_ms, value, out_of_range, n)
          WINDOW changes AS (PARTITION BY r.device_id, r.rule_id ORDER BY r.n),
                 ends AS (PARTITION BY r.device_id, r.rule_id, r.op IN ('open', 'close') ORDER BY r.n)) o
    WHERE o.passed IS NOT TRUE AND o.short IS NOT TRUE ORDER BY o.n
$$;
COMMENT ON FUNCTION onemap.alarm_changes(jsonb) IS
    'The operations of alarm_apply() in order, without those that change nothing that lasts; pass: an alarm that opens (at, value) '
    'after one has closed, and closes again (closed_at, closing_value); beyond: a value beyond the instrument''s range';

CREATE OR REPLACE FUNCTION onemap.alarm_apply(operations jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE o record;
BEGIN
    FOR o IN SELECT c.op, c.device_id, c.rule_id, c.at, c.value, c.closed_at, c.closing_value,
                    CASE WHEN c.beyond IS NOT NULL THEN onemap.alarm_beyond(c.rule_id, c.beyond) ELSE '{}' END AS detail
             FROM onemap.alarm_changes(operations) c LOOP
        CASE o.op
            WHEN 'open' THEN
                PERFORM onemap.alarm_open(o.rule_id, o.device_id, '', o.at, o.value, o.detail);
                DELETE FROM onemap.alarm_pending p WHERE p.device_id = o.device_id AND p.rule_id = o.rule_id;
            WHEN 'mark' THEN
                PERFORM onemap.alarm_mark(o.rule_id, o.device_id, o.detail);
            WHEN 'pass' THEN
                INSERT INTO onemap.alarm (rule_id, device_id, vendor, opened_at, value, severity, detail, closed_at, closing_value,
                    close_reason)
                SELECT r.id, o.device_id, '', o.at, o.value, r.severity, o.detail, greatest(o.at, o.closed_at), o.closing_value,
                    'condition ended'
                FROM onemap.alarm_rule r WHERE r.id = o.rule_id AND onemap.alarm_moot(r.id, o.device_id, '') IS NULL
                ON CONFLICT DO NOTHING;
                DELETE FROM onemap.alarm_pending p WHERE p.device_id = o.device_id AND p.rule_id = o.rule_id;
            WHEN 'close' THEN
                PERFORM onemap.alarm_close(o.rule_id, o.device_id, '', o.at, o.value, 'condition ended');
            WHEN 'pend' THEN
                INSERT INTO onemap.alarm_pending (device_id, rule_id, since)
                SELECT o.device_id, r.id, o.at FROM onemap.alarm_rule r
                WHERE r.id = o.rule_id AND onemap.alarm_moot(r.id, o.device_id, '') IS NULL
                ON CONFLICT DO NOTHING;
            WHEN 'drop' THEN
                DELETE FROM onemap.alarm_pending p WHERE p.device_id = o.device_id AND p.rule_id = o.rule_id;
        END CASE;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.alarm_apply(jsonb) IS
    'The hub''s alarm changes of one batch, in order: [{op: open|mark|close|pend|drop, device_id, rule_id, at_ms, value, '
    'out_of_range}]';
GRANT EXECUTE ON FUNCTION onemap.alarm_apply(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.alarm_words(a onemap.alarm, rule_zh text, device_zh text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat_ws('：', rule_zh, coalesce(device_zh, a.vendor)) || coalesce('（' || (a.detail->>'text_zh') || '）', '')
$$;
COMMENT ON FUNCTION onemap.alarm_words(onemap.alarm, text, text) IS
    'An alarm in words, of its rule''s name and its device''s (NULL: the vendor)';
GRANT EXECUTE ON FUNCTION onemap.alarm_words(onemap.alarm, text, text) TO cityhub_hub, cityhub_read;

CREATE OR REPLACE VIEW onemap.alarm_overview AS
    SELECT a.id, r.subsystem, r.key, a.device_id, coalesce(d.vendor, a.vendor) AS vendor, d.code AS device_code, a.opened_at,
           a.closed_at, a.severity, a.value, a.detail ? 'out_of_range' AS out_of_range,
           onemap.alarm_words(a, r.name_zh, coalesce(nullif(d.name_zh, ''), d.code)) AS text_zh
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id LEFT JOIN onemap.device d ON d.id = a.device_id;
COMMENT ON VIEW onemap.alarm_overview IS
    'Alarms in words: rule, device or vendor, and what is special, such as a reading beyond the instrument''s range (超量程)';
GRANT SELECT ON onemap.alarm_overview TO cityhub_hub, cityhub_read;

-- ---- what people see and ask by commands, see command.sql ----

-- A limit and its hysteresis in words: "above 120, ends at 110, for 600 s, 22:00 to 06:00".
CREATE OR REPLACE FUNCTION onemap.alarm_rule_words(r onemap.alarm_rule) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(', ', concat_ws(' ', r.comparison, r.threshold),
        CASE WHEN r.clear_threshold <> r.threshold THEN 'ends at ' || r.clear_threshold END,
        CASE WHEN r.duration_s > 0 THEN 'for ' || r.duration_s || ' s' END,
        to_char(r.window_from, 'HH24:MI') || ' to ' || to_char(r.window_to, 'HH24:MI'))
$$;
COMMENT ON FUNCTION onemap.alarm_rule_words(onemap.alarm_rule) IS 'The limit of a rule in words; empty for a rule without one';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_words_zh(r onemap.alarm_rule) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws('，', CASE r.comparison WHEN 'above' THEN '高于 ' WHEN 'below' THEN '低于 ' ELSE '等于 ' END || r.threshold,
        CASE WHEN r.clear_threshold <> r.threshold THEN '恢复值 ' || r.clear_threshold END,
        CASE WHEN r.duration_s > 0 THEN '持续 ' || r.duration_s || ' 秒' END,
        to_char(r.window_from, 'HH24:MI') || ' 至 ' || to_char(r.window_to, 'HH24:MI'))
$$;
COMMENT ON FUNCTION onemap.alarm_rule_words_zh(onemap.alarm_rule) IS 'The same in Chinese';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_unit(r onemap.alarm_rule) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(coalesce(r.unit, (SELECT m.unit FROM onemap.metric m
        WHERE m.subsystem = r.subsystem AND m.key = r.metric AND m.unit NOT IN ('1', '0/1', 'enum'))), '')
$$;
COMMENT ON FUNCTION onemap.alarm_rule_unit(onemap.alarm_rule) IS
    'The unit of a rule''s limit and of its alarms'' values; NULL: none';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(r) - 'id' - 'key' || jsonb_build_object('rule', r.key, 'unit', onemap.alarm_rule_unit(r),
            'source_zh', onemap.alarm_source_zh(r.source))
        ORDER BY r.subsystem, r.key), '[]')
    FROM onemap.alarm_rule r
    WHERE (NOT request ? 'subsystem' OR r.subsystem = request->>'subsystem')
        AND (NOT request ? 'edited' OR r.edited)
$$;
COMMENT ON FUNCTION onemap.alarm_rule_list_json(jsonb) IS 'Alarm rules: {subsystem, edited: only those that the county changed}';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_list_table(request jsonb) RETURNS TABLE (subsystem text, rule text, name text,
    metric text, "limit" text, severity text, category text, enabled text, edited text, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.subsystem, r.key, r.name_zh, coalesce(r.metric, r.kind), onemap.alarm_rule_words(r), r.severity, r.category_code,
           CASE WHEN r.enabled THEN 'yes' ELSE 'no' END, CASE WHEN r.edited THEN 'yes' ELSE '' END, r.source
    FROM onemap.alarm_rule r
    WHERE (NOT request ? 'subsystem' OR r.subsystem = request->>'subsystem')
        AND (NOT request ? 'edited' OR r.edited)
    ORDER BY r.subsystem, r.key
$$;
COMMENT ON FUNCTION onemap.alarm_rule_list_table(jsonb) IS
    'The same for people; metric: what is measured, or the kind of a rule without';

-- What a change would do to the rule, refused with the reason where it makes no sense.
CREATE OR REPLACE FUNCTION onemap.alarm_rule_change_check(r onemap.alarm_rule, changes jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- As alarm_rule_set() takes them: a new threshold alone is where the alarm ends, too.
    threshold float8 := coalesce((changes->>'threshold')::float8, r.threshold);
    clear_threshold float8 := coalesce((changes->>'clear_threshold')::float8, (changes->>'threshold')::float8, r.clear_threshold);
    m onemap.metric;
BEGIN
    SELECT * INTO m FROM onemap.metric x WHERE r.kind = 'threshold' AND x.subsystem = r.subsystem AND x.key = r.metric;
    IF changes = '{}' THEN
        RAISE EXCEPTION 'alarm rule %.%: nothing is to be changed', r.subsystem, r.key USING ERRCODE = 'CH013',
            DETAIL = format('报警规则 %s.%s：没有要改的', r.subsystem, r.key);
    ELSIF r.comparison IS NULL AND changes ? 'clear_threshold' THEN
        RAISE EXCEPTION 'alarm rule %.% has no limit beyond which it opens and ends', r.subsystem, r.key USING ERRCODE = 'CH013',
            DETAIL = format('报警规则 %s.%s 没有限值，谈不上恢复值', r.subsystem, r.key);
    -- Beyond it the alarm would open at every reading or at none, or never end.
    ELSIF changes ?| '{threshold,clear_threshold}' AND (least(threshold, clear_threshold) < m.min_value
            OR greatest(threshold, clear_threshold) > m.max_value) THEN
        RAISE EXCEPTION 'alarm rule %.%: opens at % and ends at %, but % is from % to %', r.subsystem, r.key, threshold,
            clear_threshold, r.metric, m.min_value, m.max_value USING ERRCODE = 'CH013',
            DETAIL = format('报警规则 %s.%s：限值 %s、恢复值 %s 不全在量程 %s 至 %s 之内', r.subsystem, r.key, threshold,
                clear_threshold, m.min_value, m.max_value),
            HINT = '限值、恢复值须在量程之内，请核对位数和单位。Is a digit too many, or the unit another?';
    ELSIF r.comparison = 'above' AND clear_threshold > threshold THEN
        RAISE EXCEPTION 'alarm rule %.%: opens above %, so it cannot end at % already', r.subsystem, r.key, threshold,
            clear_threshold USING ERRCODE = 'CH013',
            DETAIL = format('报警规则 %s.%s：高于 %s 报警，恢复值不能是 %s', r.subsystem, r.key, threshold, clear_threshold);
    ELSIF r.comparison = 'below' AND clear_threshold < threshold THEN
        RAISE EXCEPTION 'alarm rule %.%: opens below %, so it cannot end at % already', r.subsystem, r.key, threshold,
            clear_threshold USING ERRCODE = 'CH013',
            DETAIL = format('报警规则 %s.%s：低于 %s 报警，恢复值不能是 %s', r.subsystem, r.key, threshold, clear_threshold);
    ELSIF changes->>'source' = '' THEN
        RAISE EXCEPTION 'alarm rule %.%: the source of the limit cannot be empty', r.subsystem, r.key
            USING ERRCODE = 'CH013',
            DETAIL = format('报警规则 %s.%s：限值须有依据', r.subsystem, r.key),
            HINT = 'A standard with its clause, a document of the county, or "assumed".';
    ELSIF changes->>'category_code' IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.case_category k
            WHERE k.version = onemap.case_catalogue_current() AND k.code = changes->>'category_code') THEN
        RAISE EXCEPTION 'the catalogue of cases has no category "%"', changes->>'category_code'
            USING ERRCODE = 'CH013',
            DETAIL = format('类别表里没有类别 %s', changes->>'category_code'), HINT = '`cityhub catalogue list` shows them.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_change_check(onemap.alarm_rule, jsonb) IS
    'Refuses, in a sentence, changes of an alarm rule that its table would refuse by a constraint, and an unknown category';

CREATE OR REPLACE FUNCTION onemap.alarm_rule_change(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE r onemap.alarm_rule; changes jsonb := request - '{subsystem,rule}'::text[];
BEGIN
    SELECT * INTO r FROM onemap.alarm_rule x WHERE x.subsystem = request->>'subsystem' AND x.key = request->>'rule';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subsystem "%" has no alarm rule "%"', request->>'subsystem', request->>'rule'
            USING ERRCODE = 'CH013',
            DETAIL = format('子系统 %s 没有报警规则 %s', request->>'subsystem', request->>'rule'),
            HINT = format('`cityhub alarm rule list --subsystem %s` shows them.', request->>'subsystem');
    END IF;
    PERFORM onemap.alarm_rule_change_check(r, changes);
    PERFORM onemap.alarm_rule_set(r.subsystem, r.key, changes);
    SELECT * INTO r FROM onemap.alarm_rule x WHERE x.id = r.id;
    RETURN jsonb_build_object('subsystem', r.subsystem, 'rule', r.key, 'name', r.name_zh, 'limit', onemap.alarm_rule_words(r),
        'limit_zh', onemap.alarm_rule_words_zh(r), 'severity', r.severity,
        'category', r.category_code, 'enabled', r.enabled, 'source', r.source,
        'source_zh', onemap.alarm_source_zh(r.source));
END $$;
COMMENT ON FUNCTION onemap.alarm_rule_change(jsonb) IS
    'The county''s change of a rule: {subsystem, rule} and what alarm_rule_set() takes; returns the rule as it is now';
