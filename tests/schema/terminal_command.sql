-- Commands to terminals: who can be told what, bounds, one taking, what becomes of it, and whose terminals are seen.
BEGIN;
SELECT plan(41);
SELECT onemap.vendor_add('{"subsystem": "dust", "vendor": "acme"}');
SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "MN-1", "subsystem": "dust", "vendor": "acme"}');
SELECT onemap.terminal_add('{"protocol": "jt808", "identity": "13800138000", "subsystem": "dust", "vendor": "acme"}');
SELECT onemap.terminal_add(jsonb_build_object('protocol', 'json', 'identity', 'ct', 'subsystem', 'dust', 'vendor', 'acme',
    'secret_hash', repeat('00', 32)));
CREATE FUNCTION pg_temp.tell(protocol text, name text, sent jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.terminal_tell(sent || jsonb_build_object('protocol', protocol, 'identity', name))
$$;
CREATE FUNCTION pg_temp.refuse(protocol text, sent jsonb, code text, why text) RETURNS text LANGUAGE sql AS $$
    SELECT throws_ok(format('SELECT pg_temp.tell(%L, %L, %L)', protocol,
        CASE protocol WHEN 'hj212' THEN 'MN-1' WHEN 'jt808' THEN '013800138000' ELSE 'ct' END, sent), code, NULL, why)
$$;
CREATE FUNCTION pg_temp.letter(said jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.gateway_letter('gw', said || '{"letter": "n"}')::jsonb
$$;
CREATE FUNCTION pg_temp.state(number bigint) RETURNS text LANGUAGE sql AS $$
    SELECT r.state || ' ' || r.state_zh FROM onemap.terminal_command_report r WHERE r.id = number
$$;
CREATE TEMP TABLE told AS SELECT 0::bigint AS id WHERE false;

-- ---- what can be said ----
SELECT pg_temp.refuse('hj212', '{"command": "text", "text": "x"}', 'CH073', 'a monitor has no driver');
SELECT pg_temp.refuse('json', '{"command": "clock"}', 'CH073', 'a platform takes none');
SELECT pg_temp.refuse('jt808', '{}', 'CH073', 'nothing is no command');
SELECT pg_temp.refuse('jt808', '{"command": "text"}', 'CH013', 'a text without one');
SELECT pg_temp.refuse('jt808', '{"command": "text", "text": "🚛"}', 'CH013', 'what GBK has not');
SELECT pg_temp.refuse('jt808', '{"command": "text", "text": "x", "aloud": "perhaps"}', 'CH013', 'no truth');
SELECT pg_temp.refuse('jt808', '{"command": "position", "speed": 1}', 'CH013', 'an unknown field');
SELECT pg_temp.refuse('jt808', '{"command": "set_parameters", "parameters": {"0x0013": "10.0.0.1"}}', 'CH013', 'the address of the platform');
SELECT pg_temp.refuse('jt808', '{"command": "set_parameters", "parameters": {"0x0029": 0}}', 'CH013', 'no interval');
SELECT pg_temp.refuse('jt808', '{"command": "set_parameters", "parameters": {"0x29": 1.5}}', 'CH013', 'half a second');
SELECT pg_temp.refuse('jt808', '{"command": "set_parameters", "parameters": []}', 'CH013', 'no parameter');
SELECT pg_temp.refuse('hj212', '{"command": "set_interval", "interval": 10}', 'CH013', 'the standard has 30 s at the least');
SELECT pg_temp.refuse('hj212', '{"command": "set_interval", "data": "minute", "interval": 7}', 'CH013', 'seven minutes are no part of an hour');
SELECT pg_temp.refuse('hj212', '{"command": "history", "data": "hour", "from": "2026-01-02", "to": "2026-01-01"}', 'CH014', 'backwards');
SELECT pg_temp.refuse('hj212', '{"command": "history", "data": "hour", "from": "never", "to": "2026-01-01"}', 'CH014', 'no time');
SELECT pg_temp.refuse('hj212', '{"command": "clock", "expires_s": 5}', 'CH013', 'too short a time');
SELECT throws_ok($$SELECT pg_temp.tell('jt808', '1', '{"command": "position"}')$$, 'CH013', NULL, 'nobody is told');
SELECT is(pg_temp.tell('jt808', '013800138000', '{"command": "set_parameters", "parameters": {"0x29": 30, "0X0055": 60}}')->'detail',
    '{"parameters": {"0x0029": 30, "0x0055": 60}}', 'parameters by ids of four digits');
SELECT is(pg_temp.tell('hj212', 'MN-1', '{"command": "set_interval", "data": "minute", "interval": 10}')->'detail',
    '{"data": "minute", "interval": 10}', 'an interval');
INSERT INTO told SELECT (pg_temp.tell('jt808', '013800138000', '{"command": "text", "text": "请减速"}')->>'id')::bigint;
SELECT is((SELECT l.detail->>'text' FROM onemap.audit_log l WHERE l.action = 'terminal_command' ORDER BY l.id DESC LIMIT 1), '请减速',
    'who said what is in the audit log');

-- ---- once ----
SELECT is(jsonb_array_length(onemap.gateway_report('gw', jsonb_build_object('version', onemap.terminal_version(), 'pending', '[]'::jsonb))::jsonb
    ->'tell'), 3, 'a gateway with the current list is offered what waits');
SELECT is(jsonb_array_length(onemap.gateway_report('gw', '{"version": "old", "pending": []}')::jsonb->'terminals'), 3, 'one without gets the list first');
SELECT is((SELECT pg_temp.letter(jsonb_build_object('take', jsonb_build_array(t.id, 0, 'x')))->'tell' FROM told t),
    (SELECT jsonb_build_array(jsonb_build_object('protocol', 'jt808', 'identity', '13800138000', 'command', jsonb_build_object('id', t.id,
        'take', 1, 'kind', 'text', 'text', '请减速', 'urgent', false, 'aloud', true))) FROM told t), 'it takes one');
SELECT is((SELECT pg_temp.letter(jsonb_build_object('take', jsonb_build_array(t.id)))->'tell' FROM told t), '[]', 'and nobody has it again');
SELECT is((SELECT pg_temp.state(t.id) FROM told t), 'sent 已发', 'it is sent');
SELECT is((SELECT onemap.gateway_letter('other', jsonb_build_object('settled', jsonb_build_array(jsonb_build_object('id', t.id, 'take', 1,
    'state', 'acknowledged'))))::jsonb->'letters'->0->>'kept' FROM told t), 'true', 'another gateway may say what it wants');
SELECT is((SELECT pg_temp.state(t.id) FROM told t), 'sent 已发', 'but it is not believed');
SELECT pg_temp.letter(jsonb_build_object('settled', jsonb_build_array(jsonb_build_object('id', t.id, 'take', 1, 'state', 'returned')))) FROM told t;
SELECT is((SELECT pg_temp.state(t.id) FROM told t), 'waiting 待发', 'given back it waits');
SELECT pg_temp.letter(jsonb_build_object('take', jsonb_build_array(t.id))) FROM told t;
SELECT pg_temp.letter(jsonb_build_object('settled', jsonb_build_array(jsonb_build_object('id', t.id, 'take', 1, 'state', 'returned')))) FROM told t;
SELECT is((SELECT pg_temp.state(t.id) FROM told t), 'sent 已发', 'and what was said of the first taking is over');
UPDATE onemap.terminal_command c SET sent_at = now() - interval '151 s' FROM told t WHERE c.id = t.id;
SELECT is((SELECT pg_temp.state(t.id) FROM told t), 'unanswered 超时未答', 'without an answer it is said to have none');
SELECT is(pg_temp.letter('{"settled": [{"id": "x", "state": "sent"}]}')->'letters'->0->>'kept', 'false', 'nonsense is not kept');
SELECT pg_temp.letter(jsonb_build_object('settled', jsonb_build_array(jsonb_build_object('id', t.id, 'take', 2, 'state', 'sent',
    'answer', '{"QnRtn": "1"}'::jsonb), jsonb_build_object('id', t.id, 'take', 2, 'state', 'failed', 'answer', '{"ExeRtn": "2"}'::jsonb),
    jsonb_build_object('id', t.id, 'take', 2, 'state', 'acknowledged')))) FROM told t;
SELECT is((SELECT pg_temp.state(t.id) FROM told t), 'failed 失败', 'a late answer counts');
SELECT is((SELECT c.answer FROM onemap.terminal_command c JOIN told t ON t.id = c.id), '{"QnRtn": "1", "ExeRtn": "2"}',
    'and all that it says is kept, in its order');

-- ---- bounds ----
UPDATE onemap.terminal_command c SET expires_at = now() WHERE c.state = 'waiting';
SELECT is((SELECT string_agg(DISTINCT r.state_zh, ' ') FROM onemap.terminal_command_report r WHERE r.state = 'expired'), '过期未发',
    'what no gateway took in time expires');
SELECT is(onemap.gateway_command_offers(), '[]', 'and is offered no more');
UPDATE onemap.terminal_command c SET asked_at = now() + interval '2 years', expires_at = now() + interval '2 years 10 minutes' WHERE c.state = 'waiting';
SELECT is((SELECT string_agg(DISTINCT r.state_zh, ' ') FROM onemap.terminal_command_report r WHERE r.state = 'expired'), '过期未发',
    'so has what was asked by a clock that was ahead');
SELECT is(onemap.gateway_command_offers(), '[]', 'which is not offered for years');
SELECT is((SELECT onemap.gateway_command_take('one', jsonb_agg(c.id)) FROM onemap.terminal_command c WHERE c.state = 'waiting'), '[]', 'nor taken');
SELECT is(count(pg_temp.tell('hj212', 'MN-1', '{"command": "clock"}')), 8::bigint, 'eight may wait for a terminal') FROM generate_series(1, 8);
SELECT pg_temp.refuse('hj212', '{"command": "clock"}', 'CH072', 'and no more');
UPDATE onemap.setting s SET value = '8' WHERE s.key = 'terminal_command_waiting_all';
SELECT pg_temp.refuse('jt808', '{"command": "position"}', 'CH072', 'nor more in all');
SELECT * FROM finish();
ROLLBACK;
