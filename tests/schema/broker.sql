-- The hub's sessions at the broker: names that nobody can guess, and what is to be drained.
BEGIN;
SELECT plan(30);

-- Its two statements see each other's work.
CREATE FUNCTION pg_temp.opened(instance text, counts jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE lanes text[];
BEGIN
    lanes := ARRAY(SELECT format('%s %s %s %s', l.subsystem, l.number, l.secret, l.wanted)
                   FROM onemap.lanes_open($1, $2) WITH ORDINALITY l ORDER BY l.ordinality);
    RETURN ARRAY(SELECT format('%s %s %s %s', p[1], p[2], CASE p[3] WHEN '' THEN 'none' WHEN b.secret THEN 'now' ELSE 'old' END,
                               CASE p[4] WHEN 't' THEN 'wanted' ELSE 'stray' END)
                 FROM onemap.broker_identity b, unnest(lanes) WITH ORDINALITY u(line, place), string_to_array(u.line, ' ') p
                 WHERE b.instance = $1 ORDER BY u.place);
END $$;
GRANT EXECUTE ON FUNCTION pg_temp.opened(text, jsonb) TO PUBLIC;

SET LOCAL ROLE cityhub_hub;
SELECT is(pg_temp.opened('hub1', '{"gas": 1, "dust": 2}'), '{dust 1 now wanted,dust 2 now wanted,gas 1 now wanted}', 'lanes are written down');
SELECT is(pg_temp.opened('hub1', '{"gas": 1, "dust": 2}'), '{dust 1 now wanted,dust 2 now wanted,gas 1 now wanted}', 'and found again');
SELECT is((SELECT count(DISTINCT secret) FROM onemap.broker_identity WHERE secret ~ '^[0-9a-f]{32}$'), 1::bigint, 'with one secret');
SELECT is((SELECT array_agg(client_id ORDER BY client_id) FROM onemap.lane),
    (SELECT array_agg(name || secret ORDER BY name) FROM onemap.broker_identity, unnest('{hub1-dust-1-,hub1-dust-2-,hub1-gas-1-}'::text[]) name),
    'which is the end of every client id');
SELECT is(pg_temp.opened('hub1', '{"gas": 1, "dust": 1}'), '{dust 1 now wanted,gas 1 now wanted,dust 2 now stray}', 'a lane that is taken away is a stray');

-- Another hub whose name begins like ours, and lanes of earlier versions.
SELECT is(pg_temp.opened('hub1-dust', '{"dust": 1}'), '{dust 1 now wanted}', 'another hub has its own');
SELECT is((SELECT count(DISTINCT secret) FROM onemap.broker_identity), 2::bigint, 'and another secret');
SELECT is(pg_temp.opened('hub1', '{"gas": 1, "dust": 2}'), '{dust 1 now wanted,dust 2 now wanted,gas 1 now wanted}', 'neither sees the other''s');
INSERT INTO onemap.lane (client_id, subsystem) VALUES ('hub1-gas-1', 'gas'), ('hub1-gas-12', 'gas'), ('hub1-gas-x', 'gas'), ('hub1-dust-dust-1', 'dust');
SELECT is(pg_temp.opened('hub1', '{"gas": 1}'),
    '{gas 1 now wanted,dust 1 now stray,dust 2 now stray,gas 1 none stray,gas 12 none stray}', 'lanes without a secret are strays');
SELECT is(pg_temp.opened('hub1-dust', '{"dust": 1}'), '{dust 1 now wanted,dust 1 none stray}', 'each of its own hub');
SELECT throws_ok($$UPDATE onemap.broker_identity SET secret = DEFAULT$$, '42501', NULL, 'the hub does not change its secret');
RESET ROLE;

UPDATE onemap.broker_identity SET secret = DEFAULT WHERE instance = 'hub1';
SELECT is(pg_temp.opened('hub1', '{"gas": 1}'),
    '{gas 1 now wanted,dust 1 old stray,dust 2 old stray,gas 1 none stray,gas 1 old stray,gas 12 none stray}', 'a new secret leaves strays');
SELECT throws_ok($$INSERT INTO onemap.broker_identity VALUES ('hub2', 'guessed')$$, '23514', NULL, 'a secret has its form');

-- Nobody else reads them.
SELECT is((SELECT array_agg(r.rolname || ' ' || t ORDER BY 1)
           FROM pg_roles r, unnest('{onemap.lane,onemap.broker_identity}'::text[]) t
           WHERE r.rolname LIKE 'cityhub\_%' AND NOT r.rolsuper AND has_table_privilege(r.oid, t, 'SELECT')
             AND r.oid NOT IN (SELECT relowner FROM pg_class WHERE relname = 'lane')
             AND NOT pg_has_role(r.oid, 'cityhub_hub', 'USAGE')), NULL, 'only the hub reads its names');
SET LOCAL ROLE cityhub_read;
SELECT throws_ok($$SELECT secret FROM onemap.broker_identity$$, '42501', NULL, 'not readers');
SELECT throws_ok($$SELECT client_id FROM onemap.lane$$, '42501', NULL, 'nor by the sessions');
SELECT throws_ok($$SELECT * FROM onemap.lanes_open('hub1', '{}')$$, '42501', NULL, 'nor by the function');

RESET ROLE;

-- A vendor's client ids begin with its name and a "-".
SELECT lives_ok($$SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "north"}')$$, 'a vendor');
SELECT throws_like($$SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "north-gas"}')$$, '"north-gas" cannot be the name of a vendor beside "north"',
    'no name goes on another''s');
SELECT lives_ok($$SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "north_gas"}'), onemap.vendor_add('{"subsystem": "gas", "vendor": "northern"}'),
                         onemap.vendor_add('{"subsystem": "gas", "vendor": "west-gas"}'), onemap.vendor_add('{"subsystem": "gas", "vendor": "west-water"}')$$,
    'others may');
SELECT throws_like($$SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "west"}')$$, '"west" cannot be the name of a vendor beside "west-gas"',
    'nor is another''s the beginning');
INSERT INTO onemap.vendor (subsystem, vendor) VALUES ('gas', 'west');
SELECT lives_ok($$SELECT onemap.vendor_add('{"subsystem": "water", "vendor": "west"}')$$, 'who is there already goes on');
SELECT throws_like($$SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "auto"}')$$, '"auto" cannot be the name of a vendor',
    'names that the broker gives');
SELECT throws_like($$SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "device"}')$$, '"device" cannot be the name of a vendor',
    'or its plugin');
SELECT throws_like(format('SELECT onemap.vendor_add(jsonb_build_object(''subsystem'', ''gas'', ''vendor'', %L))', v.name), '%cannot be the name of a vendor beside%',
    v.name || ': nor what could be a session of theirs') FROM (VALUES ('gateway-gw1'), ('hub-1'), ('auto-1'), ('device-1')) AS v (name);
SELECT lives_ok($$SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "hubei"}'), onemap.vendor_add('{"subsystem": "gas", "vendor": "gateway_2"}')$$, 'others may');
INSERT INTO onemap.vendor (subsystem, vendor) VALUES ('gas', 'gateway-old');
SELECT lives_ok($$SELECT onemap.vendor_add('{"subsystem": "water", "vendor": "gateway-old"}')$$, 'who is there already goes on');

SELECT * FROM finish();
ROLLBACK;
