-- Terminals and the gateways' list of them.
BEGIN;
SELECT plan(41);
SELECT onemap.vendor_add('{"subsystem": "dust", "vendor": "acme"}'), onemap.vendor_add('{"subsystem": "gas", "vendor": "acme"}');

SELECT is(onemap.terminal_add('{"protocol": "jt808", "identity": "0013800138000", "subsystem": "dust", "vendor": "acme"}'),
    '{"outcome": "added", "protocol": "jt808", "identity": "13800138000", "subsystem": "dust", "vendor": "acme", "device": "13800138000", "secret": false}',
    'a phone without its zeros, the device is called like it');
SELECT is(onemap.terminal_add(jsonb_build_object('protocol', 'jt808', 'identity', '13800138000', 'subsystem', 'gas', 'vendor', 'acme', 'crc', '',
        'secret_hash', repeat('ab', 32)))->>'outcome', 'changed', 'the same phone with more zeros is the same terminal');
SELECT is((SELECT t.device_code || ' ' || t.subsystem || ' ' || t.crc || ' ' || t.offset_minutes FROM onemap.terminal t), '13800138000 gas standard 480',
    'what is not named stays');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "json", "identity": "a.b", "subsystem": "dust", "vendor": "acme"}')$$, '%must have no dot%', 'of a source');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "json", "identity": "ab", "subsystem": "dust", "vendor": "acme"}')$$, '%must have a secret%', 'and its secret');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "modbus", "identity": "1", "subsystem": "dust", "vendor": "acme"}')$$, 'protocol must be%', 'a protocol');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "hj212", "subsystem": "dust", "vendor": "acme"}')$$, 'identity%', 'an identity');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "a b", "subsystem": "dust", "vendor": "acme"}')$$, 'identity "a b"%', 'a good one');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "1", "subsystem": "water", "vendor": "acme"}')$$, '%has no vendor "acme"%', 'a vendor');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "1", "subsystem": "dust", "vendor": "acme", "offset_minutes": "900"}')$$,
    'offset_minutes%', 'a clock');
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "1", "subsystem": "dust", "vendor": "acme", "adopt": true}')$$,
    'no unknown terminal%', 'adopt: it must have called');
SELECT throws_like(format($$SELECT onemap.terminal_add('{"protocol": "jt808", "identity": "%s", "subsystem": "gas", "vendor": "acme"}')$$, x.identity),
    '%a phone has up to 20 digits%', x.identity || ' is never on the line') FROM (VALUES ('truck-1'), (repeat('138', 7))) x (identity);
SELECT is(onemap.terminal_import('[]'), '{"problems": [{"line": 1, "problem": "the file has no terminals"}]}', 'a file that enters nothing is refused');

-- ---- a gateway ----
SELECT is(onemap.gateway_report('gw1', '{"version": "", "unknown": "pending", "figures": {"terminals": 0}, "pending": []}')::jsonb - 'version',
    jsonb_build_object('ended', '[]'::jsonb, 'terminals', jsonb_build_array(jsonb_build_object('protocol', 'jt808', 'identity', '13800138000',
        'subsystem', 'gas', 'vendor', 'acme', 'device', '13800138000', 'secret', repeat('ab', 32)))), 'is told the list that it does not have');
SELECT is(onemap.gateway_report('gw1', jsonb_build_object('version', onemap.terminal_version(), 'pending', '[]'::jsonb)), NULL, 'and not the one that it has');
SELECT is(onemap.gateway_report('gw/1', '{"version": ""}'), NULL, 'an instance is a level of a topic');
SELECT lives_ok($$SELECT onemap.gateway_report('gw1', jsonb_build_object('version', onemap.terminal_version(), 'unknown', 'pending', 'pending', '[
    {"protocol": "hj212", "identity": "NEW-1", "address": "1.2.3.4", "first_ms": 1760000000000, "last_ms": 1760000001000, "frames": 2, "samples": ["2323"]},
    {"protocol": "jt808", "identity": "13800138000", "address": "1.2.3.4", "first_ms": 1760000000000, "last_ms": 1760000001000, "frames": 2, "samples": []},
    {"protocol": "evil", "identity": "x", "first_ms": 1, "last_ms": 1, "frames": 1},
    {"protocol": "hj212", "first_ms": 1, "last_ms": 1, "frames": 1}]'::jsonb))$$, 'it reports who called');
SELECT results_eq($$SELECT p.protocol, p.identity, p.frames, p.first_frame FROM onemap.terminal_pending_table('{}') p$$,
    $$VALUES ('hj212', 'NEW-1', 2::bigint, '##')$$, 'of whom those are kept that are no terminals and could be');
SELECT is(onemap.terminal_add('{"protocol": "hj212", "identity": "NEW-1", "subsystem": "dust", "vendor": "acme", "adopt": true}')->>'outcome', 'added', 'adopted');
SELECT is((SELECT count(*)::int FROM onemap.terminal_pending), 0, 'and no longer unknown');
SELECT is((SELECT g.list FROM onemap.gateway_list_table('{}') g), 'old', 'the gateway does not have it yet');
SELECT is(onemap.terminal_revoke('{"protocol": "hj212", "identity": "NEW-1"}'), '{"identity": "NEW-1", "revoked": true}', 'revoked');
SELECT is(onemap.terminal_revoke('{"protocol": "hj212", "identity": "NEW-1"}')->'revoked', 'false', 'only once');
SELECT throws_like($$SELECT onemap.terminal_revoke('{"protocol": "hj212", "identity": "NOBODY"}')$$, 'there is no terminal%', 'nobody');
SELECT is(jsonb_array_length(onemap.gateway_report('gw1', '{"version": "old", "pending": []}')::jsonb->'terminals'), 1, 'whoever is revoked is not in the list');
-- A clock that was ahead when one was changed, and a change that is committed after a later one: gateways learn of what is changed then.
UPDATE onemap.terminal t SET changed_at = now() + interval '2 years' WHERE t.protocol = 'jt808';
SELECT onemap.terminal_version() AS had \gset
SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "NEW-2", "subsystem": "dust", "vendor": "acme"}');
SELECT isnt(onemap.gateway_report('gw1', jsonb_build_object('version', :'had'::text, 'pending', '[]'::jsonb)), NULL, 'of one more');
SELECT onemap.terminal_version() AS had \gset
SELECT onemap.terminal_revoke('{"protocol": "hj212", "identity": "NEW-2"}');
SELECT isnt(onemap.gateway_report('gw1', jsonb_build_object('version', :'had'::text, 'pending', '[]'::jsonb)), NULL, 'and of one that is revoked');

SELECT throws_ok(format($$SELECT * FROM onemap.%I('{"vendor": "moon"}')$$, f.f), 'CH013', 'there is no vendor "moon"', f.f || ' of no such vendor')
FROM unnest('{terminal_list_table,terminal_command_table}'::text[]) f (f);

-- ---- who logs in at the broker by a token ----
SELECT is((SELECT count(*)::int FROM onemap.terminal_tokens()), 0, 'no terminal of another protocol');
SELECT lives_ok(format($$SELECT onemap.terminal_add('{"protocol": "json", "identity": "%s", "subsystem": "%s", "vendor": "acme", "secret_hash": "%s"}')$$,
    x.identity, x.subsystem, repeat('abcd', 16)), 'a source ' || x.identity) FROM (VALUES ('tb-1', 'dust'), ('tb-2', 'gas')) x (identity, subsystem);
SELECT results_eq('SELECT t.identity, t.hash FROM onemap.terminal_tokens() t', $$VALUES ('tb-1', repeat('abcd', 16)), ('tb-2', repeat('abcd', 16))$$,
    'each source by its secret');
DO $$BEGIN
    PERFORM onemap.terminal_revoke('{"protocol": "json", "identity": "tb-1"}');
    UPDATE onemap.vendor v SET revoked_at = now() WHERE v.subsystem = 'gas';
END$$;
SELECT is((SELECT count(*)::int FROM onemap.terminal_tokens()), 0, 'none whose own right or whose vendor''s has ended');
SELECT is((SELECT jsonb_path_query_array(onemap.gateway_report('gw1', '{"version": "old", "pending": []}')::jsonb, '$.ended[*].identity')), '["tb-1"]',
    'gateways know whose it is what it said before');
SELECT is((SELECT count(*)::int FROM onemap.audit_log l WHERE l.action LIKE 'terminal_%' AND l.detail::text ~ 'abab'), 0, 'no log has a hash');

-- ---- a list that is too large for a message ----
INSERT INTO onemap.terminal (protocol, identity, subsystem, vendor, device_code, secret_hash, sm4_key, sm4_key_at)
SELECT 'jt808', to_char(i, 'FM000000000000'), 'dust', 'acme', repeat('d', 100), sha256('x'), k.key, CASE WHEN k.key IS NOT NULL THEN now() END
FROM generate_series(1, 19000) i, LATERAL (SELECT CASE WHEN i % 2 = 0 THEN decode(md5('x'), 'hex') END) k (key);
SELECT lives_ok($$SELECT onemap.terminal_add('{"protocol": "json", "identity": "tb-8", "subsystem": "dust", "vendor": "acme", "secret_hash": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"}')$$, 'a list that just fits');
SELECT cmp_ok(octet_length(onemap.gateway_report('gw1', '{"version": "old", "pending": []}')), '<', 8388608, 'is a message that a broker passes on');
UPDATE onemap.terminal t SET device_code = repeat('e', 128) WHERE t.device_code LIKE 'd%';
SELECT throws_like($$SELECT onemap.terminal_add('{"protocol": "json", "identity": "tb-9", "subsystem": "dust", "vendor": "acme", "secret_hash": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"}')$$,
    'the list of terminals has about%', 'one that does not is refused');
SELECT throws_like($$SELECT onemap.terminal_import('[{"line": 2, "protocol": "json", "identity": "tb-9", "subsystem": "dust", "vendor": "acme", "secret_hash": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"}]')$$,
    'the list of terminals has about%', 'by a file, too');
SELECT * FROM finish();
ROLLBACK;
