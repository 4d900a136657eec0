-- The same messages, stored once in raw days and once in days that are packed and unpacked in between at random: tables, receipts and
-- whatever is counted from records are the same to the bit. New records, duplicates, corrections, merges, replayed ones, places.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(8);
SET LOCAL extra_float_digits = 1;
SET LOCAL jit = off;
SELECT setseed(0.5);
SELECT onemap.stage_create();
SELECT onemap.partition_ensure(d::date) FROM generate_series('2026-03-01'::date, '2026-03-03', '1 day') d;
SELECT count(public.test_device(k.subsystem, k.key, k.key)) FROM onemap.device_kind k;

-- ---- messages ----
-- A key comes several times, with another variant of its values now and then, and with some of its fields.
CREATE FUNCTION pg_temp.reading(d onemap.device, m onemap.metric, slot int, variant int) RETURNS float8 LANGUAGE sql AS $$
    SELECT CASE WHEN m.kind = 'text' THEN NULL
        WHEN m.max_value - m.min_value <= 20 THEN m.min_value + (slot + variant) % (m.max_value - m.min_value + 1)::int
        WHEN m.ordinal % 5 = 0 THEN round((m.min_value + slot * 7.3 + variant)::numeric, 1)::float8
        WHEN m.ordinal % 5 = 1 THEN round((m.min_value + (m.max_value - m.min_value) * random() * 1.02)::numeric, (m.ordinal % 4))::float8
        WHEN m.ordinal % 5 = 2 THEN m.min_value + variant
        WHEN m.ordinal % 5 = 3 AND d.id % 4 = 0 THEN (ARRAY['-1e300', '-0', '5e-324', '123456789012345678', '0.1']::float8[])[1 + slot % 5]
        ELSE m.min_value + (m.max_value - m.min_value) * random() END
$$;
CREATE TEMP TABLE variant AS
SELECT d.id AS device_id, s.slot, v.variant, '2026-03-01 00:00Z'::timestamptz + s.slot * CASE d.id % 3 WHEN 0 THEN interval '80 min' WHEN 1 THEN interval '80 min 0.000007 s'
        ELSE interval '79 min 59.5 s' END AS observed_at,
    (SELECT array_agg(pg_temp.reading(d, m, s.slot, v.variant) ORDER BY m.ordinal) FROM onemap.metric m WHERE m.subsystem = d.subsystem AND m.ordinal > 0) AS readings,
    CASE WHEN d.id % 5 = 0 THEN jsonb_build_object('text', v.variant, 'n', s.slot % 3) END AS attributes,
    public.ST_SetSRID(public.ST_MakePoint(114 + s.slot * 0.0001 + v.variant * 0.1, 33 + random()), 4326) AS place, random() < 0.1 AS outside
FROM onemap.device d CROSS JOIN generate_series(0, 50) s(slot) CROSS JOIN generate_series(0, 2) v(variant);
CREATE INDEX ON variant (device_id, slot, variant);
CREATE TEMP TABLE message AS
SELECT x.batch, v.device_id, v.observed_at, CASE WHEN x.batch % 7 = 0 AND random() < 0.5 THEN '2026-03-20 00:00Z'::timestamptz + random() * interval '9 days' END AS received_at,
    CASE WHEN x.part < 0.2 THEN ARRAY(SELECT CASE WHEN random() < 0.5 THEN r END FROM unnest(v.readings) WITH ORDINALITY u(r, i) ORDER BY i)
        WHEN x.part < 0.25 THEN v.readings[1:2] WHEN x.part < 0.27 THEN '{}' ELSE v.readings END AS readings,
    CASE WHEN x.part > 0.15 THEN v.attributes END AS attributes,
    CASE WHEN k.mobile THEN v.place END AS place, v.outside
FROM (SELECT n / 60 AS batch, 1 + floor(random() * (SELECT count(*) FROM onemap.device))::int AS nth, floor(random() * 51)::int AS slot,
          greatest(floor(random() * 6)::int - 3, 0) AS variant, random() AS part FROM generate_series(0, 1799) n) x
JOIN (SELECT d.*, row_number() OVER (ORDER BY d.id) AS nth FROM onemap.device d) d ON d.nth = x.nth
JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
JOIN variant v ON v.device_id = d.id AND v.slot = x.slot AND v.variant = x.variant;
ANALYZE message;
CREATE TEMP TABLE receipt (batch int, place boolean, said text);
CREATE TEMP TABLE moment AS SELECT n AS batch, floor(random() * 5)::int AS steps, random() < 0.1 AS unpacks, (floor(random() * 3))::int AS day,
    50 + floor(random() * 400)::int AS at_once FROM generate_series(0, 29) n;
CREATE TEMP TABLE step (said text);

CREATE FUNCTION pg_temp.store(chosen int) RETURNS void LANGUAGE plpgsql AS $$
-- as the hub does: copied in, and settled if that meets a key that is there, or if a message is replayed
DECLARE stamp timestamptz := '2026-04-01 00:00Z'::timestamptz + chosen * interval '1 min'; told record; told_place record;
BEGIN
    BEGIN
        IF EXISTS (SELECT FROM message m WHERE m.batch = chosen AND m.received_at IS NOT NULL) THEN
            RAISE unique_violation;
        END IF;
        INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings, quality, attributes)
        SELECT m.device_id, m.observed_at, stamp, m.readings, NULL, m.attributes FROM message m WHERE m.batch = chosen;
        INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom, geom_outside)
        SELECT m.device_id, m.observed_at, stamp, CASE WHEN NOT m.outside THEN m.place END, CASE WHEN m.outside THEN m.place END
        FROM message m WHERE m.batch = chosen AND m.place IS NOT NULL;
        INSERT INTO receipt VALUES (chosen, false, '{} {} {}');
    EXCEPTION WHEN unique_violation THEN
        TRUNCATE pg_temp.observation_stage, pg_temp.track_point_stage RESTART IDENTITY;
        INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings, quality, attributes)
        SELECT m.device_id, m.observed_at, coalesce(m.received_at, stamp), m.readings, CASE WHEN m.device_id % 3 = 0 AND m.readings[2] IS NOT NULL THEN 2 END, m.attributes
        FROM message m WHERE m.batch = chosen;
        INSERT INTO pg_temp.track_point_stage (device_id, observed_at, received_at, geom, geom_outside)
        SELECT m.device_id, m.observed_at, coalesce(m.received_at, stamp), CASE WHEN NOT m.outside THEN m.place END, CASE WHEN m.outside THEN m.place END
        FROM message m WHERE m.batch = chosen AND m.place IS NOT NULL;
        SELECT * INTO told_place FROM onemap.track_point_settle(stamp);
        SELECT * INTO told FROM onemap.observation_settle(stamp);
        PERFORM set_config('onemap.settling', '', true);
        INSERT INTO receipt VALUES (chosen, false, format('%s %s %s', told.duplicates, told.merged, told.revised)), (chosen, true, format('%s %s', told_place.added, told_place.revised));
    END;
    INSERT INTO onemap.batch_log (received_at, hours, records)
    SELECT stamp, array_agg(DISTINCT date_trunc('hour', m.observed_at)), count(*) FROM message m WHERE m.batch = chosen;
END $$;

CREATE FUNCTION pg_temp.play(packing boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE m record; chosen date;
BEGIN
    FOR m IN SELECT * FROM moment ORDER BY batch LOOP
        PERFORM pg_temp.store(m.batch);
        IF m.batch % 9 = 0 THEN
            PERFORM onemap.rollup_run();
        END IF;
        chosen := '2026-03-01'::date + m.day;
        FOR n IN 1 .. CASE WHEN packing THEN m.steps ELSE 0 END LOOP
            IF m.unpacks AND EXISTS (SELECT FROM onemap.packed_day p WHERE p.day = chosen) THEN
                INSERT INTO step SELECT 'un' || onemap.unpack_step(chosen, m.at_once / 5);
            ELSE
                INSERT INTO step SELECT onemap.pack_step(chosen + 1, chosen, m.at_once);
            END IF;
        END LOOP;
    END LOOP;
    PERFORM onemap.rollup_run();
END $$;

-- ---- what is compared ----
-- Every function of onemap that may be asked for a time, asked; with what stands in the tables.
CREATE FUNCTION pg_temp.digest() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE f record; n bigint; sum text;
BEGIN
    FOR f IN
        SELECT 'records' AS name, 'SELECT o.device_id, o.observed_at, o.received_at, o.readings, o.quality, o.attributes FROM onemap.observation o' AS query
        UNION ALL SELECT 'places', 'SELECT t.device_id, t.observed_at, t.received_at, t.geom::bytea, t.geom_outside::bytea FROM onemap.track_point t'
        UNION ALL SELECT 'revisions', 'SELECT r.device_id, r.observed_at, r.received_at, r.readings, r.quality, r.attributes, r.geom::bytea FROM onemap.observation_revision r'
        UNION ALL SELECT 'receipts', 'SELECT r.* FROM receipt r'
        UNION ALL SELECT 'hours', 'SELECT h.* FROM onemap.observation_hourly h'
        UNION ALL SELECT 'days', 'SELECT d.* FROM onemap.observation_daily d'
        UNION ALL SELECT 'recompute', 'SELECT r.device_id, r.hour FROM onemap.rollup_recompute r'
        UNION ALL SELECT 'parts of days', 'SELECT o.* FROM generate_series(1, 12) n, onemap.observation_between(''2026-03-01 00:00Z''::timestamptz + n * interval ''297 min'',
            ''2026-03-01 00:00Z''::timestamptz + n * interval ''313 min'') o'
        UNION ALL SELECT 'metrics', 'SELECT v.* FROM onemap.device d, generate_series(1, 3) o, onemap.metric_of(d.id, o, ''2026-03-01 03:00:30Z'', ''2026-03-02 19:30Z'') v'
        UNION ALL SELECT 'rows of a chart', 'SELECT d.id, o, r.* FROM onemap.device d, generate_series(1, 3) o, onemap.series_readings(d.id, o, ''2026-03-01 03:00:30Z'', ''2026-03-02 19:30Z'', 1, 600) r WHERE r.points <> '''''
        UNION ALL SELECT 'a metric', 'SELECT v.* FROM generate_series(0, 20) n, onemap.metric_between(2, ''2026-03-01''::timestamptz + n * interval ''3 hours'',
            ''2026-03-01''::timestamptz + n * interval ''3 hours'' + interval ''50 min 1 us'') v'
        UNION ALL SELECT s.key, format('SELECT v.* FROM onemap.%I v', s.key) FROM onemap.subsystem s
        UNION ALL SELECT s.key || '_between', format('SELECT v.* FROM onemap.%I(''2026-03-01 09:00Z'', ''2026-03-02 22:10Z'') v', s.key || '_between') FROM onemap.subsystem s
        UNION ALL
        SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', format('SELECT x.* FROM %s, LATERAL onemap.%I(%s) x', a.given, p.proname, a.list)
        FROM pg_proc p JOIN (VALUES
            ('date', 'generate_series(0, 2) n', '''2026-03-01''::date + n'),
            ('timestamp with time zone', 'generate_series(0, 5) n', '''2026-03-01 08:00Z''::timestamptz + n * interval ''11 hours'''),
            ('timestamp with time zone, timestamp with time zone', 'generate_series(0, 2) n', '''2026-03-01''::timestamptz + n * interval ''7 hours'', ''2026-03-02''::timestamptz + n * interval ''13 hours'''),
            ('integer, timestamp with time zone, timestamp with time zone', 'onemap.device d', 'd.id, ''2026-03-01 03:00Z'', ''2026-03-03 03:00Z'''),
            ('integer, integer, timestamp with time zone, timestamp with time zone', 'onemap.device d, generate_series(1, 2) o', 'd.id, o, ''2026-03-01 03:00Z'', ''2026-03-03 03:00Z'''),
            ('integer, integer, timestamp with time zone', 'onemap.device d, generate_series(1, 2) o', 'd.id, o, ''2026-03-02 03:00Z'''))
            a(types, given, list) ON a.types = (SELECT string_agg(format_type(t, NULL), ', ' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY u(t, i))
        WHERE p.pronamespace = 'onemap'::regnamespace AND p.provolatile <> 'v' AND p.prokind = 'f'
            -- Those that read records: all others would be the same anyway.
            AND p.prosrc ~ '(observation|track_point|counter|_between|_of)\M'
    LOOP
        BEGIN
            EXECUTE format('SELECT count(*), md5(string_agg(q::text, E''\n'' ORDER BY q::text COLLATE "C")) FROM (%s) q', f.query) INTO n, sum;
        EXCEPTION WHEN OTHERS THEN
            sum := SQLERRM;
        END;
        RETURN NEXT format('%s: %s %s', f.name, n, sum);
    END LOOP;
END $$;

SAVEPOINT raw;
SELECT pg_temp.play(false);
SELECT string_agg(d, E'\n' ORDER BY d) AS digest_of_raw, count(*) AS functions, count(*) FILTER (WHERE d ~ ': 0') AS empty FROM pg_temp.digest() d \gset
SELECT concat_ws(' ', (SELECT count(*) FROM onemap.observation), (SELECT count(*) FROM onemap.observation_revision), (SELECT count(*) FROM onemap.packed_record)) AS of_raw \gset
ROLLBACK TO SAVEPOINT raw;
SELECT setseed(0.75);
SELECT pg_temp.play(true);
SELECT is((SELECT string_agg(d, E'\n' ORDER BY d) FROM pg_temp.digest() d), :'digest_of_raw', 'what everybody reads is the same');
SELECT is(concat_ws(' ', (SELECT count(*) FROM onemap.observation), (SELECT count(*) FROM onemap.observation_revision), 0), :'of_raw', 'and as much');
SELECT cmp_ok(:functions - :empty, '>=', 30, 'many functions had something to say');
SELECT is((SELECT array_agg(s.said ORDER BY s.said COLLATE "C") FROM (SELECT DISTINCT said FROM step) s), '{again,begun,devices,done,packed,undevices,undone,ununpacked}', 'all sorts of steps were done');
SELECT cmp_ok((SELECT count(*) FROM onemap.packed_record), '>', 50::bigint, 'much is packed');
SELECT cmp_ok((SELECT sum(cardinality(lifted)) FROM onemap.packed_record), '>', 20::bigint, 'records were lifted');
SELECT cmp_ok((SELECT count(*) FROM onemap.observation_raw), '>', 20::bigint, 'some is raw');
-- All of it packed at last.
SELECT count(onemap.pack_step(d::date + 1, d::date)) FROM generate_series('2026-03-01'::date, '2026-03-03', '1 day') d, generate_series(1, 60);
SELECT is((SELECT string_agg(d, E'\n' ORDER BY d) FROM pg_temp.digest() d), :'digest_of_raw', 'as when all is packed');
SELECT * FROM finish();
ROLLBACK;
