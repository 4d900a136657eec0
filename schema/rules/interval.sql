-- Values of intervals: messages of kind `interval`, what devices say, and how it compares with what the hub has computed itself.

-- The records of a message are worked out one after the other, each on what those before it left, and what they come to is stored
-- at once (as in object.sql): each version of a row that a transaction makes is looked at by those that come after it.
-- What an interval has is held as {"ordinal.column": value}, of what no metric takes {"0.name": text}.
CREATE OR REPLACE FUNCTION onemap.interval_metrics(subsystem text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(pg_catalog.jsonb_object_agg(m.key, m.ordinal), '{}') FROM onemap.metric m
    WHERE m.subsystem = $1 AND m.kind <> 'text'
$$;
COMMENT ON FUNCTION onemap.interval_metrics(text) IS 'The metrics of which an interval has numbers: {key: ordinal}';

-- An entry of the list that names no metric costs itself, not its neighbours. A number is held as its column will give it back.
CREATE OR REPLACE FUNCTION onemap.interval_said(subsystem text, metrics jsonb, record jsonb, OUT said jsonb, OUT flaws jsonb)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT coalesce(jsonb_object_agg(concat(e.ordinal, '.', f.key), CASE jsonb_typeof(f.value)
               WHEN 'number' THEN to_jsonb(f.value::float8) ELSE f.value END ORDER BY e.place)
               FILTER (WHERE jsonb_typeof(f.value) <> 'null'), '{}'),
           coalesce(jsonb_agg(jsonb_build_object('field', format('values[%s]', e.place - 1), 'code', 'unknown_reference', 'reason',
               format('values[%s].metric: %s has no metric %s with numbers', e.place - 1, subsystem, e.metric)) ORDER BY e.place)
               FILTER (WHERE e.ordinal IS NULL), '[]')
    INTO said, flaws
    FROM (SELECT v.value, v.place, v.value->>'metric' AS metric, metrics->>(v.value->>'metric') AS ordinal
          FROM jsonb_array_elements(record->'values') WITH ORDINALITY AS v(value, place)) e
    LEFT JOIN LATERAL jsonb_each(e.value - 'metric') f ON e.ordinal IS NOT NULL;
    IF record ? 'others' THEN
        said := said || (SELECT coalesce(jsonb_object_agg('0.' || (o.value->>'key'), coalesce(o.value->>'value', '')
                                    ORDER BY o.value->>'value' NULLS FIRST, o.place), '{}')
                         FROM jsonb_array_elements(record->'others') WITH ORDINALITY AS o(value, place)
                         WHERE o.value->>'key' <> '');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.interval_said(text, jsonb, jsonb) IS
    'What a record of kind interval says: {"ordinal.column": value}, of what no metric takes {"0.name": text} (entries that differ '
    'are out already: decode_document_check.c); and its entries that are left out, as they name none of the metrics: [{field, '
    'code, reason}]';

-- Locked: a replay may be under way beside a lane.
CREATE OR REPLACE FUNCTION onemap.intervals_stored(devices int[], begans timestamptz[], lasts int[], OUT held jsonb[],
    OUT came jsonb[])
LANGUAGE sql AS $$
    SELECT pg_catalog.array_agg(s.held || t.held ORDER BY k.place), pg_catalog.array_agg(s.came || t.came ORDER BY k.place)
    FROM unnest($1, $2, $3) WITH ORDINALITY AS k(device_id, began_at, seconds, place)
    CROSS JOIN LATERAL (
        SELECT coalesce(pg_catalog.jsonb_object_agg(i.ordinal || '.' || f.key, f.value), '{}') AS held,
               coalesce(pg_catalog.jsonb_object_agg(i.ordinal, i.received_at), '{}') AS came
        FROM (SELECT v.* FROM onemap.interval_value v
              WHERE v.device_id = k.device_id AND v.began_at = k.began_at AND v.seconds = k.seconds FOR UPDATE) i
        CROSS JOIN LATERAL pg_catalog.jsonb_each(pg_catalog.jsonb_strip_nulls(
            pg_catalog.to_jsonb(i) - '{device_id,began_at,seconds,ordinal,received_at}'::text[])) f) s
    CROSS JOIN LATERAL (
        SELECT coalesce(pg_catalog.jsonb_object_agg('0.' || f.key, f.value), '{}') AS held,
               coalesce(pg_catalog.jsonb_object_agg(0, i.received_at), '{}') AS came
        FROM (SELECT o.* FROM onemap.interval_other o
              WHERE o.device_id = k.device_id AND o.began_at = k.began_at AND o.seconds = k.seconds FOR UPDATE) i
        CROSS JOIN LATERAL pg_catalog.jsonb_each(i.others) f) t
$$;
COMMENT ON FUNCTION onemap.intervals_stored(int[], timestamptz[], int[]) IS
    'What is stored of each of these intervals ({"ordinal.column": value}), and when that came ({"ordinal": time})';

CREATE OR REPLACE FUNCTION onemap.interval_follow(said jsonb, since timestamptz, INOUT held jsonb, INOUT came jsonb, OUT fate text,
    OUT gone jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE old jsonb := held; new jsonb := held || said; stamps jsonb;
BEGIN
    IF since IS NOT NULL THEN -- what came after it stands
        SELECT new || coalesce(jsonb_object_agg(o.key, o.value), '{}') INTO new
        FROM jsonb_each(old) o WHERE since < (came->>split_part(o.key, '.', 1))::timestamptz;
    END IF;
    held := new;
    fate := CASE WHEN old = '{}' THEN 'accepted' WHEN old = new THEN 'duplicate' WHEN new @> old THEN 'merged' ELSE 'revised' END;
    IF fate = 'duplicate' THEN
        RETURN;
    END IF;
    SELECT jsonb_object_agg(c.ordinal, greatest((came->>c.ordinal)::timestamptz, coalesce(since, pg_catalog.now()))),
           jsonb_agg(jsonb_build_object('ordinal', c.ordinal, 'received_at', came->c.ordinal, 'replaced', c.replaced))
               FILTER (WHERE c.replaced IS NOT NULL)
    INTO stamps, gone
    FROM (SELECT split_part(n.key, '.', 1) AS ordinal,
                 jsonb_object_agg(substr(n.key, strpos(n.key, '.') + 1), old->n.key) FILTER (WHERE old ? n.key) AS replaced
          FROM jsonb_each(new) n WHERE old->n.key IS DISTINCT FROM n.value GROUP BY 1) c;
    came := came || stamps;
END $$;
COMMENT ON FUNCTION onemap.interval_follow(jsonb, timestamptz, jsonb, jsonb) IS
    'What an interval has (held, and when that came) after a record that says something of it, what the record was for it, and '
    'what it has replaced ([{ordinal, received_at, replaced}]). The newest message counts, value by value; one that comes again '
    'from quarantine (since: when it came first) fills what is missing, and changes only what is older than itself';

CREATE OR REPLACE FUNCTION onemap.interval_after(subsystem text, metrics jsonb, member jsonb, device int, since timestamptz,
    INOUT held jsonb, INOUT came jsonb, OUT told jsonb, OUT gone jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE record jsonb := member->'record'; problem jsonb; said jsonb; flaws jsonb; fate text;
BEGIN
    SELECT s.said, s.flaws INTO said, flaws FROM onemap.interval_said(subsystem, metrics, record) s;
    IF device IS NULL THEN
        problem := onemap.record_problem((member->>'index')::int, 'CH002', format(
            'device_code: there is no device %s of this vendor; send its inventory first', record->>'device_code'));
    ELSIF said = '{}' THEN
        problem := onemap.record_problem((member->>'index')::int, 'CH002', format(
            'values: not one of them names a metric of %s with numbers', subsystem));
    ELSIF NOT record ?& '{began_at_ms,seconds}' OR (record->>'seconds')::int NOT BETWEEN 0 AND 86400
            OR record @? '$."values"[*]."flag" ? (!(@ like_regex "^[NFMSDCTB]$"))' THEN
        problem := onemap.record_problem((member->>'index')::int, '23514', NULL);
    END IF;
    IF problem IS NOT NULL THEN
        told := jsonb_build_object('fate', 'rejected', 'problem', problem, 'flaws', flaws);
        RETURN;
    END IF;
    SELECT f.held, f.came, f.fate, f.gone INTO held, came, fate, gone FROM onemap.interval_follow(said, since, held, came) f;
    told := jsonb_build_object('fate', fate, 'problem', problem, 'flaws', flaws);
END $$;
COMMENT ON FUNCTION onemap.interval_after(text, jsonb, jsonb, int, timestamptz, jsonb, jsonb) IS
    'An interval of this device after a record (interval_follow), and what became of the record: {fate, flaws, problem}';

CREATE OR REPLACE FUNCTION onemap.intervals_write(devices int[], begans timestamptz[], lasts int[], before jsonb[], held jsonb[],
    came jsonb[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE numbers onemap.interval_value[]; texts onemap.interval_other[]; wanted bigint; made bigint; more bigint;
BEGIN
    SELECT array_agg((k.device, k.began, k.lasting, c.ordinal::int, v.minimum, v.mean, v.maximum, v.total, v.converted_minimum,
               v.converted_mean, v.converted_maximum, v.flag, (k.stamps->>c.ordinal)::timestamptz)::onemap.interval_value)
               FILTER (WHERE c.ordinal <> '0'),
           array_agg((k.device, k.began, k.lasting, c.named, (k.stamps->>c.ordinal)::timestamptz)::onemap.interval_other)
               FILTER (WHERE c.ordinal = '0'),
           count(*) FILTER (WHERE c.is_new)
    INTO numbers, texts, wanted
    FROM unnest(devices, begans, lasts, before, held, came) AS k(device, began, lasting, old, new, stamps)
    CROSS JOIN LATERAL (
        SELECT split_part(n.key, '.', 1) AS ordinal, jsonb_object_agg(substr(n.key, strpos(n.key, '.') + 1), n.value) AS named,
               NOT bool_or(k.old ? n.key) AS is_new
        FROM jsonb_each(k.new) n GROUP BY 1 HAVING bool_or(k.old->n.key IS DISTINCT FROM n.value)) c
    CROSS JOIN LATERAL jsonb_to_record(CASE WHEN c.ordinal <> '0' THEN c.named ELSE '{}' END) AS v (minimum float8, mean float8,
        maximum float8, total float8, converted_minimum float8, converted_mean float8, converted_maximum float8, flag text)
    WHERE k.new <> k.old;
    UPDATE onemap.interval_value i SET minimum = r.minimum, mean = r.mean, maximum = r.maximum, total = r.total,
        converted_minimum = r.converted_minimum, converted_mean = r.converted_mean, converted_maximum = r.converted_maximum,
        flag = r.flag, received_at = r.received_at
    FROM unnest(numbers) r
    WHERE i.device_id = r.device_id AND i.began_at = r.began_at AND i.seconds = r.seconds AND i.ordinal = r.ordinal;
    UPDATE onemap.interval_other i SET others = o.others, received_at = o.received_at
    FROM unnest(texts) o WHERE i.device_id = o.device_id AND i.began_at = o.began_at AND i.seconds = o.seconds;
    INSERT INTO onemap.interval_value (device_id, began_at, seconds, ordinal, minimum, mean, maximum, total, converted_minimum,
        converted_mean, converted_maximum, flag, received_at)
    SELECT r.device_id, r.began_at, r.seconds, r.ordinal, r.minimum, r.mean, r.maximum, r.total, r.converted_minimum,
        r.converted_mean, r.converted_maximum, r.flag, r.received_at
    FROM unnest(numbers) r ON CONFLICT ON CONSTRAINT interval_value_pkey DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    INSERT INTO onemap.interval_other (device_id, began_at, seconds, others, received_at)
    SELECT o.device_id, o.began_at, o.seconds, o.others, o.received_at
    FROM unnest(texts) o ON CONFLICT ON CONSTRAINT interval_other_pkey DO NOTHING;
    GET DIAGNOSTICS more = ROW_COUNT;
    PERFORM onemap.objects_raced(wanted, made + more);
END $$;
COMMENT ON FUNCTION onemap.intervals_write(int[], timestamptz[], int[], jsonb[], jsonb[], jsonb[]) IS
    'Stores what changed of these intervals: what they had, what they have, and when that came';

CREATE OR REPLACE FUNCTION onemap.intervals_put(message jsonb, members jsonb[], since timestamptz) RETURNS jsonb[]
LANGUAGE plpgsql AS $$
DECLARE
    of int[]; devices int[]; begans timestamptz[]; lasts int[]; before jsonb[]; held jsonb[]; came jsonb[];
    told jsonb[]; gone jsonb[] := ARRAY[]::jsonb[]; s record; n int := 1; k int;
    subsystem text := message->>'subsystem'; metrics jsonb := onemap.interval_metrics(subsystem);
BEGIN
    SELECT array_agg(r.key ORDER BY r.n), array_agg(r.device ORDER BY r.key) FILTER (WHERE r.first = 1),
           array_agg(r.began ORDER BY r.key) FILTER (WHERE r.first = 1),
           array_agg(r.lasting ORDER BY r.key) FILTER (WHERE r.first = 1)
    INTO of, devices, begans, lasts
    FROM (SELECT m.*, (dense_rank() OVER (ORDER BY m.device, m.began, m.lasting))::int AS key,
                 row_number() OVER (PARTITION BY m.device, m.began, m.lasting ORDER BY m.n) AS first
          FROM (SELECT a.n, onemap.record_time(a.e->'record', 'began_at_ms') AS began, (a.e->'record'->>'seconds')::int AS lasting,
                       (SELECT d.id FROM onemap.device d WHERE d.subsystem = message->>'subsystem'
                        AND d.vendor = message->>'vendor' AND d.code = a.e->'record'->>'device_code') AS device
                FROM unnest(members) WITH ORDINALITY AS a(e, n)) m) r;
    SELECT i.held, i.held, i.came INTO before, held, came FROM onemap.intervals_stored(devices, begans, lasts) i;
    WHILE n <= cardinality(members) LOOP
        BEGIN -- as far as nothing unforeseen comes (members_follow)
            WHILE n <= cardinality(members) LOOP
                k := of[n];
                s := onemap.interval_after(subsystem, metrics, members[n], devices[k], since, held[k], came[k]);
                told[n] := s.told;
                held[k] := s.held;
                came[k] := s.came;
                IF s.gone IS NOT NULL THEN
                    gone := gone || jsonb_build_object('device', devices[k], 'began', begans[k], 'lasts', lasts[k], 'list', s.gone);
                END IF;
                n := n + 1;
            END LOOP;
        EXCEPTION
            WHEN OTHERS THEN
                IF onemap.server_fault(SQLSTATE) THEN
                    RAISE;
                END IF;
                told[n] := jsonb_build_object('fate', 'rejected', 'problem',
                    onemap.record_problem((members[n]->>'index')::int, SQLSTATE, SQLERRM));
                n := n + 1;
        END;
    END LOOP;
    PERFORM onemap.intervals_write(devices, begans, lasts, before, held, came);
    INSERT INTO onemap.interval_revision (device_id, began_at, seconds, ordinal, received_at, replaced)
    SELECT r.device, r.began, r.lasts, e.ordinal, e.received_at, e.replaced
    FROM unnest(gone) AS g(entry)
    CROSS JOIN LATERAL jsonb_to_record(g.entry) AS r (device int, began timestamptz, lasts int, list jsonb)
    CROSS JOIN LATERAL jsonb_to_recordset(r.list) AS e (ordinal int, received_at timestamptz, replaced jsonb);
    RETURN told;
END $$;
COMMENT ON FUNCTION onemap.intervals_put(jsonb, jsonb[], timestamptz) IS
    'Stores the records of a message of kind interval, and what they replace; what became of each: {fate, flaws, problem}';

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
        WHEN r.unit <> 'deg' AND (r.minimum > r.mean OR r.mean > r.maximum OR r.minimum > r.maximum) THEN 'contradictory'
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
