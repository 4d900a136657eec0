-- Keys of monitors: a new one is made once, given by a command that does not show it, and takes the old one's place when it is used.
BEGIN;
SELECT plan(29);
SELECT onemap.vendor_add('{"subsystem": "dust", "vendor": "acme"}');
SELECT onemap.terminal_add(jsonb_build_object('protocol', 'hj212', 'identity', 'MN-1', 'subsystem', 'dust', 'vendor', 'acme', 'sm4_key', repeat('30', 16)));
SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "MN-2", "subsystem": "dust", "vendor": "acme"}');
CREATE FUNCTION pg_temp.tell(name text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.terminal_tell(jsonb_build_object('protocol', 'hj212', 'identity', name, 'command', 'new_key'))
$$;
CREATE FUNCTION pg_temp.say(said jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT onemap.gateway_letter('gw', jsonb_build_object('letter', 'n', 'key', said))::jsonb->'letters'->0->>'kept'
$$;
CREATE FUNCTION pg_temp.listed() RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.gateway_report('gw', '{"version": "old", "pending": []}')::jsonb->'terminals'->0
$$;
CREATE FUNCTION pg_temp.waiting() RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM onemap.terminal_command_report r WHERE r.kind = 'new_key' AND r.state = 'waiting'
$$;

SELECT is((SELECT count(*)::int FROM generate_series(1, 1000) n CROSS JOIN LATERAL (SELECT onemap.terminal_key_text() AS key, n.n) k
    WHERE k.key ~ '^[A-Za-z0-9]{16}$'), 1000, 'keys are 16 characters');
SELECT isnt(onemap.terminal_key_text(), onemap.terminal_key_text(), 'each another');
SELECT throws_ok($$SELECT pg_temp.tell('MN-2')$$, 'CH088', NULL, 'without a key none can be given');
SELECT is(pg_temp.listed() - '{protocol,identity,subsystem,vendor,device}'::text[], jsonb_build_object('sm4_key', repeat('30', 16)), 'a gateway knows the key');
SELECT is(pg_temp.tell('MN-1')->'detail', '{}', 'a command, which does not show the key');
CREATE TEMP TABLE next AS SELECT t.sm4_next AS key, onemap.http_ms(t.sm4_next_at) AS made_ms FROM onemap.terminal t WHERE t.identity = 'MN-1';
SELECT is(pg_temp.listed()->>'sm4_next' || ' ' || (pg_temp.listed()->>'sm4_next_ms'), (SELECT encode(n.key, 'hex') || ' ' || n.made_ms FROM next n),
    'which gateways know by their list');
SELECT is(pg_temp.listed()->>'sm4_key', repeat('30', 16), 'beside the old one');
SELECT lives_ok($$SELECT pg_temp.tell('MN-1')$$, 'once more');
SELECT is(pg_temp.listed()->>'sm4_next', (SELECT encode(n.key, 'hex') FROM next n), 'gives the same key: it may have it already');
SELECT is((SELECT count(*)::int FROM onemap.audit_log l, next n WHERE l.detail::text ~ encode(n.key, 'hex') OR l.detail::text ~ convert_from(n.key, 'UTF8')), 0,
    'no log has it');
SELECT is((SELECT l.secret FROM onemap.terminal_list_table('{}') l WHERE l.identity = 'MN-1'),
    'no, SM4 since ' || onemap.county_time(now(), 'YYYY-MM-DD') || ', next given', 'a list says how it stands');
SELECT is(pg_temp.say(jsonb_build_object('identity', 'MN-1', 'used_ms', (SELECT n.made_ms - 1 FROM next n))), 'true', 'what is said of another key');
SELECT is(pg_temp.listed()->>'sm4_key', repeat('30', 16), 'changes nothing');
SELECT is(pg_temp.waiting(), 2, 'commands wait');
SELECT is(pg_temp.say(jsonb_build_object('identity', 'MN-1', 'used_ms', (SELECT n.made_ms FROM next n))), 'true', 'it is used');
SELECT is(pg_temp.listed() - '{protocol,identity,subsystem,vendor,device}'::text[], (SELECT jsonb_build_object('sm4_key', encode(n.key, 'hex')) FROM next n),
    'and is the terminal''s, alone');
SELECT is(pg_temp.waiting(), 0, 'nothing more is given');
SELECT is((SELECT l.detail FROM onemap.audit_log l WHERE l.action = 'terminal_key_changed'), '{"protocol": "hj212", "identity": "MN-1", "gateway": "gw"}', 'noted');
SELECT is(pg_temp.say(jsonb_build_object('identity', 'MN-1', 'used_ms', (SELECT n.made_ms FROM next n))), 'true', 'said again it is the same');

-- ---- a terminal asks ----
SELECT is(pg_temp.say('{"identity": "MN-2", "asked": true}'), 'false', 'who has no key gets none');
UPDATE onemap.terminal_command c SET asked_at = now() - interval '11 minutes';
SELECT is(pg_temp.say('{"identity": "MN-1", "asked": true}') || pg_temp.say('{"identity": "MN-1", "asked": true}'), 'truetrue', 'it asks, and repeats itself');
SELECT is(pg_temp.waiting(), 1, 'and is given one');
SELECT is(pg_temp.say('{"identity": "MN-1"}') || pg_temp.say('{"identity": "MN-1", "used_ms": 1e300}'), 'falsefalse', 'nonsense is not kept');

-- ---- by hand ----
SELECT onemap.terminal_add(jsonb_build_object('protocol', 'hj212', 'identity', 'MN-1', 'subsystem', 'dust', 'vendor', 'acme', 'sm4_key', repeat('31', 16)));
SELECT is(pg_temp.listed() - '{protocol,identity,subsystem,vendor,device}'::text[], jsonb_build_object('sm4_key', repeat('31', 16)), 'another key by hand is the only one');
SELECT is((SELECT w.warning FROM onemap.terminal_key_warning() w), NULL, 'nobody is warned of a new key');
UPDATE onemap.terminal t SET sm4_key_at = now() - interval '91 days' WHERE t.identity = 'MN-1';
SELECT matches((SELECT w.warning FROM onemap.terminal_key_warning() w), '^1 terminals .* 90 days, the longest MN-1:', 'but of one of 91 days');
SELECT is((SELECT w.warning_zh FROM onemap.terminal_key_warning() w), '1 台终端的 SM4 密钥已用 90 天以上，最久的是 MN-1。请更换：cityhub terminal tell --command new_key', 'in Chinese, too');
SELECT onemap.terminal_revoke('{"protocol": "hj212", "identity": "MN-1"}');
SELECT is((SELECT w.warning FROM onemap.terminal_key_warning() w), NULL, 'not of who may not speak');
SELECT is((SELECT t.sm4_key IS NULL AND t.sm4_next IS NULL FROM onemap.terminal t WHERE t.identity = 'MN-1'), true, 'its keys are gone');
SELECT * FROM finish();
ROLLBACK;
