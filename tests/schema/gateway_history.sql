-- History after a gap: what is missing, and how often it is asked for.
BEGIN;
SELECT plan(10);
SELECT onemap.vendor_add('{"subsystem": "dust", "vendor": "acme"}');
SELECT onemap.terminal_add('{"protocol": "hj212", "identity": "MN-1", "subsystem": "dust", "vendor": "acme", "device": "D-1"}');
INSERT INTO onemap.device (subsystem, vendor, code) VALUES ('dust', 'acme', 'D-1');
CREATE FUNCTION pg_temp.device() RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = 'D-1' $$;
CREATE FUNCTION pg_temp.report(seconds int, ago interval) RETURNS void LANGUAGE sql AS $$
    INSERT INTO onemap.interval_value (device_id, began_at, seconds, ordinal, mean, received_at) VALUES (pg_temp.device(), now() - ago, seconds, 1, 1, now())
$$;
CREATE FUNCTION pg_temp.holes() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s %s', h.command, extract(epoch FROM now() - h.began_at)::int, extract(epoch FROM now() - h.ended_at)::int)
    FROM onemap.gateway_holes(pg_temp.device()) h
$$;
CREATE FUNCTION pg_temp.asked() RETURNS int LANGUAGE sql AS $$
    SELECT jsonb_array_length(onemap.gateway_history('[{"protocol": "hj212", "identity": "MN-1"}]'))
$$;
SELECT is_empty('SELECT pg_temp.holes()', 'of whom nothing is known nothing is missing');
SELECT pg_temp.report(60, make_interval(secs => 60 * n)) FROM generate_series(2, 20) n WHERE n NOT IN (5, 10, 11, 12);
SELECT results_eq('SELECT pg_temp.holes()', $$VALUES ('2051 720 541'), ('2051 300 241')$$, 'between reports, to a second before the next');
SELECT is(onemap.gateway_history('[{"protocol": "hj212", "identity": "MN-1"}]')->0->'fetch'->>'command', '2051', 'are asked for');
SELECT is(pg_temp.asked(), 0, 'and not again while the answer may be on its way');
UPDATE onemap.gateway_fetch f SET asked_at = now() - interval '6 min';
SELECT is(pg_temp.asked(), 2, 'then again');
UPDATE onemap.gateway_fetch f SET asked_at = now() - interval '6 min', asks = 3;
SELECT is(pg_temp.asked(), 0, 'but not for ever');
DELETE FROM onemap.interval_value v;
SELECT pg_temp.report(60, interval '17 min');
SELECT is_empty('SELECT pg_temp.holes()', 'whoever is a little late misses nothing');
UPDATE onemap.interval_value v SET began_at = v.began_at - interval '3 days 1 hour';
SELECT is_empty('SELECT pg_temp.holes()', 'what is old is let be');
UPDATE onemap.interval_value v SET began_at = now() - interval '50 hours', seconds = 3600;
SELECT results_eq('SELECT pg_temp.holes()', $$VALUES ('2061 176400 93600')$$, 'hours, a day of them at a time');
SELECT is(onemap.gateway_history('[{"protocol": "hj212", "identity": "NOBODY"}, {"identity": 1}, 7]'), '[]', 'nobody is asked');
SELECT * FROM finish();
ROLLBACK;
