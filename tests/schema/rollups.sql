-- Hourly rollups: added to batch by batch, made anew where records came late or were revised, and always equal to what a
-- computation from nothing gives.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT plan(33);
SELECT onemap.partition_ensure('2026-04-01');
SELECT onemap.partition_ensure('2026-04-02');
SELECT onemap.stage_create();

CREATE FUNCTION pg_temp.commit_batch(stamp text, VARIADIC records text[]) RETURNS void LANGUAGE plpgsql AS $$
-- as the hub does in its slow path; each record: 'device time readings [quality]'
DECLARE r text; f text[]; at timestamptz; hours timestamptz[] := '{}';
BEGIN
    TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
    FOREACH r IN ARRAY records LOOP
        f := string_to_array(r, ' ');
        at := ('2026-04-' || f[2] || 'Z')::timestamptz;
        hours := hours || date_trunc('hour', at);
        INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings, quality) VALUES (f[1]::int, at, stamp::timestamptz, f[3]::float8[], f[4]::bigint);
    END LOOP;
    PERFORM onemap.observation_settle(stamp::timestamptz);
    INSERT INTO onemap.batch_log (received_at, hours, records) SELECT stamp::timestamptz, array_agg(DISTINCT h), cardinality(records) FROM unnest(hours) h;
END $$;
CREATE FUNCTION pg_temp.rollup(device int, at text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', h.records, h.counts, h.minima, h.maxima, h.sums, h.firsts, h.lasts, to_char(h.last_at AT TIME ZONE 'UTC', 'HH24:MI'))
    FROM onemap.observation_hourly h WHERE h.device_id = device AND h.hour = ('2026-04-' || at || ':00Z')::timestamptz $$;

-- Of a new county, whose tables the planner takes for empty, each device-hour is found by its key.
CREATE FUNCTION pg_temp.device_hours_read() RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(t.idx_tup_fetch, 0) + coalesce(t.seq_tup_read, 0) FROM pg_stat_xact_user_tables t
    WHERE t.relid = 'onemap.observation_hourly'::regclass $$;
CREATE FUNCTION pg_temp.add_thousand() RETURNS int LANGUAGE sql AS $$
    INSERT INTO onemap.rollup_stage (device_id, hour, records, last_at, counts, minima, maxima, sums, rests, firsts, lasts, first_ms,
        last_ms, flagged_above, flagged_below)
    SELECT 5000 + i, '2026-04-03 08:00Z', 1, '2026-04-03 08:10Z', '{1}', '{1}', '{1}', '{1}', '{0}', '{1}', '{1}', '{600000}', '{600000}', '{}', '{}'
    FROM generate_series(1, 1000) i;
    SELECT onemap.rollup_add() $$;
SELECT is(pg_temp.add_thousand(), 1000, 'a thousand device-hours of one hour');
CREATE TEMPORARY TABLE read_before AS SELECT pg_temp.device_hours_read() AS count;
SELECT is(pg_temp.add_thousand(), 1000, 'and once more');
SELECT cmp_ok(pg_temp.device_hours_read() - (SELECT b.count FROM read_before b), '<=', 4000::bigint, 'are not read for each of them');
DELETE FROM onemap.observation_hourly;

SELECT is(onemap.rollup_run(), 0, 'nothing to do');
SELECT pg_temp.commit_batch('2026-04-01 08:10Z', '1 01T08:00 {1,10}', '1 01T08:01 {3,NULL}', '2 01T07:59:59.999 {5}', '2 01T08:00 {6}');
SELECT is(onemap.rollup_run(), 3, 'three device-hours');
SELECT is(pg_temp.rollup(1, '01T08'), '2 {2,1} {1,10} {3,10} {4,10} {1,10} {3,10} 08:01', 'count, smallest, largest, sum, first and last of good readings');
SELECT is(pg_temp.rollup(2, '01T07'), '1 {1} {5} {5} {5} {5} {5} 07:59', 'the hour before');
SELECT is(pg_temp.rollup(2, '01T08'), '1 {1} {6} {6} {6} {6} {6} 08:00', 'an hour begins with its first moment');
SELECT is((SELECT count(*)::int FROM onemap.batch_log WHERE rolled_up_at IS NULL), 0, 'the batch is noted as rolled up');
SELECT is(onemap.rollup_run(), 0, 'and is not counted twice');
SELECT is(pg_temp.rollup(1, '01T08'), '2 {2,1} {1,10} {3,10} {4,10} {1,10} {3,10} 08:01', 'as one sees');
SELECT pg_temp.commit_batch('2026-04-01 08:20Z', '1 01T08:10 {0,NULL,7}', '1 01T08:09 {5}');
SELECT is(onemap.rollup_run(), 1, 'a second batch of the hour');
SELECT is(pg_temp.rollup(1, '01T08'), '4 {4,1,1} {0,10,7} {5,10,7} {9,10,7} {1,10,7} {0,10,7} 08:10', 'is added; a new metric, too');
SELECT pg_temp.commit_batch('2026-04-01 08:30Z', '1 01T08:30 {999} 1');
SELECT is(onemap.rollup_run(), 1, 'a flagged reading');
SELECT is(pg_temp.rollup(1, '01T08'), '5 {4,1,1} {0,10,7} {5,10,7} {9,10,7} {1,10,7} {0,10,7} 08:30', 'counts as a record, not as a reading');
SELECT pg_temp.commit_batch('2026-04-01 11:00Z', '1 01T08:00:30 {-1}', '1 01T07:00 {8}', '1 01T08:00:20 {100,1}');
SELECT is(onemap.rollup_run(), 2, 'late records, one hour known and one not');
SELECT is(pg_temp.rollup(1, '01T08'), '7 {6,2,1} {-1,1,7} {100,10,7} {108,11,7} {1,10,7} {0,1,7} 08:30', 'first and last by the records'' times, not by their arrival');
SELECT is(pg_temp.rollup(1, '01T07'), '1 {1} {8} {8} {8} {8} {8} 07:00', 'an hour that only late records fill');
SELECT pg_temp.commit_batch('2026-04-01 11:05Z', '1 01T08:00:20 {2}', '1 01T08:40 {4}');
SELECT is(onemap.rollup_run(), 1, 'a revision and a new record in one batch');
SELECT is(pg_temp.rollup(1, '01T08'), '8 {7,2,1} {-1,1,7} {5,10,7} {14,11,7} {1,10,7} {4,1,7} 08:40', 'the replaced value is gone from sum and maximum');
SELECT is((SELECT count(*)::int FROM onemap.rollup_recompute), 0, 'the list of hours to be made anew is empty');
SELECT pg_temp.commit_batch('2026-04-01 11:06Z', '1 01T08:40 {4}', '1 01T08:30 {NULL,3}', '1 01T08:40 {NULL,NULL,NULL,6}');
SELECT onemap.rollup_run();
SELECT is(pg_temp.rollup(1, '01T08'), '8 {7,3,1,1} {-1,1,7,6} {5,10,7,6} {14,14,7,6} {1,10,7,6} {4,3,7,6} 08:40', 'a duplicate adds nothing, merged fields do');
SELECT pg_temp.commit_batch('2026-04-01 11:07Z', '3 01T10:00 {1}');
SELECT pg_temp.commit_batch('2026-04-01 11:08Z', '3 01T10:00 {2}', '3 01T10:01 {3}');
SELECT is(onemap.rollup_run(), 1, 'a record that was revised before it was ever rolled up');
SELECT is(pg_temp.rollup(3, '01T10'), '2 {2} {2} {3} {5} {2} {3} 10:01', 'is counted once');
SELECT pg_temp.commit_batch('2026-04-01 11:09Z', '4 01T10:00 {}', '4 01T10:01 {NULL,NULL}');
SELECT is(onemap.rollup_run(), 1, 'records without readings');
SELECT is(pg_temp.rollup(4, '01T10'), '2 {} {} {} {} {} {} 10:01', 'are counted as records');
SELECT pg_temp.commit_batch('2026-04-01 11:10Z', '4 01T10:02 {5}');
SELECT onemap.rollup_run();
SELECT is(pg_temp.rollup(4, '01T10'), '3 {1} {5} {5} {5} {5} {5} 10:02', 'and readings may follow them');
INSERT INTO onemap.batch_log (received_at, hours, records) VALUES ('2026-04-01 11:11Z', '{2020-01-01 00:00Z}', 1);
SELECT is(onemap.rollup_run(), 0, 'an hour whose partition is gone is no fault');
SELECT pg_temp.commit_batch('2026-04-01 11:12Z', '5 01T10:02 {5}');
SET LOCAL ROLE cityhub_hub;
SELECT is(onemap.rollup_run(), 1, 'the hub may run it');
RESET ROLE;

-- Random histories against a computation from nothing. Integers, so that sums do not depend on their order.
CREATE FUNCTION pg_temp.random_batch(stamp timestamptz, records int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE at timestamptz; hours timestamptz[] := '{}';
BEGIN
    TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
    FOR n IN 1..records LOOP
        -- few devices and moments: duplicates, merges, revisions and late records are frequent
        at := '2026-04-01 22:00Z'::timestamptz + make_interval(mins => (random() * 20)::int * 12);
        hours := hours || date_trunc('hour', at);
        INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings, quality)
        SELECT 100 + (random() * 5)::int, at, stamp, coalesce(array_agg(CASE WHEN random() < 0.7 THEN (random() * 5)::int::float8 END), '{}'), q.bits
        FROM generate_series(1, (random() * 4)::int) i, (SELECT nullif((random() * 3)::int & 2, 0)::bigint AS bits) q GROUP BY q.bits;
    END LOOP;
    -- a quality bit needs its reading
    UPDATE pg_temp.observation_stage SET quality = nullif(quality & onemap.readings_mask(readings), 0);
    PERFORM onemap.observation_settle(stamp::timestamptz);
    INSERT INTO onemap.batch_log (received_at, hours, records) SELECT stamp, array_agg(DISTINCT h), records FROM unnest(hours) h;
END $$;
-- Written differently on purpose: one scalar subquery for each figure. No trailing empty ordinals, which an incremental
-- rollup may keep.
CREATE FUNCTION pg_temp.from_nothing() RETURNS TABLE (device_id int, hour timestamptz, ordinal int, records int, n int, low float8, high float8, total float8, first float8, last float8)
LANGUAGE sql AS $$
    WITH r AS (SELECT o.device_id, date_trunc('hour', o.observed_at) AS hour, o.observed_at, i AS ordinal,
                      CASE WHEN coalesce(o.quality, 0) >> (i - 1) & 1 = 0 THEN o.readings[i] END AS value
               FROM onemap.observation o, generate_series(1, 4) i WHERE o.device_id >= 100),
         k AS (SELECT DISTINCT r.device_id, r.hour, r.ordinal FROM r)
    SELECT k.device_id, k.hour, k.ordinal,
           (SELECT count(*)::int FROM onemap.observation o WHERE o.device_id = k.device_id AND o.observed_at >= k.hour AND o.observed_at < k.hour + interval '1 hour'),
           (SELECT count(value)::int FROM r WHERE (r.device_id, r.hour, r.ordinal) = (k.device_id, k.hour, k.ordinal)),
           (SELECT min(value) FROM r WHERE (r.device_id, r.hour, r.ordinal) = (k.device_id, k.hour, k.ordinal)),
           (SELECT max(value) FROM r WHERE (r.device_id, r.hour, r.ordinal) = (k.device_id, k.hour, k.ordinal)),
           (SELECT sum(value) FROM r WHERE (r.device_id, r.hour, r.ordinal) = (k.device_id, k.hour, k.ordinal)),
           (SELECT value FROM r WHERE (r.device_id, r.hour, r.ordinal) = (k.device_id, k.hour, k.ordinal) AND value IS NOT NULL ORDER BY observed_at LIMIT 1),
           (SELECT value FROM r WHERE (r.device_id, r.hour, r.ordinal) = (k.device_id, k.hour, k.ordinal) AND value IS NOT NULL ORDER BY observed_at DESC LIMIT 1)
    FROM k $$;
CREATE FUNCTION pg_temp.stored() RETURNS TABLE (device_id int, hour timestamptz, ordinal int, records int, n int, low float8, high float8, total float8, first float8, last float8)
LANGUAGE sql AS $$
    SELECT h.device_id, h.hour, i, h.records, coalesce(h.counts[i], 0), h.minima[i], h.maxima[i], h.sums[i], h.firsts[i], h.lasts[i]
    FROM onemap.observation_hourly h, generate_series(1, 4) i WHERE h.device_id >= 100 $$;
CREATE FUNCTION pg_temp.history(rounds int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE stamp timestamptz := (SELECT greatest(max(received_at), '2026-04-02 03:00Z') FROM onemap.batch_log); r record;
BEGIN
    FOR round IN 1..rounds LOOP
        FOR b IN 1..(random() * 3)::int LOOP
            stamp := stamp + interval '1 second';
            PERFORM pg_temp.random_batch(stamp, 1 + (random() * 12)::int);
        END LOOP;
        PERFORM onemap.rollup_run();
        SELECT count(*), min(d.device_id || ' ' || d.hour || ' ' || d.ordinal) AS example INTO r FROM (
            (SELECT * FROM pg_temp.stored() EXCEPT SELECT * FROM pg_temp.from_nothing())
            UNION ALL (SELECT * FROM pg_temp.from_nothing() EXCEPT SELECT * FROM pg_temp.stored())) d;
        IF r.count > 0 THEN
            RETURN format('after round %s: %s differences, e.g. device, hour, ordinal %s', round, r.count, r.example);
        END IF;
    END LOOP;
    RETURN 'equal';
END $$;
SELECT setseed(0.1);
SELECT is(pg_temp.history(40), 'equal', 'a random history of 40 rounds equals the computation from nothing (seed 0.1)');
SELECT setseed(0.5);
SELECT is(pg_temp.history(40), 'equal', 'another one (seed 0.5)');
SELECT cmp_ok((SELECT count(*) FROM onemap.observation_revision WHERE device_id >= 100), '>', 100::bigint, 'which had revisions');

COMMIT;
SELECT throws_like($$SELECT onemap.rollup_run()$$, 'rollup_run must run in a REPEATABLE READ transaction%', 'in READ COMMITTED it refuses');
SELECT * FROM finish();
