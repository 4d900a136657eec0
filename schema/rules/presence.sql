-- Silence: who is offline, which vendor is silent, and the alarms of both. While a whole vendor is silent its devices are not
-- alarmed one by one, and when it is back each has its time to follow; time in which the hub itself did not listen counts
-- against nobody. A device whose kind is not known yet (pending) has an hour, and no alarm.

SELECT onemap.alarm_rule_default(s.key, 'device_offline', jsonb_build_object('kind', 'offline', 'name_zh', '设备离线',
        'severity', 'minor', 'source', 'assumed: the device kind''s offline_after', 'source_zh', '假定：设备种类的 offline_after')),
    onemap.alarm_rule_default(s.key, 'vendor_silent', jsonb_build_object('kind', 'silent', 'name_zh', '厂商平台失联',
        'severity', 'major', 'source', 'assumed: the vendor''s silent_after', 'source_zh', '假定：厂商的 silent_after'))
FROM onemap.subsystem s;
INSERT INTO onemap.alarm_end (reason, zh) VALUES
    ('records arrive again', '已恢复上报'),
    ('all its devices are retired', '设备已全部停用'),
    ('its devices tell of now again', '设备已恢复按时上报')
ON CONFLICT (reason) DO UPDATE SET zh = excluded.zh;

-- Silence. While a whole vendor is silent its devices are not alarmed one by one, and when it is back each has its time to
-- follow; time in which the hub itself did not listen counts against nobody. A device whose kind is not known yet
-- (pending) has an hour, and no alarm.
CREATE OR REPLACE FUNCTION onemap.presence_vendors(listening_since timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE v record;
BEGIN
    UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, now()), close_reason = 'all its devices are retired'
    FROM onemap.alarm_rule r
    WHERE r.id = a.rule_id AND r.kind = 'silent' AND a.closed_at IS NULL AND NOT EXISTS (SELECT FROM onemap.device x
        WHERE x.subsystem = r.subsystem AND x.vendor = a.vendor AND x.status <> 'retired');
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
    'Opens and closes the alarms of vendors of whom nothing came for their silent_after; one that never sent anything is not '
    'missed';

CREATE OR REPLACE FUNCTION onemap.presence_alarms(listening_since timestamptz) RETURNS void
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
    UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, s.last_seen_at), close_reason = 'records arrive again'
    FROM onemap.alarm_rule r, onemap.device_state s
    WHERE r.id = a.rule_id AND r.kind = 'offline' AND a.closed_at IS NULL AND s.device_id = a.device_id AND s.online
$$;
COMMENT ON FUNCTION onemap.presence_alarms(timestamptz) IS
    'Opens the alarms of active devices that are offline while their vendor is not silent; closes those of devices that are '
    'back; those of retired ones and of revoked vendors alarm_moot_sweep() closes';

CREATE OR REPLACE FUNCTION onemap.presence_sweep(listening_since timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE gone int[];
BEGIN
    PERFORM onemap.device_state_clock();
    WITH silent AS (
        UPDATE onemap.device_state s SET online = false, changed_at = now()
        FROM onemap.device x LEFT JOIN onemap.device_kind k ON k.subsystem = x.subsystem AND k.key = x.kind
        WHERE x.id = s.device_id AND s.online
            AND s.last_seen_at < now() - coalesce(k.offline_after, '1 hour')
            AND listening_since < now() - coalesce(k.offline_after, '1 hour')
        RETURNING s.device_id
    ), told AS (INSERT INTO onemap.feed_change (layer, id) SELECT 'state', s.device_id FROM silent s)
    SELECT coalesce(array_agg(i.device_id ORDER BY i.device_id), '{}') INTO gone FROM silent i;
    PERFORM onemap.point_notify(gone);
    PERFORM onemap.presence_vendors(listening_since);
    PERFORM onemap.presence_alarms(listening_since);
    RETURN cardinality(gone);
END $$;
COMMENT ON FUNCTION onemap.presence_sweep(timestamptz) IS
    'Marks devices offline after their kind''s offline_after and vendors silent after theirs, opens and closes the alarms; '
    'listening_since: since when the hub has been receiving without a break; returns the devices that went offline';
GRANT EXECUTE ON FUNCTION onemap.presence_sweep(timestamptz) TO cityhub_hub;

-- ---- clocks ----
-- Who is online and says nothing newer than hours ago has a clock that is slow, a time zone too many, or has not caught up yet
-- after an outage, for which there is an hour. Mostly it is all of a vendor's devices: one alarm a vendor.

SELECT onemap.alarm_rule_default('hub', 'clock_behind', '{"name_zh": "设备时钟落后", "kind": "derived", "severity": "minor",
    "source": "assumed: clock_behind",
    "source_zh": "假定：见设置 clock_behind"}');

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('clock_behind', '2 hours', '设备在线一小时以上，最新的数据却比收到它时早了多久（且早于该种设备的离线时限）就报警')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

CREATE OR REPLACE FUNCTION onemap.presence_clock_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v record; rule int; found text[] := '{}'::text[]; many int := 0; late interval := onemap.setting('clock_behind')::interval;
    zone interval := onemap.local_time(now()) - (now() AT TIME ZONE 'UTC');
BEGIN
    SELECT r.id INTO rule FROM onemap.alarm_rule r WHERE r.subsystem = 'hub' AND r.key = 'clock_behind';
    FOR v IN
        SELECT d.vendor, count(*)::int AS devices, max(b.lag) AS lag,
               (array_agg(d.subsystem || ' ' || d.code ORDER BY b.lag DESC, d.id))[1] AS example,
               count(*) FILTER (WHERE abs(extract(epoch FROM b.lag - zone)) < 600) AS by_the_zone
        FROM onemap.device_state s JOIN onemap.device d ON d.id = s.device_id AND d.status <> 'retired'
        LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
        CROSS JOIN LATERAL (SELECT s.last_seen_at - s.observed_at AS lag) b
        WHERE s.online AND s.changed_at < now() - interval '1 hour'
            AND b.lag > greatest(late, coalesce(k.offline_after, '1 hour'))
        GROUP BY d.vendor
    LOOP
        PERFORM onemap.alarm_open(rule, 0, v.vendor, onemap.alarm_next_time(rule, 0, v.vendor, now()), v.devices,
            jsonb_build_object('devices', v.devices, 'text_zh', format(
                '%s 台设备在线，最新的数据却是几小时以前的，如 %s 早 %s 小时；%s', v.devices, v.example,
                round(extract(epoch FROM v.lag) / 3600, 1), CASE WHEN v.by_the_zone > 0
                THEN '差的正好是时区，请厂商查 observed_at_ms 是不是 UTC' ELSE '请厂商查时钟、时区，或补传未完' END)));
        found := found || v.vendor;
        many := many + v.devices;
    END LOOP;
    UPDATE onemap.alarm a SET closed_at = greatest(a.opened_at, now()), close_reason = 'its devices tell of now again'
    WHERE a.rule_id = rule AND a.closed_at IS NULL AND a.vendor <> ALL (found);
    RETURN many;
END $$;
COMMENT ON FUNCTION onemap.presence_clock_sweep() IS
    'Opens the alarm hub/clock_behind of vendors with devices that have been online for an hour and whose newest record was '
    'older than clock_behind when it came; closes it when there are none; returns the devices';
INSERT INTO onemap.sweep (function_name) VALUES ('presence_clock_sweep') ON CONFLICT DO NOTHING;
