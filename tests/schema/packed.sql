-- Packed days: records come out of them as they went in, to the bit; what comes for them later is told apart as if they were raw; a
-- step that fails leaves nothing behind.
BEGIN;
SELECT plan(45);
SELECT setseed(0.25);
SELECT onemap.partition_ensure(d::date) FROM generate_series('2026-03-01'::date, '2026-03-04', '1 day') d;
SELECT onemap.stage_create();
CREATE FUNCTION pg_temp.pack(day date, at_once int DEFAULT 150) RETURNS text LANGUAGE plpgsql AS $$
DECLARE step text; steps text := '';
BEGIN
    FOR n IN 1 .. 1000 LOOP
        step := onemap.pack_step(day + 1, day, at_once);
        EXIT WHEN step = 'done';
        steps := steps || ' ' || step;
    END LOOP;
    RETURN steps;
END $$;

-- ---- to the bit ----
-- Devices of every sort: decimals, counters, constants, floats, odd values, holes, ragged arrays, texts, bits, times of us.
CREATE FUNCTION pg_temp.reading(device int, n int, o int) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE device % 9
        WHEN 0 THEN round((20 + 5 * random())::numeric, 2)::float8
        WHEN 1 THEN round((1e6 * o + n * 17.3 + random())::numeric, 1)::float8
        WHEN 2 THEN o
        WHEN 3 THEN random() * 10 ^ (40 * random() - 20)
        WHEN 4 THEN (ARRAY['NaN', '-0', '0', 'Infinity', '-Infinity', '5e-324', '1.7976931348623157e308', '1', NULL])[1 + floor(random() * 9)]::float8
        WHEN 5 THEN CASE WHEN random() < 0.7 THEN floor(random() * 300) END
        WHEN 6 THEN round((random() * 1e9)::numeric, 3)::float8
        WHEN 7 THEN (random() * 1000)::float4::float8
        ELSE CASE WHEN random() < 0.5 THEN floor(random() * 4) - 2 ELSE floor(random() * 16000000) END END;
END $$;
INSERT INTO onemap.observation_raw
SELECT d, '2026-03-01 00:00Z'::timestamptz + CASE WHEN d % 2 = 0 THEN n * interval '30 s' ELSE n * interval '30.000001 s' + random() * interval '20 s' END,
    '2026-03-01 00:00Z'::timestamptz + n * interval '30 s' + random() * interval '40 days' * (d % 3),
    ARRAY(SELECT pg_temp.reading(d, n, o) FROM generate_series(1, CASE WHEN d % 5 = 0 THEN (n % 4)::int ELSE 7 END) o),
    CASE WHEN d % 4 = 0 AND random() < 0.3 THEN (random() * 2 ^ 62)::bigint WHEN d % 7 = 0 THEN -9223372036854775808 END,
    CASE WHEN d % 6 = 0 AND random() < 0.5 THEN jsonb_build_object('text', md5(n::text), 'n', NULL, 'v', 1.50) END
FROM generate_series(1, 45) d, generate_series(0, 60) n;
INSERT INTO onemap.observation_raw VALUES (99, '2026-03-01 00:00Z', '2026-03-01 00:00Z', '{1}'), (99, '2026-03-01 23:59:59.999999Z', '2026-03-02 00:00Z', '{2}'),
    (100, '2026-03-01 12:00Z', 'epoch', '{}'), (100, '2026-03-01 12:01Z', '2300-01-01', '[2:3]={1,2}'), (101, '2026-03-01 12:00Z', now(), '{{1,2},{3,4}}');
INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom, geom_outside)
SELECT d, '2026-03-01 00:00Z'::timestamptz + n * interval '10 s', '2026-03-01 00:00Z'::timestamptz + n * interval '10.123 s',
    CASE WHEN n % 7 > 0 THEN p.g END, CASE WHEN n % 7 = 0 THEN p.g END
FROM generate_series(1, 12) d, generate_series(1, 60) n, LATERAL (SELECT public.ST_SetSRID(public.ST_MakePoint(
    CASE WHEN d % 2 = 0 THEN round((114 + n * 0.0001234)::numeric, 7)::float8 ELSE 114 + random() + n * 0 END, CASE d % 3 WHEN 0 THEN -0.0 ELSE 34 + random() + n * 0 END), 4326) AS g) p;
CREATE TEMP TABLE before AS SELECT * FROM onemap.observation;
CREATE TEMP TABLE place_before AS SELECT device_id, observed_at, received_at, geom::bytea AS geom, geom_outside::bytea AS geom_outside FROM onemap.track_point;
CREATE FUNCTION pg_temp.unlike() RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM before b FULL JOIN onemap.observation o ON o.device_id = b.device_id AND o.observed_at = b.observed_at
    WHERE b.device_id IS NULL OR o.device_id IS NULL
        OR NOT ROW(o.received_at, o.readings, o.quality, o.attributes)::record *= ROW(b.received_at, b.readings, b.quality, b.attributes)::record
$$;
CREATE FUNCTION pg_temp.place_unlike() RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM place_before b FULL JOIN onemap.track_point o ON o.device_id = b.device_id AND o.observed_at = b.observed_at
    WHERE b.device_id IS NULL OR o.device_id IS NULL OR NOT ROW(o.received_at, o.geom::bytea, o.geom_outside::bytea)::record *= ROW(b.received_at, b.geom, b.geom_outside)::record
$$;
SELECT is(pg_temp.unlike() + pg_temp.place_unlike(), 0, 'the comparison compares');
SELECT matches(pg_temp.pack('2026-03-01'), '^( begun( devices){2,} packed){2}$', 'a day is packed in steps');
SELECT is(pg_temp.unlike(), 0, 'every record comes out as it went in');
SELECT is(pg_temp.place_unlike(), 0, 'and every place');
SELECT is((SELECT array_agg(DISTINCT device_id ORDER BY device_id) FROM onemap.observation_raw), '{100,101}', 'what has no packed form stays raw');
SELECT is((SELECT kept_raw FROM onemap.packed_day WHERE kind = 'o'), '{100,101}', 'and is told');
SELECT is((SELECT array_agg(DISTINCT planes ORDER BY planes) FROM onemap.packed_series WHERE ordinal > 0), '{0,1,2,3,4,5}'::smallint[], 'all forms are met');
SELECT is((SELECT count(*)::int FROM (SELECT r.from_at, r.to_at FROM (SELECT '2026-03-01'::timestamptz + random() * interval '40 min' AS from_at, '2026-03-01'::timestamptz
        + random() * interval '40 min' AS to_at FROM generate_series(1, 20)) r
    WHERE (SELECT count(*) FROM onemap.observation_between(r.from_at, r.to_at)) <> (SELECT count(*) FROM before b WHERE b.observed_at >= r.from_at AND b.observed_at < r.to_at)
        OR (SELECT count(*) FROM onemap.observation_of(5, r.from_at, r.to_at)) <> (SELECT count(*) FROM before b WHERE b.device_id = 5 AND b.observed_at >= r.from_at AND b.observed_at < r.to_at)
        OR (SELECT count(*) FROM onemap.track_point_of(5, r.from_at, r.to_at)) <> (SELECT count(*) FROM place_before b WHERE b.device_id = 5 AND b.observed_at >= r.from_at
            AND b.observed_at < r.to_at)) wrong), 0, 'any part of a day is what it was');
SELECT is((SELECT count(*)::int FROM before b WHERE b.device_id < 46 AND (SELECT count(*) FROM onemap.observation_of(b.device_id, b.observed_at, b.observed_at + interval '1 us') o
    WHERE o.observed_at = b.observed_at) <> 1), 0, 'each record is found by its time');

-- ---- what comes later ----
SELECT throws_ok($$INSERT INTO onemap.observation_raw VALUES (1, '2026-03-01 23:00Z', now(), '{1}')$$, '23505', NULL, 'what does not come by the slow path is refused');
CREATE FUNCTION pg_temp.settle(VARIADIC rows text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text; f text[]; result record; stamp timestamptz := '2026-05-01 00:00Z';
BEGIN
    TRUNCATE pg_temp.observation_stage RESTART IDENTITY;
    FOREACH r IN ARRAY rows LOOP
        f := string_to_array(r, ' ');
        INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings, quality) VALUES (f[1]::int, (format('2026-03-%s %sZ', coalesce(nullif(split_part(f[2], '/', 2), ''), '01'), split_part(f[2], '/', 1)))::timestamptz, stamp, f[3]::float8[], f[4]::bigint);
    END LOOP;
    SELECT * INTO result FROM onemap.observation_settle(stamp);
    PERFORM set_config('onemap.settling', '', true);
    RETURN format('%s %s %s', result.duplicates, result.merged, result.revised);
END $$;
SELECT is(pg_temp.settle('2 00:00:30 {1,2,3,4,5,6,7}', '2 00:01:00 {1,2}'), '{1,2} {} {}', 'a record that is there, and a part of one, are duplicates');
SELECT is((SELECT count(*)::int FROM onemap.observation_raw WHERE device_id = 2), 0, 'that change nothing');
SELECT is(pg_temp.settle('2 00:00:30 {9,2,3,4,5,6,7}', '2 00:01:00 {NULL,NULL,NULL,NULL,NULL,NULL,NULL,8}', '2 23:00:00 {1}'), '{} {2} {1}', 'a correction, a merge and a new one');
SELECT is((SELECT string_agg(readings::text, ' ' ORDER BY observed_at) FROM onemap.observation_of(2, '2026-03-01 00:00:30Z', '2026-03-01 00:01:01Z')),
    '{9,2,3,4,5,6,7} {1,2,3,4,5,6,7,8}', 'are what everybody sees');
SELECT is((SELECT count(*)::int FROM onemap.observation WHERE device_id = 2), 62, 'once each');
SELECT is((SELECT readings FROM onemap.observation_revision WHERE device_id = 2), '{1,2,3,4,5,6,7}', 'what was replaced is kept');
SELECT is((SELECT cardinality(lifted) FROM onemap.packed_record WHERE device_id = 2 AND kind = 'o'), 2, 'two records were lifted');
SELECT is(pg_temp.settle('2 00:00:30 {9,2,3,4,5,6,7}', '2 23:00:00 {1}'), '{1,2} {} {}', 'and again they are duplicates');
SELECT is((SELECT count(*)::int FROM onemap.rollup_recompute WHERE device_id = 2), 1, 'the hour of what changed is made anew');
UPDATE before SET readings = '{9,2,3,4,5,6,7}', received_at = '2026-05-01 00:00Z' WHERE device_id = 2 AND observed_at = '2026-03-01 00:00:30Z';
UPDATE before SET readings = '{1,2,3,4,5,6,7,8}', received_at = '2026-05-01 00:00Z' WHERE device_id = 2 AND observed_at = '2026-03-01 00:01:00Z';
INSERT INTO before VALUES (2, '2026-03-01 23:00Z', '2026-05-01 00:00Z', '{1}');
SELECT is(pg_temp.settle('2 00:01:30 {1} 1'), '{} {} {1}', 'the same value over range is a correction');
SELECT is(pg_temp.settle('2 00:01:30 {1} 1'), '{1} {} {}', 'once');
UPDATE before SET quality = 1, received_at = '2026-05-01 00:00Z' WHERE device_id = 2 AND observed_at = '2026-03-01 00:01:30Z';
SELECT is(pg_temp.unlike(), 0, 'nothing else changed');
SELECT is(pg_temp.pack('2026-03-01'), ' again', 'late records are packed with their day');
SELECT is((SELECT count(*)::int FROM onemap.observation_raw WHERE device_id = 2), 0, 'none of them is raw then');
SELECT is(pg_temp.unlike(), 0, 'and all is as it was');
TRUNCATE pg_temp.track_point_stage RESTART IDENTITY;
INSERT INTO pg_temp.track_point_stage (device_id, observed_at, received_at, geom, geom_outside)
SELECT device_id, observed_at, '2026-05-01', CASE WHEN n = 3 THEN public.ST_SetSRID(public.ST_MakePoint(1, 1), 4326) ELSE geom END, CASE WHEN n <> 3 THEN geom_outside END
FROM (SELECT *, row_number() OVER (ORDER BY observed_at) AS n FROM onemap.track_point WHERE device_id = 4) t WHERE n <= 3;
SELECT is((SELECT ROW(added, revised)::text FROM onemap.track_point_settle('2026-05-01')), '({},{3})', 'places likewise');
SELECT is((SELECT count(*)::int FROM onemap.track_point WHERE device_id = 4), 60, 'one a moment');

-- ---- in between ----
SELECT set_config('onemap.settling', '', true);
INSERT INTO onemap.observation_raw SELECT d, '2026-03-02 00:00Z'::timestamptz + n * interval '1 min', now(), ARRAY[n, d] FROM generate_series(1, 5) d, generate_series(1, 100) n;
SELECT is(onemap.pack_step('2026-03-03', '2026-03-02', 150) || ' ' || onemap.pack_step('2026-03-03', '2026-03-02', 150), 'begun devices', 'some devices of a day are packed');
SELECT is((SELECT array_agg(DISTINCT device_id ORDER BY device_id) FROM onemap.observation_raw WHERE observed_at >= '2026-03-02'), '{2,3,4,5}', 'and not raw any more');
SELECT is((SELECT count(*)::int FROM onemap.observation WHERE observed_at >= '2026-03-02'), 500, 'which nobody can tell');
SELECT throws_ok($$INSERT INTO onemap.observation_raw VALUES (5, '2026-03-02 20:00Z', now(), '{7}')$$, '23505', NULL, 'from here on all of the day comes by the slow path');
SELECT is(pg_temp.settle('1 20:00/02 {7}', '5 20:00/02 {7}', '1 00:01/02 {1,1}', '5 00:01/02 {1,1}', '1 00:02/02 {9,1}', '5 00:02/02 {9,5}'), '{3} {} {4,5,6}',
    'records for packed and for raw devices: new, duplicates, corrections');
SELECT matches(pg_temp.pack('2026-03-02'), '^( devices){1,} packed begun packed again( dropped)*$', 'the rest follows, and what came late');
SELECT is((SELECT count(*)::int || ' ' || (SELECT count(*) FROM onemap.observation_raw WHERE observed_at >= '2026-03-02') FROM onemap.observation WHERE observed_at >= '2026-03-02'), '502 0',
    'and what came between is in it');
-- ---- and back ----
CREATE FUNCTION pg_temp.unpack(day date, at_once int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE step text; steps text := '';
BEGIN
    FOR n IN 1 .. 1000 LOOP
        step := onemap.unpack_step(day, at_once);
        EXIT WHEN step = 'done';
        steps := steps || ' ' || step;
    END LOOP;
    RETURN steps;
END $$;
SELECT is((SELECT ROW(records, readings)::text FROM onemap.packed_day WHERE kind = 'o' AND day = '2026-03-02'), '(502,1002)', 'it is told how much is packed');
SELECT matches(pg_temp.unpack('2026-03-01', 200), '^( devices){5,} unpacked( devices){2,} unpacked$', 'a day is made raw again in steps');
SELECT is(pg_temp.unlike() - (SELECT count(*)::int FROM onemap.observation WHERE observed_at >= '2026-03-02'), 0, 'as it was');
SELECT is((SELECT string_agg(concat_ws(' ', state, records, readings, bytes), ', ') FROM onemap.packed_day WHERE day = '2026-03-01'), 'raw 0 0 0, raw 0 0 0', 'nothing of it is packed');
SELECT lives_ok($$INSERT INTO onemap.observation_raw VALUES (1, '2026-03-01 23:00Z', now(), '{1}')$$, 'and takes records as any other');
SELECT is(onemap.pack_step('2026-03-05') || ' ' || (SELECT count(*) FROM onemap.packed_record WHERE day = '2026-03-01'), 'begun 0', 'the job leaves it raw, and takes another day');
SELECT matches(pg_temp.pack('2026-03-01'), '^ begun( devices)+ packed begun( devices)* packed$', 'who asks for it has it packed again');
SELECT cmp_ok(onemap.packed_forget('2026-03-03'), '>=', 3, 'what is past its retention goes');
SELECT is((SELECT count(*)::int FROM onemap.packed_series) + (SELECT count(*)::int FROM onemap.packed_record) + (SELECT count(*)::int FROM onemap.packed_day WHERE day < '2026-03-03'), 0, 'all of it');
SELECT throws_ok($$SELECT onemap.pack_step('2030-01-01', (now() AT TIME ZONE 'UTC')::date - 1)$$, 'CH013', NULL, 'yesterday is not packed');
SELECT throws_ok($$SELECT onemap.unpack_step('2026-03-09')$$, 'CH013', NULL, 'what is not packed is not unpacked');
SELECT * FROM finish();
ROLLBACK;
