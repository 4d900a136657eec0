-- Conformity of vendors: what batches and documents leave is added up once, by the county's days, and read whole before and after; what
-- counts against a vendor and what does not; who sees which vendor.
BEGIN;
SELECT plan(31);
UPDATE onemap.setting SET value = 'Asia/Shanghai' WHERE key = 'time_zone';
INSERT INTO onemap.department (code, name_zh, kind) VALUES ('huanbao', '环保局', 'county'), ('ranqi', '燃气办', 'county');
SELECT onemap.vendor_add('{"subsystem": "dust", "vendor": "acme", "department": "huanbao", "company": "某某科技"}'),
    onemap.vendor_add('{"subsystem": "gas", "vendor": "beta", "department": "ranqi"}');
CREATE FUNCTION pg_temp.days() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s: %s %s %s', c.day, c.vendor, c.messages, c.records, onemap.conformity_rate(c.records, c.refused, c.unjudged, c.flawed)), ', '
        ORDER BY c.day, c.vendor) FROM onemap.vendor_conformity c $$;
CREATE FUNCTION pg_temp.found() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s %s %s %s %s', f.day, f.fate, f.code, f.field, f.findings, f.example->>'reason'), ', ' ORDER BY f.day, f.fate, f.code, f.field)
    FROM onemap.vendor_finding f $$;

-- What batches add. 16:00 UTC is midnight in the county.
SET LOCAL ROLE cityhub_hub;
SELECT lives_ok($$INSERT INTO onemap.vendor_intake (received_at, subsystem, vendor, messages, replayed, records, refused, flawed, unjudged, findings) VALUES
    ('2026-03-01 15:45Z', 'dust', 'acme', 2, 0, 10, 1, 2, 0, '[{"fate": "refused", "code": "missing_time", "n": 1, "example": {"reason": "old", "received_at_ms": 1}},
        {"fate": "warning", "code": "no_value", "field": "pm25_ug_m3", "n": 5}]'),
    ('2026-03-01 16:00Z', 'dust', 'acme', 1, 0, 1, 0, 0, 0, NULL),
    ('2026-03-01 15:45Z', 'dust', 'acme', 1, 1, 10, 2, 0, 0, '[{"fate": "refused", "code": "missing_time", "n": 2, "example": {"reason": "new", "received_at_ms": 2}}]'),
    ('2026-03-01 15:45Z', 'gas', 'beta', 1, 0, 3, 3, 0, 3, NULL)$$, 'the hub adds rows');
SELECT throws_ok($$DELETE FROM onemap.vendor_intake$$, '42501', NULL, 'and takes none away');
SELECT throws_ok($$UPDATE onemap.vendor_day SET flawed = 0$$, '42501', NULL, 'nor changes a day');
RESET ROLE;
SELECT is(pg_temp.days(), '2026-03-01 acme: 3 20 75.00, 2026-03-01 beta: 1 3 , 2026-03-02 acme: 1 1 100.00', 'read before they are added up; of nothing there is no rate');
SELECT is(pg_temp.found(), '2026-03-01 refused missing_time  3 new, 2026-03-01 warning no_value pm25_ug_m3 5 ', 'with what was found, and the last example');
SET LOCAL ROLE cityhub_hub;
SELECT is(onemap.conformity_add(), 4::bigint, 'added up by the hub''s job');
SELECT is(onemap.conformity_add(), 0::bigint, 'once');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM onemap.vendor_intake), 0, 'nothing is left');
SELECT is(pg_temp.days(), '2026-03-01 acme: 3 20 75.00, 2026-03-01 beta: 1 3 , 2026-03-02 acme: 1 1 100.00', 'the same after');
SELECT is(pg_temp.found(), '2026-03-01 refused missing_time  3 new, 2026-03-01 warning no_value pm25_ug_m3 5 ', 'and what was found');
INSERT INTO onemap.vendor_intake (received_at, subsystem, vendor, messages, records, refused, findings) VALUES
    ('2026-03-01 15:45Z', 'dust', 'acme', 1, 1, 1, '[{"fate": "refused", "code": "missing_time", "n": 1}]');
SELECT is(pg_temp.days(), '2026-03-01 acme: 4 21 71.42, 2026-03-01 beta: 1 3 , 2026-03-02 acme: 1 1 100.00', 'more of a day that is added up; never rounded up');
SELECT onemap.conformity_add();
SELECT is(pg_temp.found(), '2026-03-01 refused missing_time  4 new, 2026-03-01 warning no_value pm25_ug_m3 5 ', 'an example stays where there is no newer one');

-- Documents: every record once, whatever became of it.
DELETE FROM onemap.vendor_day; DELETE FROM onemap.vendor_day_finding;
CREATE FUNCTION pg_temp.inventory(more jsonb, VARIADIC records jsonb[]) RETURNS void LANGUAGE sql AS $$
    SELECT onemap.message_store(jsonb_build_object('subsystem', 'dust', 'vendor', 'acme', 'kind', 'inventory', 'topic', 't', 'message', 'm-1',
        'received_at_ms', 1772380800000, 'total', cardinality(records), 'problems', '[]'::jsonb,
        'records', (SELECT jsonb_agg(jsonb_build_object('index', n - 1) || r ORDER BY n) FROM unnest(records) WITH ORDINALITY u (r, n))) || more, 'p') $$;
SELECT pg_temp.inventory('{"findings": [{"fate": "warning", "code": "place_outside", "field": "position", "n": 1}]}',
    '{"record": {"device_code": "D-1", "kind": "site_monitor"}}', '{"record": {"device_code": "D-2", "kind": "site_monitor"}, "found": true}',
    '{"record": {"device_code": "D-3", "kind": "no such kind"}}', '{"record": {"device_code": "D-4", "kind": "nor such"}, "found": true}',
    '{"record": {"device_code": "D-5", "kind": "site_monitor", "department_code": "nobody"}}');
SELECT is((SELECT ROW(messages, records, refused, flawed, unjudged, duplicates)::text FROM onemap.vendor_conformity), '(1,5,2,2,0,0)', 'stored, refused, stored with something to mend');
SELECT is((SELECT string_agg(concat_ws(' ', fate, code, field, findings, example->>'device', example->>'message'), ', ' ORDER BY fate, code) FROM onemap.vendor_finding),
    'field unknown_reference department_code 1 D-5 m-1, refused unknown_reference  2 D-4 m-1, warning place_outside position 1', 'what decoding found, and what storing did');
SELECT pg_temp.inventory('{}', '{"record": {"device_code": "D-1", "kind": "site_monitor"}}');
SELECT is((SELECT ROW(messages, records, refused, flawed, duplicates)::text FROM onemap.vendor_conformity), '(2,6,2,2,1)', 'what comes again is a record with nothing to mend');
SELECT pg_temp.inventory('{"first_received_ms": 1772380700000}', '{"record": {"device_code": "D-9", "kind": "no such kind"}}');
SELECT is((SELECT ROW(messages, replayed, records, refused)::text FROM onemap.vendor_conformity), '(2,1,6,2)', 'what the county sends again counts as that alone');
SELECT is((SELECT sum(findings)::int FROM onemap.vendor_finding), 4, 'and nothing is found in it');
SELECT is((SELECT string_agg(c || ' ' || coalesce(onemap.conformity_excuse(c), '-'), ', ' ORDER BY c) FROM unnest('{over_range,place_doubtful,refused_by_database,empty_message,no_value}'::text[]) c),
    'empty_message nothing, no_value -, over_range said, place_doubtful said, refused_by_database database', 'what does not count against a vendor');

-- Who sees what.
SELECT onemap.conformity_add();
SELECT onemap.user_add(jsonb_build_object('login', l, 'name', '某', 'posts', p, 'password_hash', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA') || more)
FROM (VALUES ('boss', 'admin', '{}'::jsonb), ('gas', 'department', '{"department": "ranqi"}')) v (l, p, more);
CREATE FUNCTION pg_temp.request(login text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('identity', onemap.identity_of_account(a.id) || '{"address": "10.1.2.3"}') || more FROM onemap.account a WHERE a.login = $1 $$;
CREATE FUNCTION pg_temp.listed(login text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', v->>'vendor', v->>'records', v->>'rate', v->'rates'->>'month'), ', ' ORDER BY v->>'vendor')
    FROM onemap.http_vendor_conformity(pg_temp.request(login, more)) h, json_array_elements(h.body->'vendors') v $$;
SELECT is(pg_temp.listed('boss', '{"from": "2026-03-01", "to": "2026-03-31"}'), 'acme 6 33.33, beta', 'all vendors, those that sent nothing too');
SELECT is(pg_temp.listed('boss', '{"from": "2026-03-01", "to": "2026-03-01"}'), 'acme, beta', 'of these days alone');
SELECT is(pg_temp.listed('gas', '{"from": "2026-03-01", "to": "2026-03-31"}'), 'beta', 'a department sees its own vendors');
SELECT is((SELECT json_array_length(h.body->'findings') FROM onemap.http_vendor_conformity_findings(pg_temp.request('gas', '{"from": "2026-03-01", "to": "2026-03-31"}')) h), 0, 'and what was found in theirs');
SELECT is((SELECT json_array_length(h.body->'days') FROM onemap.http_vendor_conformity_days(pg_temp.request('gas', '{"from": "2026-03-01", "to": "2026-03-31"}')) h), 0, 'and their days');
SELECT is((SELECT count(*)::int FROM onemap.http_vendor_conformity_csv(pg_temp.request('gas', '{"from": "2026-03-01", "to": "2026-03-31"}'))), 1, 'and their lines');
SELECT is((SELECT h.body FROM onemap.http_vendor_conformity_csv(pg_temp.request('boss', '{"from": "2026-03-01", "to": "2026-03-31"}')) h OFFSET 1),
    E'2026-03-02,dust,acme,,33.33,2,6,4,2,2,0,1,0,0,0,0,1\r\n', 'a line a vendor and day');
SELECT is((SELECT string_agg(concat_ws(' ', f->>'code', f->>'findings', f->>'quarantined'), ', ' ORDER BY f->>'fate')
    FROM onemap.http_vendor_conformity_findings(pg_temp.request('boss', jsonb_build_object('vendor', 'acme', 'from', '2026-03-01', 'to', '2026-03-31'))) h, json_array_elements(h.body->'findings') f),
    'unknown_reference 1 1, unknown_reference 2 1, place_outside 1', 'with the messages that quarantine has of it');
SELECT is((SELECT json_array_length(h.body->'messages') FROM onemap.http_quarantine(pg_temp.request('boss',
    '{"vendor": "acme", "problem": "unknown_reference", "from": "2026-03-02", "to": "2026-03-03", "limit": 100}')) h), 1, 'which are those that are listed');
SELECT throws_ok($$SELECT * FROM onemap.http_vendor_conformity(pg_temp.request('boss', '{"from": "2026-03-02", "to": "2026-03-01"}'))$$, 'CH013', NULL, 'days the wrong way round');
SELECT throws_ok($$SELECT * FROM onemap.http_vendor_conformity_days(pg_temp.request('boss', '{"vendor": "moon"}'))$$, 'CH013', NULL, 'no such vendor');
SELECT is((SELECT string_agg(concat_ws(' ', t.vendor, t.rate, t.records), ', ') FROM onemap.vendor_conformity_table('{"from": "2026-03-01", "to": "2026-03-31"}') t), 'acme 33.33 6, beta', 'as the command shows it');

-- What is old goes; examples when quarantine has their messages no more.
UPDATE onemap.retention_clock SET moment = '2026-04-10', moved_at = now();
SELECT onemap.delivery_maintain(30, 30);
SELECT is((SELECT ROW(count(*), count(example))::text FROM onemap.vendor_day_finding), '(3,0)', 'examples go, counts stay');
SELECT * FROM finish();
ROLLBACK;
