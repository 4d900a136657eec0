-- Daily rollups come of the hourly ones when a day is over, and follow late records; what the hub has counted is added once, with
-- its batches or not at all.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT plan(27);
-- Yesterday and the day before, in the county's time.
SELECT (onemap.local_time(now())::date - 1) AS day, onemap.local_midnight(onemap.local_time(now())::date - 1) AS midnight \gset
SELECT count(onemap.partition_ensure(((now() AT TIME ZONE 'UTC')::date - n)::date)) FROM generate_series(-1, 4) n;
SELECT onemap.stage_create();
CREATE SEQUENCE pg_temp.batch;
CREATE FUNCTION pg_temp.commit_batch(VARIADIC records text[]) RETURNS timestamptz LANGUAGE plpgsql AS $$
-- each record: 'device|time|readings'; as the hub does in its slow path
DECLARE r text; f text[]; stamp timestamptz := now() - interval '1 hour' + nextval('pg_temp.batch') * interval '1 second';
BEGIN
    TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
    FOREACH r IN ARRAY records LOOP
        f := string_to_array(r, '|');
        INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings) VALUES (f[1]::int, f[2]::timestamptz, stamp, f[3]::float8[]);
    END LOOP;
    PERFORM onemap.observation_settle(stamp);
    INSERT INTO onemap.batch_log (received_at, hours, records)
    SELECT stamp, array_agg(DISTINCT date_trunc('hour', s.observed_at, 'UTC')), count(*) FROM pg_temp.observation_stage s;
    RETURN stamp;
END $$;
CREATE FUNCTION pg_temp.at(hours numeric) RETURNS text LANGUAGE sql AS $$
    SELECT (onemap.local_midnight(onemap.local_time(now())::date - 1) + hours * interval '1 hour')::text $$;
CREATE FUNCTION pg_temp.daily(device int, back int) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', d.records, d.counts, d.minima, d.maxima, d.sums, d.firsts, d.lasts, to_char(onemap.local_time(d.last_at), 'HH24:MI'))
    FROM onemap.observation_daily d WHERE d.device_id = device AND d.day = onemap.local_time(now())::date - back $$;
CREATE FUNCTION pg_temp.hourly(device int, hours numeric) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', h.records, h.counts, h.sums, h.firsts, h.lasts) FROM onemap.observation_hourly h
    WHERE h.device_id = device AND h.hour = pg_temp.at(hours)::timestamptz $$;

-- ---- days ----
SELECT is(onemap.rollup_run(), 0, 'nothing to do');
SELECT pg_temp.commit_batch('1|' || pg_temp.at(0) || '|{1,10}', '1|' || pg_temp.at(5.5) || '|{3,NULL,7}', '1|' || pg_temp.at(23.99) || '|{-2}',
    '1|' || pg_temp.at(-0.01) || '|{100}', '1|' || pg_temp.at(24) || '|{200}', '2|' || pg_temp.at(7) || '|{NULL,4}');
SELECT is(onemap.rollup_run(), 6, 'device-hours of three days');
SELECT is(pg_temp.daily(1, 1), '3 {3,1,1} {-2,10,7} {3,10,7} {2,10,7} {1,10,7} {-2,10,7} 23:59', 'a day of the county that is over');
SELECT is(pg_temp.daily(1, 2), '1 {1} {100} {100} {100} {100} {100} 23:59', 'the day before ends at midnight of the county');
SELECT is(pg_temp.daily(2, 1), '1 {0,1} {NULL,4} {NULL,4} {NULL,4} {NULL,4} {NULL,4} 07:00', 'another device');
SELECT is(pg_temp.daily(1, 0), NULL, 'the running day is not there');
SELECT is((SELECT sums[1] FROM onemap.daily_aggregate(:'day'::date + 1) WHERE device_id = 1), 200::float8, 'its hours can be asked for');
SELECT is((SELECT count(*)::int FROM onemap.daily_aggregate(:'day', '{2}')), 1, 'and single devices'' of any day');
SELECT pg_temp.commit_batch('1|' || pg_temp.at(5.6) || '|{30}', '3|' || pg_temp.at(9) || '|{1}');
SELECT is(onemap.rollup_run(), 2, 'late records');
SELECT is(pg_temp.daily(1, 1), '4 {4,1,1} {-2,10,7} {30,10,7} {32,10,7} {1,10,7} {-2,10,7} 23:59', 'are in the day that was there');
SELECT is(pg_temp.daily(3, 1), '1 {1} {1} {1} {1} {1} {1} 09:00', 'of a device that had none');
SELECT pg_temp.commit_batch('1|' || pg_temp.at(5.6) || '|{20}');
SELECT is(onemap.rollup_run(), 1, 'a correction');
SELECT is(pg_temp.daily(1, 1), '4 {4,1,1} {-2,10,7} {20,10,7} {22,10,7} {1,10,7} {-2,10,7} 23:59', 'takes the old value out');
SELECT is((SELECT count(*)::int FROM onemap.rollup_day_due), 0, 'nothing is left to do');
CREATE TEMP TABLE before AS SELECT * FROM onemap.observation_daily;
DELETE FROM onemap.observation_daily;
SELECT onemap.rollup_run();
SELECT is((SELECT count(*)::int FROM (SELECT * FROM before EXCEPT SELECT * FROM onemap.observation_daily) d)
    + (SELECT count(*)::int FROM (SELECT * FROM onemap.observation_daily EXCEPT SELECT * FROM before) d), 0, 'emptied, it comes back the same');

-- ---- what the hub has counted ----
CREATE FUNCTION pg_temp.count_by_hub(stamp timestamptz) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE h timestamptz;
BEGIN
    FOR h IN SELECT unnest(b.hours) FROM onemap.batch_log b WHERE b.received_at = stamp LOOP
        INSERT INTO onemap.rollup_stage SELECT * FROM onemap.hourly_aggregate(h, ARRAY[stamp], NULL);
    END LOOP;
    RETURN (SELECT b.id FROM onemap.batch_log b WHERE b.received_at = stamp);
END $$;
SELECT pg_temp.commit_batch('5|' || pg_temp.at(30) || '|{0.1}', '5|' || pg_temp.at(30.1) || '|{0.2}') AS one \gset
SELECT pg_temp.count_by_hub(:'one') AS first \gset
SELECT is(onemap.rollup_run(ARRAY[:'first']::uuid[], '{}'), 1, 'what was counted is added');
SELECT is(pg_temp.hourly(5, 30), '2 {2} {0.30000000000000004} {0.1} {0.2}', 'to the bit');
SELECT isnt((SELECT rolled_up_at FROM onemap.batch_log WHERE id = :'first'), NULL, 'its batch is marked');
SELECT is((SELECT count(*)::int FROM onemap.rollup_stage), 0, 'and the stage is empty');
SELECT pg_temp.count_by_hub(:'one');
SELECT is(onemap.rollup_run(ARRAY[:'first']::uuid[], '{}'), 0, 'the same once more adds nothing');
SELECT pg_temp.commit_batch('5|' || pg_temp.at(30.05) || '|{0.7}') AS two \gset
SELECT pg_temp.count_by_hub(:'one');
SELECT pg_temp.count_by_hub(:'two') AS second \gset
SELECT is(onemap.rollup_run(ARRAY[:'first', :'second']::uuid[], '{}'), 1, 'of two batches one was counted before: the other is read');
SELECT is(pg_temp.hourly(5, 30), '3 {3} {1} {0.1} {0.2}', 'and counts once; the sum of all is exact, and rounded once');
SELECT pg_temp.commit_batch('5|' || pg_temp.at(30.2) || '|{4}');
SELECT is(onemap.rollup_run('{}', '{}'), 0, 'a batch that its hub has not counted yet waits');
SELECT pg_temp.commit_batch('5|' || pg_temp.at(30.2) || '|{8}');
SELECT onemap.rollup_run('{}', '{}');
SELECT is((SELECT count(*)::int FROM onemap.rollup_recompute), 1, 'an hour with a correction is made anew, and once more while batches of it wait');
SELECT onemap.rollup_run();
SELECT is(pg_temp.hourly(5, 30), '4 {4} {9} {0.1} {8}', 'so that nothing of it counts twice');
SELECT is((SELECT count(*)::int FROM onemap.rollup_recompute), 0, 'and then no more');
UPDATE onemap.observation_hourly SET rests = NULL, first_ms = NULL, last_ms = NULL WHERE device_id = 5;
SELECT pg_temp.commit_batch('5|' || pg_temp.at(30.3) || '|{1}');
SELECT onemap.rollup_run();
SELECT is(pg_temp.hourly(5, 30), '5 {5} {10} {0.1} {1}', 'an hour that is closed is made anew');
SELECT * FROM finish();
ROLLBACK;
