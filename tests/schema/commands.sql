-- What `cityhub vendor` and `cityhub quarantine` call.
BEGIN;
SELECT plan(57);
INSERT INTO onemap.department (code, name_zh, kind, active) VALUES ('street', '街道', 'street', true), ('old', '旧', 'county', false);

-- Times as people type them. The county is at UTC+8.
SELECT is(onemap.typed_time('2026-11-24'), '2026-11-23 16:00Z'::timestamptz, 'a date begins at the county''s midnight');
SELECT is(onemap.typed_time('2026-11-24 08:00'), '2026-11-24 00:00Z'::timestamptz, 'date and time in the county''s zone');
SELECT is(onemap.typed_time('2026-11-24T08:00:30.5'), '2026-11-24 00:00:30.5Z'::timestamptz, 'with a T and a fraction');
SELECT is(onemap.typed_time('2026-11-24T08:00:00Z'), '2026-11-24 08:00Z'::timestamptz, 'UTC by its Z');
SELECT is(onemap.typed_time('2026-11-24 08:00+01'), '2026-11-24 07:00Z'::timestamptz, 'an offset of hours');
SELECT is(onemap.typed_time('2026-11-24 08:00:00 -05:30'), '2026-11-24 13:30Z'::timestamptz, 'an offset of hours and minutes');
SELECT is(onemap.typed_time('2 hours'), now() - interval '2 hours', 'how long ago');
SELECT is(onemap.typed_time('1 day ago'), now() - interval '1 day', 'with or without ago');
SELECT is(onemap.typed_time(NULL), NULL, 'nothing is nothing');
SELECT throws_ok($$SELECT onemap.typed_time('yestermorrow')$$, '22007', '"yestermorrow" is no time', 'a word is no time');
SELECT throws_ok($$SELECT onemap.typed_time('2026-02-30')$$, '22007', '"2026-02-30" is no time', 'nor a day that does not exist');
SELECT throws_ok($$SELECT onemap.typed_time('2026-02-03T00:00:00+99:99')$$, '22007', '"2026-02-03T00:00:00+99:99" is no time', 'nor an offset');
SELECT throws_ok($$SELECT onemap.typed_time('')$$, '22007', NULL, 'nor is nothing typed');
SELECT throws_ok($$SELECT onemap.typed_time('99999999999999999999 days')$$, '22007', NULL, 'nor more days than there are');
SELECT throws_ok($$SELECT onemap.typed_time('99999999 weeks')$$, '22007', NULL, 'nor a time before all times');
UPDATE onemap.setting SET value = 'UTC' WHERE key = 'time_zone';
SELECT is(onemap.typed_time('2026-11-24'), '2026-11-24 00:00Z'::timestamptz, 'the setting rules');

-- Vendors.
\set hash '''$7$10000$AAAAAAAAAAAAAAAA$' `printf 'B%.0s' $(seq 86)` '=='''
SELECT is(onemap.vendor_add(jsonb_build_object('subsystem', 'dust', 'vendor', 'acme', 'name_zh', '甲', 'department', 'street', 'silent_after', '5 minutes')),
    '{"subsystem": "dust", "vendor": "acme", "created": true, "login": false}', 'a new vendor');
SELECT is((SELECT ROW(name_zh, silent_after, department, devices, login)::text FROM onemap.vendor_overview WHERE vendor = 'acme'), '(甲,00:05:00,street,0,f)', 'as the list shows it');
SELECT is(onemap.vendor_add(jsonb_build_object('subsystem', 'dust', 'vendor', 'acme', 'password_hash', :hash)),
    '{"subsystem": "dust", "vendor": "acme", "created": false, "login": true}', 'a change, with a login');
SELECT is((SELECT name_zh FROM onemap.vendor WHERE vendor = 'acme'), '甲', 'the rest stays');
SELECT is(onemap.vendor_add('{"subsystem": "gas", "vendor": "acme"}'), '{"subsystem": "gas", "vendor": "acme", "created": true, "login": true}', 'one login for all subsystems');
CREATE FUNCTION pg_temp.refused(settings jsonb, message text) RETURNS text LANGUAGE sql AS $$
    SELECT throws_ok(format('SELECT onemap.vendor_add(%L)', settings), NULL, message, 'refused: ' || message) $$;
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "colour": "red"}', 'unknown setting "colour" of a vendor');
SELECT pg_temp.refused('{"subsystem": "nonsense", "vendor": "x"}', '"nonsense" is no subsystem');
SELECT pg_temp.refused('{"vendor": "x"}', '"<NULL>" is no subsystem');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "A"}', '"A" cannot be the name of a vendor');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "a/b"}', '"a/b" cannot be the name of a vendor');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "hub"}', '"hub" cannot be the name of a vendor');
SELECT pg_temp.refused('{"subsystem": "dust"}', '"<NULL>" cannot be the name of a vendor');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "department": "nowhere"}', '"nowhere" is no department');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "department": "old"}', '"old" is no department');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "unknown_devices": "maybe"}', 'unknown_devices must be register or quarantine, not "maybe"');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "receipts": "some"}', 'receipts must be all or problems, not "some"');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "silent_after": "9 seconds"}', 'silent_after must be 10 seconds or more, not "9 seconds"');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "silent_after": "a while"}', 'invalid input syntax for type interval: "a while"');
SELECT pg_temp.refused('{"subsystem": "dust", "vendor": "x", "password_hash": "secret"}', 'the password hash has not the form of mosquitto''s PBKDF2-SHA512, nor of RabbitMQ''s salted SHA-256');
SELECT is((SELECT count(*)::int FROM onemap.vendor WHERE vendor = 'x'), 0, 'nothing of a refused one is stored');
SELECT is((SELECT count(*)::int FROM onemap.audit_log a WHERE a.detail::text LIKE '%BBBB%'), 0, 'the audit log has no hash');

SELECT is((SELECT array_agg(vendor || ' ' || (password_hash IS NOT NULL)) FROM onemap.vendor_logins()), '{"acme true"}', 'the logins for the broker');
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted), 1, 'under a lock that lasts to the end of the transaction');
SELECT is(onemap.vendor_end('dust', 'acme'), '{"subsystem": "dust", "vendor": "acme", "revoked": true, "login": true}', 'ended in one subsystem: the login stays');
SELECT is(onemap.vendor_end('dust', 'acme'), '{"subsystem": "dust", "vendor": "acme", "revoked": false, "login": true}', 'ended before');
SELECT is(onemap.vendor_end('gas', 'acme'), '{"subsystem": "gas", "vendor": "acme", "revoked": true, "login": false}', 'ended in the last one: the login goes');
SELECT is((SELECT array_agg(vendor || ' ' || (password_hash IS NOT NULL)) FROM onemap.vendor_logins()), '{"acme false"}', 'the broker is told to forget it');
SELECT throws_ok($$SELECT onemap.vendor_end('gas', 'nobody')$$, 'P0001', 'subsystem "gas" has no vendor "nobody"', 'a vendor that is not there');
SELECT is(onemap.vendor_add('{"subsystem": "gas", "vendor": "acme"}'), '{"subsystem": "gas", "vendor": "acme", "created": false, "login": false}', 'whoever comes back has no login yet');
SELECT is_empty($$SELECT * FROM onemap.vendor_logins()$$, 'and the broker''s file is left as it is for it');

-- Quarantine.
INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason, replayed_at)
SELECT '2026-04-01 00:00Z'::timestamptz + make_interval(hours => n), (ARRAY['dust', 'gas'])[1 + n % 2], 'v' || n % 3, (ARRAY['telemetry', 'work'])[1 + n % 2], 't', convert_to(n::text, 'UTF8'), 'c' || n, 'r',
       CASE WHEN n > 8 THEN now() END FROM generate_series(1, 10) n;
CREATE TEMP TABLE first AS SELECT min(id) - 1 AS id FROM onemap.quarantine;
CREATE FUNCTION pg_temp.find(filter jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg((f.id - first.id)::text, ' ' ORDER BY n) FROM (SELECT q.id, row_number() OVER () AS n FROM onemap.quarantine_find(filter) q) f, first $$;
SELECT is(pg_temp.find('{}'), '1 2 3 4 5 6 7 8 9 10', 'without a filter: all, oldest first');
SELECT is(pg_temp.find('{"waiting": true, "newest_first": true, "limit": 3}'), '8 7 6', 'waiting ones, newest first, at most three');
SELECT is(pg_temp.find('{"subsystem": "gas", "vendor": "v0", "kind": "work"}'), '3 9', 'all filters must fit');
SELECT is(pg_temp.find('{"code": "c4"}'), '4', 'by code');
SELECT is(pg_temp.find('{"since": "2026-04-01 08:30"}'), '9 10', 'since a moment');
SELECT is((SELECT pg_temp.find(jsonb_build_object('after', id + 2, 'until', id + 4)) FROM first), '3 4', 'a page by ids');
SELECT is(pg_temp.find('{"kind": "nonsense"}'), NULL, 'none');
SELECT throws_ok($$SELECT * FROM onemap.quarantine_find('{"colour": 1}')$$, 'P0001', 'unknown filter "colour" of the quarantine', 'a mistyped filter is refused');
SELECT throws_ok($$SELECT * FROM onemap.quarantine_find('{"since": "soon"}')$$, '22007', '"soon" is no time', 'a time that is none, too');
SELECT lives_ok($$SELECT * FROM onemap.quarantine_find('{"subsystem": "x'' OR true --"}')$$, 'filters are values, not SQL');
SELECT ok(has_function_privilege('cityhub_read', 'onemap.quarantine_find(jsonb)', 'EXECUTE')
      AND NOT has_function_privilege('cityhub_read', 'onemap.vendor_add(jsonb)', 'EXECUTE'), 'readers find, and add no vendors');
SELECT * FROM finish();
ROLLBACK;
