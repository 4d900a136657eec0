-- Terminals over HTTP: which there are, found by what an operator looks for, why one is refused, who called and is in no list, and who sees what of it.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(36);
SELECT onemap.terminal_add(x::jsonb) FROM (VALUES ('{"protocol": "jt808", "identity": "13800000001", "subsystem": "streetlight", "vendor": "lamps", "device": "L1"}'),
    ('{"protocol": "jt808", "identity": "13800000002", "subsystem": "dust", "vendor": "sites", "device": "T-2", "secret_hash": "' || repeat('ab', 32) || '"}'),
    ('{"protocol": "hj212", "identity": "MN-1", "subsystem": "dust", "vendor": "sites", "device": "D1", "crc": "modbus", "sm4_key": "' || repeat('30', 16) || '"}'),
    ('{"protocol": "json", "identity": "ct", "subsystem": "dust", "vendor": "sites", "dialect": "ctwing", "secret_hash": "' || repeat('cd', 32) || '"}'),
    ('{"protocol": "hj212", "identity": "GONE", "subsystem": "dust", "vendor": "sites"}')) v (x);
SELECT onemap.terminal_revoke('{"protocol": "hj212", "identity": "GONE"}');
UPDATE onemap.device SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'jincheng') WHERE code = 'D1';
UPDATE onemap.device SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'zhaoming') WHERE code = 'L1';
INSERT INTO onemap.device_state (device_id, last_seen_at, observed_at, online) SELECT d.id, now() - interval '1 minute', now() - interval '1 minute', d.code = 'D1'
    FROM onemap.device d WHERE d.code IN ('D1', 'L1');
UPDATE onemap.terminal SET sm4_key_at = now() - interval '91 days' WHERE identity = 'MN-1';
SELECT onemap.terminal_tell('{"protocol": "jt808", "identity": "13800000001", "command": "position"}');
CREATE FUNCTION pg_temp.found(login text, more jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(e->>'identity', ' ' ORDER BY (e->>'id')::int), '') FROM jsonb_array_elements(test.get('http_terminals', test.as(login, more))->'terminals') e $$;
CREATE FUNCTION pg_temp.one(login text, name text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.get('http_terminal', test.as(login, jsonb_build_object('id', t.id))) FROM onemap.terminal t WHERE t.identity = name $$;
CREATE FUNCTION pg_temp.refused(name text, reason text, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT onemap.gateway_report('gw', jsonb_build_object('version', '', 'pending', jsonb_build_array(jsonb_build_object('protocol', CASE WHEN name ~ '^1' THEN 'jt808'
        WHEN name = 'ct' THEN 'json' ELSE 'hj212' END, 'identity', name, 'reason', reason, 'address', '10.9.8.7', 'first_ms', onemap.http_ms(at - interval '1 hour'),
        'last_ms', onemap.http_ms(at), 'frames', 7, 'samples', CASE WHEN reason = 'not_listed' THEN jsonb_build_array(encode('##0101QN=1;PW=654321;MN=X;', 'hex')) ELSE '[]'::jsonb END)))) $$;

-- ---- the list ----
SELECT is(pg_temp.found(x.login, x.more::jsonb), x.wanted, x.login || ' finds ' || x.more) FROM (VALUES ('boss', '{}', '13800000001 13800000002 MN-1 ct'), ('look', '{}', 'MN-1'), ('city', '{}', '13800000001'),
    ('boss', '{"protocol": "jt808"}', '13800000001 13800000002'), ('boss', '{"state": "online"}', 'MN-1'), ('boss', '{"state": "offline"}', '13800000001'), ('boss', '{"state": "never"}', '13800000002'),
    ('boss', '{"state": "source"}', 'ct'), ('boss', '{"key": "none"}', '13800000001'), ('boss', '{"key": "secret"}', '13800000002 ct'), ('boss', '{"key": "old"}', 'MN-1'), ('boss', '{"key": "next"}', ''),
    ('boss', '{"waiting": true}', '13800000001'), ('boss', '{"waiting": false}', '13800000002 MN-1 ct'), ('boss', '{"text": "0002"}', '13800000002'), ('boss', '{"text": "mn d1"}', 'MN-1'),
    ('boss', '{"limit": 2}', '13800000001 13800000002')) AS x (login, more, wanted);
SELECT is(pg_temp.found('boss', jsonb_build_object('after', test.get('http_terminals', test.as('boss', '{"limit": 2}'))->'next')), 'MN-1 ct', 'and goes on behind a page');
SELECT is((SELECT string_agg(concat_ws(' ', e->>'identity', e->>'state', e->>'secret', e->>'key_old', e->>'crc', e->>'dialect'), ', ' ORDER BY e->>'id')
    FROM jsonb_array_elements(test.get('http_terminals', test.as('boss'))->'terminals') e),
    '13800000001 offline false false, 13800000002 never true false, MN-1 online false true modbus, ct source true false ctwing', 'each says how it is');
SELECT ok(NOT test.get('http_terminals', test.as('boss'))::text ~ 'abab|cdcd|3030', 'and not what its secret is');
SELECT throws_ok($$SELECT test.get('http_terminals', test.as('boss', '{"text": "x"}'))$$, 'CH013', NULL, 'one character finds nothing');

-- ---- refused ----
SELECT pg_temp.refused('13800000002', 'wrong_secret', now()), pg_temp.refused('MN-1', 'wrong_check_value', now() - interval '5 minutes'), pg_temp.refused('ct', 'wrong_secret', now()),
    pg_temp.refused('GONE', 'wrong_secret', now()), pg_temp.refused('MN-1', 'not_listed', now()), pg_temp.refused('STRANGER', 'not_listed', now()), pg_temp.refused('13800000001', 'nonsense', now());
SELECT is(pg_temp.found('boss', '{"refused": true}'), '13800000002 ct', 'who is refused and was not heard since');
SELECT is((pg_temp.one('boss', '13800000002')->'refusal') - 'first_at' - 'last_at' - 'advice' - 'advice_zh',
    '{"reason": "wrong_secret", "reason_zh": "口令不对", "gateway": "gw", "address": "10.9.8.7", "frames": 7}', 'why, and from where');
SELECT matches(pg_temp.one('boss', '13800000002')->'refusal'->>'advice_zh', '鉴权码', 'what to do');
SELECT is(pg_temp.one('boss', 'MN-1')->>'refusal', NULL, 'nothing of one that was heard after it');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "jt808", "identity": "13800000002", "subsystem": "dust", "vendor": "sites", "adopt": true}')$$, 'no unknown terminal%',
    'who is in the list is not adopted');
SELECT is((SELECT string_agg(concat_ws(' ', e->>'identity', e->>'reason_zh', e->>'first_frame'), ', ') FROM jsonb_array_elements(test.get('http_terminal_callers', test.as('boss'))->'callers') e),
    'STRANGER 不在名单里 ##0101QN=1;PW=***;MN=X;', 'who is in no list, with its frame without its secret');
SELECT is(test.get('http_terminal_callers', test.as('disp'))->'callers'->0->'first_frame', 'null', 'which is an operator''s to see');
SELECT is(test.get('http_terminal_callers', test.as('city'))->'callers', '[]', 'strangers are no department''s');

-- ---- how many ----
SELECT is(test.get('http_terminal_counts', test.as('boss')), '{"total": 4, "refused": 2, "waiting": 1, "key_old": 1, "callers": 1, "counts": [
    {"protocol": "hj212", "state": "online", "count": 1}, {"protocol": "json", "state": "source", "count": 1}, {"protocol": "jt808", "state": "never", "count": 1},
    {"protocol": "jt808", "state": "offline", "count": 1}]}', 'counted');
SELECT is(test.get('http_terminal_counts', test.as('look')) - 'counts', '{"total": 1, "refused": 0, "waiting": 0, "key_old": 1, "callers": null}', 'for who sees a part its part');

-- ---- one ----
SELECT is(pg_temp.one('look', '13800000001'), NULL, 'not another department''s');
SELECT is(jsonb_array_length(pg_temp.one('boss', '13800000001')->'parameters'), (SELECT count(*)::int FROM onemap.terminal_parameters()), 'what may be set in it');
INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason) SELECT now(), 'dust', 'sites', 'telemetry', 't', convert_to(x.p, 'UTF8'), 'missing_time', 'r'
FROM (VALUES ('{"device_code": "D1"}'), ('{"device_code": "D10"}')) x (p);
SELECT is(jsonb_array_length(pg_temp.one(x.login, 'MN-1')->'messages'), x.count, x.login || ': messages that name its device') FROM (VALUES ('boss', 1), ('look', 0)) x (login, count);

-- ---- as a table ----
SELECT is(regexp_count(test.text('http_terminals_csv', test.as('boss', '{"bom": false, "limit": 100}')), E'\r\n'), 5, 'all, a line each');
SELECT * FROM finish();
ROLLBACK;
