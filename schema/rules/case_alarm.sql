-- Alarms become cases: one open case per device and category, repeated alarms attach to it, their ends are noted.

CREATE OR REPLACE FUNCTION onemap.case_for_alarm(device_id int, category text) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE c onemap.case_record;
BEGIN
    -- An open case of this device and category, or one that such a case was merged into.
    SELECT r.* INTO c FROM onemap.case_record r
    WHERE r.device_id = $1 AND r.category_code = $2 AND r.ended_at IS NULL
    ORDER BY r.source <> 'alarm', r.id LIMIT 1 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        SELECT k.* INTO c FROM onemap.case_record r JOIN onemap.case_record k ON k.id = r.merged_into
        WHERE r.device_id = $1 AND r.category_code = $2 AND k.ended_at IS NULL ORDER BY k.id LIMIT 1 FOR NO KEY UPDATE OF k;
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_for_alarm(int, text) IS
    'The open case that an alarm of this device and category belongs to, locked; all NULL if there is none';

CREATE OR REPLACE FUNCTION onemap.alarm_measured_zh(r onemap.alarm_rule, value float8) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws('，', nullif(concat_ws(' ', (SELECT m.name_zh FROM onemap.metric m
                WHERE m.subsystem = r.subsystem AND m.key = r.metric),
            value, u.unit), ''),
        CASE r.comparison WHEN 'above' THEN '高于' WHEN 'below' THEN '低于' WHEN 'equals' THEN '等于' END
            || concat_ws(' ', '', r.threshold, u.unit))
    FROM (SELECT onemap.alarm_rule_unit(r) AS unit) u
$$;
COMMENT ON FUNCTION onemap.alarm_measured_zh(onemap.alarm_rule, float8) IS
    'What was measured against which limit, for whoever handles the case: PM2.5 180 ug/m3，高于 150 ug/m3';

CREATE OR REPLACE FUNCTION onemap.case_from_alarm(alarm_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE a record; c onemap.case_record; moment timestamptz; about jsonb;
BEGIN
    SELECT x.id, x.device_id, x.opened_at, x.value, x.severity, x.detail->>'text_zh' AS text_zh, r.key, r.name_zh, r.category_code,
           onemap.alarm_measured_zh(r, x.value) AS measured, d.subsystem, d.vendor, d.code, d.name_zh AS device_name
    INTO STRICT a
    FROM onemap.alarm x JOIN onemap.alarm_rule r ON r.id = x.rule_id JOIN onemap.device d ON d.id = x.device_id WHERE x.id = $1;
    about := jsonb_build_object('alarm', jsonb_strip_nulls(jsonb_build_object('id', a.id, 'rule', a.key, 'opened_at', a.opened_at,
        'value', a.value, 'severity', a.severity, 'text_zh', a.text_zh)));
    c := onemap.case_for_alarm(a.device_id, a.category_code);
    IF c.id IS NOT NULL THEN
        c := onemap.case_apply(c, 'attach', 'system', 'cityhub', greatest(clock_timestamp(), c.last_event_at), about, '=');
    ELSE
        moment := clock_timestamp();
        c := onemap.case_new(jsonb_strip_nulls(jsonb_build_object('source', 'alarm', 'title',
            left(a.name_zh || '：' || coalesce(nullif(a.device_name, ''), a.code) || coalesce('（' || a.text_zh || '）', ''), 200),
            'description', a.measured,
            'subsystem', a.subsystem, 'vendor', a.vendor, 'device_code', a.code, 'category', a.category_code,
            'condition', (SELECT min(n.number) FROM onemap.case_condition n
                          WHERE n.version = onemap.case_catalogue_current() AND n.category_code = a.category_code))), moment);
        c := onemap.case_open(c, 'system', 'cityhub', '{}', about || jsonb_build_object('title', c.title,
            'description', c.description, 'subsystem', a.subsystem, 'vendor', a.vendor, 'device_code', a.code));
    END IF;
    INSERT INTO onemap.case_alarm (alarm_id, case_id, seq) VALUES ($1, c.id, c.event_count);
END $$;
COMMENT ON FUNCTION onemap.case_from_alarm(bigint) IS
    'Attaches an alarm to the open case of its device and category, or opens one under the category''s first condition';

CREATE OR REPLACE FUNCTION onemap.case_alarm_ended(alarm_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE a onemap.alarm; c onemap.case_record; noted int := 0;
BEGIN
    SELECT * INTO a FROM onemap.alarm x WHERE x.id = $1;
    SELECT r.* INTO c FROM onemap.case_alarm l JOIN onemap.case_record r ON r.id = l.case_id
        WHERE l.alarm_id = $1 FOR NO KEY UPDATE OF r;
    IF c.ended_at IS NULL THEN
        c := onemap.case_apply(c, 'attach', 'system', 'cityhub', greatest(clock_timestamp(), c.last_event_at),
            jsonb_build_object('alarm_closed', jsonb_strip_nulls(jsonb_build_object('id', a.id, 'closed_at', a.closed_at,
                'value', a.closing_value, 'reason', a.close_reason))), '=');
        noted := c.event_count;
    END IF;
    UPDATE onemap.case_alarm l SET close_seq = noted WHERE l.alarm_id = $1;
END $$;
COMMENT ON FUNCTION onemap.case_alarm_ended(bigint) IS
    'Notes in the case that an alarm of it has ended; the case stays open: people check';

CREATE OR REPLACE FUNCTION onemap.case_alarm_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE x record; done int := 0; strange text;
BEGIN
    IF onemap.case_catalogue_current() IS NULL THEN
        RETURN 0;
    END IF;
    FOR x IN SELECT a.id, a.device_id FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
             JOIN onemap.case_category k ON k.version = onemap.case_catalogue_current() AND k.code = r.category_code
             JOIN onemap.device d ON d.id = a.device_id
             WHERE a.closed_at IS NULL AND NOT EXISTS (SELECT FROM onemap.case_alarm l WHERE l.alarm_id = a.id)
             ORDER BY a.opened_at, a.id LOOP
        PERFORM onemap.case_from_alarm(x.id);
        done := done + 1;
    END LOOP;
    FOR x IN SELECT l.alarm_id FROM onemap.case_alarm l JOIN onemap.alarm a ON a.id = l.alarm_id
             WHERE l.close_seq IS NULL AND a.closed_at IS NOT NULL ORDER BY a.closed_at, a.id LOOP
        PERFORM onemap.case_alarm_ended(x.alarm_id);
        done := done + 1;
    END LOOP;
    SELECT string_agg(DISTINCT r.subsystem || '.' || r.key || ' (' || r.category_code || ')', ', ') INTO strange
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
    WHERE a.closed_at IS NULL AND r.category_code IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.case_category k
        WHERE k.version = onemap.case_catalogue_current() AND k.code = r.category_code);
    IF strange IS NOT NULL THEN
        RAISE WARNING 'alarms of rules whose category the catalogue does not have make no cases: %', strange;
    END IF;
    RETURN done;
END $$;
COMMENT ON FUNCTION onemap.case_alarm_sweep() IS
    'Open alarms whose rule has a category become cases: one open case per device and category, repeated alarms attach to it, '
    'their ends are noted; returns the alarms treated';
INSERT INTO onemap.sweep (function_name) VALUES ('case_alarm_sweep') ON CONFLICT DO NOTHING;
