-- Routes of series and tracks: every reading is in one row, gaps are told, rows are of the width asked for; hours and days; stops.
BEGIN;
\ir include/case_fixture.sql
\ir include/http.sql
SELECT plan(57);
SELECT setseed(0.17);
SELECT d.id AS dust FROM onemap.device d WHERE d.code = 'D1' \gset
UPDATE onemap.device SET kind = (SELECT min(k.key) FROM onemap.device_kind k WHERE k.subsystem = 'dust'), department_id = (SELECT u.id FROM onemap.department u WHERE u.code = 'jincheng') WHERE id = :dust;
UPDATE onemap.device_kind SET offline_after = '10 minutes' WHERE subsystem = 'dust';
SELECT onemap.metric_ordinal('dust', 'pm10_ug_m3') AS o, onemap.metric_ordinal('dust', 'pm25_ug_m3') AS other \gset
SELECT date_trunc('day', now()) - interval '3 days' AS day \gset
SELECT onemap.partition_ensure((:'day'::timestamptz AT TIME ZONE 'UTC')::date + n) FROM generate_series(-1, 4) n;
CREATE FUNCTION test.readings(o int, value float8, other int DEFAULT 0, other_value float8 DEFAULT NULL) RETURNS float8[] LANGUAGE sql AS $$
    SELECT array_agg(CASE n WHEN o THEN value WHEN other THEN other_value END ORDER BY n) FROM generate_series(1, greatest(o, other)) n $$;
-- Two days, a reading about every minute, with holes of all lengths; one in 20 is out of range.
INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings, quality)
SELECT :dust, t.at, now(), test.readings(:o, round((random() * 100)::numeric, 3)::float8, :other, CASE WHEN n % 10 = 0 THEN n END), CASE WHEN random() < 0.05 THEN 1::bigint << (:o - 1) END
FROM (SELECT n, :'day'::timestamptz + n * interval '1 minute' + random() * interval '20 seconds' AS at FROM generate_series(0, 2879) n
      WHERE n NOT BETWEEN 200 AND 290 AND n NOT BETWEEN 1000 AND 1011 AND n NOT BETWEEN 1500 AND 1505 AND n NOT BETWEEN 2000 AND 2500 AND random() > 0.1) t;
CREATE VIEW test.record AS SELECT r.observed_at AS at, r.readings[:o] AS value, coalesce(r.quality, 0) <> 0 AS flagged FROM onemap.observation r WHERE r.device_id = :dust;
CREATE FUNCTION test.series(fields jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT test.answer('device_series', '{"resolution": "raw", "metrics": ["pm10_ug_m3"]}' || fields) $$;
CREATE FUNCTION test.points(answer jsonb, series int DEFAULT 0) RETURNS TABLE (n bigint, at timestamptz, low float8, mean float8, high float8, last float8, good bigint, flagged bigint, hole boolean) LANGUAGE sql AS $$
    SELECT p.n, to_timestamp((p.p->>0)::float8 / 1000), (p.p->>1)::float8, (p.p->>2)::float8, (p.p->>3)::float8, (p.p->>4)::float8, (p.p->>5)::bigint, (p.p->>6)::bigint, p.p->>5 = '0' AND p.p->>6 = '0'
    FROM jsonb_array_elements(answer->'series'->series->'points') WITH ORDINALITY p (p, n) $$;
CREATE FUNCTION test.window(width int, from_at text, to_at text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', (SELECT d.id FROM onemap.device d WHERE d.code = 'D1'), 'width', width, 'from', from_at, 'to', to_at) $$;
CREATE TABLE test.asked (width int, from_at timestamptz, to_at timestamptz, answer jsonb);
INSERT INTO test.asked SELECT w.width, a.a, a.b, test.series(test.window(w.width, to_char(a.a AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SSZ'), to_char(a.b AT TIME ZONE 'UTC', 'YYYY-MM-DD"t"HH24:MI:SSz')))
FROM unnest('{10,37,200,600,20000}'::int[]) w (width), (VALUES (:'day'::timestamptz, :'day'::timestamptz + interval '2 days'), (:'day'::timestamptz + interval '2 hours', :'day'::timestamptz + interval '9 hours'),
    (:'day'::timestamptz + interval '30 hours', :'day'::timestamptz + interval '45 hours'), (:'day'::timestamptz - interval '1 day', :'day'::timestamptz + interval '1 hour')) a (a, b);

-- ---- raw: nothing is lost, nothing is made up ----
SELECT is((SELECT (sum(p.good), sum(p.flagged), min(p.low), max(p.high))::text FROM test.points(q.answer) p),
    (SELECT (count(*) FILTER (WHERE NOT r.flagged), count(*) FILTER (WHERE r.flagged), min(r.value) FILTER (WHERE NOT r.flagged), max(r.value) FILTER (WHERE NOT r.flagged))::text FROM test.record r WHERE r.at >= q.from_at AND r.at < q.to_at),
    format('width %s, %s to %s: all readings, once', q.width, q.from_at, q.to_at)) FROM test.asked q;
SELECT is((SELECT count(*)::int FROM test.asked q, test.points(q.answer) p WHERE NOT p.hole AND (SELECT count(*) FROM test.points(q.answer) x WHERE NOT x.hole) > q.width + 1), 0, 'no more rows than the width');
SELECT is((SELECT count(*)::int FROM test.asked q, LATERAL (SELECT p.at, lag(p.at) OVER (ORDER BY p.n) AS before_at FROM test.points(q.answer) p) p WHERE p.at <= p.before_at), 0, 'in the order of time');
CREATE VIEW test.hole AS SELECT q.width, q.from_at, q.answer, x.before_at, x.at, (q.answer->'series'->0->>'gap_s')::float8 AS gap_s,
    floor(extract(epoch FROM x.before_at - q.from_at) / (q.answer->>'step_s')::int) <> floor(extract(epoch FROM x.at - q.from_at) / (q.answer->>'step_s')::int) AS apart
    FROM test.asked q, LATERAL (SELECT r.at, lag(r.at) OVER (ORDER BY r.at) AS before_at FROM test.record r WHERE r.at >= q.from_at AND r.at < q.to_at) x WHERE x.before_at IS NOT NULL;
SELECT is((SELECT count(*)::int FROM test.hole h WHERE h.apart AND h.at > h.before_at + make_interval(secs => h.gap_s)
    AND NOT EXISTS (SELECT FROM test.points(h.answer) p WHERE p.hole AND p.at >= date_trunc('milliseconds', h.before_at) AND p.at < h.at AND p.mean IS NULL AND p.last IS NULL)), 0, 'no line goes over a gap');
SELECT is((SELECT sum(c.c)::int FROM (SELECT (SELECT count(*) FROM test.points(q.answer) p WHERE p.hole) AS c FROM test.asked q) c),
    (SELECT count(*)::int FROM test.hole h WHERE h.apart AND h.at > h.before_at + make_interval(secs => h.gap_s)), 'and none is told where there is none');
SELECT cmp_ok((SELECT count(*)::int FROM test.hole h WHERE h.apart AND h.at > h.before_at + make_interval(secs => h.gap_s)), '>', 20, 'there were gaps to tell');
SELECT is((SELECT DISTINCT q.answer->'series'->0->'gap_s' FROM test.asked q WHERE q.width = 600), '600', 'a gap is what makes such a device offline');
SELECT is((SELECT count(*)::int FROM test.points((SELECT q.answer FROM test.asked q WHERE q.width = 20000 ORDER BY q.from_at, q.to_at DESC OFFSET 1 LIMIT 1)) p JOIN test.record r ON r.at BETWEEN p.at - interval '1 ms' AND p.at + interval '1 ms'
    WHERE NOT r.flagged AND (p.low, p.mean, p.high, p.last) IS DISTINCT FROM (r.value, r.value, r.value, r.value)), 0, 'wide enough: the readings themselves');
SELECT is((SELECT count(*)::int FROM test.asked q, test.points(q.answer) p WHERE q.width = 37 AND p.good > 0 AND p.last IS DISTINCT FROM (SELECT r.value FROM test.record r WHERE NOT r.flagged AND r.at < q.to_at
    AND floor(extract(epoch FROM r.at - q.from_at) / (q.answer->>'step_s')::int) = floor(extract(epoch FROM p.at - q.from_at) / (q.answer->>'step_s')::int) ORDER BY r.at DESC LIMIT 1)), 0, 'the last of a step is its last');
-- Readings that are rows by themselves are written without adding up: as if they had been. So many an hour are taken for those that fall together.
INSERT INTO onemap.observation_hourly (device_id, hour, records, last_at, counts, minima, maxima, sums, firsts, lasts) SELECT :dust, h, 4000, h, test.readings(:o, 4000)::int[], '{}', '{}', '{}', '{}', '{}'
FROM generate_series(:'day'::timestamptz - interval '1 hour', :'day'::timestamptz + interval '48 hours', interval '1 hour') h;
SELECT is((SELECT count(*)::int FROM test.asked q WHERE q.width = 20000 AND test.series(test.window(q.width, to_char(q.from_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SSZ'),
    to_char(q.to_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SSZ'))) IS DISTINCT FROM q.answer), 0, 'rows that nothing falls together with are the same both ways');
DELETE FROM onemap.observation_hourly;
SELECT is((SELECT array_agg(r.together ORDER BY s.s) FROM unnest('{9,300}'::int[]) s (s), onemap.series_readings(:dust, :o, :'day', :'day'::timestamptz + interval '2 days', s.s, 600) r), '{f,t}'::boolean[],
    'steps of nine seconds have one reading each, of five minutes more');
-- A metric that comes every ten minutes has no gap at each of its readings.
SELECT is((SELECT count(*)::int FROM test.points(test.series(test.window(600, to_char(:'day'::timestamptz + interval '5 hours', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(:'day'::timestamptz + interval '16 hours', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    || '{"metrics": ["pm25_ug_m3"]}')) p WHERE p.hole), (SELECT count(*)::int FROM (SELECT r.observed_at - lag(r.observed_at) OVER (ORDER BY r.observed_at) AS d FROM onemap.observation r
    WHERE r.device_id = :dust AND r.readings[:other] IS NOT NULL AND r.observed_at BETWEEN :'day'::timestamptz + interval '5 hours' AND :'day'::timestamptz + interval '16 hours') x WHERE x.d > interval '16 minutes'), 'a slow metric has its own pace');

-- ---- hours and days ----
INSERT INTO onemap.observation_hourly (device_id, hour, records, last_at, counts, minima, maxima, sums, firsts, lasts, flagged_above)
SELECT :dust, :'day'::timestamptz + n * interval '1 hour', 60, :'day'::timestamptz + n * interval '1 hour', test.readings(:o, 60)::int[], test.readings(:o, n),
    test.readings(:o, n + 2), test.readings(:o, 60 * (n + 1)), test.readings(:o, n), test.readings(:o, n + 2), test.readings(:o, 3)::int[]
FROM generate_series(0, 71) n WHERE n NOT BETWEEN 10 AND 11;
SELECT test.window(600, to_char(:'day'::timestamptz, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(:'day'::timestamptz + interval '3 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) AS three \gset
SELECT test.series(:'three'::jsonb || '{"resolution": "hourly"}') AS hourly \gset
SELECT is((SELECT (count(*), sum(p.good), sum(p.flagged), sum(p.mean))::text FROM test.points(:'hourly') p WHERE NOT p.hole), format('(70,4200,210,%s)', 72 * 73 / 2 - 11 - 12), 'hours as they are rolled up');
SELECT is((SELECT array_agg(p.at) FROM test.points(:'hourly') p WHERE p.hole), ARRAY[:'day'::timestamptz + interval '9 hours 90 minutes'], 'an hour that is missing is a gap');
SELECT is((:'hourly'::jsonb->>'step_s', :'hourly'::jsonb->>'time_zone')::text, '(3600,Asia/Shanghai)', 'hour by hour, and which clock the county has');
SELECT is((SELECT (count(*), sum(p.good), min(p.low), max(p.high), max(p.last))::text FROM test.points(test.series(:'three'::jsonb || '{"resolution": "hourly", "width": 10}')) p WHERE NOT p.hole), '(9,4200,0,73,73)', 'thinned: eight hours a row');
INSERT INTO onemap.observation_daily (device_id, day, records, last_at, counts, minima, maxima, sums, firsts, lasts, flagged_above, flagged_below)
SELECT a.device_id, a.day, a.records, a.last_at, a.counts, a.minima, a.maxima, a.sums, a.firsts, a.lasts, a.flagged_above, a.flagged_below
FROM generate_series(0, 1) n, onemap.daily_aggregate((:'day'::timestamptz AT TIME ZONE 'Asia/Shanghai')::date + n) a;
SELECT is((SELECT array_agg((p.at, p.low, p.mean, p.high, p.last, p.good, p.flagged)::text ORDER BY p.at) FROM test.points(test.series(:'three'::jsonb || '{"resolution": "daily"}')) p WHERE NOT p.hole),
    (SELECT array_agg((onemap.local_midnight(a.day), a.minima[:o], onemap.figure(a.sums[:o] / a.counts[:o]), a.maxima[:o], a.lasts[:o], a.counts[:o], a.flagged_above[:o])::text ORDER BY a.day)
     FROM generate_series(0, 3) n, onemap.daily_aggregate((:'day'::timestamptz AT TIME ZONE 'Asia/Shanghai')::date + n) a), 'days of the county, those that are rolled up and those that are not yet');
SELECT is((SELECT count(*)::int FROM test.points(test.series(:'three'::jsonb || '{"resolution": "daily"}')) p), 4, 'four of them, without gaps');
SELECT is(array_agg((test.series(test.window(600, '2020-01-01', x.until) || '{"resolution": "auto"}'))->>'resolution' ORDER BY x.until), '{raw,hourly,daily}', 'auto: by how long it is')
FROM unnest('{2020-01-02,2020-02-01,2021-01-01}'::text[]) x (until);
SELECT is(test.series('{"id": 1, "width": 600}' || jsonb_build_object('id', :dust))->>'resolution', 'raw', 'without times: the last day');
SELECT is((test.series(test.window(600, '2026-01-01', '2026-01-02'))->>'from')::timestamptz, '2025-12-31T16:00:00Z', 'a day is its midnight in the county');

-- ---- several devices; what is refused; who sees what ----
SELECT d.id AS lamp FROM onemap.device d WHERE d.code = 'L1' \gset
SELECT test.answer('series', :'three'::jsonb || jsonb_build_object('devices', jsonb_build_array(:lamp, :dust, :lamp), 'resolution', 'hourly', 'metrics', '["pm10_ug_m3", "voltage_v"]'::jsonb)) AS both \gset
SELECT is((SELECT array_agg(concat_ws(' ', (s->>'device')::int = :dust, s->>'metric', jsonb_array_length(s->'points') > 0)) FROM jsonb_array_elements(:'both'::jsonb->'series') s),
    '{"f voltage_v f","t pm10_ug_m3 t"}'::text[], 'a series for each device that has the metric, also without points, in the order asked for');
SELECT throws_ok(format('SELECT test.series(test.window(600, %L, %L) || %L)', f.a, f.b, f.f), 'CH013', NULL, f.name) FROM (VALUES
    ('2026-01-02', '2026-01-01', '{}', 'time that goes back'), ('2026-01-01', '2026-06-01', '{}', 'too much that is raw'), ('2010-01-01', '2026-06-01', '{"resolution": "hourly"}', 'too many hours'),
    ('2026-01-01', '2026-01-02', '{"metrics": ["pm10_ug_m3", "no_such"]}', 'no such metric')) AS f (a, b, f, name);
SELECT is(test.answer('device_series', :'three'::jsonb || '{"resolution": "hourly"}', 'zhaoming'), NULL, 'another department''s device is not there');
SELECT isnt(test.answer('device_series', :'three'::jsonb || '{"resolution": "hourly"}', 'jincheng'), NULL, 'the own one is');
SELECT throws_ok(format('SELECT test.answer(%L, %L, %L)', 'series', :'three'::jsonb || jsonb_build_object('devices', jsonb_build_array(:dust), 'resolution', 'hourly'), 'zhaoming'), 'CH013', format('there is no device %s', :dust), 'nor among several');

-- ---- tracks ----
-- Ten minutes east at 10 m/s, ten minutes standing (within 10 m), silence for an hour, then north.
INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom)
SELECT :dust, :'day'::timestamptz + n * interval '10 seconds', now(), public.ST_SetSRID(public.ST_MakePoint(114.7 + least(n, 60) * 0.0011 + CASE WHEN n > 60 THEN random() * 0.00005 ELSE 0 END,
    34.5 + CASE WHEN n > 480 THEN (n - 480) * 0.0009 ELSE 0 END), 4326) FROM generate_series(0, 540) n WHERE n NOT BETWEEN 121 AND 479;
INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom_outside) VALUES (:dust, :'day'::timestamptz + interval '2 hours', now(), public.ST_SetSRID(public.ST_MakePoint(0, 0), 4326));
SELECT test.answer('device_track', :'three'::jsonb || '{"zoom": 16, "stop_m": 30, "stop_s": 300}') AS track \gset
SELECT is((:'track'::jsonb->'fixes', jsonb_array_length(:'track'::jsonb->'segments'))::text, '(182,2)', 'all places in the county, in two pieces: none over the gap');
SELECT is((SELECT array_agg(((s->>'from')::timestamptz - :'day'::timestamptz, (s->>'to')::timestamptz - :'day'::timestamptz, s->>'seconds')::text) FROM jsonb_array_elements(:'track'::jsonb->'stops') s), '{"(00:10:00,00:20:00,600)"}'::text[], 'one stop, from when to when');
SELECT cmp_ok((SELECT sum(jsonb_array_length(s))::int FROM jsonb_array_elements(:'track'::jsonb->'segments') s), '<', 40, 'simplified');
SELECT is((SELECT max(public.ST_DistanceSphere(f.geom, l.line)) < 2.5 FROM onemap.track_point f, (SELECT public.ST_SetSRID(public.ST_Collect(public.ST_MakeLine(ARRAY(SELECT public.ST_MakePoint((p->>0)::float8, (p->>1)::float8)
    FROM jsonb_array_elements(s) p))), 4326) AS line FROM jsonb_array_elements(:'track'::jsonb->'segments') s) l WHERE f.device_id = :dust AND f.geom IS NOT NULL), true, 'no place is further from the line than a pixel');
SELECT is((SELECT (s->-1->>2)::bigint FROM jsonb_array_elements(:'track'::jsonb->'segments') s OFFSET 1), onemap.http_ms(:'day'::timestamptz + interval '90 minutes'), 'with their times');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(test.answer('device_track', :'three'::jsonb || '{"zoom": 16, "stop_m": 5, "stop_s": 700}')->'stops') s), 0, 'nothing that short is a stop');
SELECT is(test.answer('device_track', :'three'::jsonb || '{"zoom": 16, "stop_m": 5, "stop_s": 700}', 'zhaoming'), NULL, 'another department''s track is not there');
SELECT is(test.answer('device_track', jsonb_build_object('id', :lamp, 'zoom', 16, 'stop_m', 30, 'stop_s', 300))->'segments', '[]', 'what does not move has none');
SELECT throws_ok(format('SELECT test.answer(%L, %L)', 'device_track', test.window(1, '2026-01-01', '2026-03-01') || '{"zoom": 16, "stop_m": 30, "stop_s": 300}'), 'CH013', NULL, 'a month at the most');
SELECT * FROM finish();
ROLLBACK;
