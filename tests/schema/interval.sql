-- Values of intervals: stored once, corrected by the newest, kept apart from the readings; compared with what the hub has computed.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(61);
SELECT onemap.vendor_put('dust', 'v', '{}');
INSERT INTO onemap.device (subsystem, vendor, code, kind, status) VALUES ('dust', 'v', 'D1', 'site_monitor', 'active'), ('dust', 'v', 'D2', 'site_monitor', 'active');
SELECT id AS d1 FROM onemap.device WHERE code = 'D1' \gset
SELECT id AS d2 FROM onemap.device WHERE code = 'D2' \gset

-- ---- storing ----
CREATE FUNCTION pg_temp.store(records jsonb, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', s.accepted, s.duplicates, s.merged, s.revised, s.rejected, s.bad_fields)
    FROM onemap.message_store(jsonb_build_object('subsystem', 'dust', 'vendor', 'v', 'kind', 'interval', 'topic', 'cityhub/v1/dust/v/interval',
        'message', 'm', 'received_at_ms', 1790000000000, 'total', jsonb_array_length(records), 'records',
        (SELECT jsonb_agg(jsonb_build_object('index', n - 1, 'record', r)) FROM jsonb_array_elements(records) WITH ORDINALITY e (r, n))) || more, '\x7b') s $$;
CREATE FUNCTION pg_temp.one(vals text, began text DEFAULT '2026-03-10 08:00+08', seconds int DEFAULT 3600, code text DEFAULT 'D1') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object('device_code', code, 'began_at_ms', (extract(epoch FROM began::timestamptz) * 1000)::bigint, 'seconds', seconds,
        'values', vals::jsonb)) $$;
CREATE FUNCTION pg_temp.stored() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', r.device_code, r.seconds, r.metric, r.minimum, r.mean, r.maximum, r.total, r.flag), ', ' ORDER BY r.device_code, r.seconds, r.metric)
    FROM onemap.interval_report r $$;

SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "minimum": 1, "mean": 2, "maximum": 3, "total": 7, "flag": "N"}, {"metric": "noise_dba", "mean": 60}]')),
    '1 0 0 0 0 0', 'a record of two metrics');
SELECT is(pg_temp.stored(), 'D1 3600 noise_dba 60, D1 3600 pm25_ug_m3 1 2 3 7 N', 'is stored');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "minimum": 1, "mean": 2, "maximum": 3, "total": 7, "flag": "N"}, {"metric": "noise_dba", "mean": 60}]')),
    '0 1 0 0 0 0', 'the same again is a duplicate');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 2}]')), '0 1 0 0 0 0', 'so is a part of it');
SELECT is((SELECT count(*)::int FROM onemap.interval_revision), 0, 'which replaces nothing');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm10_ug_m3", "mean": 20}, {"metric": "noise_dba", "maximum": 70}]')), '0 0 1 0 0 0', 'what is new is added');
SELECT is(pg_temp.stored(), 'D1 3600 noise_dba 60 70, D1 3600 pm10_ug_m3 20, D1 3600 pm25_ug_m3 1 2 3 7 N', 'beside what was there');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 2.5, "flag": "D"}]')), '0 0 0 1 0 0', 'a correction');
SELECT is(pg_temp.stored(), 'D1 3600 noise_dba 60 70, D1 3600 pm10_ug_m3 20, D1 3600 pm25_ug_m3 1 2.5 3 7 D', 'the newest counts');
SELECT is((SELECT jsonb_agg(r.replaced) FROM onemap.interval_revision r), '[{"flag": "N", "mean": 2}]', 'and what it replaces is kept');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "noise_dba", "mean": 61}]', '2026-03-10 08:00+08', 600)), '1 0 0 0 0 0', 'another length is another interval');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "noise_dba", "mean": 62, "flag": "F"}]', '2026-03-10 08:00+08', 0)), '1 0 0 0 0 0', 'a moment''s value that is no reading');
SELECT is((SELECT count(*)::int FROM onemap.observation), 0, 'none of it is a reading');
-- 17 digits are what a number may come with; fewer are what its column gives back.
SELECT is(pg_temp.store(v.one || v.one), '1 1 0 0 0 0', 'a number of 17 digits is the same when it comes again')
FROM (SELECT pg_temp.one('[{"metric": "noise_dba", "mean": 4.9406564584124654e-324}]', '2026-03-10 07:00+08') AS one) v;
SELECT is(pg_temp.store(v.one), '0 1 0 0 0 0', 'in another message, too')
FROM (SELECT pg_temp.one('[{"metric": "noise_dba", "mean": 4.9406564584124654e-324}]', '2026-03-10 07:00+08') AS one) v;

-- One bad value does not cost its neighbours; a record of which nothing is left is refused, and so is a device that nobody knows.
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "co_mg_m3", "mean": 1}, {"metric": "pm25_ug_m3", "mean": 4}]', '2026-03-10 09:00+08')), '1 0 0 0 0 1',
    'a metric that the subsystem does not have costs itself');
SELECT is((SELECT q.problems->0->>'field' || ' ' || (q.problems->0->>'code') || ': ' || (q.problems->0->>'reason') FROM onemap.quarantine q ORDER BY q.id DESC LIMIT 1),
    'values[0] unknown_reference: values[0].metric: dust has no metric co_mg_m3 with numbers', 'and is told');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "co_mg_m3", "mean": 1}]', '2026-03-10 10:00+08')), '0 0 0 0 1 0', 'nothing is left of this one');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 1}]', '2026-03-10 10:00+08', 3600, 'D9')), '0 0 0 0 1 0', 'nobody knows this device');
SELECT is((SELECT o.payload::jsonb->'receipts'->0->'problems'->0->>'code' FROM onemap.outbox o ORDER BY o.id DESC LIMIT 1), 'unknown_reference', 'its vendor is told');
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 1}]', '2026-03-10 10:00+08', 3600, 'D9') || pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 8}]', '2026-03-10 11:00+08')),
    '1 0 0 0 1 0', 'its neighbour is stored');

-- A message that comes again from quarantine fills what is missing, and undoes nothing.
SELECT is(pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 99}, {"metric": "tsp_ug_m3", "mean": 5}]', '2026-03-10 11:00+08'), '{"first_received_ms": 1000}'), '0 0 1 0 0 0', 'late');
SELECT is((SELECT string_agg(concat(r.metric, ' ', r.mean), ', ' ORDER BY r.metric) FROM onemap.interval_report r WHERE r.began_at = '2026-03-10 11:00+08'), 'pm25_ug_m3 8, tsp_ug_m3 5',
    'the newer value stands');
-- Thousands of records of one interval are taken one after the other, and written once: each version of a row would be looked at by
-- all that come after it.
SELECT pg_stat_get_xact_tuples_updated('onemap.interval_value'::regclass) AS updated \gset
SELECT is(pg_temp.store((SELECT jsonb_agg(pg_temp.one(format('[{"metric": "pm25_ug_m3", "mean": %s}]', n), '2026-03-10 12:00+08')->0) FROM generate_series(1, 300) n)), '1 0 0 299 0 0', 'many');
SELECT is((SELECT r.mean FROM onemap.interval_report r WHERE r.began_at = '2026-03-10 12:00+08'), 300::float8, 'the last one counts');
SELECT is(pg_stat_get_xact_tuples_updated('onemap.interval_value'::regclass) - :updated, 0::bigint, 'and is all that was written');
SELECT is((SELECT array_agg((r.replaced->>'mean')::int ORDER BY r.id) FROM onemap.interval_revision r WHERE r.began_at = '2026-03-10 12:00+08'),
    (SELECT array_agg(n) FROM generate_series(1, 299) n), 'those before it are kept');
SELECT is(pg_temp.store((SELECT jsonb_agg(r || '{"index": 0}') FROM (
    SELECT pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 0.1}, {"metric": "pm25_ug_m3", "maximum": 3}]', '2026-03-10 12:01+08')->0 AS r
    UNION ALL SELECT pg_temp.one('[{"metric": "pm25_ug_m3"}]', '2026-03-10 12:02+08')->0
    UNION ALL SELECT pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 1, "flag": "X"}]', '2026-03-10 12:02+08')->0
    UNION ALL SELECT pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 1}]', '2026-03-10 12:02+08', 86401)->0
    UNION ALL SELECT pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 0.1, "total": null}]', '2026-03-10 12:01+08')->0) e)), '1 1 0 0 3 0',
    'a metric without a value, an unknown flag and too long a time cost their records alone');
SELECT is((SELECT concat_ws(' ', r.mean, r.maximum) FROM onemap.interval_report r WHERE r.began_at = '2026-03-10 12:01+08'), '0.1 3', 'two entries of one metric add up');

-- ---- reading ----
DELETE FROM onemap.interval_value;
SELECT test_put(:d1, t, jsonb_build_object('pm25_ug_m3', 40 + extract(minute FROM t), 'noise_dba', 60, 'wind_direction_deg', 350))
FROM generate_series(timestamptz '2026-03-10 08:00+08', '2026-03-10 08:59+08', '1 minute') t;
SELECT test_put(:d1, '2026-03-10 09:10+08', '{"pm25_ug_m3": 50}');
SELECT test_rollup();
-- The hub has 40 to 99, mean 69.5, of this hour.
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "minimum": 39, "mean": 70, "maximum": 100}, {"metric": "noise_dba", "mean": 65}, {"metric": "wind_direction_deg", "mean": 10}]'));
CREATE FUNCTION pg_temp.findings() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', c.device_code, c.metric, c.seconds, c.own_readings, round(c.own_mean::numeric, 1), coalesce(c.finding, '-')), ', ' ORDER BY c.device_code, c.metric, c.seconds)
    FROM onemap.interval_compare('2026-03-10 00:00+08', '2026-03-12 00:00+08') c $$;
SELECT is(pg_temp.findings(), 'D1 noise_dba 3600 60 60.0 -, D1 pm25_ug_m3 3600 60 69.5 -, D1 wind_direction_deg 3600 60 350.0 -',
    'within the tolerance; of levels and directions the means are not compared');
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 74}]'));
SELECT is(pg_temp.findings(), 'D1 noise_dba 3600 60 60.0 -, D1 pm25_ug_m3 3600 60 69.5 mean_differs, D1 wind_direction_deg 3600 60 350.0 -', 'another mean than ours');
UPDATE onemap.setting SET value = '10' WHERE key = 'interval_tolerance_percent';
SELECT matches(pg_temp.findings(), 'pm25_ug_m3 3600 60 69.5 -', 'the tolerance is the county''s');
UPDATE onemap.setting SET value = '5' WHERE key = 'interval_tolerance_percent';
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "minimum": 60, "mean": 69, "maximum": 100}]'));
SELECT matches(pg_temp.findings(), 'pm25_ug_m3 3600 60 69.5 minimum_differs', 'we saw less than its smallest');
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "minimum": 40, "mean": 69, "maximum": 80}]'));
SELECT matches(pg_temp.findings(), 'pm25_ug_m3 3600 60 69.5 maximum_differs', 'we saw more than its largest');
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "minimum": 71, "mean": 69, "maximum": 100}]'));
SELECT matches(pg_temp.findings(), 'pm25_ug_m3 3600 60 69.5 contradictory', 'a smallest above the mean');
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "minimum": 40, "mean": 69, "maximum": 100, "flag": "D"}]'));
SELECT is(pg_temp.findings(), 'D1 noise_dba 3600 60 60.0 -, D1 wind_direction_deg 3600 60 350.0 -', 'what its flag forbids is not compared');
DELETE FROM onemap.interval_value;
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 80}]', '2026-03-10 09:00+08') || pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 80}]', '2026-03-10 10:00+08')
    || pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 80}]', '2026-03-10 09:00+08', 3600, 'D2'));
SELECT is((SELECT string_agg(concat_ws(' ', c.device_code, c.own_readings, c.finding), ', ' ORDER BY c.began_at, c.device_code)
    FROM onemap.interval_compare('2026-03-10 00:00+08', '2026-03-12 00:00+08') c), 'D1 1, D2 0 no_readings, D1 0 no_readings', 'gaps are findings; one reading is too few to compare with');
DELETE FROM onemap.interval_value;
-- Ten minutes are compared with the records, a day with the day's rollup.
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 44.5}]', '2026-03-10 08:00+08', 600) || pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 69.2}]', '2026-03-10 00:00+08', 86400));
SELECT is((SELECT string_agg(concat_ws(' ', c.seconds, c.own_readings, round(c.own_mean::numeric, 1), c.finding), ', ' ORDER BY c.seconds)
    FROM onemap.interval_compare('2026-03-10 00:00+08', '2026-03-12 00:00+08') c WHERE c.seconds = 600), '600 10 44.5', 'minutes');
SELECT is((SELECT o.readings FROM onemap.interval_own(:d1, 1, '2026-03-10 00:00+08', 86400) o),
    (SELECT coalesce((SELECT y.counts[1] FROM onemap.observation_daily y WHERE y.device_id = :d1 AND y.day = '2026-03-10'), 0)), 'a day');
SELECT is((SELECT count(*)::int FROM onemap.interval_compare('2026-03-10 00:00+08', '2026-03-12 00:00+08', :d2)), 0, 'of one device alone');
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 80}]', (date_trunc('hour', now()))::text));
SELECT is((SELECT count(*)::int FROM onemap.interval_compare(now() - interval '2 hours', now() + interval '2 hours')), 0, 'what is not over is not compared');
SELECT pg_temp.store(pg_temp.one('[{"metric": "pm25_ug_m3", "mean": 5000, "flag": "D"}]', '2026-03-10 13:00+08'));
SELECT is((SELECT concat_ws(' ', r.usable, r.out_of_range, r.name_zh, r.ended_at = '2026-03-10 14:00+08') FROM onemap.interval_report r WHERE r.mean = 5000), 'f t PM2.5 t', 'what it is called, and how good it is');

-- ---- what no metric takes ----
CREATE FUNCTION pg_temp.other(texts jsonb, began text DEFAULT '2026-03-11 08:00+08', vals text DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('device_code', 'D1', 'began_at_ms', (extract(epoch FROM began::timestamptz) * 1000)::bigint, 'seconds', 0,
        'values', vals::jsonb, 'others', (SELECT jsonb_agg(jsonb_build_object('key', t.key, 'value', t.value)) FROM jsonb_each_text(texts) t)))) $$;
CREATE FUNCTION pg_temp.kept() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', o.device_code, o.name, o.value), ', ' ORDER BY o.name) FROM onemap.interval_other_report o $$;
SELECT is(pg_temp.store(pg_temp.other('{"zz1-Rtd": "0x1F", "SB1-RS": "1"}')), '1 0 0 0 0 0', 'what no metric takes');
SELECT is(pg_temp.kept(), 'D1 SB1-RS 1, D1 zz1-Rtd 0x1F', 'is kept as it came');
SELECT is(pg_temp.store(pg_temp.other('{"zz1-Rtd": "0x1F"}')), '0 1 0 0 0 0', 'a part of it again is a duplicate');
SELECT is(pg_temp.store(pg_temp.other('{"zz2-Rtd": "5"}', vals => '[{"metric": "noise_dba", "mean": 3}]')), '0 0 1 0 0 0', 'more is added, beside values');
SELECT is(pg_temp.store(pg_temp.other('{"zz2-Rtd": "6"}')), '0 0 0 1 0 0', 'another text of the same name is a correction');
SELECT is((SELECT jsonb_agg(r.replaced) FROM onemap.interval_revision r WHERE r.ordinal = 0), '[{"zz2-Rtd": "5"}]', 'whose older text is kept');
SELECT is(pg_temp.store(pg_temp.other('{"zz2-Rtd": "7", "zz3-Rtd": "1"}'), '{"first_received_ms": 1000}'), '0 0 1 0 0 0', 'an older message fills what is missing');
SELECT is(pg_temp.kept(), 'D1 SB1-RS 1, D1 zz1-Rtd 0x1F, D1 zz2-Rtd 6, D1 zz3-Rtd 1', 'and undoes nothing');
SELECT is(pg_temp.store(pg_temp.other('{}', '2026-03-11 09:00+08')), '0 0 0 0 1 0', 'nothing at all is refused');
SELECT is(pg_temp.store(pg_temp.other('{"zz1": "1"}', '2026-03-01 09:00+08')), '1 0 0 0 0 0', 'an old one');
DELETE FROM onemap.interval_value WHERE seconds = 0 AND began_at = '2026-03-11 08:00+08';

-- ---- keeping ----
SELECT is(onemap.interval_forget('2026-03-10 08:30+08'), 2::bigint, 'what began before is deleted');
SELECT is((SELECT count(*)::int FROM onemap.interval_value), 2, 'and no more');
SELECT is((SELECT count(*)::int FROM onemap.interval_revision WHERE began_at < '2026-03-10 08:30+08'), 0, 'nor are its corrections kept');
SELECT is((SELECT count(*)::int FROM onemap.interval_other), 1, 'what no metric takes likewise');
SELECT onemap.partition_maintain(1, 30);
SELECT is((SELECT count(*)::int FROM onemap.interval_value WHERE began_at < now() - interval '30 days'), 0, 'with the retention of the records');
SELECT is(pg_temp.store(pg_temp.one('[]')), '0 0 0 0 1 0', 'no values');
SELECT is((SELECT q.reason FROM onemap.quarantine q ORDER BY q.id DESC LIMIT 1), 'values: not one of them names a metric of dust with numbers', 'is told');
SELECT is((onemap.message_store('{"subsystem": "dust", "vendor": "v", "kind": "interval", "topic": "t", "message": "m", "received_at_ms": 1790000000000, "total": 1, "records": [{"index": 0, "bad_fields": 1,
    "record": {"device_code": "D1", "began_at_ms": 1773100800000, "seconds": 60}, "fields": [{"field": "values", "code": "bad_value", "reason": "values[0].flag: is \"n\""}]}]}', '\x7b')).rejected,
    1, 'nothing is left of it');
SELECT is((SELECT q.reason FROM onemap.quarantine q ORDER BY q.id DESC LIMIT 1),
    'values: not one of them names a metric of dust with numbers; values[0].flag: is "n"', 'its vendor is told why');
SELECT * FROM finish();
ROLLBACK;
