-- device_state: the last reading of each metric by its own time, merged every few seconds and caught up after a crash.
BEGIN;
SELECT plan(44);
SELECT onemap.partition_ensure('2026-04-01');
SELECT onemap.partition_ensure('2026-04-02');
SELECT onemap.stage_create();

-- state_merge: by the reading's time, the bit with the reading.
SELECT is((SELECT ROW(m.*)::text FROM onemap.state_merge('{1,2}', '{2026-01-01 00:00Z,2026-01-01 00:10Z}', 3, '{5,6}', '{2026-01-01 00:05Z,2026-01-01 00:05Z}', NULL) m),
    ROW('{5,2}'::float8[], '{2026-01-01 00:05Z,2026-01-01 00:10Z}'::timestamptz[], 2::bigint)::text, 'each ordinal by its own time, its quality bit with it');
SELECT is((SELECT ROW(m.*)::text FROM onemap.state_merge('{1}', '{2026-01-01 00:00Z}', NULL, '{2}', '{2026-01-01 00:00Z}', 1) m),
    ROW('{2}'::float8[], '{2026-01-01 00:00Z}'::timestamptz[], 1::bigint)::text, 'at equal times the newer message');
SELECT is((SELECT readings FROM onemap.state_merge('{1}', '{2026-01-01 00:00Z}', NULL, '{NULL,7}', '{NULL,2026-01-01 00:01Z}', NULL)), '{1,7}', 'what did not come stays');
SELECT is((SELECT ROW(m.*)::text FROM onemap.state_merge('{}', '{}', NULL, '{}', '{}', NULL) m), '({},{},)', 'nothing and nothing');
SELECT is((SELECT readings FROM onemap.state_merge('{1,2,3}', '{2026-01-01Z,2026-01-01Z,2026-01-01Z}', NULL, '{9}', '{2026-01-02Z}', NULL)), '{9,2,3}', 'a shorter array leaves the rest');

CREATE FUNCTION pg_temp.stage(device int, at text, seen text, readings float8[], quality bigint DEFAULT NULL, y float8 DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO pg_temp.device_state_stage (device_id, observed_at, last_seen_at, readings, reading_times, quality, geom, geom_at)
    SELECT device, t.at, ('2026-04-01 ' || seen || 'Z')::timestamptz, readings,
           (SELECT array_agg(CASE WHEN r.v IS NOT NULL THEN t.at END ORDER BY r.i) FROM unnest(readings) WITH ORDINALITY r(v, i)),
           quality, public.ST_SetSRID(public.ST_MakePoint(113, y), 4326), CASE WHEN y IS NOT NULL THEN t.at END
    FROM (SELECT ('2026-04-01 ' || at || 'Z')::timestamptz AS at) t $$;
CREATE FUNCTION pg_temp.state(device int) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', to_char(observed_at AT TIME ZONE 'UTC', 'HH24:MI'), to_char(last_seen_at AT TIME ZONE 'UTC', 'HH24:MI'), readings,
        coalesce(quality::text, '-'), CASE WHEN online THEN 'on' ELSE 'off' END, public.ST_Y(geom), to_char(geom_at AT TIME ZONE 'UTC', 'HH24:MI'))
    FROM onemap.device_state WHERE device_id = device $$;

SELECT pg_temp.stage(1, '08:00', '08:01', '{1,NULL,3}', 4), pg_temp.stage(2, '08:00', '08:01', '{1}', NULL, 34.5);
SELECT is(onemap.device_state_merge(), 2, 'two devices');
SELECT is(pg_temp.state(1), '08:00 08:01 {1,NULL,3} 4 on', 'the first state');
SELECT is(pg_temp.state(2), '08:00 08:01 {1} - on 34.5 08:00', 'with a place');
SELECT is((SELECT count(*)::int FROM pg_temp.device_state_stage), 0, 'the stage is empty again');
SELECT pg_temp.stage(1, '08:02', '08:03', '{NULL,2}');
SELECT onemap.device_state_merge();
SELECT is(pg_temp.state(1), '08:02 08:03 {1,2,3} 4 on', 'a later record with other metrics: the rest and its flag stay');
SELECT is((SELECT reading_times FROM onemap.device_state WHERE device_id = 1),
    '{2026-04-01 08:00Z,2026-04-01 08:02Z,2026-04-01 08:00Z}'::timestamptz[], 'each reading has its own time');
SELECT pg_temp.stage(1, '07:00', '08:04', '{9,9,9,9}', 8, 34.9);
SELECT onemap.device_state_merge();
SELECT is(pg_temp.state(1), '08:02 08:04 {1,2,3,9} 12 on 34.9 07:00', 'an older record gives only what was not known; it has been seen, though');
SELECT pg_temp.stage(2, '07:30', '08:05', '{NULL}', NULL, 30);
SELECT onemap.device_state_merge();
SELECT is(pg_temp.state(2), '08:00 08:05 {1} - on 34.5 08:00', 'an older place does not replace a newer one');
SELECT pg_temp.stage(2, '08:06', '08:06', '{2}');
SELECT onemap.device_state_merge();
SELECT is(pg_temp.state(2), '08:06 08:06 {2} - on 34.5 08:00', 'a record without a place leaves the place');
SELECT pg_temp.stage(1, '08:00', '08:04', '{7,NULL,30}');
SELECT onemap.device_state_merge();
SELECT is(pg_temp.state(1), '08:02 08:04 {7,2,30,9} 8 on 34.9 07:00', 'a revision of the same time replaces the reading and its flag');

-- Online again.
UPDATE onemap.device_state SET online = false, changed_at = '2026-04-01 09:00Z';
SELECT pg_temp.stage(1, '08:10', '08:04', '{1}'), pg_temp.stage(2, '08:10', '08:30', '{1}');
SELECT onemap.device_state_merge();
SELECT is((SELECT ROW(online, changed_at)::text FROM onemap.device_state WHERE device_id = 1), ROW(false, '2026-04-01 09:00Z'::timestamptz)::text,
    'what was seen before is no sign of life');
SELECT is((SELECT ROW(online, changed_at)::text FROM onemap.device_state WHERE device_id = 2), ROW(true, now())::text, 'a new record brings a device back');

-- Catch-up after a crash: what was committed after the last write of the state.
CREATE FUNCTION pg_temp.commit_batch(stamp text, VARIADIC records text[]) RETURNS void LANGUAGE plpgsql AS $$
-- each record: 'device time readings [quality]', or 'device time @y' for a place
DECLARE r text; f text[]; at timestamptz; hours timestamptz[] := '{}';
BEGIN
    FOREACH r IN ARRAY records LOOP
        f := string_to_array(r, ' ');
        at := ('2026-04-' || f[2] || 'Z')::timestamptz;
        hours := hours || date_trunc('hour', at);
        IF f[3] LIKE '@%' THEN
            INSERT INTO onemap.track_point_raw VALUES (f[1]::int, at, stamp::timestamptz, public.ST_SetSRID(public.ST_MakePoint(113, substr(f[3], 2)::float8), 4326));
        ELSE
            INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings, quality) VALUES (f[1]::int, at, stamp::timestamptz, f[3]::float8[], f[4]::bigint);
        END IF;
    END LOOP;
    INSERT INTO onemap.batch_log (received_at, hours, records) SELECT stamp::timestamptz, array_agg(DISTINCT h), cardinality(records) FROM unnest(hours) h;
END $$;
DELETE FROM onemap.device_state;
SELECT is(onemap.device_state_catch_up(), 0, 'nothing was ever committed');
SELECT pg_temp.commit_batch('2026-04-01 10:00Z', '1 01T09:58 {1,2} 2', '1 01T09:59 {NULL,NULL,3}', '2 01T09:59 {1}', '3 01T09:58 @34.5', '3 01T09:58 {1}');
SELECT is(onemap.device_state_catch_up(), 3, 'a batch that is not stated yet');
SELECT is(pg_temp.state(1), '09:59 10:00 {1,2,3} 2 on', 'the last reading of each metric, with its flag');
SELECT is((SELECT reading_times FROM onemap.device_state WHERE device_id = 1), '{2026-04-01 09:58Z,2026-04-01 09:58Z,2026-04-01 09:59Z}'::timestamptz[], 'and its time');
SELECT is(pg_temp.state(3), '09:58 10:00 {1} - on 34.5 09:58', 'and the place');
SELECT is((SELECT count(*)::int FROM onemap.batch_unstated), 0, 'now it is');
SELECT pg_temp.commit_batch('2026-04-01 12:00Z', '1 01T12:00 {5}', '1 01T06:00 {6,6,6,6} 8', '4 01T12:00 {}', '5 01T12:00 {NULL,NULL}', '6 01T11:59 @34.7', '3 01T07:00 @30');
SELECT pg_temp.commit_batch('2026-04-02 00:10Z', '1 02T00:09 {NULL,8}', '2 02T00:05 {2}', '2 01T23:00 {3,3}', '6 02T00:09 @34.8', '6 01T23:00 @34.1');
SELECT is(onemap.device_state_catch_up(), 6, 'two batches since: six devices');
SELECT is(pg_temp.state(1), '00:09 00:10 {5,8,3,6} 8 on', 'over hours and days, late records give only what was not known');
SELECT is(pg_temp.state(2), '00:05 00:10 {2,3} - on', 'within one batch by the records'' times');
SELECT is(pg_temp.state(3), '09:58 12:00 {1} - on 34.5 09:58', 'a late place is older than the known one');
SELECT is(pg_temp.state(4), '12:00 12:00 {} - on', 'a record without any reading is a sign of life');
SELECT is(pg_temp.state(5), '12:00 12:00 {NULL,NULL} - on', 'so is one of empty readings');
SELECT is(pg_temp.state(6), '00:09 00:10 {} - on 34.8 00:09', 'and one of a place alone; the last place by its time');
SELECT is(onemap.device_state_catch_up(), 0, 'again: there is nothing left');
SELECT is(pg_temp.state(1), '00:09 00:10 {5,8,3,6} 8 on', 'which changes nothing');
SELECT pg_temp.commit_batch('2026-04-02 01:00Z', '1 02T00:09:30 {50}');
UPDATE onemap.observation_raw SET readings = '{NULL,80}', received_at = '2026-04-02 01:00Z' WHERE device_id = 1 AND observed_at = '2026-04-02 00:09Z';
SELECT is(onemap.device_state_catch_up(), 1, 'a batch with a revision');
SELECT is(pg_temp.state(1), '00:09 01:00 {50,80,3,6} 8 on', 'the revised value is found, too');

-- A clock that was ahead: of the hub, whose stamps and sightings are days off, or of the whole machine.
SELECT pg_temp.commit_batch((now() + interval '2 days')::text, '2 02T00:06 {7}');
SELECT pg_temp.commit_batch('2026-04-02 01:01Z', '2 02T00:07 {8}');
SELECT is(onemap.device_state_catch_up(), 1, 'a batch with a stamp of the day after tomorrow hides no other');
SELECT is((SELECT ROW(observed_at, last_seen_at, readings[1])::text FROM onemap.device_state WHERE device_id = 2),
    ROW('2026-04-02 00:07Z'::timestamptz, now(), 8::float8)::text, 'nothing was seen in the future');
UPDATE onemap.device_state SET last_seen_at = now() + interval '2 days' WHERE device_id = 2;
SELECT pg_temp.stage(2, '00:01', '01:02', '{1}');
UPDATE pg_temp.device_state_stage SET observed_at = now(), last_seen_at = now(), reading_times = ARRAY[now()];
SELECT onemap.device_state_merge();
SELECT is((SELECT last_seen_at FROM onemap.device_state WHERE device_id = 2), now(), 'a sighting of the future gives way');
UPDATE onemap.device_state SET last_seen_at = now() + interval '2 days' WHERE device_id = 2;
SELECT onemap.presence_sweep(now());
SELECT is((SELECT last_seen_at FROM onemap.device_state WHERE device_id = 2), now(), 'also of a device that says nothing more');
UPDATE onemap.device_state SET observed_at = now() + interval '2 days', reading_times = ARRAY[now() + interval '2 days'], readings = '{99}',
    geom = public.ST_SetSRID(public.ST_MakePoint(1, 2), 4326), geom_at = now() + interval '2 days' WHERE device_id = 2;
SELECT pg_temp.stage(2, '00:01', '01:02', '{3}', NULL, 34.5);
UPDATE pg_temp.device_state_stage SET observed_at = now(), last_seen_at = now(), reading_times = ARRAY[now()], geom_at = now();
SELECT onemap.device_state_merge();
SELECT is((SELECT ROW(observed_at, reading_times, readings, public.ST_Y(geom), geom_at)::text FROM onemap.device_state WHERE device_id = 2),
    ROW(now(), ARRAY[now()], '{3}'::float8[], 34.5::float8, now())::text, 'so do readings and places of the future');
SELECT pg_temp.stage(2, '00:01', '01:02', '{4}');
UPDATE pg_temp.device_state_stage SET observed_at = now() + interval '1 hour', last_seen_at = now() + interval '1 hour',
    reading_times = ARRAY[now() + interval '1 hour'];
SELECT onemap.device_state_merge('{}', '100 s');
SELECT is((SELECT ROW(observed_at, last_seen_at, reading_times, readings)::text FROM onemap.device_state WHERE device_id = 2),
    ROW(now() + interval '100 s', now(), ARRAY[now() + interval '100 s'], '{4}'::float8[])::text, 'no time is written that no record may have');
SELECT pg_temp.stage(33, '00:01', '01:02', '{4,NULL,6}');
UPDATE pg_temp.device_state_stage SET reading_times = ARRAY[now() + interval '1 hour', NULL, now() - interval '1 hour'];
SELECT onemap.device_state_merge('{}', '100 s');
SELECT is((SELECT ROW(reading_times, readings)::text FROM onemap.device_state WHERE device_id = 33),
    ROW(ARRAY[now() + interval '100 s', NULL, now() - interval '1 hour'], '{4,NULL,6}'::float8[])::text, '... nor one of what was not read');
DELETE FROM onemap.device_state WHERE device_id = 33;
DELETE FROM onemap.observation_raw WHERE observed_at IN ('2026-04-02 00:06Z', '2026-04-02 00:07Z');
DELETE FROM onemap.batch_log WHERE received_at > now();

-- A state written piece by piece equals one caught up from nothing.
CREATE TEMP TABLE piecewise AS SELECT device_id, observed_at, last_seen_at, readings, reading_times, quality, geom::text, geom_at
    FROM onemap.device_state WHERE device_id <> 2;
DELETE FROM onemap.device_state;
INSERT INTO onemap.batch_unstated SELECT id FROM onemap.batch_log;
SELECT is(onemap.device_state_catch_up(), 6, 'all from nothing');
SELECT set_eq($$SELECT device_id, observed_at, last_seen_at, readings, reading_times, quality, geom::text, geom_at FROM onemap.device_state
    WHERE device_id <> 2$$,
    $$SELECT * FROM piecewise$$, 'gives the same');
SET LOCAL ROLE cityhub_hub;
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_class WHERE relname = 'device_state' AND has_table_privilege(oid, 'DELETE')), 0, 'the hub deletes no state');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
