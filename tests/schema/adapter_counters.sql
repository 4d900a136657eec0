-- Counters to consumption: roll-over, replaced meters, false readings, hours rolled up and not, days that add up.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(48);

CREATE FUNCTION public.test_steps(readings float8[], rollover float8) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(s.step || coalesce(' ' || s.event, ''), ', ' ORDER BY s.n) FROM onemap.counter_steps(readings, rollover) s
$$;
SELECT is(test_steps('{10, 15, 15, 22}', 1000), '0, 5, 0, 7', 'a counter adds its rises');
-- 998 -> 1000 = 0 -> 3: 5
SELECT is(test_steps('{990, 998, 3, 10}', 1000), '0, 8, 5 rollover, 7', 'over the end it goes on counting');
-- A twentieth of 1000 is 50. 960 -> 10: 40 + 10 = 50, still a roll-over; 959 -> 10: 51, a new meter.
SELECT is(test_steps('{960, 10}', 1000), '0, 50 rollover', 'a fall over the end by just a twentieth of the range is a roll-over');
SELECT is(test_steps('{959, 10}', 1000), '0, 0 replaced', 'by more than that it is a new meter');
SELECT is(test_steps('{1000, 0}', 1000), '0, 0 rollover', 'the end itself and zero are the same reading');
SELECT is(test_steps('{500, 510, 2, 7}', 1000), '0, 10, 0 replaced, 5', 'a new meter counts on from its first reading');
SELECT is(test_steps('{999990, 5}', NULL), '0, 0 replaced', 'without a roll-over value every fall is a new meter');
SELECT is(test_steps('{500, 0, 0, 503}', 1000), '0, 0 replaced, 0, 3 returned', 'false readings of zero add nothing, nor does their end');
SELECT is(test_steps('{500, 0, 260, 503}', 1000), '0, 0 replaced, 260, 243', 'a jump back over less than half of the fall is taken for what it says');
-- Old meter 10, new one from 0: at 12 it passes the old one's reading by a step of 4, less than half of the fall (5).
SELECT is(test_steps('{10, 0, 4, 8, 12}', 1000), '0, 0 replaced, 4, 4, 4', 'a new meter may grow past the old one''s reading');
-- 990 -> 5 over the end: 15; 991 again: 14 back. In sum 1.
SELECT is(test_steps('{990, 5, 991}', 1000), '0, 15 rollover, -14 turned_back', 'a false zero just before the end is undone');
SELECT is(test_steps('{10, NULL, 12}', 1000), '0, 2', 'a missing reading is passed over');
SELECT is_empty($$SELECT * FROM onemap.counter_steps('{}', 1000)$$, 'no readings, no steps');

SELECT test_device('gas', 'meter', 'M1') AS m1, test_device('gas', 'meter', 'M2') AS m2, test_device('gas', 'meter', 'M3') AS m3,
       test_device('gas', 'meter', 'M4') AS m4, test_device('gas', 'odorizer', 'O1') AS o1 \gset
SELECT onemap.metric_ordinal('gas', 'volume_total_m3') AS volume \gset
-- The local day 2026-03-10 is 2026-03-09 16:00Z to 2026-03-10 16:00Z.
SELECT test_put(:m1, r.at, jsonb_build_object('volume_total_m3', r.reading)) FROM (VALUES
    (timestamptz '2026-03-09 15:50Z', 100), ('2026-03-09 16:10Z', 104), ('2026-03-10 15:50Z', 150), ('2026-03-10 16:10Z', 153),
    ('2026-03-11 17:00Z', 160)) r(at, reading);
-- 104 - 100 = 4 and 150 - 104 = 46
SELECT results_eq(format($$SELECT consumption, readings, first_reading, last_reading, rollovers, replacements
    FROM onemap.counter_consumption(%s, %s, onemap.local_midnight('2026-03-10'), onemap.local_midnight('2026-03-11'))$$, :m1, :volume),
    $$VALUES (50::float8, 2, 104::float8, 150::float8, 0, 0)$$, 'a day: from the last reading before it to its last one');
SELECT is(onemap.counter_consumption(:m1, 'volume_total_m3', onemap.local_midnight('2026-03-10'), onemap.local_midnight('2026-03-13')), 60::float8,
    'three days together: 160 - 100');
SELECT is((SELECT sum(onemap.counter_consumption(:m1, 'volume_total_m3', onemap.local_midnight(d), onemap.local_midnight(d + 1)))
    FROM unnest(ARRAY[date '2026-03-10', '2026-03-11', '2026-03-12']) d), 60::float8, 'and one by one: 50 + 3 + 7');
SELECT is(onemap.counter_consumption(:m1, 'volume_total_m3', '2026-03-09 15:00Z', '2026-03-09 16:00Z'), 0::float8, 'the very first reading adds nothing');
SELECT is(onemap.counter_consumption(:m1, 'volume_total_m3', '2026-03-09 16:00Z', '2026-03-09 16:10Z'), NULL, 'the end of the time is outside; no reading, no answer');
SELECT is(onemap.counter_consumption(:m1, 'volume_total_m3', '2026-03-09 16:10Z', '2026-03-09 16:11Z'), 4::float8, 'its beginning is inside');
SELECT is(onemap.counter_consumption(:m1, 'pressure_kpa', '2026-03-09 15:00Z', '2026-03-12 00:00Z'), NULL, 'a gauge is no counter');

-- One hour each: roll-over at 1e9 (8 + (2 + 3) + 5 = 18), replacement (10 + 0 + 5 = 15), false zero (503 - 500 = 3).
SELECT test_put(d, timestamptz '2026-03-10 10:00Z' + n * interval '10 minutes', jsonb_build_object('volume_total_m3', reading))
FROM (VALUES (:m2, '{999999990, 999999998, 3, 8}'::float8[]), (:m3, '{500, 510, 2, 7}'), (:m4, '{500, 0, 503}')) x(d, readings),
     unnest(readings) WITH ORDINALITY u(reading, n);
CREATE FUNCTION public.test_hour() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s: %s, %s over, %s new', d.code, c.consumption, c.rollovers, c.replacements)
    FROM onemap.device d, onemap.counter_consumption(d.id, onemap.metric_ordinal('gas', 'volume_total_m3'), '2026-03-10 10:00Z', '2026-03-10 11:00Z') c
    WHERE d.code IN ('M2', 'M3', 'M4') ORDER BY d.code
$$;
SELECT results_eq('SELECT test_hour()', $$VALUES ('M2: 18, 1 over, 0 new'), ('M3: 15, 0 over, 1 new'), ('M4: 3, 0 over, 0 new')$$,
    'an hour record by record');
SELECT test_rollup();
SELECT is((SELECT count(*) FROM onemap.counter_readings(:m2, :volume, '2026-03-10 10:00Z', '2026-03-10 11:00Z') WHERE seq > 0), 4::bigint,
    'once rolled up, four readings tell the hour');
SELECT results_eq('SELECT test_hour()', $$VALUES ('M2: 18, 1 over, 0 new'), ('M3: 15, 0 over, 1 new'), ('M4: 3, 0 over, 0 new')$$,
    'and give the same');
SELECT is(onemap.counter_consumption(:m2, 'volume_total_m3', '2026-03-10 10:25Z', '2026-03-10 11:00Z'), 10::float8,
    'a part of a rolled-up hour is read record by record: 2 + 3 + 5');
-- A late record of the hour, in a batch that is not counted yet: 12 after 8.
SELECT test_put(:m2, '2026-03-10 10:55Z', '{"volume_total_m3": 12}');
INSERT INTO onemap.batch_log (received_at, hours, records) SELECT test_stamp(), '{2026-03-10 10:00Z}', 1;
SELECT is(onemap.counter_consumption(:m2, 'volume_total_m3', '2026-03-10 10:00Z', '2026-03-10 11:00Z'), 22::float8,
    'an hour with records that are not rolled up yet counts them: 18 + 4');

-- A meter that fails over midnight: 500, then 0 at 15:58Z, then 503 at 16:02Z. And one beyond its range.
SELECT test_device('gas', 'meter', 'M5') AS m5 \gset
SELECT test_put(:m5, r.at, jsonb_build_object('volume_total_m3', r.reading)) FROM (VALUES
    (timestamptz '2026-03-09 15:50Z', 500), ('2026-03-09 15:58Z', 0), ('2026-03-09 16:02Z', 503), ('2026-03-09 16:03Z', 2000000000),
    ('2026-03-09 16:04Z', 504)) r(at, reading);
SELECT is(onemap.counter_consumption(:m5, 'volume_total_m3', onemap.local_midnight('2026-03-10'), onemap.local_midnight('2026-03-11')), 4::float8,
    'a false zero before midnight does not make the day''s consumption of the whole reading; one out of range does not count');
SELECT results_eq($$SELECT d.code, c.consumption FROM onemap.counter_daily('gas', 'volume_total_m3', '2026-03-10') c
    JOIN onemap.device d ON d.id = c.device_id ORDER BY d.code$$,
    $$VALUES ('M1', 50::float8), ('M2', 22), ('M3', 15), ('M4', 3), ('M5', 4)$$, 'all meters of a day');
SELECT is_empty($$SELECT * FROM onemap.counter_daily('gas', 'pressure_kpa', '2026-03-10')$$, 'a gauge has no daily consumption');
-- The records are dropped after their retention: the rollups still answer for M3, and for what came before.
DO $$ BEGIN PERFORM onemap.rollup_run(), nextval('public.test_batch'); END $$;
DELETE FROM onemap.observation_raw WHERE device_id = :m3;
SELECT is(onemap.counter_consumption(:m3, 'volume_total_m3', '2026-03-10 10:00Z', '2026-03-10 11:00Z'), 15::float8, 'the rollups outlive the records');
SELECT test_put(:m3, '2026-03-12 00:30Z', '{"volume_total_m3": 9}');
SELECT is(onemap.counter_consumption(:m3, 'volume_total_m3', '2026-03-12 00:00Z', '2026-03-12 01:00Z'), 2::float8, 'and give the reading before');
-- What the county reads: the read-only role needs nothing more than its grants.
SELECT lives_ok(format($$SET LOCAL ROLE cityhub_read; SELECT %s; RESET ROLE$$, q), q || ' as cityhub_read') FROM unnest(ARRAY[
    'count(*) FROM onemap.counter_daily(''gas'', ''volume_total_m3'', ''2026-03-10'')', 'count(*) FROM onemap.gas_cathodic_daily(''2026-03-10'')',
    'count(*) FROM onemap.water_balance(''2026-03-10'')', 'count(*) FROM onemap.water_night_flow(''2026-03-10'')',
    'count(*) FROM onemap.heating_consumption(''2026-03-10'')', 'count(*) FROM onemap.heating_makeup(now() - interval ''1 hour'', now())',
    'count(*) FROM onemap.incineration_furnace_daily(''2026-03-10'')', 'count(*) FROM onemap.incineration_emission_daily(''2026-03-10'')',
    'count(*) FROM onemap.incineration_output(''2026-03-10'')', 'count(*) FROM onemap.enforcement_duty(''2026-03-10'')',
    'count(*) FROM onemap.dust_daily(''2026-03-10'')', 'count(*) FROM onemap.streetlight_lighting_rate(now())',
    'count(*) FROM onemap.sanitation_coverage(''2026-03-10'')', 'count(*) FROM onemap.construction_waste_dumpings(now() - interval ''1 day'', now())',
    'count(*) FROM onemap.municipal_ponding_events(now() - interval ''1 day'', now())', 'count(*) FROM onemap.landscaping_irrigation_need']) q;
SELECT throws_ok($$SET LOCAL ROLE cityhub_read; SELECT onemap.incineration_emission_judge_day('2026-03-10')$$, '42501', NULL, 'it may not judge');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
