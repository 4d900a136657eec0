-- Media of terminals: kept once, within bounds.
BEGIN;
SELECT plan(11);
SELECT onemap.vendor_add('{"subsystem": "construction_waste", "vendor": "trucks"}');
SELECT onemap.terminal_add(format('{"protocol": "jt808", "identity": "1380000000%s", "subsystem": "construction_waste", "vendor": "trucks"}', n)::jsonb)
FROM generate_series(1, 2) n;
CREATE FUNCTION pg_temp.letter(phone int, id bigint, size int, fill text DEFAULT 'ab') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('letter', 'x', 'media', jsonb_build_object('protocol', 'jt808', 'identity', '1380000000' || phone, 'id', id,
        'kind', 0, 'format', 0, 'event', 1, 'channel', 2, 'data', encode(decode(repeat(fill, size), 'hex'), 'base64'))))
$$;
SELECT is(onemap.gateway_letter('gw', pg_temp.letter(1, 7, NULL))::jsonb, '{"letters": [{"letter": "x", "kept": true}], "tell": []}', 'an announcement');
SELECT is(onemap.gateway_letter('gw', pg_temp.letter(1, 7, NULL))::jsonb->'letters'->0->'kept', 'true', 'again');
SELECT results_eq('SELECT r.device_code, r.kind, r.format, r.size_bytes FROM onemap.gateway_media_report r',
    $$VALUES ('13800000001', 'picture', 'JPEG', NULL::int)$$, 'is seen once, without bytes');
SELECT is(onemap.gateway_letter('gw', pg_temp.letter(1, 7, 1000))::jsonb->'letters'->0->'kept', 'true', 'its picture');
SELECT is(onemap.gateway_letter('gw', pg_temp.letter(1, 7, 1000))::jsonb->'letters'->0->'kept', 'true', 'whose answer was lost');
SELECT results_eq('SELECT m.size_bytes, m.content = decode(repeat(''ab'', 1000), ''hex'') FROM onemap.gateway_media m', 'VALUES (1000, true)',
    'is there once, in place of the announcement');
SELECT is(onemap.gateway_letter('gw', pg_temp.letter(9, 7, 10))::jsonb->'letters'->0->'kept', 'false', 'nobody''s is not kept');
SELECT is(onemap.gateway_letter('gw', '{"letter": "x", "media": {"protocol": "jt808", "identity": "13800000001", "id": "x"}}')::jsonb->'letters'->0->'kept',
    'false', 'nor what is none');
SELECT is(onemap.gateway_letter('gw', '{"letter": "x", "other": 1}')::jsonb->'letters'->0->'kept', 'false', 'nor what is not known');
UPDATE onemap.setting s SET value = '1' WHERE s.key = 'gateway_media_terminal_mib';
UPDATE onemap.setting s SET value = '2' WHERE s.key = 'gateway_media_mib';
SELECT onemap.gateway_letter('gw', pg_temp.letter(1, 10 + n, 400000)) FROM generate_series(1, 4) n;
SELECT results_eq('SELECT m.media_id FROM onemap.gateway_media m ORDER BY m.id', 'VALUES (13::bigint), (14)', 'a terminal''s oldest go');
SELECT onemap.gateway_letter('gw', pg_temp.letter(2, 20 + n, 400000)) FROM generate_series(1, 2) n;
UPDATE onemap.setting s SET value = '1' WHERE s.key = 'gateway_media_mib';
SELECT onemap.gateway_letter('gw', pg_temp.letter(2, 23, 100));
SELECT results_eq('SELECT m.media_id FROM onemap.gateway_media m ORDER BY m.id', 'VALUES (21::bigint), (22), (23)', 'and of all the oldest');
SELECT * FROM finish();
ROLLBACK;
