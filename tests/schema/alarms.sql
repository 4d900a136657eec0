-- Alarm rules and alarms, and silence of devices and vendors.
BEGIN;
SELECT plan(111);

CREATE FUNCTION pg_temp.rule(the_key text) RETURNS int LANGUAGE sql AS $$ SELECT id FROM onemap.alarm_rule WHERE subsystem = 'dust' AND key = the_key $$;
CREATE FUNCTION pg_temp.open_alarms(the_key text) RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM onemap.alarm a WHERE a.rule_id = pg_temp.rule(the_key) AND a.closed_at IS NULL $$;
CREATE FUNCTION pg_temp.ago(span interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() - span $$;

-- Defaults.
SELECT is_empty($$SELECT r.subsystem, r.key, r.source FROM onemap.alarm_rule r WHERE onemap.alarm_source_zh(r.source) !~ '[一-鿿]'$$, 'where each shipped limit comes from is said in Chinese');
SELECT is((SELECT count(*)::int FROM onemap.alarm_rule WHERE kind = 'offline'), (SELECT count(*)::int FROM onemap.subsystem), 'every subsystem has a rule for silent devices');
SELECT is((SELECT count(*)::int FROM onemap.alarm_rule WHERE kind = 'silent'), (SELECT count(*)::int FROM onemap.subsystem), 'and one for silent vendors');
SELECT onemap.alarm_rule_default('dust', 't_above', '{"name_zh": "高", "metric": "pm10_ug_m3", "above": 100, "clear": 90, "duration_s": 60, "severity": "major", "source": "assumed", "category_code": "X1"}');
SELECT is((SELECT ROW(kind, metric, comparison, threshold, clear_threshold, duration_s, severity, category_code, enabled, edited)::text FROM onemap.alarm_rule WHERE key = 't_above'),
    '(threshold,pm10_ug_m3,above,100,90,60,major,X1,t,f)', 'a threshold rule');
SELECT onemap.alarm_rule_default('dust', 't_below', '{"name_zh": "低", "metric": "pressure_kpa", "below": 60, "severity": "minor", "source": "assumed", "from": "22:00", "to": "06:00", "device_kind": "site_monitor"}');
SELECT is((SELECT ROW(comparison, clear_threshold, duration_s, window_from, window_to, device_kind)::text FROM onemap.alarm_rule WHERE key = 't_below'),
    '(below,60,0,22:00:00,06:00:00,site_monitor)', 'without clear it closes at the limit; with a window and a kind');
SELECT onemap.alarm_rule_default('dust', 't_derived', '{"name_zh": "算", "severity": "info", "source": "assumed"}');
SELECT is((SELECT kind FROM onemap.alarm_rule WHERE key = 't_derived'), 'derived', 'without a limit it is a derived one');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "severity": "info", "source": "a", "abvoe": 1}')$$, 'P0001',
    'alarm rule dust.x: unknown key abvoe', 'a mistyped key is refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "metric": "pm10_ug_m3", "severity": "info", "source": "a", "above": 1, "below": 2}')$$,
    'P0001', 'alarm rule dust.x: give one of above, below, equals', 'two limits are refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "metric": "pm10_ug_m3", "severity": "info", "source": "a", "above": 1, "clear": 2}')$$,
    '23514', NULL, 'an upper limit that closes above itself is refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "metric": "pm10_ug_m3", "severity": "info", "source": "a", "below": 2, "clear": 1}')$$,
    '23514', NULL, 'a lower limit that closes below itself is refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "metric": "nonsense", "severity": "info", "source": "a", "above": 1}')$$,
    '23503', NULL, 'a metric that is not in the catalogue is refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "metric": "pm10_ug_m3", "severity": "info", "above": 1}')$$,
    '23502', NULL, 'a limit without its source is refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "metric": "pm10_ug_m3", "severity": "bad", "source": "a", "above": 1}')$$,
    '23514', NULL, 'an unknown severity is refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_default('dust', 'x', '{"name_zh": "x", "metric": "pm10_ug_m3", "severity": "info", "source": "a", "above": 1, "from": "22:00"}')$$,
    '23514', NULL, 'half a window is refused');

-- The county's changes.
SELECT onemap.alarm_rule_set('dust', 't_above', '{"threshold": 120, "severity": "critical"}');
SELECT is((SELECT ROW(threshold, clear_threshold, severity, duration_s, edited)::text FROM onemap.alarm_rule WHERE key = 't_above'),
    '(120,120,critical,60,t)', 'a new limit closes at itself unless told otherwise; the rest stays');
SELECT onemap.alarm_rule_set('dust', 't_above', '{"category_code": null, "clear_threshold": 110}');
SELECT is((SELECT ROW(threshold, clear_threshold, category_code)::text FROM onemap.alarm_rule WHERE key = 't_above'), '(120,110,)', 'null takes the case category away');
SELECT onemap.alarm_rule_default('dust', 't_above', '{"name_zh": "高", "metric": "pm10_ug_m3", "above": 100, "clear": 90, "duration_s": 60, "severity": "major", "source": "assumed"}');
SELECT is((SELECT ROW(threshold, severity)::text FROM onemap.alarm_rule WHERE key = 't_above'), '(120,critical)', 'the shipped default leaves an edited rule alone');
SELECT onemap.alarm_rule_default('dust', 't_derived', '{"name_zh": "算", "severity": "minor", "source": "assumed"}');
SELECT is((SELECT severity FROM onemap.alarm_rule WHERE key = 't_derived'), 'minor', 'and brings another one up to date');
SELECT throws_ok($$SELECT onemap.alarm_rule_set('dust', 'nothing', '{}')$$, 'P0002', 'there is no alarm rule dust.nothing', 'a rule that is not there');
SELECT throws_ok($$SELECT onemap.alarm_rule_set('dust', 't_above', '{"treshold": 1}')$$, 'P0001', 'alarm rule dust.t_above: treshold cannot be changed', 'a mistyped change is refused');
SELECT throws_ok($$SELECT onemap.alarm_rule_set('dust', 't_above', '{"clear_threshold": 130}')$$, '23514', NULL, 'a change that makes no sense is refused');
SELECT is((SELECT count(*)::int FROM onemap.audit_log WHERE action = 'alarm_rule_set'), 2, 'two changes in the audit log');
SELECT ok(has_function_privilege('cityhub_api', 'onemap.alarm_rule_set(text,text,jsonb)', 'EXECUTE')
      AND NOT has_function_privilege('cityhub_api', 'onemap.alarm_rule_default(text,text,jsonb)', 'EXECUTE')
      AND NOT has_function_privilege('cityhub_read', 'onemap.alarm_rule_set(text,text,jsonb)', 'EXECUTE'), 'the API may change rules, and not ship them');

-- Opening and closing.
SELECT onemap.vendor_put('dust', 'v', '{}');
INSERT INTO onemap.device (id, subsystem, vendor, code, kind, status) VALUES (800001, 'dust', 'v', 'a', 'site_monitor', 'active'),
    (800002, 'dust', 'v', 'b', 'road_monitor', 'active'), (800003, 'dust', 'v', 'p', NULL, 'pending');
SELECT onemap.alarm_open(pg_temp.rule('t_above'), 800001, '', '2026-04-01 08:00Z', 130, '{"a": 1}');
SELECT is((SELECT ROW(opened_at, value, severity, detail, closed_at)::text FROM onemap.alarm WHERE device_id = 800001),
    ROW('2026-04-01 08:00Z'::timestamptz, 130, 'critical', '{"a": 1}'::jsonb, NULL)::text, 'an alarm takes its rule''s severity');
SELECT onemap.alarm_open(pg_temp.rule('t_above'), 800001, '', '2026-04-01 08:00Z', 130, '{}'), onemap.alarm_open(pg_temp.rule('t_above'), 800001, '', '2026-04-01 08:05Z', 140, '{}');
SELECT is((SELECT count(*)::int FROM onemap.alarm), 1, 'one open alarm a device and rule, however often it is said');
SELECT onemap.alarm_open(pg_temp.rule('t_above'), 800002, '', '2026-04-01 08:00Z', 130, '{}');
SELECT is(pg_temp.open_alarms('t_above'), 2, 'another device has its own');
SELECT onemap.alarm_close(pg_temp.rule('t_above'), 800001, '', '2026-04-01 08:10Z', 80, 'condition ended');
SELECT is((SELECT ROW(closed_at, closing_value, close_reason)::text FROM onemap.alarm WHERE device_id = 800001),
    ROW('2026-04-01 08:10Z'::timestamptz, 80, 'condition ended')::text, 'closed');
SELECT onemap.alarm_close(pg_temp.rule('t_above'), 800001, '', '2026-04-01 08:20Z', 70, 'again');
SELECT is((SELECT closing_value FROM onemap.alarm WHERE device_id = 800001), 80::float8, 'closing twice changes nothing');
SELECT onemap.alarm_open(pg_temp.rule('t_above'), 800001, '', '2026-04-01 08:00Z', 130, '{}');
SELECT is((SELECT count(*)::int FROM onemap.alarm WHERE device_id = 800001), 1, 'the record that opened it, delivered once more, does not open it again');
SELECT onemap.alarm_open(pg_temp.rule('t_above'), 800001, '', '2026-04-01 09:00Z', 130, '{}');
SELECT is((SELECT count(*)::int FROM onemap.alarm WHERE device_id = 800001), 2, 'a later record does');
SELECT onemap.alarm_close(pg_temp.rule('t_above'), 800001, '', '2026-04-01 08:30Z', 80, 'late');
SELECT is((SELECT closed_at FROM onemap.alarm WHERE device_id = 800001 AND opened_at = '2026-04-01 09:00Z'), '2026-04-01 09:00Z'::timestamptz, 'an alarm never ends before it began');
SELECT onemap.alarm_raise(800001, 't_derived', '2026-04-01 08:00Z', 5), onemap.alarm_raise(800001, 'no_such_rule', '2026-04-01 08:00Z', 5);
SELECT is(pg_temp.open_alarms('t_derived'), 1, 'raised by the key of the rule');
SELECT onemap.alarm_clear(800001, 't_derived', '2026-04-01 08:30Z');
SELECT is(pg_temp.open_alarms('t_derived'), 0, 'cleared by the key of the rule');

-- The hub's operations.
CREATE FUNCTION pg_temp.apply(VARIADIC operations text[]) RETURNS void LANGUAGE sql AS $$
    SELECT onemap.alarm_apply(jsonb_agg(jsonb_build_object('op', f[1], 'device_id', f[2]::int, 'rule_id', pg_temp.rule(f[3]),
        'at_ms', (extract(epoch FROM ('2026-04-01 ' || f[4] || 'Z')::timestamptz) * 1000)::bigint, 'value', f[5]::float8) ORDER BY n))
    FROM unnest(operations) WITH ORDINALITY o(line, n), string_to_array(line, ' ') f $$;
SELECT pg_temp.apply('pend 800001 t_below 10:00');
SELECT is((SELECT since FROM onemap.alarm_pending), '2026-04-01 10:00Z'::timestamptz, 'a condition that holds, not yet for long enough');
SELECT pg_temp.apply('pend 800001 t_below 10:01', 'pend 800001 t_above 10:01');
SELECT is((SELECT min(since) FROM onemap.alarm_pending), '2026-04-01 10:00Z'::timestamptz, 'keeps the time since when it holds');
SELECT pg_temp.apply('drop 800001 t_above 10:02');
SELECT is((SELECT count(*)::int FROM onemap.alarm_pending), 1, 'and is dropped when it ends before');
SELECT pg_temp.apply('open 800001 t_below 10:05 50');
SELECT is(ARRAY[pg_temp.open_alarms('t_below'), (SELECT count(*)::int FROM onemap.alarm_pending)], '{1,0}', 'opening takes the pending one away');
SELECT pg_temp.apply('close 800001 t_below 10:06 70', 'open 800001 t_below 10:07 40', 'close 800001 t_below 10:08 70', 'open 800001 t_below 10:09 30.5');
SELECT is((SELECT string_agg(to_char(opened_at AT TIME ZONE 'UTC', 'HH24:MI') || '-' || coalesce(to_char(closed_at AT TIME ZONE 'UTC', 'HH24:MI'), ''), ' ' ORDER BY opened_at)
    FROM onemap.alarm WHERE rule_id = pg_temp.rule('t_below')), '10:05-10:06 10:07-10:08 10:09-', 'a batch''s operations in their order');
SELECT is((SELECT value FROM onemap.alarm WHERE rule_id = pg_temp.rule('t_below') AND closed_at IS NULL), 30.5::float8, 'with the value');
SELECT lives_ok($$SELECT onemap.alarm_apply('[{"op": "open", "device_id": 800001, "rule_id": 0, "at_ms": 1, "value": 1}, {"op": "pend", "device_id": 800001, "rule_id": 0, "at_ms": 1},
    {"op": "close", "device_id": 800001, "rule_id": 0, "at_ms": 1, "value": 1}]')$$, 'a rule that is gone meanwhile is no fault');
SELECT lives_ok($$SELECT onemap.alarm_apply('[]')$$, 'no operations');
SELECT is((SELECT count(*)::int FROM onemap.alarm_pending), 0, 'nothing pends for a rule that is gone');

-- A rule that changes or ends retires what it found.
SELECT pg_temp.apply('pend 800001 t_below 10:10');
UPDATE onemap.alarm_rule SET name_zh = '更低', severity = 'info' WHERE key = 't_below';
SELECT is(ARRAY[pg_temp.open_alarms('t_below'), (SELECT count(*)::int FROM onemap.alarm_pending)], '{1,1}', 'another name or severity leaves the alarms open');
SELECT onemap.alarm_rule_set('dust', 't_below', '{"threshold": 55, "clear_threshold": 60}');
SELECT is(ARRAY[pg_temp.open_alarms('t_below'), (SELECT count(*)::int FROM onemap.alarm_pending)], '{0,0}', 'another limit closes them');
SELECT is((SELECT close_reason FROM onemap.alarm WHERE rule_id = pg_temp.rule('t_below') ORDER BY id DESC LIMIT 1), 'rule changed', 'with the reason');
SELECT pg_temp.apply('open 800001 t_below 10:20 50');
UPDATE onemap.alarm_rule SET window_from = '21:00' WHERE key = 't_below';
SELECT is(pg_temp.open_alarms('t_below'), 0, 'so does another window');
SELECT pg_temp.apply('open 800001 t_below 10:21 50');
SELECT onemap.alarm_rule_set('dust', 't_below', '{"enabled": false}');
SELECT is((SELECT close_reason FROM onemap.alarm WHERE rule_id = pg_temp.rule('t_below') ORDER BY id DESC LIMIT 1), 'rule disabled', 'and the end of the rule');
SELECT pg_temp.apply('open 800001 t_below 10:22 50', 'pend 800001 t_below 10:22');
SELECT is(ARRAY[pg_temp.open_alarms('t_below'), (SELECT count(*)::int FROM onemap.alarm_pending)], '{0,0}', 'a disabled rule opens and pends nothing');

-- What is retired, of another kind, deleted, or of a revoked vendor: no record will come that ends its alarms, whatever rule they are of.
SELECT onemap.alarm_rule_set('dust', 't_below', '{"enabled": true}');
INSERT INTO onemap.device (id, subsystem, vendor, code, kind, status) SELECT 800010 + n, 'dust', 'v', 'moot-' || n, 'site_monitor', 'active' FROM generate_series(1, 6) n;
SELECT pg_temp.apply('open ' || 800010 + n || ' t_below 11:00 50') FROM generate_series(1, 5) n;
SELECT onemap.alarm_raise(800011, 't_derived', '2026-04-01 11:00Z', 5);
SELECT pg_temp.apply('pend 800011 t_above 11:00');
SELECT is(onemap.alarm_moot_sweep(), 0, 'of what is in use nothing ends');
UPDATE onemap.device SET status = 'retired' WHERE id = 800011;
UPDATE onemap.device SET kind = 'road_monitor' WHERE id = 800012;
UPDATE onemap.device SET kind = NULL WHERE id = 800013;
DELETE FROM onemap.device WHERE id = 800014;
SELECT is(onemap.alarm_moot_sweep(), 5, 'the alarms of a threshold and derived ones end');
SELECT is((SELECT string_agg(device_id - 800010 || ' ' || close_reason, ', ' ORDER BY device_id, rule_id) FROM onemap.alarm WHERE device_id > 800010 AND closed_at = now()),
    '1 device retired, 1 device retired, 2 rule is for other devices, 3 rule is for other devices, 4 device retired', 'with the reason, now');
SELECT is((SELECT count(*)::int FROM onemap.alarm_pending), 0, 'nor does anything pend');
SELECT is_empty($$SELECT a.close_reason FROM onemap.alarm a WHERE onemap.alarm_end_zh(a.close_reason) !~ '[一-鿿]' AND a.device_id > 800010$$, 'why is said in Chinese');
SELECT pg_temp.apply('open 800011 t_below 11:30 50', 'pend 800011 t_above 11:30', 'close 800012 t_below 11:30 50', 'open 800012 t_below 11:31 50', 'close 800012 t_below 11:32 50',
    'open 800012 t_below 11:33 50'), onemap.alarm_raise(800011, 't_derived', '2026-04-01 11:30Z', 5);
SELECT is((SELECT count(*)::int FROM onemap.alarm WHERE device_id IN (800011, 800012) AND opened_at >= '2026-04-01 11:30Z') + (SELECT count(*)::int FROM onemap.alarm_pending), 0,
    'and what it still sends opens none');
UPDATE onemap.device SET status = 'active' WHERE id = 800011;
SELECT pg_temp.apply('open 800011 t_below 11:40 50');
SELECT is(onemap.alarm_moot_sweep(), 0, 'in use again it has alarms again');
SELECT onemap.vendor_revoke('dust', 'v');
SELECT is(onemap.alarm_moot_sweep(), 3, 'of a revoked vendor all end');
SELECT onemap.vendor_put('dust', 'v', '{}');
SELECT onemap.alarm_rule_set('dust', 't_below', '{"enabled": false}');
DELETE FROM onemap.alarm WHERE device_id > 800010;
DELETE FROM onemap.device WHERE id > 800010;

-- Silence. site_monitor: 15 minutes, vendor: 10 minutes by default, no kind: one hour.
CREATE FUNCTION pg_temp.seen(device int, span interval) RETURNS void LANGUAGE sql AS $$
    -- as device_state_merge does with a record
    INSERT INTO onemap.device_state AS d (device_id, observed_at, last_seen_at) VALUES (device, now() - span, now() - span)
    ON CONFLICT (device_id) DO UPDATE SET last_seen_at = excluded.last_seen_at, online = true, changed_at = CASE WHEN d.online THEN d.changed_at ELSE now() END $$;
CREATE FUNCTION pg_temp.sweep(listening interval DEFAULT '1 day') RETURNS int LANGUAGE sql AS $$ SELECT onemap.alarm_moot_sweep(); SELECT onemap.presence_sweep(now() - listening) $$;
CREATE FUNCTION pg_temp.online(device int) RETURNS boolean LANGUAGE sql AS $$ SELECT online FROM onemap.device_state WHERE device_id = device $$;
SELECT is(pg_temp.sweep(), 0, 'no device was ever seen: nothing to do');
SELECT is(pg_temp.open_alarms('vendor_silent'), 0, 'a vendor that never sent anything is not missed');
SELECT pg_temp.seen(800001, '1 minute'), pg_temp.seen(800002, '1 minute'), pg_temp.seen(800003, '59 minutes');
SELECT is(pg_temp.sweep(), 0, 'all are in time');
SELECT pg_temp.seen(800001, '16 minutes');
SELECT is(pg_temp.sweep('15 minutes'), 0, 'the hub itself has not listened for longer than that');
SELECT is(pg_temp.sweep('16 minutes'), 1, 'now it has');
SELECT is(ARRAY[pg_temp.online(800001), pg_temp.online(800002), pg_temp.online(800003)], '{f,t,t}', 'one is offline by its kind''s time, the one without a kind has an hour');
SELECT is((SELECT changed_at FROM onemap.device_state WHERE device_id = 800001), now(), 'since now');
SELECT is(pg_temp.open_alarms('device_offline'), 1, 'an alarm for it');
SELECT is((SELECT ROW(device_id, opened_at, severity, (detail->>'last_seen_at')::timestamptz)::text FROM onemap.alarm WHERE rule_id = pg_temp.rule('device_offline')),
    ROW(800001, pg_temp.ago('1 minute'), 'minor', pg_temp.ago('16 minutes'))::text, 'from the moment the time was up');
SELECT is(pg_temp.sweep(), 0, 'it goes offline once');
SELECT is(pg_temp.open_alarms('device_offline'), 1, 'with one alarm');
SELECT pg_temp.seen(800003, '61 minutes');
SELECT is(pg_temp.sweep(), 1, 'a pending device after an hour');
SELECT is(ARRAY[pg_temp.online(800003)::int, pg_temp.open_alarms('device_offline')], '{0,1}', 'without an alarm');
UPDATE onemap.device SET status = 'active', kind = 'site_monitor' WHERE id = 800003;
SELECT pg_temp.sweep();
SELECT is(pg_temp.open_alarms('device_offline'), 2, 'once its inventory has come it has one');
SELECT pg_temp.seen(800003, '30 seconds');
SELECT pg_temp.sweep();
SELECT is((SELECT ROW(closed_at, close_reason)::text FROM onemap.alarm WHERE device_id = 800003 AND rule_id = pg_temp.rule('device_offline')),
    ROW(pg_temp.ago('30 seconds'), 'records arrive again')::text, 'a device that comes back closes it at the time of its record');
UPDATE onemap.device SET status = 'retired' WHERE id = 800001;
SELECT pg_temp.sweep();
SELECT is((SELECT close_reason FROM onemap.alarm WHERE device_id = 800001 AND rule_id = pg_temp.rule('device_offline')), 'device retired', 'a retired device is not missed');
UPDATE onemap.device SET status = 'active' WHERE id = 800001;

UPDATE onemap.alarm SET closed_at = closed_at - interval '30 seconds' WHERE device_id = 800001 AND rule_id = pg_temp.rule('device_offline');
SELECT pg_temp.sweep();
SELECT is(pg_temp.open_alarms('device_offline'), 1, 'a device that is in use again, and silent still, has an alarm again');
SELECT onemap.alarm_rule_set('dust', 'device_offline', '{"enabled": false}');
SELECT pg_temp.sweep();
SELECT is(pg_temp.open_alarms('device_offline'), 0, 'a rule that is switched off opens nothing');
SELECT onemap.alarm_rule_set('dust', 'device_offline', '{"enabled": true}');
SELECT pg_temp.sweep();
SELECT is(pg_temp.open_alarms('device_offline'), 1, 'switched on again it finds the silence that lasts');
DELETE FROM onemap.alarm;

-- A whole vendor.
SELECT pg_temp.seen(800001, '5 minutes'), pg_temp.seen(800002, '9 minutes'), pg_temp.seen(800003, '5 minutes');
SELECT pg_temp.sweep();
UPDATE onemap.device_state SET last_seen_at = last_seen_at - interval '1 hour';
SELECT is(pg_temp.sweep('9 minutes'), 0, 'the hub has listened for nine minutes: nobody is judged');
SELECT is(pg_temp.open_alarms('vendor_silent'), 0, 'not the vendor either');
SELECT is(pg_temp.sweep('11 minutes'), 0, 'eleven minutes: the vendor''s time is up, the devices'' not');
SELECT is((SELECT ROW(device_id, vendor, opened_at, severity)::text FROM onemap.alarm), ROW(0, 'v', pg_temp.ago('1 minute'), 'major')::text,
    'one alarm for the vendor, counted from when the hub began to listen');
SELECT is(pg_temp.sweep('61 minutes'), 3, 'the devices go offline, too');
SELECT is(pg_temp.open_alarms('device_offline'), 0, 'without an alarm for each');
SELECT is(pg_temp.sweep('1 minute'), 0, 'the hub was started anew');
SELECT is(pg_temp.open_alarms('vendor_silent'), 1, 'which is no sign of life of the vendor: its alarm stays open');
SELECT pg_temp.seen(800002, '20 seconds');
SELECT pg_temp.sweep();
SELECT is((SELECT ROW(closed_at, close_reason)::text FROM onemap.alarm), ROW(pg_temp.ago('20 seconds'), 'records arrive again')::text, 'its first record ends it');
SELECT is(pg_temp.open_alarms('device_offline'), 0, 'the other devices have their time to follow');
UPDATE onemap.alarm SET opened_at = opened_at - interval '1 hour', closed_at = closed_at - interval '14 minutes';
SELECT pg_temp.sweep();
SELECT is(pg_temp.open_alarms('device_offline'), 0, 'all of it');
UPDATE onemap.alarm SET closed_at = closed_at - interval '1 minute';
SELECT pg_temp.sweep();
SELECT is((SELECT array_agg(device_id ORDER BY device_id) FROM onemap.alarm WHERE closed_at IS NULL), '{800001,800003}', 'those that do not follow have an alarm then');

-- Revoked.
UPDATE onemap.device_state SET last_seen_at = now() - interval '2 hours' WHERE device_id = 800002;
SELECT pg_temp.sweep();
SELECT is(pg_temp.open_alarms('vendor_silent'), 1, 'silent again');
SELECT onemap.vendor_revoke('dust', 'v');
SELECT pg_temp.sweep();
SELECT is((SELECT count(*)::int FROM onemap.alarm WHERE closed_at IS NULL), 0, 'of a revoked vendor nothing is expected: all its alarms are closed');
SELECT is((SELECT array_agg(DISTINCT close_reason) FROM onemap.alarm WHERE close_reason <> 'records arrive again'), '{"vendor revoked"}', 'with the reason');
SELECT is(pg_temp.sweep(), 0, 'and none is opened');

-- Sweeps.
CREATE FUNCTION onemap.t_bad_sweep() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it is broken'; END $$;
CREATE FUNCTION onemap.t_good_sweep() RETURNS int LANGUAGE sql AS $$ SELECT onemap.audit('t_good_sweep', '{}'); SELECT 1 $$;
DELETE FROM onemap.sweep;
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('t_bad_sweep', 'dust'), ('t_good_sweep', NULL);
SELECT is(onemap.sweep_run(), '{"t_bad_sweep: it is broken"}', 'a sweep that fails is named');
SELECT is((SELECT count(*)::int FROM onemap.audit_log WHERE action = 't_good_sweep'), 1, 'and does not hold up the others');
SELECT throws_ok($$INSERT INTO onemap.sweep (function_name) VALUES ('x(); DROP TABLE y')$$, '23514', NULL, 'only names of sweeps can be registered');

-- A limit that counts in a state, for a rule with and without a kind.
SELECT onemap.vendor_put('dust', 'v', '{}');
SELECT onemap.partition_ensure(d::date) FROM generate_series((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date, interval '1 day') d;
SELECT onemap.alarm_rule_default('dust', 't_spray', '{"name_zh": "喷", "kind": "derived", "metric": "pm10_ug_m3", "above": 100, "duration_s": 600, "severity": "info", "source": "assumed"}');
INSERT INTO onemap.device (id, subsystem, vendor, code) VALUES (800004, 'dust', 'v', 'pending');
INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings, quality)
SELECT d, now() - make_interval(mins => m), now(), ARRAY[NULL, CASE d WHEN 800002 THEN 150 - 10 * m ELSE 150 END, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1], NULL
FROM unnest(ARRAY[800001, 800002, 800004]) d, generate_series(0, 9) m;
SELECT is(onemap.alarm_sustained('dust', 't_spray', 'spraying_on', 1), 2, 'a rule without a kind judges devices of any kind, and of none');
SELECT is((SELECT array_agg(device_id ORDER BY device_id) FROM onemap.alarm WHERE rule_id = pg_temp.rule('t_spray') AND closed_at IS NULL), '{800001,800004}', 'those above the limit all the time');
UPDATE onemap.observation_raw SET readings[10] = 0 WHERE device_id = 800004 AND observed_at = now() - interval '3 minutes';
SELECT onemap.alarm_sustained('dust', 't_spray', 'spraying_on', 1);
SELECT is((SELECT array_agg(device_id) FROM onemap.alarm WHERE rule_id = pg_temp.rule('t_spray') AND closed_at IS NULL), '{800001}', 'once out of the state it is cleared');
-- A value that flaps: whatever comes in one batch leaves what it would leave one by one.
CREATE TEMP TABLE flapping (n int GENERATED ALWAYS AS IDENTITY, op text, device int, second int);
INSERT INTO flapping (op, device, second)
SELECT CASE WHEN (n * 7919 + n / 3) % 100 < 30 THEN 'open' WHEN (n * 7919 + n / 3) % 100 < 60 THEN 'close' WHEN (n * 7919 + n / 3) % 100 < 80 THEN 'pend' ELSE 'drop' END,
    800001 + n % 2, n FROM generate_series(1, 400) n;
INSERT INTO flapping (op, device, second) SELECT (ARRAY['open', 'close'])[1 + n % 2], 800001, 1000 + n FROM generate_series(1, 101) n;
CREATE FUNCTION pg_temp.flapped(together boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE o record; answer text; rule int := (SELECT min(r.id) FROM onemap.alarm_rule r WHERE r.subsystem = 'dust' AND r.kind = 'threshold' AND r.enabled);
BEGIN
    DELETE FROM onemap.alarm WHERE rule_id = rule;
    DELETE FROM onemap.alarm_pending WHERE rule_id = rule;
    FOR o IN SELECT jsonb_agg(jsonb_build_object('op', f.op, 'device_id', f.device, 'rule_id', rule, 'at_ms', 1790000000000 + f.second * 1000, 'value', f.second) ORDER BY f.n) AS list
             FROM flapping f GROUP BY CASE WHEN together THEN 0 ELSE f.n END ORDER BY min(f.n) LOOP
        PERFORM onemap.alarm_apply(o.list);
    END LOOP;
    SELECT string_agg(concat_ws(' ', a.device_id, a.opened_at, a.value, a.closed_at, a.closing_value, a.close_reason, a.severity), E'\n' ORDER BY a.device_id, a.opened_at) INTO answer
    FROM onemap.alarm a WHERE a.rule_id = rule;
    RETURN answer || coalesce((SELECT string_agg(concat_ws(' ', p.device_id, p.since), E'\n' ORDER BY p.device_id) FROM onemap.alarm_pending p WHERE p.rule_id = rule), '');
END $$;
SELECT is(pg_temp.flapped(true), pg_temp.flapped(false), 'alarms and what is pending are the same');
SELECT cmp_ok(length(pg_temp.flapped(true)), '>', 4000, 'and there are many of them');

-- ---- clocks that are behind ----
SELECT onemap.vendor_put('dust', 'slow', '{}');
INSERT INTO onemap.device (subsystem, vendor, code, kind, status) SELECT 'dust', 'slow', 'C' || n, 'site_monitor', 'active' FROM generate_series(1, 3) n;
DELETE FROM onemap.device_state;
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, changed_at)
SELECT d.id, now() - CASE d.code WHEN 'C1' THEN interval '8 hours 1 minute' WHEN 'C2' THEN '1 hour 59 minutes' ELSE '3 days' END, now() - interval '1 minute',
    now() - CASE d.code WHEN 'C3' THEN interval '59 minutes' ELSE '1 day' END FROM onemap.device d WHERE d.vendor = 'slow';
CREATE FUNCTION pg_temp.behind() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', o.vendor, o.value, o.text_zh, o.closed_at IS NOT NULL), ', ' ORDER BY o.id) FROM onemap.alarm_overview o WHERE o.key = 'clock_behind' $$;
SELECT is(onemap.presence_clock_sweep(), 1, 'a device that is online and tells of hours ago; one that is back for less than an hour may catch up yet');
SELECT is(pg_temp.behind(), 'slow 1 设备时钟落后：slow（1 台设备在线，最新的数据却是几小时以前的，如 dust C1 早 8.0 小时；差的正好是时区，请厂商查 observed_at_ms 是不是 UTC） f', 'is an alarm of its vendor');
UPDATE onemap.device_state s SET changed_at = now() - interval '2 hours';
SELECT is(onemap.presence_clock_sweep(), 2, 'that has not caught up in an hour');
UPDATE onemap.device_state s SET online = false FROM onemap.device d WHERE d.id = s.device_id AND d.code = 'C1';
SELECT is(onemap.presence_clock_sweep(), 1, 'who is silent is not late');
UPDATE onemap.device_state s SET observed_at = s.last_seen_at;
SELECT is(onemap.presence_clock_sweep(), 0, 'all tell of now');
SELECT matches(pg_temp.behind(), ' t$', 'and the alarm ends by itself');
UPDATE onemap.device_state s SET observed_at = s.last_seen_at - interval '3 hours', online = true;
UPDATE onemap.device_kind k SET offline_after = '1 day' WHERE k.subsystem = 'dust' AND k.key = 'site_monitor';
SELECT is(onemap.presence_clock_sweep(), 0, 'of a kind that is heard once a day nothing newer is expected');
-- A function that ends alarms says why in a sentence, which is to be in onemap.alarm_end.
SELECT is_empty($$SELECT p.proname, m.m[1] FROM pg_proc p, regexp_matches(p.prosrc, '''([a-z]+(?:,? [a-z]+)+)''', 'g') m (m)
    WHERE p.pronamespace = 'onemap'::regnamespace AND p.prosrc ~ 'alarm_(close|clear|settle)\(|close_reason = '
        AND NOT EXISTS (SELECT FROM onemap.alarm_end e WHERE e.reason = m.m[1])$$, 'each end of an alarm has its words in Chinese');
SELECT is(onemap.alarm_end_zh('records arrive again') || onemap.alarm_end_zh('x'), '已恢复上报x', 'and what has none stays');
SELECT is(onemap.alarm_rule_words_zh(r), '高于 120，恢复值 110，持续 60 秒，22:00 至 06:00', 'a limit in Chinese') FROM jsonb_populate_record(NULL::onemap.alarm_rule,
    '{"comparison": "above", "threshold": 120, "clear_threshold": 110, "duration_s": 60, "window_from": "22:00", "window_to": "06:00"}') r;
SELECT onemap.alarm_rule_set('dust', 'pm25_high', '{"source": "县环委办 12 号文 own"}');
SELECT is(r->>'source_zh', '县环委办 12 号文 own', 'as the county wrote it, if the county changed it') FROM jsonb_array_elements(onemap.alarm_rule_list_json('{"edited": true}')) r WHERE r->>'rule' = 'pm25_high';
SELECT is(onemap.alarm_source_zh('assumed'), '假定', 'and of one that nobody changed');
SELECT * FROM finish();
ROLLBACK;
