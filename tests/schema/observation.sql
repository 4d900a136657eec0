-- Partitions, and the slow path that settles a batch which met a duplicate: new, identical, merged, revised.
BEGIN;
SELECT plan(114);

-- Partitions.
SELECT is_empty($$SELECT onemap.partition_days()$$, 'a fresh database has no partitions');
SELECT onemap.partition_ensure('2026-02-28');
SELECT onemap.partition_ensure('2026-02-28');
SELECT results_eq($$SELECT onemap.partition_days()$$, ARRAY['2026-02-28'::date], 'a day asked for twice is made once');
SELECT has_table('onemap', 'observation_20260228', 'observation has its partition');
SELECT has_table('onemap', 'track_point_20260228', 'and track_point');
SELECT lives_ok($$INSERT INTO onemap.observation_raw VALUES (1, '2026-02-28 00:00:00Z', now(), '{1}'), (1, '2026-02-28 23:59:59.999999Z', now(), '{1}')$$,
    'a partition holds the whole UTC day');
SELECT throws_ok($$INSERT INTO onemap.observation_raw VALUES (1, '2026-03-01 00:00:00Z', now(), '{1}')$$, '23514', NULL, 'and no moment of the next');
SELECT throws_ok($$INSERT INTO onemap.observation_raw VALUES (1, '2026-02-28 00:00:00Z', now(), '{2}')$$, '23505', NULL, 'one record per device and time');
SET LOCAL timezone = 'Asia/Shanghai';
SELECT onemap.partition_ensure('2026-03-01');
SET LOCAL timezone = 'UTC';
SELECT lives_ok($$INSERT INTO onemap.observation_raw VALUES (1, '2026-03-01 00:00:00Z', now(), '{1}')$$, 'days are UTC days whatever the session''s time zone');
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am a ON a.oid = c.relam
           WHERE i.indrelid = 'onemap.observation_20260228'::regclass AND (i.indisprimary OR a.amname = 'brin')), 2,
    'a partition has the primary key and the BRIN index');
SELECT onemap.partition_ensure(((now() AT TIME ZONE 'UTC')::date - 30));
SELECT onemap.partition_ensure(((now() AT TIME ZONE 'UTC')::date - 31));
INSERT INTO onemap.batch_log (received_at, hours, records, rolled_up_at) VALUES (now() - interval '4 days', '{}', 0, now() - interval '3 days'),
    (now() - interval '5 days', '{}', 0, NULL), (now() - interval '1 day', '{}', 0, now());
INSERT INTO onemap.observation_revision (device_id, observed_at, received_at) VALUES (1, now() - interval '31 days', now()), (2, now(), now());
SELECT is(onemap.partition_maintain(3, 30), (SELECT count(*)::int FROM unnest(ARRAY['2026-02-28', '2026-03-01']::date[]) d
    WHERE d < (now() AT TIME ZONE 'UTC')::date - 30) + 1, 'maintenance drops the days before the retention');
SELECT results_eq($$SELECT onemap.partition_days()$$, $$SELECT d::date FROM (SELECT (now() AT TIME ZONE 'UTC')::date + n AS d
    FROM generate_series(-1, 3) n UNION SELECT (now() AT TIME ZONE 'UTC')::date - 30) x ORDER BY 1$$,
    'and makes those from yesterday to the days ahead; the oldest day of the retention stays');
SELECT is((SELECT array_agg(received_at ORDER BY received_at) FROM onemap.batch_log), ARRAY[now() - interval '5 days', now() - interval '1 day'],
    'batches that are rolled up are forgotten after two days, those that are not stay');
SELECT is((SELECT array_agg(device_id) FROM onemap.observation_revision), '{2}', 'revisions go with their observations');
SELECT is(onemap.partition_maintain(3, 30), 0, 'a second maintenance finds nothing');
-- The clock is five years ahead: that is, all that was done before is five years old.
CREATE FUNCTION pg_temp.by_clock(moment interval, moved interval, retention int DEFAULT 30) RETURNS int LANGUAGE sql AS $$
    UPDATE onemap.retention_clock SET moment = now() + $1, moved_at = now() + $2;
    SELECT onemap.partition_maintain(3, retention) $$;
SELECT is(pg_temp.by_clock('-5 years', '-5 years', 2), 0, 'a clock that jumps ahead drops nothing');
SELECT ok((SELECT r.moment < now() - interval '4 years' FROM onemap.retention_clock r), 'as time has not come that far');
SELECT is((SELECT onemap.partition_maintain(3, 2) FROM generate_series(1, 100) LIMIT 1), 0, 'nor does it, however often a hub starts');
SELECT is((SELECT max(r.moment) - min(r.moment) FROM onemap.retention_clock r JOIN generate_series(1, 20) n ON onemap.partition_maintain(3, 2) = 0), '0 s', 'within the hour');
SELECT is(pg_temp.by_clock('-3 days', '-1 hour'), 0, 'a hub that was away for days goes on by a day an hour');
SELECT is(pg_temp.by_clock('5 years', '5 years'), 0, 'one by whose clock it is later yet');
SELECT ok((SELECT r.moved_at = now() AND onemap.retention_now() = now() FROM onemap.retention_clock r), 'goes by the clock');
SELECT is(pg_temp.by_clock('-1 hour', '-1 hour', 2), 1, 'with the hours one after the other each day goes in its time');
SELECT throws_like($$SELECT onemap.partition_maintain(0, 30)$$, '%ahead_days 1 to 60%', 'no partition ahead is refused');
SELECT throws_like($$SELECT onemap.partition_maintain(3, 0)$$, '%retention_days 1 to 36500%', 'a retention of nothing is refused');

-- The small functions.
SELECT is(onemap.readings_merge('{1,2,NULL}', '{NULL,5,6,7}'), '{1,5,6,7}', 'merge: the new reading where there is one');
SELECT is(onemap.readings_merge(NULL, '{1}'), '{1}', 'merge with nothing');
SELECT is(onemap.readings_merge('{}', '{}'), '{}', 'merge of nothing');
SELECT is(ARRAY[onemap.readings_conflict('{1,NULL}', '{1,2}'), onemap.readings_conflict('{1,NULL}', '{2}'), onemap.readings_conflict('{}', '{1}')],
    '{f,t,f}', 'conflict: both have a reading and they differ');
SELECT is(onemap.readings_conflict('{NaN}', '{NaN}'), false, 'two NaN do not differ');
SELECT is(onemap.readings_mask('{1,NULL,3}'), 5::bigint, 'mask: a bit for each reading');
SELECT is(onemap.readings_mask('{}'), 0::bigint, 'mask of nothing');
SELECT is(onemap.readings_mask(array_fill(1::float8, ARRAY[63])), 9223372036854775807, 'mask of all 63');

-- Settling. The stage is filled as the hub fills it, in order.
SELECT onemap.partition_ensure('2026-04-01');
SELECT onemap.partition_ensure('2026-04-02');
SELECT onemap.stage_create();
SELECT lives_ok($$SELECT onemap.stage_create()$$, 'the stage may be made twice');
CREATE TEMP TABLE result (duplicates int[], merged int[], revised int[]);
CREATE FUNCTION pg_temp.settle(VARIADIC records text[]) RETURNS text LANGUAGE plpgsql AS $$
-- each record: 'device time readings [quality [attributes]]'
DECLARE r text; f text[]; fates text; stamp timestamptz := clock_timestamp();
BEGIN
    TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
    TRUNCATE pg_temp.result;
    FOREACH r IN ARRAY records LOOP
        f := string_to_array(r, ' ');
        INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings, quality, attributes)
        VALUES (f[1]::int, ('2026-04-01 ' || f[2] || 'Z')::timestamptz, stamp, f[3]::float8[], nullif(f[4], '-')::bigint, f[5]::jsonb);
    END LOOP;
    INSERT INTO pg_temp.result SELECT s.duplicates, s.merged, s.revised FROM onemap.observation_settle(stamp) s;
    SELECT string_agg(fate, ' ' ORDER BY row_no) INTO fates FROM pg_temp.observation_stage;
    RETURN fates;
END $$;
CREATE FUNCTION pg_temp.stored(device int, at time) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', o.readings, coalesce(o.quality::text, '-'), o.attributes) FROM onemap.observation o
    WHERE o.device_id = device AND o.observed_at = ('2026-04-01 ' || at || 'Z')::timestamptz $$;
CREATE FUNCTION pg_temp.revisions(device int) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', r.readings, coalesce(r.quality::text, '-'), r.attributes), ' | ' ORDER BY r.id)
    FROM onemap.observation_revision r WHERE r.device_id = device $$;

SELECT is(pg_temp.settle(VARIADIC '{}'), NULL, 'an empty stage');
SELECT is((SELECT ROW(r.*)::text FROM result r), '({},{},{})', 'settles to nothing');
SELECT is(pg_temp.settle('10 08:00 {1,2}', '10 08:01 {1,2}'), 'new new', 'two new records');
SELECT is((SELECT ROW(r.*)::text FROM result r), '({},{},{})', 'new ones are not named');
SELECT is(pg_temp.settle('10 08:00 {1,2}', '10 08:02 {1}', '10 08:01 {1,2}'), 'duplicate new duplicate', 'identical ones are dropped, the rest is stored');
SELECT is((SELECT duplicates FROM result), '{1,3}', 'the rows of the duplicates are named, from 1');
SELECT is(pg_temp.settle('10 08:00 {NULL,2}'), 'duplicate', 'a part of what is stored is a duplicate');
SELECT is(pg_temp.settle('10 08:00 {1,2,NULL}'), 'duplicate', 'and so is one with an empty place at its end');
SELECT is(pg_temp.stored(10, '08:00'), '{1,2} -', 'what is stored is as it was');
SELECT is(pg_temp.settle('10 08:00 {NULL,NULL,3}'), 'merged', 'new fields are merged');
SELECT is(pg_temp.stored(10, '08:00'), '{1,2,3} -', 'all fields are there');
SELECT is(pg_temp.revisions(10), NULL, 'a merge is no revision');
SELECT is(pg_temp.settle('10 08:00 {9,NULL,NULL,4}'), 'revised', 'another value revises');
SELECT is(pg_temp.stored(10, '08:00'), '{9,2,3,4} -', 'the new value wins, other fields stay or come');
SELECT is(pg_temp.revisions(10), '{1,2,3} -', 'the old record is kept');
SELECT is((SELECT ROW(r.*)::text FROM result r), '({},{},{1})', 'the row of the revision is named');
SELECT is((SELECT array_agg(DISTINCT hour) FROM onemap.rollup_recompute), ARRAY['2026-04-01 08:00Z'::timestamptz], 'the hour is to be rolled up anew');

-- Several records of one key within one batch, in their order.
SELECT is(pg_temp.settle('11 08:00 {1}', '11 08:00 {1}', '11 08:00 {NULL,2}', '11 08:00 {3}', '11 08:00 {3,2}'),
    'new duplicate merged revised duplicate', 'five turns');
SELECT is(pg_temp.stored(11, '08:00'), '{3,2} -', 'their sum');
SELECT is(pg_temp.revisions(11), '{1,2} -', 'one revision, of what stood before it');
SELECT is(pg_temp.settle('11 08:00 {4}', '11 08:00 {5}', '12 08:00 {1}'), 'revised revised new', 'two revisions in one batch');
SELECT is(pg_temp.revisions(11), '{1,2} - | {3,2} - | {4,2} -', 'each of them keeps what it replaced');
SELECT is((SELECT ROW(r.*)::text FROM result r), '({},{},"{1,2}")', 'both rows are named');
SELECT is(pg_temp.settle('11 08:00 {6}', '11 08:00 {5}'), 'revised revised', 'there and back');
SELECT is(pg_temp.stored(11, '08:00'), '{5,2} -', 'the last one stands');

-- Quality bits go with their reading.
SELECT is(pg_temp.settle('13 08:00 {1,999} 2'), 'new', 'a record with a flagged reading');
SELECT is(pg_temp.settle('13 08:00 {1,999} 2'), 'duplicate', 'again');
SELECT is(pg_temp.settle('13 08:00 {NULL,NULL,-5} 4'), 'merged', 'another flagged reading comes');
SELECT is(pg_temp.stored(13, '08:00'), '{1,999,-5} 6', 'both bits are set');
SELECT is(pg_temp.settle('13 08:00 {NULL,50}'), 'revised', 'a good value replaces a flagged one');
SELECT is(pg_temp.stored(13, '08:00'), '{1,50,-5} 4', 'its bit is gone, the other stays');
SELECT is(pg_temp.revisions(13), '{1,999,-5} 6', 'the revision keeps the old bits');
SELECT is(pg_temp.settle('13 08:00 {NULL,NULL,5}'), 'revised', 'the last flagged one is replaced');
SELECT is(pg_temp.stored(13, '08:00'), '{1,50,5} -', 'without any bit quality is NULL');
-- The same value with another bit is another statement (over_range): it revises, and of a reading beside it nothing is said.
SELECT is(pg_temp.settle('44 08:00 {500,3} 1', '44 08:00 {500,3} 1', '44 08:00 {NULL,3}'), 'new duplicate duplicate', 'a reading over range, twice');
SELECT is(pg_temp.settle('44 08:00 {500}'), 'revised', 'that is within it after all');
SELECT is(pg_temp.stored(44, '08:00') || ' | ' || pg_temp.revisions(44), '{500,3} - | {500,3} 1', 'what it was is kept');
SELECT is(pg_temp.settle('44 08:00 {500} 1', '44 08:00 {500,3}', '44 08:00 {500,3} 1'), 'revised revised revised', 'back and forth');
SELECT is(pg_temp.stored(44, '08:00'), '{500,3} 1', 'the last one stands');
SELECT is(pg_temp.settle('44 08:00 {500} 1', '44 08:00 {500,3}', '44 08:00 {500,3} 1'), 'duplicate duplicate duplicate', 'the batch comes again: nothing of it is news');
SELECT is(pg_temp.stored(44, '08:00'), '{500,3} 1', 'and nothing changes');
SELECT is(pg_temp.settle('44 08:00 {NULL,NULL,4} 4'), 'merged', 'another reading over range is added');

-- Attributes (text metrics).
SELECT is(pg_temp.settle('14 08:00 {} - {"plate":"A"}'), 'new', 'a record of text alone');
SELECT is(pg_temp.settle('14 08:00 {} - {"plate":"A"}', '14 08:00 {}'), 'duplicate duplicate', 'identical, or nothing at all');
SELECT is(pg_temp.settle('14 08:00 {7} - {"permit":"p"}'), 'merged', 'another text and a reading');
SELECT is(pg_temp.stored(14, '08:00'), '{7} - {"plate": "A", "permit": "p"}', 'are added');
SELECT is(pg_temp.settle('14 08:00 {7} - {"plate":"B"}'), 'revised', 'another text for the same metric');
SELECT is(pg_temp.stored(14, '08:00') || ' | ' || pg_temp.revisions(14), '{7} - {"plate": "B", "permit": "p"} | {7} - {"plate": "A", "permit": "p"}', 'wins, and the old one is kept');

-- A batch that comes again: what was replaced before is recognised, if what replaced it comes after it and stands.
SELECT is(pg_temp.settle('16 08:00 {1}'), 'new', 'a value');
SELECT is(pg_temp.settle('16 08:00 {2}'), 'revised', 'is corrected');
SELECT is(pg_temp.settle('16 08:00 {1}', '16 08:00 {2}'), 'duplicate duplicate', 'both again: nothing is new');
SELECT is(pg_temp.settle('16 08:00 {2}', '16 08:00 {1}'), 'duplicate revised', 'the other way round it is a correction back');
SELECT is(pg_temp.stored(16, '08:00') || ' | ' || pg_temp.revisions(16), '{1} - | {1} - | {2} -', 'which stands');
SELECT is(pg_temp.settle('16 08:00 {1}', '16 08:00 {3}', '16 08:00 {1}'), 'duplicate revised revised', 'there and back by way of what is new');
SELECT is(pg_temp.settle('17 08:00 {1} - {"a":"x"}'), 'new', 'texts');
SELECT is(pg_temp.settle('17 08:00 {1} - {"a":"y"}'), 'revised', 'are corrected');
SELECT is(pg_temp.settle('17 08:00 {1} - {"a":"x"}', '17 08:00 {1} - {"a":"y"}'), 'duplicate duplicate', 'and come again');

-- A replayed message is as old as it was when it came first: it fills what is missing, and never undoes a correction.
CREATE FUNCTION pg_temp.late(since timestamptz, VARIADIC records text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text; f text[]; fates text;
BEGIN
    TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
    FOREACH r IN ARRAY records LOOP
        f := string_to_array(r, ' ');
        INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings, quality, attributes)
        VALUES (f[1]::int, ('2026-04-01 ' || f[2] || 'Z')::timestamptz, since, f[3]::float8[], nullif(f[4], '-')::bigint, f[5]::jsonb);
    END LOOP;
    PERFORM onemap.observation_settle(clock_timestamp());
    SELECT string_agg(fate, ' ' ORDER BY row_no) INTO fates FROM pg_temp.observation_stage;
    RETURN fates;
END $$;
SELECT is(pg_temp.settle('18 08:00 {10}', '18 08:01 {10}'), 'new new', 'two values of now');
SELECT is(pg_temp.settle('18 08:00 {12}'), 'revised', 'one is corrected');
CREATE TEMP TABLE before AS SELECT received_at FROM onemap.observation WHERE device_id = 18 AND observed_at = '2026-04-01 08:00Z';
SELECT is(pg_temp.late('2026-03-31', '18 08:00 {10}', '18 08:02 {10}'), 'duplicate new', 'what was replaced is not told again, what was refused then is stored');
SELECT is(pg_temp.stored(18, '08:00') || ' | ' || pg_temp.revisions(18), '{12} - | {10} -', 'the correction stands');
SELECT is(pg_temp.late('2026-03-31', '18 08:00 {11,7,NULL,999} 8 {"a":"x"}'), 'merged', 'other fields are filled in');
SELECT is(pg_temp.stored(18, '08:00') || ' | ' || pg_temp.revisions(18), '{12,7,NULL,999} 8 {"a": "x"} | {10} -', 'with their quality; nothing is replaced');
SELECT is((SELECT o.received_at FROM onemap.observation o WHERE o.device_id = 18 AND o.observed_at = '2026-04-01 08:00Z'), (SELECT received_at FROM before), 'and the time of what stands stays');
SELECT is(pg_temp.late('2026-03-31 10:00', '18 08:02 {11}'), 'revised', 'of two replayed ones the one that came later wins');
SELECT is(pg_temp.late('2026-03-31 09:00', '18 08:02 {12}'), 'duplicate', 'whichever is replayed first');
SELECT is(pg_temp.stored(18, '08:02'), '{11} -', 'so it stands');
SELECT is(pg_temp.settle('18 08:02 {13}'), 'revised', 'a message of now is newer than all');
SELECT is((SELECT count(*)::int FROM onemap.rollup_recompute WHERE device_id = 18 AND hour = '2026-04-01 08:00Z') > 0, true, 'its hours are rolled up anew, as its stamp is no batch''s');

-- Days, and the stamp.
TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings)
VALUES (15, '2026-04-01 23:59:59Z', '2026-04-02 00:00:01Z', '{1}'), (15, '2026-04-02 00:00:00Z', '2026-04-02 00:00:01Z', '{1}'),
       (10, '2026-04-01 08:02Z', '2026-04-02 00:00:01Z', '{8}'), (10, '2026-04-01 08:01Z', '2026-04-02 00:00:01Z', '{1,2}');
SELECT is((SELECT ROW(s.*)::text FROM onemap.observation_settle((SELECT max(received_at) FROM pg_temp.observation_stage)) s), '({4},{},{3})', 'a batch over two days');
SELECT is((SELECT ROW(count(*) FILTER (WHERE tableoid = 'onemap.observation_20260402'::regclass), count(*))::text FROM onemap.observation_raw WHERE device_id = 15),
    '(1,2)', 'each record in the partition of its day');
SELECT is((SELECT count(*)::int FROM onemap.observation WHERE received_at = '2026-04-02 00:00:01Z' AND device_id = 10), 1,
    'a revised record has the later batch''s stamp, a duplicate keeps its first one');

-- Places.
CREATE FUNCTION pg_temp.track(x float8, y float8) RETURNS public.geometry LANGUAGE sql AS $$ SELECT public.ST_SetSRID(public.ST_MakePoint(x, y), 4326) $$;
INSERT INTO pg_temp.track_point_stage (device_id, observed_at, received_at, geom)
SELECT 20, ('2026-04-01 08:0' || m || 'Z')::timestamptz, now(), pg_temp.track(113.5, y) FROM (VALUES (0, 34.5), (1, 34.6), (0, 34.5), (1, 34.7), (1, 34.8)) v(m, y);
CREATE FUNCTION pg_temp.places(VARIADIC numbers float8[]) RETURNS text LANGUAGE plpgsql AS $$
-- of device 20 at 08:01, by their latitudes, received now
DECLARE stamp timestamptz := clock_timestamp(); found record;
BEGIN
    TRUNCATE pg_temp.track_point_stage RESTART IDENTITY;
    INSERT INTO pg_temp.track_point_stage (device_id, observed_at, received_at, geom)
    SELECT 20, '2026-04-01 08:01Z', stamp, pg_temp.track(113.5, y) FROM unnest(numbers) y;
    SELECT * INTO found FROM onemap.track_point_settle(stamp);
    RETURN found.added::text || found.revised::text;
END $$;
SELECT is((SELECT ROW(t.*)::text FROM onemap.track_point_settle(now()) t), '("{1,2}","{4,5}")', 'five places of two moments in one batch: two are new, two replace');
SELECT is((SELECT array_agg(public.ST_Y(geom) ORDER BY observed_at) FROM onemap.track_point WHERE device_id = 20), '{34.5,34.8}'::float8[], 'the last place of each moment stands');
SELECT is((SELECT array_agg(public.ST_Y(geom) ORDER BY id) FROM onemap.observation_revision WHERE device_id = 20), '{34.6,34.7}'::float8[],
    'each place that was replaced is kept; an identical one replaces nothing');
SELECT is(pg_temp.places(34.8), '{}{}', 'the same again');
SELECT is(pg_temp.places(34.8, 34.9, 34.9), '{}{2}', 'a correction, twice');
TRUNCATE pg_temp.track_point_stage RESTART IDENTITY;
INSERT INTO pg_temp.track_point_stage (device_id, observed_at, received_at, geom) VALUES (20, '2026-04-01 08:01Z', '2026-03-31', pg_temp.track(113.5, 34.6)),
    (20, '2026-04-01 08:09Z', '2026-03-31', pg_temp.track(113.5, 34.6));
SELECT is((SELECT ROW(t.*)::text FROM onemap.track_point_settle(now()) t), '({2},{})', 'a replayed place is stored where there is none, and replaces none');
SELECT is((SELECT array_agg(public.ST_Y(geom) ORDER BY observed_at) FROM onemap.track_point WHERE device_id = 20), '{34.5,34.9,34.6}'::float8[], 'as one sees');

-- The day's newest rows are in no statistics yet: no plan may read a partition for each record, as one by statistics of the morning
-- would.
SELECT onemap.partition_ensure('2026-04-03');
INSERT INTO onemap.observation_raw SELECT d, '2026-04-03 00:00Z'::timestamptz + n * interval '1 s', now(), '{1}' FROM generate_series(1, 20) d, generate_series(1, 200) n;
ANALYZE onemap.observation_raw;
INSERT INTO onemap.observation_raw SELECT d, '2026-04-03 12:00Z'::timestamptz + n * interval '1 s', now(), '{1}' FROM generate_series(1, 20) d, generate_series(1, 1000) n;
CREATE FUNCTION pg_temp.reads(from_at timestamptz, value float8) RETURNS bigint LANGUAGE plpgsql AS $$
-- how many rows of the day's partition are read, by scans from end to end and by its indexes
DECLARE before bigint; after bigint; stamp timestamptz := clock_timestamp();
BEGIN
    TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
    INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings)
    SELECT d, from_at + n * interval '1 s', stamp, ARRAY[value] FROM generate_series(1, 20) d, generate_series(1, 200) n;
    SELECT pg_stat_get_xact_tuples_returned(i.indexrelid) + pg_stat_get_xact_tuples_returned(i.indrelid) INTO before
    FROM pg_index i WHERE i.indrelid = 'onemap.observation_20260403'::regclass AND i.indisprimary;
    PERFORM onemap.observation_settle(stamp);
    SELECT pg_stat_get_xact_tuples_returned(i.indexrelid) + pg_stat_get_xact_tuples_returned(i.indrelid) INTO after
    FROM pg_index i WHERE i.indrelid = 'onemap.observation_20260403'::regclass AND i.indisprimary;
    RETURN after - before;
END $$;
SELECT cmp_ok(pg_temp.reads('2026-04-03 12:00Z', 1), '<=', 12000::bigint, '4,000 duplicates that no statistics know: each is looked up, none by a scan');
SELECT cmp_ok(pg_temp.reads('2026-04-03 12:00Z', 2), '<=', 12000::bigint, 'corrections likewise');
SELECT * FROM finish();
ROLLBACK;
