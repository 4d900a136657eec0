-- Values of intervals: messages of kind `interval`, what devices say, and how it compares with what the hub has computed itself.

-- An entry of a record's list that names no metric costs itself, not its neighbours.
CREATE OR REPLACE FUNCTION onemap.interval_flaws(subsystem text, record jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('field', format('values[%s]', v.place - 1), 'code', 'unknown_reference',
                'reason', format('values[%s].metric: %s has no metric %s with numbers', v.place - 1, $1, v.value->>'metric'))
                ORDER BY v.place), '[]')
            FROM jsonb_array_elements(record->'values') WITH ORDINALITY v(value, place)
            WHERE NOT EXISTS (SELECT FROM onemap.metric m
                              WHERE m.subsystem = $1 AND m.key = v.value->>'metric' AND m.kind <> 'text'));
END $$;
COMMENT ON FUNCTION onemap.interval_flaws(text, jsonb) IS
    'Entries of an interval''s values that are left out, as they name no metric of the subsystem: [{field, code, reason}]';

CREATE OR REPLACE FUNCTION onemap.interval_flat(device_id int, began_at timestamptz, seconds int) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(concat(i.ordinal, '.', f.key), f.value), '{}')
            FROM onemap.interval_value i CROSS JOIN LATERAL jsonb_each(jsonb_strip_nulls(to_jsonb(i) - 'received_at')) f
            WHERE i.device_id = $1 AND i.began_at = $2 AND i.seconds = $3)
        || (SELECT coalesce(jsonb_object_agg('0.' || f.key, f.value), '{}')
            FROM onemap.interval_other i CROSS JOIN LATERAL jsonb_each(i.others) f
            WHERE i.device_id = $1 AND i.began_at = $2 AND i.seconds = $3);
END $$;
COMMENT ON FUNCTION onemap.interval_flat(int, timestamptz, int) IS
    'What is stored of an interval: {"ordinal.column": value}, of what no metric takes {"0.name": text}';

CREATE OR REPLACE FUNCTION onemap.interval_pick(late boolean, stored float8, said float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN late THEN coalesce(stored, said) ELSE coalesce(said, stored) END $$;
COMMENT ON FUNCTION onemap.interval_pick(boolean, float8, float8) IS
    'Of what is stored and what a message says the newer one, the other where there is none; late: the message is the older one';

CREATE OR REPLACE FUNCTION onemap.interval_other_put(device_id int, began_at timestamptz, seconds int, record jsonb,
    since timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE said jsonb; old jsonb; gone jsonb; late boolean;
BEGIN
    SELECT jsonb_object_agg(o.value->>'key', coalesce(o.value->>'value', '') ORDER BY o.place) INTO said
    FROM jsonb_array_elements(record->'others') WITH ORDINALITY o (value, place) WHERE o.value->>'key' <> '';
    IF said IS NULL THEN
        RETURN;
    END IF;
    SELECT i.others, since < i.received_at INTO old, late FROM onemap.interval_other i
    WHERE i.device_id = $1 AND i.began_at = $2 AND i.seconds = $3 FOR UPDATE;
    INSERT INTO onemap.interval_other AS i (device_id, began_at, seconds, others, received_at)
    VALUES ($1, $2, $3, said, coalesce(since, pg_catalog.now()))
    ON CONFLICT ON CONSTRAINT interval_other_pkey DO UPDATE SET
        others = CASE WHEN since < i.received_at THEN excluded.others || i.others ELSE i.others || excluded.others END,
        received_at = greatest(i.received_at, excluded.received_at)
    WHERE NOT i.others @> excluded.others;
    SELECT jsonb_object_agg(o.key, o.value) INTO gone FROM jsonb_each(old) o
    WHERE said ? o.key AND said->o.key <> o.value AND late IS NOT TRUE;
    IF gone IS NOT NULL THEN
        INSERT INTO onemap.interval_revision (device_id, began_at, seconds, ordinal, received_at, replaced)
        VALUES ($1, $2, $3, 0, coalesce(since, pg_catalog.now()), gone);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.interval_other_put(int, timestamptz, int, jsonb, timestamptz) IS
    'Stores what a record of kind interval says beside the metrics, name by name, the newest message''s text; since: when a '
    'message that comes again from quarantine came first';

-- The newest message counts, value by value. One that comes again from quarantine fills what is missing, and changes only what is
-- older than itself.
CREATE OR REPLACE FUNCTION onemap.interval_put(subsystem text, vendor text, record jsonb, since timestamptz DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    device int := onemap.record_device(subsystem, vendor, record, 'device_code');
    began timestamptz := onemap.record_time(record, 'began_at_ms');
    lasts int := (record->>'seconds')::int;
    old jsonb := onemap.interval_flat(device, began, lasts); new jsonb;
BEGIN
    INSERT INTO onemap.interval_value AS i (device_id, began_at, seconds, ordinal, minimum, mean, maximum, total, converted_minimum,
        converted_mean, converted_maximum, flag, received_at)
    SELECT DISTINCT ON (m.ordinal) device, began, lasts, m.ordinal, v.minimum, v.mean, v.maximum, v.total, v.converted_minimum,
           v.converted_mean, v.converted_maximum, v.flag, coalesce(since, pg_catalog.now())
    FROM jsonb_array_elements(record->'values') WITH ORDINALITY AS e(value, place)
    CROSS JOIN LATERAL jsonb_to_record(e.value) AS v (metric text, minimum float8, mean float8, maximum float8, total float8,
        converted_minimum float8, converted_mean float8, converted_maximum float8, flag text)
    JOIN onemap.metric m ON m.subsystem = $1 AND m.key = v.metric AND m.kind <> 'text'
    ORDER BY m.ordinal, e.place DESC
    ON CONFLICT ON CONSTRAINT interval_value_pkey DO UPDATE SET
        minimum = onemap.interval_pick(since < i.received_at, i.minimum, excluded.minimum),
        mean = onemap.interval_pick(since < i.received_at, i.mean, excluded.mean),
        maximum = onemap.interval_pick(since < i.received_at, i.maximum, excluded.maximum),
        total = onemap.interval_pick(since < i.received_at, i.total, excluded.total),
        converted_minimum = onemap.interval_pick(since < i.received_at, i.converted_minimum, excluded.converted_minimum),
        converted_mean = onemap.interval_pick(since < i.received_at, i.converted_mean, excluded.converted_mean),
        converted_maximum = onemap.interval_pick(since < i.received_at, i.converted_maximum, excluded.converted_maximum),
        flag = CASE WHEN since < i.received_at THEN coalesce(i.flag, excluded.flag) ELSE coalesce(excluded.flag, i.flag) END,
        received_at = greatest(i.received_at, excluded.received_at);
    PERFORM onemap.interval_other_put(device, began, lasts, record, since);
    new := onemap.interval_flat(device, began, lasts);
    IF new = '{}' THEN
        RAISE EXCEPTION 'values: not one of them names a metric of % with numbers', subsystem USING ERRCODE = 'CH002';
    END IF;
    RETURN CASE WHEN old = '{}' THEN 'accepted' WHEN old = new THEN 'duplicate' WHEN new @> old THEN 'merged' ELSE 'revised' END;
END $$;
COMMENT ON FUNCTION onemap.interval_put(text, text, jsonb, timestamptz) IS
    'Stores one record of kind interval: what a device says of an interval';

CREATE OR REPLACE FUNCTION onemap.interval_keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE gone jsonb;
BEGIN
    IF to_jsonb(old) - 'received_at' = to_jsonb(new) - 'received_at' THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_object_agg(o.key, o.value) INTO gone
    FROM jsonb_each(jsonb_strip_nulls(to_jsonb(old) - 'received_at')) o WHERE o.value IS DISTINCT FROM to_jsonb(new)->o.key;
    IF gone IS NOT NULL THEN
        INSERT INTO onemap.interval_revision (device_id, began_at, seconds, ordinal, received_at, replaced)
        VALUES (old.device_id, old.began_at, old.seconds, old.ordinal, old.received_at, gone);
    END IF;
    RETURN new;
END $$;
COMMENT ON FUNCTION onemap.interval_keep() IS
    'Trigger that passes over what says nothing new, and keeps what a correction replaces';
CREATE OR REPLACE TRIGGER interval_value_keep BEFORE UPDATE ON onemap.interval_value
    FOR EACH ROW EXECUTE FUNCTION onemap.interval_keep();

CREATE OR REPLACE FUNCTION onemap.interval_forget(before timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE gone bigint;
BEGIN
    DELETE FROM onemap.interval_value i WHERE i.began_at < before;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM onemap.interval_other o WHERE o.began_at < before;
    DELETE FROM onemap.interval_revision r WHERE r.began_at < before;
    RETURN gone;
END $$;
COMMENT ON FUNCTION onemap.interval_forget(timestamptz) IS
    'Deletes what devices said of intervals that began before; returns how many values';

-- ---- reading ----

CREATE OR REPLACE VIEW onemap.interval_report AS
SELECT d.subsystem, d.vendor, d.code AS device_code, i.device_id, m.key AS metric, m.name_zh, m.unit, i.began_at,
       i.began_at + make_interval(secs => i.seconds) AS ended_at, i.seconds, i.minimum, i.mean, i.maximum, i.total,
       i.converted_minimum, i.converted_mean, i.converted_maximum, i.flag,
       coalesce(i.flag, 'N') = 'N' AS usable,
       coalesce(least(i.minimum, i.mean, i.maximum) < m.min_value OR greatest(i.minimum, i.mean, i.maximum) > m.max_value, false)
           AS out_of_range, i.received_at
FROM onemap.interval_value i
JOIN onemap.device d ON d.id = i.device_id
JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.ordinal = i.ordinal;
COMMENT ON VIEW onemap.interval_report IS
    'What devices say of intervals (分钟、小时、日数据), with their names; usable: the flag does not forbid it; out_of_range: '
    'a value is outside the metric''s range';
GRANT SELECT ON onemap.interval_report TO cityhub_hub, cityhub_read;

CREATE OR REPLACE VIEW onemap.interval_other_report AS
SELECT d.subsystem, d.vendor, d.code AS device_code, i.device_id, i.began_at, i.seconds, o.key AS name, o.value AS value,
       i.received_at
FROM onemap.interval_other i
JOIN onemap.device d ON d.id = i.device_id
CROSS JOIN LATERAL jsonb_each_text(i.others) o;
COMMENT ON VIEW onemap.interval_other_report IS
    'What devices say beside the metrics (词典之外的因子、状态、日志), one row a name: texts as they came';
GRANT SELECT ON onemap.interval_other_report TO cityhub_hub, cityhub_read;

-- What the hub has of the same interval: the hour's or the day's rollup where it is one, else the records.
CREATE OR REPLACE FUNCTION onemap.interval_own(device_id int, ordinal int, began_at timestamptz, seconds int, OUT readings int,
    OUT minimum float8, OUT mean float8, OUT maximum float8)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF seconds = 3600 AND began_at = date_trunc('hour', began_at) THEN
        SELECT h.counts[$2], h.minima[$2], h.sums[$2] / nullif(h.counts[$2], 0), h.maxima[$2] INTO readings, minimum, mean, maximum
        FROM onemap.observation_hourly h WHERE h.device_id = $1 AND h.hour = $3;
    ELSIF seconds = 86400 AND began_at = onemap.local_midnight(onemap.local_time(began_at)::date) THEN
        SELECT y.counts[$2], y.minima[$2], y.sums[$2] / nullif(y.counts[$2], 0), y.maxima[$2] INTO readings, minimum, mean, maximum
        FROM onemap.observation_daily y WHERE y.device_id = $1 AND y.day = onemap.local_time($3)::date;
    ELSE
        SELECT count(*)::int, min(o.readings[$2]), avg(o.readings[$2]), max(o.readings[$2]) INTO readings, minimum, mean, maximum
        FROM onemap.observation_of($1, $3, $3 + make_interval(secs => $4)) o
        WHERE o.readings[$2] IS NOT NULL AND coalesce(o.quality, 0) & (1::bigint << ($2 - 1)) = 0;
    END IF;
    readings := coalesce(readings, 0);
END $$;
COMMENT ON FUNCTION onemap.interval_own(int, int, timestamptz, int) IS
    'What the hub itself has of a device''s metric in an interval: number, smallest, mean and largest of its good readings';

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('interval_tolerance_percent', '5', '设备上报的时段均值与枢纽由实时值算出的均值相差超过此百分比时，列为差异'),
    ('interval_own_least', '3', '枢纽在该时段内的实时值少于此数时，不比较均值')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- Directions have no arithmetic mean, and of sound levels devices give the energetic one (Leq): of both only the extremes are
-- compared.
CREATE OR REPLACE FUNCTION onemap.interval_finding(r onemap.interval_report, readings int, minimum float8, mean float8,
    maximum float8)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    part float8 := onemap.setting('interval_tolerance_percent')::float8 / 100;
    slack float8 := part * greatest(abs(mean), abs(r.mean));
BEGIN
    RETURN CASE
        WHEN r.minimum > r.mean OR r.mean > r.maximum OR r.minimum > r.maximum THEN 'contradictory'
        WHEN readings = 0 THEN 'no_readings'
        WHEN readings < onemap.setting('interval_own_least')::int THEN NULL
        WHEN r.unit NOT IN ('deg', 'dB(A)') AND abs(r.mean - mean) > slack THEN 'mean_differs'
        -- The device sees more than it sends: its extremes may lie outside ours, but not inside.
        WHEN r.minimum - minimum > part * greatest(abs(minimum), abs(r.minimum)) THEN 'minimum_differs'
        WHEN maximum - r.maximum > part * greatest(abs(maximum), abs(r.maximum)) THEN 'maximum_differs' END;
END $$;
COMMENT ON FUNCTION onemap.interval_finding(onemap.interval_report, int, float8, float8, float8) IS
    'What is wrong between what a device says of an interval and the hub''s own readings of it: contradictory (in itself), '
    'no_readings (a gap: fetch the history), mean_differs, minimum_differs, maximum_differs; NULL = nothing';

CREATE OR REPLACE FUNCTION onemap.interval_compare(since timestamptz, until timestamptz, device_id int DEFAULT NULL)
RETURNS TABLE (subsystem text, vendor text, device_code text, metric text, name_zh text, unit text, began_at timestamptz,
    seconds int, minimum float8, mean float8, maximum float8, own_readings int, own_minimum float8, own_mean float8,
    own_maximum float8, finding text)
LANGUAGE sql STABLE AS $$
    SELECT r.subsystem, r.vendor, r.device_code, r.metric, r.name_zh, r.unit, r.began_at, r.seconds, r.minimum, r.mean, r.maximum,
           o.readings, o.minimum, o.mean, o.maximum, onemap.interval_finding(r, o.readings, o.minimum, o.mean, o.maximum)
    FROM onemap.interval_report r
    JOIN onemap.metric m ON m.subsystem = r.subsystem AND m.key = r.metric AND m.kind = 'gauge'
    CROSS JOIN LATERAL onemap.interval_own(r.device_id, m.ordinal, r.began_at, r.seconds) o
    WHERE r.began_at >= since AND r.began_at < until AND ($3 IS NULL OR r.device_id = $3) AND r.seconds > 0 AND r.usable
        AND r.ended_at <= pg_catalog.now()
    ORDER BY r.began_at, r.device_code, m.ordinal, r.seconds
$$;
COMMENT ON FUNCTION onemap.interval_compare(timestamptz, timestamptz, int) IS
    'What devices said of intervals that are over, beside what the hub has computed of the same, and what is wrong between them '
    '(finding; NULL = nothing): of all devices or of one';
GRANT EXECUTE ON FUNCTION onemap.interval_own(int, int, timestamptz, int),
    onemap.interval_finding(onemap.interval_report, int, float8, float8, float8),
    onemap.interval_compare(timestamptz, timestamptz, int) TO cityhub_hub, cityhub_read;
