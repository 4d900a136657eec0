-- Alarms over HTTP: lists, one, acknowledged and commented. An alarm is its device's department's; one of a whole vendor is that of
-- the vendor's department.

-- Conditions on an alarm a, its rule r, device d, the device's state s, and department u; $1 the request, $2 and $3 its times, $4
-- the moment it asks for.
CREATE OR REPLACE FUNCTION onemap.http_alarm_conditions() RETURNS TABLE (parameter text, condition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('id', 'a.id = ($1->>''id'')::bigint'), ('after', 'a.id < ($1->>''after'')::bigint'),
        ('subsystem', 'r.subsystem = $1->>''subsystem'''), ('rule', 'r.key = $1->>''rule'''),
        ('vendor', 'coalesce(d.vendor, a.vendor) = $1->>''vendor'''), ('device', 'a.device_id = ($1->>''device'')::int'),
        ('severity', '$1->''severity'' ? a.severity'),
        ('acknowledged', '(a.acknowledged_at IS NOT NULL) = ($1->>''acknowledged'')::boolean'),
        ('department', '$1->''department'' ? coalesce(u.code, '''')'),
        ('grid_cell', 'onemap.http_code_begins(coalesce(d.grid_cell, ''''), $1->''grid_cell'')'),
        ('from', 'a.opened_at >= $2'), ('to', 'a.opened_at < $3'),
        ('box', 'public.ST_Intersects(coalesce(s.geom, d.geom), onemap.http_box($1->''box''))'),
        ('area', 'public.ST_Intersects(coalesce(s.geom, d.geom), onemap.http_area($1->''area''))'),
        ('text', 'position(lower($1->>''text'') IN lower(concat_ws('' '', r.key, r.name_zh, d.code, d.name_zh,
            coalesce(d.vendor, a.vendor), a.detail->>''text_zh''))) > 0')
$$;
COMMENT ON FUNCTION onemap.http_alarm_conditions() IS 'Conditions by the parameters of a list of alarms';

CREATE OR REPLACE FUNCTION onemap.http_alarm_find(request jsonb) RETURNS SETOF onemap.alarm
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
DECLARE mine int[] := onemap.identity_departments(request); conditions text; moment timestamptz := onemap.http_at(request);
BEGIN
    -- Dynamic, so that each list is planned for its own filters: open alarms are few, and have an index.
    SELECT coalesce(string_agg(' AND ' || c.condition, ''), '') INTO conditions FROM onemap.http_alarm_conditions() c
    WHERE request ? c.parameter;
    RETURN QUERY EXECUTE CASE WHEN moment IS NULL THEN 'SELECT a.* FROM onemap.alarm a
            JOIN onemap.alarm_rule r ON r.id = a.rule_id LEFT JOIN onemap.device d ON d.id = a.device_id
            LEFT JOIN onemap.device_state s ON s.device_id = a.device_id
            LEFT JOIN onemap.vendor v'
        ELSE 'SELECT a.* FROM onemap.alarm_as_of($4) a
            JOIN onemap.alarm_rule_as_of($4) r ON r.id = a.rule_id LEFT JOIN onemap.device_as_of($4) d ON d.id = a.device_id
            LEFT JOIN LATERAL (SELECT t.geom FROM onemap.place_last_at(a.device_id, $4) t) s ON true
            LEFT JOIN onemap.vendor_as_of($4) v' END || '
                ON a.device_id = 0 AND v.subsystem = r.subsystem AND v.vendor = a.vendor
        LEFT JOIN onemap.department u ON u.id = coalesce(d.department_id, v.department_id) WHERE true'
        || CASE WHEN mine IS NOT NULL THEN format(' AND u.id = ANY (%L)', mine) ELSE '' END
        || CASE request->>'open' WHEN 'true' THEN ' AND a.closed_at IS NULL' WHEN 'false' THEN ' AND a.closed_at IS NOT NULL'
            ELSE '' END || conditions || ' ORDER BY a.id DESC LIMIT coalesce(($1->>''limit'')::int, 1)'
    USING request, onemap.http_time(request, 'from'), onemap.http_time(request, 'to'), moment;
END $$;
COMMENT ON FUNCTION onemap.http_alarm_find(jsonb) IS
    'The alarms that fit a request, of those that who asks may see, newest first: {id} alone, or a page of a list';

CREATE OR REPLACE FUNCTION onemap.http_alarm_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.http_words_check(request, 'subsystem',
        ARRAY(SELECT s.key FROM onemap.subsystem s ORDER BY s.key) || 'hub'::text),
        onemap.http_departments_check(request), onemap.http_beginnings_check(request), onemap.http_period_check(request);
    -- Alarms of a whole vendor, and of the hub itself, have device 0.
    IF request->>'device' <> '0' THEN
        PERFORM onemap.http_device_check(request);
    END IF;
    -- Alarms of the hub itself have a target above, or a subscription, in the vendor's place.
    IF request ? 'vendor'
        AND NOT EXISTS (SELECT FROM onemap.alarm a WHERE a.device_id = 0 AND a.vendor = request->>'vendor') THEN
        PERFORM onemap.http_vendor_check(request);
    END IF;
    IF request ? 'rule' AND NOT EXISTS (SELECT FROM onemap.alarm_rule r WHERE r.key = request->>'rule') THEN
        RAISE EXCEPTION 'there is no alarm rule "%"', request->>'rule' USING ERRCODE = 'CH013',
            DETAIL = format('没有报警规则 %s', request->>'rule'),
            HINT = '报警规则见 /api/v1/alarm_rules。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_alarm_check(jsonb) IS 'Refuses (CH013, CH016) a filter of alarms that names what there is not';

-- A row function: the planner looks into it, so that a page is one plan and not one for each alarm.
DROP FUNCTION IF EXISTS onemap.http_alarm_entry(onemap.alarm, timestamptz);
CREATE OR REPLACE FUNCTION onemap.http_alarm_shown(a onemap.alarm, moment timestamptz) RETURNS TABLE (entry jsonb)
LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT jsonb_build_object('id', a.id, 'subsystem', r.subsystem, 'rule', r.key, 'rule_zh', r.name_zh, 'severity', a.severity,
        'device', d.id, 'device_code', d.code, 'device_zh', d.name_zh, 'vendor', coalesce(d.vendor, a.vendor),
        'vendor_zh', nullif(v.name_zh, ''),
        'department', u.code, 'grid_cell', d.grid_cell, 'lon', public.ST_X(coalesce(s.geom, d.geom)),
        'lat', public.ST_Y(coalesce(s.geom, d.geom)), 'opened_at', a.opened_at, 'closed_at', a.closed_at, 'value', a.value,
        'unit', onemap.alarm_rule_unit(r), 'closing_value', a.closing_value, 'close_reason', a.close_reason,
        'close_reason_zh', coalesce(y.zh, a.close_reason), 'out_of_range', a.detail ? 'out_of_range',
        'text_zh', onemap.alarm_words(a, r.name_zh, coalesce(nullif(d.name_zh, ''), d.code)),
        'acknowledged_at', a.acknowledged_at, 'acknowledged_by', a.acknowledged_by,
        'comment_count', (SELECT count(*) FROM onemap.alarm_comment c WHERE c.alarm_id = a.id
            AND (moment IS NULL OR c.said_at <= moment)),
        -- By the id itself: as a join, every case that there is would be looked at for each alarm.
        'case', (SELECT c.code FROM onemap.case_record_as_of(moment) c
            WHERE c.id = (SELECT l.case_id FROM onemap.case_alarm l WHERE l.alarm_id = a.id)
                AND c.event_count >= (SELECT l.seq FROM onemap.case_alarm l WHERE l.alarm_id = a.id)))
    FROM onemap.alarm_rule_as_of(moment) r LEFT JOIN onemap.device_as_of(moment) d ON d.id = a.device_id
        LEFT JOIN LATERAL onemap.http_place_as_of(d.id, moment) s ON true
        LEFT JOIN onemap.vendor_as_of(moment) v ON v.subsystem = r.subsystem AND v.vendor = coalesce(d.vendor, a.vendor)
        LEFT JOIN onemap.department u ON u.id = coalesce(d.department_id, CASE WHEN a.device_id = 0 THEN v.department_id END)
        LEFT JOIN onemap.alarm_end y ON y.reason = a.close_reason
    WHERE r.id = a.rule_id
$$;
COMMENT ON FUNCTION onemap.http_alarm_shown(onemap.alarm, timestamptz) IS
    'An alarm as lists show it; case: the number of the case it became; moment: as it was known then, NULL: now';

CREATE OR REPLACE FUNCTION onemap.http_alarms(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_generic_plan AS $$
DECLARE moment timestamptz := onemap.http_at(request);
BEGIN
    PERFORM onemap.http_alarm_check(request);
    RETURN QUERY SELECT json_build_object('alarms', coalesce(json_agg(e.entry ORDER BY f.id DESC), '[]'),
            'next', CASE WHEN count(*) = (request->>'limit')::int THEN min(f.id) END)
        FROM onemap.http_alarm_find(request) f CROSS JOIN LATERAL onemap.http_alarm_shown(f, moment) e;
END $$;
COMMENT ON FUNCTION onemap.http_alarms(jsonb) IS 'GET /api/v1/alarms: {alarms, next}, newest first';

CREATE OR REPLACE FUNCTION onemap.http_alarms_csv(request jsonb) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE moment timestamptz := onemap.http_at(request); asked jsonb := onemap.http_csv_asked(request); lines bigint;
BEGIN
    PERFORM onemap.http_alarm_check(request);
    RETURN QUERY SELECT onemap.http_csv_head(request, '编号', '子系统', '规则', '级别', '设备编号', '设备', '厂商', '单位代码',
        '网格', '经度', '纬度', '开始', '结束', '值', '计量单位', '说明', '确认人', '确认时间', '案卷号');
    RETURN QUERY SELECT onemap.http_csv_line(f.id::text, e.e->>'subsystem', e.e->>'rule_zh', e.e->>'severity', e.e->>'device_code',
            e.e->>'device_zh', e.e->>'vendor', e.e->>'department', e.e->>'grid_cell', e.e->>'lon', e.e->>'lat',
            onemap.county_time(f.opened_at), onemap.county_time(f.closed_at), e.e->>'value', e.e->>'unit', e.e->>'text_zh',
            e.e->>'acknowledged_by', onemap.county_time(f.acknowledged_at), e.e->>'case')
        FROM onemap.http_alarm_find(asked) f,
            LATERAL (SELECT x.entry FROM onemap.http_alarm_shown(f, moment) x OFFSET 0) e (e) -- once a row, not once a cell
        ORDER BY f.id DESC;
    GET DIAGNOSTICS lines = ROW_COUNT;
    PERFORM onemap.http_csv_end(asked, lines);
END $$;
COMMENT ON FUNCTION onemap.http_alarms_csv(jsonb) IS 'GET /api/v1/alarms.csv: the same list line by line';

CREATE OR REPLACE FUNCTION onemap.http_alarm(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (e.entry || jsonb_build_object('detail', a.detail, 'limit', onemap.alarm_rule_words(r),
        'limit_zh', onemap.alarm_rule_words_zh(r), 'source', r.source,
        'source_zh', onemap.alarm_source_zh(r.source), 'comments', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', c.id, 'said_at', c.said_at,
            'author', c.author, 'words', c.words) ORDER BY c.id), '[]') FROM onemap.alarm_comment c
            WHERE c.alarm_id = a.id AND (m.moment IS NULL OR c.said_at <= m.moment))))::json
    FROM (SELECT onemap.http_at(request) AS moment) m CROSS JOIN LATERAL onemap.http_alarm_find(request) a
        CROSS JOIN LATERAL onemap.http_alarm_shown(a, m.moment) e
        JOIN LATERAL onemap.alarm_rule_as_of(m.moment) r ON r.id = a.rule_id
$$;
COMMENT ON FUNCTION onemap.http_alarm(jsonb) IS
    'GET /api/v1/alarms/{id}: one alarm with its rule''s limit and the comments; at: as it was at a moment; no row: none, '
    'or not to be seen';
GRANT EXECUTE ON FUNCTION onemap.http_alarms(jsonb), onemap.http_alarms_csv(jsonb), onemap.http_alarm(jsonb) TO cityhub_api;

-- ---- acting ----

CREATE OR REPLACE FUNCTION onemap.http_alarm_words(sent jsonb, needed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE words text;
BEGIN
    PERFORM onemap.case_fields_check(coalesce(sent, '{}'), '{words}', '{}');
    words := onemap.case_text(coalesce(sent, '{}'), 'words', 2000);
    IF needed AND words IS NULL THEN
        RAISE EXCEPTION 'field "words" is missing' USING ERRCODE = 'CH013',
            DETAIL = '没有写备注 words', HINT = '请在 words 中写明备注。';
    END IF;
    RETURN words;
END $$;
COMMENT ON FUNCTION onemap.http_alarm_words(jsonb, boolean) IS 'What somebody says to an alarm: {words}; CH013 if it is no text';

CREATE OR REPLACE FUNCTION onemap.http_alarm_acknowledge(request jsonb, sent jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE a onemap.alarm; who text := onemap.identity(request)->>'login'; said text := onemap.http_alarm_words(sent, false);
BEGIN
    SELECT f.* INTO a FROM onemap.http_alarm_find(request) f;
    IF a.id IS NULL THEN
        RETURN;
    END IF;
    UPDATE onemap.alarm x SET acknowledged_at = now(), acknowledged_by = who WHERE x.id = a.id AND x.acknowledged_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alarm %: somebody has acknowledged it before', a.id USING ERRCODE = 'CH018',
            DETAIL = format('报警 %s 已经有人确认', a.id),
            HINT = '该报警已确认；可以添加备注。';
    END IF;
    IF said IS NOT NULL THEN
        INSERT INTO onemap.alarm_comment (alarm_id, author, words) VALUES (a.id, who, said);
    END IF;
    RETURN QUERY SELECT h.body FROM onemap.http_alarm(request) h;
END $$;
COMMENT ON FUNCTION onemap.http_alarm_acknowledge(jsonb, jsonb) IS
    'POST /api/v1/alarms/{id}/acknowledge: {words}, or no body: somebody sees to it; once, CH018 after that; answers the alarm';

CREATE OR REPLACE FUNCTION onemap.http_alarm_comment(request jsonb, sent jsonb) RETURNS TABLE (body json, status int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE said text := onemap.http_alarm_words(sent, true);
BEGIN
    INSERT INTO onemap.alarm_comment (alarm_id, author, words)
    SELECT f.id, onemap.identity(request)->>'login', said FROM onemap.http_alarm_find(request) f;
    RETURN QUERY SELECT h.body, 201 FROM onemap.http_alarm(request) h;
END $$;
COMMENT ON FUNCTION onemap.http_alarm_comment(jsonb, jsonb) IS 'POST /api/v1/alarms/{id}/comments: {words}; answers the alarm';
GRANT EXECUTE ON FUNCTION onemap.http_alarm_acknowledge(jsonb, jsonb), onemap.http_alarm_comment(jsonb, jsonb) TO cityhub_api;
